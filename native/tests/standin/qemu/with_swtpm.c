/* A library that exports swtpm's entry point. */
#include "behave.h"

#include <stdio.h>

int swtpm_main(int argc, char **argv, const char *program, const char *interface);

int swtpm_main(int argc, char **argv, const char *program, const char *interface) {
  printf("%s %s:", program, interface);
  fflush(stdout);
  return behave(argc, argv);
}
