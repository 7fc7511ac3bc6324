/* Where Linux and macOS differ: platform_linux.c, platform_darwin.c. As in
 * utm_shim.h, results are 0, a count, a descriptor or -errno, and descriptors
 * are closed on exec. */
#ifndef UTM_PLATFORM_H
#define UTM_PLATFORM_H

#include <stdint.h>

/* Flags of recvmsg and sendmsg that keep descriptors from leaking into children
 * and SIGPIPE from being raised, where flags do that. */
extern const int platform_recv_flags;
extern const int platform_send_flags;

/* The most descriptors for which a receipt makes room, and for how many it does:
 * what has no room must not stay open. */
enum { PLATFORM_MOST_FDS = 512 };
extern const uint32_t platform_recv_fds;

/* Makes a pipe; both ends block. */
int32_t platform_pipe(int32_t ends[2]);

/* Makes a Unix stream socket that does not block and raises no SIGPIPE. */
int32_t platform_socket(void);

/* The same as a connected pair. */
int32_t platform_socketpair(int32_t ends[2]);

/* Takes a connection without waiting for it; as platform_socket. */
int32_t platform_accept(int32_t sock);

/* Does to `count` descriptors that were received what recvmsg could not. */
void platform_adopt(const int32_t *fds, uint32_t count);

/* Makes memory of `size` bytes that has no name. */
int32_t platform_memory(uint64_t size);

#endif
