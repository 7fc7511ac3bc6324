/* Tests of IOSurfaces in EGL: macOS's sources, its frameworks' stand-in, and the
 * stand-in of egl_standin.h for ANGLE's pbuffers. */
#include "egl_standin.h"

#include "standin/iosurface_standin.h"

enum { WIDTH = 61, HEIGHT = 37 };

static struct {
  int pbuffers, destroyed_pbuffers, binds, releases;
  EGLint refuse_pbuffer; /* an EGL error */
  EGLint bind_target;
} angle;

/* -- ANGLE's pbuffers ------------------------------------------------------ */

static EGLBoolean config_attribute(EGLDisplay display, EGLConfig config, EGLint name,
                                           EGLint *value) {
  if (name != EGL_BIND_TO_TEXTURE_TARGET_ANGLE) {
    return standin.real.eglGetConfigAttrib(display, config, name, value);
  }
  *value = angle.bind_target;
  return 1;
}

/* A pbuffer is the surface itself. */
static EGLSurface create_pbuffer(EGLDisplay display, EGLenum type, void *buffer,
                                         EGLConfig config, const EGLint *attributes) {
  (void)display;
  (void)config;
  CHECK_EQUAL(type, EGL_IOSURFACE_ANGLE);
  see(attributes);
  if (angle.refuse_pbuffer) return refused(angle.refuse_pbuffer);
  angle.pbuffers++;
  return buffer;
}

static EGLBoolean destroy_surface(EGLDisplay display, EGLSurface surface) {
  (void)display;
  (void)surface;
  angle.destroyed_pbuffers++;
  return 1;
}

/* Fills the texture that is bound with the surface. */
static EGLBoolean bind_image(EGLDisplay display, EGLSurface surface, EGLint buffer) {
  const struct egl_calls *real = &standin.real;
  struct iosurface_shape shape;
  const uint8_t *base;
  (void)display;
  CHECK_EQUAL(buffer, EGL_BACK_BUFFER);
  angle.binds++;
  require(iosurface_describe(surface, &shape) == 0, "surface");
  require(iosurface_lock(surface, &base) == 0, "surface");
  GLenum format = shape.format == IOSURFACE_BGRA ? GL_BGRA : GL_RGBA;
  real->glPixelStorei(GL_UNPACK_ROW_LENGTH, (GLint)(shape.stride / 4));
  real->glTexImage2D(GL_TEXTURE_2D, 0, (GLint)format, (GLsizei)shape.width,
                     (GLsizei)shape.height, 0, format, GL_UNSIGNED_BYTE, base);
  iosurface_unlock(surface);
  return 1;
}

static EGLBoolean release_image(EGLDisplay display, EGLSurface surface,
                                        EGLint buffer) {
  (void)display;
  (void)surface;
  CHECK_EQUAL(buffer, EGL_BACK_BUFFER);
  angle.releases++;
  return 1;
}

/* Opens a context that has ANGLE's abilities on macOS. */
static struct utm_egl *open_angle(void) {
  struct utm_egl *egl = open_standin();
  memset(&angle, 0, sizeof angle);
  angle.bind_target = EGL_TEXTURE_2D;
  egl->surfaces = true;
  egl->gl.eglGetConfigAttrib = config_attribute;
  egl->gl.eglCreatePbufferFromClientBuffer = create_pbuffer;
  egl->gl.eglDestroySurface = destroy_surface;
  egl->gl.eglBindTexImage = bind_image;
  egl->gl.eglReleaseTexImage = release_image;
  return egl;
}

/* -- Tests ---------------------------------------------------------------- */

/* A surface as UTM's QEMU hands it over, its id in a pipe. It stays locked, so that its
 * pixels stay mapped. */
static struct buffer surface_buffer(uint32_t code, uint32_t width) {
  const struct iosurface_standin made = {.width = width, .height = HEIGHT, .format = code};
  const uint32_t shape[5] = {width, HEIGHT, 0, IOSURFACE_BGRA, Y0TOP}; /* the flag means nothing */
  struct buffer buffer = {.width = width, .height = HEIGHT};
  int32_t ends[2];
  IOSurfaceRef surface = iosurface_standin_make(&made);
  require(surface != NULL, "surface");
  uint32_t id = IOSurfaceGetID(surface);
  require(utm_shim_pipe(ends) == 0, "pipe");
  require(write(ends[1], &id, sizeof id) == sizeof id, "write");
  CHECK_EQUAL(utm_shim_scanout_open(ends[0], shape, NULL, &buffer.scanout),
              UTM_SCANOUT_IOSURFACE);
  require(buffer.scanout != NULL, "scanout");
  utm_shim_close(ends[1]);
  CFRelease(surface); /* the scanout has it now */
  IOSurfaceLock(buffer.scanout->surface, 0, NULL);
  buffer.bytes = IOSurfaceGetBaseAddress(buffer.scanout->surface);
  buffer.stride = buffer.scanout->stride;
  buffer.format = buffer.scanout->format;
  return buffer;
}

static void free_surface(struct buffer *buffer) {
  IOSurfaceUnlock(buffer->scanout->surface, 0, NULL);
  utm_shim_scanout_close(buffer->scanout);
}

static void test_surfaces(void) {
  static const uint32_t surface_formats[] = {IOSURFACE_BGRA, IOSURFACE_RGBA};
  for (size_t i = 0; i < COUNT(surface_formats); i++) {
    struct utm_egl *egl = open_angle();
    struct buffer buffer = surface_buffer(surface_formats[i], WIDTH);
    const struct egl_rect part = {1, 30, 40, 5};
    uint64_t bytes = 1;
    draw(&buffer, 1);
    CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
    CHECK_EQUAL(angle.pbuffers, 2); /* the guest's, and one for the picture */
    CHECK_EQUAL(copy(egl, 0, 0, 1, 1, &bytes), 0);
    CHECK_EQUAL(bytes, 0);
    CHECK(shows(egl, &buffer, 1));
    draw(&buffer, 2);
    CHECK_EQUAL(copy(egl, part.x, part.y, part.width, part.height, NULL), 0);
    CHECK_EQUAL(count_wrong_in_picture(egl, WIDTH, HEIGHT, &part, 2, 1), 0);
    CHECK_EQUAL(standin.waits, 2); /* for each copy to complete */
    CHECK_EQUAL(angle.binds, 3); /* the picture stays bound */
    CHECK_EQUAL(angle.releases, 2);
    free_surface(&buffer);
    utm_shim_egl_close(egl);
    CHECK_EQUAL(angle.destroyed_pbuffers, 2);
    CHECK_EQUAL(iosurface_standin_held(), 0);
  }
}

static void test_attributes_of_surfaces(void) {
  static const struct {
    uint32_t format;
    GLenum internal;
    EGLint target;
    enum egl_sampler sampler;
  } rows[] = {
    {IOSURFACE_BGRA, GL_BGRA, EGL_TEXTURE_2D, SAMPLER_2D},
    {IOSURFACE_RGBA, GL_RGBA, EGL_TEXTURE_RECTANGLE_ANGLE, SAMPLER_RECTANGLE},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    struct utm_egl *egl = open_angle();
    struct buffer buffer = surface_buffer(rows[i].format, WIDTH);
    EGLSurface pbuffer;
    enum egl_sampler sampler;
    angle.bind_target = rows[i].target;
    CHECK_EQUAL(egl_wrap_surface(egl, buffer.scanout->surface, &pbuffer, &sampler), 0);
    CHECK_EQUAL(sampler, rows[i].sampler);
    CHECK_EQUAL(seen(EGL_WIDTH), WIDTH);
    CHECK_EQUAL(seen(EGL_HEIGHT), HEIGHT);
    CHECK_EQUAL(seen(EGL_IOSURFACE_PLANE_ANGLE), 0);
    CHECK_EQUAL(seen(EGL_TEXTURE_TARGET), rows[i].target);
    CHECK_EQUAL(seen(EGL_TEXTURE_INTERNAL_FORMAT_ANGLE), (EGLint)rows[i].internal);
    CHECK_EQUAL(seen(EGL_TEXTURE_FORMAT), EGL_TEXTURE_RGBA);
    CHECK_EQUAL(seen(EGL_TEXTURE_TYPE_ANGLE), GL_UNSIGNED_BYTE);
    free_surface(&buffer);
    utm_shim_egl_close(egl);
  }
}

static void test_picture_in_a_surface(void) {
  struct utm_egl *egl = open_angle();
  struct buffer buffer = surface_buffer(IOSURFACE_BGRA, WIDTH);
  int32_t fd;
  uint32_t shape[5], id;
  IOSurfaceRef found;
  draw(&buffer, 4);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK(shows(egl, &buffer, 4));
  CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &id), UTM_EXPORT_IOSURFACE);
  CHECK_EQUAL(fd, -1);
  CHECK_EQUAL(shape[0], WIDTH);
  CHECK_EQUAL(shape[3], IOSURFACE_BGRA);
  CHECK_EQUAL(iosurface_lookup(id, &found), 0);
  if (found) iosurface_release(found);

  /* What cannot be shared can still be shown. */
  angle.refuse_pbuffer = EGL_BAD_ALLOC;
  struct buffer larger = surface_buffer(IOSURFACE_BGRA, WIDTH + 1);
  draw(&larger, 6);
  CHECK_EQUAL(utm_shim_egl_import(egl, larger.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(utm_shim_egl_copy(egl, 0, 0, WIDTH, HEIGHT, NULL), UTM_COPY_REMADE);
  CHECK(shows(egl, &larger, 6));
  CHECK_EQUAL(utm_shim_egl_export(egl, &fd, shape, &id), UTM_EXPORT_MEMORY);
  utm_shim_close(fd);
  free_surface(&buffer);
  free_surface(&larger);
  utm_shim_egl_close(egl);
  CHECK_EQUAL(iosurface_standin_held(), 0);
}

/* EGL without ANGLE's extension: the CPU reads the surface. */
static void test_surfaces_are_uploaded_elsewhere(void) {
  struct utm_egl *egl = open_angle();
  struct buffer buffer = surface_buffer(IOSURFACE_RGBA, WIDTH);
  uint64_t bytes = 0;
  egl->surfaces = false;
  draw(&buffer, 8);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy(egl, 0, 0, WIDTH, HEIGHT, &bytes), 0);
  CHECK_EQUAL(bytes, WIDTH * HEIGHT * 4);
  CHECK(shows(egl, &buffer, 8));
  egl->surfaces = true;
  angle.refuse_pbuffer = EGL_BAD_MATCH;
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  CHECK(shows(egl, &buffer, 8));
  free_surface(&buffer);
  utm_shim_egl_close(egl);
}

int main(int argc, char **argv) {
  static void (*const tests[])(void) = {
    test_surfaces,
    test_attributes_of_surfaces,
    test_picture_in_a_surface,
    test_surfaces_are_uploaded_elsewhere,
    NULL,
  };
  if (!find_library(argc, argv)) return 0;
  struct utm_egl *egl = open_angle();
  struct buffer buffer = surface_buffer(IOSURFACE_BGRA, WIDTH);
  CHECK_EQUAL(utm_shim_egl_import(egl, buffer.scanout), UTM_IMPORT_GPU);
  CHECK_EQUAL(copy_all(egl, &buffer), 0);
  free_surface(&buffer);
  utm_shim_egl_close(egl);
  return run_tests(argv[1], tests);
}
