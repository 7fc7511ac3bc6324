/* Dmabufs without a GPU: the kernel's answers are given here (the linker wraps fstatfs
 * and ioctl), and what the library asks of it is written down. */
#include "check.h"

#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>

#include "../scanout.h"

enum { WIDTH = 8, HEIGHT = 4, STRIDE = 64 };
static const uint32_t XR24 = 0x34325258;

/* The memory that answers as a dmabuf. */
static int dmabuf = -1;
static int brackets;   /* started and not ended */
static int reads;      /* brackets that were started */
static int interrupts; /* how often the next one is to be interrupted */
static int refusal;    /* errno of the next one */

int __real_fstatfs(int fd, struct statfs *system);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_fstatfs(int fd, struct statfs *system);
int __wrap_ioctl(int fd, unsigned long request, ...);

int __wrap_fstatfs(int fd, struct statfs *system) {
  int result = __real_fstatfs(fd, system);
  if (result == 0 && fd == dmabuf) system->f_type = DMA_BUF_MAGIC;
  return result;
}

static int sync_as_kernel(const struct dma_buf_sync *sync) {
  if (interrupts > 0) {
    interrupts--;
    errno = interrupts % 2 ? EINTR : EAGAIN;
    return -1;
  }
  if (refusal) {
    errno = refusal;
    return -1;
  }
  if ((sync->flags & DMA_BUF_SYNC_RW) != DMA_BUF_SYNC_READ) {
    errno = EINVAL;
    return -1;
  }
  if (sync->flags & DMA_BUF_SYNC_END) {
    brackets--;
  } else {
    brackets++;
    reads++;
  }
  return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (fd == dmabuf && request == DMA_BUF_IOCTL_SYNC) return sync_as_kernel(argument);
  return __real_ioctl(fd, request, argument);
}

static struct utm_scanout *open_dmabuf(void) {
  const uint32_t shape[5] = {WIDTH, HEIGHT, STRIDE, XR24, 0};
  int fd = memfd_create("dmabuf", MFD_CLOEXEC);
  require(fd >= 0 && ftruncate(fd, STRIDE * HEIGHT) == 0, "memfd");
  const uint32_t pixel = 0x00123456;
  require(pwrite(fd, &pixel, sizeof pixel, STRIDE * 2 + 4) == sizeof pixel, "pwrite");
  dmabuf = fd;
  struct utm_scanout *scanout = NULL;
  CHECK_EQUAL(utm_shim_scanout_open(fd, shape, NULL, &scanout), UTM_SCANOUT_DMABUF);
  require(scanout != NULL, "open");
  brackets = reads = interrupts = refusal = 0;
  return scanout;
}

static int32_t read_pixel(struct utm_scanout *scanout, uint32_t *pixel) {
  uint64_t bytes;
  *pixel = 0;
  return utm_shim_scanout_read(scanout, 1, 2, 1, 1, pixel, 1, &bytes);
}

static void test_reads_are_bracketed(void) {
  struct utm_scanout *scanout = open_dmabuf();
  uint32_t pixel;
  for (int i = 1; i <= 3; i++) {
    CHECK_EQUAL(read_pixel(scanout, &pixel), 0);
    CHECK_EQUAL(pixel, 0xff123456);
    CHECK_EQUAL(reads, i);
    CHECK_EQUAL(brackets, 0);
  }
  const uint8_t *memory;
  CHECK_EQUAL(scanout_begin(scanout, 0, HEIGHT, &memory), 0);
  CHECK_EQUAL(brackets, 1);
  scanout_end(scanout);
  CHECK_EQUAL(brackets, 0);
  CHECK(!scanout->copied);
  utm_shim_scanout_close(scanout);
}

static void test_interrupts(void) {
  struct utm_scanout *scanout = open_dmabuf();
  uint32_t pixel;
  interrupts = 5;
  CHECK_EQUAL(read_pixel(scanout, &pixel), 0);
  CHECK_EQUAL(reads, 1);
  CHECK_EQUAL(brackets, 0);
  utm_shim_scanout_close(scanout);
}

static void test_refusal(void) {
  struct utm_scanout *scanout = open_dmabuf();
  uint32_t pixel;
  refusal = EIO;
  CHECK_EQUAL(read_pixel(scanout, &pixel), -EIO);
  CHECK_EQUAL(pixel, 0);
  refusal = 0;
  CHECK_EQUAL(read_pixel(scanout, &pixel), 0);
  utm_shim_scanout_close(scanout);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_reads_are_bracketed, test_interrupts, test_refusal, NULL,
  };
  return run_tests("dmabufs", tests);
}
