/* A library that exports QEMU's entry points, as QEMU had them before 7.1: the
 * environment goes in, and cleaning up knows no status. */
#include "behave.h"

#include <stdio.h>

void qemu_init(int argc, char **argv, char **envp);
int qemu_main_loop(void);
void qemu_cleanup(void);

static int words;
static char **first;
static char **environment;

void qemu_init(int argc, char **argv, char **envp) {
  words = argc;
  first = argv;
  environment = envp;
}

int qemu_main_loop(void) {
  return behave(words, first);
}

void qemu_cleanup(void) {
  printf("cleanup, environment %s\n", environment && environment[0] ? "given" : "missing");
  fflush(stdout);
}
