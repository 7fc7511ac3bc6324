/* Random draws: sensible ones mostly, and some at every edge. */
#include "peer.h"

#include <string.h>

static const uint32_t ALL_KINDS = (1u << (QXL_DRAW_COMPOSITE + 1)) - 2;

static int32_t below(uint64_t *state, int32_t limit) {
  return limit > 0 ? (int32_t)(next_random(state) % (uint64_t)limit) : 0;
}

static bool one_in(uint64_t *state, int32_t n) { return below(state, n) == 0; }

static int32_t random_size(uint64_t *state, int32_t most) {
  int32_t wanted;
  switch (below(state, 8)) {
    case 0:
      wanted = most;
      break;
    case 1:
      wanted = 1 + below(state, most);
      break;
    case 2:
      wanted = 1;
      break;
    default:
      wanted = 1 + below(state, 64);
  }
  return wanted < most ? wanted : most;
}

/* A box inside a surface; one in 100 is empty or lies outside in part. */
static struct rect random_box(uint64_t *state, const struct surface *surface) {
  int32_t width = (int32_t)surface->width, height = (int32_t)surface->height;
  struct rect box = {.w = random_size(state, width), .h = random_size(state, height)};
  box.x = below(state, width - box.w + 1);
  box.y = below(state, height - box.h + 1);
  switch (below(state, 200)) {
    case 0:
      box.w = 0;
      break;
    case 1:
      box.x -= width;
      break;
    default:
      break;
  }
  return box;
}

static void random_clip(uint64_t *state, struct draw *draw) {
  if (!one_in(state, 3)) return;
  draw->clips = 1 + (uint32_t)below(state, one_in(state, 3) ? MAX_CLIPS : 2);
  for (uint32_t i = 0; i < draw->clips; i++) {
    /* Beside, across and inside the box. */
    draw->clip[i] = (struct rect){
        .x = draw->box.x - 4 + below(state, draw->box.w + 8),
        .y = draw->box.y - 4 + below(state, draw->box.h + 8),
        .w = 1 + below(state, draw->box.w + 4),
        .h = 1 + below(state, draw->box.h + 4),
    };
  }
}

static bool is_deep(uint32_t format) {
  return format == SPICE_SURFACE_FMT_32_xRGB || format == SPICE_SURFACE_FMT_32_ARGB;
}

static int depth_of(uint32_t format) {
  return is_deep(format) ? 32 : format == SPICE_SURFACE_FMT_8_A ? 8 : (int)format;
}

/* `onto`: the format of the surface that it is for. */
static struct image random_bitmap(uint64_t *state, uint32_t onto, int32_t width, int32_t height) {
  /* The server's own canvas aborts at 1BIT_LE and 4BIT_LE, but for masks; at
   * palettes on r5g6b5, too, and takes their entries as pixels on x1r5g5b5. What
   * comes of the A byte of a format without alpha differs by how it is compressed. */
  static const uint8_t formats[] = {
      SPICE_BITMAP_FMT_32BIT, SPICE_BITMAP_FMT_32BIT, SPICE_BITMAP_FMT_32BIT,
      SPICE_BITMAP_FMT_RGBA,  SPICE_BITMAP_FMT_RGBA,  SPICE_BITMAP_FMT_24BIT,
      SPICE_BITMAP_FMT_16BIT, SPICE_BITMAP_FMT_8BIT,  SPICE_BITMAP_FMT_4BIT_BE,
      SPICE_BITMAP_FMT_1BIT_BE,
  };
  enum { DIRECT_FORMATS = 7 }; /* of these, the first have no palette */
  struct image image = {
      .type = IMAGE_BITMAP,
      .format = onto == SPICE_SURFACE_FMT_32_ARGB
                    ? SPICE_BITMAP_FMT_RGBA
                    : formats[below(state, is_deep(onto) ? sizeof formats : DIRECT_FORMATS)],
      .width = (uint32_t)(width > 0 ? width : 1),
      .height = (uint32_t)(height > 0 ? height : 1),
      .seed = (uint32_t)below(state, 1 << 20),
      .top_down = !one_in(state, 3),
      .chunks = one_in(state, 4),
  };
  if (one_in(state, 4)) image.pad = 4 * (uint32_t)(1 + below(state, 8));
  /* Cached ones with a palette are transparent on ARGB for the server's canvas alone. */
  bool may_cache = onto != SPICE_SURFACE_FMT_32_ARGB || image.format > SPICE_BITMAP_FMT_8BIT;
  if (one_in(state, 3) && may_cache) {
    image.cache = true;
    image.seed = (uint32_t)below(state, 4); /* so that the same ones come again */
    image.pad = 0;
    image.top_down = true;
  }
  return image;
}

/* Another live off-screen surface of this depth (the server aborts at another one);
 * 0 if there is none. */
static uint32_t other_surface(struct display *display, uint64_t *state, uint32_t onto, int depth) {
  uint32_t start = (uint32_t)below(state, MAX_SURFACES);
  for (uint32_t i = 0; i < MAX_SURFACES; i++) {
    uint32_t id = (start + i) % MAX_SURFACES;
    const struct surface *surface = display_surface(display, id);
    if (id != 0 && id != onto && surface && depth_of(surface->format) == depth) return id;
  }
  return 0;
}

/* A source with `area` inside it; not scaled, unless `scaled`. */
static void random_source(struct display *display, uint64_t *state, struct draw *draw,
                          bool scaled) {
  struct rect *area = &draw->src_area;
  const struct surface *target = display_surface(display, draw->surface);
  area->w = scaled ? 1 + below(state, 2 * draw->box.w + 4) : draw->box.w;
  area->h = scaled ? 1 + below(state, 2 * draw->box.h + 4) : draw->box.h;
  uint32_t id =
      one_in(state, 6) ? other_surface(display, state, draw->surface, depth_of(target->format)) : 0;
  if (id != 0) {
    const struct surface *surface = display_surface(display, id);
    /* What an xRGB surface has in its unused byte is nobody's business, and would
     * become visible on ARGB. */
    bool is_sound = surface->format == target->format ||
                    target->format != SPICE_SURFACE_FMT_32_ARGB;
    if (is_sound && (uint32_t)area->w <= surface->width && (uint32_t)area->h <= surface->height) {
      draw->src = (struct image){.type = IMAGE_SURFACE, .surface = id};
      area->x = below(state, (int32_t)surface->width - area->w + 1);
      area->y = below(state, (int32_t)surface->height - area->h + 1);
      return;
    }
  }
  bool exact = one_in(state, 2);
  int32_t more_w = exact ? 0 : below(state, 20), more_h = exact ? 0 : below(state, 20);
  draw->src = random_bitmap(state, target->format, area->w + more_w, area->h + more_h);
  area->x = below(state, more_w + 1);
  area->y = below(state, more_h + 1);
}

static struct brush random_brush(uint64_t *state, uint32_t onto, const struct rect *box) {
  if (!one_in(state, 4)) {
    return (struct brush){.type = BRUSH_SOLID, .color = (uint32_t)next_random(state) & 0xffffff};
  }
  struct brush brush = {.type = BRUSH_PATTERN};
  brush.image = random_bitmap(state, onto, 1 + below(state, 40), 1 + below(state, 40));
  brush.x = box->x - 20 + below(state, 40);
  brush.y = box->y - 20 + below(state, 40);
  return brush;
}

/* A ternary operation makes the server read before a pattern that begins behind the
 * box's corner. */
static void place_before(struct brush *brush, const struct rect *box) {
  if (brush->x > box->x) brush->x = 2 * box->x - brush->x;
  if (brush->y > box->y) brush->y = 2 * box->y - brush->y;
}

static void random_mask(uint64_t *state, struct draw *draw) {
  if (!one_in(state, 4)) return;
  bool large = !one_in(state, 4); /* else it covers a part only */
  struct mask *mask = &draw->mask;
  mask->image = (struct image){
      .type = IMAGE_BITMAP,
      .format = one_in(state, 2) ? SPICE_BITMAP_FMT_1BIT_BE : SPICE_BITMAP_FMT_1BIT_LE,
      .width = (uint32_t)(large ? draw->box.w + 8 : 1 + below(state, draw->box.w + 1)),
      .height = (uint32_t)(large ? draw->box.h + 8 : 1 + below(state, draw->box.h + 1)),
      .seed = (uint32_t)below(state, 1 << 20),
      .top_down = one_in(state, 2),
  };
  mask->x = below(state, 8);
  mask->y = below(state, 8);
  mask->invert = one_in(state, 3);
}

static uint16_t random_rop(uint64_t *state, bool plain) {
  static const uint16_t operations[] = {
      SPICE_ROPD_OP_PUT,       SPICE_ROPD_OP_OR,        SPICE_ROPD_OP_AND,   SPICE_ROPD_OP_XOR,
      SPICE_ROPD_OP_BLACKNESS, SPICE_ROPD_OP_WHITENESS, SPICE_ROPD_OP_INVERS};
  if (plain || one_in(state, 2)) return SPICE_ROPD_OP_PUT;
  uint16_t rop = operations[below(state, sizeof operations / sizeof *operations)];
  if (one_in(state, 4)) rop |= SPICE_ROPD_INVERS_SRC;
  if (one_in(state, 4)) rop |= SPICE_ROPD_INVERS_BRUSH;
  if (one_in(state, 4)) rop |= SPICE_ROPD_INVERS_DEST;
  if (one_in(state, 6)) rop |= SPICE_ROPD_INVERS_RES;
  return rop;
}

/* A code of source, brush and destination. The server aborts at those that do not
 * depend on all three: drivers send them as simpler draws. */
static uint8_t random_rop3(uint64_t *state) {
  for (;;) {
    uint32_t code = (uint32_t)below(state, 256);
    bool needs_destination = (code ^ code >> 1) & 0x55;
    bool needs_source = (code ^ code >> 2) & 0x33;
    bool needs_brush = (code ^ code >> 4) & 0x0f;
    if (needs_destination && needs_source && needs_brush) return (uint8_t)code;
  }
}

static void random_transform(uint64_t *state, bool *is_set, int32_t to[6]) {
  *is_set = one_in(state, 3);
  if (!*is_set) return;
  const int32_t one = 1 << 16;
  to[0] = one / 2 + below(state, 2 * one);
  to[1] = one_in(state, 2) ? below(state, one) - one / 2 : 0;
  to[2] = below(state, 8 * one);
  to[3] = one_in(state, 2) ? below(state, one) - one / 2 : 0;
  to[4] = one / 2 + below(state, 2 * one);
  to[5] = below(state, 8 * one);
}

static void random_composite(struct display *display, uint64_t *state, struct draw *draw) {
  static const uint8_t operators[] = {
      QXL_OP_CLEAR, QXL_OP_SOURCE,     QXL_OP_DST,  QXL_OP_OVER,         QXL_OP_OVER, QXL_OP_OVER,
      QXL_OP_OVER_REVERSE, QXL_OP_IN,  QXL_OP_IN_REVERSE, QXL_OP_OUT,    QXL_OP_OUT_REVERSE,
      QXL_OP_ATOP,  QXL_OP_ATOP_REVERSE, QXL_OP_XOR, QXL_OP_ADD};
  draw->flags = operators[below(state, sizeof operators)];
  draw->flags |= (uint32_t)below(state, 2) << 8 | (uint32_t)below(state, 2) << 11;
  draw->flags |= (uint32_t)below(state, 4) << 14 | (uint32_t)below(state, 4) << 16;
  random_source(display, state, draw, false);
  if (display_surface(display, draw->surface)->format == SPICE_SURFACE_FMT_8_A) {
    draw->src.format = SPICE_BITMAP_FMT_RGBA;
  }
  draw->src_x = (int16_t)draw->src_area.x;
  draw->src_y = (int16_t)draw->src_area.y;
  /* The server leaves the transform on what it keeps: later draws would have it, too. */
  if (draw->src.type == IMAGE_BITMAP && !draw->src.cache) {
    random_transform(state, &draw->has_transform, draw->transform);
  }
  if (!one_in(state, 3)) return;
  uint32_t alphas = other_surface(display, state, draw->surface, 8);
  if (alphas != 0 && one_in(state, 2)) {
    draw->comp_mask = (struct image){.type = IMAGE_SURFACE, .surface = alphas};
  } else { /* RGBA: the server refuses bitmaps of alpha only */
    draw->comp_mask =
        random_bitmap(state, SPICE_SURFACE_FMT_32_ARGB, draw->box.w + 4, draw->box.h + 4);
    draw->comp_mask.format = SPICE_BITMAP_FMT_RGBA;
  }
  draw->mask_x = (int16_t)below(state, 4);
  draw->mask_y = (int16_t)below(state, 4);
  if (one_in(state, 3)) draw->flags |= 1u << 18;
  if (draw->comp_mask.type == IMAGE_BITMAP && !draw->comp_mask.cache) {
    random_transform(state, &draw->has_mask_transform, draw->mask_transform);
  }
}

/* Not 8 bits a pixel: the server's canvas reads those glyphs a row too far. */
static void random_text(uint64_t *state, uint32_t onto, struct draw *draw) {
  draw->style = one_in(state, 2) ? 1 : 4;
  draw->seed = (uint32_t)below(state, 1 << 20);
  draw->brush = random_brush(state, onto, &draw->box);
  if (one_in(state, 2)) draw->back = random_brush(state, onto, &draw->box);
}

/* The parts that this kind has. */
static void random_parts(struct display *display, uint64_t *state, bool plain, struct draw *draw) {
  bool scaled = !plain && one_in(state, 6);
  uint32_t onto = display_surface(display, draw->surface)->format;
  switch (draw->kind) {
    case QXL_DRAW_FILL:
      draw->brush = random_brush(state, onto, &draw->box);
      draw->rop = random_rop(state, plain);
      random_mask(state, draw);
      break;
    case QXL_DRAW_OPAQUE:
    case QXL_DRAW_ROP3:
      draw->brush = random_brush(state, onto, &draw->box);
      draw->rop3 = random_rop3(state);
      if (draw->kind == QXL_DRAW_ROP3) place_before(&draw->brush, &draw->box);
      random_source(display, state, draw, scaled);
      draw->rop = random_rop(state, plain);
      draw->scale = (uint8_t)below(state, 2);
      random_mask(state, draw);
      break;
    case QXL_DRAW_COPY:
    case QXL_DRAW_BLEND:
      random_source(display, state, draw, scaled);
      draw->rop = random_rop(state, plain);
      draw->scale = (uint8_t)below(state, 2);
      random_mask(state, draw);
      break;
    case QXL_COPY_BITS: {
      const struct surface *surface = display_surface(display, draw->surface);
      draw->from_x = below(state, (int32_t)surface->width - draw->box.w + 1);
      draw->from_y = below(state, (int32_t)surface->height - draw->box.h + 1);
      break;
    }
    case QXL_DRAW_BLACKNESS:
    case QXL_DRAW_WHITENESS:
    case QXL_DRAW_INVERS:
      random_mask(state, draw);
      break;
    case QXL_DRAW_STROKE:
      draw->brush = (struct brush){.type = BRUSH_SOLID,
                                   .color = (uint32_t)next_random(state) & 0xffffff};
      draw->seed = (uint32_t)below(state, 1 << 20);
      draw->style = one_in(state, 3) ? (uint8_t)(2 * (1 + below(state, 2))) : 0;
      /* A dash that several rectangles cut into pieces overflows the server's buffer. */
      if (draw->style > 0 && draw->clips > 1) draw->clips = 1;
      break;
    case QXL_DRAW_TEXT:
      random_text(state, onto, draw);
      break;
    case QXL_DRAW_TRANSPARENT:
      random_source(display, state, draw, false);
      draw->key = (uint32_t)next_random(state) & 0xffffff;
      break;
    case QXL_DRAW_ALPHA_BLEND:
      random_source(display, state, draw, scaled);
      draw->alpha = one_in(state, 2) ? 255 : (uint8_t)next_random(state);
      break;
    case QXL_DRAW_COMPOSITE:
      random_composite(display, state, draw);
      break;
    default:
      break;
  }
}

static uint32_t random_surface(struct display *display, uint64_t *state) {
  uint32_t live[MAX_SURFACES], count = 0;
  for (uint32_t id = 0; id < MAX_SURFACES; id++) {
    if (display_surface(display, id)) live[count++] = id;
  }
  if (count == 0) die("a random draw without a surface");
  /* The one that is shown gets half of them. */
  return one_in(state, 2) && live[0] == 0 ? 0 : live[below(state, (int32_t)count)];
}

static void random_once(struct display *display, uint64_t *state, uint32_t kinds, bool plain,
                        struct draw *draw) {
  *draw = (struct draw){.rop = SPICE_ROPD_OP_PUT, .back_rop = SPICE_ROPD_OP_PUT, .alpha = 255};
  do {
    draw->kind = (uint8_t)(1 + below(state, QXL_DRAW_COMPOSITE));
    draw->surface = random_surface(display, state);
  } while (!(kinds & 1u << draw->kind));
  draw->box = random_box(state, display_surface(display, draw->surface));
  if (draw->kind == QXL_DRAW_STROKE || draw->kind == QXL_DRAW_TEXT) {
    if (draw->box.w < 1) draw->box.w = 1;
  }
  random_clip(state, draw);
  random_parts(display, state, plain, draw);
}

/* Surfaces of alpha only are for drivers that keep masks and glyphs there. */
static bool suits(struct display *display, const struct draw *draw) {
  if (display_surface(display, draw->surface)->format != SPICE_SURFACE_FMT_8_A) return true;
  return draw->kind == QXL_COPY_BITS || draw->kind == QXL_DRAW_BLACKNESS ||
         draw->kind == QXL_DRAW_WHITENESS || draw->kind == QXL_DRAW_COMPOSITE ||
         draw->kind == QXL_DRAW_STROKE ||
         (draw->kind == QXL_DRAW_FILL && draw->brush.type == BRUSH_SOLID &&
          draw->rop == SPICE_ROPD_OP_PUT);
}

void draw_random(struct display *display, uint64_t *state, uint32_t kinds, bool plain,
                 struct draw *draw) {
  if (kinds == 0) kinds = ALL_KINDS;
  for (int tries = 0; tries < 1000; tries++) {
    random_once(display, state, kinds, plain, draw);
    if (suits(display, draw) && (!plain || shadow_can(display, draw))) return;
  }
  die("these surfaces take no such draws");
}
