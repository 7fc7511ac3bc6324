/* See pixel_format.h. */
#include "pixel_format.h"

#include <stddef.h>
#include <string.h>

#include "iosurface.h"

#define FOURCC(a, b, c, d) \
  ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct pixel_format drm_formats[] = {
  {FOURCC('X', 'R', '2', '4'), 4, 16, 8, 0, 8, 8, 8},
  {FOURCC('A', 'R', '2', '4'), 4, 16, 8, 0, 8, 8, 8},
  {FOURCC('X', 'B', '2', '4'), 4, 0, 8, 16, 8, 8, 8},
  {FOURCC('A', 'B', '2', '4'), 4, 0, 8, 16, 8, 8, 8},
  {FOURCC('R', 'X', '2', '4'), 4, 24, 16, 8, 8, 8, 8},
  {FOURCC('R', 'A', '2', '4'), 4, 24, 16, 8, 8, 8, 8},
  {FOURCC('B', 'X', '2', '4'), 4, 8, 16, 24, 8, 8, 8},
  {FOURCC('B', 'A', '2', '4'), 4, 8, 16, 24, 8, 8, 8},
  {FOURCC('R', 'G', '1', '6'), 2, 11, 5, 0, 5, 6, 5},
  {FOURCC('X', 'R', '3', '0'), 4, 20, 10, 0, 10, 10, 10},
  {FOURCC('A', 'R', '3', '0'), 4, 20, 10, 0, 10, 10, 10},
  {FOURCC('X', 'B', '3', '0'), 4, 0, 10, 20, 10, 10, 10},
  {FOURCC('A', 'B', '3', '0'), 4, 0, 10, 20, 10, 10, 10},
};

static const struct pixel_format iosurface_formats[] = {
  {IOSURFACE_BGRA, 4, 16, 8, 0, 8, 8, 8},
  {IOSURFACE_RGBA, 4, 0, 8, 16, 8, 8, 8},
};

static const struct pixel_format *find(const struct pixel_format *formats, size_t count,
                                       uint32_t code) {
  for (size_t i = 0; i < count; i++) {
    if (formats[i].code == code) return &formats[i];
  }
  return NULL;
}

const struct pixel_format *pixel_format_of_drm(uint32_t fourcc) {
  return find(drm_formats, COUNT(drm_formats), fourcc);
}

const struct pixel_format *pixel_format_of_iosurface(uint32_t code) {
  return find(iosurface_formats, COUNT(iosurface_formats), code);
}

static const uint32_t opaque = 0xff000000u;

/* Rows need not begin at a multiple of their pixels' size. */
static uint32_t word_at(const uint8_t *from) {
  uint32_t word;
  memcpy(&word, from, sizeof word);
  return word;
}

static void convert_bytes(const struct pixel_format *format, const uint8_t *from, uint32_t *to,
                          uint32_t count) {
  const uint32_t red = format->red, green = format->green, blue = format->blue;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t word = word_at(from + 4 * (size_t)i);
    to[i] = opaque | (word >> red & 0xff) << 16 | (word >> green & 0xff) << 8 |
            (word >> blue & 0xff);
  }
}

static void convert_own_order(const uint8_t *from, uint32_t *to, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) to[i] = opaque | word_at(from + 4 * (size_t)i);
}

/* A channel of `bits` bits, scaled. There are no halves to round: its largest value
 * is odd. `bits` is a constant wherever this is called, so that nothing is divided. */
static inline uint32_t scaled(uint32_t word, uint32_t shift, uint32_t bits) {
  const uint32_t largest = (1u << bits) - 1;
  return ((word >> shift & largest) * 255 + largest / 2) / largest;
}

static void convert_565(const struct pixel_format *format, const uint8_t *from, uint32_t *to,
                        uint32_t count) {
  const uint32_t red = format->red, green = format->green, blue = format->blue;
  for (uint32_t i = 0; i < count; i++) {
    uint16_t word;
    memcpy(&word, from + 2 * (size_t)i, sizeof word);
    to[i] = opaque | scaled(word, red, 5) << 16 | scaled(word, green, 6) << 8 |
            scaled(word, blue, 5);
  }
}

static void convert_tens(const struct pixel_format *format, const uint8_t *from, uint32_t *to,
                         uint32_t count) {
  const uint32_t red = format->red, green = format->green, blue = format->blue;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t word = word_at(from + 4 * (size_t)i);
    to[i] = opaque | scaled(word, red, 10) << 16 | scaled(word, green, 10) << 8 |
            scaled(word, blue, 10);
  }
}

void pixel_format_convert(const struct pixel_format *format, const uint8_t *from,
                          uint32_t *to, uint32_t count) {
  if (format->red_bits == 5) {
    convert_565(format, from, to, count);
  } else if (format->red_bits == 10) {
    convert_tens(format, from, to, count);
  } else if (format->red == 16 && format->green == 8 && format->blue == 0) {
    convert_own_order(from, to, count);
  } else {
    convert_bytes(format, from, to, count);
  }
}
