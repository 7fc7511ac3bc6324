/* A SPICE server with nothing behind it: the real libspice-server with QXL
 * displays of ours, told by lines on stdin what the guest does.
 *
 *   spice_peer [--displays N] [--password WORD] --unix PATH | --tcp [PORT]
 *
 * prints "ready" ("ready PORT" with --tcp; 0 or none: any port) as soon as clients
 * can connect, then answers each line with one line: "ok …" or "error …". Lines
 * that begin with "event " may come between. The end of stdin is `quit`.
 *
 * All commands work on the display that was chosen last; ids and sizes are numbers.
 *
 *   display N                         choose it, from 0
 *   primary W H [FORMAT] [bottom-up]  (re)create surface 0; FORMAT: 32 xRGB, 96 ARGB,
 *                                     16 x1r5g5b5, 80 r5g6b5, 8 A8
 *   surface ID W H [FORMAT]           an off-screen surface, ID up to 63
 *   destroy ID                        destroy one
 *   destroy_surfaces                  destroy all (device reset)
 *   draw KIND key=value …             one draw; see below
 *   random SEED COUNT [plain] [KIND …]  COUNT random draws of these kinds (all if none is
 *                                     given) on all live surfaces; `plain`: only what pixman can do
 *                                     without the server's own canvas
 *   more COUNT                        goes on with the sequence
 *   last                              prints the last random draw as a `draw` command
 *   sync                              "ok N": everything that was drawn is on its way to the
 *                                     client, and behind it a MONITORS_CONFIG whose
 *                                     max_allowed is N (256 and more)
 *   expect ID FILE                    writes what the server's own canvas shows: W * H little-endian
 *                                     words 0xAARRGGBB, top-down (16 bit colours widened)
 *   expect_pixman ID FILE             the same of the draws made by pixman; an error once a draw
 *                                     was not plain
 *   compare ID                        "ok N X Y": N pixels differ between these two, X Y the first
 *   heads MAX [ID,SURFACE,W,H,X,Y]…   a monitors config
 *   video N W H X Y MS                N frames of a moving picture, one every MS
 *   flood SECONDS [COLUMNS]           full-screen frames as fast as the client takes them, in
 *                                     columns of COLUMNS pixels (QEMU: 32); "ok FRAMES"
 *   gl COMMAND                        what the guest's GPU does; see below
 *   compression off|auto_glz|auto_lz|quic|glz|lz|lz4
 *   jpeg auto|always|never            zlib_glz auto|always|never
 *   streaming off|all|filter          codecs LIST
 *   reset_cache                       drop the image cache
 *   reset_cursor
 *   cursor set TYPE W H HOT_X HOT_Y X Y VISIBLE SEED [UNIQUE [FILE]]  (FILE: write its data there)
 *   cursor move X Y   cursor hide   cursor trail LENGTH FREQUENCY
 *   tablet on|off     leds BITS
 *   chardev add SUBTYPE NAME          SUBTYPE: port, usbredir, vdagent, smartcard
 *   chardev remove|opened|closed NAME
 *   chardev send NAME HEX             bytes from the guest
 *   stop  start                       the VM
 *   spin                              the server's workers loop for ever from now on, as it can happen
 *                                     to them: the peer ends
 *   info                              "ok held=N caps=HEX": commands not yet released; the client's caps
 *   quit
 *
 * GL commands:
 *   scanout memory W H [KEY=VALUE|WORD …]  a memfd with a picture. Keys: format (DRM fourcc, XR24),
 *                                     stride (bytes), seed; words: y0top, loose (it may be cut off later)
 *   scanout pipe W H [KEY=VALUE|WORD …]    a pipe with the number of a surface, as on macOS. Keys:
 *                                     format (BGRA, RGBA), stride, seed, planes of the surface; id (a
 *                                     number without a surface), bytes (how many of the number's, or
 *                                     more, are in the pipe). Words: y0top, hidden (others do not find
 *                                     the surface), hung (the pipe's other end is closed)
 *                                     Keys of both, for what the message says otherwise:
 *                                     claim_width, claim_height, claim_stride, claim_fourcc
 *   again                             the same scanout once more: the same memfd, the same pipe
 *   off                               no scanout
 *   flood COUNT memory|pipe W H …     that many scanouts, seeds counting up
 *   paint SEED [X Y W H]              paints into the buffer
 *   cut                               cuts a loose memfd off behind its first byte
 *   draw [X Y W H]                    a draw: "ok MICROS" once the client has acknowledged it
 *   post [X Y W H]                    the same without waiting
 *   settle [MS]                       waits until no acknowledgement is owed
 *   draws COUNT MS N [X Y W H]        COUNT draws one behind the other, a pause of MS between; the
 *                                     same scanout again before every Nth (0: never); "ok JSON":
 *                                     times in microseconds
 *   expect FILE                       writes what is to be shown: W * H little-endian words
 *                                     0xffRRGGBB, top-down
 *   info                              "ok JSON": acknowledgements owed, draws, scanouts, open files
 * A scanout while a draw is pending is refused: libspice-server would end the process.
 *
 * Events: channel connected|initialized|disconnected TYPE ID; key HEX; motion DX DY DZ BUTTONS;
 * buttons BITS; tablet_size W H; position X Y BUTTONS; wheel DZ BUTTONS; tablet_buttons BITS;
 * monitors DISPLAY WxH+X+Y …; chardev NAME state N | data HEX | opened | closed | break.
 *
 * Draws: kinds fill opaque copy copy_bits blend blackness whiteness invers rop3 stroke text
 * transparent alpha_blend composite; keys surface=ID box=X,Y,W,H clip=X,Y,W,H (up to 8)
 * src=IMAGE area=X,Y,W,H brush=RRGGBB|IMAGE@X,Y back=… mask=IMAGE@X,Y[!] rop=BITS back_rop=BITS
 * scale=N rop3=N from=X,Y alpha=N alpha_flags=N key=RRGGBB seed=N style=N
 * flags=N origins=SX,SY,MX,MY comp_mask=IMAGE transform=A,B,C,D,E,F mask_transform=…
 * IMAGE: surface:ID or bitmap:FORMAT:WxH:SEED[:PAD[:FLAGS]], FLAGS t top-down, c cached, k chunks. */
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static SpiceServer *server;
static struct display *current;
static char reply[4096]; /* what follows "ok" */

void say(const char *format, ...) {
  flockfile(stdout);
  va_list args;
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  putchar('\n');
  fflush(stdout);
  funlockfile(stdout);
}

void die(const char *format, ...) {
  fputs("spice_peer: ", stderr);
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(1);
}

void *zalloc(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) die("out of memory");
  return memory;
}

/* ---- pictures ---- */

static uint32_t widen(uint32_t value, int bits) {
  return bits == 5 ? value << 3 | value >> 2 : value << 2 | value >> 4;
}

static uint32_t pixel_of(uint32_t format, const uint8_t *row, uint32_t x) {
  uint32_t value = 0;
  switch (format) {
    case SPICE_SURFACE_FMT_32_xRGB:
      memcpy(&value, row + 4 * x, 4);
      return value & 0xffffff;
    case SPICE_SURFACE_FMT_32_ARGB:
      memcpy(&value, row + 4 * x, 4);
      return value;
    case SPICE_SURFACE_FMT_16_555:
      memcpy(&value, row + 2 * x, 2);
      return widen(value >> 10 & 31, 5) << 16 | widen(value >> 5 & 31, 5) << 8 |
             widen(value & 31, 5);
    case SPICE_SURFACE_FMT_16_565:
      memcpy(&value, row + 2 * x, 2);
      return widen(value >> 11 & 31, 5) << 16 | widen(value >> 5 & 63, 6) << 8 |
             widen(value & 31, 5);
    default: /* A8 */
      return (uint32_t)row[x] << 24;
  }
}

/* The surface as words 0xAARRGGBB; the caller frees it. `rows` is the first one. */
static uint32_t *picture(const struct surface *surface, const uint8_t *rows, int32_t stride) {
  uint32_t *words = zalloc((size_t)surface->width * surface->height * 4);
  for (uint32_t y = 0; y < surface->height; y++) {
    const uint8_t *row = rows + (int64_t)stride * y;
    for (uint32_t x = 0; x < surface->width; x++) {
      words[(size_t)y * surface->width + x] = pixel_of(surface->format, row, x);
    }
  }
  return words;
}

static uint32_t *server_picture(uint32_t id) {
  display_update(current, id);
  const struct surface *surface = display_surface(current, id);
  const uint8_t *rows = surface->memory;
  if (surface->stride < 0) rows -= (int64_t)surface->stride * (surface->height - 1);
  return picture(surface, rows, surface->stride);
}

static uint32_t *pixman_picture(const struct surface *surface) {
  return picture(surface, (const uint8_t *)pixman_image_get_data(surface->shadow),
                 pixman_image_get_stride(surface->shadow));
}

static const char *write_picture(const struct surface *surface, uint32_t *words, const char *path) {
  FILE *to = fopen(path, "wb");
  if (to) {
    fwrite(words, 4, (size_t)surface->width * surface->height, to);
    if (fclose(to) != 0) to = NULL;
  }
  free(words);
  snprintf(reply, sizeof reply, "%u %u", surface->width, surface->height);
  return to ? NULL : strerror(errno);
}

static const char *expect(char *words, bool pixman) {
  unsigned id;
  char path[1024];
  if (sscanf(words, "%u %1023s", &id, path) != 2) return "expected ID FILE";
  struct surface *surface = display_surface(current, id);
  if (!surface) return "no such surface";
  if (!pixman) return write_picture(surface, server_picture(id), path);
  if (!surface->shadow_known) return "a draw was not plain";
  return write_picture(surface, pixman_picture(surface), path);
}

static const char *run_expect(char *words) { return expect(words, false); }
static const char *run_expect_pixman(char *words) { return expect(words, true); }

static const char *run_compare(char *words) {
  unsigned id = (unsigned)strtoul(words, NULL, 0);
  struct surface *surface = display_surface(current, id);
  if (!surface) return "no such surface";
  if (!surface->shadow_known) return "a draw was not plain";
  uint32_t *theirs = server_picture(id), *ours = pixman_picture(surface);
  size_t count = 0, first = 0;
  for (size_t i = (size_t)surface->width * surface->height; i-- > 0;) {
    if (theirs[i] == ours[i]) continue;
    count++;
    first = i;
  }
  snprintf(reply, sizeof reply, "%zu %zu %zu", count, first % surface->width,
           first / surface->width);
  if (count > 0) {
    size_t used = strlen(reply);
    snprintf(reply + used, sizeof reply - used, " server=%08x pixman=%08x", theirs[first],
             ours[first]);
  }
  free(theirs);
  free(ours);
  return NULL;
}

/* ---- surfaces and draws ---- */

static const char *run_display(char *words) {
  struct display *display = display_at(atoi(words));
  if (!display) return "no such display";
  current = display;
  return NULL;
}

static const char *run_primary(char *words) {
  unsigned width, height, format = SPICE_SURFACE_FMT_32_xRGB;
  if (sscanf(words, "%u %u %u", &width, &height, &format) < 2) return "expected W H [FORMAT]";
  return display_create(current, 0, width, height, format, strstr(words, "bottom-up") != NULL);
}

static const char *run_surface(char *words) {
  unsigned id, width, height, format = SPICE_SURFACE_FMT_32_xRGB;
  if (sscanf(words, "%u %u %u %u", &id, &width, &height, &format) < 3 || id == 0) {
    return "expected ID W H [FORMAT]";
  }
  return display_create(current, id, width, height, format, false);
}

static const char *run_destroy(char *words) {
  return display_destroy(current, (uint32_t)strtoul(words, NULL, 0));
}

static const char *run_destroy_surfaces(char *words) {
  (void)words;
  display_destroy_all(current);
  return NULL;
}

static const char *make(const struct draw *draw) {
  const char *error = draw_queue(current, draw);
  if (!error) shadow_draw(current, draw);
  return error;
}

static const char *run_draw(char *words) {
  struct draw draw;
  const char *error = draw_parse(&draw, words);
  return error ? error : make(&draw);
}

static uint64_t random_state;
static uint32_t random_kinds;
static bool random_plain;
static struct draw random_last;

static const char *random_draws(long count) {
  for (long i = 0; i < count; i++) {
    draw_random(current, &random_state, random_kinds, random_plain, &random_last);
    const char *error = make(&random_last);
    if (error) return error;
  }
  return NULL;
}

static const char *run_random(char *words) {
  char *rest;
  char *seed = strtok_r(words, " ", &rest);
  char *count = strtok_r(NULL, " ", &rest);
  if (!seed || !count) return "expected SEED COUNT [plain] [KIND ...]";
  random_state = strtoull(seed, NULL, 0);
  random_kinds = 0;
  random_plain = false;
  for (char *word; (word = strtok_r(NULL, " ", &rest));) {
    int kind = kind_by_name(word);
    if (strcmp(word, "plain") == 0) {
      random_plain = true;
    } else if (kind > 0) {
      random_kinds |= 1u << kind;
    } else {
      return "no such kind of draw";
    }
  }
  return random_draws(atol(count));
}

static const char *run_more(char *words) { return random_draws(atol(words)); }

static const char *run_last(char *words) {
  (void)words;
  draw_print(&random_last, reply, sizeof reply);
  return NULL;
}

static const char *run_sync(char *words) {
  (void)words;
  snprintf(reply, sizeof reply, "%u", display_mark(current));
  return NULL;
}

static const char *run_heads(char *words) {
  char *rest;
  char *max = strtok_r(words, " ", &rest);
  QXLHead heads[MAX_HEADS] = {0};
  uint16_t count = 0;
  if (!max) return "expected MAX [ID,SURFACE,W,H,X,Y] ...";
  for (char *word; (word = strtok_r(NULL, " ", &rest)); count++) {
    unsigned n[6];
    if (count == MAX_HEADS || sscanf(word, "%u,%u,%u,%u,%u,%u", n, n + 1, n + 2, n + 3, n + 4,
                                     n + 5) != 6) {
      return "expected up to 8 times ID,SURFACE,W,H,X,Y";
    }
    heads[count] = (QXLHead){
        .id = n[0], .surface_id = n[1], .width = n[2], .height = n[3], .x = n[4], .y = n[5]};
  }
  display_monitors(current, heads, count, (uint16_t)atoi(max));
  return NULL;
}

/* ---- many frames ---- */

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sleep_ms(int ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static const char *run_video(char *words) {
  int frames, width, height, x, y, ms;
  if (sscanf(words, "%d %d %d %d %d %d", &frames, &width, &height, &x, &y, &ms) != 6) {
    return "expected N W H X Y MS";
  }
  for (int i = 0; i < frames; i++) {
    struct draw draw = {
        .kind = QXL_DRAW_COPY,
        .box = {x, y, width, height},
        .src = {.type = IMAGE_BITMAP,
                .format = SPICE_BITMAP_FMT_32BIT,
                .width = (uint32_t)width,
                .height = (uint32_t)height,
                .seed = (uint32_t)i * 4 + 2, /* gradients, as video has */
                .top_down = true},
        .src_area = {0, 0, width, height},
        .rop = SPICE_ROPD_OP_PUT,
    };
    const char *error = make(&draw);
    if (error) return error;
    sleep_ms(ms);
  }
  return NULL;
}

static const char *run_flood(char *words) {
  double seconds = 0;
  int columns = 0;
  if (sscanf(words, "%lf %d", &seconds, &columns) < 1 || columns < 0) {
    return "expected SECONDS [COLUMNS]";
  }
  struct surface *primary = display_surface(current, 0);
  if (!primary) return "there is no primary surface";
  primary->shadow_known = false;
  double end = now() + seconds;
  unsigned frames = 0;
  while (now() < end) flood_frame(current, frames++, columns);
  snprintf(reply, sizeof reply, "%u", frames);
  return NULL;
}

/* ---- the server's settings, on the main thread ---- */

static const char *const COMPRESSIONS[] = {"",     "off", "auto_glz", "auto_lz",
                                           "quic", "glz", "lz",       "lz4"};
static const char *const WAN[] = {"", "auto", "always", "never"};
static const char *const STREAMING[] = {"", "off", "all", "filter"};

static int index_of(const char *word, const char *const *words, int count) {
  for (int i = 1; i < count; i++) {
    if (strcmp(word, words[i]) == 0) return i;
  }
  return 0;
}

static void set_compression(void *value) {
  spice_server_set_image_compression(server, *(SpiceImageCompression *)value);
}
static void set_jpeg(void *value) {
  spice_server_set_jpeg_compression(server, *(spice_wan_compression_t *)value);
}
static void set_zlib_glz(void *value) {
  spice_server_set_zlib_glz_compression(server, *(spice_wan_compression_t *)value);
}
static void set_streaming(void *value) { spice_server_set_streaming_video(server, *(int *)value); }
static void set_codecs(void *list) { spice_server_set_video_codecs(server, list); }
static void stop_vm(void *none) {
  (void)none;
  spice_server_vm_stop(server);
}
static void start_vm(void *none) {
  (void)none;
  spice_server_vm_start(server);
}

static const char *run_compression(char *words) {
  SpiceImageCompression value = (SpiceImageCompression)index_of(words, COMPRESSIONS, 8);
  if (value == SPICE_IMAGE_COMPRESSION_INVALID) return "no such compression";
  on_main(set_compression, &value);
  return NULL;
}

static const char *run_wan(char *words, void (*set)(void *)) {
  spice_wan_compression_t value = (spice_wan_compression_t)index_of(words, WAN, 4);
  if (value == SPICE_WAN_COMPRESSION_INVALID) return "expected auto, always or never";
  on_main(set, &value);
  return NULL;
}
static const char *run_jpeg(char *words) { return run_wan(words, set_jpeg); }
static const char *run_zlib_glz(char *words) { return run_wan(words, set_zlib_glz); }

static const char *run_streaming(char *words) {
  int value = index_of(words, STREAMING, 4);
  if (value == 0) return "expected off, all or filter";
  on_main(set_streaming, &value);
  return NULL;
}

static const char *run_codecs(char *words) {
  on_main(set_codecs, words);
  return NULL;
}

static const char *run_stop(char *words) {
  (void)words;
  on_main(stop_vm, NULL);
  return NULL;
}

static const char *run_start(char *words) {
  (void)words;
  on_main(start_vm, NULL);
  return NULL;
}

static const char *run_spin(char *words) {
  (void)words;
  watchdog_spin();
  spice_qxl_wakeup(display_instance(current));
  return NULL;
}

static const char *run_reset_cache(char *words) {
  (void)words;
  display_drain(current);
  spice_qxl_reset_image_cache(display_instance(current));
  return NULL;
}

static const char *run_reset_cursor(char *words) {
  (void)words;
  display_drain(current);
  spice_qxl_reset_cursor(display_instance(current));
  return NULL;
}

static const char *run_cursor(char *words) { return cursor_command(current, words); }

static const char *run_gl(char *words) { return gl_command(current, words, reply); }

static const char *run_info(char *words) {
  (void)words;
  snprintf(reply, sizeof reply, "held=%d caps=%x", display_held(current),
           (unsigned)display_client_caps(current));
  return NULL;
}

static const struct {
  const char *name;
  const char *(*run)(char *words);
  bool is_device; /* `run` is not used: the whole line goes to device_command */
} COMMANDS[] = {
    {"display", run_display, false},
    {"primary", run_primary, false},
    {"surface", run_surface, false},
    {"destroy", run_destroy, false},
    {"destroy_surfaces", run_destroy_surfaces, false},
    {"draw", run_draw, false},
    {"random", run_random, false},
    {"more", run_more, false},
    {"last", run_last, false},
    {"sync", run_sync, false},
    {"expect", run_expect, false},
    {"expect_pixman", run_expect_pixman, false},
    {"compare", run_compare, false},
    {"heads", run_heads, false},
    {"video", run_video, false},
    {"flood", run_flood, false},
    {"compression", run_compression, false},
    {"jpeg", run_jpeg, false},
    {"zlib_glz", run_zlib_glz, false},
    {"streaming", run_streaming, false},
    {"codecs", run_codecs, false},
    {"spin", run_spin, false},
    {"reset_cache", run_reset_cache, false},
    {"reset_cursor", run_reset_cursor, false},
    {"cursor", run_cursor, false},
    {"stop", run_stop, false},
    {"start", run_start, false},
    {"gl", run_gl, false},
    {"info", run_info, false},
    {"tablet", NULL, true},
    {"leds", NULL, true},
    {"chardev", NULL, true},
};

static const char *run_line(char *line) {
  size_t length = strcspn(line, " ");
  for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
    if (strlen(COMMANDS[i].name) != length || strncmp(line, COMMANDS[i].name, length) != 0) continue;
    if (COMMANDS[i].is_device) return device_command(line);
    if (!current) return "there is no display";
    return COMMANDS[i].run(line + length + (line[length] == ' '));
  }
  return "no such command";
}

/* The command thread. */
static void *run_commands(void *none) {
  (void)none;
  char *line = NULL;
  size_t capacity = 0;
  for (ssize_t length; (length = getline(&line, &capacity, stdin)) > 0;) {
    if (line[length - 1] == '\n') line[length - 1] = '\0';
    if (strcmp(line, "quit") == 0) break;
    reply[0] = '\0';
    const char *error = run_line(line);
    if (error) {
      say("error %s", error);
    } else {
      say("ok%s%s", reply[0] ? " " : "", reply);
    }
  }
  free(line);
  server_quit();
  return NULL;
}

static void usage(void) {
  fputs("usage: spice_peer [--displays N] [--password WORD] --unix PATH | --tcp [PORT]\n", stderr);
  exit(2);
}

static struct options parse_options(int argc, char **argv) {
  struct options options = {.displays = 1};
  bool tcp = false;
  for (int i = 1; i < argc; i++) {
    const char *value = i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--tcp") == 0) {
      tcp = true;
      if (value) options.port = (uint16_t)atoi(value);
    } else if (!value) {
      usage();
    } else if (strcmp(argv[i], "--unix") == 0) {
      options.unix_path = value;
    } else if (strcmp(argv[i], "--password") == 0) {
      options.password = value;
    } else if (strcmp(argv[i], "--displays") == 0) {
      options.displays = atoi(value);
    } else {
      usage();
    }
    if (value) i++;
  }
  if (tcp == (options.unix_path != NULL)) usage();
  if (options.displays < 0 || options.displays > MAX_DISPLAYS) usage();
  return options;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  struct options options = parse_options(argc, argv);
  server = server_start(&options);
  for (int i = 0; i < options.displays; i++) display_add(server, i);
  devices_add(server);
  current = display_at(0);
  spice_server_vm_start(server);
  if (options.unix_path) {
    say("ready");
  } else {
    say("ready %u", server_port());
  }
  watchdog_start();
  pthread_t commands;
  if (pthread_create(&commands, NULL, run_commands, NULL) != 0) die("no thread for commands");
  server_run();
  pthread_join(commands, NULL);
  if (options.unix_path) unlink(options.unix_path);
  return 0;
}
