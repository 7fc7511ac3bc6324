/* A stand-in for macOS's IOSurface and CoreFoundation on Linux: the functions of
 * iosurface.h, with the pixels in POSIX shared memory. The macOS sources of the
 * shim open it in place of the frameworks; peers that play UTM's QEMU link it
 * and make surfaces with the calls below.
 *
 * As on macOS, an id names a surface in every process of the user, and a surface
 * lives for as long as a process holds it; one that ends, however it ends, holds
 * nothing any more. CFRelease until nobody holds it makes a stale id. */
#ifndef IOSURFACE_STANDIN_H
#define IOSURFACE_STANDIN_H

#include "../../iosurface.h"

#define STANDIN_EXPORT __attribute__((visibility("default")))

/* What iosurface_standin_make makes; also surfaces that no client should use. */
struct iosurface_standin {
  uint32_t width, height;     /* pixels */
  uint32_t format;            /* IOSURFACE_BGRA … */
  uint32_t bytes_per_element; /* 0: 4 */
  uint32_t bytes_per_row;     /* 0: what the system would choose, a multiple of 64 */
  uint32_t planes;
  bool hidden;                /* not global: other processes cannot look it up */
};

/* Returns a surface of zeros that is the caller's to CFRelease, or NULL. */
STANDIN_EXPORT IOSurfaceRef iosurface_standin_make(const struct iosurface_standin *shape);

/* How many objects this process holds: surfaces, numbers, dictionaries. */
STANDIN_EXPORT int32_t iosurface_standin_held(void);

STANDIN_EXPORT void CFRelease(CFTypeRef object);
STANDIN_EXPORT CFNumberRef CFNumberCreate(CFAllocatorRef allocator, CFIndex type,
                                          const void *value);
STANDIN_EXPORT CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys,
                                                  const void **values, CFIndex count,
                                                  const void *key_callbacks,
                                                  const void *value_callbacks);
STANDIN_EXPORT IOSurfaceRef IOSurfaceCreate(CFDictionaryRef properties);
STANDIN_EXPORT IOSurfaceRef IOSurfaceLookup(IOSurfaceID id);
STANDIN_EXPORT IOSurfaceID IOSurfaceGetID(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetWidth(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetHeight(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetBytesPerElement(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetBytesPerRow(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetAllocSize(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetPlaneCount(IOSurfaceRef surface);
STANDIN_EXPORT size_t IOSurfaceGetBytesPerRowOfPlane(IOSurfaceRef surface, size_t plane);
STANDIN_EXPORT void *IOSurfaceGetBaseAddress(IOSurfaceRef surface); /* NULL unless locked */
STANDIN_EXPORT void *IOSurfaceGetBaseAddressOfPlane(IOSurfaceRef surface, size_t plane);
STANDIN_EXPORT uint32_t IOSurfaceGetPixelFormat(IOSurfaceRef surface);
STANDIN_EXPORT int32_t IOSurfaceLock(IOSurfaceRef surface, uint32_t options, uint32_t *seed);
STANDIN_EXPORT int32_t IOSurfaceUnlock(IOSurfaceRef surface, uint32_t options, uint32_t *seed);

STANDIN_EXPORT extern const CFBooleanRef kCFBooleanTrue;
STANDIN_EXPORT extern const char kCFTypeDictionaryKeyCallBacks[];
STANDIN_EXPORT extern const char kCFTypeDictionaryValueCallBacks[];
STANDIN_EXPORT extern const CFStringRef kIOSurfaceWidth;
STANDIN_EXPORT extern const CFStringRef kIOSurfaceHeight;
STANDIN_EXPORT extern const CFStringRef kIOSurfaceBytesPerElement;
STANDIN_EXPORT extern const CFStringRef kIOSurfacePixelFormat;
STANDIN_EXPORT extern const CFStringRef kIOSurfaceIsGlobal;

#endif
