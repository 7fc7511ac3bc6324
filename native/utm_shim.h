/* The native library of utmost: what JavaScript cannot do by itself. It passes
 * descriptors over Unix sockets, waits on a socket and on a wake-up at once,
 * shares memory, and brings the guest's GPU buffers to EGL.
 *
 * For every function, unless its comment says otherwise:
 * - it returns 0, a count or one of the named values, or -errno; errno itself
 *   is not the caller's to read. A pointer that must not be NULL and is, or a
 *   value out of range, is -EINVAL; what this platform lacks is -ENOTSUP;
 * - a descriptor that is handed out is the caller's to close, and is closed on
 *   exec; one that is handed in stays the caller's;
 * - on failure nothing is owned, and what `out` parameters hold is as it says;
 * - a wait is never cut short by a signal, and no call raises SIGPIPE;
 * - `timeout_ms` < 0 waits for ever, 0 does not wait;
 * - it may be called on any thread; what it was given is not used afterwards.
 *
 * Order of symbols = order in ffi/symbols.ts; a test compares the two. */
#ifndef UTM_SHIM_H
#define UTM_SHIM_H

#include <stdint.h>

#define UTM_EXPORT __attribute__((visibility("default")))

/* Raised by one with every release that changes this header. */
#define UTM_SHIM_ABI 1

/* Returns UTM_SHIM_ABI as the library was built with. */
UTM_EXPORT int32_t utm_shim_abi(void);

/* -- Descriptors ---------------------------------------------------------- */

UTM_EXPORT int32_t utm_shim_close(int32_t fd);

/* Returns a new descriptor of the same open file. */
UTM_EXPORT int32_t utm_shim_dup(int32_t fd);

/* What a descriptor is, as far as it matters for a buffer. */
enum {
  UTM_FD_MEMORY = 1, /* can be mapped, as a rule: a file, a memfd, a dmabuf */
  UTM_FD_PIPE = 2,
  UTM_FD_SOCKET = 3,
  UTM_FD_OTHER = 4,
};

/* Returns one of UTM_FD_*; id = st_dev and st_ino, the same for every
 * descriptor of one object for as long as one of them is open. */
UTM_EXPORT int32_t utm_shim_identify(int32_t fd, uint64_t id[2]);

/* Makes a pipe: ends[0] is read, without blocking, ends[1] is written. On
 * failure both are -1. */
UTM_EXPORT int32_t utm_shim_pipe(int32_t ends[2]);

/* -- Waiting -------------------------------------------------------------- */

/* Makes a wake-up: ends[0] is given to calls as `wake`, ends[1] wakes them, from
 * any thread or process. It stays woken until it is cleared. On failure both
 * are -1. */
UTM_EXPORT int32_t utm_shim_wake_open(int32_t ends[2]);

/* Wakes whoever waits on the other end, now or later. Waking twice is waking
 * once; -EPIPE if nobody holds the other end any more. */
UTM_EXPORT int32_t utm_shim_wake(int32_t end);

/* Returns how often it was woken since it was cleared last, roughly: 0 if never.
 * -EPIPE if nobody holds the other end any more: every wait is then cut short. */
UTM_EXPORT int32_t utm_shim_wake_clear(int32_t end);

enum {
  UTM_READABLE = 1, /* also at the end of the stream, and where reading fails */
  UTM_WRITABLE = 2,
};

/* Waits until `fd` is ready for one of `events`. Returns those that it is ready
 * for; 0 when the time is up; -ECANCELED once `wake` (-1: none) is woken, which
 * comes first; -EBADF. */
UTM_EXPORT int32_t utm_shim_poll(int32_t fd, int32_t events, int32_t wake,
                                 int32_t timeout_ms);

/* -- Unix sockets --------------------------------------------------------- */

/* Sockets that are made here do not block by themselves: the calls below wait.
 * The calls work on sockets from elsewhere as well, blocking or not. */

/* Connects to the socket at `path`. Returns the descriptor; -ENAMETOOLONG,
 * -ENOENT, -ECONNREFUSED: nobody listens; -EAGAIN: try later, the server has
 * too many connections to accept. */
UTM_EXPORT int32_t utm_shim_connect(const char *path);

/* Listens at `path`, which must not exist. Returns the descriptor. The file at
 * `path` stays when that is closed. */
UTM_EXPORT int32_t utm_shim_listen(const char *path, int32_t backlog);

/* Returns the descriptor of the next connection; -ETIMEDOUT, -ECANCELED. */
UTM_EXPORT int32_t utm_shim_accept(int32_t sock, int32_t wake, int32_t timeout_ms);

/* Makes two stream sockets that are connected. On failure both are -1. */
UTM_EXPORT int32_t utm_shim_socketpair(int32_t ends[2]);

/* Ends both directions of a connection for every descriptor of it, in all threads
 * and processes: the peer sees the end, and so does whoever waits to receive.
 * The descriptors stay open. Nothing happens if the peer has gone. */
UTM_EXPORT int32_t utm_shim_shutdown(int32_t sock);

/* The most descriptors in one message. */
#define UTM_FDS_MAX 16

/* Receives at most `cap` bytes into `data`, and the descriptors that came with
 * them: at most `fds_cap` (<= UTM_FDS_MAX; fds may be NULL if it is 0).
 *
 * Returns the bytes; 0: the peer has closed; -ETIMEDOUT; -ECANCELED: woken, and
 * nothing was received; -ECONNRESET and others. *fd_count is how many
 * descriptors came, and fds[0 .. *fd_count) are the caller's. More than fds_cap
 * of them, or a message whose control data was cut, is told by *fd_count >
 * fds_cap: then all that came have been closed, and the bytes are good. After a
 * failure *fd_count is 0. */
UTM_EXPORT int32_t utm_shim_recv(int32_t sock, int32_t wake, uint8_t *data, uint32_t cap,
                                 int32_t *fds, uint32_t fds_cap, uint32_t *fd_count,
                                 int32_t timeout_ms);

/* Sends `len` > 0 bytes; `fd_count` (<= UTM_FDS_MAX) copies of descriptors travel
 * with the first of them (fds may be NULL if it is 0).
 *
 * Returns the bytes that have left: all, or fewer where it was woken, the time
 * was up or the peer went away after the first; such a reason that comes before
 * the first byte is -ECANCELED, -ETIMEDOUT, -EPIPE, -ECONNRESET. */
UTM_EXPORT int32_t utm_shim_send(int32_t sock, int32_t wake, const uint8_t *data,
                                 uint32_t len, const int32_t *fds, uint32_t fd_count,
                                 int32_t timeout_ms);

/* Sends `head` and then `body` (one of them may be empty), in as few writes as
 * it takes. Returns as utm_shim_send does, of both together. */
UTM_EXPORT int32_t utm_shim_writev(int32_t sock, int32_t wake, const uint8_t *head,
                                   uint32_t head_len, const uint8_t *body,
                                   uint32_t body_len, int32_t timeout_ms);

/* -- Shared memory -------------------------------------------------------- */

/* Returns a descriptor of `size` > 0 bytes of zeros that has no name; where the
 * platform can (Linux), it cannot be made smaller by whoever receives it. */
UTM_EXPORT int32_t utm_shim_memory_create(uint64_t size);

/* Maps the first `size` bytes of `fd`, to read, or also to write. *at holds
 * until it is unmapped, also when `fd` is closed; NULL on failure. -EINVAL if
 * `fd` has fewer bytes; -ENODEV if it is no memory. */
UTM_EXPORT int32_t utm_shim_memory_map(int32_t fd, uint64_t size, int32_t writable,
                                       void **at);

/* `size` as it was mapped with. */
UTM_EXPORT int32_t utm_shim_memory_unmap(void *at, uint64_t size);

#endif
