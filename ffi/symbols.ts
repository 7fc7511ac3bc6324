/**
 * Symbols of `native/utm_shim.h`, in its order, with the C prototype beside each parameter.
 * `tests/unit/shim_symbols_test.ts` compares the two.
 *
 * How C's types are bound: arrays and pointers to what the caller has are `"buffer"`, `void *` and
 * opaque structs `"pointer"`. A call that can wait blocks its thread here, which is for a Worker whose
 * whole work is that wait; {@linkcode WAITING} is for everybody else.
 */

/** The number of the header. */
const ABI = {
  utm_shim_abi: { parameters: [], result: "i32" },
} as const;

/** Descriptors. */
const DESCRIPTORS = {
  utm_shim_close: {
    parameters: [
      "i32", // int32_t fd
    ],
    result: "i32",
  },
  utm_shim_dup: {
    parameters: [
      "i32", // int32_t fd
    ],
    result: "i32", // descriptor
  },
  utm_shim_identify: {
    parameters: [
      "i32", // int32_t fd
      "buffer", // uint64_t id[2]
    ],
    result: "i32", // UTM_FD_*
  },
  utm_shim_pipe: {
    parameters: [
      "buffer", // int32_t ends[2]
    ],
    result: "i32",
  },
} as const;

/** Waiting. */
const WAITS = {
  utm_shim_wake_open: {
    parameters: [
      "buffer", // int32_t ends[2]
    ],
    result: "i32",
  },
  utm_shim_wake: {
    parameters: [
      "i32", // int32_t end
    ],
    result: "i32",
  },
  utm_shim_wake_clear: {
    parameters: [
      "i32", // int32_t end
    ],
    result: "i32", // times
  },
  utm_shim_poll: {
    parameters: [
      "i32", // int32_t fd
      "i32", // int32_t events, UTM_READABLE | UTM_WRITABLE
      "i32", // int32_t wake, -1: none
      "i32", // int32_t timeout_ms
    ],
    result: "i32", // events
  },
} as const;

/** Unix sockets. */
const SOCKETS = {
  utm_shim_connect: {
    parameters: [
      "buffer", // const char *path
    ],
    result: "i32", // descriptor
  },
  utm_shim_listen: {
    parameters: [
      "buffer", // const char *path
      "i32", // int32_t backlog
    ],
    result: "i32", // descriptor
  },
  utm_shim_accept: {
    parameters: [
      "i32", // int32_t sock
      "i32", // int32_t wake
      "i32", // int32_t timeout_ms
    ],
    result: "i32", // descriptor
  },
  utm_shim_socketpair: {
    parameters: [
      "buffer", // int32_t ends[2]
    ],
    result: "i32",
  },
  utm_shim_shutdown: {
    parameters: [
      "i32", // int32_t sock
    ],
    result: "i32",
  },
  utm_shim_recv: {
    parameters: [
      "i32", // int32_t sock
      "i32", // int32_t wake
      "buffer", // uint8_t *data
      "u32", // uint32_t cap, bytes
      "buffer", // int32_t *fds
      "u32", // uint32_t fds_cap
      "buffer", // uint32_t *fd_count
      "i32", // int32_t timeout_ms
    ],
    result: "i32", // bytes
  },
  utm_shim_send: {
    parameters: [
      "i32", // int32_t sock
      "i32", // int32_t wake
      "buffer", // const uint8_t *data
      "u32", // uint32_t len, bytes
      "buffer", // const int32_t *fds
      "u32", // uint32_t fd_count
      "i32", // int32_t timeout_ms
    ],
    result: "i32", // bytes
  },
  utm_shim_writev: {
    parameters: [
      "i32", // int32_t sock
      "i32", // int32_t wake
      "buffer", // const uint8_t *head
      "u32", // uint32_t head_len, bytes
      "buffer", // const uint8_t *body
      "u32", // uint32_t body_len, bytes
      "i32", // int32_t timeout_ms
    ],
    result: "i32", // bytes
  },
} as const;

/** Shared memory. */
const MEMORY = {
  utm_shim_memory_create: {
    parameters: [
      "u64", // uint64_t size, bytes
    ],
    result: "i32", // descriptor
  },
  utm_shim_memory_map: {
    parameters: [
      "i32", // int32_t fd
      "u64", // uint64_t size, bytes
      "i32", // int32_t writable
      "buffer", // void **at
    ],
    result: "i32",
  },
  utm_shim_memory_unmap: {
    parameters: [
      "pointer", // void *at
      "u64", // uint64_t size, bytes
    ],
    result: "i32",
  },
} as const;

/** Scanouts. */
const SCANOUTS = {
  utm_shim_pipe_id: {
    parameters: [
      "i32", // int32_t pipe
      "buffer", // uint32_t *id
    ],
    result: "i32", // UTM_ID_*
  },
  utm_shim_scanout_open: {
    parameters: [
      "i32", // int32_t fd
      "buffer", // const uint32_t shape[5]
      "pointer", // struct utm_scanout *previous
      "buffer", // struct utm_scanout **out
    ],
    result: "i32", // UTM_SCANOUT_*
  },
  utm_shim_scanout_shape: {
    parameters: [
      "pointer", // struct utm_scanout *scanout
      "buffer", // uint32_t shape[5]
    ],
    result: "i32", // UTM_SCANOUT_*
  },
  utm_shim_scanout_read: {
    parameters: [
      "pointer", // struct utm_scanout *scanout
      "u32", // uint32_t x
      "u32", // uint32_t y
      "u32", // uint32_t width
      "u32", // uint32_t height
      "buffer", // uint32_t *pixels
      "u32", // uint32_t stride_pixels
      "buffer", // uint64_t *cpu_bytes
    ],
    result: "i32",
  },
  utm_shim_scanout_close: {
    parameters: [
      "pointer", // struct utm_scanout *scanout
    ],
    result: "i32",
  },
} as const;

/** EGL. */
const EGL = {
  utm_shim_egl_open: {
    parameters: [
      "i32", // int32_t api
      "buffer", // const char *library_folder
      "buffer", // const char *render_node
      "buffer", // struct utm_egl **out
    ],
    result: "i32",
  },
  utm_shim_egl_open_window_system: {
    parameters: [
      "i32", // int32_t api
      "buffer", // const char *library_folder
      "i32", // int32_t window_system
      "pointer", // void *native_display
      "buffer", // struct utm_egl **out
    ],
    result: "i32",
  },
  utm_shim_egl_describe: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "buffer", // char *text
      "u32", // uint32_t cap, bytes
    ],
    result: "i32", // bytes
  },
  utm_shim_egl_abilities: {
    parameters: [
      "pointer", // struct utm_egl *egl
    ],
    result: "i32", // bits
  },
  utm_shim_egl_import: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "pointer", // struct utm_scanout *scanout
    ],
    result: "i32", // UTM_IMPORT_*
  },
  utm_shim_egl_copy: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "u32", // uint32_t x
      "u32", // uint32_t y
      "u32", // uint32_t width
      "u32", // uint32_t height
      "buffer", // uint64_t *cpu_bytes
    ],
    result: "i32", // UTM_COPY_*
  },
  utm_shim_egl_read: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "buffer", // uint32_t *pixels
      "u32", // uint32_t stride_pixels
      "u64", // uint64_t cap, pixels
      "buffer", // uint64_t *cpu_bytes
    ],
    result: "i32",
  },
  utm_shim_egl_export: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "buffer", // int32_t *fd
      "buffer", // uint32_t shape[5]
      "buffer", // uint32_t *surface_id
    ],
    result: "i32", // UTM_EXPORT_*
  },
  utm_shim_egl_refresh: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "buffer", // uint64_t *cpu_bytes
    ],
    result: "i32",
  },
  utm_shim_egl_present: {
    parameters: [
      "pointer", // struct utm_egl *egl
      "pointer", // void *native_window
      "i32", // int32_t interval
    ],
    result: "i32",
  },
  utm_shim_egl_close: {
    parameters: [
      "pointer", // struct utm_egl *egl
    ],
    result: "i32",
  },
} as const;

/** Every symbol, in header order. */
export const SYMBOLS = {
  ...ABI,
  ...DESCRIPTORS,
  ...WAITS,
  ...SOCKETS,
  ...MEMORY,
  ...SCANOUTS,
  ...EGL,
} as const satisfies Deno.ForeignLibraryInterface;

/**
 * The wait itself once more, on another thread, its result a promise: who waits so receives and sends
 * afterwards, without waiting.
 */
export const WAITING = {
  utm_shim_poll_async: { ...WAITS.utm_shim_poll, name: "utm_shim_poll", nonblocking: true },
} as const satisfies Deno.ForeignLibraryInterface;

/** What {@linkcode SYMBOLS} and {@linkcode WAITING} are once the library is open. */
export type ShimSymbols = Deno.StaticForeignLibraryInterface<typeof SYMBOLS & typeof WAITING>;
