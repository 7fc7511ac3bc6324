/* Tests of sockets and of descriptors that travel through them. */
#include "../utm_shim.h"
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

static uint8_t data[1 << 20];

static void open_pair(int32_t ends[2]) {
  require(utm_shim_socketpair(ends) == 0, "socketpair");
}

static void close_pair(const int32_t ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

/* Sends `count` copies of one descriptor with one byte, as no call of ours would:
 * any number. */
static void send_many(int32_t sock, int32_t fd, size_t count) {
  union {
    struct cmsghdr aligned;
    uint8_t bytes[CMSG_SPACE(64 * sizeof(int))];
  } control = {.bytes = {0}};
  struct iovec place = {.iov_base = (void *)(uintptr_t)"@", .iov_len = 1};
  struct msghdr message = {
      .msg_iov = &place,
      .msg_iovlen = 1,
      .msg_control = control.bytes,
      .msg_controllen = CMSG_SPACE(count * sizeof(int)),
  };
  struct cmsghdr *part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(count * sizeof(int));
  for (size_t i = 0; i < count; i++) {
    memcpy(CMSG_DATA(part) + i * sizeof(int), &fd, sizeof fd);
  }
  require(sendmsg(sock, &message, 0) == 1, "sendmsg");
}

static void test_bytes_and_descriptors_arrive(void) {
  int32_t ends[2];
  int32_t sent[3];
  int32_t got[4] = {-1, -1, -1, -1};
  uint32_t count = 99;
  open_pair(ends);
  CHECK(is_cloexec(ends[0]) && is_cloexec(ends[1]));
  for (int i = 0; i < 3; i++) sent[i] = utm_shim_memory_create(4096);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"abc", 3, sent, 3, -1), 3);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, sizeof data, got, 4, &count, -1), 3);
  CHECK(memcmp(data, "abc", 3) == 0);
  CHECK_EQUAL(count, 3);
  for (int i = 0; i < 3; i++) {
    uint64_t here[2];
    uint64_t there[2];
    CHECK(is_cloexec(got[i]));
    CHECK_EQUAL(utm_shim_identify(sent[i], here), UTM_FD_MEMORY);
    CHECK_EQUAL(utm_shim_identify(got[i], there), UTM_FD_MEMORY);
    CHECK(memcmp(here, there, sizeof here) == 0);
    close(sent[i]);
    close(got[i]);
  }
  CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"d", 1, NULL, 0, -1), 1);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, sizeof data, got, 4, &count, -1), 1);
  CHECK_EQUAL(count, 0);
  close_pair(ends);
}

static void test_most_descriptors_of_a_message(void) {
  int32_t ends[2];
  int32_t got[UTM_FDS_MAX];
  uint32_t count;
  open_pair(ends);
  send_many(ends[0], ends[0], UTM_FDS_MAX);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 1, got, UTM_FDS_MAX, &count, -1), 1);
  CHECK_EQUAL(count, UTM_FDS_MAX);
  for (uint32_t i = 0; i < count; i++) close(got[i]);
  close_pair(ends);
}

/* More than there is room for: none is handed over, none stays open, and the
 * bytes are good. */
static void test_surplus_descriptors_are_closed(void) {
  static const size_t sizes[] = {2, 3, UTM_FDS_MAX, UTM_FDS_MAX + 1, 50};
  int32_t ends[2];
  if (is_emulated()) {
    printf("left out: the emulator itself keeps the descriptors that it cuts off\n");
    return;
  }
  open_pair(ends);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int32_t got = -7;
    uint32_t count = 0;
    send_many(ends[0], ends[0], sizes[i]);
    int before = count_fds();
    CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 8, &got, 1, &count, -1), 1);
    CHECK_EQUAL(data[0], '@');
    CHECK(count > 1);
    CHECK_EQUAL(got, -7);
    CHECK_EQUAL(count_fds(), before);
    send_many(ends[0], ends[0], sizes[i]);
    CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 8, NULL, 0, &count, -1), 1);
    CHECK(count > 0);
    CHECK_EQUAL(count_fds(), before);
  }
  /* Cut control data, although there is room for what came of it. */
  int32_t many[UTM_FDS_MAX];
  uint32_t count = 0;
  send_many(ends[0], ends[0], UTM_FDS_MAX + 1);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 8, many, UTM_FDS_MAX, &count, -1), 1);
  CHECK(count > UTM_FDS_MAX);
  /* And the next message is as good as any. */
  send_many(ends[0], ends[0], 1);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 8, many, 1, &count, -1), 1);
  CHECK_EQUAL(count, 1);
  close(many[0]);
  close_pair(ends);
}

static void test_closed_peer(void) {
  int32_t ends[2];
  int32_t got;
  uint32_t count = 7;
  open_pair(ends);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"last", 4, NULL, 0, -1), 4);
  close(ends[0]);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, sizeof data, &got, 1, &count, -1), 4);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, sizeof data, &got, 1, &count, -1), 0);
  CHECK_EQUAL(count, 0);
  /* No SIGPIPE: that would end this program. */
  CHECK_EQUAL(utm_shim_send(ends[1], -1, (const uint8_t *)"x", 1, NULL, 0, -1), -EPIPE);
  CHECK_EQUAL(utm_shim_writev(ends[1], -1, data, 1, data, 1, -1), -EPIPE);
  close(ends[1]);
}

static void test_descriptors_nobody_received_are_closed_with_the_socket(void) {
  int32_t ends[2];
  int32_t pipe_ends[2];
  open_pair(ends);
  CHECK_EQUAL(utm_shim_pipe(pipe_ends), 0);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"@", 1, &pipe_ends[1], 1, -1), 1);
  close(pipe_ends[1]);
  close_pair(ends);
  char byte;
  CHECK_EQUAL(utm_shim_poll(pipe_ends[0], UTM_READABLE, -1, 5000), UTM_READABLE);
  CHECK_EQUAL(read(pipe_ends[0], &byte, 1), 0); /* no writer is left */
  close(pipe_ends[0]);
}

static void test_waits_end(void) {
  int32_t ends[2];
  int32_t wake[2];
  uint32_t count;
  open_pair(ends);
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  CHECK_EQUAL(utm_shim_recv(ends[1], wake[0], data, 1, NULL, 0, &count, 0), -ETIMEDOUT);
  CHECK_EQUAL(utm_shim_recv(ends[1], wake[0], data, 1, NULL, 0, &count, 20), -ETIMEDOUT);
  /* Who was woken hears of it although there is something to read, and loses
   * nothing. */
  send_many(ends[0], ends[0], 1);
  utm_shim_wake(wake[1]);
  int32_t got = -1;
  CHECK_EQUAL(utm_shim_recv(ends[1], wake[0], data, 1, &got, 1, &count, -1), -ECANCELED);
  CHECK_EQUAL(count, 0);
  CHECK_EQUAL(utm_shim_wake_clear(wake[0]), 1);
  CHECK_EQUAL(utm_shim_recv(ends[1], wake[0], data, 1, &got, 1, &count, -1), 1);
  CHECK_EQUAL(count, 1);
  close(got);
  close_pair(ends);
  close_pair(wake);
}

static void test_partial_sends_are_told(void) {
  int32_t ends[2];
  int32_t wake[2];
  uint32_t count;
  open_pair(ends);
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  static uint8_t large[8 << 20];
  int32_t sent = utm_shim_send(ends[0], wake[0], large, sizeof large, NULL, 0, 20);
  CHECK(sent > 0 && (uint32_t)sent < sizeof large);
  CHECK_EQUAL(utm_shim_send(ends[0], wake[0], large, 1, NULL, 0, 0), -ETIMEDOUT);
  utm_shim_wake(wake[1]);
  CHECK_EQUAL(utm_shim_send(ends[0], wake[0], large, 1, NULL, 0, -1), -ECANCELED);
  int32_t there = 0;
  for (int32_t part; there < sent; there += part) {
    part = utm_shim_recv(ends[1], -1, data, sizeof data, NULL, 0, &count, 5000);
    if (!CHECK(part > 0)) break;
  }
  CHECK_EQUAL(there, sent);
  CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 1, NULL, 0, &count, 0), -ETIMEDOUT);
  close_pair(ends);
  close_pair(wake);
}

/* Reads until the end of the stream; returns how many bytes were not i & 255. */
static void *read_slowly(void *end) {
  int32_t sock = *(int32_t *)end;
  static uint8_t part[30011];
  intptr_t wrong = 0;
  uint32_t at = 0;
  for (;;) {
    uint32_t count;
    int32_t got = utm_shim_recv(sock, -1, part, sizeof part, NULL, 0, &count, 20000);
    if (got <= 0) return (void *)(got == 0 ? wrong : -1);
    for (int32_t i = 0; i < got; i++) wrong += part[i] != (uint8_t)at++;
  }
}

static void interrupted(int number) {
  (void)number;
}

/* Far more than fits in the socket's buffers, and signals all the time. */
static void test_partial_writes_go_on(void) {
  struct sigaction action = {.sa_handler = interrupted};
  struct sigaction before;
  sigaction(SIGALRM, &action, &before);
  struct itimerval often = {.it_interval = {.tv_usec = 500}, .it_value = {.tv_usec = 500}};
  setitimer(ITIMER_REAL, &often, NULL);
  int32_t ends[2];
  open_pair(ends);
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
  pthread_t reader;
  pthread_create(&reader, NULL, read_slowly, &ends[1]);
  enum { HEAD = 256 * 1024 };
  CHECK_EQUAL(utm_shim_send(ends[0], -1, data, sizeof data, NULL, 0, 20000), sizeof data);
  CHECK_EQUAL(utm_shim_writev(ends[0], -1, data, HEAD, data + HEAD, sizeof data - HEAD, 20000),
              sizeof data);
  CHECK_EQUAL(utm_shim_writev(ends[0], -1, NULL, 0, data, sizeof data, 20000), sizeof data);
  CHECK_EQUAL(utm_shim_writev(ends[0], -1, data, sizeof data, NULL, 0, 20000), sizeof data);
  close(ends[0]);
  void *wrong;
  pthread_join(reader, &wrong);
  CHECK_EQUAL((intptr_t)wrong, 0);
  struct itimerval never = {.it_value = {.tv_usec = 0}};
  setitimer(ITIMER_REAL, &never, NULL);
  sigaction(SIGALRM, &before, NULL);
  close(ends[1]);
}

/* Every descriptor arrives once, however the stream around it is cut. */
static void test_descriptors_keep_their_order(void) {
  enum { TIMES = 200 };
  int32_t ends[2];
  open_pair(ends);
  int32_t expected = utm_shim_memory_create(4096);
  uint64_t id[2];
  utm_shim_identify(expected, id);
  int descriptors = 0;
  int at_signs = 0;
  for (int i = 0; i < TIMES; i++) {
    CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"scanout", 7, NULL, 0, -1), 7);
    CHECK_EQUAL(utm_shim_send(ends[0], -1, (const uint8_t *)"@", 1, &expected, 1, -1), 1);
    if (i % 5 != 4) continue;
    while (at_signs <= i) {
      int32_t got[2];
      uint32_t count;
      int32_t bytes = utm_shim_recv(ends[1], -1, data, 1 + (uint32_t)i, got, 2, &count, 5000);
      if (!CHECK(bytes > 0 && count <= 1)) return;
      for (int32_t b = 0; b < bytes; b++) at_signs += data[b] == '@';
      for (uint32_t f = 0; f < count; f++) {
        uint64_t other[2];
        utm_shim_identify(got[f], other);
        CHECK(memcmp(id, other, sizeof id) == 0);
        close(got[f]);
        descriptors++;
      }
    }
  }
  CHECK_EQUAL(descriptors, TIMES);
  close(expected);
  close_pair(ends);
}

static void test_connect_and_accept(void) {
  char folder[] = "/tmp/utm-socket-test-XXXXXX";
  require(mkdtemp(folder) != NULL, "mkdtemp");
  char path[64];
  snprintf(path, sizeof path, "%s/s", folder);
  CHECK_EQUAL(utm_shim_connect(path), -ENOENT);
  int32_t listener = utm_shim_listen(path, 4);
  CHECK(listener >= 0 && is_cloexec(listener));
  CHECK_EQUAL(utm_shim_listen(path, 4), -EADDRINUSE);
  CHECK_EQUAL(utm_shim_accept(listener, -1, 0), -ETIMEDOUT);
  int32_t client = utm_shim_connect(path);
  CHECK(client >= 0 && is_cloexec(client));
  int32_t server = utm_shim_accept(listener, -1, 5000);
  CHECK(server >= 0 && is_cloexec(server));
  uint32_t count;
  CHECK_EQUAL(utm_shim_send(client, -1, (const uint8_t *)"hello", 5, NULL, 0, -1), 5);
  CHECK_EQUAL(utm_shim_recv(server, -1, data, sizeof data, NULL, 0, &count, -1), 5);
  int32_t wake[2];
  CHECK_EQUAL(utm_shim_wake_open(wake), 0);
  utm_shim_wake(wake[1]);
  CHECK_EQUAL(utm_shim_accept(listener, wake[0], -1), -ECANCELED);
  close_pair(wake);
  close(client);
  close(server);
  close(listener);
  CHECK_EQUAL(utm_shim_connect(path), -ECONNREFUSED);
  unlink(path);
  rmdir(folder);
}

static void test_paths_that_are_none(void) {
  char longest[200];
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  CHECK_EQUAL(utm_shim_connect(longest), -ENAMETOOLONG);
  CHECK_EQUAL(utm_shim_listen(longest, 1), -ENAMETOOLONG);
  CHECK_EQUAL(utm_shim_connect(""), -EINVAL);
  CHECK_EQUAL(utm_shim_connect(NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_listen("x", -1), -EINVAL);
}

/* Waits for the end of a stream; returns NULL if it comes. */
static void *wait_for_end(void *sock) {
  uint8_t byte;
  uint32_t count;
  return utm_shim_recv(*(int32_t *)sock, -1, &byte, 1, NULL, 0, &count, 5000) == 0 ? NULL : sock;
}

static void test_shutdown_ends_every_descriptor_of_a_connection(void) {
  int32_t ends[2];
  open_pair(ends);
  int32_t copy = utm_shim_dup(ends[0]);
  pthread_t reader;
  void *wrong = NULL;
  pthread_create(&reader, NULL, wait_for_end, &ends[0]);
  CHECK_EQUAL(utm_shim_shutdown(copy), 0);
  pthread_join(reader, &wrong);
  CHECK(wrong == NULL);
  CHECK(wait_for_end(&ends[1]) == NULL);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, data, 1, NULL, 0, 0), -EPIPE);
  CHECK_EQUAL(utm_shim_shutdown(copy), 0);
  CHECK_EQUAL(utm_shim_shutdown(-1), -EBADF);
  utm_shim_close(copy);
  close_pair(ends);
}

static void test_wrong_arguments(void) {
  int32_t ends[2];
  int32_t fds[UTM_FDS_MAX + 1];
  uint32_t count;
  open_pair(ends);
  CHECK_EQUAL(utm_shim_recv(ends[0], -1, NULL, 1, NULL, 0, &count, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_recv(ends[0], -1, data, 0, NULL, 0, &count, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_recv(ends[0], -1, data, 1, NULL, 0, NULL, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_recv(ends[0], -1, data, 1, NULL, 1, &count, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_recv(ends[0], -1, data, 1, fds, UTM_FDS_MAX + 1, &count, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_recv(-1, -1, data, 1, NULL, 0, &count, 0), -EBADF);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, NULL, 1, NULL, 0, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, data, 0, NULL, 0, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, data, 1, NULL, 1, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_send(ends[0], -1, data, 1, fds, UTM_FDS_MAX + 1, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_send(-1, -1, data, 1, NULL, 0, 0), -EBADF);
  CHECK_EQUAL(utm_shim_writev(ends[0], -1, NULL, 1, data, 1, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_writev(ends[0], -1, NULL, 0, NULL, 0, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_accept(-1, -1, 0), -EBADF);
  CHECK_EQUAL(utm_shim_socketpair(NULL), -EINVAL);
  close_pair(ends);
}

/* Descriptors of all kinds through many connections: nothing may stay behind. */
static void test_nothing_is_left_of_many_messages(void) {
  for (int round = 0; round < 50; round++) {
    int32_t ends[2];
    open_pair(ends);
    for (int i = 0; i < 20; i++) {
      int32_t got[4];
      uint32_t count;
      send_many(ends[0], ends[0], 1 + (size_t)(i % 6));
      if (i % 7 == 6) break; /* and nobody reads the last */
      CHECK_EQUAL(utm_shim_recv(ends[1], -1, data, 100, got, 4, &count, -1), 1);
      for (uint32_t f = 0; count <= 4 && f < count; f++) close(got[f]);
    }
    close_pair(ends);
  }
}

int main(void) {
  void (*const tests[])(void) = {
      test_bytes_and_descriptors_arrive,
      test_most_descriptors_of_a_message,
      test_surplus_descriptors_are_closed,
      test_closed_peer,
      test_descriptors_nobody_received_are_closed_with_the_socket,
      test_waits_end,
      test_partial_sends_are_told,
      test_partial_writes_go_on,
      test_descriptors_keep_their_order,
      test_connect_and_accept,
      test_paths_that_are_none,
      test_shutdown_ends_every_descriptor_of_a_connection,
      test_wrong_arguments,
      test_nothing_is_left_of_many_messages,
      NULL,
  };
  return run_tests("sockets", tests);
}
