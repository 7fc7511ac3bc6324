/* Descriptors; see utm_shim.h. */
#include "platform.h"
#include "utm_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t utm_shim_abi(void) {
  return UTM_SHIM_ABI;
}

int32_t utm_shim_close(int32_t fd) {
  /* After EINTR the descriptor is closed all the same: another close could hit
   * somebody else's. */
  return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

int32_t utm_shim_dup(int32_t fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* never stdin, stdout, stderr */
  return copy >= 0 ? copy : -errno;
}

static int32_t kind_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
    case 0: /* a dmabuf on Linux, POSIX shared memory on macOS */
      return UTM_FD_MEMORY;
    case S_IFIFO:
      return UTM_FD_PIPE;
    case S_IFSOCK:
      return UTM_FD_SOCKET;
    default:
      return UTM_FD_OTHER;
  }
}

int32_t utm_shim_identify(int32_t fd, uint64_t id[2]) {
  struct stat info;
  if (!id) return -EINVAL;
  if (fstat(fd, &info) != 0) return -errno;
  id[0] = (uint64_t)info.st_dev;
  id[1] = (uint64_t)info.st_ino;
  return kind_of(info.st_mode);
}

int32_t utm_shim_pipe(int32_t ends[2]) {
  if (!ends) return -EINVAL;
  int32_t result = platform_pipe(ends);
  if (result == 0 && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
    result = -errno;
    close(ends[0]);
    close(ends[1]);
  }
  if (result != 0) ends[0] = ends[1] = -1;
  return result;
}
