/* Drawing one texture onto another, or onto a window. */
#include "egl_context.h"

#include <errno.h>
#include <stdio.h>

/* A square that fills the viewport. */
static const GLfloat corners[] = {0, 0, 1, 0, 0, 1, 1, 1};

/* `part` turns 0..1 into texture coordinates: offset x, y, scale x, y. */
static const char *const vertex_text =
    "#version 100\n"
    "attribute vec2 corner;\n"
    "uniform vec4 part;\n"
    "varying vec2 at;\n"
    "void main() {\n"
    "  at = part.xy + corner * part.zw;\n"
    "  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);\n"
    "}\n";

struct sampler_words {
  GLenum target;
  const char *extension, *type, *function;
};

static const struct sampler_words samplers[SAMPLERS] = {
  [SAMPLER_2D] = {GL_TEXTURE_2D, "", "sampler2D", "texture2D"},
  [SAMPLER_EXTERNAL] = {GL_TEXTURE_EXTERNAL,
                        "#extension GL_OES_EGL_image_external : require\n",
                        "samplerExternalOES", "texture2D"},
  [SAMPLER_RECTANGLE] = {GL_TEXTURE_RECTANGLE,
                         "#extension GL_ARB_texture_rectangle : require\n",
                         "sampler2DRect", "texture2DRect"},
};

GLenum egl_texture_target(enum egl_sampler sampler) {
  return samplers[sampler].target;
}

GLuint egl_make_texture(struct utm_egl *egl, enum egl_sampler sampler) {
  GLenum target = samplers[sampler].target;
  GLuint name = 0;
  egl->gl.glGenTextures(1, &name);
  egl->gl.glBindTexture(target, name);
  egl->gl.glTexParameteri(target, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
  egl->gl.glTexParameteri(target, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
  egl->gl.glTexParameteri(target, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  egl->gl.glTexParameteri(target, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
  return name;
}

static GLuint compile(const struct egl_calls *gl, GLenum type, const char *text) {
  GLuint shader = gl->glCreateShader(type);
  GLint compiled = 0;
  gl->glShaderSource(shader, 1, &text, NULL);
  gl->glCompileShader(shader);
  gl->glGetShaderiv(shader, GL_COMPILE_STATUS, &compiled);
  if (compiled) return shader;
  gl->glDeleteShader(shader);
  return 0;
}

static GLuint link_program(const struct egl_calls *gl, const char *fragment_text) {
  GLuint vertex = compile(gl, GL_VERTEX_SHADER, vertex_text);
  GLuint fragment = compile(gl, GL_FRAGMENT_SHADER, fragment_text);
  GLuint program = vertex && fragment ? gl->glCreateProgram() : 0;
  if (program) {
    GLint linked = 0;
    gl->glAttachShader(program, vertex);
    gl->glAttachShader(program, fragment);
    gl->glBindAttribLocation(program, 0, "corner");
    gl->glLinkProgram(program);
    gl->glGetProgramiv(program, GL_LINK_STATUS, &linked);
    if (!linked) {
      gl->glDeleteProgram(program);
      program = 0;
    }
  }
  gl->glDeleteShader(vertex); /* the program keeps them; 0 is ignored */
  gl->glDeleteShader(fragment);
  return program;
}

/* The program for one kind of texture, made when it is met first. */
static const struct egl_program *program_for(struct utm_egl *egl,
                                             const struct egl_texture *from) {
  struct egl_program *program = &egl->programs[from->sampler];
  if (program->name) return program;
  const struct sampler_words *words = &samplers[from->sampler];
  char text[512];
  /* Alpha is whatever the guest left there, and means nothing. mediump would not
   * tell the pixels of a wide screen apart. */
  snprintf(text, sizeof text,
           "#version 100\n"
           "%s"
           "precision highp float;\n"
           "varying vec2 at;\n"
           "uniform %s source;\n"
           "void main() { gl_FragColor = vec4(%s(source, at).rgb, 1.0); }\n",
           words->extension, words->type, words->function);
  program->name = link_program(&egl->gl, text);
  if (!program->name) return NULL;
  program->part = egl->gl.glGetUniformLocation(program->name, "part");
  egl->gl.glUseProgram(program->name);
  egl->gl.glUniform1i(egl->gl.glGetUniformLocation(program->name, "source"), 0);
  return program;
}

int32_t egl_draw(struct utm_egl *egl, const struct egl_texture *from,
                 const struct egl_rect *part, const struct egl_rect *to, bool flip) {
  const struct egl_program *program = program_for(egl, from);
  if (!program) return -EIO;

  /* Texture coordinates are pixels for a rectangle, else 0..1. */
  bool pixels = from->sampler == SAMPLER_RECTANGLE;
  GLfloat x_unit = pixels ? 1 : 1 / (GLfloat)from->width;
  GLfloat y_unit = pixels ? 1 : 1 / (GLfloat)from->height;
  GLfloat x = (GLfloat)part->x, y = (GLfloat)part->y;
  GLfloat width = (GLfloat)part->width, height = (GLfloat)part->height;
  if (from->bottom_up) {
    y = (GLfloat)from->height - y;
    height = -height;
  }
  if (flip) {
    y += height;
    height = -height;
  }

  const struct egl_calls *gl = &egl->gl;
  gl->glBindTexture(egl_texture_target(from->sampler), from->name);
  gl->glUseProgram(program->name);
  gl->glUniform4f(program->part, x * x_unit, y * y_unit, width * x_unit, height * y_unit);
  gl->glViewport((GLint)to->x, (GLint)to->y, (GLsizei)to->width, (GLsizei)to->height);
  if (!egl->vertices) {
    gl->glGenBuffers(1, &egl->vertices);
    gl->glBindBuffer(GL_ARRAY_BUFFER, egl->vertices);
    gl->glBufferData(GL_ARRAY_BUFFER, sizeof corners, corners, GL_STATIC_DRAW);
    gl->glVertexAttribPointer(0, 2, GL_FLOAT, 0, 0, NULL);
    gl->glEnableVertexAttribArray(0);
  }
  gl->glDrawArrays(GL_TRIANGLE_STRIP, 0, 4);
  return 0;
}
