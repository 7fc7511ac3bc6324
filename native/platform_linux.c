/* See platform.h. */
#include "platform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

const int platform_recv_flags = MSG_DONTWAIT | MSG_CMSG_CLOEXEC;
const int platform_send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
const uint32_t platform_recv_fds = 16; /* the kernel closes the rest */

enum { STREAM = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK };

int32_t platform_pipe(int32_t ends[2]) {
  return pipe2(ends, O_CLOEXEC) == 0 ? 0 : -errno;
}

int32_t platform_socket(void) {
  int fd = socket(AF_UNIX, STREAM, 0);
  return fd >= 0 ? fd : -errno;
}

int32_t platform_socketpair(int32_t ends[2]) {
  return socketpair(AF_UNIX, STREAM, 0, ends) == 0 ? 0 : -errno;
}

int32_t platform_accept(int32_t sock) {
  int fd = accept4(sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd >= 0 ? fd : -errno;
}

void platform_adopt(const int32_t *fds, uint32_t count) {
  (void)fds; /* MSG_CMSG_CLOEXEC has done it */
  (void)count;
}

/* By its number: glibc has a function of that name since 2.27 only. */
static int32_t memfd(unsigned flags) {
  long fd = syscall(SYS_memfd_create, "utmost", flags);
  return fd >= 0 ? (int32_t)fd : -errno;
}

int32_t platform_memory(uint64_t size) {
  int32_t fd = memfd(MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fd;
  /* A peer that made it smaller would end us with SIGBUS. */
  if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    int32_t reason = -errno;
    close(fd);
    return reason;
  }
  return fd;
}
