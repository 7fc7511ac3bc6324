/* The guest's buffers, inside the library; utm_shim.h has what callers see. */
#ifndef UTM_SCANOUT_H
#define UTM_SCANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iosurface.h"
#include "pixel_format.h"
#include "utm_shim.h"

/* The most pixels of one side. */
#define SCANOUT_SIDE_MAX 16384u
/* The most bytes of a row: padding may double it, hardly more. */
#define SCANOUT_STRIDE_MAX (4u * SCANOUT_SIDE_MAX * 2u)

struct utm_scanout {
  int32_t kind;           /* UTM_SCANOUT_* */
  int32_t fd;             /* the dmabuf, the memory, or the pipe that named an IOSurface */
  uint64_t id[2];         /* st_dev and st_ino of `fd` */
  uint32_t width, height; /* pixels */
  uint32_t stride;        /* bytes */
  uint32_t fourcc;        /* of DRM; for an IOSurface its own format */
  bool bottom_up;         /* row 0 in memory is the bottom line of the picture */
  IOSurfaceRef surface;   /* NULL for the other kinds */

  const struct pixel_format *format;
  uint32_t holders;
  bool copied;            /* `pixels` is a copy of ours, not a mapping of the buffer */
  uint8_t *pixels;        /* NULL until the CPU has read */
};

/* Holds a scanout beside whoever holds it already; they are on one thread. */
struct utm_scanout *scanout_hold(struct utm_scanout *scanout);

/* Ends a hold; the last one frees it. */
void scanout_release(struct utm_scanout *scanout);

/* Lets the CPU read `rows` rows from row `first` on, as they lie in memory, until
 * scanout_end: *pixels is the first byte of row 0, and of the other rows nothing may be
 * read. Returns 0, -EINVAL for rows that are not there, -EIO or another -errno. */
int32_t scanout_begin(struct utm_scanout *scanout, uint32_t first, uint32_t rows,
                      const uint8_t **pixels);
void scanout_end(struct utm_scanout *scanout);

/* Bytes from the first to behind the last pixel. */
uint64_t scanout_size(const struct utm_scanout *scanout);

/* What is different per platform: scanout_linux.c, scanout_darwin.c. */

/* Looks at scanout->fd, and fills in all that follows it in the struct from `shape` and
 * from the buffer, whose size has been checked then. Returns the kind; 0: it is
 * `previous` (NULL: there is none) once more, or -errno, and owns nothing more then. */
int32_t scanout_identify(struct utm_scanout *scanout, const uint32_t shape[5],
                         const struct utm_scanout *previous);

/* scanout_begin and scanout_end, for rows that are there. */
int32_t scanout_begin_rows(struct utm_scanout *scanout, uint32_t first, uint32_t rows,
                           const uint8_t **pixels);
void scanout_end_rows(struct utm_scanout *scanout);

/* Gives up what scanout_identify and scanout_begin_rows took; not the descriptor. */
void scanout_forget(struct utm_scanout *scanout);

#endif
