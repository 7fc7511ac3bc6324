/* The same draws made by pixman, on pictures of ours: one oracle of two, the other
 * being the server's own canvas. Only what one call of pixman can do is done here;
 * any other draw makes the shadow unknown. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static pixman_format_code_t format_of(uint32_t format) {
  switch (format) {
    case SPICE_SURFACE_FMT_32_ARGB:
      return PIXMAN_a8r8g8b8;
    case SPICE_SURFACE_FMT_16_555:
      return PIXMAN_x1r5g5b5;
    case SPICE_SURFACE_FMT_16_565:
      return PIXMAN_r5g6b5;
    case SPICE_SURFACE_FMT_8_A:
      return PIXMAN_a8;
    default:
      return PIXMAN_x8r8g8b8;
  }
}

pixman_image_t *shadow_new(uint32_t width, uint32_t height, uint32_t format) {
  return pixman_image_create_bits(format_of(format), (int)width, (int)height, NULL, 0);
}

static bool is_inside(const struct rect *box, const struct surface *surface) {
  return box->x >= 0 && box->y >= 0 && box->w >= 0 && box->h >= 0 &&
         (int64_t)box->x + box->w <= surface->width && (int64_t)box->y + box->h <= surface->height;
}

static bool source_is_plain(struct display *display, const struct image *image, uint32_t onto) {
  if (image->type != IMAGE_SURFACE) return image->type == IMAGE_BITMAP;
  const struct surface *surface = display_surface(display, image->surface);
  return image->surface != onto && surface && surface->shadow_known;
}

static bool is_scaled(const struct draw *draw) {
  return draw->src_area.w != draw->box.w || draw->src_area.h != draw->box.h;
}

bool shadow_can(struct display *display, const struct draw *draw) {
  const struct surface *surface = display_surface(display, draw->surface);
  bool has_alpha = surface->format == SPICE_SURFACE_FMT_32_ARGB;
  bool is_alpha = surface->format == SPICE_SURFACE_FMT_8_A;
  bool is_put = draw->rop == SPICE_ROPD_OP_PUT;
  bool has_source = source_is_plain(display, &draw->src, draw->surface) && !is_scaled(draw);
  bool has_brush = draw->brush.type == BRUSH_SOLID ||
                   (draw->brush.type == BRUSH_PATTERN &&
                    source_is_plain(display, &draw->brush.image, draw->surface));
  if (is_alpha && draw->src.type != IMAGE_NONE) return false;
  switch (draw->kind) {
    case QXL_DRAW_FILL:
      return is_put && has_brush && (draw->brush.type == BRUSH_SOLID || !is_alpha);
    case QXL_DRAW_COPY:
    case QXL_DRAW_BLEND:
      return is_put && has_source;
    case QXL_DRAW_OPAQUE:
      return is_put && has_source && has_brush;
    case QXL_COPY_BITS:
    case QXL_DRAW_BLACKNESS:
    case QXL_DRAW_WHITENESS:
      return true;
    case QXL_DRAW_INVERS:
      return !has_alpha && !is_alpha;
    case QXL_DRAW_TRANSPARENT:
      /* The server compares with the key before it widens 16 bit pixels. */
      return has_source && surface->format == SPICE_SURFACE_FMT_32_xRGB;
    case QXL_DRAW_ALPHA_BLEND:
      return has_source && !has_alpha && draw->alpha_flags == 0;
    case QXL_DRAW_COMPOSITE:
      /* The server makes bitmaps as narrow as the surface before it transforms them. */
      return (has_alpha || surface->format == SPICE_SURFACE_FMT_32_xRGB) &&
             source_is_plain(display, &draw->src, draw->surface) &&
             (draw->comp_mask.type == IMAGE_NONE ||
              source_is_plain(display, &draw->comp_mask, draw->surface));
    default:
      return false;
  }
}

/* A draw while it is made. */
struct target {
  struct display *display;
  struct surface *surface;
  const struct draw *draw;
  pixman_region32_t region; /* the pixels that it may change */
};

static void clip_to_rects(struct target *target) {
  const struct draw *draw = target->draw;
  if (draw->clips == 0) return;
  pixman_region32_t clip;
  pixman_region32_init(&clip);
  for (uint32_t i = 0; i < draw->clips; i++) {
    const struct rect *rect = &draw->clip[i];
    if (rect->w <= 0 || rect->h <= 0) continue;
    pixman_region32_union_rect(&clip, &clip, rect->x, rect->y, (unsigned)rect->w,
                               (unsigned)rect->h);
  }
  pixman_region32_intersect(&target->region, &target->region, &clip);
  pixman_region32_fini(&clip);
}

static void clip_to_mask(struct target *target) {
  const struct mask *mask = &target->draw->mask;
  if (mask->image.type == IMAGE_NONE) return;
  pixman_image_t *bits = mask_decode(mask);
  pixman_region32_t region;
  pixman_region32_init_from_image(&region, bits);
  pixman_region32_translate(&region, target->draw->box.x - mask->x, target->draw->box.y - mask->y);
  pixman_region32_intersect(&target->region, &target->region, &region);
  pixman_region32_fini(&region);
  pixman_image_unref(bits);
}

/* The image for reading; the caller unrefs it. */
static pixman_image_t *source(struct target *target, const struct image *image) {
  if (image->type == IMAGE_BITMAP) return image_decode(image);
  /* A view of its own: repeat and transform must not stick to the shadow. */
  pixman_image_t *shadow = display_surface(target->display, image->surface)->shadow;
  return pixman_image_create_bits_no_clear(
      pixman_image_get_format(shadow), pixman_image_get_width(shadow),
      pixman_image_get_height(shadow), pixman_image_get_data(shadow),
      pixman_image_get_stride(shadow));
}

/* The same for copying onto ARGB: the server copies the unused byte with the rest,
 * but converts 16 bit pixels, which become opaque. */
static pixman_image_t *copied_source(struct target *target, const struct image *image,
                                     pixman_image_t **owner) {
  *owner = source(target, image);
  pixman_format_code_t format = pixman_image_get_format(*owner);
  bool is_whole = target->surface->format == SPICE_SURFACE_FMT_32_ARGB &&
                  format == PIXMAN_x8r8g8b8 &&
                  (image->type == IMAGE_SURFACE || image->format != SPICE_BITMAP_FMT_16BIT);
  return pixman_image_create_bits_no_clear(
      is_whole ? PIXMAN_a8r8g8b8 : format, pixman_image_get_width(*owner),
      pixman_image_get_height(*owner), pixman_image_get_data(*owner),
      pixman_image_get_stride(*owner));
}

/* Composites onto the whole box; source and mask positions belong to its corner. */
static void composite(struct target *target, pixman_op_t op, pixman_image_t *from,
                      pixman_image_t *mask, int32_t src_x, int32_t src_y) {
  const struct rect *box = &target->draw->box;
  pixman_image_composite32(op, from, mask, target->surface->shadow, src_x, src_y, 0, 0, box->x,
                           box->y, box->w, box->h);
}

/* Writes `value` as it is into every pixel. */
static void fill_raw(struct target *target, uint32_t value) {
  pixman_image_t *shadow = target->surface->shadow;
  int bits = (int)PIXMAN_FORMAT_BPP(pixman_image_get_format(shadow));
  int count;
  pixman_box32_t *boxes = pixman_region32_rectangles(&target->region, &count);
  for (int i = 0; i < count; i++) {
    pixman_fill(pixman_image_get_data(shadow), pixman_image_get_stride(shadow) / 4, bits,
                boxes[i].x1, boxes[i].y1, boxes[i].x2 - boxes[i].x1, boxes[i].y2 - boxes[i].y1,
                value);
  }
}

static void fill_with_brush(struct target *target) {
  const struct draw *draw = target->draw;
  if (draw->brush.type == BRUSH_SOLID) {
    fill_raw(target, draw->brush.color);
    return;
  }
  pixman_image_t *owner, *tile = copied_source(target, &draw->brush.image, &owner);
  pixman_image_set_repeat(tile, PIXMAN_REPEAT_NORMAL);
  composite(target, PIXMAN_OP_SRC, tile, NULL, draw->box.x - draw->brush.x,
            draw->box.y - draw->brush.y);
  pixman_image_unref(tile);
  pixman_image_unref(owner);
}

static void copy_source(struct target *target) {
  const struct draw *draw = target->draw;
  pixman_image_t *owner, *from = copied_source(target, &draw->src, &owner);
  composite(target, PIXMAN_OP_SRC, from, NULL, draw->src_area.x, draw->src_area.y);
  pixman_image_unref(from);
  pixman_image_unref(owner);
}

/* Through a picture of its own, since source and box may overlap. */
static void copy_bits(struct target *target) {
  const struct draw *draw = target->draw;
  const struct rect *box = &draw->box;
  if (box->w == 0 || box->h == 0) return;
  pixman_image_t *shadow = target->surface->shadow;
  pixman_image_t *kept =
      pixman_image_create_bits(pixman_image_get_format(shadow), box->w, box->h, NULL, 0);
  pixman_image_set_clip_region32(shadow, NULL);
  pixman_image_composite32(PIXMAN_OP_SRC, shadow, NULL, kept, draw->from_x, draw->from_y, 0, 0, 0,
                           0, box->w, box->h);
  pixman_image_set_clip_region32(shadow, &target->region);
  composite(target, PIXMAN_OP_SRC, kept, NULL, 0, 0);
  pixman_image_unref(kept);
}

static void invert(struct target *target) {
  const pixman_color_t white = {0xffff, 0xffff, 0xffff, 0xffff};
  pixman_image_t *from = pixman_image_create_solid_fill(&white);
  composite(target, PIXMAN_OP_DIFFERENCE, from, NULL, 0, 0);
  pixman_image_unref(from);
}

static void copy_but_key(struct target *target) {
  const struct draw *draw = target->draw;
  pixman_image_t *from = source(target, &draw->src);
  int width = pixman_image_get_width(from), height = pixman_image_get_height(from);
  pixman_image_t *keyed = pixman_image_create_bits(PIXMAN_a8r8g8b8, width, height, NULL, width * 4);
  pixman_image_composite32(PIXMAN_OP_SRC, from, NULL, keyed, 0, 0, 0, 0, 0, 0, width, height);
  uint32_t *pixels = pixman_image_get_data(keyed);
  for (size_t i = 0; i < (size_t)width * (size_t)height; i++) {
    pixels[i] = (pixels[i] & 0xffffff) == (draw->key & 0xffffff) ? 0 : pixels[i] | 0xff000000;
  }
  composite(target, PIXMAN_OP_OVER, keyed, NULL, draw->src_area.x, draw->src_area.y);
  pixman_image_unref(keyed);
  pixman_image_unref(from);
}

static void blend_alpha(struct target *target) {
  const struct draw *draw = target->draw;
  pixman_image_t *from = source(target, &draw->src);
  const pixman_color_t alpha = {0, 0, 0, (uint16_t)(draw->alpha * 0x101)};
  pixman_image_t *mask = draw->alpha == 255 ? NULL : pixman_image_create_solid_fill(&alpha);
  composite(target, PIXMAN_OP_OVER, from, mask, draw->src_area.x, draw->src_area.y);
  if (mask) pixman_image_unref(mask);
  pixman_image_unref(from);
}

/* Sets up one side of a composite; the caller unrefs it. */
static pixman_image_t *composite_side(struct target *target, const struct image *image,
                                      const int32_t *transform, uint32_t filter, uint32_t repeat) {
  pixman_image_t *side = source(target, image);
  if (transform) {
    pixman_transform_t matrix = {{{transform[0], transform[1], transform[2]},
                                  {transform[3], transform[4], transform[5]},
                                  {0, 0, pixman_fixed_1}}};
    pixman_image_set_transform(side, &matrix);
  }
  pixman_image_set_filter(side, filter == 0 ? PIXMAN_FILTER_NEAREST : PIXMAN_FILTER_BILINEAR, NULL,
                          0);
  pixman_image_set_repeat(side, (pixman_repeat_t)repeat);
  return side;
}

static void compose(struct target *target) {
  const struct draw *draw = target->draw;
  const struct rect *box = &draw->box;
  uint32_t flags = draw->flags;
  pixman_image_t *from =
      composite_side(target, &draw->src, draw->has_transform ? draw->transform : NULL,
                     flags >> 8 & 7, flags >> 14 & 3);
  pixman_image_t *mask = NULL;
  if (draw->comp_mask.type != IMAGE_NONE) {
    mask = composite_side(target, &draw->comp_mask,
                          draw->has_mask_transform ? draw->mask_transform : NULL, flags >> 11 & 7,
                          flags >> 16 & 3);
    pixman_image_set_component_alpha(mask, flags >> 18 & 1);
  }
  pixman_image_composite32((pixman_op_t)(flags & 0xff), from, mask, target->surface->shadow,
                           draw->src_x, draw->src_y, draw->mask_x, draw->mask_y, box->x, box->y,
                           box->w, box->h);
  if (mask) pixman_image_unref(mask);
  pixman_image_unref(from);
}

static void make(struct target *target) {
  switch (target->draw->kind) {
    case QXL_DRAW_FILL:
    case QXL_DRAW_OPAQUE: /* with PUT, the brush covers the source */
      fill_with_brush(target);
      break;
    case QXL_DRAW_COPY:
    case QXL_DRAW_BLEND:
      copy_source(target);
      break;
    case QXL_COPY_BITS:
      copy_bits(target);
      break;
    case QXL_DRAW_BLACKNESS:
      fill_raw(target, 0);
      break;
    case QXL_DRAW_WHITENESS:
      fill_raw(target, 0xffffffff);
      break;
    case QXL_DRAW_INVERS:
      invert(target);
      break;
    case QXL_DRAW_TRANSPARENT:
      copy_but_key(target);
      break;
    case QXL_DRAW_ALPHA_BLEND:
      blend_alpha(target);
      break;
    case QXL_DRAW_COMPOSITE:
      compose(target);
      break;
    default:
      break;
  }
}

void shadow_draw(struct display *display, const struct draw *draw) {
  struct surface *surface = display_surface(display, draw->surface);
  if (!is_inside(&draw->box, surface)) return; /* the server refuses such a draw */
  if (!surface->shadow_known) return;
  if (!shadow_can(display, draw)) {
    surface->shadow_known = false;
    return;
  }
  struct target target = {.display = display, .surface = surface, .draw = draw};
  pixman_region32_init_rect(&target.region, draw->box.x, draw->box.y, (unsigned)draw->box.w,
                            (unsigned)draw->box.h);
  clip_to_rects(&target);
  clip_to_mask(&target);
  pixman_image_set_clip_region32(surface->shadow, &target.region);
  make(&target);
  pixman_image_set_clip_region32(surface->shadow, NULL);
  pixman_region32_fini(&target.region);
}
