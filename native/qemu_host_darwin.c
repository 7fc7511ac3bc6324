/* macOS has no parent-death signal: a watcher waits on kqueue instead. And it
 * looks for the frameworks of UTM.app beside the program that runs, not beside
 * the library that asks for them.
 *
 * The watcher is the child, and the program stays in the process that the
 * supervisor started: so its pid, exit status and signals (SIGKILL, too) need
 * no forwarding. Not run on a Mac so far. */
#include "qemu_host.h"

#include <errno.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
  int failed = kevent(queue, &change, 1, NULL, 0, NULL);
  if (failed && errno == ESRCH) _exit(0); /* it has ended */
  EV_SET(&change, parent, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
  /* ESRCH: it has ended. And what cannot be watched is not to run either. */
  if (!failed) failed = kevent(queue, &change, 1, NULL, 0, NULL);

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

/* Says in the environment that we have been started anew, and for which folder:
 * a system that takes DYLD_ variables away must not make us try for ever. */
static const char MARK[] = "UTMOST_QEMU_HOST_FRAMEWORKS";

/* The folder of `…/Frameworks/X.framework/Versions/A/X`, or of a plain library. */
static int32_t frameworks_of(const char *library, char folder[PATH_MAX]) {
  const char *framework = strstr(library, ".framework/");
  size_t length = framework ? (size_t)(framework - library) : strlen(library);
  while (length > 0 && library[length - 1] != '/') length--;
  if (length == 0) return -EINVAL; /* no folder: dyld searches where it always does */
  if (length >= PATH_MAX) return -ENAMETOOLONG;
  memcpy(folder, library, length - 1);
  folder[length - 1] = '\0';
  return 0;
}

/* The libraries name each other @rpath/…, which dyld resolves by the rpaths of
 * the running program. The fall-back folders count as well, but dyld reads those
 * from the environment once, as a program starts. */
int32_t qemu_host_find_frameworks(const char *library, char **argv) {
  char folder[PATH_MAX];
  int32_t result = frameworks_of(library, folder);
  if (result == -EINVAL) return 0;
  if (result != 0) return result;
  if (setenv("ANGLE_DEFAULT_PLATFORM", "metal", 0) != 0) return -errno; /* as UTM does for gl=es */
  const char *mark = getenv(MARK);
  if (mark && strcmp(mark, folder) == 0) return unsetenv(MARK) == 0 ? 0 : -errno;

  const char *before = getenv("DYLD_FALLBACK_FRAMEWORK_PATH");
  char paths[2 * PATH_MAX];
  int length = before && *before ? snprintf(paths, sizeof paths, "%s:%s", folder, before)
                                 : snprintf(paths, sizeof paths, "%s", folder);
  if (length < 0 || (size_t)length >= sizeof paths) return -ENAMETOOLONG;
  char self[PATH_MAX];
  uint32_t size = sizeof self;
  if (_NSGetExecutablePath(self, &size) != 0) return -ENAMETOOLONG;
  if (setenv("DYLD_FALLBACK_FRAMEWORK_PATH", paths, 1) != 0 || setenv(MARK, folder, 1) != 0) {
    return -errno;
  }
  execv(self, argv);
  return -errno;
}
