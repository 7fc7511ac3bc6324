/* The stand-in itself, and what only it can make: surfaces of other processes, of some that
 * were killed, hidden ones and ones with planes. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "../scanout.h"
#include "standin/iosurface_standin.h"

enum { WIDTH = 20, HEIGHT = 10 };

static IOSurfaceRef make(const struct iosurface_standin *shape) {
  struct iosurface_standin whole = *shape;
  whole.width = WIDTH;
  whole.height = HEIGHT;
  if (whole.format == 0) whole.format = IOSURFACE_BGRA;
  IOSurfaceRef surface = iosurface_standin_make(&whole);
  require(surface != NULL, "iosurface_standin_make");
  return surface;
}

static int32_t open_id(uint32_t id, struct utm_scanout **scanout) {
  const uint32_t shape[5] = {WIDTH, HEIGHT, 0, 0, 0};
  int ends[2];
  require(pipe(ends) == 0 && write(ends[1], &id, sizeof id) == sizeof id, "pipe");
  int32_t result = utm_shim_scanout_open(ends[0], shape, NULL, scanout);
  close(ends[1]);
  return result;
}

/* A process that makes a surface, draws one pixel, tells the id and waits to be ended. */
static pid_t start_maker(const struct iosurface_standin *shape, uint32_t *id) {
  int ends[2];
  require(pipe(ends) == 0, "pipe");
  pid_t maker = fork();
  require(maker >= 0, "fork");
  if (maker == 0) {
    IOSurfaceRef surface = make(shape);
    IOSurfaceLock(surface, 0, NULL);
    memcpy(IOSurfaceGetBaseAddress(surface), "\x56\x34\x12", 3);
    IOSurfaceUnlock(surface, 0, NULL);
    *id = IOSurfaceGetID(surface);
    if (write(ends[1], id, sizeof *id) != sizeof *id) _exit(1);
    for (;;) pause();
  }
  close(ends[1]);
  require(read(ends[0], id, sizeof *id) == sizeof *id, "read");
  close(ends[0]);
  return maker;
}

static void end_maker(pid_t maker) {
  kill(maker, SIGKILL);
  waitpid(maker, NULL, 0);
}

static uint32_t first_pixel(struct utm_scanout *scanout) {
  uint32_t pixel = 0;
  uint64_t bytes;
  CHECK_EQUAL(utm_shim_scanout_read(scanout, 0, 0, 1, 1, &pixel, 1, &bytes), 0);
  return pixel;
}

/* A surface lives for as long as anybody holds it. */
static void test_surface_of_a_process_that_is_killed(void) {
  uint32_t id;
  struct utm_scanout *scanout;
  struct utm_scanout *second;
  pid_t maker = start_maker(&(struct iosurface_standin){0}, &id);
  CHECK_EQUAL(open_id(id, &scanout), UTM_SCANOUT_IOSURFACE);
  require(scanout != NULL, "open");
  CHECK_EQUAL(first_pixel(scanout), 0xff123456);
  end_maker(maker);
  CHECK_EQUAL(first_pixel(scanout), 0xff123456);
  CHECK_EQUAL(open_id(id, &second), UTM_SCANOUT_IOSURFACE);
  utm_shim_scanout_close(second);
  utm_shim_scanout_close(scanout);
  CHECK_EQUAL(open_id(id, &second), -ENOENT);
}

static void test_surface_that_nobody_held(void) {
  uint32_t id;
  struct utm_scanout *scanout;
  end_maker(start_maker(&(struct iosurface_standin){0}, &id));
  CHECK_EQUAL(open_id(id, &scanout), -ENOENT);
}

static void test_surface_that_is_hidden(void) {
  uint32_t id;
  struct utm_scanout *scanout;
  pid_t maker = start_maker(&(struct iosurface_standin){.hidden = true}, &id);
  CHECK_EQUAL(open_id(id, &scanout), -ENOENT);
  end_maker(maker);
}

static void test_odd_surfaces(void) {
  static const struct {
    struct iosurface_standin shape;
    int32_t result;
  } cases[] = {
    {{.planes = 1}, UTM_SCANOUT_IOSURFACE},
    {{.planes = 2}, -EINVAL},
    {{.bytes_per_element = 8}, -EINVAL},
    {{.bytes_per_row = WIDTH * 4 - 4}, -EINVAL}, /* rows that overlap */
    {{.bytes_per_row = WIDTH * 4}, UTM_SCANOUT_IOSURFACE},
    {{.bytes_per_row = 1 << 20}, -EINVAL},
    {{.format = 0x34325258}, -ENOTSUP}, /* XR24 is no IOSurface's */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    IOSurfaceRef surface = make(&cases[i].shape);
    struct utm_scanout *scanout;
    CHECK_EQUAL(open_id(IOSurfaceGetID(surface), &scanout), cases[i].result);
    if (scanout) {
      CHECK_EQUAL(first_pixel(scanout), 0xff000000);
      utm_shim_scanout_close(scanout);
    }
    CFRelease(surface);
  }
}

static void test_nothing_is_left(void) {
  int32_t before = iosurface_standin_held();
  const struct iosurface_shape shape = {.width = WIDTH, .height = HEIGHT,
                                        .format = IOSURFACE_BGRA, .bytes_per_element = 4};
  IOSurfaceRef surface;
  CHECK_EQUAL(iosurface_create(&shape, &surface), 0);
  CHECK_EQUAL(iosurface_standin_held(), before + 1);
  iosurface_release(surface);
  CHECK_EQUAL(iosurface_standin_held(), before);
  const struct iosurface_shape none = {.width = 0, .height = HEIGHT, .format = IOSURFACE_BGRA,
                                       .bytes_per_element = 4};
  CHECK_EQUAL(iosurface_create(&none, &surface), -ENOMEM);
  CHECK(surface == NULL);
  CHECK_EQUAL(iosurface_standin_held(), before);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_surface_of_a_process_that_is_killed,
    test_surface_that_nobody_held,
    test_surface_that_is_hidden,
    test_odd_surfaces,
    test_nothing_is_left,
    NULL,
  };
  return run_tests("IOSurface stand-in", tests);
}
