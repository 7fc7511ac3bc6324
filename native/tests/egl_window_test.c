/* Tests of windows: Mesa on an X server without a screen, which this program starts.
 * It is skipped, and says so, where there is none. */
#include <dlfcn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "egl_rig.h"

typedef unsigned long XID;

/* The part of XImage that is looked at. Source: X11/Xlib.h. */
struct x_image {
  int width, height, xoffset, format;
  char *data;
  int byte_order, bitmap_unit, bitmap_bit_order, bitmap_pad, depth, bytes_per_line,
      bits_per_pixel;
};

static struct {
  int (*XInitThreads)(void);
  void *(*XOpenDisplay)(const char *name);
  XID (*XDefaultRootWindow)(void *display);
  XID (*XCreateSimpleWindow)(void *display, XID parent, int x, int y, unsigned width,
                             unsigned height, unsigned border, unsigned long border_colour,
                             unsigned long background);
  int (*XMapWindow)(void *display, XID window);
  int (*XResizeWindow)(void *display, XID window, unsigned width, unsigned height);
  int (*XDestroyWindow)(void *display, XID window);
  int (*XSync)(void *display, int discard);
  struct x_image *(*XGetImage)(void *display, XID drawable, int x, int y, unsigned width,
                               unsigned height, unsigned long planes, int format);
  int (*XFree)(void *data);
} x11;

static bool open_x11(void) {
  void *library = dlopen("libX11.so.6", RTLD_NOW);
  static const struct {
    const char *name;
    void *slot;
  } calls[] = {
    {"XInitThreads", &x11.XInitThreads},
    {"XOpenDisplay", &x11.XOpenDisplay},
    {"XDefaultRootWindow", &x11.XDefaultRootWindow},
    {"XCreateSimpleWindow", &x11.XCreateSimpleWindow},
    {"XMapWindow", &x11.XMapWindow},
    {"XResizeWindow", &x11.XResizeWindow},
    {"XDestroyWindow", &x11.XDestroyWindow},
    {"XSync", &x11.XSync},
    {"XGetImage", &x11.XGetImage},
    {"XFree", &x11.XFree},
  };
  for (size_t i = 0; library && i < COUNT(calls); i++) {
    void *address = dlsym(library, calls[i].name);
    require(address != NULL, calls[i].name);
    memcpy(calls[i].slot, &address, sizeof address);
  }
  return library != NULL;
}

/* Starts an X server. Returns its pid, or -1 if there is none to start; `display` is
 * then what its clients call it. */
static pid_t start_server(char display[16]) {
  int ends[2];
  char number[16];
  require(pipe(ends) == 0, "pipe");
  snprintf(number, sizeof number, "%d", ends[1]);
  pid_t pid = fork();
  require(pid >= 0, "fork");
  if (pid == 0) {
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO); /* whoever reads ours is not to wait for the server */
    dup2(nowhere, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execlp("Xvfb", "Xvfb", "-displayfd", number, "-screen", "0", "640x480x24", "-noreset", "-nolisten",
           "tcp", (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  size_t used = 1;
  display[0] = ':';
  while (used < 15 && read(ends[0], display + used, 1) == 1 && display[used] != '\n') used++;
  display[used] = '\0';
  close(ends[0]);
  if (used == 1) { /* it is not there, or could not start */
    waitpid(pid, NULL, 0);
    return -1;
  }
  return pid;
}

/* One for all tests, and never closed: EGL keeps what it knows of a display, by its address, which
 * another one may have once this is gone. */
static void *display;

/* A window with a context for it. */
struct window {
  void *display;
  XID id;
  struct utm_egl *egl;
};

static struct window open_window(unsigned width, unsigned height) {
  struct window window = {.display = display};
  window.id = x11.XCreateSimpleWindow(window.display, x11.XDefaultRootWindow(window.display),
                                      0, 0, width, height, 0, 0, 0xff00ff);
  x11.XMapWindow(window.display, window.id);
  x11.XSync(window.display, 0);
  int32_t opened = utm_shim_egl_open_window_system(UTM_EGL_MESA, NULL, UTM_WINDOW_X11,
                                                   window.display, &window.egl);
  CHECK_EQUAL(opened, 0);
  require(window.egl != NULL, "EGL on X");
  return window;
}

static int32_t present(const struct window *window, int32_t interval) {
  int32_t result = utm_shim_egl_present(window->egl, (void *)window->id, interval);
  x11.XSync(window->display, 0);
  return result;
}

static void close_window(struct window *window) {
  utm_shim_egl_close(window->egl);
  x11.XDestroyWindow(window->display, window->id);
}

/* A pixel of the window as 0xffRRGGBB. */
static uint32_t pixel_of(const struct window *window, int x, int y) {
  enum { Z_PIXMAP = 2 };
  struct x_image *image =
      x11.XGetImage(window->display, window->id, x, y, 1, 1, ~0ul, Z_PIXMAP);
  require(image && image->bits_per_pixel == 32, "XGetImage");
  uint32_t pixel;
  memcpy(&pixel, image->data, sizeof pixel);
  x11.XFree(image->data);
  x11.XFree(image);
  return pixel | 0xff000000;
}

/* How many pixels of the window are wrong, for a picture that has become `scale` times
 * as large from (left, top) on; black is around it. Looks at one row in seven. */
static int count_wrong_in_window(const struct window *window, int width, int height, int left,
                                 int top, int scale, const struct buffer *buffer,
                                 uint32_t seed) {
  int wrong = 0;
  for (int y = 0; y < height; y += 7) {
    for (int x = 0; x < width; x++) {
      int from_x = x < left ? -1 : (x - left) / scale;
      int from_y = y < top ? -1 : (y - top) / scale;
      bool inside = from_x >= 0 && from_y >= 0 && from_x < (int)buffer->width &&
                    from_y < (int)buffer->height;
      uint32_t wanted = inside ? colour(seed, (uint32_t)from_x, (uint32_t)from_y) : 0xff000000;
      if (pixel_of(window, x, y) != wanted) wrong++;
    }
  }
  return wrong;
}

static void test_present(void) {
  struct window window = open_window(128, 96);
  struct buffer buffer = simple_buffer(64, 48);
  CHECK_EQUAL(present(&window, 0), 0); /* nothing to show yet: black */
  CHECK_EQUAL(pixel_of(&window, 64, 48), 0xff000000);
  draw(&buffer, 1);
  CHECK_EQUAL(utm_shim_egl_import(window.egl, buffer.scanout), UTM_IMPORT_UPLOAD);
  CHECK_EQUAL(copy_all(window.egl, &buffer), 0);
  CHECK_EQUAL(present(&window, 1), 0);
  CHECK_EQUAL(count_wrong_in_window(&window, 128, 96, 0, 0, 2, &buffer, 1), 0);

  /* Copies and read-backs go on while there is a window. */
  draw(&buffer, 2);
  CHECK_EQUAL(copy_all(window.egl, &buffer), 0);
  CHECK(shows(window.egl, &buffer, 2));
  CHECK_EQUAL(present(&window, 0), 0);
  CHECK_EQUAL(count_wrong_in_window(&window, 128, 96, 0, 0, 2, &buffer, 2), 0);
  free_buffer(&buffer);
  close_window(&window);
}

/* Wider or higher than the picture: black at both sides. */
static void test_shapes_of_windows(void) {
  struct window window = open_window(200, 48);
  struct buffer buffer = simple_buffer(64, 48);
  draw(&buffer, 3);
  utm_shim_egl_import(window.egl, buffer.scanout);
  CHECK_EQUAL(copy_all(window.egl, &buffer), 0);
  CHECK_EQUAL(present(&window, 0), 0);
  CHECK_EQUAL(count_wrong_in_window(&window, 200, 48, 68, 0, 1, &buffer, 3), 0);
  x11.XResizeWindow(window.display, window.id, 64, 100);
  x11.XSync(window.display, 0);
  CHECK_EQUAL(present(&window, 0), 0); /* some drivers see the new size one frame late */
  CHECK_EQUAL(present(&window, 0), 0);
  CHECK_EQUAL(count_wrong_in_window(&window, 64, 100, 0, 26, 1, &buffer, 3), 0);
  x11.XResizeWindow(window.display, window.id, 33, 21); /* smoothed */
  x11.XSync(window.display, 0);
  CHECK_EQUAL(present(&window, 0), 0);
  CHECK_EQUAL(present(&window, 0), 0);
  free_buffer(&buffer);
  close_window(&window);
}

static void test_windows_that_come_and_go(void) {
  struct window window = open_window(64, 48);
  struct buffer buffer = simple_buffer(64, 48);
  utm_shim_egl_import(window.egl, buffer.scanout);
  for (uint32_t round = 0; round < 3; round++) {
    draw(&buffer, round);
    CHECK_EQUAL(copy_all(window.egl, &buffer), 0);
    CHECK_EQUAL(present(&window, 0), 0);
    CHECK_EQUAL(count_wrong_in_window(&window, 64, 48, 0, 0, 1, &buffer, round), 0);
    CHECK_EQUAL(utm_shim_egl_present(window.egl, NULL, 0), 0);
    CHECK_EQUAL(utm_shim_egl_present(window.egl, NULL, 0), 0);
    x11.XDestroyWindow(window.display, window.id);
    window.id = x11.XCreateSimpleWindow(window.display,
                                        x11.XDefaultRootWindow(window.display), 0, 0, 64, 48, 0,
                                        0, 0);
    x11.XMapWindow(window.display, window.id);
    x11.XSync(window.display, 0);
  }
  free_buffer(&buffer);
  close_window(&window);
}

static GLenum reset_once(void) {
  static int calls;
  return calls++ == 0 ? 0x8253 /* GL_GUILTY_CONTEXT_RESET */ : GL_NO_ERROR;
}

/* The window is shown in again after the context was lost. */
static void test_loss(void) {
  struct window window = open_window(64, 48);
  struct buffer buffer = simple_buffer(64, 48);
  draw(&buffer, 5);
  utm_shim_egl_import(window.egl, buffer.scanout);
  CHECK_EQUAL(copy_all(window.egl, &buffer), 0);
  CHECK_EQUAL(present(&window, 0), 0);
  window.egl->gl.glGetGraphicsResetStatusEXT = reset_once;
  window.egl->resets = true;
  draw(&buffer, 6);
  CHECK_EQUAL(utm_shim_egl_copy(window.egl, 0, 0, 1, 1, NULL), UTM_COPY_REMADE);
  CHECK_EQUAL(present(&window, 0), 0);
  CHECK_EQUAL(count_wrong_in_window(&window, 64, 48, 0, 0, 1, &buffer, 6), 0);
  free_buffer(&buffer);
  close_window(&window);
}

int main(void) {
  static void (*const tests[])(void) = {
    test_present, test_shapes_of_windows, test_windows_that_come_and_go, test_loss, NULL,
  };
  char display_name[16];
  pid_t server = open_x11() ? start_server(display_name) : -1;
  if (server < 0) {
    printf("native egl windows: 0 passed, 0 failed, 1 skipped\n");
    printf("  skipped: no libX11 or no Xvfb; deno task setup brings them\n");
    return 0;
  }
  x11.XInitThreads();
  display = x11.XOpenDisplay(display_name);
  require(display != NULL, "X display");
  struct window first = open_window(8, 8); /* has Mesa open what it keeps */
  present(&first, 0);
  close_window(&first);
  int status = run_tests("egl windows", tests);
  kill(server, SIGTERM);
  waitpid(server, NULL, 0);
  return status;
}
