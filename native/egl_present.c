/* Showing the picture in a window. */
#include "egl_context.h"

#include <errno.h>

enum { CONFIGS = 64 };

void egl_drop_window(struct utm_egl *egl) {
  if (!egl->window) return;
  egl->gl.eglDestroySurface(egl->display, egl->window);
  egl->window = NULL;
  egl->native_window = NULL;
  egl->window_interval = -1;
}

static void drop_window(struct utm_egl *egl) {
  if (egl->window) egl->gl.eglMakeCurrent(egl->display, NULL, NULL, egl->context);
  egl_drop_window(egl);
}

/* Makes a surface of the window: with the context's configuration if the window's
 * own format goes with it, else with the first that does. */
static EGLSurface surface_of(struct utm_egl *egl, void *native_window) {
  const struct egl_calls *gl = &egl->gl;
  EGLSurface surface =
      gl->eglCreateWindowSurface(egl->display, egl->config, native_window, NULL);
  if (surface) return surface;
  const EGLint wanted[] = {
    EGL_SURFACE_TYPE, EGL_WINDOW_BIT,
    EGL_RENDERABLE_TYPE, egl->es == 3 ? EGL_OPENGL_ES3_BIT : EGL_OPENGL_ES2_BIT,
    EGL_RED_SIZE, 8, EGL_GREEN_SIZE, 8, EGL_BLUE_SIZE, 8, EGL_NONE,
  };
  EGLConfig configs[CONFIGS];
  EGLint count = 0;
  if (!gl->eglChooseConfig(egl->display, wanted, configs, CONFIGS, &count)) return NULL;
  for (EGLint i = 0; i < count && !surface; i++) {
    surface = gl->eglCreateWindowSurface(egl->display, configs[i], native_window, NULL);
  }
  return surface;
}

static int32_t fit_window(struct utm_egl *egl, void *native_window) {
  const struct egl_calls *gl = &egl->gl;
  if (egl->window && egl->native_window == native_window) return 0;
  drop_window(egl);
  EGLSurface surface = surface_of(egl, native_window);
  if (!surface) return gl->eglGetError() == EGL_BAD_ALLOC ? -ENOMEM : -EINVAL;
  egl->window = surface;
  egl->native_window = native_window;
  if (gl->eglMakeCurrent(egl->display, surface, surface, egl->context)) return 0;
  drop_window(egl);
  return -EIO;
}

/* The largest area of the picture's shape in the middle of the window. */
static struct egl_rect centred(const struct egl_texture *picture, uint32_t width,
                               uint32_t height) {
  uint64_t by_width = (uint64_t)width * picture->height;
  uint64_t by_height = (uint64_t)height * picture->width;
  struct egl_rect area = {0, 0, width, height};
  if (by_width < by_height) {
    area.height = (uint32_t)(by_width / picture->width);
  } else {
    area.width = (uint32_t)(by_height / picture->height);
  }
  if (area.width == 0) area.width = 1;
  if (area.height == 0) area.height = 1;
  area.x = (width - area.width) / 2;
  area.y = (height - area.height) / 2;
  return area;
}

static void set_filter(struct utm_egl *egl, GLint filter) {
  const struct egl_calls *gl = &egl->gl;
  GLenum target = egl_texture_target(egl->picture.texture.sampler);
  gl->glBindTexture(target, egl->picture.texture.name);
  gl->glTexParameteri(target, GL_TEXTURE_MIN_FILTER, filter);
  gl->glTexParameteri(target, GL_TEXTURE_MAG_FILTER, filter);
}

/* Draws into the window's back buffer. */
static int32_t draw_window(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  const struct egl_texture *picture = &egl->picture.texture;
  EGLint width = 0, height = 0;
  if (!gl->eglQuerySurface(egl->display, egl->window, EGL_WIDTH, &width) ||
      !gl->eglQuerySurface(egl->display, egl->window, EGL_HEIGHT, &height) || width <= 0 ||
      height <= 0) {
    return -EIO;
  }
  gl->glBindFramebuffer(GL_FRAMEBUFFER, 0);
  gl->glViewport(0, 0, width, height);
  gl->glClearColor(0, 0, 0, 1);
  gl->glClear(GL_COLOR_BUFFER_BIT);
  if (!picture->name) return 0; /* a black window, until there is one */
  const struct egl_rect all = {0, 0, picture->width, picture->height};
  const struct egl_rect area = centred(picture, (uint32_t)width, (uint32_t)height);
  /* A pixel that becomes 2 x 2 or 3 x 3 stays sharp; any other scale is smoothed. */
  bool sharp = area.width % picture->width == 0 && area.height % picture->height == 0;
  if (!sharp) set_filter(egl, GL_LINEAR);
  int32_t result = egl_draw(egl, picture, &all, &area, true);
  if (!sharp) set_filter(egl, GL_NEAREST);
  return result;
}

int32_t utm_shim_egl_present(struct utm_egl *egl, void *native_window, int32_t interval) {
  if (!egl || interval < 0) return -EINVAL;
  if (!egl->windowed) return -ENOTSUP;
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  if (!native_window) {
    drop_window(egl);
    return 0;
  }
  const struct egl_calls *gl = &egl->gl;
  result = fit_window(egl, native_window);
  if (result < 0) return result;
  if (egl->window_interval != interval) {
    gl->eglSwapInterval(egl->display, interval); /* what a display lacks is not waited for */
    egl->window_interval = interval;
  }
  result = draw_window(egl);
  if (result == 0 && !gl->eglSwapBuffers(egl->display, egl->window)) result = -EIO;
  int32_t left = egl_leave(egl);
  return result < 0 ? result : left;
}
