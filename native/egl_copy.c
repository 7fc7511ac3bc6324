/* Copying what has changed from the guest's buffer into the picture. */
#include "egl_context.h"

#include <errno.h>
#include <stdlib.h>

#include "scanout.h"

enum {
  PIXEL_BYTES = 4,
  WRITER_MS = 100,  /* how long a copy waits for the guest's drawing */
  COPY_MS = 500,    /* and for itself, before it is given up */
  TURN_PIXELS = 512, /* rows up to this long are turned in memory, and longer ones one by
                        one: a call costs about as much as copying so many pixels */
};
static const uint64_t ns_per_ms = 1000 * 1000;

static bool has_order(const struct utm_scanout *scanout, uint32_t red, uint32_t blue) {
  const struct pixel_format *format = scanout->format;
  return format->red_bits == 8 && format->red == red && format->green == 8 &&
         format->blue == blue;
}

bool egl_is_rgba(const struct utm_scanout *scanout) {
  return has_order(scanout, 0, 16);
}

bool egl_is_bgra(const struct utm_scanout *scanout) {
  return has_order(scanout, 16, 0);
}

/* -- Ends of copies -------------------------------------------------------- */

/* Waits until the copy is done, or only sends it off where the kernel has others wait
 * for it. */
static int32_t finish_copy(struct utm_egl *egl, bool ordered) {
  const struct egl_calls *gl = &egl->gl;
  if (ordered) {
    gl->glFlush();
    return 0;
  }
  EGLSync fence = egl->fences ? gl->eglCreateSyncKHR(egl->display, EGL_SYNC_FENCE, NULL) : NULL;
  if (!fence) {
    gl->glFinish();
    return 0;
  }
  EGLint state = gl->eglClientWaitSyncKHR(egl->display, fence, EGL_SYNC_FLUSH_COMMANDS_BIT,
                                          COPY_MS * ns_per_ms);
  gl->eglDestroySyncKHR(egl->display, fence);
  if (state == EGL_CONDITION_SATISFIED) return 0;
  return state == EGL_TIMEOUT_EXPIRED ? -ETIMEDOUT : -EIO;
}

/* -- Uploads -------------------------------------------------------------- */

/* Writes a part of the picture, which is bound, from pixels in its own order; the first
 * is at `pixels`, and `stride` bytes on, or back, is the next line. */
static void upload(struct utm_egl *egl, const struct egl_rect *part, const uint8_t *pixels,
                   ptrdiff_t stride) {
  const struct egl_calls *gl = &egl->gl;
  GLenum target = egl_texture_target(egl->picture.texture.sampler);
  GLint x = (GLint)part->x, y = (GLint)part->y;
  GLsizei width = (GLsizei)part->width, height = (GLsizei)part->height;
  if (egl->row_lengths && stride > 0 && stride % PIXEL_BYTES == 0) {
    gl->glPixelStorei(GL_UNPACK_ROW_LENGTH, (GLint)(stride / PIXEL_BYTES));
    gl->glTexSubImage2D(target, 0, x, y, width, height, egl->picture.format,
                        GL_UNSIGNED_BYTE, pixels);
    return;
  }
  if (egl->row_lengths) gl->glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
  for (GLsizei i = 0; i < height; i++, pixels += stride) {
    gl->glTexSubImage2D(target, 0, x, y + i, width, 1, egl->picture.format,
                        GL_UNSIGNED_BYTE, pixels);
  }
}

static bool make_room(struct utm_egl *egl, size_t pixels) {
  if (pixels <= egl->converted_cap) return true;
  uint32_t *room = realloc(egl->converted, pixels * sizeof *room);
  if (!room) return false;
  egl->converted = room;
  egl->converted_cap = pixels;
  return true;
}

/* The same from pixels of another order or depth, which are turned into words first. */
static int32_t convert_and_upload(struct utm_egl *egl, const struct egl_rect *part,
                                  const uint8_t *pixels, ptrdiff_t stride) {
  const struct pixel_format *format = egl->source.scanout->format;
  size_t count = (size_t)part->width * part->height;
  if (!make_room(egl, count)) return -ENOMEM;
  for (uint32_t y = 0; y < part->height; y++, pixels += stride) {
    pixel_format_convert(format, pixels, egl->converted + (size_t)y * part->width, part->width);
  }
  if (egl->picture.format == GL_RGBA) {
    for (size_t i = 0; i < count; i++) {
      uint32_t word = egl->converted[i];
      egl->converted[i] = (word & 0xff00ff00) | (word & 0xff) << 16 | (word >> 16 & 0xff);
    }
  }
  upload(egl, part, (const uint8_t *)egl->converted, (ptrdiff_t)part->width * PIXEL_BYTES);
  return 0;
}

/* Uploads what has changed. *bytes is what the CPU copies on the way. */
static int32_t copy_memory(struct utm_egl *egl, const struct egl_rect *part, uint64_t *bytes) {
  struct utm_scanout *scanout = egl->source.scanout;
  const uint32_t first =
      scanout->bottom_up ? scanout->height - part->y - part->height : part->y;
  const uint8_t *memory;
  int32_t result = scanout_begin(scanout, first, part->height, &memory);
  if (result < 0) return result;

  const size_t top = scanout->bottom_up ? scanout->height - 1 - part->y : part->y;
  const uint8_t *pixels =
      memory + top * scanout->stride + (size_t)part->x * scanout->format->bytes;
  const ptrdiff_t stride =
      scanout->bottom_up ? -(ptrdiff_t)scanout->stride : (ptrdiff_t)scanout->stride;
  const uint64_t count = (uint64_t)part->width * part->height;
  GLenum order = egl_is_bgra(scanout) ? GL_BGRA : egl_is_rgba(scanout) ? GL_RGBA : 0;
  *bytes = count * PIXEL_BYTES;
  if (scanout->copied) *bytes += (uint64_t)part->height * scanout->stride;

  egl->gl.glBindTexture(egl_texture_target(egl->picture.texture.sampler),
                        egl->picture.texture.name);
  if (order == egl->picture.format && (!scanout->bottom_up || part->width > TURN_PIXELS)) {
    upload(egl, part, pixels, stride);
  } else {
    *bytes += count * scanout->format->bytes;
    result = convert_and_upload(egl, part, pixels, stride);
  }
  scanout_end(scanout);
  /* The buffer was read by the calls above: it need not be waited for. But who is told of
   * the copy may look into the picture at once, and only the kernel orders that. */
  bool shared = egl->picture.backing || egl->image_export;
  return result < 0 ? result : finish_copy(egl, egl->implicit_sync || !shared);
}

/* -- Copies by the GPU ---------------------------------------------------- */

static int32_t draw_into_picture(struct utm_egl *egl, const struct egl_texture *from,
                                 const struct egl_rect *part) {
  egl->gl.glBindFramebuffer(GL_FRAMEBUFFER, egl->picture.framebuffer);
  return egl_draw(egl, from, part, part, false);
}

static int32_t copy_image(struct utm_egl *egl, const struct egl_rect *part) {
  struct egl_image *image = egl->source.image;
  const struct egl_texture *texture = &image->texture;
  if (!egl->implicit_sync) egl_wait_for_writer(image->fd, WRITER_MS);
  if (texture->sampler == SAMPLER_2D) {
    /* What others have drawn since shows for sure in a texture that is given the image
     * again; in an external one it always does. */
    egl->gl.glBindTexture(GL_TEXTURE_2D, texture->name);
    egl->gl.glEGLImageTargetTexture2DOES(GL_TEXTURE_2D, image->image);
  }
  int32_t result = draw_into_picture(egl, texture, part);
  return result < 0 ? result : finish_copy(egl, egl->implicit_sync);
}

static int32_t copy_surface(struct utm_egl *egl, const struct egl_rect *part) {
  const struct egl_calls *gl = &egl->gl;
  struct egl_source *source = &egl->source;
  gl->glBindTexture(egl_texture_target(source->texture.sampler), source->texture.name);
  if (!gl->eglBindTexImage(egl->display, source->surface, EGL_BACK_BUFFER)) return -EIO;
  int32_t result = draw_into_picture(egl, &source->texture, part);
  if (result == 0) result = finish_copy(egl, false);
  gl->eglReleaseTexImage(egl->display, source->surface, EGL_BACK_BUFFER);
  return result;
}

/* -- Damage --------------------------------------------------------------- */

static uint32_t least(uint32_t a, uint32_t b) {
  return a < b ? a : b;
}

/* The part of the picture that `rect` covers; all of it where it is not whole. */
static struct egl_rect clip(const struct egl_picture *picture, const struct egl_rect *rect) {
  uint32_t width = picture->texture.width, height = picture->texture.height;
  if (!picture->whole) return (struct egl_rect){0, 0, width, height};
  if (rect->x >= width || rect->y >= height) return (struct egl_rect){0};
  return (struct egl_rect){
    rect->x, rect->y, least(rect->width, width - rect->x), least(rect->height, height - rect->y),
  };
}

/* Grows a rectangle until it covers another. */
static void add_rect(struct egl_rect *to, const struct egl_rect *rect) {
  if (to->width == 0) {
    *to = *rect;
    return;
  }
  uint32_t right = to->x + to->width, bottom = to->y + to->height;
  if (rect->x + rect->width > right) right = rect->x + rect->width;
  if (rect->y + rect->height > bottom) bottom = rect->y + rect->height;
  to->x = least(to->x, rect->x);
  to->y = least(to->y, rect->y);
  to->width = right - to->x;
  to->height = bottom - to->y;
}

/* Copies once. Returns UTM_COPY_* or -errno; *bytes are those that the CPU copied. */
static int32_t copy(struct utm_egl *egl, const struct egl_rect *rect, uint64_t *bytes) {
  int32_t result = egl_enter(egl);
  if (result < 0) return result;
  struct egl_picture *picture = &egl->picture;
  if (egl->source.kind == SOURCE_NONE) return -ENOENT;
  struct egl_rect part = clip(picture, rect);
  if (part.width == 0 || part.height == 0) return UTM_COPY_DONE;

  switch (egl->source.kind) {
    case SOURCE_MEMORY: result = copy_memory(egl, &part, bytes); break;
    case SOURCE_IMAGE: result = copy_image(egl, &part); break;
    default: result = copy_surface(egl, &part); break;
  }
  int32_t left = egl_leave(egl);
  if (result == 0) result = left;
  picture->whole = result == 0;
  if (result < 0) return result;
  if (picture->pixels) add_rect(&picture->stale, &part);
  bool first = !picture->copied;
  picture->copied = true;
  return first ? UTM_COPY_REMADE : UTM_COPY_DONE;
}

int32_t utm_shim_egl_copy(struct utm_egl *egl, uint32_t x, uint32_t y, uint32_t width,
                          uint32_t height, uint64_t *cpu_bytes) {
  uint64_t bytes = 0;
  if (cpu_bytes) *cpu_bytes = 0;
  if (!egl) return -EINVAL;
  const struct egl_rect rect = {x, y, width, height};
  int32_t result = copy(egl, &rect, &bytes);
  /* A context that was found lost is made again, with its source, and all is copied. */
  if (result < 0 && !egl->context) result = copy(egl, &rect, &bytes);
  if (result >= 0 && cpu_bytes) *cpu_bytes = bytes;
  return result;
}
