/* The SPICE server: its main loop on GLib, its listener, its clients. */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct SpiceTimer {
  SpiceTimerFunc call;
  void *opaque;
  GSource *source; /* while it runs */
};

struct SpiceWatch {
  SpiceWatchFunc call;
  void *opaque;
  int fd;
  GSource *source; /* while it watches for anything */
};

static GMainLoop *loop;
static SpiceServer *server;
static uint16_t listening_port;
static int listener = -1;

static void drop_source(GSource **source) {
  if (!*source) return;
  g_source_destroy(*source);
  g_source_unref(*source);
  *source = NULL;
}

static SpiceTimer *timer_add(SpiceTimerFunc call, void *opaque) {
  SpiceTimer *timer = zalloc(sizeof *timer);
  timer->call = call;
  timer->opaque = opaque;
  return timer;
}

static gboolean timer_fired(void *data) {
  SpiceTimer *timer = data;
  drop_source(&timer->source);
  timer->call(timer->opaque); /* may start or remove the timer */
  return G_SOURCE_REMOVE;
}

static void timer_cancel(SpiceTimer *timer) { drop_source(&timer->source); }

static void timer_start(SpiceTimer *timer, uint32_t ms) {
  timer_cancel(timer);
  timer->source = g_timeout_source_new(ms);
  g_source_set_callback(timer->source, timer_fired, timer, NULL);
  g_source_attach(timer->source, NULL);
}

static void timer_remove(SpiceTimer *timer) {
  timer_cancel(timer);
  free(timer);
}

static gboolean watch_fired(int fd, GIOCondition condition, void *data) {
  SpiceWatch *watch = data;
  int events = (condition & (G_IO_IN | G_IO_HUP | G_IO_ERR) ? SPICE_WATCH_EVENT_READ : 0) |
               (condition & G_IO_OUT ? SPICE_WATCH_EVENT_WRITE : 0);
  watch->call(fd, events, watch->opaque); /* may remove the watch */
  return G_SOURCE_CONTINUE;
}

static void watch_update_mask(SpiceWatch *watch, int mask) {
  drop_source(&watch->source);
  if (mask == 0) return;
  GIOCondition condition = (mask & SPICE_WATCH_EVENT_READ ? G_IO_IN | G_IO_HUP | G_IO_ERR : 0) |
                           (mask & SPICE_WATCH_EVENT_WRITE ? G_IO_OUT : 0);
  watch->source = g_unix_fd_source_new(watch->fd, condition);
  g_source_set_callback(watch->source, G_SOURCE_FUNC(watch_fired), watch, NULL);
  g_source_attach(watch->source, NULL);
}

static SpiceWatch *watch_add(int fd, int mask, SpiceWatchFunc call, void *opaque) {
  SpiceWatch *watch = zalloc(sizeof *watch);
  watch->call = call;
  watch->opaque = opaque;
  watch->fd = fd;
  watch_update_mask(watch, mask);
  return watch;
}

static void watch_remove(SpiceWatch *watch) {
  drop_source(&watch->source);
  free(watch);
}

static void channel_event(int event, SpiceChannelEventInfo *info) {
  static const char *const names[] = {"", "connected", "initialized", "disconnected"};
  if (event < 1 || event > 3) return;
  say("event channel %s %d %d", names[event], info->type, info->id);
}

static SpiceCoreInterface core = {
    .base = {SPICE_INTERFACE_CORE, "peer", SPICE_INTERFACE_CORE_MAJOR, SPICE_INTERFACE_CORE_MINOR},
    .timer_add = timer_add,
    .timer_start = timer_start,
    .timer_cancel = timer_cancel,
    .timer_remove = timer_remove,
    .watch_add = watch_add,
    .watch_update_mask = watch_update_mask,
    .watch_remove = watch_remove,
    .channel_event = channel_event,
};

static gboolean accept_client(int fd, GIOCondition condition, void *data) {
  (void)condition;
  (void)data;
  int client = accept(fd, NULL, NULL);
  if (client < 0) return G_SOURCE_CONTINUE; /* it has gone already */
  int on = 1;
  setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (spice_server_add_client(server, client, 0) != 0) close(client);
  return G_SOURCE_CONTINUE;
}

/* TCP: a listener of ours, since the server does not tell a port that the system
 * has chosen. */
static void listen_tcp(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
      listen(listener, 16) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
    die("cannot listen on the loopback: %s", strerror(errno));
  }
  listening_port = ntohs(address.sin_port);
  g_unix_fd_add(listener, G_IO_IN, accept_client, NULL);
}

uint16_t server_port(void) { return listening_port; }

SpiceServer *server_start(const struct options *options) {
  loop = g_main_loop_new(NULL, FALSE);
  server = spice_server_new();
  if (options->unix_path) {
    struct sockaddr_un address; /* a longer path would be cut by the server, in silence */
    if (strlen(options->unix_path) >= sizeof address.sun_path) {
      die("%s is too long for a socket", options->unix_path);
    }
    spice_server_set_addr(server, options->unix_path, SPICE_ADDR_FLAG_UNIX_ONLY);
  }
  if (options->password) {
    spice_server_set_ticket(server, options->password, 0, 0, 0);
  } else {
    spice_server_set_noauth(server);
  }
  spice_server_set_name(server, "peer");
  spice_server_set_image_compression(server, SPICE_IMAGE_COMPRESSION_OFF);
  spice_server_set_jpeg_compression(server, SPICE_WAN_COMPRESSION_NEVER);
  spice_server_set_zlib_glz_compression(server, SPICE_WAN_COMPRESSION_NEVER);
  spice_server_set_streaming_video(server, SPICE_STREAM_VIDEO_OFF);
  spice_server_set_playback_compression(server, 0);
  if (spice_server_init(server, &core) != 0) die("libspice-server does not start");
  if (!options->unix_path) listen_tcp(options->port);
  return server;
}

void server_run(void) {
  g_main_loop_run(loop);
  spice_server_destroy(server);
  if (listener >= 0) close(listener);
  g_main_loop_unref(loop);
}

void server_quit(void) { g_main_loop_quit(loop); }

struct errand {
  void (*call)(void *);
  void *argument;
  GMutex mutex;
  GCond done;
  bool is_done;
};

static gboolean run_errand(void *data) {
  struct errand *errand = data;
  errand->call(errand->argument);
  g_mutex_lock(&errand->mutex);
  errand->is_done = true;
  g_cond_signal(&errand->done);
  g_mutex_unlock(&errand->mutex);
  return G_SOURCE_REMOVE;
}

void on_main(void (*call)(void *), void *argument) {
  struct errand errand = {.call = call, .argument = argument};
  g_mutex_init(&errand.mutex);
  g_cond_init(&errand.done);
  g_idle_add_full(G_PRIORITY_DEFAULT, run_errand, &errand, NULL);
  g_mutex_lock(&errand.mutex);
  while (!errand.is_done) g_cond_wait(&errand.done, &errand.mutex);
  g_mutex_unlock(&errand.mutex);
  g_mutex_clear(&errand.mutex);
  g_cond_clear(&errand.done);
}
