/* macOS has no parent-death signal: a watcher waits on kqueue instead.
 *
 * The watcher is the child, and the program stays in the process that the
 * supervisor started: so its pid, exit status and signals (SIGKILL, too) need
 * no forwarding. Not run on a Mac so far. */
#include "qemu_host.h"

#include <errno.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

/* Waits for the end of `parent` or of `program`, whichever is first. */
static void watch(pid_t parent, pid_t program) {
  setsid(); /* Ctrl-C in the terminal must not end the watcher before its ward */
  /* Pipes of the program must reach their end with the program, not with us. */
  for (int fd = getdtablesize() - 1; fd >= 0; fd--) close(fd);

  int queue = kqueue();
  struct kevent change;
  struct kevent event;
  EV_SET(&change, program, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
  if (kevent(queue, &change, 1, NULL, 0, NULL) != 0) _exit(0); /* it has ended */
  EV_SET(&change, parent, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
  int failed = kevent(queue, &change, 1, NULL, 0, NULL); /* ESRCH: it has ended */

  while (failed == 0) {
    int count = kevent(queue, NULL, 0, &event, 1, NULL);
    if (count < 0 && errno == EINTR) continue;
    if (count == 1 && event.ident == (uintptr_t)program) _exit(0);
    break;
  }
  /* Our parent is the program for as long as it lives: a pid that has been given
   * to somebody else is never hit. */
  if (getppid() == program) kill(program, SIGKILL);
  _exit(0);
}

int32_t qemu_host_die_with(pid_t parent) {
  pid_t program = getpid();
  pid_t watcher = fork();
  if (watcher < 0) return -errno;
  if (watcher == 0) watch(parent, program);
  return getppid() == parent ? 0 : -ESRCH;
}
