#include "behave.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void end_with_42(int signal) {
  (void)signal;
  _exit(42);
}

_Noreturn static void wait_for_sigterm(void) {
  signal(SIGTERM, end_with_42);
  puts("ready");
  fflush(stdout);
  for (;;) pause();
}

int behave(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (argc > 2 && strcmp(what, "exit") == 0) return atoi(argv[2]);
  if (argc > 2 && strcmp(what, "leave") == 0) exit(atoi(argv[2]));
  if (strcmp(what, "abort") == 0) abort();
  if (strcmp(what, "wait") == 0) wait_for_sigterm();
  if (argc > 2 && strcmp(what, "exec") == 0) {
    execvp(argv[2], &argv[2]);
    return 98;
  }
  if (strcmp(what, "args") != 0) return 99;
  for (int i = 0; i < argc; i++) printf("<%s>", argv[i]);
  fflush(stdout);
  return 0;
}
