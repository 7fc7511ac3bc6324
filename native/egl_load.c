/* Opening EGL and OpenGL ES at run time. */
#include "egl_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* ISO C has no conversion from object to function pointers; POSIX has. */
static void set_call(void *slot, void *address) {
  memcpy(slot, &address, sizeof address);
}

static void *open_library(const char *folder, const char *name) {
  if (!folder) return dlopen(name, RTLD_NOW | RTLD_LOCAL);
  char path[PATH_MAX];
  int length = snprintf(path, sizeof path, "%s/%s", folder, name);
  if (length < 0 || (size_t)length >= sizeof path) return NULL;
  return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* Finds one function where it is exported, else asks EGL for it. */
static void *find_call(const struct egl_calls *calls, void *egl, void *gles,
                       const char *name) {
  void *address = dlsym(strncmp(name, "egl", 3) == 0 ? egl : gles, name);
  if (address) return address;
  EGLCall call = calls->eglGetProcAddress(name);
  memcpy(&address, &call, sizeof address);
  return address;
}

int32_t egl_load(const struct egl_library *library, const char *folder,
                 struct egl_calls *calls) {
  memset(calls, 0, sizeof *calls);
  void *egl = open_library(folder, library->egl);
  void *gles = egl ? open_library(folder, library->gles) : NULL;
  if (!gles) return -ENOENT;
  set_call(&calls->eglGetProcAddress, dlsym(egl, "eglGetProcAddress"));
  if (!calls->eglGetProcAddress) return -ENOTSUP;

#define FIND(result, name, parameters) \
  set_call(&calls->name, find_call(calls, egl, gles, #name));
#define NEED(result, name, parameters) \
  FIND(result, name, parameters)       \
  if (!calls->name) return -ENOTSUP;
  EGL_NEEDED(NEED)
  GL_NEEDED(NEED)
  EGL_OPTIONAL(FIND)
#undef NEED
#undef FIND

  /* Core since OpenGL ES 3.2, and by one extension or the other before. */
  if (!calls->glGetGraphicsResetStatusEXT) {
    set_call(&calls->glGetGraphicsResetStatusEXT,
             find_call(calls, egl, gles, "glGetGraphicsResetStatusKHR"));
  }
  return 0;
}

int egl_lists(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; at && (at = strstr(at, word)); at += length) {
    int starts = at == list || at[-1] == ' ';
    if (starts && (at[length] == '\0' || at[length] == ' ')) return 1;
  }
  return 0;
}
