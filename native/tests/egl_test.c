/* Tests of import, copy, read-back and export on a real EGL: Mesa's and ANGLE's. */
#include "egl_rig.h"

#include <pthread.h>

enum { WIDTH = 67, HEIGHT = 43 }; /* odd, so that a row too many shows */

/* -- Formats and orientation ---------------------------------------------- */

/* What a seed's picture is worth in fewer bits is what the scanout itself reads. */
static int count_unlike_scanout(struct utm_egl *egl, const struct buffer *buffer) {
  static uint32_t own[WIDTH * HEIGHT], theirs[WIDTH * HEIGHT];
  uint64_t bytes;
  int wrong = 0;
  CHECK_EQUAL(utm_shim_egl_read(egl, own, WIDTH, WIDTH * HEIGHT, &bytes), 0);
  CHECK_EQUAL(bytes, sizeof own);
  CHECK_EQUAL(utm_shim_scanout_read(buffer->scanout, 0, 0, WIDTH, HEIGHT, theirs, WIDTH, &bytes),
              0);
  for (size_t i = 0; i < COUNT(own); i++) wrong += own[i] != theirs[i];
  return wrong;
}

static void test_formats(void) {
  struct utm_egl *egl = open_egl_or_die();
  for (size_t i = 0; i < COUNT(formats); i++) {
    for (uint32_t flags = 0; flags <= Y0TOP; flags++) {
      for (uint32_t padding = 0; padding <= 64; padding += 64) {
        struct buffer buffer = make_buffer(UTM_SCANOUT_MEMORY, WIDTH, HEIGHT,
                                           WIDTH * 4 + padding, formats[i], flags);
        uint64_t bytes = 0;
        uint32_t seed = (uint32_t)i + 1;
        draw(&buffer, seed);
        CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
        CHECK_EQUAL(copy(egl, 0, 0, WIDTH, HEIGHT, &bytes), 0);
        bool straight = i < RGBA_FORMATS && flags == 0;
        uint64_t each = 4u + (straight ? 0u : buffer.format->bytes);
        CHECK_EQUAL(bytes, WIDTH * HEIGHT * each);
        CHECK_EQUAL(count_unlike_scanout(egl, &buffer), 0);
        if (buffer.format->red_bits >= 8) CHECK(shows(egl, &buffer, seed));
        free_buffer(&buffer);
      }
    }
  }
  utm_shim_egl_close(egl);
}

/* -- Damage --------------------------------------------------------------- */

struct damage {
  uint32_t x, y, width, height;
  struct egl_rect changes; /* what is to be copied */
};

static const struct damage damages[] = {
  {10, 5, 20, 7, {10, 5, 20, 7}},
  {0, 0, 1, 1, {0, 0, 1, 1}},
  {WIDTH - 1, HEIGHT - 1, 1, 1, {WIDTH - 1, HEIGHT - 1, 1, 1}},
  {0, 3, WIDTH, 1, {0, 3, WIDTH, 1}},
  {66, 0, 1, HEIGHT, {66, 0, 1, HEIGHT}},
  {60, 40, 100, 100, {60, 40, WIDTH - 60, HEIGHT - 40}},
  {0, 0, UINT32_MAX, UINT32_MAX, {0, 0, WIDTH, HEIGHT}},
  {1, 1, UINT32_MAX, UINT32_MAX, {1, 1, WIDTH - 1, HEIGHT - 1}},
  {WIDTH, 0, 1, 1, {0, 0, 0, 0}},
  {0, HEIGHT, 1, 1, {0, 0, 0, 0}},
  {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, {0, 0, 0, 0}},
  {5, 5, 0, 10, {0, 0, 0, 0}},
  {5, 5, 10, 0, {0, 0, 0, 0}},
};

static void test_damage(void) {
  struct utm_egl *egl = open_egl_or_die();
  for (uint32_t way = 0; way < 6; way++) {
    /* As it is, with rows of no whole number of pixels, and converted; each turned, too. */
    uint32_t stride = WIDTH * 4 + (way / 2 == 1 ? 13 : 12);
    struct buffer buffer = make_buffer(UTM_SCANOUT_MEMORY, WIDTH, HEIGHT, stride,
                                       formats[way < 4 ? 0 : 4], way & Y0TOP);
    for (size_t i = 0; i < COUNT(damages); i++) {
      const struct damage *damage = &damages[i];
      uint64_t bytes = 1;
      draw(&buffer, 1);
      CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
      CHECK_EQUAL(copy_all(egl, &buffer), 0);
      draw(&buffer, 2);
      CHECK_EQUAL(copy(egl, damage->x, damage->y, damage->width, damage->height,
                                    &bytes),
                  0);
      CHECK_EQUAL(bytes, (uint64_t)damage->changes.width * damage->changes.height *
                             (way < 4 && !(way & Y0TOP) ? 4 : 8));
      CHECK_EQUAL(count_wrong_in_picture(egl, WIDTH, HEIGHT, &damage->changes, 2, 1), 0);
    }
    free_buffer(&buffer);
  }
  utm_shim_egl_close(egl);
}

/* -- Memory imported as a dmabuf, where EGL does that --------------------- */

static void test_imports_of_memory(void) {
  const struct egl_rect part = {7, 4, 11, 6};
  struct utm_egl *egl = open_egl_or_die();
  for (size_t i = 0; egl->images && i < RGBA_FORMATS; i++) {
    for (uint32_t flags = 0; flags <= Y0TOP; flags++) {
      struct buffer buffer =
          make_buffer(UTM_SCANOUT_DMABUF, WIDTH, HEIGHT, 320, formats[i], flags);
      uint64_t bytes = 1;
      draw(&buffer, 1);
      CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
      CHECK_EQUAL(copy(egl, 1, 1, 1, 1, &bytes), 0);
      CHECK_EQUAL(bytes, 0);
      CHECK(shows(egl, &buffer, 1));
      draw(&buffer, 2); /* which the image sees: nothing was copied */
      CHECK_EQUAL(copy(egl, part.x, part.y, part.width, part.height, NULL), 0);
      CHECK_EQUAL(count_wrong_in_picture(egl, WIDTH, HEIGHT, &part, 2, 1), 0);
      CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
      free_buffer(&buffer);
    }
  }
  utm_shim_egl_close(egl);
}

/* -- Scanouts that come and go -------------------------------------------- */

static void test_first_copy_is_of_everything(void) {
  struct utm_egl *egl = open_egl_or_die();
  struct buffer one = simple_buffer(WIDTH, HEIGHT), other = simple_buffer(WIDTH, HEIGHT);
  draw(&one, 1);
  draw(&other, 2);
  CHECK_EQUAL(utm_shim_egl_import(egl, one.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy(egl, 3, 3, 1, 1, NULL), 0);
  CHECK(shows(egl, &one, 1));
  CHECK_EQUAL(utm_shim_egl_import(egl, other.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy(egl, 0, 0, 0, 0, NULL), 0);
  CHECK(shows(egl, &other, 2));
  free_buffer(&one);
  free_buffer(&other);
  utm_shim_egl_close(egl);
}

static void test_sizes(void) {
  static const uint32_t sizes[][2] = {{1, 1}, {640, 480}, {1, 700}, {700, 1}, {700, 9}, {64, 64}};
  struct utm_egl *egl = open_egl_or_die();
  for (uint32_t i = 0; i < 2 * COUNT(sizes); i++) {
    uint32_t width = sizes[i / 2][0], height = sizes[i / 2][1];
    struct buffer buffer =
        make_buffer(UTM_SCANOUT_MEMORY, width, height, width * 4, formats[0], i & Y0TOP);
    draw(&buffer, i);
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
    CHECK_EQUAL(copy_all(egl, &buffer), 0);
    CHECK(shows(egl, &buffer, i));
    free_buffer(&buffer);
  }
  utm_shim_egl_close(egl);
}

static void test_source_outlives_its_scanout(void) {
  struct utm_egl *egl = open_egl_or_die();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(utm_shim_scanout_close(buffer.scanout), 0);
  buffer.scanout = NULL;
  draw(&buffer, 9);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK(shows(egl, &buffer, 9));
  CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
  CHECK_EQUAL(copy_all(egl, &buffer), -ENOENT);
  CHECK(shows(egl, &buffer, 9)); /* the picture stays */
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

static void test_failures_leave_no_source_and_the_next_import_works(void) {
  struct utm_egl *egl = open_egl_or_die();
  struct buffer good = simple_buffer(WIDTH, HEIGHT);
  struct buffer wide = simple_buffer(WIDTH + 1, 1);
  struct buffer gone = make_buffer(UTM_SCANOUT_DMABUF, WIDTH, HEIGHT, WIDTH * 4, formats[0], 0);
  egl->images = false;
  egl->max_size = WIDTH; /* as if textures could not be larger */
  draw(&good, 4);
  CHECK_EQUAL(copy_all(egl, &good), -ENOENT); /* nothing imported yet */
  for (int i = 0; i < 3; i++) {
    CHECK_EQUAL(utm_shim_egl_import(egl, wide.scanout), -E2BIG);
    CHECK_EQUAL(copy_all(egl, &good), -ENOENT);
    CHECK_EQUAL(utm_shim_egl_import(egl, gone.scanout), -ENOTSUP); /* no dmabuf at all */
    CHECK_EQUAL(copy_all(egl, &good), -ENOENT);
    CHECK_EQUAL(utm_shim_egl_import(egl, good.scanout), UTM_IMPORT_UPLOAD);
    CHECK_EQUAL(copy_all(egl, &good), 0);
    CHECK(shows(egl, &good, 4));
  }
  free_buffer(&good);
  free_buffer(&wide);
  free_buffer(&gone);
  utm_shim_egl_close(egl);
}

/* -- Read-back and export ------------------------------------------------- */

static void test_read(void) {
  enum { STRIDE = WIDTH + 5, ROOM = STRIDE * (HEIGHT - 1) + WIDTH };
  static uint32_t pixels[ROOM + 1];
  struct utm_egl *egl = open_egl_or_die();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  const struct egl_rect all = {0, 0, WIDTH, HEIGHT};
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, STRIDE, ROOM, NULL), -ENOENT);
  draw(&buffer, 3);
  utm_shim_egl_import(egl, buffer.scanout);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, STRIDE, ROOM, NULL), -ENOENT);
  copy_all(egl, &buffer);
  memset(pixels, 0x77, sizeof pixels);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, STRIDE, ROOM, NULL), 0);
  CHECK_EQUAL(count_wrong(pixels, STRIDE, WIDTH, HEIGHT, &all, 3, 3), 0);
  CHECK_EQUAL(pixels[WIDTH], 0x77777777); /* between the rows, and past the last */
  CHECK_EQUAL(pixels[ROOM], 0x77777777);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, STRIDE, ROOM - 1, NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, WIDTH - 1, ROOM, NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, UINT32_MAX, UINT64_MAX, NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_read(egl, NULL, STRIDE, ROOM, NULL), -EINVAL);
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

/* Exported memory as another process maps it. */
struct viewer {
  int32_t fd;
  uint32_t shape[5];
  const uint32_t *pixels;
};

static struct viewer view(struct utm_egl *egl) {
  struct viewer viewer = {.fd = -1};
  uint32_t surface = 1;
  CHECK_EQUAL(utm_shim_egl_export(egl, &viewer.fd, viewer.shape, &surface), UTM_EXPORT_MEMORY);
  CHECK_EQUAL(surface, 0);
  require(viewer.fd >= 0, "export");
  size_t size = (size_t)viewer.shape[2] * viewer.shape[1];
  void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, viewer.fd, 0);
  require(at != MAP_FAILED, "mmap");
  viewer.pixels = at;
  return viewer;
}

static void close_viewer(struct viewer *viewer) {
  munmap((void *)(uintptr_t)viewer->pixels, (size_t)viewer->shape[2] * viewer->shape[1]);
  utm_shim_close(viewer->fd);
}

static bool viewer_sees(const struct viewer *viewer, const struct egl_rect *rect,
                        uint32_t inside, uint32_t outside) {
  return count_wrong(viewer->pixels, viewer->shape[2] / 4, viewer->shape[0],
                     viewer->shape[1], rect, inside, outside) == 0;
}

static void test_export_of_memory(void) {
  struct utm_egl *egl = open_egl_or_die();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT), larger = simple_buffer(80, 60);
  const struct egl_rect all = {0, 0, 80, 60}, none = {0}, part = {5, 6, 7, 8};
  uint64_t bytes = 0, id[2], same[2];
  int32_t fd = 0;
  uint32_t shape[5], surface;
  CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &surface), -ENOENT);
  CHECK_EQUAL(fd, -1);

  draw(&buffer, 1);
  utm_shim_egl_import(egl, buffer.scanout);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  struct viewer viewer = view(egl), second = view(egl);
  CHECK_EQUAL(viewer.shape[0], WIDTH);
  CHECK_EQUAL(viewer.shape[1], HEIGHT);
  CHECK_EQUAL(viewer.shape[3], formats[0]);
  CHECK_EQUAL(viewer.shape[4], 0);
  utm_shim_identify(viewer.fd, id);
  utm_shim_identify(second.fd, same);
  CHECK(id[0] == same[0] && id[1] == same[1]);
  CHECK_EQUAL(utm_shim_egl_refresh(egl, &bytes), 0);
  CHECK_EQUAL(bytes, WIDTH * HEIGHT * 4);
  CHECK(viewer_sees(&viewer, &all, 1, 1));

  /* Only what was copied since is read back. */
  CHECK_EQUAL(utm_shim_egl_refresh(egl, &bytes), 0);
  CHECK_EQUAL(bytes, 0);
  draw(&buffer, 2);
  CHECK_EQUAL(copy(egl, 5, 6, 4, 8, NULL), 0);
  CHECK_EQUAL(copy(egl, 8, 6, 4, 8, NULL), 0);
  CHECK(viewer_sees(&viewer, &none, 0, 1));
  CHECK_EQUAL(utm_shim_egl_refresh(egl, &bytes), 0);
  CHECK_EQUAL(bytes, 7 * 8 * 4);
  CHECK(viewer_sees(&viewer, &part, 2, 1));

  /* Another size is another picture; what was exported stays as it was. */
  draw(&larger, 3);
  utm_shim_egl_import(egl, larger.scanout);
  CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, 80, 60, NULL), UTM_COPY_REMADE);
  CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, 80, 60, NULL), UTM_COPY_DONE);
  CHECK(viewer_sees(&viewer, &part, 2, 1));
  struct viewer next = view(egl);
  CHECK_EQUAL(copy_all(egl, &larger), 0);
  CHECK_EQUAL(utm_shim_egl_refresh(egl, NULL), 0);
  CHECK(viewer_sees(&next, &all, 3, 3));
  close_viewer(&viewer);
  close_viewer(&second);
  free_buffer(&buffer);
  free_buffer(&larger);
  utm_shim_egl_close(egl);
  CHECK(viewer_sees(&next, &all, 3, 3));
  close_viewer(&next);
}

/* -- Contexts ------------------------------------------------------------- */

static void test_wrong_arguments(void) {
  struct utm_egl *egl = NULL;
  char text[8];
  CHECK_EQUAL(utm_shim_egl_open(7, NULL, NULL, &egl), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_open(api, folder, NULL, NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_open(api, "/nowhere", NULL, &egl), -ENOENT);
  CHECK(egl == NULL);
  CHECK_EQUAL(utm_shim_egl_open_window_system(api, folder, UTM_WINDOW_NONE, NULL, &egl),
              -EINVAL);
  egl = open_egl_or_die();
  CHECK_EQUAL(utm_shim_egl_describe(egl, text, sizeof text), 7);
  CHECK_EQUAL(strlen(text), 7);
  CHECK_EQUAL(utm_shim_egl_describe(egl, text, 0), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_present(egl, text, 1), -ENOTSUP);
  CHECK_EQUAL(utm_shim_egl_present(egl, text, -1), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_refresh(egl, NULL), 0);
  CHECK_EQUAL(utm_shim_egl_close(egl), 0);
  CHECK_EQUAL(utm_shim_egl_close(NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_import(NULL, NULL), -EINVAL);
  CHECK_EQUAL(utm_shim_egl_copy(NULL, 0, 0, 1, 1, NULL), -EINVAL);
}

/* A render node that is none of a GPU here: another display will do. */
static void test_unknown_render_node(void) {
  struct utm_egl *egl = NULL;
  CHECK_EQUAL(utm_shim_egl_open(api, folder, "/dev/null", &egl), 0);
  if (egl) utm_shim_egl_close(egl);
}

static void test_two_contexts_on_a_thread(void) {
  struct utm_egl *egls[2] = {open_egl_or_die(), open_egl_or_die()};
  struct buffer buffers[2] = {simple_buffer(WIDTH, HEIGHT), simple_buffer(50, 50)};
  for (uint32_t i = 0; i < 2; i++) utm_shim_egl_import(egls[i], buffers[i].scanout);
  for (uint32_t round = 0; round < 4; round++) {
    uint32_t i = round & 1;
    draw(&buffers[i], round);
    CHECK_EQUAL(copy_all(egls[i], &buffers[i]), 0);
    CHECK(shows(egls[i], &buffers[i], round));
  }
  CHECK_EQUAL(utm_shim_egl_close(egls[0]), 0);
  CHECK(shows(egls[1], &buffers[1], 3));
  CHECK_EQUAL(utm_shim_egl_close(egls[1]), 0);
  for (uint32_t i = 0; i < 2; i++) free_buffer(&buffers[i]);
}

/* One thread's share of test_threads. */
struct turn {
  pthread_t thread;
  struct buffer buffer;
  uint32_t pixels[WIDTH * HEIGHT];
  int wrong; /* pixels; -1: a call failed */
};

static void *run_turn(void *argument) {
  const struct egl_rect all = {0, 0, WIDTH, HEIGHT};
  struct turn *turn = argument;
  for (uint32_t round = 0; round < 3 && turn->wrong == 0; round++) {
    struct utm_egl *egl = NULL;
    if (utm_shim_egl_open(api, folder, NULL, &egl) != 0) turn->wrong = -1;
    if (!egl) break;
    draw(&turn->buffer, round);
    if (utm_shim_egl_import(egl, turn->buffer.scanout) < 0 ||
        copy_all(egl, &turn->buffer) < 0 ||
        utm_shim_egl_read(egl, turn->pixels, WIDTH, WIDTH * HEIGHT, NULL) < 0) {
      turn->wrong = -1;
    } else {
      turn->wrong = count_wrong(turn->pixels, WIDTH, WIDTH, HEIGHT, &all, round, round);
    }
    utm_shim_egl_close(egl);
  }
  return NULL;
}

static void test_threads(void) {
  static struct turn turns[2];
  for (int i = 0; i < 2; i++) {
    turns[i].buffer = simple_buffer(WIDTH, HEIGHT);
    require(pthread_create(&turns[i].thread, NULL, run_turn, &turns[i]) == 0, "thread");
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(turns[i].thread, NULL);
    CHECK_EQUAL(turns[i].wrong, 0);
    free_buffer(&turns[i].buffer);
  }
}

/* A context that really is lost, where the library can do that to itself. */
static void test_loss(void) {
  enum { INNOCENT_CONTEXT_RESET = 0x8254 };
  struct utm_egl *egl = open_egl_or_die();
  if (!egl_lists((const char *)egl->gl.glGetString(GL_EXTENSIONS),
                 "GL_CHROMIUM_lose_context")) {
    utm_shim_egl_close(egl);
    return;
  }
  void (*lose)(GLenum current, GLenum other);
  EGLCall call = egl->gl.eglGetProcAddress("glLoseContextCHROMIUM");
  memcpy(&lose, &call, sizeof lose);
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  utm_shim_egl_import(egl, buffer.scanout);
  for (uint32_t round = 1; round < 4; round++) {
    draw(&buffer, round);
    CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, WIDTH, HEIGHT, NULL), UTM_COPY_REMADE);
    CHECK(shows(egl, &buffer, round));
    struct viewer viewer = view(egl);
    close_viewer(&viewer);
    CHECK_EQUAL(copy(egl, 1, 1, 2, 2, NULL), 0);
    lose(INNOCENT_CONTEXT_RESET, INNOCENT_CONTEXT_RESET);
  }
  draw(&buffer, 7);
  CHECK_EQUAL(utm_shim_egl_copy(egl, 1, 1, 2, 2, NULL), UTM_COPY_REMADE);
  CHECK(shows(egl, &buffer, 7)); /* all of it, though little was asked for */
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

int main(int argc, char **argv) {
  static void (*const tests[])(void) = {
    test_formats,
    test_damage,
    test_imports_of_memory,
    test_first_copy_is_of_everything,
    test_sizes,
    test_source_outlives_its_scanout,
    test_failures_leave_no_source_and_the_next_import_works,
    test_read,
    test_export_of_memory,
    test_wrong_arguments,
    test_unknown_render_node,
    test_two_contexts_on_a_thread,
    test_threads,
    test_loss,
    NULL,
  };
  if (!find_library(argc, argv)) return 0;
  warm_up(open_egl_or_die(), simple_buffer(16, 16));
  return run_tests(argv[1], tests);
}
