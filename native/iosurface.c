/* IOSurface through functions that are opened at run time; see iosurface.h. */
#include "iosurface.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Filled once and never closed: framework code may be on any thread's stack. */
static pthread_once_t opened = PTHREAD_ONCE_INIT;
static struct iosurface_functions table;
static bool complete;

struct symbol {
  const char *name;
  size_t field;
};

#define SYMBOL(name) {#name, offsetof(struct iosurface_functions, name)}

static const struct symbol corefoundation_symbols[] = {
  SYMBOL(CFRelease),
  SYMBOL(CFNumberCreate),
  SYMBOL(CFDictionaryCreate),
  SYMBOL(kCFBooleanTrue),
  SYMBOL(kCFTypeDictionaryKeyCallBacks),
  SYMBOL(kCFTypeDictionaryValueCallBacks),
};

static const struct symbol iosurface_symbols[] = {
  SYMBOL(IOSurfaceCreate),
  SYMBOL(IOSurfaceLookup),
  SYMBOL(IOSurfaceGetID),
  SYMBOL(IOSurfaceGetWidth),
  SYMBOL(IOSurfaceGetHeight),
  SYMBOL(IOSurfaceGetBytesPerElement),
  SYMBOL(IOSurfaceGetBytesPerRow),
  SYMBOL(IOSurfaceGetAllocSize),
  SYMBOL(IOSurfaceGetPlaneCount),
  SYMBOL(IOSurfaceGetBytesPerRowOfPlane),
  SYMBOL(IOSurfaceGetBaseAddress),
  SYMBOL(IOSurfaceGetBaseAddressOfPlane),
  SYMBOL(IOSurfaceGetPixelFormat),
  SYMBOL(IOSurfaceLock),
  SYMBOL(IOSurfaceUnlock),
  SYMBOL(kIOSurfaceWidth),
  SYMBOL(kIOSurfaceHeight),
  SYMBOL(kIOSurfaceBytesPerElement),
  SYMBOL(kIOSurfacePixelFormat),
  SYMBOL(kIOSurfaceIsGlobal),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool open_symbols(const char *path, const struct symbol *symbols, size_t count) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  for (size_t i = 0; i < count; i++) {
    void *address = dlsym(library, symbols[i].name);
    if (!address) return false;
    /* Every field is a pointer; POSIX has pointers to functions and to data
     * alike in size. */
    memcpy((char *)&table + symbols[i].field, &address, sizeof address);
  }
  return true;
}

static void open_frameworks(void) {
  complete = open_symbols(iosurface_corefoundation_library, corefoundation_symbols,
                          COUNT(corefoundation_symbols)) &&
             open_symbols(iosurface_library, iosurface_symbols, COUNT(iosurface_symbols));
}

const struct iosurface_functions *iosurface_functions(void) {
  pthread_once(&opened, open_frameworks);
  return complete ? &table : NULL;
}

int32_t iosurface_lookup(IOSurfaceID id, IOSurfaceRef *surface) {
  *surface = NULL;
  const struct iosurface_functions *f = iosurface_functions();
  if (!f) return -ENOTSUP;
  *surface = f->IOSurfaceLookup(id);
  return *surface ? 0 : -ENOENT;
}

int32_t iosurface_create(const struct iosurface_shape *shape, IOSurfaceRef *surface) {
  *surface = NULL;
  const struct iosurface_functions *f = iosurface_functions();
  if (!f) return -ENOTSUP;

  const void *keys[] = {*f->kIOSurfaceWidth, *f->kIOSurfaceHeight, *f->kIOSurfaceBytesPerElement,
                        *f->kIOSurfacePixelFormat, *f->kIOSurfaceIsGlobal};
  const uint32_t numbers[] = {shape->width, shape->height, shape->bytes_per_element,
                              shape->format};
  const void *values[COUNT(keys)] = {NULL};
  bool made = true;
  for (size_t i = 0; i < COUNT(numbers); i++) {
    values[i] = f->CFNumberCreate(NULL, kCFNumberSInt32Type, &numbers[i]);
    made = made && values[i];
  }
  values[COUNT(numbers)] = *f->kCFBooleanTrue;

  CFDictionaryRef properties = NULL;
  if (made) {
    properties = f->CFDictionaryCreate(NULL, keys, values, COUNT(keys),
                                       f->kCFTypeDictionaryKeyCallBacks,
                                       f->kCFTypeDictionaryValueCallBacks);
  }
  if (properties) {
    *surface = f->IOSurfaceCreate(properties);
    f->CFRelease(properties);
  }
  for (size_t i = 0; i < COUNT(numbers); i++) {
    if (values[i]) f->CFRelease(values[i]);
  }
  return *surface ? 0 : -ENOMEM;
}

void iosurface_release(IOSurfaceRef surface) {
  table.CFRelease(surface);
}

IOSurfaceID iosurface_id(IOSurfaceRef surface) {
  return table.IOSurfaceGetID(surface);
}

static size_t stride_of(IOSurfaceRef surface, size_t planes) {
  return planes == 0 ? table.IOSurfaceGetBytesPerRow(surface)
                     : table.IOSurfaceGetBytesPerRowOfPlane(surface, 0);
}

int32_t iosurface_describe(IOSurfaceRef surface, struct iosurface_shape *shape) {
  size_t width = table.IOSurfaceGetWidth(surface);
  size_t height = table.IOSurfaceGetHeight(surface);
  size_t planes = table.IOSurfaceGetPlaneCount(surface);
  size_t stride = stride_of(surface, planes);
  size_t element = table.IOSurfaceGetBytesPerElement(surface);
  size_t size = table.IOSurfaceGetAllocSize(surface);
  if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX) return -EINVAL;
  if (planes > INT32_MAX || stride > INT32_MAX || element > 16) return -EINVAL;
  if (stride < width * element || size / height < stride) return -EINVAL;
  *shape = (struct iosurface_shape){
    .width = (uint32_t)width,
    .height = (uint32_t)height,
    .stride = (uint32_t)stride,
    .format = table.IOSurfaceGetPixelFormat(surface),
    .bytes_per_element = (uint32_t)element,
    .planes = (uint32_t)planes,
  };
  return 0;
}

int32_t iosurface_lock(IOSurfaceRef surface, const uint8_t **base) {
  *base = NULL;
  if (table.IOSurfaceLock(surface, kIOSurfaceLockReadOnly, NULL) != 0) return -EIO;
  *base = table.IOSurfaceGetPlaneCount(surface) == 0
              ? table.IOSurfaceGetBaseAddress(surface)
              : table.IOSurfaceGetBaseAddressOfPlane(surface, 0);
  if (*base) return 0;
  iosurface_unlock(surface);
  return -EIO;
}

void iosurface_unlock(IOSurfaceRef surface) {
  table.IOSurfaceUnlock(surface, kIOSurfaceLockReadOnly, NULL);
}
