/* Buffers that a scanout hands over; gl.c's. */
#ifndef SPICE_PEER_GL_BUFFER_H
#define SPICE_PEER_GL_BUFFER_H

#include "peer.h"

enum { GL_WIDTH, GL_HEIGHT, GL_STRIDE, GL_FOURCC, GL_CLAIMS };

/* What a scanout is to be made of. */
struct gl_request {
  bool pipe; /* a pipe with the number of a surface; else a memfd */
  uint32_t width, height;
  char format[5]; /* a DRM fourcc, or "BGRA", "RGBA" of a surface */
  uint32_t stride; /* bytes of a row; 0: as few as there can be */
  bool y0top;
  uint32_t seed;
  uint32_t claims; /* 1 << GL_*: the message says otherwise */
  uint32_t claim[GL_CLAIMS];
  bool loose;  /* a memfd that may be cut off later: it is not sealed */
  int bytes;   /* in the pipe */
  bool hung;   /* the pipe's write end is closed already */
  uint32_t id; /* a number without a surface; 0: that of a new one */
  uint32_t planes; /* of the surface */
  bool hidden;     /* other processes do not find the surface */
};

struct gl_format;
struct __IOSurface;

struct gl_buffer {
  uint32_t width, height, stride, fourcc;
  bool y0top;
  uint32_t claim[GL_CLAIMS]; /* what the message says */
  int fd;                    /* owned; the server gets duplicates */
  int write_end;             /* of a pipe, or -1 */
  struct __IOSurface *surface; /* owned, or NULL */
  const struct gl_format *format;
  uint8_t *rows;
  uint32_t row_bytes;
  size_t size;
  bool is_mapped;
  bool bottom_up;
  uint32_t *picture; /* as it is to be shown: 0xffRRGGBB, top line first */
};

/* Makes one; the caller owns *out. Returns what is wrong, or NULL. */
const char *gl_buffer_new(struct gl_buffer **out, const struct gl_request *request);
void gl_buffer_free(struct gl_buffer *buffer); /* or NULL */
/* Paints an area, which must lie within. */
void gl_buffer_paint(struct gl_buffer *buffer, uint32_t seed, const struct rect *area);
/* Cuts a memfd off behind its first byte; nothing is painted any more. */
const char *gl_buffer_cut(struct gl_buffer *buffer);
/* "XR24" as a number. */
uint32_t gl_fourcc(const char *name);

#endif
