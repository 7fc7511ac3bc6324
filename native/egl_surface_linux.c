/* There are no IOSurfaces on Linux. */
#include "egl_context.h"

#include <errno.h>

int32_t egl_wrap_surface(struct utm_egl *egl, IOSurfaceRef surface, EGLSurface *pbuffer,
                         enum egl_sampler *sampler) {
  (void)egl;
  (void)surface;
  (void)sampler;
  *pbuffer = NULL;
  return -ENOTSUP;
}

int32_t egl_create_surface(uint32_t width, uint32_t height, IOSurfaceRef *surface) {
  (void)width;
  (void)height;
  *surface = NULL;
  return -ENOTSUP;
}

uint32_t egl_surface_id(IOSurfaceRef surface) {
  (void)surface;
  return 0;
}

void egl_release_surface(IOSurfaceRef surface) {
  (void)surface;
}
