/* What the files of the SPICE peer share. The command language is in main.c.
 *
 * Three threads: the command thread (reads stdin, makes draws, owns the table of
 * surfaces and all shadows), the main thread (GLib's loop, in which
 * libspice-server accepts and links), and one worker thread per display, made by
 * libspice-server, which calls the functions of qxl.c's interface. Commands
 * travel from the command thread to a worker through a ring under the display's
 * mutex; from then on a command belongs to the server, until it releases it. */
#ifndef SPICE_PEER_H
#define SPICE_PEER_H

#include <pixman.h>
#include <spice.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
  MAX_DISPLAYS = 2,
  MAX_SURFACES = 64,
  MAX_CLIPS = 8,
  MAX_HEADS = 8,
};

struct rect {
  int32_t x, y, w, h;
};

/* Pixels that are named instead of carried: a bitmap whose contents follow from
 * `seed`, or what a surface holds. */
struct image {
  enum { IMAGE_NONE, IMAGE_BITMAP, IMAGE_SURFACE } type;
  uint32_t surface; /* IMAGE_SURFACE: its id; the rest is IMAGE_BITMAP's */
  uint8_t format;   /* SPICE_BITMAP_FMT_* */
  uint32_t width, height;
  uint32_t seed;
  uint32_t pad;  /* bytes behind each row */
  bool top_down; /* first row on top */
  bool cache;    /* asks the server to have clients keep it; contents and id by seed */
  bool chunks;   /* data in several chunks */
};

struct brush {
  enum { BRUSH_NONE, BRUSH_SOLID, BRUSH_PATTERN } type;
  uint32_t color; /* 0x00RRGGBB */
  struct image image;
  int32_t x, y; /* where the pattern begins on the surface */
};

struct mask {
  struct image image; /* of one bit per pixel, or IMAGE_NONE */
  int32_t x, y;       /* the mask's pixel at the box's top left corner */
  bool invert;
};

/* One draw, as the guest's driver would ask for it. Values, no pointers: a draw
 * can be printed, parsed, queued to the server and made on a shadow alike. */
struct draw {
  uint8_t kind; /* QXL_DRAW_* */
  uint32_t surface;
  struct rect box;
  uint32_t clips;
  struct rect clip[MAX_CLIPS];
  struct image src;
  struct rect src_area;
  struct brush brush;
  struct brush back; /* text */
  struct mask mask;
  uint16_t rop; /* SPICE_ROPD_*; of text and stroke: fore mode */
  uint16_t back_rop;
  uint8_t rop3;
  uint8_t scale; /* SPICE_IMAGE_SCALE_MODE_* */
  uint8_t alpha;
  uint8_t alpha_flags;
  uint32_t key;    /* transparent: the colour left out */
  int32_t from_x;  /* copy bits */
  int32_t from_y;
  uint32_t seed;   /* stroke: its path; text: its glyphs */
  uint8_t style;   /* stroke: dashes; text: bits per pixel 1, 4, 8 */
  /* composite */
  uint32_t flags;
  struct image comp_mask;
  bool has_transform, has_mask_transform;
  int32_t transform[6], mask_transform[6]; /* 16.16 */
  int16_t src_x, src_y, mask_x, mask_y;
};

/* A surface's memory: ours to give, the server's to write to until it is
 * destroyed. The command thread owns the entry. */
struct surface {
  bool live;
  uint32_t width, height;
  uint32_t format; /* SPICE_SURFACE_FMT_* */
  int32_t stride;  /* bytes; negative for a primary stored bottom-up */
  uint8_t *memory;
  pixman_image_t *shadow; /* the same draws, made by pixman; owned */
  bool shadow_known;      /* false: something was drawn that shadow.c does not do */
};

struct display;

/* Prints one line on stdout; whole lines only, from any thread. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the process with a message: for what must not happen. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* calloc that never fails. */
void *zalloc(size_t size);

/* server.c: the SPICE server and the main loop. */
struct options {
  const char *unix_path; /* or NULL: TCP on the loopback */
  uint16_t port;         /* 0: any */
  const char *password;  /* NULL: none */
  int displays;
};
/* Starts the server on the calling thread, which becomes the main thread. */
SpiceServer *server_start(const struct options *options);
/* The port it listens on; 0 on a Unix socket. */
uint16_t server_port(void);
/* Runs main's loop until server_quit; then destroys the server. */
void server_run(void);
void server_quit(void);
/* Runs `call(argument)` on the main thread and waits for it. */
void on_main(void (*call)(void *), void *argument);

/* qxl.c: displays. All of it is for the command thread. */
/* Display `index`, or NULL. */
struct display *display_at(int index);
/* Makes a display of the server; `index` counts from 0. */
struct display *display_add(SpiceServer *server, int index);
struct surface *display_surface(struct display *display, uint32_t id); /* NULL unless live */
QXLInstance *display_instance(struct display *display);
/* Creates surface `id`; 0 is the primary one, `bottom_up` is for it only. */
const char *display_create(struct display *display, uint32_t id, uint32_t width, uint32_t height,
                           uint32_t format, bool bottom_up);
const char *display_destroy(struct display *display, uint32_t id);
/* Destroys all of them, as a reset of the device does. */
void display_destroy_all(struct display *display);
/* Queues a command that `arena` holds; waits while the ring is full. */
struct arena;
void display_queue(struct display *display, struct arena *arena, uint32_t type, void *data);
void display_queue_cursor(struct display *display, struct arena *arena, void *data);
/* Waits until the worker has taken every command. */
void display_drain(struct display *display);
/* Has the server bring a surface's memory up to date. */
void display_update(struct display *display, uint32_t id);
/* Announces heads, and waits until the server has it on its way. */
void display_monitors(struct display *display, const QXLHead *heads, uint16_t count,
                      uint16_t max_allowed);
/* Announces the same heads again with a new number as the most heads allowed: it
 * reaches a client behind everything that was drawn before. Returns the number. */
uint32_t display_mark(struct display *display);
/* Commands that the server has taken and not yet released. */
int display_held(struct display *display);
/* The caps that the display's client told, as a number; -1 while there is none. */
int display_client_caps(struct display *display);

/* An arena holds the memory of one command: freed when the server releases it. */
struct arena *arena_new(void);
void *arena_alloc(struct arena *arena, size_t size);
void arena_free(struct arena *arena);

/* images.c */
/* Bits per pixel of a bitmap format; 0 if unknown. */
int format_bits(uint8_t format);
/* The image as the guest's driver hands it over. */
QXLImage *image_build(struct arena *arena, const struct image *image);
/* The same image as pixman has it (a8r8g8b8 or x8r8g8b8); the caller owns it. */
pixman_image_t *image_decode(const struct image *image);
/* A mask as pixman has it: a1, set where it lets a draw through. */
pixman_image_t *mask_decode(const struct mask *mask);
void random_fill(uint64_t seed, void *to, size_t size);
uint64_t next_random(uint64_t *state);

/* draws.c: queues a draw. */
const char *draw_queue(struct display *display, const struct draw *draw);

/* shadow.c: makes the draw on the surface's shadow, or marks the shadow unknown. */
void shadow_draw(struct display *display, const struct draw *draw);
/* A shadow for a new surface; zero. */
pixman_image_t *shadow_new(uint32_t width, uint32_t height, uint32_t format);
/* Whether shadow.c can make this draw. */
bool shadow_can(struct display *display, const struct draw *draw);

/* text.c: draws as text. */
const char *draw_parse(struct draw *draw, char *words);
void draw_print(const struct draw *draw, char *to, size_t size);
const char *kind_name(uint8_t kind);
int kind_by_name(const char *name); /* -1 if there is none */

/* random.c */
/* Makes the next random draw of a sequence for this display. `kinds` is a set of
 * 1 << QXL_DRAW_*; `plain` keeps to what shadow.c can do. */
void draw_random(struct display *display, uint64_t *state, uint32_t kinds, bool plain,
                 struct draw *draw);

/* flood.c: queues one frame of the whole primary surface, in columns of so many
 * pixels (0: one). */
void flood_frame(struct display *display, uint32_t frame, int columns);

/* watchdog.c: ends the peer, saying so, once a worker of the server's loops for ever. */
void watchdog_start(void);
/* For callbacks on a worker's thread: it is alive. */
void watchdog_beat(void);
/* Makes workers loop for ever at their next beat. */
void watchdog_spin(void);

/* gl.c: scanouts and draws of the guest's GPU. */
/* Set in the cookie of a draw, which completes whenever the client likes. */
#define GL_COOKIE (UINT64_C(1) << 63)
/* One command; its answer goes to `reply`, which has 4096 bytes. */
const char *gl_command(struct display *display, char *words, char *reply);
/* A draw is complete; from any thread. */
void gl_draw_complete(int display);

/* devices.c: input devices, cursor, character devices. */
void devices_add(SpiceServer *server);
const char *cursor_command(struct display *display, char *words);
const char *device_command(char *words);

#endif
