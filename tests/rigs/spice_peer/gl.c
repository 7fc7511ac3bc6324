/* The guest's GPU: scanouts and draws of a display, as QEMU makes them with `gl=on`. All of it is
 * for the command thread, except where a draw is found to be complete. */
#include "gl_buffer.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  PATIENCE_MS = 10000, /* for one draw; a client that answers at all does so in less */
  MAX_DRAWS = 10000000,
};

struct gl {
  struct display *display;
  struct gl_buffer *buffer; /* the current scanout, or NULL */
  uint64_t scanouts, draws;
  pthread_mutex_t mutex;
  pthread_cond_t done;
  uint64_t dones; /* under the mutex */
};

static struct gl gls[MAX_DISPLAYS];

static struct gl *gl_of(struct display *display) {
  struct gl *gl = &gls[display_instance(display)->id];
  if (gl->display) return gl;
  gl->display = display;
  pthread_mutex_init(&gl->mutex, NULL);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&gl->done, &monotonic);
  pthread_condattr_destroy(&monotonic);
  return gl;
}

/* ---- draws ---- */

void gl_draw_complete(int display) {
  struct gl *gl = &gls[display];
  pthread_mutex_lock(&gl->mutex);
  gl->dones++;
  pthread_cond_signal(&gl->done);
  pthread_mutex_unlock(&gl->mutex);
}

static uint64_t owed(struct gl *gl) {
  pthread_mutex_lock(&gl->mutex);
  uint64_t count = gl->draws - gl->dones;
  pthread_mutex_unlock(&gl->mutex);
  return count;
}

/* libspice-server ends the whole process then; UTM's does not. */
static const char *expect_settled(struct gl *gl) {
  return owed(gl) > 0 ? "a draw is pending: libspice-server would abort" : NULL;
}

static const char *post(struct gl *gl, const struct rect *area) {
  const char *error = expect_settled(gl);
  if (error) return error;
  uint64_t cookie = GL_COOKIE | ++gl->draws;
  spice_qxl_gl_draw_async(display_instance(gl->display), (uint32_t)area->x, (uint32_t)area->y,
                          (uint32_t)area->w, (uint32_t)area->h, cookie);
  return NULL;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static const char *settle(struct gl *gl, long ms) {
  uint64_t until_ns = now_ns() + (uint64_t)ms * 1000000u;
  struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                           .tv_nsec = (long)(until_ns % 1000000000u)};
  int error = 0;
  pthread_mutex_lock(&gl->mutex);
  while (gl->dones < gl->draws && error == 0) {
    error = pthread_cond_timedwait(&gl->done, &gl->mutex, &until);
  }
  pthread_mutex_unlock(&gl->mutex);
  return error ? "the draw is not acknowledged" : NULL;
}

/* "X Y W H", or all of the scanout. */
static const char *area_of(struct gl *gl, const char *words, struct rect *area) {
  if (!gl->buffer) {
    *area = (struct rect){0, 0, 1, 1};
    return NULL;
  }
  int32_t width = (int32_t)gl->buffer->width, height = (int32_t)gl->buffer->height;
  *area = (struct rect){0, 0, width, height};
  if (!words || !*words) return NULL;
  if (sscanf(words, "%d %d %d %d", &area->x, &area->y, &area->w, &area->h) != 4) {
    return "expected X Y W H";
  }
  if (area->x < 0 || area->y < 0 || area->w < 1 || area->h < 1 || area->w > width ||
      area->h > height || area->x > width - area->w || area->y > height - area->h) {
    return "not within the scanout";
  }
  return NULL;
}

/* ---- scanouts ---- */

/* Announces the part to be shown, as QEMU does behind every scanout. When off, it has no size, and
 * the server leaves it out: of a list that is empty it would say nothing at all. */
static void announce(struct gl *gl) {
  const struct gl_buffer *buffer = gl->buffer;
  QXLHead head = {0};
  if (buffer) {
    head.width = buffer->width;
    head.height = buffer->height;
  }
  display_monitors(gl->display, &head, 1, 1);
}

static void hand_over(struct gl *gl) {
  const struct gl_buffer *buffer = gl->buffer;
  int fd = dup(buffer->fd);
  if (fd < 0) die("cannot duplicate a descriptor: %s", strerror(errno));
  const uint32_t *claim = buffer->claim;
  spice_qxl_gl_scanout(display_instance(gl->display), fd, claim[GL_WIDTH], claim[GL_HEIGHT],
                       claim[GL_STRIDE], claim[GL_FOURCC], buffer->y0top);
  gl->scanouts++;
}

static void replace(struct gl *gl, struct gl_buffer *buffer) {
  struct gl_buffer *before = gl->buffer;
  gl->buffer = buffer;
  if (buffer) {
    hand_over(gl);
  } else {
    spice_qxl_gl_scanout(display_instance(gl->display), -1, 0, 0, 0, 0, 0);
  }
  gl_buffer_free(before);
}

static bool claim_by_name(struct gl_request *request, const char *key, const char *value) {
  static const char *const NAMES[] = {"claim_width", "claim_height", "claim_stride",
                                      "claim_fourcc"};
  for (uint32_t i = 0; i < GL_CLAIMS; i++) {
    if (strcmp(NAMES[i], key) != 0) continue;
    request->claims |= 1u << i;
    request->claim[i] = i == GL_FOURCC ? gl_fourcc(value) : (uint32_t)strtoul(value, NULL, 0);
    return true;
  }
  return false;
}

static const char *parse_key(struct gl_request *request, char *word) {
  char *value = strchr(word, '=');
  if (!value) {
    if (strcmp(word, "y0top") == 0) {
      request->y0top = true;
    } else if (strcmp(word, "loose") == 0) {
      request->loose = true;
    } else if (strcmp(word, "hung") == 0) {
      request->hung = true;
    } else if (strcmp(word, "hidden") == 0) {
      request->hidden = true;
    } else {
      return "no such word";
    }
    return NULL;
  }
  *value++ = '\0';
  if (claim_by_name(request, word, value)) return NULL;
  if (strcmp(word, "format") == 0) {
    snprintf(request->format, sizeof request->format, "%s", value);
  } else if (strcmp(word, "stride") == 0) {
    request->stride = (uint32_t)strtoul(value, NULL, 0);
  } else if (strcmp(word, "seed") == 0) {
    request->seed = (uint32_t)strtoul(value, NULL, 0);
  } else if (strcmp(word, "bytes") == 0) {
    request->bytes = atoi(value);
  } else if (strcmp(word, "id") == 0) {
    request->id = (uint32_t)strtoul(value, NULL, 0);
  } else if (strcmp(word, "planes") == 0) {
    request->planes = (uint32_t)strtoul(value, NULL, 0);
  } else {
    return "no such key";
  }
  return request->bytes >= 0 && request->bytes <= 16 ? NULL : "0 to 16 bytes fit";
}

/* "memory|pipe W H key=value …" */
static const char *parse_request(struct gl_request *request, char *words) {
  char *rest;
  char *kind = strtok_r(words, " ", &rest);
  char *width = strtok_r(NULL, " ", &rest), *height = strtok_r(NULL, " ", &rest);
  if (!kind || !width || !height) return "expected memory|pipe W H";
  bool pipe = strcmp(kind, "pipe") == 0;
  if (!pipe && strcmp(kind, "memory") != 0) return "expected memory or pipe";
  *request = (struct gl_request){.pipe = pipe,
                                 .width = (uint32_t)strtoul(width, NULL, 0),
                                 .height = (uint32_t)strtoul(height, NULL, 0),
                                 .bytes = sizeof(uint32_t)};
  strcpy(request->format, pipe ? "BGRA" : "XR24");
  for (char *word; (word = strtok_r(NULL, " ", &rest));) {
    const char *error = parse_key(request, word);
    if (error) return error;
  }
  return NULL;
}

/* ---- commands; `reply` has 4096 bytes ---- */

enum { REPLY_BYTES = 4096 };

static const char *run_scanout(struct gl *gl, char *words, char *reply) {
  (void)reply;
  struct gl_request request;
  struct gl_buffer *buffer;
  const char *error = expect_settled(gl);
  if (!error) error = parse_request(&request, words);
  if (!error) error = gl_buffer_new(&buffer, &request);
  if (error) return error;
  replace(gl, buffer);
  announce(gl);
  return NULL;
}

static const char *run_again(struct gl *gl, char *words, char *reply) {
  (void)words;
  (void)reply;
  if (!gl->buffer) return "there is no scanout";
  const char *error = expect_settled(gl);
  if (error) return error;
  hand_over(gl);
  announce(gl);
  return NULL;
}

static const char *run_off(struct gl *gl, char *words, char *reply) {
  (void)words;
  (void)reply;
  const char *error = expect_settled(gl);
  if (error) return error;
  replace(gl, NULL);
  announce(gl);
  return NULL;
}

/* So many new buffers, one behind the other; heads only behind the last one. */
static const char *run_flood(struct gl *gl, char *words, char *reply) {
  (void)reply;
  struct gl_request request;
  long count = strtol(words, &words, 10);
  const char *error = expect_settled(gl);
  if (!error) error = parse_request(&request, words);
  for (long i = 0; !error && i < count; i++, request.seed++) {
    struct gl_buffer *buffer;
    error = gl_buffer_new(&buffer, &request);
    if (!error) replace(gl, buffer);
  }
  if (!error) announce(gl);
  return error;
}

static const char *run_paint(struct gl *gl, char *words, char *reply) {
  (void)reply;
  if (!gl->buffer) return "there is no scanout";
  uint32_t seed = (uint32_t)strtoul(words, &words, 0);
  struct rect area;
  const char *error = area_of(gl, words, &area);
  if (!error) gl_buffer_paint(gl->buffer, seed, &area);
  return error;
}

/* Cuts the memfd off behind its first byte; what is shown of it is lost. */
static const char *run_cut(struct gl *gl, char *words, char *reply) {
  (void)words;
  (void)reply;
  return gl->buffer ? gl_buffer_cut(gl->buffer) : "there is no scanout";
}

static const char *run_post(struct gl *gl, char *words, char *reply) {
  (void)reply;
  struct rect area;
  const char *error = area_of(gl, words, &area);
  return error ? error : post(gl, &area);
}

static const char *run_settle(struct gl *gl, char *words, char *reply) {
  (void)reply;
  return settle(gl, *words ? strtol(words, NULL, 10) : PATIENCE_MS);
}

static const char *run_draw(struct gl *gl, char *words, char *reply) {
  uint64_t start = now_ns();
  const char *error = run_post(gl, words, reply);
  if (!error) error = settle(gl, PATIENCE_MS);
  snprintf(reply, REPLY_BYTES, "%.1f", (double)(now_ns() - start) / 1e3);
  return error;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void print_times(char *reply, uint32_t *times, long count, uint64_t total_ns) {
  if (count == 0) return;
  qsort(times, (size_t)count, sizeof *times, by_size);
  double us[] = {times[count / 2] / 1e3, times[count - 1 - count / 100] / 1e3,
                 times[count - 1] / 1e3};
  double seconds = (double)total_ns / 1e9;
  snprintf(reply, REPLY_BYTES,
           "{\"draws\":%ld,\"seconds\":%.6f,\"perSecond\":%.1f,\"p50\":%.1f,\"p99\":%.1f,"
           "\"max\":%.1f}",
           count, seconds, (double)count / seconds, us[0], us[1], us[2]);
}

/* One draw behind the other, with a pause or a repeated scanout between. */
static const char *run_draws(struct gl *gl, char *words, char *reply) {
  long count = 0, pause_ms = 0, scanout_every = 0;
  int length = 0;
  if (sscanf(words, "%ld %ld %ld %n", &count, &pause_ms, &scanout_every, &length) < 3 ||
      count < 1 || count > MAX_DRAWS) {
    return "expected COUNT MS SCANOUT_EVERY [X Y W H]";
  }
  struct rect area;
  const char *error = area_of(gl, words + length, &area);
  if (error) return error;
  uint32_t *times = zalloc((size_t)count * sizeof *times);
  uint64_t start = now_ns();
  long made = 0;
  for (; !error && made < count; made++) {
    if (scanout_every > 0 && made % scanout_every == 0 && gl->buffer) hand_over(gl);
    uint64_t before = now_ns();
    error = post(gl, &area);
    if (!error) error = settle(gl, PATIENCE_MS);
    times[made] = (uint32_t)(now_ns() - before);
    if (pause_ms > 0) nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
  }
  print_times(reply, times, made, now_ns() - start);
  free(times);
  return error;
}

static const char *run_expect(struct gl *gl, char *words, char *reply) {
  const struct gl_buffer *buffer = gl->buffer;
  if (!buffer) return "there is no scanout";
  FILE *to = fopen(words, "wb");
  if (!to) return strerror(errno);
  fwrite(buffer->picture, 4, (size_t)buffer->width * buffer->height, to);
  if (fclose(to) != 0) return strerror(errno);
  snprintf(reply, REPLY_BYTES, "%u %u", buffer->width, buffer->height);
  return NULL;
}

static int open_descriptors(void) {
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return -1;
  int count = -3; /* ".", ".." and the folder itself */
  while (readdir(folder)) count++;
  closedir(folder);
  return count;
}

static const char *run_info(struct gl *gl, char *words, char *reply) {
  (void)words;
  uint64_t count = owed(gl);
  snprintf(reply, REPLY_BYTES, "{\"owed\":%lu,\"draws\":%lu,\"scanouts\":%lu,\"fds\":%d}",
           (unsigned long)count, (unsigned long)gl->draws, (unsigned long)gl->scanouts,
           open_descriptors());
  return NULL;
}

const char *gl_command(struct display *display, char *words, char *reply) {
  static const struct {
    const char *name;
    const char *(*run)(struct gl *gl, char *words, char *reply);
  } COMMANDS[] = {
      {"scanout", run_scanout}, {"again", run_again},   {"off", run_off},
      {"flood", run_flood},     {"paint", run_paint},   {"cut", run_cut},
      {"draw", run_draw},
      {"post", run_post},       {"settle", run_settle}, {"draws", run_draws},
      {"expect", run_expect},   {"info", run_info},
  };
  size_t length = strcspn(words, " ");
  for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++) {
    if (strlen(COMMANDS[i].name) != length || strncmp(words, COMMANDS[i].name, length) != 0) {
      continue;
    }
    return COMMANDS[i].run(gl_of(display), words + length + (words[length] == ' '), reply);
  }
  return "no such command of gl";
}
