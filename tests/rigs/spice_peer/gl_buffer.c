/* Buffers as a guest's GPU would hand them over: a memfd with a picture in it, in any pixel
 * format, or a pipe with the number of a surface. The picture follows from a seed, so that what a
 * client has made of it can be compared word by word. */
#include "gl_buffer.h"

#include "../../../native/tests/standin/iosurface_standin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_SIDE = 16384 };

/* Where a channel is in a pixel's little-endian number. */
struct channel {
  uint8_t shift, bits;
};

struct gl_format {
  char name[5]; /* as DRM spells it */
  uint8_t bytes;
  struct channel r, g, b;
};

/* Source: drm_fourcc.h. What is not a channel (X, or alpha, which means nothing on a screen) is
 * filled with noise. */
static const struct gl_format FORMATS[] = {
    {"XR24", 4, {16, 8}, {8, 8}, {0, 8}},    {"AR24", 4, {16, 8}, {8, 8}, {0, 8}},
    {"XB24", 4, {0, 8}, {8, 8}, {16, 8}},    {"AB24", 4, {0, 8}, {8, 8}, {16, 8}},
    {"RX24", 4, {24, 8}, {16, 8}, {8, 8}},   {"RA24", 4, {24, 8}, {16, 8}, {8, 8}},
    {"BX24", 4, {8, 8}, {16, 8}, {24, 8}},   {"BA24", 4, {8, 8}, {16, 8}, {24, 8}},
    {"XR30", 4, {20, 10}, {10, 10}, {0, 10}}, {"AR30", 4, {20, 10}, {10, 10}, {0, 10}},
    {"XB30", 4, {0, 10}, {10, 10}, {20, 10}}, {"AB30", 4, {0, 10}, {10, 10}, {20, 10}},
    {"RG24", 3, {16, 8}, {8, 8}, {0, 8}},    {"BG24", 3, {0, 8}, {8, 8}, {16, 8}},
    {"RG16", 2, {11, 5}, {5, 6}, {0, 5}},    {"BG16", 2, {0, 5}, {5, 6}, {11, 5}},
};

/* Source: kCVPixelFormatType_32BGRA and _32RGBA, multi-character constants that name the bytes in
 * memory's order. */
static const struct {
  char name[5];
  char as[5];
} SURFACE_FORMATS[] = {{"BGRA", "AR24"}, {"RGBA", "AB24"}};

static const struct gl_format *format_by_name(const char *name) {
  for (size_t i = 0; i < sizeof FORMATS / sizeof *FORMATS; i++) {
    if (strcmp(FORMATS[i].name, name) == 0) return &FORMATS[i];
  }
  return NULL;
}

uint32_t gl_fourcc(const char *name) {
  uint32_t code = 0;
  for (int i = 0; i < 4 && name[i]; i++) code |= (uint32_t)(uint8_t)name[i] << 8 * i;
  return code;
}

static uint32_t multi_character(const char *name) {
  return (uint32_t)(uint8_t)name[0] << 24 | (uint32_t)(uint8_t)name[1] << 16 |
         (uint32_t)(uint8_t)name[2] << 8 | (uint8_t)name[3];
}

/* ---- pictures ---- */

static uint32_t noise(uint32_t seed, uint32_t x, uint32_t y) {
  uint32_t n = seed * 0x9e3779b1u ^ x * 0x85ebca77u ^ y * 0xc2b2ae3du;
  n = (n ^ n >> 15) * 0x2c1b3c6du;
  n = (n ^ n >> 12) * 0x297a2d39u;
  return n ^ n >> 15;
}

/* 8 bits to another number of bits, keeping the ends. */
static uint32_t scale(uint32_t value, int bits) {
  return bits == 10 ? value << 2 | value >> 6 : value >> (8 - bits);
}

/* And back, as a GPU and a division do it: the nearest one. */
static uint32_t unscale(uint32_t value, int bits) {
  uint32_t most = (1u << bits) - 1;
  return (value * 255 * 2 + most) / (2 * most);
}

static uint32_t put(struct channel channel, uint32_t *pixel, uint32_t value) {
  uint32_t mask = ((1u << channel.bits) - 1) << channel.shift;
  uint32_t scaled = scale(value, channel.bits);
  *pixel = (*pixel & ~mask) | scaled << channel.shift;
  return unscale(scaled, channel.bits);
}

static void paint_pixel(struct gl_buffer *buffer, uint32_t seed, uint32_t x, uint32_t y) {
  const struct gl_format *format = buffer->format;
  if (!buffer->rows) return; /* there is only a number */
  uint32_t color = noise(seed, x, y);
  uint32_t pixel = noise(~seed, x, y);
  uint32_t r = put(format->r, &pixel, color >> 16 & 0xff);
  uint32_t g = put(format->g, &pixel, color >> 8 & 0xff);
  uint32_t b = put(format->b, &pixel, color & 0xff);
  buffer->picture[(size_t)y * buffer->width + x] = 0xff000000u | r << 16 | g << 8 | b;
  uint32_t row = buffer->bottom_up ? buffer->height - 1 - y : y;
  memcpy(buffer->rows + (size_t)row * buffer->row_bytes + (size_t)x * format->bytes, &pixel,
         format->bytes);
}

void gl_buffer_paint(struct gl_buffer *buffer, uint32_t seed, const struct rect *area) {
  for (int32_t y = area->y; y < area->y + area->h; y++) {
    for (int32_t x = area->x; x < area->x + area->w; x++) {
      paint_pixel(buffer, seed, (uint32_t)x, (uint32_t)y);
    }
  }
}

/* ---- memory and pipes ---- */

static const char *make_memory(struct gl_buffer *buffer, const struct gl_request *request) {
  buffer->format = format_by_name(request->format);
  if (!buffer->format) return "no such format";
  uint32_t least = request->width * buffer->format->bytes;
  buffer->row_bytes = request->stride ? request->stride : (least + 3) / 4 * 4;
  if (buffer->row_bytes < least) return "the stride is less than a row";
  buffer->bottom_up = request->y0top; /* the flag means the opposite of its name */
  buffer->size = (size_t)buffer->row_bytes * buffer->height;
  buffer->fd = memfd_create("spice_peer", MFD_CLOEXEC | (request->loose ? 0 : MFD_ALLOW_SEALING));
  if (buffer->fd < 0 || ftruncate(buffer->fd, (off_t)buffer->size) != 0 ||
      (!request->loose && fcntl(buffer->fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0)) {
    return strerror(errno);
  }
  void *at = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
  if (at == MAP_FAILED) return strerror(errno);
  buffer->rows = at;
  buffer->is_mapped = true;
  buffer->stride = buffer->row_bytes;
  buffer->fourcc = gl_fourcc(request->format);
  return NULL;
}

/* Writes what a QEMU writes into a pipe, or less, or more. */
static const char *make_pipe(struct gl_buffer *buffer, const struct gl_request *request,
                             uint32_t id) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return strerror(errno);
  buffer->fd = ends[0];
  buffer->write_end = ends[1];
  uint8_t bytes[16] = {0};
  memcpy(bytes, &id, sizeof id);
  if (request->bytes > 0 && write(ends[1], bytes, (size_t)request->bytes) != request->bytes) {
    return strerror(errno);
  }
  if (request->hung) {
    close(buffer->write_end);
    buffer->write_end = -1;
  }
  return NULL;
}

static const char *make_surface(struct gl_buffer *buffer, const struct gl_request *request) {
  const char *as = NULL;
  for (size_t i = 0; i < sizeof SURFACE_FORMATS / sizeof *SURFACE_FORMATS; i++) {
    if (strcmp(SURFACE_FORMATS[i].name, request->format) == 0) as = SURFACE_FORMATS[i].as;
  }
  if (!as) return "no such format of surfaces";
  buffer->format = format_by_name(as);
  buffer->stride = 0;
  buffer->fourcc = multi_character(request->format);
  if (request->id) return make_pipe(buffer, request, request->id);
  struct iosurface_standin shape = {.width = buffer->width,
                                    .height = buffer->height,
                                    .format = buffer->fourcc,
                                    .bytes_per_row = request->stride,
                                    .planes = request->planes,
                                    .hidden = request->hidden};
  buffer->surface = iosurface_standin_make(&shape);
  if (!buffer->surface) return "the system makes no such surface";
  IOSurfaceLock(buffer->surface, 0, NULL); /* for as long as there is the buffer */
  buffer->rows = IOSurfaceGetBaseAddress(buffer->surface);
  buffer->row_bytes = (uint32_t)IOSurfaceGetBytesPerRow(buffer->surface);
  return make_pipe(buffer, request, IOSurfaceGetID(buffer->surface));
}

static void claim(struct gl_buffer *buffer, const struct gl_request *request) {
  buffer->claim[GL_WIDTH] = buffer->width;
  buffer->claim[GL_HEIGHT] = buffer->height;
  buffer->claim[GL_STRIDE] = buffer->stride;
  buffer->claim[GL_FOURCC] = buffer->fourcc;
  for (int i = 0; i < GL_CLAIMS; i++) {
    if (request->claims & 1u << i) buffer->claim[i] = request->claim[i];
  }
}

const char *gl_buffer_new(struct gl_buffer **out, const struct gl_request *request) {
  if (request->width < 1 || request->height < 1 || request->width > MAX_SIDE ||
      request->height > MAX_SIDE) {
    return "no such size";
  }
  struct gl_buffer *buffer = zalloc(sizeof *buffer);
  *buffer = (struct gl_buffer){.width = request->width,
                               .height = request->height,
                               .y0top = request->y0top,
                               .fd = -1,
                               .write_end = -1};
  const char *error = request->pipe ? make_surface(buffer, request) : make_memory(buffer, request);
  if (error) {
    gl_buffer_free(buffer);
    return error;
  }
  buffer->picture = zalloc((size_t)buffer->width * buffer->height * 4);
  claim(buffer, request);
  struct rect all = {0, 0, (int32_t)buffer->width, (int32_t)buffer->height};
  gl_buffer_paint(buffer, request->seed, &all);
  *out = buffer;
  return NULL;
}

static void unmap(struct gl_buffer *buffer) {
  if (buffer->is_mapped) munmap(buffer->rows, buffer->size);
  buffer->is_mapped = false;
  buffer->rows = NULL;
}

const char *gl_buffer_cut(struct gl_buffer *buffer) {
  if (!buffer->is_mapped) return "there is no memfd";
  unmap(buffer); /* painting what is not there would end us */
  return ftruncate(buffer->fd, 1) == 0 ? NULL : strerror(errno);
}

void gl_buffer_free(struct gl_buffer *buffer) {
  if (!buffer) return;
  unmap(buffer);
  if (buffer->fd >= 0) close(buffer->fd);
  if (buffer->write_end >= 0) close(buffer->write_end);
  if (buffer->surface) {
    IOSurfaceUnlock(buffer->surface, 0, NULL);
    CFRelease(buffer->surface);
  }
  free(buffer->picture);
  free(buffer);
}
