/* Tests of shared memory. */
#include "../utm_shim.h"
#include "check.h"

#include <errno.h>
#include <string.h>

static void test_two_maps_are_one_memory(void) {
  enum { SIZE = 10000 };
  int32_t fd = utm_shim_memory_create(SIZE);
  CHECK(fd >= 0 && is_cloexec(fd));
  void *written = NULL;
  void *read = NULL;
  CHECK_EQUAL(utm_shim_memory_map(fd, SIZE, 1, &written), 0);
  CHECK_EQUAL(utm_shim_memory_map(fd, SIZE, 0, &read), 0);
  CHECK(written != read);
  CHECK_EQUAL(((uint8_t *)read)[SIZE - 1], 0);
  close(fd);
  memset(written, 0x5a, SIZE);
  CHECK_EQUAL(((uint8_t *)read)[0], 0x5a);
  CHECK_EQUAL(((uint8_t *)read)[SIZE - 1], 0x5a);
  CHECK_EQUAL(utm_shim_memory_unmap(written, SIZE), 0);
  CHECK_EQUAL(utm_shim_memory_unmap(read, SIZE), 0);
}

/* Whoever has a map of it would be ended with SIGBUS. */
static void test_nobody_makes_it_smaller(void) {
  int32_t fd = utm_shim_memory_create(1 << 20);
  CHECK(ftruncate(fd, 4096) != 0);
  void *at = NULL;
  CHECK_EQUAL(utm_shim_memory_map(fd, 1 << 20, 0, &at), 0);
  CHECK_EQUAL(((uint8_t *)at)[(1 << 20) - 1], 0);
  CHECK_EQUAL(utm_shim_memory_unmap(at, 1 << 20), 0);
  close(fd);
}

static void test_map_beyond_the_end_is_refused(void) {
  int32_t fd = utm_shim_memory_create(4096);
  void *at = &at;
  CHECK_EQUAL(utm_shim_memory_map(fd, 4097, 0, &at), -EINVAL);
  CHECK(at == NULL);
  CHECK_EQUAL(utm_shim_memory_map(fd, UINT64_MAX, 0, &at), -EINVAL);
  CHECK_EQUAL(utm_shim_memory_map(fd, 0, 0, &at), -EINVAL);
  CHECK_EQUAL(utm_shim_memory_map(fd, 4096, 0, NULL), -EINVAL);
  close(fd);
}

static void test_what_is_no_memory_is_refused(void) {
  int32_t ends[2];
  void *at = NULL;
  CHECK_EQUAL(utm_shim_pipe(ends), 0);
  CHECK_EQUAL(utm_shim_memory_map(ends[0], 1, 0, &at), -ENODEV);
  close(ends[0]);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_socketpair(ends), 0);
  CHECK_EQUAL(utm_shim_memory_map(ends[0], 1, 0, &at), -ENODEV);
  close(ends[0]);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_memory_map(-1, 1, 0, &at), -EBADF);
  CHECK_EQUAL(utm_shim_memory_unmap(NULL, 1), -EINVAL);
  CHECK_EQUAL(utm_shim_memory_create(0), -EINVAL);
  CHECK_EQUAL(utm_shim_memory_create(UINT64_MAX), -EINVAL);
}

static void test_memory_may_pass_through_a_socket(void) {
  int32_t ends[2];
  CHECK_EQUAL(utm_shim_socketpair(ends), 0);
  int32_t fd = utm_shim_memory_create(4096);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"@", 1, &fd, 1, -1), 1);
  close(fd);
  uint8_t byte;
  int32_t received = -1;
  uint32_t count = 0;
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, &byte, 1, &received, 1, &count, -1), 1);
  CHECK_EQUAL(count, 1);
  void *at = NULL;
  CHECK_EQUAL(utm_shim_memory_map(received, 4096, 0, &at), 0);
  CHECK_EQUAL(utm_shim_memory_unmap(at, 4096), 0);
  close(received);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  void (*const tests[])(void) = {
      test_two_maps_are_one_memory,
      test_nobody_makes_it_smaller,
      test_map_beyond_the_end_is_refused,
      test_what_is_no_memory_is_refused,
      test_memory_may_pass_through_a_socket,
      NULL,
  };
  return run_tests("memory", tests);
}
