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
  UTM_WRITABLE = 2, /* also where writing fails */
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
 * `fd` has fewer bytes; -ENODEV if it is no memory. Whoever can make the memory
 * smaller ends the process that then reads what is gone (SIGBUS): memory from others
 * must be sealed, or read as a scanout. */
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

/* -- EGL ------------------------------------------------------------------ */

/* A context copies the guest's buffer into a picture of its own, which it shows,
 * reads back or hands on. All calls for one context are made on the thread that
 * opened it, and leave it current there, but for the last, which leaves none; a
 * thread may have several. A GPU that is reset takes context and picture with it:
 * the call that finds out, or the next, makes them anew. */
struct utm_egl;

/* Whose EGL. */
enum {
  UTM_EGL_AUTO = 0,  /* the system's, else ANGLE; on macOS ANGLE */
  UTM_EGL_MESA = 1,  /* the system's libEGL.so.1, whoever made its driver */
  UTM_EGL_ANGLE = 2, /* libEGL.so, libEGL.dylib or libEGL.framework */
};

/* Opens a context without a window. `library_folder` (NULL: where the system looks;
 * macOS has none) has the libraries; `render_node` (NULL: any GPU's) names the GPU that the
 * buffers come from. Without that GPU it is another one or a software renderer,
 * which utm_shim_egl_describe tells. -ENOENT: no library; -ENODEV: no display;
 * -ENOTSUP: it lacks what is needed. *out is the caller's to utm_shim_egl_close;
 * NULL on failure. */
UTM_EXPORT int32_t utm_shim_egl_open(int32_t api, const char *library_folder,
                                     const char *render_node, struct utm_egl **out);

/* What a window belongs to, and what names it there. */
enum {
  UTM_WINDOW_NONE = 0,
  UTM_WINDOW_X11 = 1,     /* Display *; a Window, as a pointer */
  UTM_WINDOW_WAYLAND = 2, /* struct wl_display *; struct wl_egl_window * */
  UTM_WINDOW_COCOA = 3,   /* NULL; CALayer * */
};

/* The same for utm_shim_egl_present, on the display that the window is on, which
 * must stay open as long as the process: EGL keeps what it knows of it, by its
 * address, which another display may have once this one is gone. */
UTM_EXPORT int32_t utm_shim_egl_open_window_system(int32_t api, const char *library_folder,
                                                   int32_t window_system,
                                                   void *native_display,
                                                   struct utm_egl **out);

/* Writes who drives the context, at most `cap` bytes with the NUL at the end:
 * "Mesa Project; llvmpipe (LLVM 15.0.6, 256 bits); OpenGL ES 3.2 Mesa 22.3.6".
 * Returns its length. */
UTM_EXPORT int32_t utm_shim_egl_describe(struct utm_egl *egl, char *text, uint32_t cap);

enum {
  UTM_EGL_IMPORTS_DMABUF = 1,
  UTM_EGL_IMPORTS_IOSURFACE = 2,
  UTM_EGL_EXPORTS_DMABUF = 4,
  UTM_EGL_IMPLICIT_SYNC = 8, /* a copy need not be waited for: the kernel orders it */
};

/* Returns what the context can, UTM_EGL_IMPORTS_DMABUF and so on added up. */
UTM_EXPORT int32_t utm_shim_egl_abilities(struct utm_egl *egl);

enum {
  UTM_IMPORT_GPU = 1,    /* copies are the GPU's */
  UTM_IMPORT_UPLOAD = 2, /* each copy has the CPU read what has changed */
};

/* Makes `scanout` the source of copies, and holds on to it until there is another;
 * it may be closed meanwhile. NULL: there is no source any more. A buffer that the
 * GPU cannot import is uploaded where it can be mapped. Returns UTM_IMPORT_*;
 * -ENOTSUP: its format or layout; -E2BIG: larger than textures can be; -ENOMEM.
 * After a failure there is no source, and the picture is as it was. */
UTM_EXPORT int32_t utm_shim_egl_import(struct utm_egl *egl, struct utm_scanout *scanout);

/* What utm_shim_egl_copy returns. */
enum {
  UTM_COPY_DONE = 0,
  UTM_COPY_REMADE = 1, /* the same, and it was the first copy into a new picture */
};

/* Copies the damaged rectangle of the source into the picture: guest coordinates,
 * the top line first, no alpha. What lies outside is cut off, and the first copy
 * after an import or a failed copy is of everything. Returns UTM_COPY_* once the
 * guest may draw into its buffer again; -ENOENT: there is no source; -ETIMEDOUT:
 * the GPU takes its time; -EIO. *cpu_bytes (may be NULL) is how much the CPU
 * copied: 0 for UTM_IMPORT_GPU. */
UTM_EXPORT int32_t utm_shim_egl_copy(struct utm_egl *egl, uint32_t x, uint32_t y,
                                     uint32_t width, uint32_t height, uint64_t *cpu_bytes);

/* Reads the picture back: 0xffRRGGBB words, the top line first, rows `stride_pixels`
 * apart, into room for `cap` words. -ENOENT: nothing was copied, or not since the
 * picture was made anew; -EINVAL: no room. */
UTM_EXPORT int32_t utm_shim_egl_read(struct utm_egl *egl, uint32_t *pixels,
                                     uint32_t stride_pixels, uint64_t cap,
                                     uint64_t *cpu_bytes);

enum {
  UTM_EXPORT_DMABUF = 1,
  UTM_EXPORT_IOSURFACE = 2, /* *surface_id names it; *fd is -1 */
  UTM_EXPORT_MEMORY = 3,    /* shared memory, filled by utm_shim_egl_refresh */
};

/* Hands the picture to other processes. Returns UTM_EXPORT_*; `shape` is as in
 * utm_shim_scanout_open. *fd is the caller's; it, and the surface behind
 * *surface_id, show every later copy until one returns UTM_COPY_REMADE. Can be
 * called again: that names the same picture. -ENOENT: there is none. */
UTM_EXPORT int32_t utm_shim_egl_export(struct utm_egl *egl, int32_t *fd, uint32_t shape[5],
                                       uint32_t *surface_id);

/* Brings exported memory up to date with the copies so far, after which others may
 * be told of them; there is nothing to do for the other kinds. */
UTM_EXPORT int32_t utm_shim_egl_refresh(struct utm_egl *egl, uint64_t *cpu_bytes);

/* Shows the picture in a window: as large as fits, in the middle of black, and
 * waits for `interval` refreshes (0: none) where the display can; Wayland refreshes
 * no window that is hidden, and more than 0 waits until it is not. The first call
 * with a window takes hold of it, and one with NULL lets go, which must come
 * before the window is destroyed. -EINVAL: no window of this display. */
UTM_EXPORT int32_t utm_shim_egl_present(struct utm_egl *egl, void *native_window,
                                        int32_t interval);

/* Frees the context and all that it has, on its thread. What was exported stays for
 * as long as others have it. */
UTM_EXPORT int32_t utm_shim_egl_close(struct utm_egl *egl);

#endif
