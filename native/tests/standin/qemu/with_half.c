/* A library that lacks one of QEMU's entry points. */
void qemu_init(int argc, char **argv);
int qemu_main_loop(void);

void qemu_init(int argc, char **argv) {
  (void)argc;
  (void)argv;
}

int qemu_main_loop(void) {
  return 0;
}
