/* Tests of the guard and of the host of libraries, from outside: every test
 * starts the program itself.
 *
 *   qemu_host_test PATH-OF-UTMOST-QEMU-HOST FOLDER-OF-STANDIN-LIBRARIES
 *
 * Ends with one line, "native guard: N passed, N failed". */
#include "../qemu_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_ARGS = 12, PATIENCE_MS = 10000 };

static const char *host;
static const char *standins;
static int passed;
static int failed;

static void check(bool ok, const char *name) {
  if (ok) {
    passed++;
  } else {
    failed++;
    printf("FAILED: %s\n", name);
  }
}

/* What one run of the guard came to. */
struct run {
  pid_t pid;
  int status;         /* of waitpid */
  char output[1024];  /* stdout and stderr together, terminated */
};

static void fail_setup(const char *what) {
  perror(what);
  exit(1);
}

/* Starts the guard with `args` (NULL-terminated); its output goes to *fd. */
static pid_t start(char *const args[], int *fd) {
  int ends[2];
  if (pipe(ends) != 0) fail_setup("pipe");
  fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) fail_setup("fork");
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(host, args);
    _exit(99);
  }
  close(ends[1]);
  *fd = ends[0];
  return pid;
}

/* Reads to the end of the stream, or until PATIENCE_MS have passed without a
 * byte. Returns whether the end came. */
static bool read_all(int fd, char *text, size_t cap) {
  size_t used = 0;
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    if (poll(&ready, 1, PATIENCE_MS) != 1) break;
    ssize_t count = read(fd, text + used, cap - 1 - used);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      text[used] = '\0';
      return count == 0;
    }
    used += (size_t)count;
  }
  text[used] = '\0';
  return false;
}

/* Runs the guard to its end. */
static struct run run(char *const args[]) {
  struct run result = {0};
  int fd;
  result.pid = start(args, &fd);
  read_all(fd, result.output, sizeof result.output);
  close(fd);
  waitpid(result.pid, &result.status, 0);
  return result;
}

static bool exited(const struct run *result, int code) {
  return WIFEXITED(result->status) && WEXITSTATUS(result->status) == code;
}

static bool says(const struct run *result, const char *text) {
  return strstr(result->output, text) != NULL;
}

/* `utmost-qemu-host --parent OURSELVES -- sh -c SCRIPT` */
static char **shell(const char *script) {
  static char pid[32];
  static char *args[PROGRAM_ARGS];
  snprintf(pid, sizeof pid, "%ld", (long)getpid());
  char *const fill[] = {(char *)"utmost-qemu-host", (char *)"--parent", pid, (char *)"--",
                        (char *)"sh", (char *)"-c", (char *)script, NULL};
  memcpy(args, fill, sizeof fill);
  return args;
}

static void test_usage(void) {
  static const struct {
    const char *name;
    char *args[7];
    const char *message;
  } rows[] = {
      {"no arguments", {"host", NULL}, "--parent PID or --library PATH first"},
      {"another first flag", {"host", "--child", "1", "--", "true", NULL}, "--library PATH first"},
      {"no pid", {"host", "--parent", NULL}, "a process id"},
      {"a word for a pid", {"host", "--parent", "me", "--", "true", NULL}, "a process id"},
      {"pid 0", {"host", "--parent", "0", "--", "true", NULL}, "a process id"},
      {"a negative pid", {"host", "--parent", "-7", "--", "true", NULL}, "a process id"},
      {"a pid with a tail", {"host", "--parent", "7x", "--", "true", NULL}, "a process id"},
      {"a pid with a blank", {"host", "--parent", " 7", "--", "true", NULL}, "a process id"},
      {"a pid beyond int", {"host", "--parent", "4294967297", "--", "true", NULL}, "a process id"},
      {"no separator", {"host", "--parent", "7", "true", NULL}, "expected -- before"},
      {"no program", {"host", "--parent", "7", "--", NULL}, "expected a program"},
      {"no library", {"host", "--library", NULL}, "the path of a library"},
      {"an empty library", {"host", "--library", "", "--", NULL}, "the path of a library"},
      {"no separator behind a library", {"host", "--library", "l", NULL}, "before the arguments"},
      {"a library before a parent", {"host", "--library", "l", "--parent", "7", "--", NULL},
       "before the arguments"},
      {"an empty program", {"host", "--parent", "7", "--", "", NULL}, "expected a program"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct run result = run(rows[i].args);
    check(exited(&result, QEMU_HOST_USAGE) && says(&result, rows[i].message), rows[i].name);
  }
}

static void test_program_keeps_its_status(void) {
  struct run result = run(shell("exit 7"));
  check(exited(&result, 7), "the exit status is the program's");
}

static void test_program_keeps_the_pid(void) {
  struct run result = run(shell("echo $$"));
  check(exited(&result, 0) && strtol(result.output, NULL, 10) == (long)result.pid,
        "the pid is the program's");
}

static void test_signals_reach_the_program(void) {
  int fd;
  char line[64] = "";
  pid_t pid = start(shell("trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done"), &fd);
  if (read(fd, line, sizeof line - 1) > 0) kill(pid, SIGTERM);
  int status = 0;
  waitpid(pid, &status, 0);
  close(fd);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "SIGTERM reaches the program");

  struct run killed = run(shell("kill -9 $$"));
  check(WIFSIGNALED(killed.status) && WTERMSIG(killed.status) == SIGKILL,
        "the end by a signal is the program's");
}

static void test_arguments_arrive_unchanged(void) {
  char **args = shell("printf '<%s>' \"$0\" \"$@\"");
  args[7] = (char *)"a b";
  args[8] = (char *)"";
  args[9] = NULL;
  struct run result = run(args);
  check(exited(&result, 0) && strcmp(result.output, "<a b><>") == 0,
        "arguments arrive unchanged");
}

static void test_descriptors_pass_through(void) {
  int ends[2];
  if (pipe(ends) != 0) fail_setup("pipe");
  if (dup2(ends[1], 9) < 0) fail_setup("dup2");
  close(ends[1]);
  struct run result = run(shell("echo through >&9"));
  close(9);
  char text[32];
  bool ended = read_all(ends[0], text, sizeof text);
  close(ends[0]);
  check(exited(&result, 0) && ended && strcmp(text, "through\n") == 0,
        "inherited descriptors pass through");
}

static void test_program_that_cannot_run(void) {
  char **args = shell("");
  args[4] = (char *)"/nonexistent/qemu-system-none";
  struct run missing = run(args);
  check(exited(&missing, QEMU_HOST_NOT_FOUND) &&
            says(&missing, "Cannot run /nonexistent/qemu-system-none: No such file"),
        "a missing program is exit 127 with its name");

  args[4] = (char *)"/etc/passwd";
  struct run refused = run(args);
  check(exited(&refused, QEMU_HOST_NOT_RUNNABLE) && says(&refused, "Permission denied"),
        "a file that is no program is exit 126");
}

/* A parent that died between fork and prctl looks like this: the pid that was
 * given is not that of our parent. */
static void test_parent_that_is_gone(void) {
  pid_t gone = fork();
  if (gone < 0) fail_setup("fork");
  if (gone == 0) _exit(0);
  waitpid(gone, NULL, 0);
  char **args = shell("echo ran");
  snprintf(args[2], 32, "%ld", (long)gone);
  struct run result = run(args);
  check(exited(&result, QEMU_HOST_UNGUARDED) && !says(&result, "ran"),
        "nothing runs when the parent has ended already");
}

/* `utmost-qemu-host --library STANDIN -- WORD...`, also with the guard. */
static char **library(const char *form, bool guarded, const char *words[]) {
  static char path[512];
  static char pid[32];
  static char *args[PROGRAM_ARGS];
  snprintf(path, sizeof path, "%s/with_%s.so", standins, form);
  snprintf(pid, sizeof pid, "%ld", (long)getpid());
  int at = 0;
  args[at++] = (char *)"utmost-qemu-host";
  if (guarded) {
    args[at++] = (char *)"--parent";
    args[at++] = pid;
  }
  args[at++] = (char *)"--library";
  args[at++] = path;
  args[at++] = (char *)"--";
  for (int i = 0; words[i]; i++) args[at++] = (char *)words[i];
  args[at] = NULL;
  return args;
}

#define WORDS(...) ((const char *[]){__VA_ARGS__, NULL})

static void test_library_exports_main(void) {
  struct run result = run(library("main", false, WORDS("args", "a b", "")));
  char *end = strstr(result.output, "with_main.so><args><a b><>");
  check(exited(&result, 0) && result.output[0] == '<' && end && end[0] != '<',
        "main gets the library's path and the arguments");

  struct run status = run(library("main", true, WORDS("exit", "7")));
  check(exited(&status, 7), "the status of main is the process's");
  struct run left = run(library("main", true, WORDS("leave", "8")));
  check(exited(&left, 8), "a library may end the process itself");
}

static void test_library_exports_init(void) {
  struct run result = run(library("init", false, WORDS("exit", "9")));
  check(exited(&result, 9) && says(&result, "cleanup 9"),
        "qemu_init, qemu_main_loop and qemu_cleanup run in this order, with the status");
  struct run old = run(library("old_init", true, WORDS("exit", "6")));
  check(exited(&old, 6) && says(&old, "cleanup, environment given"),
        "so they do in their older form");
  struct run args = run(library("init", true, WORDS("args", "-S", "a,,b")));
  check(exited(&args, 0) && says(&args, "with_init.so><args><-S><a,,b>"),
        "qemu_init gets the arguments unchanged");
}

static void test_library_exports_swtpm(void) {
  struct run result = run(library("swtpm", false, WORDS("socket", "args", "--tpm2")));
  check(exited(&result, 0) && says(&result, "swtpm socket:<socket><args><--tpm2>"),
        "swtpm_main gets its words, the program and the interface");
  struct run status = run(library("swtpm", true, WORDS("socket", "exit", "5")));
  check(exited(&status, 5), "the status of swtpm_main is the process's");
  struct run chardev = run(library("swtpm", false, WORDS("chardev", "exit", "5")));
  check(exited(&chardev, QEMU_HOST_USAGE) && says(&chardev, "expected `socket`"),
        "another interface of swtpm is refused");
}

static void test_library_that_cannot_run(void) {
  struct run half = run(library("half", false, WORDS("exit", "0")));
  check(exited(&half, QEMU_HOST_NOT_RUNNABLE) && says(&half, "it exports neither main"),
        "a library without the entry points is exit 126");

  char **args = library("main", false, WORDS("exit", "0"));
  args[2] = (char *)"/nonexistent/qemu-x86_64-softmmu";
  struct run missing = run(args);
  check(exited(&missing, QEMU_HOST_NOT_FOUND) &&
            says(&missing, "Cannot open /nonexistent/qemu-x86_64-softmmu"),
        "a missing library is exit 127 with its name");

  args[2] = (char *)"/etc/passwd";
  struct run text = run(args);
  check(exited(&text, QEMU_HOST_NOT_RUNNABLE) && says(&text, "Cannot open /etc/passwd"),
        "a file that is no library is exit 126");
}

static void test_library_ends_by_a_signal(void) {
  struct run aborted = run(library("init", true, WORDS("abort")));
  check(WIFSIGNALED(aborted.status) && WTERMSIG(aborted.status) == SIGABRT,
        "an abort of the library is the process's end");

  int fd;
  char line[16] = "";
  pid_t pid = start(library("init", true, WORDS("wait")), &fd);
  if (read(fd, line, sizeof line - 1) > 0) kill(pid, SIGTERM);
  int status = 0;
  waitpid(pid, &status, 0);
  close(fd);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 42, "SIGTERM reaches the library");

  pid = start(library("main", true, WORDS("wait")), &fd);
  if (read(fd, line, sizeof line - 1) > 0) kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  close(fd);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "SIGKILL ends the library");
}

/* The supervisor is killed with SIGKILL: the guarded process, which has printed
 * something by then, lets go of its end of the pipe. */
static void dies_with_its_parent(char **args, const char *name) {
  int ends[2];
  if (pipe(ends) != 0) fail_setup("pipe");
  fflush(stdout);
  pid_t supervisor = fork();
  if (supervisor < 0) fail_setup("fork");
  if (supervisor == 0) {
    close(ends[0]);
    int fd;
    char line[16];
    snprintf(args[2], 32, "%ld", (long)getpid());
    pid_t pid = start(args, &fd);
    ssize_t count = read(fd, line, sizeof line);
    if (count > 0) count = write(ends[1], &pid, sizeof pid);
    for (;;) pause();
  }
  close(ends[1]); /* from here on the supervisor and the program alone hold it */
  pid_t program = 0;
  bool started = read(ends[0], &program, sizeof program) == sizeof program;
  kill(supervisor, SIGKILL);
  waitpid(supervisor, NULL, 0);
  char rest[16];
  bool ended = read_all(ends[0], rest, sizeof rest);
  check(started && ended, name);
  if (started && !ended) kill(program, SIGKILL);
  close(ends[0]);
}

static void test_program_dies_with_its_parent(void) {
  dies_with_its_parent(shell("trap '' TERM INT HUP; echo ready; while :; do sleep 1; done"),
                       "the program dies when its parent is killed");
}

static void test_library_dies_with_its_parent(void) {
  dies_with_its_parent(library("init", true, WORDS("wait")),
                       "the library dies when its parent is killed");
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: qemu_host_test PATH-OF-UTMOST-QEMU-HOST FOLDER-OF-STANDINS\n");
    return 2;
  }
  host = argv[1];
  standins = argv[2];
  signal(SIGPIPE, SIG_IGN);
  test_usage();
  test_program_keeps_its_status();
  test_program_keeps_the_pid();
  test_signals_reach_the_program();
  test_arguments_arrive_unchanged();
  test_descriptors_pass_through();
  test_program_that_cannot_run();
  test_parent_that_is_gone();
  test_program_dies_with_its_parent();
  test_library_exports_main();
  test_library_exports_init();
  test_library_exports_swtpm();
  test_library_that_cannot_run();
  test_library_ends_by_a_signal();
  test_library_dies_with_its_parent();
  printf("native guard: %d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
