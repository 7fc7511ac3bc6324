/* Tests of which display is chosen, against libraries that draw nothing.
 *
 *   egl_display_test FOLDER-OF-THE-STAND-IN */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../gl_types.h"
#include "../utm_shim.h"
#include "check.h"
#include "standin/egl_standin_library.h"

static const char *folder;
static struct egl_standin_library *library;

#define ALL_PLATFORMS                                                                      \
  "EGL_EXT_platform_device EGL_EXT_device_enumeration EGL_MESA_platform_surfaceless " \
  "EGL_ANGLE_platform_angle"
#define SURFACELESS "EGL_KHR_surfaceless_context EGL_KHR_no_config_context"

/* Three GPUs, the first of which has no render node. */
static void reset(void) {
  *library = (struct egl_standin_library){
    .client_extensions = ALL_PLATFORMS,
    .extensions = SURFACELESS,
    .nodes = {NULL, "/dev/null", "/dev/zero"},
    .devices = 3,
    .versions = 1 << 3 | 1 << 2,
  };
}

/* Opens and closes. Returns what opening did; *asked is the display that was used. */
static int32_t try_open(int32_t api, const char *render_node) {
  struct utm_egl *egl = NULL;
  int32_t result = utm_shim_egl_open(api, folder, render_node, &egl);
  CHECK((result == 0) == (egl != NULL));
  if (egl) utm_shim_egl_close(egl);
  return result;
}

/* Whether the last display that was asked for is this one. */
static bool is_last(uint32_t platform, intptr_t native) {
  int last = library->asked - 1;
  return last >= 0 && library->platforms[last] == platform && library->natives[last] == native;
}

static void test_the_gpu_of_a_render_node(void) {
  reset();
  CHECK_EQUAL(try_open(UTM_EGL_MESA, "/dev/zero"), 0);
  CHECK(is_last(EGL_PLATFORM_DEVICE, 3));
  CHECK_EQUAL(library->asked, 1);
  CHECK_EQUAL(library->version, 3);
}

static void test_any_gpu(void) {
  reset();
  CHECK_EQUAL(try_open(UTM_EGL_AUTO, NULL), 0);
  CHECK(is_last(EGL_PLATFORM_DEVICE, 2));
}

/* Another path of the same device, as /dev/dri/by-path has them. */
static void test_a_render_node_by_another_name(void) {
  char path[] = "/tmp/utmost-egl-XXXXXX";
  char link[sizeof path + 8];
  reset();
  require(mkdtemp(path) != NULL, "mkdtemp");
  snprintf(link, sizeof link, "%s/card", path);
  require(symlink("/dev/zero", link) == 0, "symlink");
  CHECK_EQUAL(try_open(UTM_EGL_MESA, link), 0);
  CHECK(is_last(EGL_PLATFORM_DEVICE, 3));
  unlink(link);
  rmdir(path);
}

static void test_no_gpu(void) {
  reset();
  CHECK_EQUAL(try_open(UTM_EGL_MESA, "/dev/nowhere"), 0);
  CHECK(is_last(EGL_PLATFORM_SURFACELESS, 0));
  library->client_extensions = "EGL_MESA_platform_surfaceless";
  CHECK_EQUAL(try_open(UTM_EGL_MESA, "/dev/zero"), 0);
  CHECK(is_last(EGL_PLATFORM_SURFACELESS, 0));
  library->client_extensions = "EGL_EXT_platform_base";
  CHECK_EQUAL(try_open(UTM_EGL_MESA, "/dev/zero"), 0);
  CHECK(is_last(0, 0));
  library->client_extensions = NULL; /* EGL 1.4 */
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(0, 0));
}

static void test_displays_that_do_not_initialise(void) {
  reset();
  library->broken = 1; /* the first GPU */
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(EGL_PLATFORM_DEVICE, 3));
  reset();
  library->broken = 2;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(EGL_PLATFORM_SURFACELESS, 0));
  reset();
  library->broken = 3;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(0, 0));
  reset();
  library->broken = STANDIN_DISPLAYS;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -ENODEV);
}

static void test_angle(void) {
  static const int32_t types[] = {EGL_PLATFORM_ANGLE_TYPE_VULKAN,
                                  EGL_PLATFORM_ANGLE_TYPE_OPENGLES,
                                  EGL_PLATFORM_ANGLE_TYPE_VULKAN};
  static const int32_t devices[] = {EGL_PLATFORM_ANGLE_DEVICE_TYPE_HARDWARE, 0,
                                    EGL_PLATFORM_ANGLE_DEVICE_TYPE_SWIFTSHADER};
  for (int broken = 0; broken < 3; broken++) {
    reset();
    library->broken = broken;
    CHECK_EQUAL(try_open(UTM_EGL_ANGLE, "/dev/zero"), 0);
    CHECK_EQUAL(library->asked, broken + 1);
    CHECK(is_last(EGL_PLATFORM_ANGLE, 0));
    CHECK_EQUAL(library->angle_types[broken], types[broken]);
    CHECK_EQUAL(library->angle_devices[broken], devices[broken]);
  }
  reset();
  library->broken = 3;
  CHECK_EQUAL(try_open(UTM_EGL_ANGLE, NULL), -ENODEV);
  library->client_extensions = "EGL_EXT_platform_base"; /* it is none */
  CHECK_EQUAL(try_open(UTM_EGL_ANGLE, NULL), -ENODEV);
}

static void test_windows(void) {
  static const struct {
    int32_t system;
    uint32_t platform;
  } rows[] = {
    {UTM_WINDOW_X11, EGL_PLATFORM_X11},
    {UTM_WINDOW_WAYLAND, EGL_PLATFORM_WAYLAND},
  };
  for (int i = 0; i < 2; i++) {
    struct utm_egl *egl = NULL;
    reset();
    CHECK_EQUAL(utm_shim_egl_open_window_system(UTM_EGL_AUTO, folder, rows[i].system, library,
                                                &egl),
                -EIO); /* there is no configuration for windows */
    CHECK(is_last(rows[i].platform, (intptr_t)library));
    CHECK(egl == NULL);
  }
}

static void test_contexts(void) {
  reset();
  library->versions = 1 << 2;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK_EQUAL(library->version, 2);
  library->versions = 0;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -EIO);
  reset();
  library->extensions = "EGL_KHR_no_config_context";
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -ENOTSUP);
  library->extensions = NULL;
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -ENOTSUP);
  reset();
  library->extensions = "EGL_KHR_surfaceless_contexts EGL_KHR_surfaceless"; /* are not it */
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -ENOTSUP);
}

static void test_drivers_that_order_copies(void) {
  static const struct {
    const char *vendor, *renderer;
    int32_t expected;
  } rows[] = {
    {"Mesa Project", "AMD Radeon RX 6800 (radeonsi, navi21)", UTM_EGL_IMPLICIT_SYNC},
    {"Mesa Project", NULL, UTM_EGL_IMPLICIT_SYNC},
    {"Mesa Project", "zink Vulkan 1.4(NVIDIA GeForce RTX 3060 (NVK GA106))", 0},
    {"NVIDIA", "NVIDIA GeForce RTX 3060/PCIe/SSE2", 0},
    {"Google Inc. (AMD)", "ANGLE (AMD, Vulkan 1.3)", 0},
    {NULL, NULL, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct utm_egl *egl = NULL;
    reset();
    library->vendor = rows[i].vendor;
    library->renderer = rows[i].renderer;
    require(utm_shim_egl_open(UTM_EGL_MESA, folder, NULL, &egl) == 0, "EGL");
    CHECK_EQUAL(utm_shim_egl_abilities(egl) & UTM_EGL_IMPLICIT_SYNC, rows[i].expected);
    utm_shim_egl_close(egl);
  }
}

static void test_libraries_that_lack_something(void) {
  reset();
  library->missing = "glReadPixels";
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), -ENOTSUP);
  library->missing = "eglGetPlatformDisplayEXT"; /* EGL 1.4 */
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(0, 0));
  library->missing = "eglQueryDevicesEXT";
  CHECK_EQUAL(try_open(UTM_EGL_MESA, NULL), 0);
  CHECK(is_last(EGL_PLATFORM_SURFACELESS, 0));
}

int main(int argc, char **argv) {
  static void (*const tests[])(void) = {
    test_the_gpu_of_a_render_node,
    test_any_gpu,
    test_a_render_node_by_another_name,
    test_no_gpu,
    test_displays_that_do_not_initialise,
    test_angle,
    test_windows,
    test_contexts,
    test_drivers_that_order_copies,
    test_libraries_that_lack_something,
    NULL,
  };
  char path[4096];
  require(argc == 2, "usage: egl_display_test FOLDER");
  folder = argv[1];
  snprintf(path, sizeof path, "%s/libEGL.so.1", folder);
  void *opened = dlopen(path, RTLD_NOW);
  require(opened != NULL, path);
  library = dlsym(opened, "egl_standin_library");
  require(library != NULL, "egl_standin_library");
  return run_tests("egl displays", tests);
}
