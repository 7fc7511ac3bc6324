/* Every format by hand-made pixels, each channel by all its values. */
#include "check.h"

#include <string.h>

#include "../iosurface.h"
#include "../pixel_format.h"

static const struct pixel_format *named(const char *name) {
  uint32_t code = 0;
  for (int i = 0; i < 4; i++) code |= (uint32_t)(unsigned char)name[i] << 8 * i;
  return pixel_format_of_drm(code);
}

/* Converts one pixel of up to four bytes. */
static uint32_t convert(const struct pixel_format *format, const uint8_t bytes[4]) {
  uint32_t word = 0;
  pixel_format_convert(format, bytes, &word, 1);
  return word;
}

/* Red 0x12, green 0x34, blue 0x56, alpha 0x78, as each format has them in memory. */
static void test_bytes(void) {
  static const struct {
    const char *name;
    uint8_t bytes[4];
  } formats[] = {
    {"XR24", {0x56, 0x34, 0x12, 0x78}}, {"AR24", {0x56, 0x34, 0x12, 0x78}},
    {"XB24", {0x12, 0x34, 0x56, 0x78}}, {"AB24", {0x12, 0x34, 0x56, 0x78}},
    {"RX24", {0x78, 0x56, 0x34, 0x12}}, {"RA24", {0x78, 0x56, 0x34, 0x12}},
    {"BX24", {0x78, 0x12, 0x34, 0x56}}, {"BA24", {0x78, 0x12, 0x34, 0x56}},
  };
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    const struct pixel_format *format = named(formats[i].name);
    if (CHECK(format != NULL)) CHECK_EQUAL(convert(format, formats[i].bytes), 0xff123456);
  }
  CHECK_EQUAL(convert(pixel_format_of_iosurface(IOSURFACE_BGRA), formats[0].bytes), 0xff123456);
  CHECK_EQUAL(convert(pixel_format_of_iosurface(IOSURFACE_RGBA), formats[2].bytes), 0xff123456);
}

/* Nearest of 0 … 255, by another way than the code: the distance is at most a half. */
static bool is_nearest(uint32_t scaled, uint32_t value, uint32_t largest) {
  int64_t twice = 2 * ((int64_t)scaled * largest - (int64_t)value * 255);
  return twice <= largest && -twice <= largest;
}

static void test_scaled(void) {
  static const struct {
    const char *name;
    int shift[3], bits[3]; /* red, green, blue */
  } formats[] = {
    {"RG16", {11, 5, 0}, {5, 6, 5}},       {"XR30", {20, 10, 0}, {10, 10, 10}},
    {"AR30", {20, 10, 0}, {10, 10, 10}},   {"XB30", {0, 10, 20}, {10, 10, 10}},
    {"AB30", {0, 10, 20}, {10, 10, 10}},
  };
  for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
    const struct pixel_format *format = named(formats[i].name);
    if (!CHECK(format != NULL)) continue;
    bool exact = true;
    for (int channel = 0; channel < 3; channel++) {
      const uint32_t largest = (1u << formats[i].bits[channel]) - 1;
      const int at = 16 - 8 * channel; /* in the word */
      for (uint32_t value = 0; value <= largest; value++) {
        uint32_t pixel = value << formats[i].shift[channel];
        if (format->bytes == 4) pixel |= 3u << 30; /* alpha, which means nothing */
        uint8_t bytes[4];
        memcpy(bytes, &pixel, sizeof bytes);
        uint32_t word = convert(format, bytes);
        exact = exact && is_nearest(word >> at & 0xff, value, largest) &&
                (word & ~(0xffu << at)) == (0xff000000 & ~(0xffu << at));
      }
    }
    if (!CHECK(exact)) printf("  %s\n", formats[i].name);
  }
}

/* Pixels at odd addresses, and not one read or written beyond the count. */
static void test_rows(void) {
  enum { COUNT = 37 };
  static const char *const names[] = {"XR24", "BX24", "RG16", "XB30"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct pixel_format *format = named(names[i]);
    uint8_t *from = malloc(COUNT * format->bytes + 1); /* its end is watched by ASan */
    uint32_t *to = malloc(COUNT * sizeof *to);
    require(from && to, "malloc");
    for (int b = 0; b <= COUNT * format->bytes; b++) from[b] = (uint8_t)(b * 89);
    pixel_format_convert(format, from + 1, to, COUNT);
    bool same = true;
    for (int p = 0; p < COUNT; p++) {
      uint8_t bytes[4] = {0};
      memcpy(bytes, from + 1 + p * format->bytes, format->bytes);
      same = same && to[p] == convert(format, bytes);
    }
    CHECK(same);
    free(from);
    free(to);
  }
}

static void test_unknown(void) {
  CHECK(!pixel_format_of_drm(0));
  CHECK(!named("NV12"));
  CHECK(!named("BGRA"));
  CHECK(!pixel_format_of_drm(IOSURFACE_BGRA));
  CHECK(!pixel_format_of_iosurface(0x34325258)); /* XR24 */
}

int main(void) {
  static void (*const tests[])(void) = {test_bytes, test_scaled, test_rows, test_unknown, NULL};
  return run_tests("pixel formats", tests);
}
