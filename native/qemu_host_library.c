/* Runs a library as the program that it was built from: UTM's QEMU, and its
 * swtpm. Facts of the entry points: QEMU include/system/system.h, swtpm
 * src/swtpm/swtpm.h. */
#include "qemu_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

typedef void any_function(void);

/* A function of the library; NULL where there is none of that name. */
static any_function *find(void *library, const char *name) {
  void *address = dlsym(library, name);
  any_function *function;
  /* C has no cast from one to the other; POSIX has them of one size. */
  _Static_assert(sizeof function == sizeof address, "functions and data have pointers alike");
  memcpy(&function, &address, sizeof function);
  return function;
}

static int count(char **argv) {
  int argc = 0;
  while (argv[argc]) argc++;
  return argc;
}

/* What a library may export, in the order in which it is looked for. */
struct entry_points {
  int (*main)(int argc, char **argv, char **envp);
  void (*init)(int argc, char **argv, char **envp);
  int (*main_loop)(void);
  /* Took no status before QEMU 8.2: that one never looks at the argument. The
   * calling conventions of x86_64 and arm64 let a caller pass one too many; so
   * also the environment that qemu_init took before 7.1. */
  void (*cleanup)(int status);
  int (*swtpm)(int argc, char **argv, const char *program, const char *interface);
};

static struct entry_points find_entry_points(void *library) {
  return (struct entry_points){
      .main = (int (*)(int, char **, char **))find(library, "main"),
      .init = (void (*)(int, char **, char **))find(library, "qemu_init"),
      .main_loop = (int (*)(void))find(library, "qemu_main_loop"),
      .cleanup = (void (*)(int))find(library, "qemu_cleanup"),
      .swtpm = (int (*)(int, char **, const char *, const char *))find(library, "swtpm_main"),
  };
}

/* `swtpm socket ARG...`: swtpm's own main takes its first word off before it
 * calls swtpm_main, which gets the rest. */
static int run_swtpm(const struct entry_points *entry, const char *path, char **argv) {
  if (!argv[1] || strcmp(argv[1], "socket") != 0) {
    fprintf(stderr, "utmost-qemu-host: Cannot run %s: expected `socket` as its first argument\n",
            path);
    return QEMU_HOST_USAGE;
  }
  return entry->swtpm(count(argv + 1), argv + 1, "swtpm", "socket");
}

int qemu_host_run_library(const char *path, char **argv) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    bool missing = access(path, F_OK) != 0 && errno == ENOENT;
    fprintf(stderr, "utmost-qemu-host: Cannot open %s: %s\n", path, why ? why : "unknown error");
    return missing ? QEMU_HOST_NOT_FOUND : QEMU_HOST_NOT_RUNNABLE;
  }
  struct entry_points entry = find_entry_points(library);
  if (entry.main) return entry.main(count(argv), argv, environ);
  if (entry.init && entry.main_loop && entry.cleanup) {
    entry.init(count(argv), argv, environ);
    int status = entry.main_loop();
    entry.cleanup(status);
    return status;
  }
  if (entry.swtpm) return run_swtpm(&entry, path, argv);
  fprintf(stderr,
          "utmost-qemu-host: Cannot run %s: it exports neither main, nor qemu_init with "
          "qemu_main_loop and qemu_cleanup, nor swtpm_main\n",
          path);
  return QEMU_HOST_NOT_RUNNABLE;
}
