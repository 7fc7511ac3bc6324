/* Stands in for a viewer while `deno task bench` measures draws: maps the picture
 * that our client lends and reads all of it for each frame, as one that uploads it
 * would, then waits for the rest of the frame, as one that presents it does.
 *
 *   gl_viewer PATH BYTES HERTZ
 *
 * PATH is the descriptor of another process, /proc/PID/fd/N. It prints "up" after
 * the first frame; then each line on stdin is answered with one line of JSON:
 *
 *   {"frames": 60}
 *
 * The end of stdin ends it. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t sum(const volatile uint64_t *words, size_t count) {
  uint64_t total = 0;
  for (size_t i = 0; i < count; i++) total += words[i];
  return total;
}

/* Answers lines until `until`. Returns whether there may be more of them. */
static int answer_until(int64_t until, unsigned long frames) {
  char line[256];
  for (;;) {
    int64_t left = until - now_ns();
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct timespec wait = {.tv_nsec = left > 0 ? left : 0};
    if (ppoll(&input, 1, &wait, NULL) <= 0) return 1;
    if (read(0, line, sizeof line) <= 0) return 0;
    printf("{\"frames\": %lu}\n", frames);
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  size_t bytes = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
  double hertz = argc == 4 ? strtod(argv[3], NULL) : 0;
  if (bytes == 0 || hertz < 2) {
    fputs("usage: gl_viewer PATH BYTES HERTZ\n", stderr);
    return 2;
  }
  int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
  void *pixels = fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (pixels == MAP_FAILED) {
    perror("gl_viewer");
    return 1;
  }
  const int64_t frame_ns = (int64_t)(1e9 / hertz);
  uint64_t total = 0;
  unsigned long frames = 0;
  for (int64_t next = now_ns() + frame_ns;; next += frame_ns) {
    total += sum(pixels, bytes / sizeof(uint64_t));
    if (frames++ == 0) puts("up");
    fflush(stdout);
    if (next < now_ns()) next = now_ns(); /* it was stopped */
    if (!answer_until(next, frames)) return total == 1; /* so that the sum is made */
  }
}
