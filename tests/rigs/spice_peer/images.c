/* Images whose contents follow from a number, packed as a guest's driver hands
 * them over, and as pixman has them. Both are made from pixel_at, each in its own
 * way, so that the server's and the client's reading of the formats is tested. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static uint64_t mix(uint64_t z) { /* the finalizer of SplitMix64 */
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t next_random(uint64_t *state) { return mix(*state += 0x9e3779b97f4a7c15); }

static uint32_t noise(uint32_t seed, uint32_t x, uint32_t y) {
  return (uint32_t)mix(((uint64_t)seed << 32 | (uint64_t)(y & 0xffff) << 16 | (x & 0xffff)) +
                       0x9e3779b97f4a7c15);
}

/* A colour 0xAARRGGBB: noise, blocks of few colours, a gradient, or a flat ground
 * with specks, so that every way of compressing has something to choose. */
static uint32_t pixel_at(const struct image *image, uint32_t x, uint32_t y) {
  uint32_t seed = image->seed;
  switch (seed % 4) {
    case 0:
      return noise(seed, x, y);
    case 1:
      return noise(seed, noise(seed, x / 8, y / 8) % 4, 0);
    case 2: {
      uint32_t base = noise(seed, 0, 0);
      uint32_t red = (base + x * 255 / image->width) & 255;
      uint32_t green = (base / 256 + y * 255 / image->height) & 255;
      uint32_t blue = (base / 65536 + (x + y) / 2) & 255;
      return (x & 255) << 24 | red << 16 | green << 8 | blue;
    }
    default:
      return noise(seed, x, y) % 37 == 0 ? noise(seed, x, y) : noise(seed, 0, 0);
  }
}

/* The same with its colours multiplied by its alpha, as RGBA bitmaps are. */
static uint32_t premultiplied_at(const struct image *image, uint32_t x, uint32_t y) {
  uint32_t pixel = pixel_at(image, x, y);
  uint32_t alpha = pixel >> 24;
  if (image->seed % 3 == 0) alpha = alpha < 85 ? 0 : alpha < 170 ? alpha : 255;
  uint32_t red = (pixel >> 16 & 255) * alpha / 255;
  uint32_t green = (pixel >> 8 & 255) * alpha / 255;
  uint32_t blue = (pixel & 255) * alpha / 255;
  return alpha << 24 | red << 16 | green << 8 | blue;
}

int format_bits(uint8_t format) {
  static const uint8_t bits[] = {0, 1, 1, 4, 4, 8, 16, 24, 32, 32, 8};
  return format < sizeof bits ? bits[format] : 0;
}

static uint32_t palette_size(uint8_t format) {
  switch (format) {
    case SPICE_BITMAP_FMT_1BIT_LE:
    case SPICE_BITMAP_FMT_1BIT_BE:
      return 2;
    case SPICE_BITMAP_FMT_4BIT_LE:
    case SPICE_BITMAP_FMT_4BIT_BE:
      return 16;
    case SPICE_BITMAP_FMT_8BIT:
      return 256;
    default:
      return 0;
  }
}

static uint32_t palette_entry(const struct image *image, uint32_t index) {
  return noise(image->seed ^ 0x55555555, index, 0) & 0xffffff;
}

/* The number that the format keeps for a pixel. */
static uint32_t value_at(const struct image *image, uint32_t x, uint32_t y) {
  uint32_t pixel = pixel_at(image, x, y);
  switch (image->format) {
    case SPICE_BITMAP_FMT_16BIT:
      return (pixel >> 19 & 31) << 10 | (pixel >> 11 & 31) << 5 | (pixel >> 3 & 31);
    case SPICE_BITMAP_FMT_24BIT:
      return pixel & 0xffffff;
    case SPICE_BITMAP_FMT_32BIT:
      return pixel; /* the highest byte means nothing, and has something in it */
    case SPICE_BITMAP_FMT_RGBA:
      return premultiplied_at(image, x, y);
    case SPICE_BITMAP_FMT_8BIT_A:
      return pixel >> 24;
    default:
      return (pixel ^ pixel >> 8) % palette_size(image->format);
  }
}

static void pack(const struct image *image, uint8_t *row, uint32_t x, uint32_t value) {
  switch (image->format) {
    case SPICE_BITMAP_FMT_1BIT_LE:
      row[x / 8] |= (uint8_t)(value << (x % 8));
      break;
    case SPICE_BITMAP_FMT_1BIT_BE:
      row[x / 8] |= (uint8_t)(value << (7 - x % 8));
      break;
    case SPICE_BITMAP_FMT_4BIT_LE:
      row[x / 2] |= (uint8_t)(value << (x % 2 ? 4 : 0));
      break;
    case SPICE_BITMAP_FMT_4BIT_BE:
      row[x / 2] |= (uint8_t)(value << (x % 2 ? 0 : 4));
      break;
    default:
      for (int i = 0; i < format_bits(image->format) / 8; i++) {
        row[x * (uint32_t)format_bits(image->format) / 8 + (uint32_t)i] = (uint8_t)(value >> 8 * i);
      }
  }
}

static uint32_t stride_of(const struct image *image) {
  uint32_t bytes = (image->width * (uint32_t)format_bits(image->format) + 7) / 8;
  return (bytes + 3) / 4 * 4 + image->pad;
}

static void pack_rows(const struct image *image, uint8_t *to, uint32_t first, uint32_t rows) {
  uint32_t stride = stride_of(image);
  for (uint32_t i = 0; i < rows; i++) {
    uint32_t y = image->top_down ? first + i : image->height - 1 - first - i;
    for (uint32_t x = 0; x < image->width; x++) {
      pack(image, to + (size_t)i * stride, x, value_at(image, x, y));
    }
  }
}

/* The rows in one chunk, or in several of a few rows each. */
static QXLDataChunk *build_chunks(struct arena *arena, const struct image *image) {
  uint32_t stride = stride_of(image);
  uint32_t rows_each = image->chunks ? (image->height + 2) / 3 : image->height;
  QXLDataChunk *first_chunk = NULL, *last = NULL;
  for (uint32_t first = 0; first < image->height; first += rows_each) {
    uint32_t rows = image->height - first < rows_each ? image->height - first : rows_each;
    QXLDataChunk *chunk = arena_alloc(arena, sizeof *chunk + (size_t)rows * stride);
    chunk->data_size = rows * stride;
    pack_rows(image, chunk->data, first, rows);
    if (last) {
      last->next_chunk = (uintptr_t)chunk;
      chunk->prev_chunk = (uintptr_t)last;
    } else {
      first_chunk = chunk;
    }
    last = chunk;
  }
  return first_chunk;
}

static QXLPalette *build_palette(struct arena *arena, const struct image *image) {
  uint32_t count = palette_size(image->format);
  QXLPalette *palette = arena_alloc(arena, sizeof *palette + count * sizeof(uint32_t));
  palette->unique = ((uint64_t)image->format << 32 | image->seed) + 1;
  palette->num_ents = (uint16_t)count;
  for (uint32_t i = 0; i < count; i++) palette->ents[i] = palette_entry(image, i);
  return palette;
}

/* The same contents have the same id, so a cache may be asked for them. */
static uint32_t unique_id(const struct image *image) {
  uint64_t id = image->seed;
  id = mix(id ^ (uint64_t)image->format << 56 ^ (uint64_t)image->width << 32 ^
           (uint64_t)image->height << 44);
  return (uint32_t)(id ^ id >> 32);
}

QXLImage *image_build(struct arena *arena, const struct image *image) {
  QXLImage *built = arena_alloc(arena, sizeof *built);
  built->descriptor.width = image->width;
  built->descriptor.height = image->height;
  if (image->type == IMAGE_SURFACE) {
    QXL_SET_IMAGE_ID(built, QXL_IMAGE_GROUP_DRIVER_DONT_CACHE, image->surface);
    built->descriptor.type = SPICE_IMAGE_TYPE_SURFACE;
    built->surface_image.surface_id = image->surface;
    return built;
  }
  uint32_t group = image->cache ? QXL_IMAGE_GROUP_DRIVER : QXL_IMAGE_GROUP_DRIVER_DONT_CACHE;
  QXL_SET_IMAGE_ID(built, group, unique_id(image));
  built->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
  built->descriptor.flags = image->cache ? QXL_IMAGE_CACHE : 0;
  built->bitmap.format = image->format;
  built->bitmap.flags = image->top_down ? QXL_BITMAP_TOP_DOWN : 0;
  built->bitmap.x = image->width;
  built->bitmap.y = image->height;
  built->bitmap.stride = stride_of(image);
  if (palette_size(image->format) > 0) {
    built->bitmap.palette = (uintptr_t)build_palette(arena, image);
  }
  QXLDataChunk *chunks = build_chunks(arena, image);
  if (image->chunks) {
    built->bitmap.data = (uintptr_t)chunks;
  } else {
    built->bitmap.flags |= QXL_BITMAP_DIRECT;
    built->bitmap.data = (uintptr_t)chunks->data;
  }
  return built;
}

static uint32_t color_of(const struct image *image, uint32_t value) {
  switch (image->format) {
    case SPICE_BITMAP_FMT_16BIT: {
      uint32_t red = value >> 10 & 31, green = value >> 5 & 31, blue = value & 31;
      return (red << 3 | red >> 2) << 16 | (green << 3 | green >> 2) << 8 | (blue << 3 | blue >> 2);
    }
    case SPICE_BITMAP_FMT_24BIT:
    case SPICE_BITMAP_FMT_32BIT:
    case SPICE_BITMAP_FMT_RGBA:
      return value;
    case SPICE_BITMAP_FMT_8BIT_A:
      return value << 24;
    default:
      return palette_entry(image, value);
  }
}

pixman_image_t *image_decode(const struct image *image) {
  bool has_alpha = image->format == SPICE_BITMAP_FMT_RGBA || image->format == SPICE_BITMAP_FMT_8BIT_A;
  pixman_image_t *decoded =
      pixman_image_create_bits(has_alpha ? PIXMAN_a8r8g8b8 : PIXMAN_x8r8g8b8, (int)image->width,
                               (int)image->height, NULL, (int)image->width * 4);
  uint32_t *pixels = pixman_image_get_data(decoded);
  for (uint32_t y = 0; y < image->height; y++) {
    for (uint32_t x = 0; x < image->width; x++) {
      *pixels++ = color_of(image, value_at(image, x, y));
    }
  }
  return decoded;
}

pixman_image_t *mask_decode(const struct mask *mask) {
  int width = (int)mask->image.width, height = (int)mask->image.height;
  pixman_image_t *decoded = pixman_image_create_bits(PIXMAN_a1, width, height, NULL, 0);
  uint8_t *bytes = (uint8_t *)pixman_image_get_data(decoded);
  int stride = pixman_image_get_stride(decoded);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      bool set = value_at(&mask->image, (uint32_t)x, (uint32_t)y) != 0;
      /* On little-endian hosts, the first pixel is the lowest bit. */
      if (set != mask->invert) bytes[y * stride + x / 8] |= (uint8_t)(1 << (x % 8));
    }
  }
  return decoded;
}

void random_fill(uint64_t seed, void *to, size_t size) {
  uint8_t *bytes = to;
  for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(next_random(&seed) >> 32);
}
