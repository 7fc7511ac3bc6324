/* What the tests of EGL share: buffers with a pattern, and a look at the picture. Each
 * program includes it once, and is started as
 *
 *   PROGRAM NAME API FOLDER
 *
 * NAME is for the summary, API one of UTM_EGL_*, FOLDER where the libraries are, or
 * "-" for where the system looks. Without the libraries it is skipped, and says so. */
#ifndef UTM_TESTS_EGL_RIG_H
#define UTM_TESTS_EGL_RIG_H

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../egl_context.h"
#include "../pixel_format.h"
#include "../scanout.h"
#include "check.h"

#define FOURCC(a, b, c, d) \
  ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const uint32_t formats[] = {
  FOURCC('X', 'R', '2', '4'), FOURCC('A', 'R', '2', '4'), FOURCC('X', 'B', '2', '4'),
  FOURCC('A', 'B', '2', '4'), FOURCC('R', 'X', '2', '4'), FOURCC('R', 'A', '2', '4'),
  FOURCC('B', 'X', '2', '4'), FOURCC('B', 'A', '2', '4'), FOURCC('R', 'G', '1', '6'),
  FOURCC('X', 'R', '3', '0'), FOURCC('A', 'R', '3', '0'), FOURCC('X', 'B', '3', '0'),
  FOURCC('A', 'B', '3', '0'),
};
enum { BGRA_FORMATS = 2, RGBA_FORMATS = 4 }; /* how many come first */

enum { Y0TOP = 1 };

static int32_t api;
static const char *folder; /* NULL: the system's */

static inline struct utm_egl *open_egl_or_die(void) {
  struct utm_egl *egl = NULL;
  int32_t result = utm_shim_egl_open(api, folder, NULL, &egl);
  if (result < 0) {
    fprintf(stderr, "Cannot open EGL: %s\n", strerror(-result));
    exit(1);
  }
  return egl;
}

/* A guest's buffer: memory that is drawn into here, and its scanout. */
struct buffer {
  struct utm_scanout *scanout;
  uint8_t *bytes;
  size_t size;
  uint32_t width, height, stride;
  const struct pixel_format *format;
  bool bottom_up;
};

/* The first byte of a pixel in guest coordinates. */
static inline uint8_t *pixel_at(const struct buffer *buffer, uint32_t x, uint32_t y) {
  uint32_t row = buffer->bottom_up ? buffer->height - 1 - y : y;
  return buffer->bytes + (size_t)row * buffer->stride + (size_t)x * buffer->format->bytes;
}

/* A colour that tells `seed` and every pixel of a screen apart, as 0xffRRGGBB. */
static inline uint32_t colour(uint32_t seed, uint32_t x, uint32_t y) {
  uint32_t mixed = (x * 2654435761u) ^ (y * 2246822519u) ^ (seed * 3266489917u);
  return 0xff000000 | (mixed >> 7);
}

/* The bits of a channel that come closest to the 8 of `value`. */
static inline uint32_t channel_of(uint32_t value, uint32_t shift, uint32_t bits) {
  uint32_t largest = (1u << bits) - 1;
  return ((value & 0xff) * largest + 127) / 255 << shift;
}

/* Draws a pattern; bits without a colour are neither all set nor all clear. */
static inline void draw(const struct buffer *buffer, uint32_t seed) {
  const struct pixel_format *format = buffer->format;
  const uint32_t colours = channel_of(255, format->red, format->red_bits) |
                           channel_of(255, format->green, format->green_bits) |
                           channel_of(255, format->blue, format->blue_bits);
  for (uint32_t y = 0; y < buffer->height; y++) {
    for (uint32_t x = 0; x < buffer->width; x++) {
      uint32_t value = colour(seed, x, y);
      uint32_t pixel = (0x5a5a5a5a & ~colours) |
                       channel_of(value >> 16, format->red, format->red_bits) |
                       channel_of(value >> 8, format->green, format->green_bits) |
                       channel_of(value, format->blue, format->blue_bits);
      memcpy(pixel_at(buffer, x, y), &pixel, format->bytes);
    }
  }
}

/* Makes a buffer; `kind` UTM_SCANOUT_DMABUF has memory taken for a dmabuf. */
static inline struct buffer make_buffer(int32_t kind, uint32_t width, uint32_t height,
                                        uint32_t stride, uint32_t fourcc, uint32_t flags) {
  struct buffer buffer = {
    .size = (size_t)stride * height,
    .width = width,
    .height = height,
    .stride = stride,
    .format = pixel_format_of_drm(fourcc),
    .bottom_up = (flags & Y0TOP) != 0,
  };
  int32_t fd = utm_shim_memory_create(buffer.size);
  require(fd >= 0, "memory");
  void *bytes = mmap(NULL, buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  require(bytes != MAP_FAILED, "mmap");
  buffer.bytes = bytes;
  const uint32_t shape[5] = {width, height, stride, fourcc, flags};
  int32_t opened = utm_shim_scanout_open(fd, shape, NULL, &buffer.scanout);
  CHECK_EQUAL(opened, UTM_SCANOUT_MEMORY);
  require(buffer.scanout != NULL, "scanout");
  buffer.scanout->kind = kind;
  CHECK(buffer.format != NULL);
  return buffer;
}

static inline struct buffer simple_buffer(uint32_t width, uint32_t height) {
  return make_buffer(UTM_SCANOUT_MEMORY, width, height, width * 4, formats[0], 0);
}

static inline void free_buffer(struct buffer *buffer) {
  munmap(buffer->bytes, buffer->size);
  if (buffer->scanout) utm_shim_scanout_close(buffer->scanout);
  buffer->scanout = NULL;
}

/* How many pixels are not `inside` within the rectangle, and `outside` beyond: seeds of
 * the two patterns. The last number tells rows of pixels apart. */
static inline int count_wrong(const uint32_t *pixels, uint32_t stride, uint32_t width,
                              uint32_t height, const struct egl_rect *rect, uint32_t inside,
                              uint32_t outside) {
  int wrong = 0;
  for (uint32_t y = 0; y < height; y++) {
    for (uint32_t x = 0; x < width; x++) {
      bool in = x >= rect->x && x - rect->x < rect->width && y >= rect->y &&
                y - rect->y < rect->height;
      if (pixels[(size_t)y * stride + x] != colour(in ? inside : outside, x, y)) wrong++;
    }
  }
  return wrong;
}

/* The same of the picture, which it reads back. */
static inline int count_wrong_in_picture(struct utm_egl *egl, uint32_t width,
                                         uint32_t height, const struct egl_rect *rect,
                                         uint32_t inside, uint32_t outside) {
  uint64_t bytes = 0, count = (uint64_t)width * height;
  uint32_t *pixels = calloc(count, sizeof *pixels);
  require(pixels != NULL, "memory");
  int wrong = -1;
  if (CHECK_EQUAL(utm_shim_egl_read(egl, pixels, width, count, &bytes), 0)) {
    CHECK_EQUAL(bytes, count * 4);
    wrong = count_wrong(pixels, width, width, height, rect, inside, outside);
  }
  free(pixels);
  return wrong;
}

/* Whether the picture is all of one pattern. */
static inline bool shows(struct utm_egl *egl, const struct buffer *buffer, uint32_t seed) {
  const struct egl_rect all = {0, 0, buffer->width, buffer->height};
  return count_wrong_in_picture(egl, buffer->width, buffer->height, &all, seed, seed) == 0;
}

/* Copies where it does not matter whether the picture is a new one. */
static inline int32_t copy(struct utm_egl *egl, uint32_t x, uint32_t y, uint32_t width,
                           uint32_t height, uint64_t *bytes) {
  int32_t result = utm_shim_egl_copy(egl, x, y, width, height, bytes);
  return result == UTM_COPY_REMADE ? 0 : result;
}

static inline int32_t copy_all(struct utm_egl *egl, const struct buffer *buffer) {
  return copy(egl, 0, 0, buffer->width, buffer->height, NULL);
}

/* Reads the command line. Returns whether there is a library to test. */
static inline bool find_library(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s NAME API FOLDER\n", argv[0]);
    exit(2);
  }
  api = atoi(argv[2]);
  folder = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
  struct utm_egl *egl = NULL;
  int32_t result = utm_shim_egl_open(api, folder, NULL, &egl);
  if (result == -ENOENT) {
    printf("skipped: no EGL in %s; deno task setup brings it\n", folder ? folder : "the system");
    printf("native %s: 0 passed, 0 failed, 1 skipped\n", argv[1]);
    return false;
  }
  require(result == 0, "EGL");
  char text[256];
  require(utm_shim_egl_describe(egl, text, sizeof text) > 0, "description");
  printf("%s: %s\n", argv[1], text);
  utm_shim_egl_close(egl);
  return true;
}

/* Has the library open, once, what it keeps for as long as the process lives, such as
 * its compiler's memory. */
static inline void warm_up(struct utm_egl *egl, struct buffer buffer) {
  draw(&buffer, 1);
  CHECK(utm_shim_egl_import(egl, buffer.scanout) > 0);
  CHECK(copy_all(egl, &buffer) == 0 && shows(egl, &buffer, 1));
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

#endif
