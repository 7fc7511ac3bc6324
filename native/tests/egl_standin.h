/* A stand-in for what no machine without a GPU has: EGL that imports and exports
 * dmabufs. It takes the place of a few calls in a context's table; drawing is that of
 * the real library, from textures that are filled with the memory behind a "dmabuf"
 * before every draw.
 *
 * Each program includes it once. */
#ifndef UTM_TESTS_EGL_STANDIN_H
#define UTM_TESTS_EGL_STANDIN_H

#include "egl_rig.h"

enum { STANDIN_IMAGES = 16, ATTRIBUTES_MAX = 24 };

struct standin_image {
  EGLImage image; /* the real one, of `texture` */
  GLuint texture;
  const uint8_t *bytes;
  size_t size;
  EGLint width, height, stride;
  GLenum format;
};

static struct {
  struct egl_calls real;
  struct standin_image images[STANDIN_IMAGES];
  GLuint bound_2d;

  /* What was asked. */
  int imports, destroyed_images, targets, waits, draws;
  EGLint attributes[ATTRIBUTES_MAX]; /* of the last import, with EGL_NONE */

  /* What is answered. */
  EGLint refuse_import;  /* an EGL error */
  bool external_only, no_2d_images, time_out, refuse_export;
  EGLint export_planes, export_offset;
  EGLint egl_error;      /* of the last call; 0: ask the real one */
  GLenum gl_error;
  GLenum reset;          /* what glGetGraphicsResetStatus says, once */
} standin;

/* The value after `name` in the attributes seen; -1 if it is not among them. */
static inline EGLint seen(EGLint name) {
  for (int i = 0; i + 1 < ATTRIBUTES_MAX && standin.attributes[i] != EGL_NONE; i += 2) {
    if (standin.attributes[i] == name) return standin.attributes[i + 1];
  }
  return -1;
}

static inline void see(const EGLint *attributes) {
  int i = 0;
  for (; i < ATTRIBUTES_MAX - 1 && attributes[i] != EGL_NONE; i++) {
    standin.attributes[i] = attributes[i];
  }
  standin.attributes[i] = EGL_NONE;
}

static EGLint standin_egl_error(void) {
  EGLint error = standin.egl_error ? standin.egl_error : standin.real.eglGetError();
  standin.egl_error = 0;
  return error;
}

static GLenum standin_gl_error(void) {
  GLenum error = standin.gl_error ? standin.gl_error : standin.real.glGetError();
  standin.gl_error = 0;
  return error;
}

static GLenum standin_reset_status(void) {
  GLenum reset = standin.reset;
  standin.reset = 0;
  return reset;
}

static void standin_bind_texture(GLenum target, GLuint texture) {
  if (target == GL_TEXTURE_2D) standin.bound_2d = texture;
  standin.real.glBindTexture(target, texture);
}

/* -- dmabufs -------------------------------------------------------------- */

static void fill(const struct standin_image *image) {
  const struct egl_calls *real = &standin.real;
  real->glBindTexture(GL_TEXTURE_2D, image->texture);
  for (EGLint y = 0; y < image->height; y++) {
    real->glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    real->glTexSubImage2D(GL_TEXTURE_2D, 0, 0, y, image->width, 1, image->format,
                          GL_UNSIGNED_BYTE, image->bytes + (size_t)y * (size_t)image->stride);
  }
  real->glBindTexture(GL_TEXTURE_2D, standin.bound_2d);
}

static EGLImage refused(EGLint error) {
  standin.egl_error = error;
  return NULL;
}

static EGLImage standin_create_image(EGLDisplay display, EGLContext context, EGLenum target,
                                     void *buffer, const EGLint *attributes) {
  const struct egl_calls *real = &standin.real;
  if (target != EGL_LINUX_DMA_BUF) {
    return real->eglCreateImageKHR(display, context, target, buffer, attributes);
  }
  standin.imports++;
  see(attributes);
  if (standin.refuse_import) return refused(standin.refuse_import);
  struct standin_image *image = standin.images;
  while (image < standin.images + STANDIN_IMAGES && image->image) image++;
  require(image < standin.images + STANDIN_IMAGES, "too many images");

  EGLint fourcc = seen(EGL_LINUX_DRM_FOURCC);
  bool rgba = fourcc == (EGLint)formats[2] || fourcc == (EGLint)formats[3];
  image->width = seen(EGL_WIDTH);
  image->height = seen(EGL_HEIGHT);
  image->stride = seen(EGL_DMA_BUF_PLANE0_PITCH);
  image->format = rgba ? GL_RGBA : GL_BGRA;
  image->size = (size_t)image->stride * (size_t)image->height;
  image->bytes = mmap(NULL, image->size, PROT_READ, MAP_SHARED, seen(EGL_DMA_BUF_PLANE0_FD), 0);
  if (image->bytes == MAP_FAILED) return refused(EGL_BAD_ACCESS);
  real->glGenTextures(1, &image->texture);
  real->glBindTexture(GL_TEXTURE_2D, image->texture);
  real->glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
  real->glTexImage2D(GL_TEXTURE_2D, 0, (GLint)image->format, image->width, image->height, 0,
                     image->format, GL_UNSIGNED_BYTE, NULL);
  image->image = real->eglCreateImageKHR(display, real->eglGetCurrentContext(),
                                         EGL_GL_TEXTURE_2D,
                                         (void *)(uintptr_t)image->texture, NULL);
  require(image->image != NULL, "image of a texture");
  real->glBindTexture(GL_TEXTURE_2D, standin.bound_2d);
  return image->image;
}

static EGLBoolean standin_destroy_image(EGLDisplay display, EGLImage gone) {
  for (int i = 0; i < STANDIN_IMAGES; i++) {
    struct standin_image *image = &standin.images[i];
    if (image->image != gone) continue;
    standin.destroyed_images++;
    standin.real.glDeleteTextures(1, &image->texture);
    munmap((void *)(uintptr_t)image->bytes, image->size);
    *image = (struct standin_image){0};
  }
  return standin.real.eglDestroyImageKHR(display, gone);
}

static EGLBoolean standin_query_modifiers(EGLDisplay display, EGLint fourcc, EGLint cap,
                                          uint64_t *modifiers, EGLBoolean *external,
                                          EGLint *count) {
  (void)display;
  (void)fourcc;
  *count = 2;
  for (EGLint i = 0; i < 2 && i < cap; i++) {
    modifiers[i] = (uint64_t)i;
    external[i] = standin.external_only;
  }
  return 1;
}

static void standin_image_target(GLenum target, EGLImage image) {
  standin.targets++;
  if (target == GL_TEXTURE_2D && standin.no_2d_images) {
    standin.gl_error = 0x0502; /* GL_INVALID_OPERATION */
    return;
  }
  standin.real.glEGLImageTargetTexture2DOES(target, image);
}

static void standin_draw_arrays(GLenum mode, GLint first, GLsizei count) {
  standin.draws++;
  for (int i = 0; i < STANDIN_IMAGES; i++) {
    if (standin.images[i].image) fill(&standin.images[i]);
  }
  standin.real.glDrawArrays(mode, first, count);
}

static EGLint standin_client_wait(EGLDisplay display, EGLSync sync, EGLint flags, uint64_t ns) {
  standin.waits++;
  CHECK_EQUAL(flags, EGL_SYNC_FLUSH_COMMANDS_BIT);
  CHECK_EQUAL(ns, 500 * 1000 * 1000);
  EGLint state = standin.real.eglClientWaitSyncKHR(display, sync, flags, 10 * ns);
  return standin.time_out ? EGL_TIMEOUT_EXPIRED : state;
}

static EGLBoolean standin_export_query(EGLDisplay display, EGLImage image, int *fourcc,
                                       int *planes, uint64_t *modifiers) {
  (void)display;
  (void)image;
  *fourcc = (int)formats[1];
  *planes = standin.export_planes;
  for (EGLint i = 0; i < standin.export_planes; i++) modifiers[i] = 0;
  return 1;
}

static EGLBoolean standin_export(EGLDisplay display, EGLImage image, int *fds,
                                 EGLint *strides, EGLint *offsets) {
  (void)display;
  (void)image;
  if (standin.refuse_export) return 0;
  fds[0] = utm_shim_memory_create(4096);
  strides[0] = 4096;
  offsets[0] = standin.export_offset;
  return 1;
}

/* Opens a context that has a GPU's abilities through the stand-in. */
static inline struct utm_egl *open_standin(void) {
  struct utm_egl *egl = open_egl_or_die();
  memset(&standin, 0, sizeof standin);
  standin.real = egl->gl;
  standin.export_planes = 1;
  egl->images = egl->modifiers = egl->external = egl->implicit_sync = true;
  egl->image_export = egl->surfaces = false;
  egl->gl.eglGetError = standin_egl_error;
  egl->gl.glGetError = standin_gl_error;
  egl->gl.glGetGraphicsResetStatusEXT = standin_reset_status;
  egl->gl.glBindTexture = standin_bind_texture;
  egl->gl.eglCreateImageKHR = standin_create_image;
  egl->gl.eglDestroyImageKHR = standin_destroy_image;
  egl->gl.eglQueryDmaBufModifiersEXT = standin_query_modifiers;
  egl->gl.glEGLImageTargetTexture2DOES = standin_image_target;
  egl->gl.glDrawArrays = standin_draw_arrays;
  egl->gl.eglClientWaitSyncKHR = standin_client_wait;
  egl->gl.eglExportDMABUFImageQueryMESA = standin_export_query;
  egl->gl.eglExportDMABUFImageMESA = standin_export;
  return egl;
}

#endif
