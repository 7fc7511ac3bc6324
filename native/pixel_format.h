/* Formats of the guest's pixels, and what they are as words 0xffRRGGBB. */
#ifndef UTM_PIXEL_FORMAT_H
#define UTM_PIXEL_FORMAT_H

#include <stdint.h>

/* Where red, green and blue are in one little-endian pixel. Alpha means nothing
 * in a picture of a screen: every pixel is opaque. */
struct pixel_format {
  uint32_t code;
  uint8_t bytes;            /* of a pixel: 2 or 4 */
  uint8_t red, green, blue; /* the lowest bit of each */
  uint8_t red_bits, green_bits, blue_bits; /* 8 each, 10 each, or 5, 6, 5 */
};

/* The DRM format `fourcc`, or NULL. Source: Linux, drm_fourcc.h. */
const struct pixel_format *pixel_format_of_drm(uint32_t fourcc);

/* The format `code` of an IOSurface, or NULL. */
const struct pixel_format *pixel_format_of_iosurface(uint32_t code);

/* Turns `count` pixels into words. Channels of fewer or more than 8 bits are
 * scaled and rounded to nearest, as GPUs do. */
void pixel_format_convert(const struct pixel_format *format, const uint8_t *from,
                          uint32_t *to, uint32_t count);

#endif
