/* A stand-in for libEGL and libGLESv2 that draws nothing: it has displays to choose
 * from, and remembers which were asked for. Both libraries are this one file. */
#include "egl_standin_library.h"

#include <string.h>

#include "../../gl_types.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT struct egl_standin_library egl_standin_library;

/* Displays are numbered as they are asked for, from 1. */
static EGLDisplay ask(uint32_t platform, void *native, const EGLint *attributes) {
  struct egl_standin_library *it = &egl_standin_library;
  int i = it->asked++ % STANDIN_DISPLAYS;
  it->platforms[i] = platform;
  it->natives[i] = (intptr_t)native;
  it->angle_types[i] = it->angle_devices[i] = 0;
  for (; attributes && *attributes != EGL_NONE; attributes += 2) {
    if (attributes[0] == EGL_PLATFORM_ANGLE_TYPE) it->angle_types[i] = attributes[1];
    if (attributes[0] == EGL_PLATFORM_ANGLE_DEVICE_TYPE) it->angle_devices[i] = attributes[1];
  }
  return (EGLDisplay)(intptr_t)(i + 1);
}

static EGLDisplay get_platform_display(EGLenum platform, EGLNative native,
                                       const EGLint *attributes) {
  return ask(platform, native, attributes);
}

static EGLDisplay get_display(EGLNative native) {
  return ask(0, native, NULL);
}

static EGLBoolean initialize(EGLDisplay display, EGLint *major, EGLint *minor) {
  const struct egl_standin_library *it = &egl_standin_library;
  (void)major;
  (void)minor;
  return (intptr_t)display > it->broken;
}

static const char *query_string(EGLDisplay display, EGLint name) {
  const struct egl_standin_library *it = &egl_standin_library;
  if (name == EGL_VENDOR) return it->vendor;
  if (name != EGL_EXTENSIONS) return NULL;
  return display ? it->extensions : it->client_extensions;
}

static EGLBoolean query_devices(EGLint cap, EGLDevice *devices, EGLint *count) {
  for (*count = 0; *count < egl_standin_library.devices && *count < cap; ++*count) {
    devices[*count] = (EGLDevice)(intptr_t)(*count + 1);
  }
  return 1;
}

static const char *query_device(EGLDevice device, EGLint name) {
  const char *node = egl_standin_library.nodes[(intptr_t)device - 1];
  if (name == EGL_EXTENSIONS) return node ? "EGL_EXT_device_drm_render_node" : "";
  return name == EGL_DRM_RENDER_NODE_FILE ? node : NULL;
}

static const uint8_t *get_string(GLenum name) {
  return name == GL_RENDERER ? (const uint8_t *)egl_standin_library.renderer : NULL;
}

static EGLBoolean succeed(void) {
  return 1;
}

static EGLContext create_context(EGLDisplay display, EGLConfig config, EGLContext share,
                                 const EGLint *attributes) {
  (void)display;
  (void)config;
  (void)share;
  int version = attributes[1]; /* EGL_CONTEXT_CLIENT_VERSION comes first */
  if (!(egl_standin_library.versions & 1 << version)) return NULL;
  egl_standin_library.version = version;
  return &egl_standin_library;
}

/* What a test of displays does not look at. */
static EGLBoolean fail(void) {
  return 0;
}

typedef void (*Call)(void);

static const struct {
  const char *name;
  Call call;
} calls[] = {
  {"eglBindAPI", (Call)succeed},
  {"eglCreateContext", (Call)create_context},
  {"eglGetDisplay", (Call)get_display},
  {"eglGetPlatformDisplayEXT", (Call)get_platform_display},
  {"eglInitialize", (Call)initialize},
  {"eglMakeCurrent", (Call)succeed},
  {"eglQueryDeviceStringEXT", (Call)query_device},
  {"eglQueryDevicesEXT", (Call)query_devices},
  {"eglQueryString", (Call)query_string},
  {"glGetString", (Call)get_string},
};

EXPORT Call eglGetProcAddress(const char *name);

EXPORT Call eglGetProcAddress(const char *name) {
  if (egl_standin_library.missing && strcmp(name, egl_standin_library.missing) == 0) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
    if (strcmp(calls[i].name, name) == 0) return calls[i].call;
  }
  return (Call)fail;
}
