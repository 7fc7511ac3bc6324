/* Linux: the kernel's own parent-death signal. */
#include "qemu_host.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The signal is sent when the parent's *thread* that forked us ends (prctl(2),
 * PR_SET_PDEATHSIG). Deno 2.9.6 forks in the thread that calls spawn(), as seen
 * with a child of the main thread (alive after 14 s of an idle loop, gone at
 * kill -9 of Deno) and with one of a Worker (gone once the Worker was
 * terminated, Deno still running). So a supervisor spawns from its main thread.
 *
 * A parent that dies between its fork and our prctl sends nothing; but then we
 * have been given another parent, which the comparison sees. */
int32_t qemu_host_die_with(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return -errno;
  return getppid() == parent ? 0 : -ESRCH;
}

/* The loader looks where the library itself says (its RUNPATH). */
int32_t qemu_host_find_frameworks(const char *library, char **argv) {
  (void)library;
  (void)argv;
  return 0;
}
