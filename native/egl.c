/* Opening, describing and closing a context, and getting over its loss. */
#include "egl_context.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scanout.h"

static bool has_gl(const struct utm_egl *egl, const char *extension) {
  return egl_lists((const char *)egl->gl.glGetString(GL_EXTENSIONS), extension);
}

static bool has_egl(const struct utm_egl *egl, const char *extension) {
  return egl_lists(egl->gl.eglQueryString(egl->display, EGL_EXTENSIONS), extension);
}

/* The configuration of windows and pbuffers; a context without a surface may do
 * with none. */
static bool choose_config(struct utm_egl *egl, EGLint surfaces, EGLint version) {
  const EGLint wanted[] = {
    EGL_SURFACE_TYPE, surfaces, EGL_RENDERABLE_TYPE,
    version == 3 ? EGL_OPENGL_ES3_BIT : EGL_OPENGL_ES2_BIT,
    EGL_RED_SIZE, 8, EGL_GREEN_SIZE, 8, EGL_BLUE_SIZE, 8, EGL_NONE,
  };
  EGLint count = 0;
  egl->config = NULL;
  return (egl->gl.eglChooseConfig(egl->display, wanted, &egl->config, 1, &count) &&
          count > 0) ||
         (surfaces == EGL_PBUFFER_BIT && has_egl(egl, "EGL_KHR_no_config_context"));
}

static EGLContext create_context(struct utm_egl *egl, EGLint surfaces) {
  bool robust = has_egl(egl, "EGL_EXT_create_context_robustness");
  for (EGLint version = 3; version >= 2; version--) {
    if (!choose_config(egl, surfaces, version)) continue;
    const EGLint attributes[] = {
      EGL_CONTEXT_CLIENT_VERSION, version,
      robust ? EGL_CONTEXT_OPENGL_RESET_NOTIFICATION_STRATEGY : EGL_NONE,
      EGL_LOSE_CONTEXT_ON_RESET, EGL_NONE,
    };
    EGLContext context =
        egl->gl.eglCreateContext(egl->display, egl->config, NULL, attributes);
    if (context) {
      egl->es = version;
      egl->resets = robust && egl->gl.glGetGraphicsResetStatusEXT;
      return context;
    }
  }
  return NULL;
}

/* Whether a framebuffer can be made of a BGRA texture; a library may have such
 * textures to sample only. */
static bool can_draw_bgra(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  GLuint texture = egl_make_texture(egl, SAMPLER_2D), framebuffer = 0;
  gl->glTexImage2D(GL_TEXTURE_2D, 0, GL_BGRA, 4, 4, 0, GL_BGRA, GL_UNSIGNED_BYTE, NULL);
  gl->glGenFramebuffers(1, &framebuffer);
  gl->glBindFramebuffer(GL_FRAMEBUFFER, framebuffer);
  gl->glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture, 0);
  bool complete = gl->glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE;
  gl->glDeleteFramebuffers(1, &framebuffer);
  gl->glDeleteTextures(1, &texture);
  return gl->glGetError() == GL_NO_ERROR && complete;
}

/* Mesa's own drivers have the kernel order the use of a dmabuf between processes. ANGLE on
 * Vulkan and NVIDIA's driver do not, and Mesa's zink, on Vulkan, only where that does. */
static bool has_implicit_sync(const struct utm_egl *egl) {
  const char *vendor = egl->gl.eglQueryString(egl->display, EGL_VENDOR);
  const char *renderer = (const char *)egl->gl.glGetString(GL_RENDERER);
  bool zink = renderer && strncmp(renderer, "zink", strlen("zink")) == 0;
  return vendor && strstr(vendor, "Mesa") && !zink;
}

static void look_around(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  bool image = has_gl(egl, "GL_OES_EGL_image") && gl->eglCreateImageKHR &&
               gl->eglDestroyImageKHR && gl->glEGLImageTargetTexture2DOES &&
               (has_egl(egl, "EGL_KHR_image_base") || has_egl(egl, "EGL_KHR_image"));

  egl->images = image && has_egl(egl, "EGL_EXT_image_dma_buf_import");
  egl->external = image && has_gl(egl, "GL_OES_EGL_image_external");
  egl->modifiers = has_egl(egl, "EGL_EXT_image_dma_buf_import_modifiers") &&
                   gl->eglQueryDmaBufModifiersEXT;
  egl->image_export = image && has_egl(egl, "EGL_MESA_image_dma_buf_export") &&
                      has_egl(egl, "EGL_KHR_gl_texture_2D_image") &&
                      gl->eglExportDMABUFImageQueryMESA && gl->eglExportDMABUFImageMESA;
  egl->surfaces = has_egl(egl, "EGL_ANGLE_iosurface_client_buffer") && egl->config;
  egl->fences = has_egl(egl, "EGL_KHR_fence_sync") && gl->eglCreateSyncKHR &&
                gl->eglDestroySyncKHR && gl->eglClientWaitSyncKHR;
  egl->implicit_sync = has_implicit_sync(egl);
  egl->row_lengths = egl->es >= 3 || has_gl(egl, "GL_EXT_unpack_subimage");
  egl->pack_lengths = egl->es >= 3 || has_gl(egl, "GL_NV_pack_subimage");
  egl->bgra = has_gl(egl, "GL_EXT_texture_format_BGRA8888") && can_draw_bgra(egl);
  egl->read_bgra = has_gl(egl, "GL_EXT_read_format_bgra");
  gl->glGetIntegerv(GL_MAX_TEXTURE_SIZE, &egl->max_size);
  gl->glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
  gl->glPixelStorei(GL_PACK_ALIGNMENT, 1);
}

static int32_t make_context(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  if (!has_egl(egl, "EGL_KHR_surfaceless_context")) return -ENOTSUP;
  if (!gl->eglBindAPI(EGL_OPENGL_ES_API)) return -ENOTSUP;
  egl->context = create_context(egl, egl->windowed ? EGL_WINDOW_BIT : EGL_PBUFFER_BIT);
  if (!egl->context) return -EIO;
  if (!gl->eglMakeCurrent(egl->display, NULL, NULL, egl->context)) {
    gl->eglDestroyContext(egl->display, egl->context);
    egl->context = NULL;
    return -EIO;
  }
  look_around(egl);
  return 0;
}

/* Frees what the context has, and the context. What it had is gone by itself where
 * it was lost, but not what belongs to the display: images and surfaces. */
static void drop_context(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  bool current = egl->context && gl->eglGetCurrentContext() == egl->context;
  /* Names mean something else in another context of this thread: none, and the calls
   * do nothing. */
  if (!current) gl->eglMakeCurrent(egl->display, NULL, NULL, NULL);
  egl_release_source(egl);
  egl_drop_images(egl);
  egl_drop_picture(egl);
  for (int i = 0; i < SAMPLERS; i++) gl->glDeleteProgram(egl->programs[i].name);
  gl->glDeleteBuffers(1, &egl->vertices);
  egl->vertices = 0;
  memset(egl->programs, 0, sizeof egl->programs);
  if (current) gl->eglMakeCurrent(egl->display, NULL, NULL, NULL);
  egl_drop_window(egl); /* made anew with the next context's configuration */
  if (egl->context) gl->eglDestroyContext(egl->display, egl->context);
  egl->context = NULL;
}

int32_t egl_enter(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  if (egl->context && gl->eglGetCurrentContext() == egl->context) return 0;
  if (egl->context &&
      gl->eglMakeCurrent(egl->display, egl->window, egl->window, egl->context)) {
    return 0;
  }
  drop_context(egl);
  int32_t result = make_context(egl);
  if (result == 0) egl_restore_source(egl);
  return result;
}

int32_t egl_leave(struct utm_egl *egl) {
  enum { ENOUGH = 16 }; /* a lost context may have no end of errors */
  const struct egl_calls *gl = &egl->gl;
  GLenum first = gl->glGetError();
  GLenum error = first;
  for (int i = 0; error != GL_NO_ERROR && error != GL_CONTEXT_LOST && i < ENOUGH; i++) {
    error = gl->glGetError();
  }
  bool lost = error == GL_CONTEXT_LOST ||
              (egl->resets && gl->glGetGraphicsResetStatusEXT() != GL_NO_ERROR);
  if (lost) {
    drop_context(egl);
    return -EIO;
  }
  return first == GL_NO_ERROR ? 0 : first == GL_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

static int32_t open_egl(const struct egl_wish *wish, struct utm_egl **out) {
  struct utm_egl *egl = calloc(1, sizeof *egl);
  if (!egl) return -ENOMEM;
  egl->windowed = wish->window_system != UTM_WINDOW_NONE;
  egl->window_interval = -1;
  egl->picture.memory = -1;
  for (int i = 0; i < IMAGES; i++) egl->kept[i].fd = -1;
  int32_t result = egl_open_display(wish, &egl->gl, &egl->display);
  if (result == 0) result = make_context(egl);
  if (result < 0) {
    free(egl);
    return result;
  }
  *out = egl;
  return 0;
}

int32_t utm_shim_egl_open(int32_t api, const char *library_folder, const char *render_node,
                          struct utm_egl **out) {
  if (!out) return -EINVAL;
  *out = NULL;
  if (api < UTM_EGL_AUTO || api > UTM_EGL_ANGLE) return -EINVAL;
  const struct egl_wish wish = {
    .api = api,
    .folder = library_folder,
    .render_node = render_node,
    .window_system = UTM_WINDOW_NONE,
  };
  return open_egl(&wish, out);
}

int32_t utm_shim_egl_open_window_system(int32_t api, const char *library_folder,
                                        int32_t window_system, void *native_display,
                                        struct utm_egl **out) {
  if (!out) return -EINVAL;
  *out = NULL;
  if (api < UTM_EGL_AUTO || api > UTM_EGL_ANGLE) return -EINVAL;
  if (window_system < UTM_WINDOW_X11 || window_system > UTM_WINDOW_COCOA) return -EINVAL;
  const struct egl_wish wish = {
    .api = api,
    .folder = library_folder,
    .window_system = window_system,
    .native_display = native_display,
  };
  return open_egl(&wish, out);
}

int32_t utm_shim_egl_describe(struct utm_egl *egl, char *text, uint32_t cap) {
  if (!egl || !text || cap == 0) return -EINVAL;
  text[0] = '\0';
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  const struct egl_calls *gl = &egl->gl;
  const char *words[] = {
    gl->eglQueryString(egl->display, EGL_VENDOR),
    (const char *)gl->glGetString(GL_RENDERER),
    (const char *)gl->glGetString(GL_VERSION),
  };
  int length = snprintf(text, cap, "%s; %s; %s", words[0] ? words[0] : "unknown vendor",
                        words[1] ? words[1] : "unknown renderer",
                        words[2] ? words[2] : "unknown version");
  if (length < 0) return -EIO;
  return (uint32_t)length < cap ? length : (int32_t)cap - 1;
}

int32_t utm_shim_egl_abilities(struct utm_egl *egl) {
  if (!egl) return -EINVAL;
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  return (egl->images ? UTM_EGL_IMPORTS_DMABUF : 0) |
         (egl->surfaces ? UTM_EGL_IMPORTS_IOSURFACE : 0) |
         (egl->image_export ? UTM_EGL_EXPORTS_DMABUF : 0) |
         (egl->implicit_sync ? UTM_EGL_IMPLICIT_SYNC : 0);
}

int32_t utm_shim_egl_close(struct utm_egl *egl) {
  if (!egl) return -EINVAL;
  const struct egl_calls *gl = &egl->gl;
  /* Without a window, and whether or not it is lost: freeing what is not there any
   * more does nothing. */
  if (egl->context) gl->eglMakeCurrent(egl->display, NULL, NULL, egl->context);
  drop_context(egl);
  egl_drop_source(egl);
  /* The display stays: every other context of the process, and a toolkit's, may be
   * on the same one, and eglTerminate would end them all. */
  gl->eglReleaseThread();
  free(egl->converted);
  free(egl);
  return 0;
}
