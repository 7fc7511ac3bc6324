/* Draws as text: `KIND key=value …`, the same for commands and for reports. */
#include "peer.h"

#include <stdlib.h>
#include <string.h>

static const char *const KINDS[] = {
    [QXL_DRAW_NOP] = "nop",
    [QXL_DRAW_FILL] = "fill",
    [QXL_DRAW_OPAQUE] = "opaque",
    [QXL_DRAW_COPY] = "copy",
    [QXL_COPY_BITS] = "copy_bits",
    [QXL_DRAW_BLEND] = "blend",
    [QXL_DRAW_BLACKNESS] = "blackness",
    [QXL_DRAW_WHITENESS] = "whiteness",
    [QXL_DRAW_INVERS] = "invers",
    [QXL_DRAW_ROP3] = "rop3",
    [QXL_DRAW_STROKE] = "stroke",
    [QXL_DRAW_TEXT] = "text",
    [QXL_DRAW_TRANSPARENT] = "transparent",
    [QXL_DRAW_ALPHA_BLEND] = "alpha_blend",
    [QXL_DRAW_COMPOSITE] = "composite",
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

const char *kind_name(uint8_t kind) { return kind < KIND_COUNT ? KINDS[kind] : "unknown"; }

int kind_by_name(const char *name) {
  for (int i = 1; i < KIND_COUNT; i++) {
    if (strcmp(KINDS[i], name) == 0) return i;
  }
  return -1;
}

/* Reads up to `most` numbers parted by ',', 'x', ':' or '@'; returns how many. */
static int numbers(const char *text, int64_t *to, int most) {
  int count = 0;
  while (count < most) {
    char *end;
    to[count] = strtoll(text, &end, 0);
    if (end == text) break;
    count++;
    if (*end == '\0' || !strchr(",x:@", *end)) break;
    text = end + 1;
  }
  return count;
}

static bool parse_rect(const char *text, struct rect *rect) {
  int64_t n[4];
  if (numbers(text, n, 4) != 4) return false;
  *rect = (struct rect){(int32_t)n[0], (int32_t)n[1], (int32_t)n[2], (int32_t)n[3]};
  return true;
}

/* surface:ID, or bitmap:FORMAT:WxH:SEED[:PAD[:FLAGS]], FLAGS of t c k. */
static bool parse_image(const char *text, struct image *image) {
  int64_t n[5] = {0};
  if (strncmp(text, "surface:", 8) == 0) {
    if (numbers(text + 8, n, 1) != 1) return false;
    *image = (struct image){.type = IMAGE_SURFACE, .surface = (uint32_t)n[0]};
    return true;
  }
  if (strncmp(text, "bitmap:", 7) != 0 || numbers(text + 7, n, 5) < 4) return false;
  const char *flags = text + 7;
  for (int i = 0; i < 4 && flags; i++) flags = strchr(flags + 1, ':');
  *image = (struct image){
      .type = IMAGE_BITMAP,
      .format = (uint8_t)n[0],
      .width = (uint32_t)n[1],
      .height = (uint32_t)n[2],
      .seed = (uint32_t)n[3],
      .pad = (uint32_t)n[4],
  };
  for (; flags && *flags && *flags != '@'; flags++) {
    image->top_down |= *flags == 't';
    image->cache |= *flags == 'c';
    image->chunks |= *flags == 'k';
  }
  return format_bits(image->format) > 0 && image->width >= 1 && image->height >= 1 &&
         image->width <= 8192 && image->height <= 8192 && image->pad <= 4096;
}

/* An image and where it begins: IMAGE@X,Y. */
static bool parse_placed(const char *text, struct image *image, int32_t *x, int32_t *y) {
  const char *at = strchr(text, '@');
  int64_t n[2] = {0};
  if (at && numbers(at + 1, n, 2) != 2) return false;
  *x = (int32_t)n[0];
  *y = (int32_t)n[1];
  return parse_image(text, image);
}

static bool parse_brush(const char *text, struct brush *brush) {
  if (strcmp(text, "none") == 0) return true;
  if (strchr(text, ':')) {
    brush->type = BRUSH_PATTERN;
    return parse_placed(text, &brush->image, &brush->x, &brush->y);
  }
  brush->type = BRUSH_SOLID;
  brush->color = (uint32_t)strtoul(text, NULL, 16);
  return true;
}

static bool parse_transform(const char *text, bool *is_set, int32_t to[6]) {
  int64_t n[6];
  if (numbers(text, n, 6) != 6) return false;
  for (int i = 0; i < 6; i++) to[i] = (int32_t)n[i];
  *is_set = true;
  return true;
}

static bool parse_origins(const char *text, struct draw *draw) {
  int64_t n[4];
  if (numbers(text, n, 4) != 4) return false;
  draw->src_x = (int16_t)n[0];
  draw->src_y = (int16_t)n[1];
  draw->mask_x = (int16_t)n[2];
  draw->mask_y = (int16_t)n[3];
  return true;
}

/* Keys whose value is more than a number. */
static bool parse_structured(struct draw *draw, const char *key, const char *value, bool *known) {
  int64_t n[2];
  *known = true;
  if (strcmp(key, "box") == 0) return parse_rect(value, &draw->box);
  if (strcmp(key, "area") == 0) return parse_rect(value, &draw->src_area);
  if (strcmp(key, "clip") == 0) {
    return draw->clips < MAX_CLIPS && parse_rect(value, &draw->clip[draw->clips++]);
  }
  if (strcmp(key, "src") == 0) return parse_image(value, &draw->src);
  if (strcmp(key, "brush") == 0) return parse_brush(value, &draw->brush);
  if (strcmp(key, "back") == 0) return parse_brush(value, &draw->back);
  if (strcmp(key, "mask") == 0) {
    draw->mask.invert = strchr(value, '!') != NULL;
    return parse_placed(value, &draw->mask.image, &draw->mask.x, &draw->mask.y);
  }
  if (strcmp(key, "from") == 0) {
    if (numbers(value, n, 2) != 2) return false;
    draw->from_x = (int32_t)n[0];
    draw->from_y = (int32_t)n[1];
    return true;
  }
  if (strcmp(key, "comp_mask") == 0) return parse_image(value, &draw->comp_mask);
  if (strcmp(key, "transform") == 0) {
    return parse_transform(value, &draw->has_transform, draw->transform);
  }
  if (strcmp(key, "mask_transform") == 0) {
    return parse_transform(value, &draw->has_mask_transform, draw->mask_transform);
  }
  if (strcmp(key, "origins") == 0) return parse_origins(value, draw);
  *known = false;
  return false;
}

static bool parse_number(struct draw *draw, const char *key, const char *value) {
  unsigned long number = strtoul(value, NULL, 0);
  if (strcmp(key, "surface") == 0) {
    draw->surface = (uint32_t)number;
  } else if (strcmp(key, "rop") == 0) {
    draw->rop = (uint16_t)number;
  } else if (strcmp(key, "back_rop") == 0) {
    draw->back_rop = (uint16_t)number;
  } else if (strcmp(key, "rop3") == 0) {
    draw->rop3 = (uint8_t)number;
  } else if (strcmp(key, "scale") == 0) {
    draw->scale = (uint8_t)number;
  } else if (strcmp(key, "alpha") == 0) {
    draw->alpha = (uint8_t)number;
  } else if (strcmp(key, "alpha_flags") == 0) {
    draw->alpha_flags = (uint8_t)number;
  } else if (strcmp(key, "key") == 0) {
    draw->key = (uint32_t)strtoul(value, NULL, 16);
  } else if (strcmp(key, "seed") == 0) {
    draw->seed = (uint32_t)number;
  } else if (strcmp(key, "style") == 0) {
    draw->style = (uint8_t)number;
  } else if (strcmp(key, "flags") == 0) {
    draw->flags = (uint32_t)number;
  } else {
    return false;
  }
  return true;
}

/* What is left out is as a driver would have it: the whole image, PUT. */
static void complete(struct draw *draw) {
  if (draw->src_area.w == 0 && draw->src.type != IMAGE_NONE) {
    draw->src_area = (struct rect){0, 0, draw->box.w, draw->box.h};
  }
}

const char *draw_parse(struct draw *draw, char *words) {
  char *rest;
  char *kind = strtok_r(words, " ", &rest);
  int number = kind ? kind_by_name(kind) : -1;
  if (number < 0) return "no such kind of draw";
  *draw = (struct draw){.kind = (uint8_t)number,
                        .rop = SPICE_ROPD_OP_PUT,
                        .back_rop = SPICE_ROPD_OP_PUT,
                        .rop3 = 0xcc,
                        .alpha = 255,
                        .style = number == QXL_DRAW_TEXT ? 8 : 0};
  for (char *word; (word = strtok_r(NULL, " ", &rest));) {
    char *value = strchr(word, '=');
    if (!value) return "a word without =";
    *value++ = '\0';
    bool known;
    if (parse_structured(draw, word, value, &known)) continue;
    if (known || !parse_number(draw, word, value)) return "a key or value that is not understood";
  }
  complete(draw);
  return NULL;
}

/* A text that grows within its bounds. */
struct text {
  char *at;
  size_t left;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text->at, text->left, format, args);
  va_end(args);
  if (length < 0) return;
  size_t used = (size_t)length < text->left ? (size_t)length : text->left - 1;
  text->at += used;
  text->left -= used;
}

static void put_rect(struct text *text, const char *key, const struct rect *rect) {
  put(text, " %s=%d,%d,%d,%d", key, rect->x, rect->y, rect->w, rect->h);
}

static void put_image(struct text *text, const char *key, const struct image *image) {
  if (image->type == IMAGE_SURFACE) put(text, " %s=surface:%u", key, image->surface);
  if (image->type != IMAGE_BITMAP) return;
  put(text, " %s=bitmap:%u:%ux%u:%u:%u:%s%s%s", key, image->format, image->width, image->height,
      image->seed, image->pad, image->top_down ? "t" : "", image->cache ? "c" : "",
      image->chunks ? "k" : "");
}

static void put_brush(struct text *text, const char *key, const struct brush *brush) {
  if (brush->type == BRUSH_SOLID) put(text, " %s=%06x", key, brush->color);
  if (brush->type != BRUSH_PATTERN) return;
  put_image(text, key, &brush->image);
  put(text, "@%d,%d", brush->x, brush->y);
}

static void put_transform(struct text *text, const char *key, const int32_t t[6]) {
  put(text, " %s=%d,%d,%d,%d,%d,%d", key, t[0], t[1], t[2], t[3], t[4], t[5]);
}

static void put_composite(struct text *text, const struct draw *draw) {
  put(text, " flags=0x%x origins=%d,%d,%d,%d", draw->flags, draw->src_x, draw->src_y, draw->mask_x,
      draw->mask_y);
  put_image(text, "comp_mask", &draw->comp_mask);
  if (draw->has_transform) put_transform(text, "transform", draw->transform);
  if (draw->has_mask_transform) put_transform(text, "mask_transform", draw->mask_transform);
}

void draw_print(const struct draw *draw, char *to, size_t size) {
  struct text text = {to, size};
  put(&text, "%s surface=%u", kind_name(draw->kind), draw->surface);
  put_rect(&text, "box", &draw->box);
  for (uint32_t i = 0; i < draw->clips; i++) put_rect(&text, "clip", &draw->clip[i]);
  put_image(&text, "src", &draw->src);
  if (draw->src.type != IMAGE_NONE && draw->kind != QXL_DRAW_COMPOSITE) {
    put_rect(&text, "area", &draw->src_area);
  }
  put_brush(&text, "brush", &draw->brush);
  put_brush(&text, "back", &draw->back);
  if (draw->mask.image.type != IMAGE_NONE) {
    put_image(&text, "mask", &draw->mask.image);
    put(&text, "@%d,%d%s", draw->mask.x, draw->mask.y, draw->mask.invert ? "!" : "");
  }
  if (draw->rop != SPICE_ROPD_OP_PUT) put(&text, " rop=%u", draw->rop);
  if (draw->back_rop != SPICE_ROPD_OP_PUT) put(&text, " back_rop=%u", draw->back_rop);
  if (draw->scale) put(&text, " scale=%u", draw->scale);
  switch (draw->kind) {
    case QXL_DRAW_ROP3:
      put(&text, " rop3=0x%02x", draw->rop3);
      break;
    case QXL_COPY_BITS:
      put(&text, " from=%d,%d", draw->from_x, draw->from_y);
      break;
    case QXL_DRAW_ALPHA_BLEND:
      put(&text, " alpha=%u alpha_flags=%u", draw->alpha, draw->alpha_flags);
      break;
    case QXL_DRAW_TRANSPARENT:
      put(&text, " key=%06x", draw->key);
      break;
    case QXL_DRAW_STROKE:
    case QXL_DRAW_TEXT:
      put(&text, " seed=%u style=%u", draw->seed, draw->style);
      break;
    case QXL_DRAW_COMPOSITE:
      put_composite(&text, draw);
      break;
    default:
      break;
  }
}
