/* Which display on macOS: ANGLE's, on Metal; there is no other EGL. */
#include "egl_context.h"

#include <errno.h>

/* As files beside each other, and as UTM.app and others bundle them. */
static const struct egl_library angles[] = {
  {"libEGL.dylib", "libGLESv2.dylib"},
  {"libEGL.framework/libEGL", "libGLESv2.framework/libGLESv2"},
};

static EGLDisplay open_angle(const struct egl_calls *calls) {
  static const EGLint types[] = {EGL_PLATFORM_ANGLE_TYPE_METAL, EGL_PLATFORM_ANGLE_TYPE_OPENGL};
  const char *extensions = calls->eglQueryString(NULL, EGL_EXTENSIONS);
  if (!egl_lists(extensions, "EGL_ANGLE_platform_angle") || !calls->eglGetPlatformDisplayEXT) {
    return NULL;
  }
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
    const EGLint attributes[] = {EGL_PLATFORM_ANGLE_TYPE, types[i], EGL_NONE};
    EGLDisplay display =
        calls->eglGetPlatformDisplayEXT(EGL_PLATFORM_ANGLE, NULL, attributes);
    if (display && calls->eglInitialize(display, NULL, NULL)) return display;
  }
  return NULL;
}

int32_t egl_open_display(const struct egl_wish *wish, struct egl_calls *calls,
                         EGLDisplay *display) {
  if (wish->api == UTM_EGL_MESA) return -ENOTSUP;
  if (wish->window_system != UTM_WINDOW_NONE && wish->window_system != UTM_WINDOW_COCOA) {
    return -ENOTSUP;
  }
  int32_t result = -ENOENT;
  /* macOS has none of its own, and by a name alone dyld would take one out of whichever
   * folder the user is in. */
  if (!wish->folder) return result;
  for (size_t i = 0; i < sizeof angles / sizeof angles[0] && result < 0; i++) {
    int32_t loaded = egl_load(&angles[i], wish->folder, calls);
    if (loaded == -ENOENT) continue;
    *display = loaded < 0 ? NULL : open_angle(calls);
    result = loaded < 0 ? loaded : *display ? 0 : -ENODEV;
  }
  return result;
}

void egl_wait_for_writer(int fd, int32_t timeout_ms) {
  (void)fd; /* no dmabufs here; an IOSurface orders reads after writes by itself */
  (void)timeout_ms;
}
