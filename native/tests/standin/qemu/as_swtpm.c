/* In place of UTM's swtpm: becomes the one of this system. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int swtpm_main(int argc, char **argv, const char *program, const char *interface);

int swtpm_main(int argc, char **argv, const char *program, const char *interface) {
  char **words = calloc((size_t)argc + 2, sizeof *words);
  if (!words) return 98;
  words[0] = (char *)program;
  words[1] = (char *)interface;
  memcpy(&words[2], &argv[1], (size_t)(argc - 1) * sizeof *words);
  execvp(program, words);
  return 98;
}
