/* The guest's buffers: what is the same wherever they come from. */
#include "scanout.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { WIDTH, HEIGHT };

static bool is_side(uint32_t pixels) {
  return pixels > 0 && pixels <= SCANOUT_SIDE_MAX;
}

int32_t utm_shim_scanout_open(int32_t fd, const uint32_t shape[5], struct utm_scanout *previous,
                              struct utm_scanout **out) {
  if (out) *out = NULL;
  struct utm_scanout found = {.fd = fd, .holders = 1};
  struct stat info;
  if (fstat(fd, &info) != 0) return -errno; /* nothing to close */

  int32_t kind = -EINVAL;
  if (shape && out && is_side(shape[WIDTH]) && is_side(shape[HEIGHT])) {
    found.id[0] = (uint64_t)info.st_dev;
    found.id[1] = (uint64_t)info.st_ino;
    kind = scanout_identify(&found, shape, previous);
  }
  struct utm_scanout *scanout = kind > 0 ? malloc(sizeof *scanout) : NULL;
  if (scanout) {
    *scanout = found;
    *out = scanout;
    return kind;
  }
  if (kind > 0) {
    scanout_forget(&found);
    kind = -ENOMEM;
  }
  utm_shim_close(fd);
  return kind;
}

int32_t utm_shim_scanout_shape(struct utm_scanout *scanout, uint32_t shape[5]) {
  if (!scanout || !shape) return -EINVAL;
  shape[0] = scanout->width;
  shape[1] = scanout->height;
  shape[2] = scanout->stride;
  shape[3] = scanout->fourcc;
  shape[4] = scanout->bottom_up ? UTM_SCANOUT_BOTTOM_UP : 0;
  return scanout->kind;
}

int32_t utm_shim_scanout_read(struct utm_scanout *scanout, uint32_t x, uint32_t y,
                              uint32_t width, uint32_t height, uint32_t *pixels,
                              uint32_t stride_pixels, uint64_t *cpu_bytes) {
  if (!scanout || !pixels || !cpu_bytes) return -EINVAL;
  *cpu_bytes = 0;
  if (width == 0 || height == 0 || stride_pixels < width) return -EINVAL;
  if (x >= scanout->width || width > scanout->width - x) return -EINVAL;
  if (y >= scanout->height || height > scanout->height - y) return -EINVAL;

  const struct pixel_format *format = scanout->format;
  const uint32_t first = scanout->bottom_up ? scanout->height - y - height : y;
  const uint8_t *memory;
  int32_t result = scanout_begin(scanout, first, height, &memory);
  if (result < 0) return result;
  for (uint32_t i = 0; i < height; i++) {
    const size_t row = scanout->bottom_up ? scanout->height - 1 - (y + i) : y + i;
    pixel_format_convert(format, memory + row * scanout->stride + (size_t)x * format->bytes,
                         pixels + (size_t)i * stride_pixels, width);
  }
  scanout_end(scanout);
  *cpu_bytes = (uint64_t)width * height * format->bytes;
  return 0;
}

int32_t utm_shim_scanout_close(struct utm_scanout *scanout) {
  if (!scanout) return -EINVAL;
  scanout_release(scanout);
  return 0;
}

struct utm_scanout *scanout_hold(struct utm_scanout *scanout) {
  scanout->holders++;
  return scanout;
}

void scanout_release(struct utm_scanout *scanout) {
  if (--scanout->holders > 0) return;
  scanout_forget(scanout);
  utm_shim_close(scanout->fd);
  free(scanout);
}

int32_t scanout_begin(struct utm_scanout *scanout, uint32_t first, uint32_t rows,
                      const uint8_t **pixels) {
  *pixels = NULL;
  if (rows == 0 || first >= scanout->height || rows > scanout->height - first) return -EINVAL;
  return scanout_begin_rows(scanout, first, rows, pixels);
}

void scanout_end(struct utm_scanout *scanout) {
  scanout_end_rows(scanout);
}

uint64_t scanout_size(const struct utm_scanout *scanout) {
  return (uint64_t)scanout->stride * (scanout->height - 1) +
         (uint64_t)scanout->width * scanout->format->bytes;
}
