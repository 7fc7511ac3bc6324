/* Making the guest's buffer the source of copies. */
#include "egl_context.h"

#include <errno.h>
#include <string.h>

#include "scanout.h"

enum { MODIFIERS = 32 };

/* Whether every layout that EGL knows of a format can only be sampled as an external
 * texture. */
static bool is_external_only(struct utm_egl *egl, uint32_t fourcc) {
  uint64_t modifiers[MODIFIERS];
  EGLBoolean external[MODIFIERS];
  EGLint count = 0;
  if (!egl->modifiers || !egl->external ||
      !egl->gl.eglQueryDmaBufModifiersEXT(egl->display, (EGLint)fourcc, MODIFIERS, modifiers,
                                          external, &count) ||
      count <= 0) {
    return false;
  }
  for (EGLint i = 0; i < count && i < MODIFIERS; i++) {
    if (!external[i]) return false;
  }
  return true;
}

/* Puts an image behind a new texture. Returns its name, or 0. */
static GLuint texture_of(struct utm_egl *egl, EGLImage image, enum egl_sampler sampler) {
  const struct egl_calls *gl = &egl->gl;
  GLuint texture = egl_make_texture(egl, sampler);
  gl->glEGLImageTargetTexture2DOES(egl_texture_target(sampler), image);
  if (gl->glGetError() == GL_NO_ERROR) return texture;
  gl->glDeleteTextures(1, &texture);
  return 0;
}

static void free_image(struct utm_egl *egl, struct egl_image *entry) {
  if (entry->fd < 0) return;
  egl->gl.glDeleteTextures(1, &entry->texture.name);
  egl->gl.eglDestroyImageKHR(egl->display, entry->image);
  utm_shim_close(entry->fd);
  *entry = (struct egl_image){.fd = -1};
}

void egl_drop_images(struct utm_egl *egl) {
  for (int i = 0; i < IMAGES; i++) free_image(egl, &egl->kept[i]);
}

static int32_t errno_of_egl(EGLint error) {
  switch (error) {
    case EGL_BAD_MATCH: return -ENOTSUP; /* the format, the layout, or another GPU's */
    case EGL_BAD_ALLOC: return -ENOMEM;
    case EGL_BAD_ACCESS: return -EACCES;
    default: return -EINVAL;
  }
}

/* Imports a dmabuf into a free entry. The message of a scanout tells no modifier: the
 * buffer has the layout that its driver implies, and EGL is told none. */
static int32_t import_image(struct utm_egl *egl, const struct utm_scanout *scanout,
                            struct egl_image *entry) {
  const struct egl_calls *gl = &egl->gl;
  const EGLint attributes[] = {
    EGL_WIDTH, (EGLint)scanout->width,
    EGL_HEIGHT, (EGLint)scanout->height,
    EGL_LINUX_DRM_FOURCC, (EGLint)scanout->fourcc,
    EGL_DMA_BUF_PLANE0_FD, scanout->fd,
    EGL_DMA_BUF_PLANE0_OFFSET, 0,
    EGL_DMA_BUF_PLANE0_PITCH, (EGLint)scanout->stride,
    EGL_NONE,
  };
  EGLImage image =
      gl->eglCreateImageKHR(egl->display, NULL, EGL_LINUX_DMA_BUF, NULL, attributes);
  if (!image) return errno_of_egl(gl->eglGetError());

  enum egl_sampler sampler =
      is_external_only(egl, scanout->fourcc) ? SAMPLER_EXTERNAL : SAMPLER_2D;
  GLuint texture = texture_of(egl, image, sampler);
  if (!texture && sampler == SAMPLER_2D && egl->external) {
    sampler = SAMPLER_EXTERNAL;
    texture = texture_of(egl, image, sampler);
  }
  int32_t fd = texture ? utm_shim_dup(scanout->fd) : -ENOTSUP;
  if (fd < 0) {
    gl->glDeleteTextures(1, &texture);
    gl->eglDestroyImageKHR(egl->display, image);
    return fd;
  }
  *entry = (struct egl_image){
    .fd = fd,
    .id = {scanout->id[0], scanout->id[1]},
    .width = scanout->width,
    .height = scanout->height,
    .stride = scanout->stride,
    .fourcc = scanout->fourcc,
    .image = image,
    .texture = {
      .name = texture,
      .sampler = sampler,
      .width = scanout->width,
      .height = scanout->height,
    },
  };
  return 0;
}

static bool is_image_of(const struct egl_image *entry, const struct utm_scanout *scanout) {
  return entry->fd >= 0 && entry->id[0] == scanout->id[0] && entry->id[1] == scanout->id[1] &&
         entry->width == scanout->width && entry->height == scanout->height &&
         entry->stride == scanout->stride && entry->fourcc == scanout->fourcc;
}

/* Finds the scanout's buffer among those kept, else imports it in place of the one
 * that was not in use for longest. */
static int32_t take_image(struct utm_egl *egl, struct utm_scanout *scanout) {
  struct egl_image *oldest = &egl->kept[0];
  struct egl_image *found = NULL;
  for (int i = 0; i < IMAGES; i++) {
    struct egl_image *entry = &egl->kept[i];
    if (is_image_of(entry, scanout)) found = entry;
    if (entry->used < oldest->used) oldest = entry;
  }
  if (!found) {
    free_image(egl, oldest);
    int32_t result = import_image(egl, scanout, oldest);
    if (result < 0) return result;
    found = oldest;
  }
  found->used = ++egl->imports;
  found->texture.bottom_up = scanout->bottom_up;
  egl->source.kind = SOURCE_IMAGE;
  egl->source.image = found;
  return UTM_IMPORT_GPU;
}

static int32_t take_surface(struct utm_egl *egl, struct utm_scanout *scanout) {
  struct egl_texture *texture = &egl->source.texture;
  EGLSurface pbuffer;
  int32_t result = egl_wrap_surface(egl, scanout->surface, &pbuffer, &texture->sampler);
  if (result < 0) return result;
  texture->name = egl_make_texture(egl, texture->sampler);
  texture->width = scanout->width;
  texture->height = scanout->height;
  texture->bottom_up = false;
  egl->source.kind = SOURCE_SURFACE;
  egl->source.surface = pbuffer;
  return UTM_IMPORT_GPU;
}

/* Whether the CPU can read it shows with the first row. */
static int32_t take_memory(struct utm_egl *egl, struct utm_scanout *scanout) {
  const uint8_t *pixels;
  int32_t result = scanout_begin(scanout, 0, 1, &pixels);
  if (result < 0) return result;
  scanout_end(scanout);
  egl->source.kind = SOURCE_MEMORY;
  return UTM_IMPORT_UPLOAD;
}

/* By the GPU where that can be, else by what the CPU can read. */
static int32_t take(struct utm_egl *egl, struct utm_scanout *scanout) {
  int32_t result = -ENOTSUP;
  if (scanout->kind == UTM_SCANOUT_DMABUF && egl->images) result = take_image(egl, scanout);
  if (scanout->kind == UTM_SCANOUT_IOSURFACE && egl->surfaces) {
    result = take_surface(egl, scanout);
  }
  if (result >= 0) return result;
  int32_t second = take_memory(egl, scanout);
  return second >= 0 || scanout->kind == UTM_SCANOUT_MEMORY ? second : result;
}

void egl_release_source(struct utm_egl *egl) {
  struct egl_source *source = &egl->source;
  const struct egl_calls *gl = &egl->gl;
  gl->glDeleteTextures(1, &source->texture.name);
  if (source->surface) gl->eglDestroySurface(egl->display, source->surface);
  *source = (struct egl_source){.kind = SOURCE_NONE, .scanout = source->scanout};
  egl->picture.whole = false;
}

void egl_drop_source(struct utm_egl *egl) {
  egl_release_source(egl);
  if (egl->source.scanout) scanout_release(egl->source.scanout);
  egl->source.scanout = NULL;
}

/* Makes a scanout that is held the source; on failure there is none. */
static int32_t use(struct utm_egl *egl, struct utm_scanout *scanout) {
  if (scanout->width > (uint32_t)egl->max_size || scanout->height > (uint32_t)egl->max_size) {
    return -E2BIG;
  }
  int32_t kind = take(egl, scanout);
  if (kind < 0) return kind;
  int32_t result = egl_fit_picture(egl, scanout);
  return result < 0 ? result : kind;
}

int32_t egl_restore_source(struct utm_egl *egl) {
  if (!egl->source.scanout) return 0;
  int32_t result = use(egl, egl->source.scanout);
  if (result < 0) egl_drop_source(egl);
  return result;
}

int32_t utm_shim_egl_import(struct utm_egl *egl, struct utm_scanout *scanout) {
  if (!egl) return -EINVAL;
  int32_t entered = egl_enter(egl);
  egl_drop_source(egl);
  if (!scanout) egl_drop_images(egl);
  if (!scanout) return 0; /* also where the context, and with it all there was, is lost */
  if (entered < 0) return entered;

  egl->source.scanout = scanout_hold(scanout);
  int32_t result = use(egl, scanout);
  int32_t left = egl_leave(egl);
  if (result >= 0 && left < 0) result = left;
  if (result < 0) egl_drop_source(egl);
  return result;
}
