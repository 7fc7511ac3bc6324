/* macOS: IOSurfaces, whose ids come in pipes. The message tells their size alone. */
#include "scanout.h"

#include <errno.h>

enum { PIXEL_BYTES = 4 };

/* Ids can be guessed and are given out again: what was found must be what the
 * message tells of before it is used. */
static int32_t check(const struct iosurface_shape *found, const uint32_t shape[5]) {
  if (found->width != shape[0] || found->height != shape[1]) return -EINVAL;
  if (found->planes > 1 || found->bytes_per_element != PIXEL_BYTES) return -EINVAL;
  if (found->stride > SCANOUT_STRIDE_MAX) return -EINVAL;
  return pixel_format_of_iosurface(found->format) ? 0 : -ENOTSUP;
}

static int32_t look_up(struct utm_scanout *scanout, uint32_t id, const uint32_t shape[5]) {
  struct iosurface_shape found;
  int32_t result = iosurface_lookup(id, &scanout->surface);
  if (result < 0) return result;
  result = iosurface_describe(scanout->surface, &found);
  if (result == 0) result = check(&found, shape);
  if (result < 0) {
    iosurface_release(scanout->surface);
    return result;
  }
  scanout->kind = UTM_SCANOUT_IOSURFACE;
  scanout->width = found.width;
  scanout->height = found.height;
  scanout->stride = found.stride;
  scanout->fourcc = found.format;
  scanout->format = pixel_format_of_iosurface(found.format);
  scanout->bottom_up = false; /* QEMU turns the picture, whatever the flag says */
  return scanout->kind;
}

/* A pipe that has been read: the message may be that of the current scanout again. */
static int32_t recognise(const struct utm_scanout *scanout, const struct utm_scanout *previous) {
  bool is_same = previous && previous->kind == UTM_SCANOUT_IOSURFACE &&
                 previous->id[0] == scanout->id[0] && previous->id[1] == scanout->id[1];
  return is_same ? 0 : -ESTALE;
}

int32_t scanout_identify(struct utm_scanout *scanout, const uint32_t shape[5],
                         const struct utm_scanout *previous) {
  uint32_t id;
  int32_t state = utm_shim_pipe_id(scanout->fd, &id);
  if (state < 0) return state;
  if (state == UTM_ID_FRESH) return look_up(scanout, id, shape);
  return state == UTM_ID_READ ? recognise(scanout, previous) : -ESTALE;
}

int32_t scanout_begin_rows(struct utm_scanout *scanout, uint32_t first, uint32_t rows,
                           const uint8_t **pixels) {
  (void)first;
  (void)rows;
  return iosurface_lock(scanout->surface, pixels);
}

void scanout_end_rows(struct utm_scanout *scanout) {
  iosurface_unlock(scanout->surface);
}

void scanout_forget(struct utm_scanout *scanout) {
  iosurface_release(scanout->surface);
}
