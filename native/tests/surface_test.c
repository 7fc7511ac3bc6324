/* Scanouts as macOS has them: pipes with ids of IOSurfaces. Runs against the frameworks, on
 * Linux against the stand-in. */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "../iosurface.h"
#include "../scanout.h"

enum { WIDTH = 37, HEIGHT = 11 };

static IOSurfaceRef make_surface(uint32_t width, uint32_t height, uint32_t format,
                                 uint32_t bytes_per_element) {
  const struct iosurface_shape shape = {.width = width, .height = height, .format = format,
                                        .bytes_per_element = bytes_per_element};
  IOSurfaceRef surface;
  require(iosurface_create(&shape, &surface) == 0, "iosurface_create");
  return surface;
}

/* Fills a surface as QEMU would: red x, green y, blue `blue`, alpha 0. */
static void draw(IOSurfaceRef surface, uint8_t blue) {
  const struct iosurface_functions *f = iosurface_functions();
  struct iosurface_shape shape;
  require(iosurface_describe(surface, &shape) == 0, "iosurface_describe");
  require(f->IOSurfaceLock(surface, 0, NULL) == 0, "IOSurfaceLock");
  uint8_t *top = f->IOSurfaceGetBaseAddress(surface);
  for (uint32_t y = 0; y < shape.height; y++) {
    for (uint32_t x = 0; x < shape.width; x++) {
      uint8_t *pixel = top + (size_t)y * shape.stride + 4 * (size_t)x;
      const bool is_bgra = shape.format == IOSURFACE_BGRA;
      pixel[is_bgra ? 2 : 0] = (uint8_t)x;
      pixel[1] = (uint8_t)y;
      pixel[is_bgra ? 0 : 2] = blue;
      pixel[3] = 0;
    }
  }
  f->IOSurfaceUnlock(surface, 0, NULL);
}

static IOSurfaceRef make_picture(uint8_t blue) {
  IOSurfaceRef surface = make_surface(WIDTH, HEIGHT, IOSURFACE_BGRA, 4);
  draw(surface, blue);
  return surface;
}

/* Makes a pipe with `bytes` bytes in it, the id first. Returns the end to read. */
static int make_pipe(uint32_t id, size_t bytes, int *end) {
  int ends[2];
  const uint32_t words[2] = {id, 0};
  require(pipe(ends) == 0, "pipe");
  require(bytes == 0 || write(ends[1], words, bytes) == (ssize_t)bytes, "write");
  *end = ends[1];
  return ends[0];
}

/* As QEMU sends it: stride 0, a code that is no DRM fourcc, and a flag to be ignored. */
static int32_t open_pipe(int pipe, uint32_t width, uint32_t height, struct utm_scanout *previous,
                         struct utm_scanout **out) {
  const uint32_t shape[5] = {width, height, 0, IOSURFACE_BGRA, 1};
  return utm_shim_scanout_open(pipe, shape, previous, out);
}

static bool reads_right(struct utm_scanout *scanout, uint8_t blue, uint32_t x, uint32_t y,
                        uint32_t width, uint32_t height) {
  uint32_t *pixels = calloc((size_t)width * height, sizeof *pixels);
  uint64_t bytes = 0;
  require(pixels != NULL, "calloc");
  bool right = utm_shim_scanout_read(scanout, x, y, width, height, pixels, width, &bytes) == 0 &&
               bytes == 4u * width * height;
  for (uint32_t i = 0; right && i < width * height; i++) {
    right = pixels[i] == (0xff000000 | (x + i % width) << 16 | (y + i / width) << 8 | blue);
  }
  free(pixels);
  return right;
}

static void test_formats(void) {
  static const uint32_t formats[] = {IOSURFACE_BGRA, IOSURFACE_RGBA};
  for (int i = 0; i < 2; i++) {
    IOSurfaceRef surface = make_surface(WIDTH, HEIGHT, formats[i], 4);
    draw(surface, 77);
    int end;
    struct utm_scanout *scanout;
    int pipe = make_pipe(iosurface_id(surface), 4, &end);
    CHECK_EQUAL(open_pipe(pipe, WIDTH, HEIGHT, NULL, &scanout), UTM_SCANOUT_IOSURFACE);
    CHECK(reads_right(scanout, 77, 0, 0, WIDTH, HEIGHT));
    CHECK(reads_right(scanout, 77, 5, 3, 7, 4));
    uint32_t shape[5];
    CHECK_EQUAL(utm_shim_scanout_shape(scanout, shape), UTM_SCANOUT_IOSURFACE);
    CHECK(shape[0] == WIDTH && shape[1] == HEIGHT && shape[2] >= WIDTH * 4 &&
          shape[3] == formats[i] && shape[4] == 0);
    utm_shim_scanout_close(scanout);
    iosurface_release(surface);
    close(end);
  }
}

/* The same surface in a new pipe, drawn into meanwhile: what is read is what is there. */
static void test_surface_that_is_kept(void) {
  IOSurfaceRef surface = make_picture(1);
  int ends[2];
  struct utm_scanout *first;
  struct utm_scanout *second;
  require(open_pipe(make_pipe(iosurface_id(surface), 4, &ends[0]), WIDTH, HEIGHT, NULL, &first) >
              0, "open");
  CHECK(reads_right(first, 1, 0, 0, WIDTH, HEIGHT));
  CHECK_EQUAL(open_pipe(make_pipe(iosurface_id(surface), 4, &ends[1]), WIDTH, HEIGHT, first,
                        &second),
              UTM_SCANOUT_IOSURFACE);
  draw(surface, 2);
  CHECK(reads_right(second, 2, 0, 0, WIDTH, HEIGHT));
  utm_shim_scanout_close(first);
  CHECK(reads_right(second, 2, 0, 0, WIDTH, HEIGHT));
  utm_shim_scanout_close(second);
  iosurface_release(surface);
  close(ends[0]);
  close(ends[1]);
}

/* A repeated message brings a copy of the pipe, whose id is gone: it is known by the pipe. */
static void test_the_same_pipe_once_more(void) {
  IOSurfaceRef surface = make_picture(3);
  int end;
  int other_end;
  int pipe = make_pipe(iosurface_id(surface), 4, &end);
  int copies[3] = {dup(pipe), dup(pipe), dup(pipe)};
  int empty = make_pipe(0, 0, &other_end);
  struct utm_scanout *scanout;
  struct utm_scanout *second;
  require(open_pipe(pipe, WIDTH, HEIGHT, NULL, &scanout) > 0, "open");
  CHECK_EQUAL(open_pipe(copies[0], WIDTH, HEIGHT, scanout, &second), 0);
  CHECK(second == NULL && !is_open(copies[0]));
  CHECK(reads_right(scanout, 3, 0, 0, WIDTH, HEIGHT));
  /* Somebody who has not seen it the first time can do nothing with it. */
  CHECK_EQUAL(open_pipe(copies[1], WIDTH, HEIGHT, NULL, &second), -ESTALE);
  CHECK_EQUAL(open_pipe(empty, WIDTH, HEIGHT, scanout, &second), -ESTALE);
  close(end);
  CHECK_EQUAL(open_pipe(copies[2], WIDTH, HEIGHT, scanout, &second), -ESTALE); /* old by now */
  CHECK(reads_right(scanout, 3, 0, 0, WIDTH, HEIGHT));
  for (int i = 0; i < 3; i++) CHECK(!is_open(copies[i]));
  CHECK(!is_open(empty));
  utm_shim_scanout_close(scanout);
  iosurface_release(surface);
  close(other_end);
}

static void test_pipe_that_was_replaced(void) {
  IOSurfaceRef surface = make_picture(4);
  int end;
  struct utm_scanout *scanout;
  int pipe = make_pipe(iosurface_id(surface), 4, &end);
  close(end);
  CHECK_EQUAL(open_pipe(pipe, WIDTH, HEIGHT, NULL, &scanout), -ESTALE);
  CHECK(!is_open(pipe));
  iosurface_release(surface);
}

static void test_pipes_without_an_id(void) {
  static const struct {
    size_t bytes;
    int32_t result;
  } cases[] = {{0, -ESTALE}, {3, -EPROTO}, {8, -EPROTO}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int end;
    struct utm_scanout *scanout = (struct utm_scanout *)1;
    int pipe = make_pipe(1, cases[i].bytes, &end);
    CHECK_EQUAL(open_pipe(pipe, WIDTH, HEIGHT, NULL, &scanout), cases[i].result);
    CHECK(scanout == NULL && !is_open(pipe));
    close(end);
  }
  struct utm_scanout *scanout;
  CHECK_EQUAL(open_pipe(open("/dev/null", O_RDONLY), WIDTH, HEIGHT, NULL, &scanout), -EBADF);
  CHECK_EQUAL(open_pipe(-1, WIDTH, HEIGHT, NULL, &scanout), -EBADF);
}

/* Opens the scanout of a surface that is let go before, or not. */
static int32_t result_of(IOSurfaceRef surface, bool is_gone, uint32_t width, uint32_t height) {
  int end;
  struct utm_scanout *scanout;
  int pipe = make_pipe(iosurface_id(surface), 4, &end);
  if (is_gone) iosurface_release(surface);
  int32_t result = open_pipe(pipe, width, height, NULL, &scanout);
  CHECK(result > 0 || !is_open(pipe));
  if (scanout) utm_shim_scanout_close(scanout);
  if (!is_gone) iosurface_release(surface);
  close(end);
  return result;
}

static void test_surfaces_that_do_not_fit(void) {
  const uint32_t depth = 0x4c303068; /* 'L00h': two bytes of grey */
  CHECK_EQUAL(result_of(make_picture(0), false, WIDTH, HEIGHT), UTM_SCANOUT_IOSURFACE);
  CHECK_EQUAL(result_of(make_picture(0), true, WIDTH, HEIGHT), -ENOENT);
  CHECK_EQUAL(result_of(make_picture(0), false, WIDTH + 1, HEIGHT), -EINVAL);
  CHECK_EQUAL(result_of(make_picture(0), false, HEIGHT, WIDTH), -EINVAL);
  CHECK_EQUAL(result_of(make_picture(0), false, 0, HEIGHT), -EINVAL);
  CHECK_EQUAL(result_of(make_picture(0), false, 65535, 65535), -EINVAL);
  CHECK_EQUAL(result_of(make_surface(WIDTH, HEIGHT, depth, 2), false, WIDTH, HEIGHT), -EINVAL);
  CHECK_EQUAL(result_of(make_surface(WIDTH, HEIGHT, 0x6c313072 /* 'l10r' */, 4), false, WIDTH,
                        HEIGHT),
              -ENOTSUP);
}

/* Ten thousand scanouts, each with a pipe of its own, of two surfaces. */
static void test_flood(void) {
  IOSurfaceRef surfaces[2] = {make_picture(5), make_picture(6)};
  struct utm_scanout *current = NULL;
  bool right = true;
  for (int i = 0; i < 10000 && right; i++) {
    int end;
    struct utm_scanout *next;
    int pipe = make_pipe(iosurface_id(surfaces[i % 2]), 4, &end);
    right = open_pipe(pipe, WIDTH, HEIGHT, current, &next) == UTM_SCANOUT_IOSURFACE;
    if (current) utm_shim_scanout_close(current);
    current = next;
    if (i % 1000 < 2) right = right && reads_right(current, 5 + i % 2, 0, 0, WIDTH, HEIGHT);
    close(end);
  }
  CHECK(right);
  if (current) utm_shim_scanout_close(current);
  iosurface_release(surfaces[0]);
  iosurface_release(surfaces[1]);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_formats,
    test_surface_that_is_kept,
    test_the_same_pipe_once_more,
    test_pipe_that_was_replaced,
    test_pipes_without_an_id,
    test_surfaces_that_do_not_fit,
    test_flood,
    NULL,
  };
  /* What the frameworks keep open for themselves is open before the first test. */
  iosurface_release(make_surface(1, 1, IOSURFACE_BGRA, 4));
  return run_tests("IOSurfaces", tests);
}
