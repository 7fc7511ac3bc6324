/** Paths of Unix sockets. */

/** Longest path of a Unix socket in bytes, its closing zero not counted. Source: `sockaddr_un`. */
export const LONGEST_SOCKET_PATH = { linux: 107, darwin: 103 } as const;
