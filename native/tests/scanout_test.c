/* Buffers of plain memory on Linux: formats, both orientations, and what a sender
 * can do to them. */
#include "check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../scanout.h"

#define FOURCC(a, b, c, d) \
  ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

enum { WIDTH = 40, HEIGHT = 20, STRIDE = 192 };
static const uint32_t XR24 = FOURCC('X', 'R', '2', '4');

/* Memory of `size` bytes, sealed so that it can be mapped or not. */
static int make_memory(size_t size, bool sealed) {
  int fd = memfd_create("scanout", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  require(fd >= 0 && ftruncate(fd, (off_t)size) == 0, "memfd");
  if (sealed) require(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "F_ADD_SEALS");
  return fd;
}

/* The pixel at x, y counted from the first row in memory. */
static uint32_t pattern(uint32_t x, uint32_t y) {
  return x * 6 << 16 | y * 12 << 8 | (x ^ y);
}

static int make_picture(bool sealed) {
  int fd = make_memory(STRIDE * HEIGHT, sealed);
  for (uint32_t y = 0; y < HEIGHT; y++) {
    uint32_t row[WIDTH];
    for (uint32_t x = 0; x < WIDTH; x++) row[x] = pattern(x, y) | 0x5a000000; /* alpha */
    require(pwrite(fd, row, sizeof row, STRIDE * y) == sizeof row, "pwrite");
  }
  return fd;
}

static int32_t open_shape(int fd, uint32_t width, uint32_t height, uint32_t stride,
                          uint32_t fourcc, uint32_t flags, struct utm_scanout *previous,
                          struct utm_scanout **out) {
  const uint32_t shape[5] = {width, height, stride, fourcc, flags};
  return utm_shim_scanout_open(fd, shape, previous, out);
}

static int32_t open_picture(int fd, uint32_t flags, struct utm_scanout *previous,
                            struct utm_scanout **out) {
  return open_shape(fd, WIDTH, HEIGHT, STRIDE, XR24, flags, previous, out);
}

/* Whether the part at x, y is what the pattern says. */
static bool reads_right(struct utm_scanout *scanout, bool bottom_up, uint32_t x, uint32_t y,
                        uint32_t width, uint32_t height) {
  const uint32_t stride = width + 3;
  uint32_t *pixels = calloc((size_t)stride * height, sizeof *pixels);
  require(pixels != NULL, "calloc");
  uint64_t bytes = 0;
  bool right = utm_shim_scanout_read(scanout, x, y, width, height, pixels, stride, &bytes) == 0 &&
               bytes == 4u * width * height;
  for (uint32_t j = 0; right && j < height; j++) {
    uint32_t row = bottom_up ? HEIGHT - 1 - (y + j) : y + j;
    for (uint32_t i = 0; i < stride; i++) {
      uint32_t expected = i < width ? 0xff000000 | pattern(x + i, row) : 0;
      right = right && pixels[(size_t)j * stride + i] == expected;
    }
  }
  free(pixels);
  return right;
}

static void test_reads(void) {
  for (int sealed = 0; sealed < 2; sealed++) {
    for (uint32_t flags = 0; flags < 2; flags++) {
      struct utm_scanout *scanout;
      CHECK_EQUAL(open_picture(make_picture(sealed), flags, NULL, &scanout), UTM_SCANOUT_MEMORY);
      CHECK(reads_right(scanout, flags, 0, 0, WIDTH, HEIGHT));
      CHECK(reads_right(scanout, flags, 3, 5, 7, 11));
      CHECK(reads_right(scanout, flags, WIDTH - 1, HEIGHT - 1, 1, 1));
      CHECK(reads_right(scanout, flags, 0, 0, 1, 1));
      CHECK(reads_right(scanout, flags, 0, HEIGHT - 1, WIDTH, 1));
      CHECK_EQUAL(scanout->copied, !sealed);
      uint32_t shape[5];
      CHECK_EQUAL(utm_shim_scanout_shape(scanout, shape), UTM_SCANOUT_MEMORY);
      CHECK(shape[0] == WIDTH && shape[1] == HEIGHT && shape[2] == STRIDE && shape[3] == XR24 &&
            shape[4] == flags);
      CHECK_EQUAL(utm_shim_scanout_close(scanout), 0);
    }
  }
}

/* What is drawn after the buffer was opened and read once is read the next time. */
static void test_reads_what_is_there_now(void) {
  for (int sealed = 0; sealed < 2; sealed++) {
    int fd = make_picture(sealed);
    int ours = dup(fd);
    struct utm_scanout *scanout;
    require(open_picture(fd, 0, NULL, &scanout) > 0, "open");
    CHECK(reads_right(scanout, false, 0, 0, WIDTH, HEIGHT));
    const uint32_t red = 0x00ff0000;
    require(pwrite(ours, &red, sizeof red, STRIDE * 2 + 4 * 8) == sizeof red, "pwrite");
    uint32_t pixel = 0;
    uint64_t bytes;
    CHECK_EQUAL(utm_shim_scanout_read(scanout, 8, 2, 1, 1, &pixel, 1, &bytes), 0);
    CHECK_EQUAL(pixel, 0xffff0000);
    utm_shim_scanout_close(scanout);
    close(ours);
  }
}

static void test_two_byte_format(void) {
  const uint16_t row[3] = {0xf800, 0x07e0, 0x001f};
  int fd = make_memory(8 + sizeof row, true);
  require(pwrite(fd, row, sizeof row, 8) == sizeof row, "pwrite");
  struct utm_scanout *scanout;
  CHECK_EQUAL(open_shape(fd, 3, 2, 8, FOURCC('R', 'G', '1', '6'), 0, NULL, &scanout),
              UTM_SCANOUT_MEMORY); /* the last row has no padding */
  uint32_t pixels[3];
  uint64_t bytes;
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 1, 3, 1, pixels, 3, &bytes), 0);
  CHECK(pixels[0] == 0xffff0000 && pixels[1] == 0xff00ff00 && pixels[2] == 0xff0000ff);
  CHECK_EQUAL(bytes, 6);
  utm_shim_scanout_close(scanout);
}

static void test_parts_that_are_not_within(void) {
  static const uint32_t parts[][5] = {
    {0, 0, 0, 1, 1},           {0, 0, 1, 0, 1},
    {0, 0, WIDTH + 1, 1, 99},  {0, 0, 1, HEIGHT + 1, 1},
    {WIDTH, 0, 1, 1, 1},       {0, HEIGHT, 1, 1, 1},
    {1, 0, UINT32_MAX, 1, 99}, {0, 1, 1, UINT32_MAX, 1},
    {UINT32_MAX, 0, 2, 1, 2},  {0, UINT32_MAX, 1, 2, 1},
    {0, 0, 2, 1, 1},
  };
  struct utm_scanout *scanout;
  uint32_t pixel[2];
  uint64_t bytes;
  require(open_picture(make_picture(true), 0, NULL, &scanout) > 0, "open");
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    const uint32_t *p = parts[i];
    CHECK_EQUAL(utm_shim_scanout_read(scanout, p[0], p[1], p[2], p[3], pixel, p[4], &bytes),
                -EINVAL);
  }
  const uint8_t *memory;
  CHECK_EQUAL(scanout_begin(scanout, 0, HEIGHT + 1, &memory), -EINVAL);
  CHECK_EQUAL(scanout_begin(scanout, UINT32_MAX, 2, &memory), -EINVAL);
  utm_shim_scanout_close(scanout);
}

static void test_shapes_that_make_no_sense(void) {
  static const struct {
    uint32_t width, height, stride, fourcc;
    int32_t result;
  } cases[] = {
    {0, HEIGHT, STRIDE, XR24, -EINVAL},
    {WIDTH, 0, STRIDE, XR24, -EINVAL},
    {65535, HEIGHT, STRIDE, XR24, -EINVAL},
    {65535, 65535, 65535 * 4, XR24, -EINVAL},
    {16385, 1, 16385 * 4, XR24, -EINVAL},
    {UINT32_MAX, UINT32_MAX, UINT32_MAX, XR24, -EINVAL},
    {0x40000001, 1, 4, XR24, -EINVAL}, /* times 4 is 4 */
    {WIDTH, HEIGHT, 0, XR24, -EINVAL},
    {WIDTH, HEIGHT, WIDTH * 4 - 1, XR24, -EINVAL},
    {WIDTH, HEIGHT, STRIDE + 4, XR24, -EINVAL}, /* one more than it has */
    {WIDTH, HEIGHT + 1, STRIDE, XR24, -EINVAL},
    {WIDTH, HEIGHT, UINT32_MAX, XR24, -EINVAL},
    {16384, 16384, 16384 * 4, XR24, -EINVAL},
    {WIDTH, HEIGHT, STRIDE, 0, -ENOTSUP},
    {WIDTH, HEIGHT, STRIDE, FOURCC('N', 'V', '1', '2'), -ENOTSUP},
    {WIDTH, HEIGHT, STRIDE, 0xffffffff, -ENOTSUP},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct utm_scanout *scanout = (struct utm_scanout *)1;
    int fd = make_picture(true);
    CHECK_EQUAL(open_shape(fd, cases[i].width, cases[i].height, cases[i].stride,
                           cases[i].fourcc, 0, NULL, &scanout),
                cases[i].result);
    CHECK(scanout == NULL && !is_open(fd));
  }
}

/* Numbers at random, most of them near a border; the same ones each time. */
static uint32_t random_near(uint32_t border) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  switch (state >> 29) {
    case 0:
      return state;
    case 1:
      return state >> 8 & 0xffff;
    case 2:
      return 0u - (state >> 16 & 3);
    default:
      return border - 2 + (state >> 16 & 3);
  }
}

/* Whatever the message tells: what is opened can be read, all of it and nothing else. */
static void test_random_shapes(void) {
  static const uint32_t fourccs[] = {FOURCC('X', 'R', '2', '4'), FOURCC('R', 'G', '1', '6'),
                                     FOURCC('A', 'B', '3', '0')};
  uint32_t *pixels = malloc(sizeof *pixels * STRIDE * HEIGHT);
  int fds[2] = {make_picture(true), make_picture(false)};
  int opened = 0, refused = 0, parts = 0;
  require(pixels != NULL, "malloc");
  for (int i = 0; i < 20000; i++) {
    struct utm_scanout *scanout;
    int32_t result =
        open_shape(dup(fds[i % 2]), random_near(WIDTH), random_near(HEIGHT), random_near(STRIDE),
                   fourccs[i % 3], random_near(1), NULL, &scanout);
    if (result < 0) {
      refused++;
      continue;
    }
    opened++;
    uint64_t bytes;
    const uint32_t width = scanout->width, height = scanout->height;
    CHECK((uint64_t)width * height <= STRIDE * HEIGHT);
    CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 0, width, height, pixels, width, &bytes), 0);
    if (utm_shim_scanout_read(scanout, random_near(0), random_near(0), random_near(width),
                              random_near(height), pixels, width, &bytes) == 0) {
      parts++;
    }
    utm_shim_scanout_close(scanout);
  }
  CHECK(opened > 500 && refused > 500 && parts > 20);
  free(pixels);
  close(fds[0]);
  close(fds[1]);
}

static void test_other_descriptors(void) {
  int ends[2];
  int sockets[2];
  require(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "setup");
  const int fds[] = {ends[0], sockets[0], open("/dev/zero", O_RDONLY), open("/", O_RDONLY),
                     open("/proc/self/status", O_RDONLY), open("/proc/self/exe", O_RDONLY)};
  struct utm_scanout *scanout;
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    CHECK_EQUAL(open_picture(fds[i], 0, NULL, &scanout), -EBADF);
    CHECK(!is_open(fds[i]));
  }
  CHECK_EQUAL(open_picture(-1, 0, NULL, &scanout), -EBADF);
  close(ends[1]);
  close(sockets[1]);

  int fd = make_picture(true);
  CHECK_EQUAL(utm_shim_scanout_open(fd, NULL, NULL, &scanout), -EINVAL);
  CHECK(!is_open(fd));
  fd = make_picture(true);
  CHECK_EQUAL(open_picture(fd, 0, NULL, NULL), -EINVAL);
  CHECK(!is_open(fd));
  CHECK_EQUAL(utm_shim_scanout_close(NULL), -EINVAL);
}

/* A sender that makes its memory smaller gets an error into the picture, and us not killed. */
static void test_memory_that_shrinks(void) {
  int fd = make_picture(false);
  int ours = dup(fd);
  struct utm_scanout *scanout;
  require(open_picture(fd, 0, NULL, &scanout) > 0, "open");
  CHECK(reads_right(scanout, false, 0, 0, WIDTH, HEIGHT));
  require(ftruncate(ours, STRIDE) == 0, "ftruncate");
  uint32_t pixels[WIDTH];
  uint64_t bytes = 1;
  CHECK(reads_right(scanout, false, 0, 0, WIDTH, 1));
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 1, WIDTH, 1, pixels, WIDTH, &bytes), -EIO);
  CHECK_EQUAL(bytes, 0);
  require(ftruncate(ours, 0) == 0, "ftruncate");
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 0, 1, 1, pixels, 1, &bytes), -EIO);
  utm_shim_scanout_close(scanout);
  close(ours);
}

/* A seal keeps what there is then, which may be too little already. */
static void test_memory_that_is_sealed_once_it_has_shrunk(void) {
  int fd = make_picture(false);
  int ours = dup(fd);
  struct utm_scanout *scanout;
  uint32_t pixel;
  uint64_t bytes;
  require(open_picture(fd, 0, NULL, &scanout) > 0, "open");
  require(ftruncate(ours, 0) == 0 && fcntl(ours, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "seal");
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 0, 1, 1, &pixel, 1, &bytes), -EIO);
  require(ftruncate(ours, STRIDE * HEIGHT) == 0, "ftruncate");
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 0, 1, 1, &pixel, 1, &bytes), 0);
  utm_shim_scanout_close(scanout);
  close(ours);
}

/* Memory that we may only write to cannot be read, and that is all. */
static void test_memory_that_is_write_only(void) {
  int fd = make_picture(true);
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int writer = open(path, O_WRONLY);
  require(writer >= 0, path);
  struct utm_scanout *scanout;
  uint32_t pixel;
  uint64_t bytes;
  require(open_picture(writer, 0, NULL, &scanout) > 0, "open");
  CHECK(utm_shim_scanout_read(scanout, 0, 0, 1, 1, &pixel, 1, &bytes) < 0);
  utm_shim_scanout_close(scanout);
  close(fd);
}

static void test_the_same_once_more(void) {
  int fd = make_picture(true);
  int again = dup(fd);
  int turned = dup(fd);
  int other = make_picture(true);
  struct utm_scanout *scanout;
  struct utm_scanout *second;
  require(open_picture(fd, 0, NULL, &scanout) > 0, "open");
  CHECK_EQUAL(open_picture(again, 0, scanout, &second), 0);
  CHECK(second == NULL && !is_open(again));
  CHECK(reads_right(scanout, false, 0, 0, WIDTH, HEIGHT));
  CHECK_EQUAL(open_picture(turned, 1, scanout, &second), UTM_SCANOUT_MEMORY);
  CHECK(reads_right(second, true, 0, 0, WIDTH, HEIGHT));
  utm_shim_scanout_close(second);
  CHECK_EQUAL(open_picture(other, 0, scanout, &second), UTM_SCANOUT_MEMORY);
  utm_shim_scanout_close(second);
  utm_shim_scanout_close(scanout);
}

static void test_holders(void) {
  int fd = make_picture(true);
  struct utm_scanout *scanout;
  require(open_picture(fd, 0, NULL, &scanout) > 0, "open");
  struct utm_scanout *held = scanout_hold(scanout);
  utm_shim_scanout_close(scanout);
  CHECK(is_open(fd));
  CHECK(reads_right(held, false, 0, 0, WIDTH, HEIGHT));
  scanout_release(held);
  CHECK(!is_open(fd));
}

static long resident_pages(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  long size = 0, resident = 0;
  require(file && fscanf(file, "%ld %ld", &size, &resident) == 2, "/proc/self/statm");
  fclose(file);
  return resident;
}

/* A guest that flips between two buffers; descriptors are counted by the runner. */
static void test_flood(void) {
  enum { FLIPS = 10000 };
  int buffers[2] = {make_picture(true), make_picture(false)};
  struct utm_scanout *current = NULL;
  bool right = true;
  long before = 0;
  for (int i = 0; i < FLIPS && right; i++) {
    struct utm_scanout *next;
    right = open_picture(dup(buffers[i % 2]), i % 3 == 0, current, &next) > 0;
    if (current) utm_shim_scanout_close(current);
    current = next;
    if (i % 100 == 0) right = right && reads_right(current, i % 3 == 0, 1, 1, 4, 4);
    if (i == FLIPS / 10) before = resident_pages();
  }
  CHECK(right);
  long grown = resident_pages() - before;
  if (!CHECK(grown < 2048)) printf("  by %ld pages\n", grown); /* ASan keeps what is freed */
  utm_shim_scanout_close(current);
  close(buffers[0]);
  close(buffers[1]);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_reads,
    test_reads_what_is_there_now,
    test_two_byte_format,
    test_parts_that_are_not_within,
    test_shapes_that_make_no_sense,
    test_random_shapes,
    test_other_descriptors,
    test_memory_that_shrinks,
    test_memory_that_is_sealed_once_it_has_shrunk,
    test_memory_that_is_write_only,
    test_the_same_once_more,
    test_holders,
    test_flood,
    NULL,
  };
  return run_tests("scanouts", tests);
}
