/* The program that every QEMU and swtpm is started through.
 *
 * As a guard:
 *
 *   utmost-qemu-host --parent PID -- PROGRAM ARG...
 *
 * runs PROGRAM (found as execvp finds it) in the calling process, so that the
 * pid, the descriptors, the exit status and every signal are PROGRAM's own, and
 * kills it with SIGKILL as soon as the process PID has ended: nothing of a VM
 * outlives its supervisor, not even after kill -9. PID is the caller: the pid of
 * whoever starts the guard.
 *
 * As a host of UTM.app's QEMU and swtpm, which are libraries:
 *
 *   utmost-qemu-host [--parent PID] --library PATH -- ARG...
 *
 * opens the library and runs it as the program that it would be, in the main
 * thread, with the same guard where a parent is named. It may export main(), or
 * qemu_init(), qemu_main_loop() and qemu_cleanup(), or swtpm_main(). */
#ifndef UTMOST_QEMU_HOST_H
#define UTMOST_QEMU_HOST_H

#include <stdint.h>
#include <sys/types.h>

/* How the host itself ends; as in a shell, 126 and 127 are failures to run what
 * was named. Anything else is the status of PROGRAM, or of the library. */
enum {
  QEMU_HOST_USAGE = 2,
  QEMU_HOST_UNGUARDED = 125, /* PID has ended already, or cannot be watched */
  QEMU_HOST_NOT_RUNNABLE = 126,
  QEMU_HOST_NOT_FOUND = 127,
};

/* What to run, and for how long. Points into argv, owns nothing. */
struct qemu_host_command {
  pid_t parent;        /* 0: nobody's end is waited for */
  const char *library; /* NULL: a program */
  char **program;      /* PROGRAM and its arguments, NULL; a library: `--` and its arguments */
};

/* Reads the command line. Returns 0, or -EINVAL with *why pointing at a string
 * constant; *command is then not to be used. */
int32_t qemu_host_parse(int argc, char **argv, struct qemu_host_command *command,
                        const char **why);

/* Runs `library` with `argv`, whose first word is its path. Returns the status
 * for exit(): the library's own, or one of the numbers above, and has said on
 * stderr what is wrong. A library that ends the process does not come back. */
int qemu_host_run_library(const char *library, char **argv);

/* Arranges that the calling process is killed once `parent` has ended, also
 * where that has happened meanwhile; holds across exec. Returns 0, -ESRCH if
 * `parent` has ended or is not the parent of the caller, or another -errno.
 * One per platform: qemu_host_linux.c, qemu_host_darwin.c. */
int32_t qemu_host_die_with(pid_t parent);

/* Arranges that the libraries beside `library` are found by it, for which it may
 * have to start this program anew with `argv`: call it before anything else.
 * Returns 0, or -errno. One per platform. */
int32_t qemu_host_find_frameworks(const char *library, char **argv);

#endif
