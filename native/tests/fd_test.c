/* Tests of descriptors, pipes and wake-ups. */
#include "../utm_shim.h"
#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void test_abi(void) {
  CHECK_EQUAL(utm_shim_abi(), UTM_SHIM_ABI);
}

static void test_dup_and_close(void) {
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  int32_t copy = utm_shim_dup(ends[0]);
  CHECK(copy > 2 && copy != ends[0] && is_cloexec(copy));
  CHECK_EQUAL(utm_shim_close(ends[0]), 0);
  CHECK_EQUAL(write(ends[1], "x", 1), 1);
  char byte = 0;
  CHECK_EQUAL(read(copy, &byte, 1), 1);
  CHECK_EQUAL(byte, 'x');
  CHECK_EQUAL(utm_shim_close(copy), 0);
  CHECK_EQUAL(utm_shim_close(ends[1]), 0);
  CHECK_EQUAL(utm_shim_close(copy), -EBADF);
  CHECK_EQUAL(utm_shim_close(-1), -EBADF);
  CHECK_EQUAL(utm_shim_dup(-1), -EBADF);
}

static void test_identify(void) {
  int32_t ends[2];
  uint64_t one[2];
  uint64_t other[2];
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  int32_t copy = utm_shim_dup(ends[0]);
  CHECK_EQUAL(utm_shim_identify(ends[0], one), UTM_FD_PIPE);
  CHECK_EQUAL(utm_shim_identify(copy, other), UTM_FD_PIPE);
  CHECK(memcmp(one, other, sizeof one) == 0);
  close(copy);
  close(ends[0]);
  close(ends[1]);

  CHECK_EQUAL(utm_shim_socketpair(ends), 0);
  CHECK_EQUAL(utm_shim_identify(ends[0], one), UTM_FD_SOCKET);
  close(ends[0]);
  close(ends[1]);

  int32_t memory = utm_shim_memory_create(4096);
  int32_t second = utm_shim_memory_create(4096);
  CHECK_EQUAL(utm_shim_identify(memory, one), UTM_FD_MEMORY);
  CHECK_EQUAL(utm_shim_identify(second, other), UTM_FD_MEMORY);
  CHECK(memcmp(one, other, sizeof one) != 0);
  close(memory);
  close(second);

  int folder = open("/", O_RDONLY | O_CLOEXEC);
  CHECK_EQUAL(utm_shim_identify(folder, one), UTM_FD_OTHER);
  close(folder);
  CHECK_EQUAL(utm_shim_identify(-1, one), -EBADF);
  CHECK_EQUAL(utm_shim_identify(0, NULL), -EINVAL);
}

static void test_pipe_does_not_block_its_reader(void) {
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  CHECK(is_cloexec(ends[0]) && is_cloexec(ends[1]));
  char byte;
  CHECK_EQUAL(read(ends[0], &byte, 1), -1);
  CHECK_EQUAL(errno, EAGAIN);
  close(ends[0]);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_pipe(NULL), -EINVAL);
}

static void test_wake_stays_until_cleared(void) {
  int32_t wake[2];
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  CHECK(is_cloexec(wake[0]) && is_cloexec(wake[1]));
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), 0);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, wake[0], 0), 0);
  CHECK_EQUAL(utm_shim_wake(wake[1]), 0);
  CHECK_EQUAL(utm_shim_wake(wake[1]), 0);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, wake[0], -1), -ECANCELED);
  CHECK_EQUAL(write(ends[1], "x", 1), 1);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, wake[0], -1), -ECANCELED); /* comes first */
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), 2);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, wake[0], -1), UTM_READABLE);
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), 0);
  close(ends[0]);
  close(ends[1]);
  close(wake[0]);
  close(wake[1]);
}

static void test_wake_without_an_other_end(void) {
  int32_t wake[2];
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  close(wake[0]);
  CHECK_EQUAL(utm_shim_wake(wake[1]), -EPIPE); /* and no SIGPIPE */
  close(wake[1]);
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  close(wake[1]);
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), -EPIPE);
  close(wake[0]);
  CHECK_EQUAL(utm_shim_wake(-1), -EBADF);
  CHECK_EQUAL(utm_shim_wake_clear(-1), -EBADF);
}

static void test_wake_never_blocks(void) {
  int32_t wake[2];
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  int32_t result = 0;
  for (int i = 0; i < 100000 && result == 0; i++) result = utm_shim_wake(wake[1]);
  CHECK_EQUAL(result, 0);
  CHECK(utm_shim_wake_clear(wake[0]) > 0);
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), 0);
  close(wake[0]);
  close(wake[1]);
}

static void *wake_soon(void *end) {
  usleep(20000);
  utm_shim_wake(*(int32_t *)end);
  return NULL;
}

static void test_wake_from_another_thread(void) {
  int32_t wake[2];
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  pthread_t waker;
  pthread_create(&waker, NULL, wake_soon, &wake[1]);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, wake[0], -1), -ECANCELED);
  pthread_join(waker, NULL);
  close(ends[0]);
  close(ends[1]);
  close(wake[0]);
  close(wake[1]);
}

static void test_poll(void) {
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_socketpair(ends), 0);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_WRITABLE, -1, -1), UTM_WRITABLE);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE | UTM_WRITABLE, -1, -1), UTM_WRITABLE);
  int64_t start = now_ms();
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, -1, 30), 0);
  CHECK(now_ms() - start >= 29);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, -1, -1), UTM_READABLE);
  CHECK_EQUAL(utm_shim_poll(ends[0], 0, -1, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_poll(ends[0], 4, -1, 0), -EINVAL);
  close(ends[0]);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, -1, -1), -EBADF);
  CHECK_EQUAL(utm_shim_poll(-1, UTM_READABLE, -1, -1), -EBADF);

  /* An end that was hung up is ready for whatever was asked. */
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, -1, -1), UTM_READABLE);
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_WRITABLE, -1, -1), UTM_WRITABLE);
  close(ends[0]);
}

static volatile sig_atomic_t alarms;

static void count_alarm(int number) {
  (void)number;
  alarms++;
}

static void test_signals_do_not_cut_a_wait_short(void) {
  struct sigaction action = {.sa_handler = count_alarm}; /* no SA_RESTART */
  struct sigaction before;
  sigaction(SIGALRM, &action, &before);
  struct itimerval often = {.it_interval = {.tv_usec = 5000}, .it_value = {.tv_usec = 5000}};
  setitimer(ITIMER_REAL, &often, NULL);
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  int64_t start = now_ms();
  CHECK_EQUAL(utm_shim_poll(ends[0], UTM_READABLE, -1, 60), 0);
  CHECK(now_ms() - start >= 59);
  CHECK(alarms > 2);
  struct itimerval never = {.it_value = {.tv_usec = 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  void (*const tests[])(void) = {
      test_abi,
      test_dup_and_close,
      test_identify,
      test_pipe_does_not_block_its_reader,
      test_wake_stays_until_cleared,
      test_wake_without_an_other_end,
      test_wake_never_blocks,
      test_wake_from_another_thread,
      test_poll,
      test_signals_do_not_cut_a_wait_short,
      NULL,
  };
  return run_tests("fds", tests);
}
