/* Wake-ups and poll; see utm_shim.h and wait.h. */
#include "wait.h"
#include "platform.h"
#include "utm_shim.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

wait_deadline wait_until(int32_t timeout_ms) {
  return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

static int ms_left(wait_deadline deadline) {
  if (deadline < 0) return -1;
  int64_t left = deadline - now_ms();
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int32_t wait_for(int32_t fd, short poll_events, int32_t wake, wait_deadline deadline) {
  if (fd < 0) return -EBADF; /* poll would leave it out, and wait for nothing */
  struct pollfd ready[2] = {
      {.fd = fd, .events = poll_events},
      {.fd = wake, .events = POLLIN},
  };
  for (;;) {
    int count = poll(ready, wake < 0 ? 1 : 2, ms_left(deadline));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) return 0;
    if ((ready[0].revents | ready[1].revents) & POLLNVAL) return -EBADF;
    if (ready[1].revents != 0) return -ECANCELED;
    return ready[0].revents;
  }
}

/* A pair of sockets and no pipe: writing to a pipe may raise SIGPIPE. */
int32_t utm_shim_wake_open(int32_t ends[2]) {
  return utm_shim_socketpair(ends);
}

int32_t utm_shim_wake(int32_t end) {
  for (;;) {
    if (send(end, "", 1, platform_send_flags) == 1) return 0;
    if (errno == EINTR) continue;
    /* No room is left for one more: it is awake already. */
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return 0;
    return -errno;
  }
}

int32_t utm_shim_wake_clear(int32_t end) {
  uint8_t bytes[64];
  int32_t woken = 0;
  for (;;) {
    ssize_t count = recv(end, bytes, sizeof bytes, platform_recv_flags);
    if (count > 0) {
      woken += (int32_t)count;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return woken;
    if (woken > 0) return woken;
    return count == 0 ? -EPIPE : -errno;
  }
}

int32_t utm_shim_poll(int32_t fd, int32_t events, int32_t wake, int32_t timeout_ms) {
  if (events == 0 || (events & ~(UTM_READABLE | UTM_WRITABLE)) != 0) return -EINVAL;
  short wanted = 0;
  if (events & UTM_READABLE) wanted |= POLLIN;
  if (events & UTM_WRITABLE) wanted |= POLLOUT;
  int32_t found = wait_for(fd, wanted, wake, wait_until(timeout_ms));
  if (found <= 0) return found;
  int32_t ready = 0;
  if (found & (POLLIN | POLLHUP | POLLERR)) ready |= UTM_READABLE;
  if (found & (POLLOUT | POLLHUP | POLLERR)) ready |= UTM_WRITABLE;
  return ready & events;
}
