/* The functions of EGL and OpenGL ES in use, as one table of pointers. */
#ifndef UTM_EGL_CALLS_H
#define UTM_EGL_CALLS_H

#include "gl_types.h"

/* Each is X(result, name, parameters). */

/* Without one of these nothing works. */
#define EGL_NEEDED(X)                                                                        \
  X(EGLBoolean, eglBindAPI, (EGLenum api))                                                   \
  X(EGLBoolean, eglChooseConfig,                                                             \
    (EGLDisplay, const EGLint *wanted, EGLConfig *configs, EGLint cap, EGLint *count))       \
  X(EGLContext, eglCreateContext,                                                            \
    (EGLDisplay, EGLConfig, EGLContext share, const EGLint *attributes))                     \
  X(EGLSurface, eglCreateWindowSurface,                                                      \
    (EGLDisplay, EGLConfig, EGLNative window, const EGLint *attributes))                     \
  X(EGLBoolean, eglDestroyContext, (EGLDisplay, EGLContext))                                 \
  X(EGLBoolean, eglDestroySurface, (EGLDisplay, EGLSurface))                                 \
  X(EGLBoolean, eglGetConfigAttrib, (EGLDisplay, EGLConfig, EGLint name, EGLint *value))     \
  X(EGLContext, eglGetCurrentContext, (void))                                                \
  X(EGLDisplay, eglGetDisplay, (EGLNative display))                                          \
  X(EGLint, eglGetError, (void))                                                             \
  X(EGLBoolean, eglInitialize, (EGLDisplay, EGLint *major, EGLint *minor))                   \
  X(EGLBoolean, eglMakeCurrent, (EGLDisplay, EGLSurface draw, EGLSurface read, EGLContext))  \
  X(EGLBoolean, eglQuerySurface, (EGLDisplay, EGLSurface, EGLint name, EGLint *value))       \
  X(const char *, eglQueryString, (EGLDisplay, EGLint name))                                 \
  X(EGLBoolean, eglReleaseThread, (void))                                                    \
  X(EGLBoolean, eglSwapBuffers, (EGLDisplay, EGLSurface))                                    \
  X(EGLBoolean, eglSwapInterval, (EGLDisplay, EGLint interval))                              \
  X(EGLBoolean, eglBindTexImage, (EGLDisplay, EGLSurface, EGLint buffer))                    \
  X(EGLBoolean, eglReleaseTexImage, (EGLDisplay, EGLSurface, EGLint buffer))                 \
  X(EGLSurface, eglCreatePbufferFromClientBuffer,                                            \
    (EGLDisplay, EGLenum type, void *buffer, EGLConfig, const EGLint *attributes))

#define GL_NEEDED(X)                                                                         \
  X(void, glAttachShader, (GLuint program, GLuint shader))                                   \
  X(void, glBindAttribLocation, (GLuint program, GLuint index, const GLchar *name))          \
  X(void, glBindBuffer, (GLenum target, GLuint buffer))                                      \
  X(void, glBindFramebuffer, (GLenum target, GLuint framebuffer))                            \
  X(void, glBindTexture, (GLenum target, GLuint texture))                                    \
  X(void, glBufferData, (GLenum target, GLsizeiptr size, const void *data, GLenum usage))    \
  X(GLenum, glCheckFramebufferStatus, (GLenum target))                                       \
  X(void, glClear, (GLbitfield mask))                                                        \
  X(void, glClearColor, (GLfloat red, GLfloat green, GLfloat blue, GLfloat alpha))           \
  X(void, glCompileShader, (GLuint shader))                                                  \
  X(GLuint, glCreateProgram, (void))                                                         \
  X(GLuint, glCreateShader, (GLenum type))                                                   \
  X(void, glDeleteBuffers, (GLsizei count, const GLuint *buffers))                           \
  X(void, glDeleteFramebuffers, (GLsizei count, const GLuint *framebuffers))                 \
  X(void, glDeleteProgram, (GLuint program))                                                 \
  X(void, glDeleteShader, (GLuint shader))                                                   \
  X(void, glDeleteTextures, (GLsizei count, const GLuint *textures))                         \
  X(void, glDrawArrays, (GLenum mode, GLint first, GLsizei count))                           \
  X(void, glEnableVertexAttribArray, (GLuint index))                                         \
  X(void, glFinish, (void))                                                                  \
  X(void, glFlush, (void))                                                                   \
  X(void, glFramebufferTexture2D,                                                            \
    (GLenum target, GLenum attachment, GLenum texture_target, GLuint texture, GLint level))  \
  X(void, glGenBuffers, (GLsizei count, GLuint *buffers))                                    \
  X(void, glGenFramebuffers, (GLsizei count, GLuint *framebuffers))                          \
  X(void, glGenTextures, (GLsizei count, GLuint *textures))                                  \
  X(GLenum, glGetError, (void))                                                              \
  X(void, glGetIntegerv, (GLenum name, GLint *value))                                        \
  X(void, glGetShaderiv, (GLuint shader, GLenum name, GLint *value))                         \
  X(void, glGetProgramiv, (GLuint program, GLenum name, GLint *value))                       \
  X(const uint8_t *, glGetString, (GLenum name))                                             \
  X(GLint, glGetUniformLocation, (GLuint program, const GLchar *name))                       \
  X(void, glLinkProgram, (GLuint program))                                                   \
  X(void, glPixelStorei, (GLenum name, GLint value))                                         \
  X(void, glReadPixels,                                                                      \
    (GLint x, GLint y, GLsizei w, GLsizei h, GLenum format, GLenum type, void *pixels))      \
  X(void, glShaderSource,                                                                    \
    (GLuint shader, GLsizei count, const GLchar *const *text, const GLint *lengths))         \
  X(void, glTexImage2D,                                                                      \
    (GLenum target, GLint level, GLint internal, GLsizei w, GLsizei h, GLint border,         \
     GLenum format, GLenum type, const void *pixels))                                        \
  X(void, glTexParameteri, (GLenum target, GLenum name, GLint value))                        \
  X(void, glTexSubImage2D,                                                                   \
    (GLenum target, GLint level, GLint x, GLint y, GLsizei w, GLsizei h, GLenum format,      \
     GLenum type, const void *pixels))                                                       \
  X(void, glUniform1i, (GLint location, GLint value))                                        \
  X(void, glUniform4f, (GLint location, GLfloat a, GLfloat b, GLfloat c, GLfloat d))         \
  X(void, glUseProgram, (GLuint program))                                                    \
  X(void, glVertexAttribPointer,                                                             \
    (GLuint index, GLint size, GLenum type, GLboolean normalized, GLsizei stride,            \
     const void *offset))                                                                    \
  X(void, glViewport, (GLint x, GLint y, GLsizei w, GLsizei h))

/* NULL where there are none; who calls one asks for its extension first, since
 * some libraries hand out pointers that do not work. */
#define EGL_OPTIONAL(X)                                                                      \
  X(EGLDisplay, eglGetPlatformDisplayEXT,                                                    \
    (EGLenum platform, EGLNative display, const EGLint *attributes))                         \
  X(EGLBoolean, eglQueryDevicesEXT, (EGLint cap, EGLDevice *devices, EGLint *count))         \
  X(const char *, eglQueryDeviceStringEXT, (EGLDevice, EGLint name))                         \
  X(EGLImage, eglCreateImageKHR,                                                             \
    (EGLDisplay, EGLContext, EGLenum target, void *buffer, const EGLint *attributes))        \
  X(EGLBoolean, eglDestroyImageKHR, (EGLDisplay, EGLImage))                                  \
  X(EGLBoolean, eglQueryDmaBufModifiersEXT,                                                  \
    (EGLDisplay, EGLint fourcc, EGLint cap, uint64_t *modifiers, EGLBoolean *external_only,  \
     EGLint *count))                                                                         \
  X(EGLBoolean, eglExportDMABUFImageQueryMESA,                                               \
    (EGLDisplay, EGLImage, int *fourcc, int *planes, uint64_t *modifiers))                   \
  X(EGLBoolean, eglExportDMABUFImageMESA,                                                    \
    (EGLDisplay, EGLImage, int *fds, EGLint *strides, EGLint *offsets))                      \
  X(EGLSync, eglCreateSyncKHR, (EGLDisplay, EGLenum type, const EGLint *attributes))         \
  X(EGLBoolean, eglDestroySyncKHR, (EGLDisplay, EGLSync))                                    \
  X(EGLint, eglClientWaitSyncKHR, (EGLDisplay, EGLSync, EGLint flags, uint64_t ns))          \
  X(void, glEGLImageTargetTexture2DOES, (GLenum target, EGLImage))                           \
  X(GLenum, glGetGraphicsResetStatusEXT, (void))

typedef void (*EGLCall)(void);

struct egl_calls {
  EGLCall (*eglGetProcAddress)(const char *name);
#define EGL_CALL(result, name, parameters) result(*name) parameters;
  EGL_NEEDED(EGL_CALL)
  GL_NEEDED(EGL_CALL)
  EGL_OPTIONAL(EGL_CALL)
#undef EGL_CALL
};

/* A pair of libraries by file name; they export what their kind always exports,
 * or give it through eglGetProcAddress. */
struct egl_library {
  const char *egl;
  const char *gles;
};

/* Opens the two in `folder` (NULL: as the system finds them) and fills *calls.
 * Returns 0; -ENOENT: cannot be opened; -ENOTSUP: lacks a function. They stay
 * open for as long as the process lives: drivers keep threads and thread-local
 * values that do not outlive their code, and a second open costs nothing. */
int32_t egl_load(const struct egl_library *library, const char *folder,
                 struct egl_calls *calls);

/* Whether `word` is in a list with spaces between; NULL lists nothing. */
int egl_lists(const char *list, const char *word);

#endif
