/* Which display on Linux: the GPU of a render node, a software renderer, or the
 * one that a window system has. */
#include "egl_context.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

static const struct egl_library mesa = {"libEGL.so.1", "libGLESv2.so.2"};
static const struct egl_library angle = {"libEGL.so", "libGLESv2.so"};

enum { DEVICES = 16, ATTRIBUTES = 9 };

static bool is_same_device(const char *a, const char *b) {
  struct stat one, other;
  if (strcmp(a, b) == 0) return true;
  return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISCHR(one.st_mode) &&
         S_ISCHR(other.st_mode) && one.st_rdev == other.st_rdev;
}

static bool initialise(const struct egl_calls *calls, EGLDisplay display) {
  return display && calls->eglInitialize(display, NULL, NULL);
}

/* The display of a GPU: that of `render_node`, or of the first that has one. */
static EGLDisplay open_device(const struct egl_calls *calls, const char *extensions,
                              const char *render_node) {
  EGLDevice devices[DEVICES];
  EGLint count = 0;
  if (!egl_lists(extensions, "EGL_EXT_platform_device") || !calls->eglQueryDevicesEXT ||
      !calls->eglQueryDeviceStringEXT ||
      !calls->eglQueryDevicesEXT(DEVICES, devices, &count)) {
    return NULL;
  }
  for (EGLint i = 0; i < count; i++) {
    const char *can = calls->eglQueryDeviceStringEXT(devices[i], EGL_EXTENSIONS);
    if (!egl_lists(can, "EGL_EXT_device_drm_render_node")) continue;
    const char *node = calls->eglQueryDeviceStringEXT(devices[i], EGL_DRM_RENDER_NODE_FILE);
    if (!node || (render_node && !is_same_device(node, render_node))) continue;
    EGLDisplay display =
        calls->eglGetPlatformDisplayEXT(EGL_PLATFORM_DEVICE, devices[i], NULL);
    if (initialise(calls, display)) return display;
  }
  return NULL;
}

/* Mesa, or whatever else the system's libEGL leads to. */
static EGLDisplay open_system(const struct egl_calls *calls, const char *extensions,
                              const struct egl_wish *wish) {
  EGLDisplay display = NULL;
  if (calls->eglGetPlatformDisplayEXT) {
    display = open_device(calls, extensions, wish->render_node);
    if (display) return display;
    if (egl_lists(extensions, "EGL_MESA_platform_surfaceless")) {
      display = calls->eglGetPlatformDisplayEXT(EGL_PLATFORM_SURFACELESS, NULL, NULL);
      if (initialise(calls, display)) return display;
    }
  }
  display = calls->eglGetDisplay(NULL);
  return initialise(calls, display) ? display : NULL;
}

/* ANGLE: on Vulkan, on the system's OpenGL ES, else on its own software renderer. It
 * would look for an X server by itself, so it is told that there is none. */
static EGLDisplay open_angle(const struct egl_calls *calls, const char *extensions) {
  static const EGLint tries[][ATTRIBUTES] = {
    {EGL_PLATFORM_ANGLE_TYPE, EGL_PLATFORM_ANGLE_TYPE_VULKAN, EGL_PLATFORM_ANGLE_DEVICE_TYPE,
     EGL_PLATFORM_ANGLE_DEVICE_TYPE_HARDWARE, EGL_PLATFORM_ANGLE_NATIVE_PLATFORM_TYPE,
     EGL_PLATFORM_SURFACELESS, EGL_NONE},
    {EGL_PLATFORM_ANGLE_TYPE, EGL_PLATFORM_ANGLE_TYPE_OPENGLES,
     EGL_PLATFORM_ANGLE_NATIVE_PLATFORM_TYPE, EGL_PLATFORM_SURFACELESS, EGL_NONE},
    {EGL_PLATFORM_ANGLE_TYPE, EGL_PLATFORM_ANGLE_TYPE_VULKAN, EGL_PLATFORM_ANGLE_DEVICE_TYPE,
     EGL_PLATFORM_ANGLE_DEVICE_TYPE_SWIFTSHADER, EGL_NONE},
  };
  if (!egl_lists(extensions, "EGL_ANGLE_platform_angle") || !calls->eglGetPlatformDisplayEXT) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
    EGLDisplay display = calls->eglGetPlatformDisplayEXT(EGL_PLATFORM_ANGLE, NULL, tries[i]);
    if (initialise(calls, display)) return display;
  }
  return NULL;
}

/* The display that a window is on. */
static EGLDisplay open_window_system(const struct egl_calls *calls,
                                     const struct egl_wish *wish) {
  bool x11 = wish->window_system == UTM_WINDOW_X11;
  if (!calls->eglGetPlatformDisplayEXT) return NULL;
  EGLDisplay display = calls->eglGetPlatformDisplayEXT(
      x11 ? EGL_PLATFORM_X11 : EGL_PLATFORM_WAYLAND, wish->native_display, NULL);
  return initialise(calls, display) ? display : NULL;
}

static int32_t open_with(const struct egl_library *library, const struct egl_wish *wish,
                         struct egl_calls *calls, EGLDisplay *display) {
  int32_t result = egl_load(library, wish->folder, calls);
  if (result < 0) return result;
  const char *extensions = calls->eglQueryString(NULL, EGL_EXTENSIONS);
  if (wish->window_system != UTM_WINDOW_NONE) {
    *display = open_window_system(calls, wish);
  } else if (library == &angle) {
    *display = open_angle(calls, extensions);
  } else {
    *display = open_system(calls, extensions, wish);
  }
  return *display ? 0 : -ENODEV;
}

int32_t egl_open_display(const struct egl_wish *wish, struct egl_calls *calls,
                         EGLDisplay *display) {
  if (wish->window_system == UTM_WINDOW_COCOA) return -ENOTSUP;
  int32_t result = -ENOENT;
  if (wish->api != UTM_EGL_ANGLE) result = open_with(&mesa, wish, calls, display);
  if (result < 0 && wish->api != UTM_EGL_MESA) {
    int32_t second = open_with(&angle, wish, calls, display);
    if (second == 0 || wish->api == UTM_EGL_ANGLE) result = second;
  }
  return result;
}

void egl_wait_for_writer(int fd, int32_t timeout_ms) {
  /* A dmabuf is readable once the fences of its writers have passed. */
  struct pollfd writer = {.fd = fd, .events = POLLIN};
  while (poll(&writer, 1, timeout_ms) < 0 && errno == EINTR) continue;
}
