/* Our own texture: making it, reading it back, and handing it to others. */
#include "egl_context.h"

#include <errno.h>

#include "scanout.h"

enum {
  PIXEL_BYTES = 4,
  PLANES = 4, /* the most that a dmabuf has */
  FOURCC_XR24 = 0x34325258, /* B, G, R, anything */
  FOURCC_AR24 = 0x34325241, /* B, G, R, alpha */
  FOURCC_XB24 = 0x34324258, /* R, G, B, anything */
  FOURCC_AB24 = 0x34324241, /* R, G, B, alpha */
};

void egl_drop_picture(struct utm_egl *egl) {
  const struct egl_calls *gl = &egl->gl;
  struct egl_picture *picture = &egl->picture;
  gl->glDeleteFramebuffers(1, &picture->framebuffer);
  gl->glDeleteTextures(1, &picture->texture.name);
  if (picture->pbuffer) gl->eglDestroySurface(egl->display, picture->pbuffer);
  if (picture->backing) egl_release_surface(picture->backing);
  if (picture->pixels) utm_shim_memory_unmap(picture->pixels, picture->size);
  if (picture->memory >= 0) utm_shim_close(picture->memory);
  *picture = (struct egl_picture){.memory = -1};
}

/* Storage that other processes can look up by an id, where there are IOSurfaces. It
 * stays bound to the texture for as long as both live. */
static int32_t store_in_surface(struct utm_egl *egl, uint32_t width, uint32_t height) {
  const struct egl_calls *gl = &egl->gl;
  struct egl_picture *picture = &egl->picture;
  int32_t result = egl_create_surface(width, height, &picture->backing);
  if (result < 0) return result;
  result = egl_wrap_surface(egl, picture->backing, &picture->pbuffer,
                            &picture->texture.sampler);
  if (result < 0) return result;
  picture->format = GL_BGRA;
  picture->texture.name = egl_make_texture(egl, picture->texture.sampler);
  return gl->eglBindTexImage(egl->display, picture->pbuffer, EGL_BACK_BUFFER) ? 0 : -EIO;
}

static int32_t store(struct utm_egl *egl, uint32_t width, uint32_t height, GLenum format) {
  const struct egl_calls *gl = &egl->gl;
  struct egl_picture *picture = &egl->picture;
  if (egl->surfaces) {
    if (store_in_surface(egl, width, height) == 0) return 0;
    egl_drop_picture(egl); /* it cannot be shared, but it can be shown */
  }
  picture->format = format;
  picture->texture.sampler = SAMPLER_2D;
  picture->texture.name = egl_make_texture(egl, SAMPLER_2D);
  gl->glTexImage2D(GL_TEXTURE_2D, 0, (GLint)format, (GLsizei)width, (GLsizei)height, 0,
                   format, GL_UNSIGNED_BYTE, NULL);
  return 0;
}

/* The order of the picture's bytes: that of pixels which are uploaded, if they have a
 * usual one. */
static GLenum wanted_format(const struct utm_egl *egl, const struct utm_scanout *scanout) {
  bool rgba = egl->source.kind == SOURCE_MEMORY && egl_is_rgba(scanout);
  return egl->bgra && !rgba ? GL_BGRA : GL_RGBA;
}

int32_t egl_fit_picture(struct utm_egl *egl, const struct utm_scanout *scanout) {
  const struct egl_calls *gl = &egl->gl;
  struct egl_picture *picture = &egl->picture;
  uint32_t width = scanout->width, height = scanout->height;
  GLenum format = wanted_format(egl, scanout);
  if (picture->texture.name && picture->texture.width == width &&
      picture->texture.height == height && (picture->backing || picture->format == format)) {
    return 0;
  }
  egl_drop_picture(egl);
  int32_t result = store(egl, width, height, format);
  if (result < 0) return result;
  picture->texture.width = width;
  picture->texture.height = height;
  gl->glGenFramebuffers(1, &picture->framebuffer);
  gl->glBindFramebuffer(GL_FRAMEBUFFER, picture->framebuffer);
  gl->glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                             egl_texture_target(picture->texture.sampler),
                             picture->texture.name, 0);
  if (gl->glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE) {
    egl_drop_picture(egl);
    return gl->glGetError() == GL_OUT_OF_MEMORY ? -ENOMEM : -EIO;
  }
  gl->glClearColor(0, 0, 0, 1);
  gl->glClear(GL_COLOR_BUFFER_BIT);
  return 0;
}

/* Turns pixels as the GPU gave them into 0xffRRGGBB words. */
static void finish_row(const struct utm_egl *egl, uint32_t *row, uint32_t width) {
  if (egl->read_bgra) {
    for (uint32_t x = 0; x < width; x++) row[x] |= 0xff000000;
    return;
  }
  for (uint32_t x = 0; x < width; x++) {
    uint32_t pixel = row[x];
    row[x] = 0xff000000 | (pixel & 0xff) << 16 | (pixel & 0xff00) | (pixel >> 16 & 0xff);
  }
}

/* Reads a part of the picture back: 0xffRRGGBB words, the top line first. */
static void read_back(struct utm_egl *egl, const struct egl_rect *part, uint32_t *pixels,
                      uint32_t stride_pixels) {
  const struct egl_calls *gl = &egl->gl;
  GLenum format = egl->read_bgra ? GL_BGRA : GL_RGBA;
  GLint x = (GLint)part->x, y = (GLint)part->y;
  GLsizei width = (GLsizei)part->width, height = (GLsizei)part->height;
  gl->glBindFramebuffer(GL_FRAMEBUFFER, egl->picture.framebuffer);
  if (stride_pixels == part->width || egl->pack_lengths) {
    if (egl->pack_lengths) gl->glPixelStorei(GL_PACK_ROW_LENGTH, (GLint)stride_pixels);
    gl->glReadPixels(x, y, width, height, format, GL_UNSIGNED_BYTE, pixels);
  } else {
    for (GLsizei i = 0; i < height; i++) {
      gl->glReadPixels(x, y + i, width, 1, format, GL_UNSIGNED_BYTE,
                       pixels + (size_t)i * stride_pixels);
    }
  }
  for (GLsizei i = 0; i < height; i++) {
    finish_row(egl, pixels + (size_t)i * stride_pixels, part->width);
  }
}

static uint64_t bytes_of(const struct egl_rect *part) {
  return (uint64_t)part->width * part->height * PIXEL_BYTES;
}

int32_t utm_shim_egl_read(struct utm_egl *egl, uint32_t *pixels, uint32_t stride_pixels,
                          uint64_t cap, uint64_t *cpu_bytes) {
  if (cpu_bytes) *cpu_bytes = 0;
  if (!egl || !pixels) return -EINVAL;
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  const struct egl_texture *texture = &egl->picture.texture;
  if (!egl->picture.copied) return -ENOENT; /* a new one, if any, is black */
  uint64_t needed = (uint64_t)(texture->height - 1) * stride_pixels + texture->width;
  if (stride_pixels < texture->width || stride_pixels > INT32_MAX || needed > cap) {
    return -EINVAL;
  }
  const struct egl_rect all = {0, 0, texture->width, texture->height};
  read_back(egl, &all, pixels, stride_pixels);
  result = egl_leave(egl);
  if (result == 0 && cpu_bytes) *cpu_bytes = bytes_of(&all);
  return result;
}

/* The format without alpha: a texture may have been uploaded to as it was. */
static uint32_t opaque(uint32_t fourcc) {
  return fourcc == FOURCC_AR24 ? FOURCC_XR24 : fourcc == FOURCC_AB24 ? FOURCC_XB24 : fourcc;
}

static int32_t export_dmabuf(struct utm_egl *egl, int32_t *fd, uint32_t shape[5]) {
  const struct egl_calls *gl = &egl->gl;
  int fourcc = 0, planes = 0, exported = -1;
  uint64_t modifiers[PLANES]; /* one for each */
  EGLint stride = 0, offset = 0;
  EGLImage image =
      gl->eglCreateImageKHR(egl->display, egl->context, EGL_GL_TEXTURE_2D,
                            (void *)(uintptr_t)egl->picture.texture.name, NULL);
  if (!image) return -ENOTSUP;
  bool done = gl->eglExportDMABUFImageQueryMESA(egl->display, image, &fourcc, &planes,
                                                modifiers) &&
              planes == 1 &&
              gl->eglExportDMABUFImageMESA(egl->display, image, &exported, &stride, &offset);
  gl->eglDestroyImageKHR(egl->display, image);
  if (!done || exported < 0) return -ENOTSUP;
  if (offset != 0 || stride <= 0) { /* a shape has no room for an offset */
    utm_shim_close(exported);
    return -ENOTSUP;
  }
  *fd = exported;
  shape[2] = (uint32_t)stride;
  shape[3] = opaque((uint32_t)fourcc);
  return UTM_EXPORT_DMABUF;
}

static int32_t export_memory(struct utm_egl *egl, int32_t *fd, uint32_t shape[5]) {
  struct egl_picture *picture = &egl->picture;
  const struct egl_rect all = {0, 0, picture->texture.width, picture->texture.height};
  if (picture->memory < 0) {
    uint64_t size = bytes_of(&all);
    void *pixels = NULL;
    int32_t memory = utm_shim_memory_create(size);
    if (memory < 0) return memory;
    int32_t mapped = utm_shim_memory_map(memory, size, 1, &pixels);
    if (mapped < 0) {
      utm_shim_close(memory);
      return mapped;
    }
    picture->memory = memory;
    picture->pixels = pixels;
    picture->size = size;
    picture->stale = all;
  }
  *fd = utm_shim_dup(picture->memory);
  if (*fd < 0) return *fd;
  shape[2] = all.width * PIXEL_BYTES;
  shape[3] = FOURCC_XR24;
  return UTM_EXPORT_MEMORY;
}

int32_t utm_shim_egl_export(struct utm_egl *egl, int32_t *fd, uint32_t shape[5],
                            uint32_t *surface_id) {
  if (!egl || !fd || !shape || !surface_id) return -EINVAL;
  *fd = -1;
  *surface_id = 0;
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  struct egl_picture *picture = &egl->picture;
  if (!picture->texture.name) return -ENOENT;
  shape[0] = picture->texture.width;
  shape[1] = picture->texture.height;
  shape[2] = shape[3] = shape[4] = 0; /* the top line is the first */

  result = -ENOTSUP;
  if (picture->backing) {
    shape[3] = IOSURFACE_BGRA;
    *surface_id = egl_surface_id(picture->backing);
    result = UTM_EXPORT_IOSURFACE;
  } else if (egl->image_export) {
    result = export_dmabuf(egl, fd, shape);
  }
  int32_t left = egl_leave(egl);
  if (left < 0 && !egl->context) result = left;
  if (result == -ENOTSUP) result = export_memory(egl, fd, shape);
  if (result < 0) {
    if (*fd >= 0) utm_shim_close(*fd);
    *fd = -1;
    return result;
  }
  return result;
}

int32_t utm_shim_egl_refresh(struct utm_egl *egl, uint64_t *cpu_bytes) {
  if (cpu_bytes) *cpu_bytes = 0;
  if (!egl) return -EINVAL;
  int32_t result = egl_enter(egl);
  struct egl_picture *picture = &egl->picture;
  struct egl_rect stale = picture->stale;
  if (result < 0 || !picture->pixels || stale.width == 0) return result;
  uint32_t stride = picture->texture.width;
  uint32_t *first = (uint32_t *)(void *)picture->pixels + (size_t)stale.y * stride + stale.x;
  read_back(egl, &stale, first, stride);
  result = egl_leave(egl);
  if (result < 0) return result;
  picture->stale = (struct egl_rect){0};
  if (cpu_bytes) *cpu_bytes = bytes_of(&stale);
  return 0;
}
