/* Shows hardware cursors through the kernel's DRM, for recordings and tests of the cursor channel:
 * two shapes, moves, hiding, showing again. Prints a line after each step; waits for one on stdin.
 * Build: cc -static -O1 -I/usr/include/libdrm -o drm_cursor drm_cursor.c (Debian: libdrm-dev) */
#include <drm.h>
#include <drm_mode.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { SIZE = 64 };

static void check(int result, const char *what) {
  if (result >= 0) return;
  perror(what);
  exit(1);
}

/* Makes a cursor of SIZE x SIZE: a triangle of `color` (premultiplied ARGB) with a soft edge. */
static uint32_t make_shape(int fd, uint32_t color) {
  struct drm_mode_create_dumb create = {.width = SIZE, .height = SIZE, .bpp = 32};
  check(ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create), "create");
  struct drm_mode_map_dumb map = {.handle = create.handle};
  check(ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map), "map");
  uint32_t *pixels = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          (off_t)map.offset);
  if (pixels == MAP_FAILED) check(-1, "mmap");
  for (uint32_t y = 0; y < SIZE; y++)
    for (uint32_t x = 0; x < SIZE; x++)
      pixels[y * create.pitch / 4 + x] = x < y ? color : x == y ? 0x80404040 : 0;
  return create.handle;
}

static void step(const char *name) {
  char line[16];
  printf("%s\n", name);
  fflush(stdout);
  if (!fgets(line, sizeof line, stdin)) exit(0);
}

static void set(int fd, uint32_t crtc, uint32_t flags, uint32_t handle, int x, int y) {
  struct drm_mode_cursor2 cursor = {
      .flags = flags, .crtc_id = crtc, .x = x, .y = y, .width = SIZE, .height = SIZE,
      .handle = handle, .hot_x = 3, .hot_y = 5};
  check(ioctl(fd, DRM_IOCTL_MODE_CURSOR2, &cursor), "cursor");
}

int main(void) {
  int fd = open("/dev/dri/card0", O_RDWR);
  check(fd, "open");
  uint32_t crtcs[16], connectors[16], encoders[16];
  struct drm_mode_card_res res = {.crtc_id_ptr = (uintptr_t)crtcs, .count_crtcs = 16,
      .connector_id_ptr = (uintptr_t)connectors, .count_connectors = 16,
      .encoder_id_ptr = (uintptr_t)encoders, .count_encoders = 16};
  check(ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &res), "resources");
  uint32_t crtc = crtcs[0];
  uint32_t white = make_shape(fd, 0xffffffff), red = make_shape(fd, 0x80800000);

  const uint32_t shape = DRM_MODE_CURSOR_BO, move = DRM_MODE_CURSOR_MOVE;
  set(fd, crtc, shape | move, white, 100, 50);
  step("white");
  for (int i = 0; i < 20; i++) set(fd, crtc, move, 0, 100 + 10 * i, 50 + 5 * i);
  step("moved");
  set(fd, crtc, shape, red, 0, 0);
  step("red");
  set(fd, crtc, shape, 0, 0, 0);
  step("hidden");
  set(fd, crtc, shape | move, white, -10, -10);
  step("corner");
  set(fd, crtc, shape, red, 0, 0);
  step("red again");
  return 0;
}
