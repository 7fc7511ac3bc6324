/* Linux: dmabufs of a GPU, and plain memory where there is none. */
#include "scanout.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Dmabufs have a file system of their own since Linux 5.3. Of the others memory
 * alone is taken: a read of a file elsewhere can last as long as its server likes. */
static int32_t kind_of(int32_t fd) {
  struct statfs system;
  struct stat info;
  if (fstatfs(fd, &system) != 0 || fstat(fd, &info) != 0) return -errno;
  if ((uint32_t)system.f_type == DMA_BUF_MAGIC) return UTM_SCANOUT_DMABUF;
  if (!S_ISREG(info.st_mode)) return -EBADF;
  return (uint32_t)system.f_type == TMPFS_MAGIC ? UTM_SCANOUT_MEMORY : -EBADF;
}

/* Bytes of the buffer; only its end tells that of a dmabuf. */
static int64_t size_of(const struct utm_scanout *scanout) {
  struct stat info;
  if (scanout->kind == UTM_SCANOUT_DMABUF) return lseek(scanout->fd, 0, SEEK_END);
  return fstat(scanout->fd, &info) == 0 ? (int64_t)info.st_size : -1;
}

static bool is_large_enough(const struct utm_scanout *scanout) {
  int64_t size = size_of(scanout);
  return size >= 0 && (uint64_t)size >= scanout_size(scanout);
}

static bool is_same(const struct utm_scanout *a, const struct utm_scanout *b) {
  return a->kind == b->kind && a->id[0] == b->id[0] && a->id[1] == b->id[1] &&
         a->width == b->width && a->height == b->height && a->stride == b->stride &&
         a->fourcc == b->fourcc && a->bottom_up == b->bottom_up;
}

int32_t scanout_identify(struct utm_scanout *scanout, const uint32_t shape[5],
                         const struct utm_scanout *previous) {
  scanout->kind = kind_of(scanout->fd);
  if (scanout->kind < 0) return scanout->kind;
  scanout->width = shape[0];
  scanout->height = shape[1];
  scanout->stride = shape[2];
  scanout->fourcc = shape[3];
  /* The flag is called Y0TOP, and is set where row 0 is the bottom line. */
  scanout->bottom_up = (shape[4] & 1) != 0;
  scanout->format = pixel_format_of_drm(shape[3]);
  if (!scanout->format) return -ENOTSUP;
  if (scanout->stride < scanout->width * scanout->format->bytes ||
      scanout->stride > SCANOUT_STRIDE_MAX) {
    return -EINVAL;
  }
  if (!is_large_enough(scanout)) return -EINVAL;
  return previous && is_same(scanout, previous) ? 0 : scanout->kind;
}

static int32_t map(struct utm_scanout *scanout) {
  void *at = mmap(NULL, scanout_size(scanout), PROT_READ, MAP_SHARED, scanout->fd, 0);
  if (at == MAP_FAILED) return -errno;
  scanout->pixels = at;
  return 0;
}

/* Memory that its sender can make smaller would end us with SIGBUS if it were
 * mapped. The seal can be set, never taken back. */
static bool can_shrink(const struct utm_scanout *scanout) {
  if (scanout->kind == UTM_SCANOUT_DMABUF) return false;
  int seals = fcntl(scanout->fd, F_GET_SEALS);
  return seals < 0 || !(seals & F_SEAL_SHRINK);
}

/* Makes room for the pixels: a mapping, or memory that is filled at each read. */
static int32_t prepare(struct utm_scanout *scanout) {
  scanout->copied = can_shrink(scanout);
  if (!scanout->copied) {
    /* It may have been made smaller before it was sealed, which is what counts. */
    return is_large_enough(scanout) ? map(scanout) : -EIO;
  }
  scanout->pixels = malloc(scanout_size(scanout));
  return scanout->pixels ? 0 : -ENOMEM;
}

static int32_t copy_rows(struct utm_scanout *scanout, uint32_t first, uint32_t rows) {
  uint64_t at = (uint64_t)first * scanout->stride;
  uint64_t end = (uint64_t)(first + rows) * scanout->stride;
  if (end > scanout_size(scanout)) end = scanout_size(scanout);
  while (at < end) {
    ssize_t count = pread(scanout->fd, scanout->pixels + at, end - at, (off_t)at);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) return -EIO; /* it was made smaller */
    at += (uint64_t)count;
  }
  return 0;
}

/* Tells the GPU's driver that the CPU begins or ends to read. */
static int32_t sync_dmabuf(const struct utm_scanout *scanout, uint64_t flags) {
  struct dma_buf_sync sync = {.flags = flags | DMA_BUF_SYNC_READ};
  int result;
  do result = ioctl(scanout->fd, DMA_BUF_IOCTL_SYNC, &sync);
  while (result != 0 && (errno == EINTR || errno == EAGAIN));
  return result == 0 ? 0 : -errno;
}

int32_t scanout_begin_rows(struct utm_scanout *scanout, uint32_t first, uint32_t rows,
                           const uint8_t **pixels) {
  int32_t result = scanout->pixels ? 0 : prepare(scanout);
  if (result == 0 && scanout->copied) result = copy_rows(scanout, first, rows);
  if (result == 0 && scanout->kind == UTM_SCANOUT_DMABUF) {
    result = sync_dmabuf(scanout, DMA_BUF_SYNC_START);
  }
  if (result == 0) *pixels = scanout->pixels;
  return result;
}

void scanout_end_rows(struct utm_scanout *scanout) {
  if (scanout->kind == UTM_SCANOUT_DMABUF) sync_dmabuf(scanout, DMA_BUF_SYNC_END);
}

void scanout_forget(struct utm_scanout *scanout) {
  if (scanout->copied) {
    free(scanout->pixels);
  } else if (scanout->pixels) {
    munmap(scanout->pixels, scanout_size(scanout));
  }
}
