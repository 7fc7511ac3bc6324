/* See iosurface_standin.h.
 *
 * A surface is one file of /dev/shm: a page that describes it, then the pixels.
 * Every holder has the file open and a shared lock (flock) on it, which the
 * kernel drops with the process; whoever can lock it exclusively was the last
 * and removes it. */
#include "iosurface_standin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/dev/shm"
#define PREFIX "utmost-iosurface-"

enum { PIXELS_AT = 4096, MAX_SIDE = 16384, PAIRS_MAX = 8, IDS_PER_PROCESS = 4096 };

/* The first page of a surface's file. */
struct description {
  uint32_t id, width, height, format, bytes_per_element, bytes_per_row, planes, hidden;
  uint64_t size; /* of the pixels */
  int64_t maker; /* pid */
};

enum type { CONSTANT, NUMBER, DICTIONARY, SURFACE };

struct object {
  enum type type;
  atomic_int references;
};

struct __CFString {
  struct object object;
};

struct __CFBoolean {
  struct object object;
};

struct __CFNumber {
  struct object object;
  int32_t value;
};

struct __CFDictionary {
  struct object object;
  CFIndex count;
  struct object *keys[PAIRS_MAX];
  struct object *values[PAIRS_MAX];
};

struct __IOSurface {
  struct object object;
  int fd;
  uint8_t *file; /* the description, then the pixels */
  atomic_int locks;
};

static struct __CFBoolean true_object = {{CONSTANT, 1}};
static struct __CFString width_key = {{CONSTANT, 1}};
static struct __CFString height_key = {{CONSTANT, 1}};
static struct __CFString bytes_per_element_key = {{CONSTANT, 1}};
static struct __CFString pixel_format_key = {{CONSTANT, 1}};
static struct __CFString is_global_key = {{CONSTANT, 1}};

const CFBooleanRef kCFBooleanTrue = &true_object;
const char kCFTypeDictionaryKeyCallBacks[1];
const char kCFTypeDictionaryValueCallBacks[1];
const CFStringRef kIOSurfaceWidth = &width_key;
const CFStringRef kIOSurfaceHeight = &height_key;
const CFStringRef kIOSurfaceBytesPerElement = &bytes_per_element_key;
const CFStringRef kIOSurfacePixelFormat = &pixel_format_key;
const CFStringRef kIOSurfaceIsGlobal = &is_global_key;

static atomic_int held;

static void *new_object(enum type type, size_t size) {
  struct object *object = calloc(1, size);
  if (!object) return NULL;
  object->type = type;
  object->references = 1;
  held++;
  return object;
}

static void retain(struct object *object) {
  if (object->type != CONSTANT) object->references++;
}

static const struct description *described(IOSurfaceRef surface) {
  return (const struct description *)surface->file;
}

static void path_of(uint32_t id, char path[64]) {
  snprintf(path, 64, FOLDER "/" PREFIX "%u", id);
}

/* Takes the shared lock on a file that `fd` has open. Returns whether it is
 * still there: it may have been removed before the lock came. */
static bool hold(int fd) {
  struct stat info;
  return flock(fd, LOCK_SH) == 0 && fstat(fd, &info) == 0 && info.st_nlink > 0;
}

/* Closes `fd`, and removes the file if nobody else holds it. */
static void let_go(int fd, const char *path) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path);
  close(fd);
}

/* Removes what processes that were killed have left. */
static void sweep(void) {
  DIR *folder = opendir(FOLDER);
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder));) {
    if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0) continue;
    int fd = openat(dirfd(folder), entry->d_name, O_RDWR | O_CLOEXEC);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dirfd(folder), entry->d_name, 0);
    close(fd);
  }
  closedir(folder);
}

/* Takes an id that no surface has, and its file. Ids of one process follow each
 * other, and come back after IDS_PER_PROCESS: as on macOS, they are reused. */
static int take_id(uint32_t *id, char path[64]) {
  static pthread_once_t swept = PTHREAD_ONCE_INIT;
  static atomic_uint next;
  pthread_once(&swept, sweep);
  for (int tries = 0; tries < 2 * IDS_PER_PROCESS; tries++) {
    *id = (uint32_t)getpid() * IDS_PER_PROCESS + next++ % IDS_PER_PROCESS;
    if (*id == 0) continue;
    path_of(*id, path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd >= 0 && !hold(fd)) {
      close(fd);
      continue;
    }
    return fd;
  }
  return -1;
}

/* Takes `fd`, which is held and as large as it says. */
static IOSurfaceRef open_surface(int fd, const char *path, uint64_t size) {
  void *file = mmap(NULL, PIXELS_AT + size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  IOSurfaceRef surface = file == MAP_FAILED ? NULL : new_object(SURFACE, sizeof *surface);
  if (!surface) {
    if (file != MAP_FAILED) munmap(file, PIXELS_AT + size);
    let_go(fd, path);
    return NULL;
  }
  surface->fd = fd;
  surface->file = file;
  return surface;
}

IOSurfaceRef iosurface_standin_make(const struct iosurface_standin *shape) {
  if (shape->width == 0 || shape->width > MAX_SIDE || shape->height == 0 ||
      shape->height > MAX_SIDE || shape->bytes_per_element > 16) {
    return NULL;
  }
  struct description description = {
    .width = shape->width,
    .height = shape->height,
    .format = shape->format,
    .bytes_per_element = shape->bytes_per_element ? shape->bytes_per_element : 4,
    .bytes_per_row = shape->bytes_per_row,
    .planes = shape->planes,
    .hidden = shape->hidden,
    .maker = getpid(),
  };
  if (description.bytes_per_row == 0) {
    description.bytes_per_row = (description.width * description.bytes_per_element + 63) & ~63u;
  }
  description.size = (uint64_t)description.bytes_per_row * description.height;

  char path[64];
  int fd = take_id(&description.id, path);
  if (fd < 0) return NULL;
  if (ftruncate(fd, (off_t)(PIXELS_AT + description.size)) != 0 ||
      pwrite(fd, &description, sizeof description, 0) != sizeof description) {
    let_go(fd, path);
    return NULL;
  }
  return open_surface(fd, path, description.size);
}

IOSurfaceRef IOSurfaceLookup(IOSurfaceID id) {
  char path[64];
  struct description description;
  path_of(id, path);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return NULL;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* nobody holds it: its maker was killed */
    unlink(path);
    close(fd);
    return NULL;
  }
  if (!hold(fd)) {
    close(fd);
    return NULL;
  }
  if (pread(fd, &description, sizeof description, 0) != sizeof description ||
      (description.hidden && description.maker != getpid())) {
    let_go(fd, path);
    return NULL;
  }
  return open_surface(fd, path, description.size);
}

IOSurfaceRef IOSurfaceCreate(CFDictionaryRef properties) {
  struct iosurface_standin shape = {.hidden = true};
  for (CFIndex i = 0; i < properties->count; i++) {
    const struct object *key = properties->keys[i];
    const struct object *value = properties->values[i];
    if (key == &is_global_key.object) {
      shape.hidden = value != &true_object.object;
      continue;
    }
    if (value->type != NUMBER) return NULL;
    uint32_t number = (uint32_t)((const struct __CFNumber *)value)->value;
    if (key == &width_key.object) shape.width = number;
    if (key == &height_key.object) shape.height = number;
    if (key == &bytes_per_element_key.object) shape.bytes_per_element = number;
    if (key == &pixel_format_key.object) shape.format = number;
  }
  return iosurface_standin_make(&shape);
}

static void free_surface(IOSurfaceRef surface) {
  char path[64];
  path_of(described(surface)->id, path);
  munmap(surface->file, PIXELS_AT + described(surface)->size);
  let_go(surface->fd, path);
}

void CFRelease(CFTypeRef reference) {
  /* Objects are handed out as pointers to const, which they are not. */
  struct object *object = (struct object *)(uintptr_t)reference;
  if (object->type == CONSTANT || --object->references > 0) return;
  if (object->type == SURFACE) free_surface((IOSurfaceRef)object);
  if (object->type == DICTIONARY) {
    CFDictionaryRef dictionary = (CFDictionaryRef)object;
    for (CFIndex i = 0; i < dictionary->count; i++) {
      CFRelease(dictionary->keys[i]);
      CFRelease(dictionary->values[i]);
    }
  }
  held--;
  free(object);
}

int32_t iosurface_standin_held(void) {
  return held;
}

CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFIndex type, const void *value) {
  (void)allocator;
  if (type != kCFNumberSInt32Type) return NULL;
  struct __CFNumber *number = new_object(NUMBER, sizeof *number);
  if (number) memcpy(&number->value, value, sizeof number->value);
  return number;
}

CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys,
                                   const void **values, CFIndex count,
                                   const void *key_callbacks, const void *value_callbacks) {
  (void)allocator;
  /* Without these two, macOS does not retain what is in a dictionary. */
  if (key_callbacks != kCFTypeDictionaryKeyCallBacks ||
      value_callbacks != kCFTypeDictionaryValueCallBacks || count > PAIRS_MAX) {
    return NULL;
  }
  struct __CFDictionary *dictionary = new_object(DICTIONARY, sizeof *dictionary);
  if (!dictionary) return NULL;
  dictionary->count = count;
  for (CFIndex i = 0; i < count; i++) {
    dictionary->keys[i] = (struct object *)(uintptr_t)keys[i];
    dictionary->values[i] = (struct object *)(uintptr_t)values[i];
    retain(dictionary->keys[i]);
    retain(dictionary->values[i]);
  }
  return dictionary;
}

IOSurfaceID IOSurfaceGetID(IOSurfaceRef surface) {
  return described(surface)->id;
}

size_t IOSurfaceGetWidth(IOSurfaceRef surface) {
  return described(surface)->width;
}

size_t IOSurfaceGetHeight(IOSurfaceRef surface) {
  return described(surface)->height;
}

size_t IOSurfaceGetBytesPerElement(IOSurfaceRef surface) {
  return described(surface)->bytes_per_element;
}

size_t IOSurfaceGetBytesPerRow(IOSurfaceRef surface) {
  return described(surface)->bytes_per_row;
}

size_t IOSurfaceGetAllocSize(IOSurfaceRef surface) {
  return described(surface)->size;
}

size_t IOSurfaceGetPlaneCount(IOSurfaceRef surface) {
  return described(surface)->planes;
}

size_t IOSurfaceGetBytesPerRowOfPlane(IOSurfaceRef surface, size_t plane) {
  return plane < described(surface)->planes ? described(surface)->bytes_per_row : 0;
}

void *IOSurfaceGetBaseAddress(IOSurfaceRef surface) {
  /* On macOS the address is there without a lock as well, and what it shows is
   * not defined: here a missing lock is found at once. */
  return surface->locks > 0 ? surface->file + PIXELS_AT : NULL;
}

void *IOSurfaceGetBaseAddressOfPlane(IOSurfaceRef surface, size_t plane) {
  return plane < described(surface)->planes ? IOSurfaceGetBaseAddress(surface) : NULL;
}

uint32_t IOSurfaceGetPixelFormat(IOSurfaceRef surface) {
  return described(surface)->format;
}

int32_t IOSurfaceLock(IOSurfaceRef surface, uint32_t options, uint32_t *seed) {
  (void)options;
  surface->locks++;
  if (seed) *seed = 0;
  return 0;
}

int32_t IOSurfaceUnlock(IOSurfaceRef surface, uint32_t options, uint32_t *seed) {
  (void)options;
  if (surface->locks == 0) return -1;
  surface->locks--;
  if (seed) *seed = 0;
  return 0;
}
