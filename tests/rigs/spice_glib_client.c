/* What `deno task bench` compares our SPICE client with: the same work done by
 * libspice-client-glib.
 *
 *   spice_glib_client URI
 *
 * connects, links main and display, draws what comes on the library's own canvas,
 * and prints "up" as soon as there is a picture, or a GL scanout. GL draws are
 * acknowledged at once and nothing else is done with them: no client of this library
 * can be faster. Then each line on stdin is answered with one line of JSON:
 *
 *   {"updates": 1200, "pixels": 41472000, "bytes": 165000000, "scanouts": 0, "draws": 0}
 *
 * counted since the start: INVALIDATE signals and the pixels in them (the library
 * gives one for every draw on the primary surface), the bytes received on the
 * display channel, GL scanouts and GL draws. The end of stdin ends it. */
#include <spice-client.h>
#include <stdio.h>

static GMainLoop *loop;
static SpiceChannel *display;
static guint64 updates, pixels, scanouts, draws;
static gboolean is_up;

static void say(const char *line) {
  puts(line);
  fflush(stdout);
}

static void invalidated(SpiceChannel *channel, gint x, gint y, gint w, gint h, gpointer data) {
  (void)channel;
  (void)x;
  (void)y;
  (void)data;
  updates++;
  pixels += (guint64)w * (guint64)h;
}

static void tell_up(void) {
  if (is_up) return;
  is_up = TRUE;
  say("up");
}

static void marked(SpiceChannel *channel, gint mark, gpointer data) {
  (void)channel;
  (void)data;
  if (mark) tell_up();
}

static void gl_scanout_changed(GObject *channel, GParamSpec *property, gpointer data) {
  (void)channel;
  (void)property;
  (void)data;
  scanouts++;
  tell_up();
}

static void gl_drawn(SpiceDisplayChannel *channel, guint x, guint y, guint w, guint h,
                     gpointer data) {
  (void)x;
  (void)y;
  (void)w;
  (void)h;
  (void)data;
  draws++;
  spice_display_channel_gl_draw_done(channel);
}

static void channel_event(SpiceChannel *channel, SpiceChannelEvent event, gpointer data) {
  (void)channel;
  (void)data;
  if (event == SPICE_CHANNEL_OPENED) return;
  if (event == SPICE_CHANNEL_SWITCHING) return;
  fprintf(stderr, "spice_glib_client: channel event %d\n", (int)event);
  g_main_loop_quit(loop);
}

static void channel_new(SpiceSession *session, SpiceChannel *channel, gpointer data) {
  (void)session;
  (void)data;
  g_signal_connect(channel, "channel-event", G_CALLBACK(channel_event), NULL);
  if (!SPICE_IS_DISPLAY_CHANNEL(channel)) return;
  display = channel;
  g_signal_connect(channel, "display-invalidate", G_CALLBACK(invalidated), NULL);
  g_signal_connect(channel, "display-mark", G_CALLBACK(marked), NULL);
  g_signal_connect(channel, "notify::gl-scanout", G_CALLBACK(gl_scanout_changed), NULL);
  g_signal_connect(channel, "gl-draw", G_CALLBACK(gl_drawn), NULL);
  spice_channel_connect(channel);
}

static void report(void) {
  gulong bytes = 0;
  if (display) g_object_get(display, "total-read-bytes", &bytes, NULL);
  printf("{\"updates\": %" G_GUINT64_FORMAT ", \"pixels\": %" G_GUINT64_FORMAT
         ", \"bytes\": %lu, \"scanouts\": %" G_GUINT64_FORMAT
         ", \"draws\": %" G_GUINT64_FORMAT "}\n",
         updates, pixels, bytes, scanouts, draws);
  fflush(stdout);
}

static gboolean stdin_ready(GIOChannel *from, GIOCondition condition, gpointer data) {
  (void)condition;
  (void)data;
  gchar *line = NULL;
  if (g_io_channel_read_line(from, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
  }
  g_free(line);
  report();
  return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fputs("usage: spice_glib_client URI\n", stderr);
    return 2;
  }
  loop = g_main_loop_new(NULL, FALSE);
  SpiceSession *session = spice_session_new();
  /* As our client asks: no audio, no sharing of devices, no caches. */
  g_object_set(session, "uri", argv[1], "enable-audio", FALSE, "enable-usbredir", FALSE,
               "enable-smartcard", FALSE, "cache-size", 0, "glz-window-size", 0, NULL);
  g_signal_connect(session, "channel-new", G_CALLBACK(channel_new), NULL);
  GIOChannel *commands = g_io_channel_unix_new(0);
  g_io_add_watch(commands, G_IO_IN | G_IO_HUP, stdin_ready, NULL);
  if (!spice_session_connect(session)) {
    fputs("spice_glib_client: cannot connect\n", stderr);
    return 1;
  }
  g_main_loop_run(loop);
  spice_session_disconnect(session);
  g_io_channel_unref(commands);
  g_object_unref(session);
  g_main_loop_unref(loop);
  return 0;
}
