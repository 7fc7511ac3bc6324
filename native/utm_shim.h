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

/* -- Scanouts ------------------------------------------------------------- */

/* What GL_SCANOUT_UNIX tells of a buffer: width and height in pixels, bytes from
 * one row to the next, the format, flags. */

/* What a pipe has to say of an IOSurface. */
enum {
  UTM_ID_FRESH = 1,    /* *id names the surface of the current scanout */
  UTM_ID_REPLACED = 2, /* a newer scanout is on its way; nothing was read */
  UTM_ID_OLD = 3,      /* it has been read, and a newer scanout is on its way */
  UTM_ID_READ = 4,     /* it has been read: the current scanout, told once more */
};

/* Reads the id of an IOSurface out of a pipe, which gives it once; never waits.
 * Returns one of UTM_ID_*; *id is 0 unless it is fresh. -EPROTO: what is in it
 * is no id (and stays in it); -EBADF: it is not a pipe's end for reading. */
UTM_EXPORT int32_t utm_shim_pipe_id(int32_t pipe, uint32_t *id);

/* A buffer of the guest's, used on one thread. */
struct utm_scanout;

enum {
  UTM_SCANOUT_DMABUF = 1,    /* Linux */
  UTM_SCANOUT_MEMORY = 2,    /* Linux: plain memory (memfd, tmpfs) */
  UTM_SCANOUT_IOSURFACE = 3, /* macOS */
};

/* In the flags of a shape: row 0 in memory is the bottom line of the picture. */
#define UTM_SCANOUT_BOTTOM_UP 1u

/* Opens the buffer that came with a message. Takes `fd` in every case.
 *
 * On Linux it must be as large as `shape` = {width, height, stride, fourcc, flags}
 * tells; on macOS the surface itself tells stride and format, and must be of that
 * width and height. `previous` (or NULL) is the scanout before this one.
 *
 * Returns its kind, and *out is the caller's to close. 0: it is `previous` once
 * more, which stays as it is. -EINVAL: its shape, or its size, makes no sense;
 * -ENOTSUP: its format is unknown; -EBADF: `fd` is of the wrong kind; from pipes
 * also -ESTALE: it has been replaced, or another has read the id; -ENOENT: there
 * is no such surface; -EPROTO: see utm_shim_pipe_id. *out is NULL then. */
UTM_EXPORT int32_t utm_shim_scanout_open(int32_t fd, const uint32_t shape[5],
                                         struct utm_scanout *previous,
                                         struct utm_scanout **out);

/* Fills in what the buffer is: stride and format as they are, the format a DRM
 * fourcc, or for an IOSurface its own code. Returns its kind. */
UTM_EXPORT int32_t utm_shim_scanout_shape(struct utm_scanout *scanout, uint32_t shape[5]);

/* Reads a part by the CPU, in the guest's coordinates from the top left: pixels
 * 0xffRRGGBB, the top line first, `stride_pixels` from one line to the next.
 * *cpu_bytes is how much was read. Returns 0; -EINVAL: the part is not all
 * within; -EIO: the buffer can no longer be read. A dmabuf whose driver has not
 * laid out its pixels line by line reads as it lies in memory: import it. */
UTM_EXPORT int32_t utm_shim_scanout_read(struct utm_scanout *scanout, uint32_t x, uint32_t y,
                                         uint32_t width, uint32_t height, uint32_t *pixels,
                                         uint32_t stride_pixels, uint64_t *cpu_bytes);

/* Closes it; EGL, where it was imported, keeps it for as long as it needs it. */
UTM_EXPORT int32_t utm_shim_scanout_close(struct utm_scanout *scanout);

#endif
