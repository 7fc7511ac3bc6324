/* Full-screen frames for benchmarks. All pixels are prepared before the first one
 * and draws point at them, so that making frames costs next to nothing while a
 * client is being measured. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

enum { PICTURES = 4 };

/* Pictures of one size, each different in every pixel from the one before, kept as
 * columns one behind the other. Never freed: draws may point at them until the end. */
static uint32_t *pictures[PICTURES];
static uint32_t made_width, made_height;

static void make_pictures(uint32_t width, uint32_t height) {
  if (made_width == width && made_height == height) return;
  made_width = width;
  made_height = height;
  for (int i = 0; i < PICTURES; i++) {
    pictures[i] = zalloc((size_t)width * height * 4);
    random_fill((uint64_t)i + 1, pictures[i], (size_t)width * height * 4);
  }
}

static void copy_column(struct display *display, uint32_t *pixels, int x, int width,
                        uint8_t effect) {
  static uint32_t unique;
  struct arena *arena = arena_new();
  QXLDrawable *drawable = arena_alloc(arena, sizeof *drawable);
  QXLImage *image = arena_alloc(arena, sizeof *image);
  QXL_SET_IMAGE_ID(image, QXL_IMAGE_GROUP_DEVICE, ++unique);
  image->descriptor.type = SPICE_IMAGE_TYPE_BITMAP;
  image->descriptor.width = (uint32_t)width;
  image->descriptor.height = made_height;
  image->bitmap = (QXLBitmap){
      .format = SPICE_BITMAP_FMT_32BIT,
      .flags = QXL_BITMAP_DIRECT | QXL_BITMAP_TOP_DOWN,
      .x = (uint32_t)width,
      .y = made_height,
      .stride = (uint32_t)width * 4,
      .data = (uintptr_t)(pixels + (size_t)x * made_height),
  };
  drawable->type = QXL_DRAW_COPY;
  drawable->effect = effect;
  drawable->bbox = (QXLRect){.left = x, .right = x + width, .bottom = (int32_t)made_height};
  for (int i = 0; i < 3; i++) drawable->surfaces_dest[i] = -1;
  drawable->u.copy.src_bitmap = (uintptr_t)image;
  drawable->u.copy.src_area = (QXLRect){.right = width, .bottom = (int32_t)made_height};
  drawable->u.copy.rop_descriptor = SPICE_ROPD_OP_PUT;
  display_queue(display, arena, QXL_CMD_DRAW, drawable);
}

/* The server stops taking commands while 50 messages wait for the client. What has
 * fewer pieces than that would be dropped, hidden by the frame behind it: so such
 * frames do not claim to hide anything. */
void flood_frame(struct display *display, uint32_t frame, int columns) {
  const struct surface *primary = display_surface(display, 0);
  make_pictures(primary->width, primary->height);
  int width = (int)primary->width;
  int step = columns > 0 && columns < width ? columns : width;
  bool hides = width / step > 50;
  uint32_t *pixels = pictures[frame % PICTURES];
  for (int x = 0; x < width; x += step) {
    copy_column(display, pixels, x, width - x < step ? width - x : step,
                hides ? QXL_EFFECT_OPAQUE : QXL_EFFECT_BLEND);
  }
}
