/* IOSurface and CoreFoundation, as far as the shim uses them: their types and
 * functions are declared here, so that no SDK is needed, and both frameworks are
 * opened when the first surface is wanted, so that the library loads without.
 *
 * Source: Apple's public documentation of IOSurfaceRef.h, CFDictionary.h and
 * CFNumber.h. */
#ifndef UTM_IOSURFACE_H
#define UTM_IOSURFACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef const void *CFTypeRef;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFBoolean *CFBooleanRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef const struct __CFNumber *CFNumberRef;
typedef const struct __CFString *CFStringRef;
typedef struct __IOSurface *IOSurfaceRef;
typedef long CFIndex;
typedef uint32_t IOSurfaceID;

enum {
  kCFNumberSInt32Type = 3,
  kIOSurfaceLockReadOnly = 1,
};

/* Pixel formats: the bytes in memory are what the name says. */
#define IOSURFACE_BGRA 0x42475241u /* 'BGRA' */
#define IOSURFACE_RGBA 0x52474241u /* 'RGBA' */

/* The functions in use. Where a name says Create, Copy or Lookup the result is
 * the caller's to CFRelease. */
struct iosurface_functions {
  void (*CFRelease)(CFTypeRef object);
  CFNumberRef (*CFNumberCreate)(CFAllocatorRef allocator, CFIndex type, const void *value);
  CFDictionaryRef (*CFDictionaryCreate)(CFAllocatorRef allocator, const void **keys,
                                        const void **values, CFIndex count,
                                        const void *key_callbacks,
                                        const void *value_callbacks);
  IOSurfaceRef (*IOSurfaceCreate)(CFDictionaryRef properties);
  IOSurfaceRef (*IOSurfaceLookup)(IOSurfaceID id); /* NULL: none, or not to be seen from here */
  IOSurfaceID (*IOSurfaceGetID)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetWidth)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetHeight)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetBytesPerElement)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetBytesPerRow)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetAllocSize)(IOSurfaceRef surface);
  size_t (*IOSurfaceGetPlaneCount)(IOSurfaceRef surface); /* 0: not planar */
  size_t (*IOSurfaceGetBytesPerRowOfPlane)(IOSurfaceRef surface, size_t plane);
  void *(*IOSurfaceGetBaseAddress)(IOSurfaceRef surface); /* valid while locked */
  void *(*IOSurfaceGetBaseAddressOfPlane)(IOSurfaceRef surface, size_t plane);
  uint32_t (*IOSurfaceGetPixelFormat)(IOSurfaceRef surface);
  int32_t (*IOSurfaceLock)(IOSurfaceRef surface, uint32_t options, uint32_t *seed); /* 0: locked */
  int32_t (*IOSurfaceUnlock)(IOSurfaceRef surface, uint32_t options, uint32_t *seed);
  /* Constants, which are data in the frameworks. */
  const CFBooleanRef *kCFBooleanTrue;
  const void *kCFTypeDictionaryKeyCallBacks;
  const void *kCFTypeDictionaryValueCallBacks;
  const CFStringRef *kIOSurfaceWidth;
  const CFStringRef *kIOSurfaceHeight;
  const CFStringRef *kIOSurfaceBytesPerElement;
  const CFStringRef *kIOSurfacePixelFormat;
  const CFStringRef *kIOSurfaceIsGlobal;
};

/* The functions, opened once for the process; NULL where there are none. */
const struct iosurface_functions *iosurface_functions(void);

/* What is in a surface. */
struct iosurface_shape {
  uint32_t width, height;     /* pixels */
  uint32_t stride;            /* bytes; chosen by the system at creation */
  uint32_t format;            /* IOSURFACE_BGRA, IOSURFACE_RGBA or another */
  uint32_t bytes_per_element; /* 4 */
  uint32_t planes;            /* 0 or 1 for what can be used here */
};

/* Finds the surface `id`, which another process made. Returns 0; -ENOENT: there
 * is none, or it is not global; -ENOTSUP: this system has no IOSurface. *surface
 * is the caller's to iosurface_release; NULL on failure. */
int32_t iosurface_lookup(IOSurfaceID id, IOSurfaceRef *surface);

/* Makes a surface that other processes may look up by its id; `stride` and
 * `planes` of `shape` are not looked at. Returns 0, -ENOMEM or -ENOTSUP.
 * *surface is the caller's to iosurface_release; NULL on failure. */
int32_t iosurface_create(const struct iosurface_shape *shape, IOSurfaceRef *surface);

/* These four take a surface of the two above. */
void iosurface_release(IOSurfaceRef surface);
IOSurfaceID iosurface_id(IOSurfaceRef surface);

/* Asks the surface. Returns 0, or -EINVAL if its rows do not fit its memory, or
 * a figure does not fit its field. */
int32_t iosurface_describe(IOSurfaceRef surface, struct iosurface_shape *shape);

/* Waits for the GPU and makes the pixels readable by the CPU until
 * iosurface_unlock: *base is the first byte of the top row. Returns 0 or -EIO. */
int32_t iosurface_lock(IOSurfaceRef surface, const uint8_t **base);
void iosurface_unlock(IOSurfaceRef surface);

/* Where the frameworks are: iosurface_frameworks.c, or a stand-in of the tests. */
extern const char *const iosurface_library;
extern const char *const iosurface_corefoundation_library;

#endif
