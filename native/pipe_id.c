/* A pipe that names an IOSurface: UTM's QEMU writes the id once, and keeps the
 * other end open for as long as the scanout is the current one. */
#include "utm_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whoever else has the pipe may have read it since it was looked at, and then a
 * read would wait for ever. The flag is that of the open file, and so reaches
 * every holder of this end; none but readers of ids have it. */
static int32_t unblock(int32_t pipe) {
  int flags = fcntl(pipe, F_GETFL);
  if (flags < 0) return -errno;
  if ((flags & O_ACCMODE) == O_WRONLY) return -EBADF;
  if (flags & O_NONBLOCK) return 0;
  return fcntl(pipe, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

/* Bytes that wait in the pipe, or -errno. */
static int32_t waiting(int32_t pipe) {
  int count = 0;
  return ioctl(pipe, FIONREAD, &count) == 0 ? count : -errno;
}

static int32_t read_id(int32_t pipe, uint32_t *id) {
  uint32_t value;
  ssize_t count;
  do count = read(pipe, &value, sizeof value);
  while (count < 0 && errno == EINTR);
  if (count < 0) return errno == EAGAIN ? UTM_ID_READ : -errno;
  if (count == 0) return UTM_ID_OLD; /* read by another, and closed, since */
  if (count != sizeof value) return -EPROTO;
  *id = value;
  return UTM_ID_FRESH;
}

int32_t utm_shim_pipe_id(int32_t pipe, uint32_t *id) {
  struct stat info;
  if (!id) return -EINVAL;
  *id = 0;
  if (fstat(pipe, &info) != 0) return -errno;
  if (!S_ISFIFO(info.st_mode)) return -EBADF;
  int32_t result = unblock(pipe);
  if (result != 0) return result;

  struct pollfd state = {.fd = pipe, .events = POLLIN};
  int ready;
  do ready = poll(&state, 1, 0);
  while (ready < 0 && errno == EINTR);
  if (ready < 0) return -errno;
  int32_t bytes = waiting(pipe);
  if (bytes < 0) return bytes;
  if (state.revents & (POLLERR | POLLNVAL)) return -EBADF;
  /* Some systems tell the end of a stream by POLLIN as well: the bytes decide. */
  if (state.revents & POLLHUP) return bytes > 0 ? UTM_ID_REPLACED : UTM_ID_OLD;
  if (bytes == 0) return UTM_ID_READ;
  return bytes == sizeof *id ? read_id(pipe, id) : -EPROTO;
}
