/* A library that exports QEMU's entry points, as QEMU has had them since 8.2. */
#include "behave.h"

#include <stdio.h>

void qemu_init(int argc, char **argv);
int qemu_main_loop(void);
void qemu_cleanup(int status);

static int words;
static char **first;

void qemu_init(int argc, char **argv) {
  words = argc;
  first = argv;
}

int qemu_main_loop(void) {
  return behave(words, first);
}

void qemu_cleanup(int status) {
  printf("cleanup %d\n", status);
  fflush(stdout);
}
