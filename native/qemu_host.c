/* The command line of the guard; qemu_host.h says what it is for. */
#include "qemu_host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A decimal pid, nothing before or behind it. Pid 1 is a possible parent: in a
 * container the supervisor may be init. */
static int32_t parse_pid(const char *text, pid_t *pid) {
  if (*text < '0' || *text > '9') return -EINVAL;
  char *end = NULL;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || *end != '\0' || value < 1 || value > INT_MAX) return -EINVAL;
  *pid = (pid_t)value;
  return 0;
}

int32_t qemu_host_parse(int argc, char **argv, struct qemu_host_command *command,
                        const char **why) {
  *why = NULL;
  if (argc < 3 || strcmp(argv[1], "--parent") != 0) {
    *why = "expected --parent PID first";
  } else if (parse_pid(argv[2], &command->parent) != 0) {
    *why = "expected a process id after --parent";
  } else if (argc < 4 || strcmp(argv[3], "--") != 0) {
    *why = "expected -- before the program";
  } else if (argc < 5 || argv[4][0] == '\0') {
    *why = "expected a program after --";
  } else {
    command->program = &argv[4];
  }
  return *why ? -EINVAL : 0;
}

int main(int argc, char **argv) {
  struct qemu_host_command command;
  const char *why;
  if (qemu_host_parse(argc, argv, &command, &why) != 0) {
    fprintf(stderr,
            "utmost-qemu-host: Cannot read the command line: %s\n"
            "usage: utmost-qemu-host --parent PID -- PROGRAM ARG...\n",
            why);
    return QEMU_HOST_USAGE;
  }

  int32_t result = qemu_host_die_with(command.parent);
  if (result != 0) {
    fprintf(stderr,
            "utmost-qemu-host: Cannot guard %s: %s, expected process %ld to be the parent\n",
            command.program[0], strerror(-result), (long)command.parent);
    return QEMU_HOST_UNGUARDED;
  }

  execvp(command.program[0], command.program);
  int reason = errno;
  fprintf(stderr, "utmost-qemu-host: Cannot run %s: %s\n", command.program[0], strerror(reason));
  return reason == ENOENT ? QEMU_HOST_NOT_FOUND : QEMU_HOST_NOT_RUNNABLE;
}
