/* What the stand-in for libEGL and libGLESv2 has, and what it was asked; see
 * egl_standin_library.c. The test finds it by its name. */
#ifndef EGL_STANDIN_LIBRARY_H
#define EGL_STANDIN_LIBRARY_H

#include <stdint.h>

enum { STANDIN_DISPLAYS = 16, STANDIN_DEVICES = 4 };

struct egl_standin_library {
  /* Set by the test. */
  const char *client_extensions;
  const char *extensions;              /* of every display */
  const char *nodes[STANDIN_DEVICES];  /* render nodes of devices 1, 2, ...; or NULL */
  int devices;
  const char *vendor, *renderer;
  int broken;                          /* the first displays, which do not initialise */
  int versions;                        /* bit n: OpenGL ES n can be had */
  const char *missing;                 /* a function that is not there */

  /* What was asked for, in order: displays, by platform (0: none named), native
   * display or device, and ANGLE's attributes; and the version of the context. */
  int asked;
  uint32_t platforms[STANDIN_DISPLAYS];
  intptr_t natives[STANDIN_DISPLAYS];
  int32_t angle_types[STANDIN_DISPLAYS], angle_devices[STANDIN_DISPLAYS];
  int version;
};

#endif
