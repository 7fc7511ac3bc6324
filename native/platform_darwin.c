/* See platform.h. macOS has no flags for close-on-exec: a child that another
 * thread starts in between may inherit a descriptor. */
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

const int platform_recv_flags = MSG_DONTWAIT;
const int platform_send_flags = MSG_DONTWAIT;
/* XNU opens all descriptors of a message and leaves those open that have no room:
 * so there is room for as many as its control data, one cluster, can carry. */
const uint32_t platform_recv_fds = PLATFORM_MOST_FDS;

static int32_t set_cloexec(int32_t fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : -errno;
}

/* SIGPIPE is kept away by an option of the socket, and blocking by a flag of
 * the open file: sendmsg looks at that one alone. */
static int32_t set_up_socket(int32_t fd) {
  const int on = 1;
  int32_t result = set_cloexec(fd);
  if (result != 0) return result;
  if (setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) != 0) return -errno;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  return 0;
}

/* Returns `fd`, or closes it and returns the failure. */
static int32_t finish_socket(int32_t fd) {
  if (fd < 0) return -errno;
  int32_t result = set_up_socket(fd);
  if (result == 0) return fd;
  close(fd);
  return result;
}

/* Keeps both ends, or closes them and returns the failure. */
static int32_t finish_pair(int32_t ends[2], int32_t (*set_up)(int32_t)) {
  int32_t result = set_up(ends[0]);
  if (result == 0) result = set_up(ends[1]);
  if (result != 0) {
    close(ends[0]);
    close(ends[1]);
  }
  return result;
}

int32_t platform_pipe(int32_t ends[2]) {
  return pipe(ends) == 0 ? finish_pair(ends, set_cloexec) : -errno;
}

int32_t platform_socket(void) {
  return finish_socket(socket(AF_UNIX, SOCK_STREAM, 0));
}

int32_t platform_socketpair(int32_t ends[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return -errno;
  return finish_pair(ends, set_up_socket);
}

int32_t platform_accept(int32_t sock) {
  int32_t fd = accept(sock, NULL, NULL);
  if (fd < 0) return -errno;
  int32_t result = set_up_socket(fd);
  if (result == 0) return fd;
  close(fd);
  /* No option can be set any more once the peer has gone. */
  return result == -EINVAL ? -ECONNABORTED : result;
}

void platform_adopt(const int32_t *fds, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) set_cloexec(fds[i]);
}

int32_t platform_memory(uint64_t size) {
  /* Names are 31 bytes at most. One that is taken is another's: try the next. */
  enum { TRIES = 16 };
  int fd = -1;
  for (int i = 0; i < TRIES && fd < 0; i++) {
    char name[32];
    snprintf(name, sizeof name, "/utmost-%08x%08x", arc4random(), arc4random());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    if (fd >= 0) shm_unlink(name);
    else if (errno != EEXIST) return -errno;
  }
  if (fd < 0) return -EEXIST;
  int32_t result = set_cloexec(fd);
  if (result == 0 && ftruncate(fd, (off_t)size) != 0) result = -errno;
  if (result == 0) return fd;
  close(fd);
  return result;
}
