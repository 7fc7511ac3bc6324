/* IOSurfaces as textures, through ANGLE's pbuffers. */
#include "egl_context.h"

#include <errno.h>

int32_t egl_wrap_surface(struct utm_egl *egl, IOSurfaceRef surface, EGLSurface *pbuffer,
                         enum egl_sampler *sampler) {
  const struct egl_calls *gl = &egl->gl;
  struct iosurface_shape shape;
  EGLint target = 0;
  *pbuffer = NULL;
  if (iosurface_describe(surface, &shape) < 0) return -EINVAL;
  if (shape.format != IOSURFACE_BGRA && shape.format != IOSURFACE_RGBA) return -ENOTSUP;
  /* On Metal it is 2D; builds of WebKit's and the OpenGL backend have rectangles. */
  if (!gl->eglGetConfigAttrib(egl->display, egl->config, EGL_BIND_TO_TEXTURE_TARGET_ANGLE,
                              &target)) {
    return -ENOTSUP;
  }
  *sampler = target == EGL_TEXTURE_RECTANGLE_ANGLE ? SAMPLER_RECTANGLE : SAMPLER_2D;
  const EGLint attributes[] = {
    EGL_WIDTH, (EGLint)shape.width,
    EGL_HEIGHT, (EGLint)shape.height,
    EGL_IOSURFACE_PLANE_ANGLE, 0,
    EGL_TEXTURE_TARGET, target,
    EGL_TEXTURE_INTERNAL_FORMAT_ANGLE, shape.format == IOSURFACE_BGRA ? GL_BGRA : GL_RGBA,
    EGL_TEXTURE_FORMAT, EGL_TEXTURE_RGBA,
    EGL_TEXTURE_TYPE_ANGLE, GL_UNSIGNED_BYTE,
    EGL_NONE,
  };
  *pbuffer = gl->eglCreatePbufferFromClientBuffer(egl->display, EGL_IOSURFACE_ANGLE, surface,
                                                  egl->config, attributes);
  return *pbuffer ? 0 : -EIO;
}

int32_t egl_create_surface(uint32_t width, uint32_t height, IOSurfaceRef *surface) {
  const struct iosurface_shape shape = {
    .width = width, .height = height, .format = IOSURFACE_BGRA, .bytes_per_element = 4,
  };
  return iosurface_create(&shape, surface);
}

uint32_t egl_surface_id(IOSurfaceRef surface) {
  return iosurface_id(surface);
}

void egl_release_surface(IOSurfaceRef surface) {
  iosurface_release(surface);
}
