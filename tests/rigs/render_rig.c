/* Lets the real QEMU hand GL scanouts to a SPICE client on a host without a GPU.
 *
 * QEMU's `-spice gl=on` wants a DRM render node, and a driver that exports textures as dmabufs. With
 * this library preloaded (LD_PRELOAD) it gets Mesa's software renderer, and each exported texture
 * becomes a memfd: the same size, stride and format that a dmabuf would have, and memory that can be
 * mapped. The file that is named as the render node is opened and not looked at.
 *
 *   real     QEMU, its virtio-gpu device, virglrenderer, libspice-server, Mesa, the guest
 *   ours     the GBM device, the choice of the EGL platform, the export of a texture
 *
 * A dmabuf is the texture; a memfd is a copy of it. It is filled when QEMU names it as the scanout,
 * and again before each draw that QEMU announces. One texture has one memfd for as long as it lives,
 * so a guest that flips between two buffers shows two inodes, as it would on a GPU.
 *
 * Programs other than QEMU (a shell that starts it) load the library and notice nothing.
 *
 * QEMU and virglrenderer call EGL and GL through function pointers that libepoxy exports; here they
 * are replaced. What we call ourselves is looked up in libEGL, never through libepoxy: its pointers
 * overwrite themselves at their first use. Source: libepoxy, src/dispatch_common.h; QEMU,
 * ui/egl-helpers.c and ui/spice-display.c.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The part of EGL and GL that is used. Source: the Khronos registry. */
typedef void *EGLDisplay, *EGLContext, *EGLSurface, *EGLImage, *EGLConfig, *EGLClientBuffer;
typedef int32_t EGLint;
typedef unsigned EGLenum, EGLBoolean, GLenum, GLuint, GLbitfield;
typedef int GLint, GLsizei;

enum {
  EGL_PBUFFER_BIT = 0x0001,
  EGL_CONFIG_ID = 0x3028,
  EGL_SURFACE_TYPE = 0x3033,
  EGL_NONE = 0x3038,
  EGL_EXTENSIONS = 0x3055,
  EGL_READ = 0x305a,
  EGL_DRAW = 0x3059,
  EGL_GL_TEXTURE_2D = 0x30b1,
  EGL_PLATFORM_SURFACELESS_MESA = 0x31dd,

  GL_TEXTURE_2D = 0x0de1,
  GL_TEXTURE_WIDTH = 0x1000,
  GL_TEXTURE_HEIGHT = 0x1001,
  GL_UNSIGNED_BYTE = 0x1401,
  GL_COLOR_BUFFER_BIT = 0x4000,
  GL_NEAREST = 0x2600,
  GL_RGBA8 = 0x8058,
  GL_TEXTURE_ALPHA_SIZE = 0x805f,
  GL_BGRA = 0x80e1,
  GL_READ_FRAMEBUFFER = 0x8ca8,
  GL_DRAW_FRAMEBUFFER = 0x8ca9,
  GL_COLOR_ATTACHMENT0 = 0x8ce0,
  GL_RENDERBUFFER = 0x8d41,
  GL_FRAMEBUFFER_COMPLETE = 0x8cd5,
};

/* Source: Linux, include/uapi/drm/drm_fourcc.h. */
enum { XRGB8888 = 0x34325258, ARGB8888 = 0x34325241 };

#define EXPORT __attribute__((visibility("default")))

/* Every EGL and GL function that is called here: result, name, parameters. */
#define FUNCTIONS(F)                                                                               \
  F(EGLDisplay, eglGetPlatformDisplay, (EGLenum, void *, const intptr_t *))                        \
  F(EGLBoolean, eglChooseConfig, (EGLDisplay, const EGLint *, EGLConfig *, EGLint, EGLint *))      \
  F(const char *, eglQueryString, (EGLDisplay, EGLint))                                            \
  F(EGLBoolean, eglQueryContext, (EGLDisplay, EGLContext, EGLint, EGLint *))                       \
  F(EGLContext, eglCreateContext, (EGLDisplay, EGLConfig, EGLContext, const EGLint *))             \
  F(EGLBoolean, eglMakeCurrent, (EGLDisplay, EGLSurface, EGLSurface, EGLContext))                  \
  F(EGLDisplay, eglGetCurrentDisplay, (void))                                                      \
  F(EGLContext, eglGetCurrentContext, (void))                                                      \
  F(EGLSurface, eglGetCurrentSurface, (EGLint))                                                    \
  F(EGLImage, eglCreateImageKHR,                                                                   \
    (EGLDisplay, EGLContext, EGLenum, EGLClientBuffer, const EGLint *))                            \
  F(EGLBoolean, eglDestroyImageKHR, (EGLDisplay, EGLImage))                                        \
  F(void, glBindTexture, (GLenum, GLuint))                                                         \
  F(void, glDeleteTextures, (GLsizei, const GLuint *))                                             \
  F(void, glGetTexLevelParameteriv, (GLenum, GLint, GLenum, GLint *))                              \
  F(void, glGenFramebuffers, (GLsizei, GLuint *))                                                  \
  F(void, glBindFramebuffer, (GLenum, GLuint))                                                     \
  F(void, glFramebufferTexture2D, (GLenum, GLenum, GLenum, GLuint, GLint))                         \
  F(void, glFramebufferRenderbuffer, (GLenum, GLenum, GLenum, GLuint))                             \
  F(GLenum, glCheckFramebufferStatus, (GLenum))                                                    \
  F(void, glGenRenderbuffers, (GLsizei, GLuint *))                                                 \
  F(void, glBindRenderbuffer, (GLenum, GLuint))                                                    \
  F(void, glRenderbufferStorage, (GLenum, GLenum, GLsizei, GLsizei))                               \
  F(void, glBlitFramebuffer,                                                                       \
    (GLint, GLint, GLint, GLint, GLint, GLint, GLint, GLint, GLbitfield, GLenum))                  \
  F(void, glReadPixels, (GLint, GLint, GLsizei, GLsizei, GLenum, GLenum, void *))

#define DECLARE(result, name, parameters) static result(*name) parameters;
FUNCTIONS(DECLARE)

/* Puts a message on QEMU's stderr and ends it: a rig that half works would only mislead. */
static _Noreturn void fail(const char *what) {
  fprintf(stderr, "render_rig: %s\n", what);
  _exit(70);
}

/* ---- Textures that were exported ---- */

struct exported {
  struct exported *next;
  GLuint texture;
  uint32_t width, height; /* pixels */
  uint32_t format;        /* DRM fourcc */
  int memory;             /* memfd, ours */
  dev_t device;
  ino_t inode;
  void *pixels;
};

static struct exported *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t size_of(const struct exported *one) {
  return (size_t)one->width * one->height * 4;
}

static void close_memory(struct exported *one) {
  if (one->memory < 0) return;
  munmap(one->pixels, size_of(one));
  close(one->memory);
  one->memory = -1;
}

static void open_memory(struct exported *one) {
  struct stat info;
  one->memory = memfd_create("render_rig", MFD_CLOEXEC);
  if (one->memory < 0 || ftruncate(one->memory, (off_t)size_of(one)) < 0 ||
      fstat(one->memory, &info) < 0)
    fail("no shared memory for a texture");
  one->device = info.st_dev;
  one->inode = info.st_ino;
  one->pixels = mmap(NULL, size_of(one), PROT_READ | PROT_WRITE, MAP_SHARED, one->memory, 0);
  if (one->pixels == MAP_FAILED) fail("cannot map the memory of a texture");
}

static struct exported *by_texture(GLuint texture) {
  struct exported *one = all;
  while (one != NULL && one->texture != texture) one = one->next;
  return one;
}

static struct exported *by_fd(int fd) {
  struct stat info;
  if (fd < 0 || fstat(fd, &info) < 0) return NULL;
  for (struct exported *one = all; one != NULL; one = one->next) {
    if (one->memory >= 0 && one->device == info.st_dev && one->inode == info.st_ino) return one;
  }
  return NULL;
}

/* What each display of the SPICE server shows; QEMU has no more than 16. */
static struct {
  void *display;
  struct exported *exported; /* NULL: nothing */
} shown[16];

static void show(void *display, struct exported *one) {
  for (size_t n = 0; n < sizeof shown / sizeof *shown; n++) {
    if (shown[n].display != display && shown[n].display != NULL) continue;
    shown[n].display = display;
    shown[n].exported = one;
    return;
  }
  fail("too many displays");
}

static struct exported *shown_on(void *display) {
  for (size_t n = 0; n < sizeof shown / sizeof *shown; n++) {
    if (shown[n].display == display) return shown[n].exported;
  }
  return NULL;
}

static void forget(GLuint texture) {
  for (struct exported **at = &all; *at != NULL; at = &(*at)->next) {
    struct exported *one = *at;
    if (one->texture != texture) continue;
    *at = one->next;
    for (size_t n = 0; n < sizeof shown / sizeof *shown; n++) {
      if (shown[n].exported == one) shown[n].exported = NULL;
    }
    close_memory(one);
    free(one);
    return;
  }
}

/* ---- From the texture to the memory ---- */

/* A context of ours beside QEMU's and virglrenderer's, so that none of their state is touched. */
static struct {
  EGLDisplay display;
  EGLContext context;
  GLuint from, to, buffer;
  uint32_t width, height; /* of `buffer` */
} reader;

/* What was current, to be put back. */
struct current {
  EGLDisplay display;
  EGLSurface draw, read;
  EGLContext context;
};

static struct current enter_reader(void) {
  struct current before = {eglGetCurrentDisplay(), eglGetCurrentSurface(EGL_DRAW),
                           eglGetCurrentSurface(EGL_READ), eglGetCurrentContext()};
  if (reader.context == NULL) {
    const EGLint version_3_1[] = {0x3098, 3, 0x30fb, 1, EGL_NONE};
    EGLint id = 0, count = 0;
    EGLConfig config = NULL;
    if (before.context == NULL) fail("a texture is exported with no context current");
    if (!eglQueryContext(before.display, before.context, EGL_CONFIG_ID, &id) ||
        !eglChooseConfig(before.display, (const EGLint[]){EGL_CONFIG_ID, id, EGL_NONE}, &config, 1,
                         &count))
      fail("cannot find the configuration of QEMU's context");
    reader.display = before.display;
    reader.context = eglCreateContext(before.display, config, before.context, version_3_1);
    if (reader.context == NULL) fail("cannot make a context");
  }
  /* Making another context current also flushes the one before. */
  if (!eglMakeCurrent(reader.display, NULL, NULL, reader.context))
    fail("cannot use the context that reads textures");
  if (reader.from == 0) {
    glGenFramebuffers(1, &reader.from);
    glGenFramebuffers(1, &reader.to);
    glGenRenderbuffers(1, &reader.buffer);
  }
  return before;
}

static void leave_reader(const struct current *before) {
  EGLDisplay display = before->display != NULL ? before->display : reader.display;
  if (!eglMakeCurrent(display, before->draw, before->read, before->context))
    fail("cannot put QEMU's context back");
}

/* Copies the whole texture, first row first, as B G R A bytes. By way of a buffer of our own: a copy
 * on the GPU waits for what other contexts draw, which reading the texture itself would not. */
static void fill(struct exported *one) {
  struct current before = enter_reader();
  const GLint width = (GLint)one->width, height = (GLint)one->height;
  glBindFramebuffer(GL_READ_FRAMEBUFFER, reader.from);
  glFramebufferTexture2D(GL_READ_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, one->texture, 0);
  glBindFramebuffer(GL_DRAW_FRAMEBUFFER, reader.to);
  if (reader.width != one->width || reader.height != one->height) {
    glBindRenderbuffer(GL_RENDERBUFFER, reader.buffer);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, width, height);
    glFramebufferRenderbuffer(GL_DRAW_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER,
                              reader.buffer);
    reader.width = one->width;
    reader.height = one->height;
  }
  if (glCheckFramebufferStatus(GL_READ_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE ||
      glCheckFramebufferStatus(GL_DRAW_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
    fail("a texture cannot be read");
  glBlitFramebuffer(0, 0, width, height, 0, 0, width, height, GL_COLOR_BUFFER_BIT, GL_NEAREST);
  glBindFramebuffer(GL_READ_FRAMEBUFFER, reader.to);
  glReadPixels(0, 0, width, height, GL_BGRA, GL_UNSIGNED_BYTE, one->pixels);
  /* Keeps no texture alive that its owner deletes. */
  glBindFramebuffer(GL_READ_FRAMEBUFFER, reader.from);
  glFramebufferTexture2D(GL_READ_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, 0, 0);
  leave_reader(&before);
}

/* Returns what is exported of a texture, with memory of its present size. */
static struct exported *export_texture(GLuint texture) {
  GLint width = 0, height = 0, alpha = 0;
  struct current before = enter_reader();
  glBindTexture(GL_TEXTURE_2D, texture);
  glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_WIDTH, &width);
  glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_HEIGHT, &height);
  glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_ALPHA_SIZE, &alpha);
  glBindTexture(GL_TEXTURE_2D, 0);
  leave_reader(&before);
  if (width <= 0 || height <= 0) return NULL;

  struct exported *one = by_texture(texture);
  if (one == NULL) {
    one = calloc(1, sizeof *one);
    if (one == NULL) fail("out of memory");
    one->texture = texture;
    one->memory = -1;
    one->next = all;
    all = one;
  }
  if (one->width != (uint32_t)width || one->height != (uint32_t)height) {
    close_memory(one);
    one->width = (uint32_t)width;
    one->height = (uint32_t)height;
  }
  one->format = alpha > 0 ? ARGB8888 : XRGB8888;
  if (one->memory < 0) open_memory(one);
  return one;
}

/* ---- In place of EGL and GL functions ---- */

static EGLDisplay get_display(EGLenum platform, void *native, const void *attributes) {
  (void)platform, (void)native, (void)attributes;
  return eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL);
}

static void *(*get_proc_address)(const char *);

static void *get_our_proc_address(const char *name) {
  int display = strcmp(name, "eglGetPlatformDisplay") == 0 ||
                strcmp(name, "eglGetPlatformDisplayEXT") == 0;
  return display ? (void *)(uintptr_t)get_display : get_proc_address(name);
}

/* A display without surfaces has no configurations for windows. */
static EGLBoolean choose_config(EGLDisplay display, const EGLint *wanted, EGLConfig *configs,
                                EGLint room, EGLint *count) {
  EGLint attributes[64];
  size_t n = 0;
  for (; wanted != NULL && wanted[n] != EGL_NONE && n < 60; n += 2) {
    attributes[n] = wanted[n];
    attributes[n + 1] = wanted[n] == EGL_SURFACE_TYPE ? EGL_PBUFFER_BIT : wanted[n + 1];
  }
  attributes[n] = EGL_NONE;
  return eglChooseConfig(display, attributes, configs, room, count);
}

static const char *query_string(EGLDisplay display, EGLint name) {
  static char text[8192];
  const char *real = eglQueryString(display, name);
  if (name != EGL_EXTENSIONS || display == NULL || real == NULL) return real;
  snprintf(text, sizeof text, "%s EGL_MESA_image_dma_buf_export", real);
  return text;
}

/* An image of a texture is a handle of ours; other images are none of our business. */
struct image {
  struct image *next;
  GLuint texture;
};
static struct image *images;

static EGLImage create_image(EGLDisplay display, EGLContext context, EGLenum target,
                             EGLClientBuffer buffer, const EGLint *attributes) {
  if (target != EGL_GL_TEXTURE_2D)
    return eglCreateImageKHR(display, context, target, buffer, attributes);
  struct image *image = calloc(1, sizeof *image);
  if (image == NULL) fail("out of memory");
  image->texture = (GLuint)(uintptr_t)buffer;
  pthread_mutex_lock(&lock);
  image->next = images;
  images = image;
  pthread_mutex_unlock(&lock);
  return image;
}

static EGLBoolean destroy_image(EGLDisplay display, EGLImage handle) {
  pthread_mutex_lock(&lock);
  struct image **at = &images;
  while (*at != NULL && *at != handle) at = &(*at)->next;
  struct image *ours = *at;
  if (ours != NULL) *at = ours->next;
  pthread_mutex_unlock(&lock);
  free(ours);
  return ours != NULL ? 1 : eglDestroyImageKHR(display, handle);
}

static EGLBoolean export_query(EGLDisplay display, EGLImage handle, int *fourcc, int *planes,
                               uint64_t *modifiers) {
  (void)display;
  pthread_mutex_lock(&lock);
  struct exported *one = export_texture(((struct image *)handle)->texture);
  if (one != NULL && fourcc != NULL) *fourcc = (int)one->format;
  pthread_mutex_unlock(&lock);
  if (planes != NULL) *planes = 1;
  if (modifiers != NULL) *modifiers = 0; /* linear */
  return one != NULL;
}

static EGLBoolean export_image(EGLDisplay display, EGLImage handle, int *fds, EGLint *strides,
                               EGLint *offsets) {
  (void)display;
  pthread_mutex_lock(&lock);
  struct exported *one = export_texture(((struct image *)handle)->texture);
  if (one != NULL) {
    if (fds != NULL) *fds = dup(one->memory);
    if (strides != NULL) *strides = (EGLint)(one->width * 4);
    if (offsets != NULL) *offsets = 0;
  }
  pthread_mutex_unlock(&lock);
  return one != NULL;
}

static void delete_textures(GLsizei count, const GLuint *textures) {
  pthread_mutex_lock(&lock);
  for (GLsizei n = 0; n < count; n++) forget(textures[n]);
  pthread_mutex_unlock(&lock);
  glDeleteTextures(count, textures);
}

/* ---- In place of functions of libgbm and libspice-server ---- */

static int gbm_device;

EXPORT void *gbm_create_device(int fd) {
  (void)fd;
  return &gbm_device;
}

EXPORT void gbm_device_destroy(void *device) {
  (void)device;
}

/* Looks a function of libspice-server up; QEMU has loaded it, though not for everybody to see. */
static void *spice_function(const char *name) {
  void *library = dlopen("libspice-server.so.1", RTLD_NOW | RTLD_NOLOAD);
  void *function = library != NULL ? dlsym(library, name) : NULL;
  if (function == NULL) fail("cannot find libspice-server");
  return function;
}

EXPORT void spice_qxl_gl_scanout(void *display, int fd, uint32_t width, uint32_t height,
                                 uint32_t stride, uint32_t format, int y_0_top) {
  static void (*real)(void *, int, uint32_t, uint32_t, uint32_t, uint32_t, int);
  if (real == NULL) real = spice_function(__func__);
  pthread_mutex_lock(&lock);
  struct exported *one = by_fd(fd);
  show(display, one);
  if (one != NULL) fill(one);
  pthread_mutex_unlock(&lock);
  real(display, fd, width, height, stride, format, y_0_top);
}

EXPORT void spice_qxl_gl_draw_async(void *display, uint32_t x, uint32_t y, uint32_t width,
                                    uint32_t height, uint64_t cookie) {
  static void (*real)(void *, uint32_t, uint32_t, uint32_t, uint32_t, uint64_t);
  if (real == NULL) real = spice_function(__func__);
  pthread_mutex_lock(&lock);
  struct exported *one = shown_on(display);
  if (one != NULL) fill(one);
  pthread_mutex_unlock(&lock);
  real(display, x, y, width, height, cookie);
}

/* ---- Start ---- */

static void replace(void *epoxy, const char *name, void *ours) {
  void **pointer = dlsym(epoxy, name);
  if (pointer == NULL) fail(name);
  *pointer = ours;
}

static int is_qemu(void) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  const char *name = strrchr(path, '/');
  return name != NULL && strncmp(name, "/qemu-system-", 13) == 0;
}

__attribute__((constructor)) static void start(void) {
  if (!is_qemu()) return;
  unsetenv("LD_PRELOAD"); /* not for what QEMU starts */
  setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);

  void *egl = dlopen("libEGL.so.1", RTLD_NOW | RTLD_GLOBAL);
  void *epoxy = dlopen("libepoxy.so.0", RTLD_NOW | RTLD_GLOBAL);
  if (egl == NULL || epoxy == NULL) fail(dlerror());
  *(void **)&get_proc_address = dlsym(egl, "eglGetProcAddress");
  if (get_proc_address == NULL) fail("libEGL has no eglGetProcAddress");
#define FIND(result, name, parameters)                                                             \
  *(void **)&name = dlsym(egl, #name);                                                             \
  if (name == NULL) *(void **)&name = get_proc_address(#name);                                     \
  if (name == NULL) fail("libEGL has no " #name);
  FUNCTIONS(FIND)

  replace(epoxy, "epoxy_eglGetProcAddress", get_our_proc_address);
  replace(epoxy, "epoxy_eglGetPlatformDisplay", get_display);
  replace(epoxy, "epoxy_eglGetPlatformDisplayEXT", get_display);
  replace(epoxy, "epoxy_eglChooseConfig", choose_config);
  replace(epoxy, "epoxy_eglQueryString", query_string);
  replace(epoxy, "epoxy_eglCreateImageKHR", create_image);
  replace(epoxy, "epoxy_eglDestroyImageKHR", destroy_image);
  replace(epoxy, "epoxy_eglExportDMABUFImageQueryMESA", export_query);
  replace(epoxy, "epoxy_eglExportDMABUFImageMESA", export_image);
  replace(epoxy, "epoxy_glDeleteTextures", delete_textures);
}
