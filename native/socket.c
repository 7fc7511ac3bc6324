/* Unix sockets; see utm_shim.h. */
#include "platform.h"
#include "utm_shim.h"
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

/* -- Addresses ------------------------------------------------------------ */

static int32_t address_of(const char *path, struct sockaddr_un *address) {
  if (!path || *path == '\0') return -EINVAL;
  size_t length = strlen(path);
  if (length >= sizeof address->sun_path) return -ENAMETOOLONG;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, length);
  return 0;
}

/* Makes a socket and does `act` with it. Returns it; it is closed on failure. */
static int32_t open_at(const char *path,
                       int (*act)(int, const struct sockaddr *, socklen_t)) {
  struct sockaddr_un address;
  int32_t result = address_of(path, &address);
  if (result != 0) return result;
  int32_t sock = platform_socket();
  if (sock < 0) return sock;
  if (act(sock, (const struct sockaddr *)&address, sizeof address) == 0) return sock;
  result = -errno;
  close(sock);
  return result;
}

int32_t utm_shim_connect(const char *path) {
  return open_at(path, connect);
}

int32_t utm_shim_listen(const char *path, int32_t backlog) {
  if (backlog < 0) return -EINVAL;
  int32_t sock = open_at(path, bind);
  if (sock < 0 || listen(sock, backlog) == 0) return sock;
  int32_t result = -errno;
  close(sock);
  unlink(path);
  return result;
}

int32_t utm_shim_accept(int32_t sock, int32_t wake, int32_t timeout_ms) {
  wait_deadline deadline = wait_until(timeout_ms);
  for (;;) {
    int32_t ready = wait_for(sock, POLLIN, wake, deadline);
    if (ready < 0) return ready;
    if (ready == 0) return -ETIMEDOUT;
    int32_t fd = platform_accept(sock);
    /* Whoever wanted to connect may have gone meanwhile. */
    if (fd == -EINTR || fd == -EAGAIN || fd == -EWOULDBLOCK || fd == -ECONNABORTED) continue;
    return fd;
  }
}

int32_t utm_shim_socketpair(int32_t ends[2]) {
  if (!ends) return -EINVAL;
  int32_t result = platform_socketpair(ends);
  if (result != 0) ends[0] = ends[1] = -1;
  return result;
}

int32_t utm_shim_shutdown(int32_t sock) {
  return shutdown(sock, SHUT_RDWR) == 0 || errno == ENOTCONN ? 0 : -errno;
}

/* -- Receiving ------------------------------------------------------------ */

union control {
  struct cmsghdr aligned;
  uint8_t bytes[CMSG_SPACE(PLATFORM_MOST_FDS * sizeof(int))];
};

/* Hands over the descriptors in `message`, or closes all of them. */
static void take_fds(struct msghdr *message, int32_t *fds, uint32_t fds_cap,
                     uint32_t *fd_count) {
  int32_t found[PLATFORM_MOST_FDS];
  uint32_t count = 0;
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t bytes = part->cmsg_len - CMSG_LEN(0);
    for (size_t at = 0; at + sizeof(int) <= bytes && count < PLATFORM_MOST_FDS; at += sizeof(int)) {
      memcpy(&found[count++], CMSG_DATA(part) + at, sizeof(int));
    }
  }
  bool is_cut = (message->msg_flags & MSG_CTRUNC) != 0;
  if (!is_cut && count <= fds_cap) {
    platform_adopt(found, count);
    if (count > 0) memcpy(fds, found, count * sizeof *found);
    *fd_count = count;
    return;
  }
  for (uint32_t i = 0; i < count; i++) close(found[i]);
  *fd_count = count > fds_cap ? count : fds_cap + 1;
}

int32_t utm_shim_recv(int32_t sock, int32_t wake, uint8_t *data, uint32_t cap,
                      int32_t *fds, uint32_t fds_cap, uint32_t *fd_count,
                      int32_t timeout_ms) {
  if (!data || cap == 0 || cap > INT32_MAX || !fd_count) return -EINVAL;
  *fd_count = 0;
  if (fds_cap > UTM_FDS_MAX || (!fds && fds_cap > 0)) return -EINVAL;
  wait_deadline deadline = wait_until(timeout_ms);
  for (;;) {
    /* Asked before each receipt, so that a busy socket does not keep one who was
     * woken from hearing of it. */
    int32_t ready = wait_for(sock, POLLIN, wake, deadline);
    if (ready < 0) return ready;
    if (ready == 0) return -ETIMEDOUT;
    union control control;
    struct iovec place = {.iov_base = data, .iov_len = cap};
    struct msghdr message = {
        .msg_iov = &place,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = CMSG_SPACE(platform_recv_fds * sizeof(int)),
    };
    ssize_t count = recvmsg(sock, &message, platform_recv_flags);
    if (count >= 0) {
      take_fds(&message, fds, fds_cap, fd_count);
      return (int32_t)count;
    }
    if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) return -errno;
  }
}

/* -- Sending -------------------------------------------------------------- */

/* Leaves out the first `count` bytes of what is to be sent. */
static void skip(struct msghdr *message, size_t count) {
  while (count > 0) {
    size_t part = message->msg_iov->iov_len < count ? message->msg_iov->iov_len : count;
    message->msg_iov->iov_base = (uint8_t *)message->msg_iov->iov_base + part;
    message->msg_iov->iov_len -= part;
    count -= part;
    if (message->msg_iov->iov_len == 0 && message->msg_iovlen > 1) {
      message->msg_iov++;
      message->msg_iovlen--;
    }
  }
}

/* Sends `message`, `total` bytes. Returns as utm_shim_send does. */
static int32_t send_all(int32_t sock, int32_t wake, struct msghdr *message, size_t total,
                        int32_t timeout_ms) {
  wait_deadline deadline = wait_until(timeout_ms);
  size_t sent = 0;
  int32_t reason = 0;
  while (sent < total && reason == 0) {
    ssize_t count = sendmsg(sock, message, platform_send_flags);
    if (count >= 0) {
      sent += (size_t)count;
      skip(message, (size_t)count);
      message->msg_control = NULL; /* has left with the first byte */
      message->msg_controllen = 0;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      int32_t ready = wait_for(sock, POLLOUT, wake, deadline);
      if (ready <= 0) reason = ready == 0 ? -ETIMEDOUT : ready;
    } else if (errno != EINTR) {
      reason = -errno;
    }
  }
  return sent > 0 ? (int32_t)sent : reason;
}

int32_t utm_shim_send(int32_t sock, int32_t wake, const uint8_t *data, uint32_t len,
                      const int32_t *fds, uint32_t fd_count, int32_t timeout_ms) {
  if (!data || len == 0 || len > INT32_MAX) return -EINVAL;
  if (fd_count > UTM_FDS_MAX || (!fds && fd_count > 0)) return -EINVAL;
  union control control;
  struct iovec place = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
  struct msghdr message = {.msg_iov = &place, .msg_iovlen = 1};
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
  }
  return send_all(sock, wake, &message, len, timeout_ms);
}

int32_t utm_shim_writev(int32_t sock, int32_t wake, const uint8_t *head, uint32_t head_len,
                        const uint8_t *body, uint32_t body_len, int32_t timeout_ms) {
  uint64_t total = (uint64_t)head_len + body_len;
  if ((!head && head_len > 0) || (!body && body_len > 0)) return -EINVAL;
  if (total == 0 || total > INT32_MAX) return -EINVAL;
  struct iovec places[2] = {
      {.iov_base = (void *)(uintptr_t)head, .iov_len = head_len},
      {.iov_base = (void *)(uintptr_t)body, .iov_len = body_len},
  };
  struct msghdr message = {.msg_iov = places, .msg_iovlen = 2};
  if (head_len == 0) {
    message.msg_iov++;
    message.msg_iovlen--;
  }
  return send_all(sock, wake, &message, (size_t)total, timeout_ms);
}
