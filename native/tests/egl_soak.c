/* Many frames in a row: scanouts that come, flip, change their size and go, copies
 * large and small, read-backs and exports. Nothing may grow: descriptors, memory,
 * objects of GL.
 *
 *   egl_soak NAME API FOLDER FRAMES */
#include "egl_rig.h"

#include <time.h>

/* ANGLE's pools reach their full size, some 9 MB more, only after 100,000 frames; Mesa
 * 25 closes its copy of an imported descriptor some draws late. */
enum { GROWTH_KIB = 16384, LATE_FDS = 2 };
enum { SHAPES = 6, FLIPS = 97, MODES = 1999, VIEWS = 53 };

static uint32_t frames;

static struct egl_calls real;
static int textures, framebuffers, buffers, images; /* alive */

static void count_gen_textures(GLsizei count, GLuint *names) {
  textures += count;
  real.glGenTextures(count, names);
}

static void count_delete_textures(GLsizei count, const GLuint *names) {
  for (GLsizei i = 0; i < count; i++) textures -= names[i] != 0;
  real.glDeleteTextures(count, names);
}

static void count_gen_framebuffers(GLsizei count, GLuint *names) {
  framebuffers += count;
  real.glGenFramebuffers(count, names);
}

static void count_delete_framebuffers(GLsizei count, const GLuint *names) {
  for (GLsizei i = 0; i < count; i++) framebuffers -= names[i] != 0;
  real.glDeleteFramebuffers(count, names);
}

static void count_gen_buffers(GLsizei count, GLuint *names) {
  buffers += count;
  real.glGenBuffers(count, names);
}

static void count_delete_buffers(GLsizei count, const GLuint *names) {
  for (GLsizei i = 0; i < count; i++) buffers -= names[i] != 0;
  real.glDeleteBuffers(count, names);
}

static EGLImage count_create_image(EGLDisplay display, EGLContext context, EGLenum target,
                                   void *buffer, const EGLint *attributes) {
  EGLImage image = real.eglCreateImageKHR(display, context, target, buffer, attributes);
  images += image != NULL;
  return image;
}

static EGLBoolean count_destroy_image(EGLDisplay display, EGLImage image) {
  images--;
  return real.eglDestroyImageKHR(display, image);
}

static struct utm_egl *open_counted(void) {
  struct utm_egl *egl = open_egl_or_die();
  real = egl->gl;
  egl->gl.glGenTextures = count_gen_textures;
  egl->gl.glDeleteTextures = count_delete_textures;
  egl->gl.glGenFramebuffers = count_gen_framebuffers;
  egl->gl.glDeleteFramebuffers = count_delete_framebuffers;
  egl->gl.glGenBuffers = count_gen_buffers;
  egl->gl.glDeleteBuffers = count_delete_buffers;
  egl->gl.eglCreateImageKHR = count_create_image;
  egl->gl.eglDestroyImageKHR = count_destroy_image;
  return egl;
}

/* Memory of this process that is in use, KiB. */
static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return 0; /* only Linux tells so */
  if (fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
  fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A guest's buffers: two of each kind, to flip between. */
static struct buffer shapes[SHAPES];

static void make_shapes(const struct utm_egl *egl) {
  int32_t kind = egl->images ? UTM_SCANOUT_DMABUF : UTM_SCANOUT_MEMORY;
  for (int i = 0; i < SHAPES; i++) {
    uint32_t width = i < 2 ? 320 : 250, height = i < 2 ? 200 : 131;
    shapes[i] = make_buffer(i % 2 ? UTM_SCANOUT_MEMORY : kind, width, height, width * 4 + 64,
                            formats[i % 4], i & Y0TOP);
    draw(&shapes[i], (uint32_t)i);
  }
}

/* What a viewer does now and then. */
static void look(struct utm_egl *egl, const struct buffer *buffer) {
  uint64_t count = (uint64_t)buffer->width * buffer->height;
  uint32_t *pixels = calloc(count, sizeof *pixels), shape[5], surface;
  int32_t fd;
  require(pixels != NULL, "memory");
  CHECK(utm_shim_egl_export(egl, &fd, shape, &surface) > 0);
  utm_shim_close(fd);
  CHECK_EQUAL(utm_shim_egl_refresh(egl, NULL), 0);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, buffer->width, count, NULL), 0);
  free(pixels);
}

/* Draws `count` frames, from number `first` on. */
static void run(struct utm_egl *egl, uint32_t first, uint32_t count) {
  for (uint32_t frame = first; frame < first + count; frame++) {
    /* A mode has two buffers; within one, every few frames is a flip. */
    const struct buffer *buffer = &shapes[frame / MODES % (SHAPES / 2) * 2 + frame / FLIPS % 2];
    if (frame % FLIPS == 0 || frame % MODES == 0 || frame == first) {
      CHECK(utm_shim_egl_import(egl, buffer->scanout) > 0);
    }
    uint32_t x = frame * 7 % buffer->width, y = frame * 3 % buffer->height;
    CHECK(copy(egl, x, y, 32, 32, NULL) >= 0);
    if (frame % VIEWS == 0) look(egl, buffer);
    if (frame % MODES == 0) CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
    if (frame % MODES == 0) CHECK(utm_shim_egl_import(egl, buffer->scanout) > 0);
  }
}

/* Forgets all buffers but one, so that figures can be compared. */
static void settle(struct utm_egl *egl) {
  CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
  CHECK(utm_shim_egl_import(egl, shapes[0].scanout) > 0);
  CHECK(copy_all(egl, &shapes[0]) >= 0);
  look(egl, &shapes[0]);
}

static void test_soak(void) {
  struct utm_egl *egl = open_counted();
  make_shapes(egl);
  run(egl, 0, SHAPES / 2 * MODES * 2); /* every mode, twice */
  settle(egl);
  int fds = count_fds(), objects[] = {textures, framebuffers, buffers, images};
  long memory = resident();
  double start = seconds();
  run(egl, 0, frames);
  double took = seconds() - start;
  settle(egl);
  CHECK(count_fds() <= fds + LATE_FDS);
  CHECK_EQUAL(textures, objects[0]);
  CHECK_EQUAL(framebuffers, objects[1]);
  CHECK_EQUAL(buffers, objects[2]);
  CHECK_EQUAL(images, objects[3]);
  long growth = resident() - memory;
  CHECK(growth < GROWTH_KIB);
  printf("%u frames in %.1f s; %ld KiB more, %d descriptors, %d textures, %d images\n", frames,
         took, growth, fds, textures, images);
  utm_shim_egl_close(egl);
  CHECK_EQUAL(textures, 0);
  CHECK_EQUAL(framebuffers, 0);
  CHECK_EQUAL(buffers, 0);
  CHECK_EQUAL(images, 0);
  for (int i = 0; i < SHAPES; i++) free_buffer(&shapes[i]);
}

/* Contexts that are opened and closed leave as little. */
static void test_contexts(void) {
  enum { CONTEXTS = 40 };
  long memory = 0;
  for (int i = 0; i < CONTEXTS; i++) {
    struct utm_egl *egl = open_egl_or_die();
    struct buffer buffer = simple_buffer(640, 480);
    utm_shim_egl_import(egl, buffer.scanout);
    copy_all(egl, &buffer);
    look(egl, &buffer);
    free_buffer(&buffer);
    utm_shim_egl_close(egl);
    if (i == CONTEXTS / 2) memory = resident();
  }
  long growth = resident() - memory;
  CHECK(growth < GROWTH_KIB);
  printf("%d contexts: %ld KiB more\n", CONTEXTS / 2, growth);
}

int main(int argc, char **argv) {
  static void (*const tests[])(void) = {test_soak, test_contexts, NULL};
  frames = argc > 4 ? (uint32_t)atoi(argv[4]) : 2000;
  if (!find_library(argc, argv)) return 0;
  warm_up(open_egl_or_die(), simple_buffer(16, 16));
  return run_tests(argv[1], tests);
}
