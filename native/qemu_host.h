/* The guard that every QEMU and swtpm is started through: nothing of a VM
 * outlives its supervisor, not even after kill -9.
 *
 *   utmost-qemu-host --parent PID -- PROGRAM ARG...
 *
 * runs PROGRAM (found as execvp finds it) in the calling process, so that the
 * pid, the descriptors, the exit status and every signal are PROGRAM's own, and
 * kills it with SIGKILL as soon as the process PID has ended. PID is the caller:
 * the pid of whoever starts the guard. */
#ifndef UTMOST_QEMU_HOST_H
#define UTMOST_QEMU_HOST_H

#include <stdint.h>
#include <sys/types.h>

/* How the guard itself ends; as in a shell, 126 and 127 are failures to run
 * PROGRAM. Anything else is PROGRAM's own status. */
enum {
  QEMU_HOST_USAGE = 2,
  QEMU_HOST_UNGUARDED = 125, /* PID has ended already, or cannot be watched */
  QEMU_HOST_NOT_RUNNABLE = 126,
  QEMU_HOST_NOT_FOUND = 127,
};

/* What to run, and for how long. Points into argv, owns nothing. */
struct qemu_host_command {
  pid_t parent;
  char **program; /* PROGRAM, its arguments, NULL */
};

/* Reads the command line. Returns 0, or -EINVAL with *why pointing at a string
 * constant; *command is then not to be used. */
int32_t qemu_host_parse(int argc, char **argv, struct qemu_host_command *command,
                        const char **why);

/* Arranges that the calling process is killed once `parent` has ended, also
 * where that has happened meanwhile; holds across exec. Returns 0, -ESRCH if
 * `parent` has ended or is not the parent of the caller, or another -errno.
 * One per platform: qemu_host_linux.c, qemu_host_darwin.c. */
int32_t qemu_host_die_with(pid_t parent);

#endif
