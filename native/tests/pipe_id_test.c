/* Every state that a pipe with an IOSurface's id can be in. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

#include "../utm_shim.h"

static const uint32_t ID = 0x12345678;

/* A pipe with `bytes` bytes in it, `ID` first; its reading end may block. */
static void open_pipe(int ends[2], size_t bytes) {
  const uint32_t words[2] = {ID, 0xffffffff};
  require(pipe(ends) == 0, "pipe");
  require(bytes == 0 || write(ends[1], words, bytes) == (ssize_t)bytes, "write");
}

static void close_both(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

static void test_fresh_then_read(void) {
  int ends[2];
  uint32_t id = 1;
  open_pipe(ends, 4);
  CHECK_EQUAL(utm_shim_pipe_id(ends[0], &id), UTM_ID_FRESH);
  CHECK_EQUAL(id, ID);
  CHECK_EQUAL(utm_shim_pipe_id(ends[0], &id), UTM_ID_READ);
  CHECK_EQUAL(id, 0);
  /* A copy of the descriptor, as a repeated message brings it, is no fresher. */
  int copy = dup(ends[0]);
  CHECK_EQUAL(utm_shim_pipe_id(copy, &id), UTM_ID_READ);
  close(copy);
  close_both(ends);
}

static void test_replaced_and_old(void) {
  int ends[2];
  uint32_t id;
  open_pipe(ends, 4);
  close(ends[1]);
  CHECK_EQUAL(utm_shim_pipe_id(ends[0], &id), UTM_ID_REPLACED);
  CHECK_EQUAL(id, 0);
  uint32_t left;
  CHECK_EQUAL(read(ends[0], &left, sizeof left), 4); /* it was not read */
  CHECK_EQUAL(utm_shim_pipe_id(ends[0], &id), UTM_ID_OLD);
  close(ends[0]);
}

/* What is there and is no id: never read, never waited for. */
static void test_wrong_length(void) {
  static const struct {
    size_t bytes;
    int32_t result;
  } cases[] = {{0, UTM_ID_READ}, {1, -EPROTO}, {3, -EPROTO}, {5, -EPROTO}, {8, -EPROTO}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int ends[2];
    uint32_t id = 1;
    open_pipe(ends, cases[i].bytes);
    CHECK_EQUAL(utm_shim_pipe_id(ends[0], &id), cases[i].result);
    CHECK_EQUAL(id, 0);
    close_both(ends);
  }
}

static void test_other_descriptors(void) {
  int ends[2];
  int sockets[2];
  uint32_t id;
  open_pipe(ends, 4);
  require(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
  int file = open("/dev/null", O_RDONLY);
  CHECK_EQUAL(utm_shim_pipe_id(ends[1], &id), -EBADF);
  CHECK_EQUAL(utm_shim_pipe_id(sockets[0], &id), -EBADF);
  CHECK_EQUAL(utm_shim_pipe_id(file, &id), -EBADF);
  CHECK_EQUAL(utm_shim_pipe_id(-1, &id), -EBADF);
  CHECK_EQUAL(utm_shim_pipe_id(ends[0], NULL), -EINVAL);
  close(file);
  close_both(sockets);
  close_both(ends);
}

struct reader {
  int pipe;
  int32_t result;
};

static void *read_it(void *argument) {
  struct reader *reader = argument;
  uint32_t id;
  reader->result = utm_shim_pipe_id(reader->pipe, &id);
  return NULL;
}

/* Two holders of one pipe: one gets the id, and the other is not left waiting. */
static void test_readers_at_once(void) {
  for (int round = 0; round < 100; round++) {
    int ends[2];
    open_pipe(ends, 4);
    struct reader readers[2] = {{.pipe = ends[0]}, {.pipe = dup(ends[0])}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
      require(pthread_create(&threads[i], NULL, read_it, &readers[i]) == 0, "pthread_create");
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    int fresh = 0;
    for (int i = 0; i < 2; i++) fresh += readers[i].result == UTM_ID_FRESH;
    if (!CHECK_EQUAL(fresh, 1)) round = 100;
    close(readers[1].pipe);
    close_both(ends);
  }
}

int main(void) {
  static void (*const tests[])(void) = {
    test_fresh_then_read,   test_replaced_and_old, test_wrong_length,
    test_other_descriptors, test_readers_at_once,  NULL,
  };
  return run_tests("ids in pipes", tests);
}
