/* Tests of what takes a GPU, against the stand-in of egl_standin.h: imports of
 * dmabufs, their cache, fences, exports. */
#include "egl_standin.h"

enum { WIDTH = 61, HEIGHT = 37, STRIDE = 320 };

static struct buffer dmabuf(uint32_t fourcc, uint32_t flags) {
  return make_buffer(UTM_SCANOUT_DMABUF, WIDTH, HEIGHT, STRIDE, fourcc, flags);
}

/* -- Imports of dmabufs --------------------------------------------------- */

static void test_attributes(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = dmabuf(formats[2], 0);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
  CHECK_EQUAL(seen(EGL_WIDTH), WIDTH);
  CHECK_EQUAL(seen(EGL_HEIGHT), HEIGHT);
  CHECK_EQUAL(seen(EGL_LINUX_DRM_FOURCC), formats[2]);
  CHECK_EQUAL(seen(EGL_DMA_BUF_PLANE0_FD), buffer.scanout->fd);
  CHECK_EQUAL(seen(EGL_DMA_BUF_PLANE0_OFFSET), 0);
  CHECK_EQUAL(seen(EGL_DMA_BUF_PLANE0_PITCH), STRIDE);
  CHECK_EQUAL(standin.attributes[12], EGL_NONE); /* above all no modifier */
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

static void test_gpu_copies(void) {
  const struct egl_rect part = {7, 4, 11, 6};
  struct utm_egl *egl = open_standin();
  for (size_t i = 0; i < 4; i++) {
    for (uint32_t flags = 0; flags <= Y0TOP; flags++) {
      struct buffer buffer = dmabuf(formats[i], flags);
      uint64_t bytes = 1;
      draw(&buffer, 1);
      CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
      CHECK_EQUAL(copy(egl, 1, 1, 1, 1, &bytes), 0);
      CHECK_EQUAL(bytes, 0);
      CHECK(shows(egl, &buffer, 1));
      draw(&buffer, 2);
      CHECK_EQUAL(copy(egl, part.x, part.y, part.width, part.height, NULL), 0);
      CHECK_EQUAL(count_wrong_in_picture(egl, WIDTH, HEIGHT, &part, 2, 1), 0);
      free_buffer(&buffer);
    }
  }
  utm_shim_egl_close(egl);
}

/* A texture need not show what was drawn into its image after it was given that. */
static void test_images_are_given_again(void) {
  for (int external = 0; external < 2; external++) {
    struct utm_egl *egl = open_standin();
    struct buffer buffer = dmabuf(formats[0], 0);
    standin.external_only = external;
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
    CHECK_EQUAL(standin.targets, 1);
    for (int i = 0; i < 3; i++) CHECK_EQUAL(copy_all(egl, &buffer), 0);
    CHECK_EQUAL(standin.targets, external ? 1 : 4);
    free_buffer(&buffer);
    utm_shim_egl_close(egl);
  }
}

static void test_external_only(void) {
  for (int way = 0; way < 2; way++) {
    struct utm_egl *egl = open_standin();
    struct buffer buffer = dmabuf(formats[0], Y0TOP);
    standin.external_only = way == 0;
    standin.no_2d_images = way == 1; /* told by nothing but a failure */
    draw(&buffer, 5);
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
    CHECK_EQUAL(egl->source.image->texture.sampler, SAMPLER_EXTERNAL);
    CHECK_EQUAL(copy_all(egl, &buffer), 0);
    CHECK(shows(egl, &buffer, 5));
    free_buffer(&buffer);
    utm_shim_egl_close(egl);
  }
}

/* What is refused is told by its reason, and the next that is not is shown. A real dmabuf
 * would then be read by the CPU; memory that is taken for one cannot be. */
static void test_refused_imports(void) {
  static const EGLint errors[][2] = {
    {EGL_BAD_MATCH, -ENOTSUP},
    {EGL_BAD_ALLOC, -ENOMEM},
    {EGL_BAD_ACCESS, -EACCES},
    {EGL_BAD_ATTRIBUTE, -EINVAL},
  };
  struct utm_egl *egl = open_standin();
  struct buffer buffer = dmabuf(formats[0], 0);
  for (size_t i = 0; i < COUNT(errors); i++) {
    standin.refuse_import = errors[i][0];
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), errors[i][1]);
    CHECK_EQUAL(copy_all(egl, &buffer), -ENOENT);
    standin.refuse_import = 0;
    draw(&buffer, (uint32_t)i);
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
    CHECK_EQUAL(copy_all(egl, &buffer), 0);
    CHECK(shows(egl, &buffer, (uint32_t)i));
    CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
  }
  standin.no_2d_images = true;
  egl->external = false;
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), -ENOTSUP);
  CHECK_EQUAL(standin.imports, 2 * (int)COUNT(errors) + 1);
  CHECK_EQUAL(standin.destroyed_images, (int)COUNT(errors) + 1);
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

/* -- The cache ------------------------------------------------------------ */

static void test_flips_import_once(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffers[3];
  int before = 0;
  for (uint32_t i = 0; i < 3; i++) {
    buffers[i] = dmabuf(formats[0], 0);
    draw(&buffers[i], i);
  }
  for (uint32_t flip = 0; flip < 30; flip++) {
    const struct buffer *buffer = &buffers[flip % 3];
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer->scanout), UTM_IMPORT_GPU);
    CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), 0);
    CHECK(shows(egl, buffer, flip % 3));
    if (flip == 2) before = count_fds();
  }
  CHECK_EQUAL(standin.imports, 3);
  CHECK_EQUAL(count_fds(), before);

  /* Another shape of the same memory is another image. */
  buffers[0].scanout->stride = STRIDE - 64;
  utm_shim_egl_import(egl, buffers[0].scanout);
  CHECK_EQUAL(standin.imports, 4);
  buffers[0].scanout->bottom_up = true; /* but turning it is not */
  utm_shim_egl_import(egl, buffers[0].scanout);
  CHECK_EQUAL(standin.imports, 4);

  CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
  CHECK_EQUAL(standin.destroyed_images, 4);
  for (int i = 0; i < 3; i++) free_buffer(&buffers[i]);
  utm_shim_egl_close(egl);
}

static void test_cache_forgets_what_was_not_used_for_longest(void) {
  enum { MANY = IMAGES + 1 };
  struct utm_egl *egl = open_standin();
  struct buffer buffers[MANY];
  for (uint32_t i = 0; i < MANY; i++) {
    buffers[i] = dmabuf(formats[0], 0);
    draw(&buffers[i], i);
    if (i == IMAGES) utm_shim_egl_import(egl, buffers[0].scanout); /* so 1 is the oldest */
    CHECK_EQUAL(utm_shim_egl_import(egl, buffers[i].scanout), UTM_IMPORT_GPU);
  }
  CHECK_EQUAL(standin.imports, MANY);
  CHECK_EQUAL(standin.destroyed_images, 1);
  utm_shim_egl_import(egl, buffers[0].scanout);
  CHECK_EQUAL(standin.imports, MANY);
  utm_shim_egl_import(egl, buffers[1].scanout);
  CHECK_EQUAL(standin.imports, MANY + 1);
  CHECK_EQUAL(copy_all(egl, &buffers[1]), 0);
  CHECK(shows(egl, &buffers[1], 1));
  for (int i = 0; i < MANY; i++) free_buffer(&buffers[i]);
  utm_shim_egl_close(egl);
  CHECK_EQUAL(standin.destroyed_images, standin.imports);
}

/* -- Fences and losses ---------------------------------------------------- */

static void test_fences(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = dmabuf(formats[0], 0);
  utm_shim_egl_import(egl, buffer.scanout);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK_EQUAL(standin.waits, 0); /* the kernel orders it */
  egl->implicit_sync = false;
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK_EQUAL(standin.waits, 1);
  standin.time_out = true;
  draw(&buffer, 1);
  CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), -ETIMEDOUT);
  standin.time_out = false;
  draw(&buffer, 2);
  CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), 0);
  CHECK(shows(egl, &buffer, 2)); /* whole again */
  egl->fences = false;
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK_EQUAL(standin.waits, 3);
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

/* Who is told of an upload may look into the picture, which only some kernels order. */
static void test_uploads_that_others_see(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  utm_shim_egl_import(egl, buffer.scanout);
  for (int exports = 0; exports < 2; exports++) {
    for (int ordered = 0; ordered < 2; ordered++) {
      egl->image_export = exports;
      egl->implicit_sync = ordered;
      standin.waits = 0;
      CHECK_EQUAL(copy_all(egl, &buffer), 0);
      CHECK_EQUAL(standin.waits, exports && !ordered);
    }
  }
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

static void test_errors_of_gl(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = dmabuf(formats[0], 0);
  utm_shim_egl_import(egl, buffer.scanout);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  standin.gl_error = 0x0506; /* GL_INVALID_FRAMEBUFFER_OPERATION */
  CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), -EIO);
  standin.gl_error = GL_OUT_OF_MEMORY;
  CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), -ENOMEM);
  draw(&buffer, 3);
  CHECK_EQUAL(copy(egl, 0, 0, 1, 1, NULL), 0);
  CHECK(shows(egl, &buffer, 3));
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

/* A reset as a driver tells it; after GL_CONTEXT_LOST and by a status. */
static void test_resets(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  utm_shim_egl_import(egl, buffer.scanout);
  for (uint32_t round = 0; round < 2; round++) {
    int32_t fd;
    uint32_t shape[5], surface;
    CHECK_EQUAL(copy_all(egl, &buffer), 0);
    CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &surface), UTM_EXPORT_MEMORY);
    utm_shim_close(fd);
    draw(&buffer, round);
    egl->resets = true;
    if (round == 0) standin.reset = 0x8253; /* GL_GUILTY_CONTEXT_RESET */
    if (round == 1) standin.gl_error = GL_CONTEXT_LOST;
    CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, 1, 1, NULL), UTM_COPY_REMADE);
    CHECK(shows(egl, &buffer, round));
    CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &surface), UTM_EXPORT_MEMORY);
    utm_shim_close(fd);
  }
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

static EGLBoolean refuse_context(EGLDisplay display, EGLSurface to, EGLSurface from,
                                 EGLContext context) {
  return context ? 0 : standin.real.eglMakeCurrent(display, to, from, context);
}

/* A reset that a read-back finds takes the picture with it: it does not turn black. */
static void test_reset_while_reading(void) {
  static uint32_t pixels[WIDTH * HEIGHT];
  struct utm_egl *egl = open_standin();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  draw(&buffer, 1);
  utm_shim_egl_import(egl, buffer.scanout);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  standin.gl_error = GL_CONTEXT_LOST;
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, WIDTH, COUNT(pixels), NULL), -EIO);
  CHECK_EQUAL(utm_shim_egl_read(egl, pixels, WIDTH, COUNT(pixels), NULL), -ENOENT);
  CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, 1, 1, NULL), UTM_COPY_REMADE);
  CHECK(shows(egl, &buffer, 1));
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

/* What a context that cannot be had again leaves behind is not freed by its names in
 * another one of the thread, where they are those of something else. */
static void test_loss_beside_another_context(void) {
  struct utm_egl *egl = open_standin();
  struct utm_egl *other = open_egl_or_die();
  struct buffer buffer = simple_buffer(WIDTH, HEIGHT);
  draw(&buffer, 1);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK_EQUAL(utm_shim_egl_import(other, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy_all(other, &buffer), 0);
  CHECK_EQUAL(egl->picture.texture.name, other->picture.texture.name);
  egl->gl.eglMakeCurrent = refuse_context;
  CHECK_EQUAL(copy_all(egl, &buffer), -EIO);
  CHECK(shows(other, &buffer, 1));
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), -EIO);
  CHECK_EQUAL(utm_shim_egl_import(egl, NULL), 0);
  egl->gl.eglMakeCurrent = standin.real.eglMakeCurrent;
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK(shows(egl, &buffer, 1));
  CHECK_EQUAL(copy_all(other, &buffer), 0);
  egl->gl.eglMakeCurrent = refuse_context;
  utm_shim_egl_close(egl);
  CHECK(shows(other, &buffer, 1));
  free_buffer(&buffer);
  utm_shim_egl_close(other);
}

/* -- Exports of dmabufs --------------------------------------------------- */

static void test_export_of_dmabuf(void) {
  struct utm_egl *egl = open_standin();
  struct buffer buffer = dmabuf(formats[0], 0);
  int32_t fd;
  uint32_t shape[5], surface;
  egl->image_export = true;
  utm_shim_egl_import(egl, buffer.scanout);
  copy_all(egl, &buffer);
  CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &surface), UTM_EXPORT_DMABUF);
  CHECK(is_open(fd));
  utm_shim_close(fd);
  CHECK_EQUAL(shape[0], WIDTH);
  CHECK_EQUAL(shape[1], HEIGHT);
  CHECK_EQUAL(shape[2], 4096);
  CHECK_EQUAL(shape[3], formats[0]); /* without alpha */
  CHECK_EQUAL(utm_shim_egl_refresh(egl, NULL), 0);

  for (int way = 0; way < 3; way++) { /* what a shape cannot say is not handed out */
    standin.refuse_export = way == 0;
    standin.export_offset = way == 1 ? 4096 : 0;
    standin.export_planes = way == 2 ? 4 : 1;
    CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &surface), UTM_EXPORT_MEMORY);
    CHECK_EQUAL(shape[2], WIDTH * 4);
    utm_shim_close(fd);
  }
  free_buffer(&buffer);
  utm_shim_egl_close(egl);
}

int main(int argc, char **argv) {
  static void (*const tests[])(void) = {
    test_attributes,
    test_gpu_copies,
    test_images_are_given_again,
    test_external_only,
    test_refused_imports,
    test_flips_import_once,
    test_cache_forgets_what_was_not_used_for_longest,
    test_fences,
    test_uploads_that_others_see,
    test_errors_of_gl,
    test_resets,
    test_reset_while_reading,
    test_loss_beside_another_context,
    test_export_of_dmabuf,
    NULL,
  };
  if (!find_library(argc, argv)) return 0;
  warm_up(open_standin(), dmabuf(formats[0], 0));
  return run_tests(argv[1], tests);
}
