/* Opens the library that is named, with everything that it needs, and prints the
 * number of its interface. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

int main(int argc, char **argv) {
  void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  int32_t (*abi)(void) = NULL;
  if (library) *(void **)&abi = dlsym(library, "utm_shim_abi");
  if (!abi) {
    fprintf(stderr, "Cannot open the library: %s\n", argc == 2 ? dlerror() : "none is named");
    return 1;
  }
  printf("%d\n", (int)abi());
  return 0;
}
