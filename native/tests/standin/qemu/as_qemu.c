/* In place of UTM's QEMU for x86_64: becomes the one of this system. */
#include <unistd.h>

int main(int argc, char **argv) {
  (void)argc;
  argv[0] = (char *)"qemu-system-x86_64";
  execvp(argv[0], argv);
  return 98;
}
