/* The command line of the host; qemu_host.h says what it is for. */
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
  *command = (struct qemu_host_command){0};
  *why = NULL;
  int at = 1;
  if (at < argc && strcmp(argv[at], "--parent") == 0) {
    if (at + 1 >= argc || parse_pid(argv[at + 1], &command->parent) != 0) {
      *why = "expected a process id after --parent";
      return -EINVAL;
    }
    at += 2;
  }
  if (at < argc && strcmp(argv[at], "--library") == 0) {
    if (at + 1 >= argc || argv[at + 1][0] == '\0') {
      *why = "expected the path of a library after --library";
      return -EINVAL;
    }
    command->library = argv[at + 1];
    at += 2;
  }
  if (command->parent == 0 && command->library == NULL) {
    *why = "expected --parent PID or --library PATH first";
  } else if (at >= argc || strcmp(argv[at], "--") != 0) {
    *why = command->library ? "expected -- before the arguments" : "expected -- before the program";
  } else if (command->library) {
    command->program = &argv[at]; /* the slot of `--`: the caller puts the path there */
  } else if (at + 1 >= argc || argv[at + 1][0] == '\0') {
    *why = "expected a program after --";
  } else {
    command->program = &argv[at + 1];
  }
  return *why ? -EINVAL : 0;
}

static int run_program(char **program) {
  execvp(program[0], program);
  int reason = errno;
  fprintf(stderr, "utmost-qemu-host: Cannot run %s: %s\n", program[0], strerror(reason));
  return reason == ENOENT ? QEMU_HOST_NOT_FOUND : QEMU_HOST_NOT_RUNNABLE;
}

int main(int argc, char **argv) {
  struct qemu_host_command command;
  const char *why;
  if (qemu_host_parse(argc, argv, &command, &why) != 0) {
    fprintf(stderr,
            "utmost-qemu-host: Cannot read the command line: %s\n"
            "usage: utmost-qemu-host --parent PID -- PROGRAM ARG...\n"
            "       utmost-qemu-host [--parent PID] --library PATH -- ARG...\n",
            why);
    return QEMU_HOST_USAGE;
  }

  if (command.library) {
    int32_t result = qemu_host_find_frameworks(command.library, argv);
    if (result != 0) {
      fprintf(stderr, "utmost-qemu-host: Cannot prepare to open %s: %s\n", command.library,
              strerror(-result));
      return QEMU_HOST_NOT_RUNNABLE;
    }
    command.program[0] = (char *)command.library; /* as a program's first word */
  }

  if (command.parent != 0) {
    int32_t result = qemu_host_die_with(command.parent);
    if (result != 0) {
      fprintf(stderr,
              "utmost-qemu-host: Cannot guard %s: %s, expected process %ld to be the parent\n",
              command.program[0], strerror(-result), (long)command.parent);
      return QEMU_HOST_UNGUARDED;
    }
  }

  return command.library ? qemu_host_run_library(command.library, command.program)
                         : run_program(command.program);
}
