/* Inside the EGL part of the library. One context belongs to one thread; every
 * entry in utm_shim.h makes it current and then works through these.
 *
 *   scanout ──import──▶ source ──copy──▶ picture ──read, export, present──▶
 *
 * The source is the guest's buffer, as a texture where EGL can import it, as
 * mapped memory where not. The picture is our own texture: the top line first,
 * opaque, and whole once one copy was. */
#ifndef UTM_EGL_CONTEXT_H
#define UTM_EGL_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "egl_calls.h"
#include "iosurface.h"
#include "utm_shim.h"

/* -- Displays: egl_display_<platform>.c ----------------------------------- */

/* What to open a display for. */
struct egl_wish {
  int32_t api; /* UTM_EGL_* */
  const char *folder;
  const char *render_node;
  int32_t window_system; /* UTM_WINDOW_* */
  void *native_display;
};

/* Loads a library into *calls, and opens and initialises a display that answers
 * the wish best. Returns 0 or -errno. */
int32_t egl_open_display(const struct egl_wish *wish, struct egl_calls *calls,
                         EGLDisplay *display);

/* Waits until whoever writes into the buffer is done, at most `timeout_ms`, where
 * the kernel can tell. */
void egl_wait_for_writer(int fd, int32_t timeout_ms);

/* -- Drawing: egl_draw.c -------------------------------------------------- */

/* How a texture is sampled. */
enum egl_sampler { SAMPLER_2D, SAMPLER_EXTERNAL, SAMPLER_RECTANGLE, SAMPLERS };

struct egl_program {
  GLuint name; /* 0: not made yet */
  GLint part;  /* of its uniform */
};

struct egl_rect {
  uint32_t x, y, width, height;
};

/* A texture to draw from. */
struct egl_texture {
  GLuint name;
  enum egl_sampler sampler;
  uint32_t width, height; /* pixels */
  bool bottom_up;         /* its first row is the bottom line */
};

/* -- Sources: egl_import.c ------------------------------------------------ */

/* Images kept; guests that flip use two or three buffers in turn. */
enum { IMAGES = 4 };

/* An import, kept for the next scanout of the same buffer. */
struct egl_image {
  int fd; /* keeps the inode from being used again; -1: the entry is free */
  uint64_t id[2];
  uint32_t width, height, stride, fourcc;
  EGLImage image;
  struct egl_texture texture;
  uint64_t used; /* when, in imports */
};

enum egl_source_kind { SOURCE_NONE, SOURCE_IMAGE, SOURCE_SURFACE, SOURCE_MEMORY };

struct egl_source {
  enum egl_source_kind kind;
  struct utm_scanout *scanout;  /* held; NULL where the kind is SOURCE_NONE */
  struct egl_image *image;      /* SOURCE_IMAGE */
  EGLSurface surface;           /* SOURCE_SURFACE: a pbuffer over an IOSurface */
  struct egl_texture texture;   /* SOURCE_SURFACE: bound to it while it is drawn */
};

/* -- The picture: egl_picture.c ------------------------------------------- */

struct egl_picture {
  struct egl_texture texture; /* no name: there is none */
  GLenum format;              /* GL_BGRA, also in an IOSurface, or GL_RGBA */
  GLuint framebuffer;
  bool whole;  /* a copy of all of it has been made since the source changed */
  bool copied; /* and one at all, since it was made */

  IOSurfaceRef backing; /* where there are IOSurfaces */
  EGLSurface pbuffer;   /* over it, bound to the texture */

  /* UTM_EXPORT_MEMORY */
  int memory;           /* -1: not exported so */
  uint8_t *pixels;
  uint64_t size;        /* bytes */
  struct egl_rect stale; /* what has changed since `pixels` was filled */
};

/* -- All of it ------------------------------------------------------------ */

struct utm_egl {
  struct egl_calls gl;
  EGLDisplay display;
  EGLConfig config;
  EGLContext context;   /* NULL after it was lost and could not be made again */
  EGLint es;            /* major version */

  /* What there is. */
  bool images;          /* EGL_EXT_image_dma_buf_import with GL_OES_EGL_image */
  bool external;        /* GL_OES_EGL_image_external */
  bool modifiers;       /* EGL_EXT_image_dma_buf_import_modifiers */
  bool image_export;    /* EGL_MESA_image_dma_buf_export */
  bool surfaces;        /* EGL_ANGLE_iosurface_client_buffer */
  bool fences;          /* EGL_KHR_fence_sync */
  bool implicit_sync;   /* a copy that was submitted keeps its source until it is done */
  bool resets;          /* glGetGraphicsResetStatus */
  bool row_lengths;     /* GL_UNPACK_ROW_LENGTH */
  bool pack_lengths;    /* GL_PACK_ROW_LENGTH */
  bool bgra;            /* the picture can be BGRA, and is as a rule */
  bool read_bgra;       /* GL_EXT_read_format_bgra */
  GLint max_size;       /* pixels, of a texture */

  GLuint vertices;
  struct egl_program programs[SAMPLERS];

  struct egl_source source;
  struct egl_image kept[IMAGES];
  uint64_t imports;
  uint32_t *converted;  /* room for pixels in another order than the picture's */
  size_t converted_cap; /* pixels */
  struct egl_picture picture;

  bool windowed;        /* the display is that of a window system */
  EGLSurface window;
  void *native_window;  /* of `window` */
  EGLint window_interval;
};

/* egl.c: makes the context current for what follows; makes a new one where it was
 * lost. Returns 0 or -EIO. */
int32_t egl_enter(struct utm_egl *egl);

/* egl.c: says how the calls since egl_enter went: 0, -ENOMEM, or -EIO. A context
 * that is found lost is given up, and made again by the next egl_enter. */
int32_t egl_leave(struct utm_egl *egl);

/* egl_draw.c: draws all of `from`, scaled, onto `to` of the current framebuffer:
 * GL coordinates, where row 0 is the top line of the picture or the bottom line of
 * a window; `part` is what of `from` is drawn, from its top line down. `flip`: row 0
 * of `to` is the bottom line. Returns 0 or -EIO. */
int32_t egl_draw(struct utm_egl *egl, const struct egl_texture *from,
                 const struct egl_rect *part, const struct egl_rect *to, bool flip);
GLenum egl_texture_target(enum egl_sampler sampler);
GLuint egl_make_texture(struct utm_egl *egl, enum egl_sampler sampler);

/* egl_import.c: frees what the source has in GL, but holds on to its scanout; lets
 * go of that as well; frees the images that are kept. */
void egl_release_source(struct utm_egl *egl);
void egl_drop_source(struct utm_egl *egl);
void egl_drop_images(struct utm_egl *egl);
/* Imports the source's scanout again, for a new context. */
int32_t egl_restore_source(struct utm_egl *egl);

/* egl_surface_<platform>.c: IOSurfaces as textures, through ANGLE's pbuffers. What is
 * made is the caller's to destroy and to egl_release_surface. -ENOTSUP where there are
 * none. */
int32_t egl_wrap_surface(struct utm_egl *egl, IOSurfaceRef surface, EGLSurface *pbuffer,
                         enum egl_sampler *sampler);
int32_t egl_create_surface(uint32_t width, uint32_t height, IOSurfaceRef *surface);
uint32_t egl_surface_id(IOSurfaceRef surface);
void egl_release_surface(IOSurfaceRef surface);

/* egl_picture.c: makes the picture one for the source, unless it is. */
int32_t egl_fit_picture(struct utm_egl *egl, const struct utm_scanout *scanout);
void egl_drop_picture(struct utm_egl *egl);

/* egl_present.c: destroys the surface of the window, which must not be current. */
void egl_drop_window(struct utm_egl *egl);

/* egl_copy.c: whether the pixels of a scanout lie in memory as R, G, B or as B, G, R,
 * with a byte more. */
bool egl_is_rgba(const struct utm_scanout *scanout);
bool egl_is_bgra(const struct utm_scanout *scanout);

#endif
