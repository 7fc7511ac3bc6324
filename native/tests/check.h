/* What the tests of the library share: counting, and a look at what is left open.
 * Each program includes it once. */
#ifndef UTM_TESTS_CHECK_H
#define UTM_TESTS_CHECK_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Checks that failed. */
static int failed;

/* Says where a check failed, and counts it. */
#define CHECK(ok) check_at((ok), #ok, __FILE__, __LINE__)
/* The same for two integers, which it shows. */
#define CHECK_EQUAL(actual, expected) \
  check_equal_at((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)

static inline bool check_at(bool ok, const char *what, const char *file, int line) {
  if (ok) return true;
  failed++;
  printf("FAILED: %s:%d: %s\n", file, line, what);
  return false;
}

static inline bool check_equal_at(int64_t actual, int64_t expected, const char *what,
                                  const char *file, int line) {
  bool ok = check_at(actual == expected, what, file, line);
  if (!ok) printf("  is %lld, expected %lld\n", (long long)actual, (long long)expected);
  return ok;
}

/* Ends the program where a test cannot even begin. */
static inline void require(bool ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

/* Whether TEST_RUNNER says that an emulator of another processor runs this, such as qemu-aarch64. */
static inline bool is_emulated(void) {
  const char *runner = getenv("TEST_RUNNER");
  return runner && strncmp(runner, "qemu-", 5) == 0;
}

/* How many descriptors are open now. */
static inline int count_fds(void) {
  DIR *folder = opendir("/dev/fd");
  require(folder != NULL, "/dev/fd");
  int count = -1; /* the folder's own */
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    if (entry->d_name[0] != '.') count++;
  }
  closedir(folder);
  return count;
}

static inline bool is_open(int32_t fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static inline bool is_cloexec(int32_t fd) {
  return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

/* Ends the program if it hangs. A thread, since tests use the alarm themselves. */
static inline void *end_late(void *unused) {
  (void)unused;
  sleep(120);
  printf("FAILED: no end within 120 s\n");
  fflush(stdout);
  abort();
}

/* Runs the tests in `list`, ended by NULL, checks after each that it has left no
 * descriptor open, and prints the summary: a test with a check that failed has
 * failed. Returns the exit status. A SIGPIPE ends the program: it keeps its
 * default. */
static inline int run_tests(const char *suite, void (*const list[])(void)) {
  signal(SIGPIPE, SIG_DFL);
  sigset_t all;
  sigset_t before_all;
  pthread_t watchdog;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_all); /* the watchdog gets none: they would end its sleep */
  if (pthread_create(&watchdog, NULL, end_late, NULL) == 0) pthread_detach(watchdog);
  pthread_sigmask(SIG_SETMASK, &before_all, NULL);
  int count = 0;
  int failed_tests = 0;
  for (; list[count]; count++) {
    int failed_before = failed;
    int before = count_fds();
    list[count]();
    if (!CHECK_EQUAL(count_fds(), before)) printf("  after test %d of %s\n", count + 1, suite);
    if (failed > failed_before) failed_tests++;
  }
  printf("native %s: %d passed, %d failed\n", suite, count - failed_tests, failed_tests);
  return failed_tests == 0 ? 0 : 1;
}

#endif
