/* Draws as QXL commands. */
#include "peer.h"

#include <string.h>
#include <time.h>

enum { MAX_POINTS = 24, MAX_GLYPHS = 12 };

static QXLRect qxl_rect(const struct rect *rect) {
  return (QXLRect){
      .top = rect->y, .left = rect->x, .bottom = rect->y + rect->h, .right = rect->x + rect->w};
}

/* What a drawable is being made of. */
struct build {
  struct display *display;
  struct arena *arena;
  QXLDrawable *drawable;
  int dependencies; /* other surfaces that it reads */
};

static QXLPHYSICAL image_address(struct build *build, const struct image *image) {
  if (image->type == IMAGE_NONE) return 0;
  struct image named = *image;
  if (image->type == IMAGE_SURFACE) {
    const struct surface *surface = display_surface(build->display, image->surface);
    named.width = surface->width;
    named.height = surface->height;
    int at = build->dependencies++;
    build->drawable->surfaces_dest[at] = (int32_t)image->surface;
    build->drawable->surfaces_rects[at] =
        (QXLRect){.bottom = (int32_t)named.height, .right = (int32_t)named.width};
  }
  return (uintptr_t)image_build(build->arena, &named);
}

static QXLBrush qxl_brush(struct build *build, const struct brush *brush) {
  QXLBrush built = {.type = SPICE_BRUSH_TYPE_NONE};
  if (brush->type == BRUSH_SOLID) {
    built.type = SPICE_BRUSH_TYPE_SOLID;
    built.u.color = brush->color;
  } else if (brush->type == BRUSH_PATTERN) {
    built.type = SPICE_BRUSH_TYPE_PATTERN;
    built.u.pattern.pat = image_address(build, &brush->image);
    built.u.pattern.pos = (QXLPoint){.x = brush->x, .y = brush->y};
  }
  return built;
}

static QXLQMask qxl_mask(struct build *build, const struct mask *mask) {
  return (QXLQMask){
      .flags = mask->invert ? SPICE_MASK_FLAGS_INVERS : 0,
      .pos = {.x = mask->x, .y = mask->y},
      .bitmap = image_address(build, &mask->image),
  };
}

static void set_clip(struct build *build, const struct draw *draw) {
  if (draw->clips == 0) return;
  size_t bytes = draw->clips * sizeof(QXLRect);
  QXLClipRects *rects = arena_alloc(build->arena, sizeof *rects + bytes);
  rects->num_rects = draw->clips;
  rects->chunk.data_size = (uint32_t)bytes;
  QXLRect *to = (QXLRect *)(void *)rects->chunk.data;
  for (uint32_t i = 0; i < draw->clips; i++) to[i] = qxl_rect(&draw->clip[i]);
  build->drawable->clip.type = SPICE_CLIP_TYPE_RECTS;
  build->drawable->clip.data = (uintptr_t)rects;
}

static int32_t below(uint64_t *state, int32_t limit) {
  return limit > 0 ? (int32_t)(next_random(state) % (uint64_t)limit) : 0;
}

/* Lines and curves in and about the box, by the draw's seed. Curves go to the right only:
 * the server halves one that comes back to where it was until its stack is full. */
static QXLPHYSICAL path_address(struct build *build, const struct draw *draw) {
  uint64_t state = draw->seed;
  uint32_t segments = 1 + (uint32_t)below(&state, 3);
  size_t most = segments * (sizeof(QXLPathSeg) + MAX_POINTS * sizeof(QXLPointFix));
  QXLPath *path = arena_alloc(build->arena, sizeof *path + most);
  uint8_t *at = path->chunk.data;
  for (uint32_t i = 0; i < segments; i++) {
    QXLPathSeg *segment = (QXLPathSeg *)(void *)at;
    bool curve = draw->box.w >= 64 && below(&state, 4) == 0;
    segment->flags = QXL_PATH_BEGIN | QXL_PATH_END | (curve ? QXL_PATH_BEZIER : 0) |
                     (below(&state, 3) == 0 ? QXL_PATH_CLOSE : 0);
    segment->count = curve ? 4 + 3 * (uint32_t)below(&state, 3) : 2 + (uint32_t)below(&state, 6);
    /* A curve's first point starts it; the rest come in threes. */
    int32_t step = 16 * draw->box.w / (int32_t)segment->count;
    for (uint32_t n = 0; n < segment->count; n++) {
      int32_t x = curve ? (int32_t)n * step + below(&state, step / 2)
                        : below(&state, 16 * draw->box.w + 1);
      segment->points[n].x = 16 * draw->box.x + x;
      segment->points[n].y = 16 * draw->box.y + below(&state, 16 * draw->box.h + 1);
    }
    at = (uint8_t *)&segment->points[segment->count];
  }
  path->chunk.data_size = (uint32_t)(at - path->chunk.data);
  path->data_size = path->chunk.data_size;
  return (uintptr_t)path;
}

static QXLStroke qxl_stroke(struct build *build, const struct draw *draw) {
  QXLStroke stroke = {
      .path = path_address(build, draw),
      .brush = qxl_brush(build, &draw->brush),
      .fore_mode = draw->rop,
      .back_mode = draw->back_rop,
  };
  if (draw->style > 0) {
    QXLFIXED *lengths = arena_alloc(build->arena, draw->style * sizeof *lengths);
    uint64_t state = draw->seed ^ 0x5e7;
    for (int i = 0; i < draw->style; i++) lengths[i] = 16 * (1 + below(&state, 9));
    stroke.attr.flags = SPICE_LINE_FLAGS_STYLED;
    stroke.attr.style_nseg = draw->style;
    stroke.attr.style = (uintptr_t)lengths;
  }
  return stroke;
}

static QXLPHYSICAL string_address(struct build *build, const struct draw *draw) {
  uint64_t state = draw->seed;
  uint16_t glyphs = (uint16_t)(1 + below(&state, MAX_GLYPHS));
  size_t most = glyphs * (sizeof(QXLRasterGlyph) + 16 * 16);
  QXLString *string = arena_alloc(build->arena, sizeof *string + most);
  string->length = glyphs;
  string->flags = (uint16_t)(draw->style == 1   ? SPICE_STRING_FLAGS_RASTER_A1
                             : draw->style == 4 ? SPICE_STRING_FLAGS_RASTER_A4
                                                : SPICE_STRING_FLAGS_RASTER_A8);
  if (draw->seed % 2) string->flags |= SPICE_STRING_FLAGS_RASTER_TOP_DOWN;
  uint8_t *at = string->chunk.data;
  for (int i = 0; i < glyphs; i++) {
    QXLRasterGlyph *glyph = (QXLRasterGlyph *)(void *)at;
    glyph->width = (uint16_t)(1 + below(&state, draw->box.w < 16 ? draw->box.w : 16));
    glyph->height = (uint16_t)(1 + below(&state, draw->box.h < 16 ? draw->box.h : 16));
    glyph->render_pos.x = draw->box.x + below(&state, draw->box.w - glyph->width + 1);
    glyph->render_pos.y = draw->box.y + below(&state, draw->box.h - glyph->height + 1);
    glyph->glyph_origin = (QXLPoint){.x = 0, .y = 0};
    size_t bytes = (size_t)glyph->height * ((size_t)glyph->width * draw->style + 7) / 8;
    bytes = (size_t)glyph->height * (((size_t)glyph->width * draw->style + 7) / 8);
    random_fill(next_random(&state), glyph->data, bytes);
    at = glyph->data + bytes;
  }
  string->chunk.data_size = (uint32_t)(at - string->chunk.data);
  string->data_size = string->chunk.data_size;
  return (uintptr_t)string;
}

static QXLText qxl_text(struct build *build, const struct draw *draw) {
  return (QXLText){
      .str = string_address(build, draw),
      .back_area = draw->back.type == BRUSH_NONE ? (QXLRect){0} : qxl_rect(&draw->box),
      .fore_brush = qxl_brush(build, &draw->brush),
      .back_brush = qxl_brush(build, &draw->back),
      .fore_mode = draw->rop,
      .back_mode = draw->back_rop,
  };
}

static QXLPHYSICAL transform_address(struct build *build, bool is_set, const int32_t from[6]) {
  if (!is_set) return 0;
  QXLTransform *transform = arena_alloc(build->arena, sizeof *transform);
  memcpy(transform, from, sizeof *transform);
  return (uintptr_t)transform;
}

static QXLComposite qxl_composite(struct build *build, const struct draw *draw) {
  return (QXLComposite){
      .flags = draw->flags,
      .src = image_address(build, &draw->src),
      .src_transform = transform_address(build, draw->has_transform, draw->transform),
      .mask = image_address(build, &draw->comp_mask),
      .mask_transform = transform_address(build, draw->has_mask_transform, draw->mask_transform),
      .src_origin = {.x = draw->src_x, .y = draw->src_y},
      .mask_origin = {.x = draw->mask_x, .y = draw->mask_y},
  };
}

static void set_kind(struct build *build, const struct draw *draw) {
  QXLDrawable *drawable = build->drawable;
  switch (draw->kind) {
    case QXL_DRAW_FILL:
      drawable->u.fill = (QXLFill){.brush = qxl_brush(build, &draw->brush),
                                   .rop_descriptor = draw->rop,
                                   .mask = qxl_mask(build, &draw->mask)};
      break;
    case QXL_DRAW_OPAQUE:
      drawable->u.opaque = (QXLOpaque){.src_bitmap = image_address(build, &draw->src),
                                       .src_area = qxl_rect(&draw->src_area),
                                       .brush = qxl_brush(build, &draw->brush),
                                       .rop_descriptor = draw->rop,
                                       .scale_mode = draw->scale,
                                       .mask = qxl_mask(build, &draw->mask)};
      break;
    case QXL_DRAW_COPY:
    case QXL_DRAW_BLEND:
      drawable->u.copy = (QXLCopy){.src_bitmap = image_address(build, &draw->src),
                                   .src_area = qxl_rect(&draw->src_area),
                                   .rop_descriptor = draw->rop,
                                   .scale_mode = draw->scale,
                                   .mask = qxl_mask(build, &draw->mask)};
      break;
    case QXL_COPY_BITS:
      drawable->u.copy_bits.src_pos = (QXLPoint){.x = draw->from_x, .y = draw->from_y};
      break;
    case QXL_DRAW_BLACKNESS:
    case QXL_DRAW_WHITENESS:
    case QXL_DRAW_INVERS:
      drawable->u.blackness.mask = qxl_mask(build, &draw->mask);
      break;
    case QXL_DRAW_ROP3:
      drawable->u.rop3 = (QXLRop3){.src_bitmap = image_address(build, &draw->src),
                                   .src_area = qxl_rect(&draw->src_area),
                                   .brush = qxl_brush(build, &draw->brush),
                                   .rop3 = draw->rop3,
                                   .scale_mode = draw->scale,
                                   .mask = qxl_mask(build, &draw->mask)};
      break;
    case QXL_DRAW_STROKE:
      drawable->u.stroke = qxl_stroke(build, draw);
      break;
    case QXL_DRAW_TEXT:
      drawable->u.text = qxl_text(build, draw);
      break;
    case QXL_DRAW_TRANSPARENT:
      drawable->u.transparent = (QXLTransparent){.src_bitmap = image_address(build, &draw->src),
                                                 .src_area = qxl_rect(&draw->src_area),
                                                 .src_color = draw->key,
                                                 .true_color = draw->key};
      break;
    case QXL_DRAW_ALPHA_BLEND:
      drawable->u.alpha_blend = (QXLAlphaBlend){.alpha_flags = draw->alpha_flags,
                                                .alpha = draw->alpha,
                                                .src_bitmap = image_address(build, &draw->src),
                                                .src_area = qxl_rect(&draw->src_area)};
      break;
    case QXL_DRAW_COMPOSITE:
      drawable->u.composite = qxl_composite(build, draw);
      break;
    default:
      break;
  }
}

/* What the draw leaves of what it covers: the server drops what is hidden. */
static uint8_t effect_of(const struct draw *draw) {
  if (draw->mask.image.type != IMAGE_NONE) return QXL_EFFECT_BLEND;
  switch (draw->kind) {
    case QXL_DRAW_FILL:
    case QXL_DRAW_COPY:
    case QXL_DRAW_BLEND:
    case QXL_DRAW_OPAQUE:
      if (draw->rop == SPICE_ROPD_OP_PUT) return QXL_EFFECT_OPAQUE;
      return draw->kind == QXL_DRAW_FILL && draw->rop == SPICE_ROPD_OP_XOR
                 ? QXL_EFFECT_REVERT_ON_DUP
                 : QXL_EFFECT_BLEND;
    case QXL_DRAW_BLACKNESS:
    case QXL_DRAW_WHITENESS:
    case QXL_COPY_BITS:
      return QXL_EFFECT_OPAQUE;
    case QXL_DRAW_INVERS:
      return QXL_EFFECT_REVERT_ON_DUP;
    default:
      return QXL_EFFECT_BLEND;
  }
}

static bool names_dead_surface(struct display *display, const struct image *image) {
  return image->type == IMAGE_SURFACE && !display_surface(display, image->surface);
}

const char *draw_queue(struct display *display, const struct draw *draw) {
  if (!display_surface(display, draw->surface)) return "no such surface";
  if (names_dead_surface(display, &draw->src) || names_dead_surface(display, &draw->comp_mask) ||
      names_dead_surface(display, &draw->brush.image)) {
    return "an image names no live surface";
  }
  struct arena *arena = arena_new();
  QXLDrawable *drawable = arena_alloc(arena, sizeof *drawable);
  struct build build = {.display = display, .arena = arena, .drawable = drawable};
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  drawable->surface_id = draw->surface;
  drawable->type = draw->kind;
  drawable->effect = effect_of(draw);
  drawable->bbox = qxl_rect(&draw->box);
  drawable->mm_time = (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
  for (int i = 0; i < 3; i++) drawable->surfaces_dest[i] = -1;
  set_clip(&build, draw);
  set_kind(&build, draw);
  display_queue(display, arena, QXL_CMD_DRAW, drawable);
  return NULL;
}
