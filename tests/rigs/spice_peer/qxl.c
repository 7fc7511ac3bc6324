/* Displays: what a QXL device is to libspice-server, without the PCI. */
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  RING_SIZE = 64,
  /* A worker that takes nothing for so long has no client that reads: longer than the watchdog
   * needs for one that loops, which gets little of a busy machine's time. */
  PATIENCE_S = 110,
  MEMSLOT_GROUP = 0,
  FIRST_MARK = 0x100, /* more heads than any guest has */
  MARKS = 0xff00,
};

struct block {
  struct block *next;
  max_align_t bytes[];
};

struct arena {
  struct block *blocks;
  uint8_t *surface_memory; /* freed with it: the memory of a destroyed surface */
};

struct ring {
  QXLCommandExt commands[RING_SIZE];
  uint32_t head, count;
  bool wants_wakeup;
};

struct display {
  QXLInstance instance;
  pthread_mutex_t mutex;
  pthread_cond_t changed; /* a command taken or released, an async call complete */
  struct ring draws, cursors; /* under the mutex, as all below up to `caps` */
  int held;
  uint64_t completed; /* the cookie of the last async call that is complete */
  int caps;
  uint64_t cookie; /* the command thread's, as all below */
  struct surface surfaces[MAX_SURFACES];
  QXLHead heads[MAX_HEADS];
  uint16_t head_count, max_allowed;
  uint32_t marks;
};

static struct display displays[MAX_DISPLAYS];
static int display_count;

struct arena *arena_new(void) { return zalloc(sizeof(struct arena)); }

void *arena_alloc(struct arena *arena, size_t size) {
  struct block *block = zalloc(sizeof *block + size);
  block->next = arena->blocks;
  arena->blocks = block;
  return block->bytes;
}

void arena_free(struct arena *arena) {
  for (struct block *block = arena->blocks, *next; block; block = next) {
    next = block->next;
    free(block);
  }
  free(arena->surface_memory);
  free(arena);
}

static struct display *of_instance(QXLInstance *instance) {
  return (struct display *)((char *)instance - offsetof(struct display, instance));
}

static void wait_changed(struct display *display, const char *what) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  if (pthread_cond_timedwait(&display->changed, &display->mutex, &until) == ETIMEDOUT) {
    die("%s: the server has done nothing for %d s", what, PATIENCE_S);
  }
}

/* ---- what the worker calls ---- */

static void attached(QXLInstance *instance) { (void)instance; }

static void set_compression_level(QXLInstance *instance, int level) {
  (void)instance;
  (void)level;
}

static void get_init_info(QXLInstance *instance, QXLDevInitInfo *info) {
  (void)instance;
  memset(info, 0, sizeof *info);
  info->num_memslots_groups = 1;
  info->num_memslots = 1;
  info->memslot_gen_bits = 1;
  info->memslot_id_bits = 1;
  info->n_surfaces = MAX_SURFACES;
}

static int ring_take(struct display *display, struct ring *ring, QXLCommandExt *command) {
  watchdog_beat();
  pthread_mutex_lock(&display->mutex);
  int taken = ring->count > 0;
  if (taken) {
    *command = ring->commands[ring->head];
    ring->head = (ring->head + 1) % RING_SIZE;
    ring->count--;
    pthread_cond_broadcast(&display->changed);
  }
  pthread_mutex_unlock(&display->mutex);
  return taken;
}

static int ring_is_idle(struct display *display, struct ring *ring) {
  watchdog_beat();
  pthread_mutex_lock(&display->mutex);
  int idle = ring->count == 0;
  ring->wants_wakeup = idle;
  pthread_mutex_unlock(&display->mutex);
  return idle;
}

static int get_command(QXLInstance *instance, QXLCommandExt *command) {
  struct display *display = of_instance(instance);
  return ring_take(display, &display->draws, command);
}

static int req_cmd_notification(QXLInstance *instance) {
  struct display *display = of_instance(instance);
  return ring_is_idle(display, &display->draws);
}

static int get_cursor_command(QXLInstance *instance, QXLCommandExt *command) {
  struct display *display = of_instance(instance);
  return ring_take(display, &display->cursors, command);
}

static int req_cursor_notification(QXLInstance *instance) {
  struct display *display = of_instance(instance);
  return ring_is_idle(display, &display->cursors);
}

static void release_resource(QXLInstance *instance, QXLReleaseInfoExt info) {
  struct display *display = of_instance(instance);
  arena_free((struct arena *)(uintptr_t)info.info->id);
  pthread_mutex_lock(&display->mutex);
  display->held--;
  pthread_cond_broadcast(&display->changed);
  pthread_mutex_unlock(&display->mutex);
}

static void notify_update(QXLInstance *instance, uint32_t update_id) {
  (void)instance;
  (void)update_id;
}

static int flush_resources(QXLInstance *instance) {
  (void)instance;
  return 0;
}

static void async_complete(QXLInstance *instance, uint64_t cookie) {
  if (cookie & GL_COOKIE) {
    gl_draw_complete(instance->id);
    return;
  }
  struct display *display = of_instance(instance);
  pthread_mutex_lock(&display->mutex);
  display->completed = cookie;
  pthread_cond_broadcast(&display->changed);
  pthread_mutex_unlock(&display->mutex);
}

static void update_area_complete(QXLInstance *instance, uint32_t surface_id, QXLRect *rects,
                                 uint32_t count) {
  (void)instance;
  (void)surface_id;
  (void)rects;
  (void)count;
}

static void set_client_capabilities(QXLInstance *instance, uint8_t present,
                                    uint8_t caps[SPICE_CAPABILITIES_SIZE]) {
  struct display *display = of_instance(instance);
  pthread_mutex_lock(&display->mutex);
  display->caps = present ? caps[0] | caps[1] << 8 : -1;
  pthread_mutex_unlock(&display->mutex);
}

static int client_monitors_config(QXLInstance *instance, VDAgentMonitorsConfig *config) {
  if (!config) return 1;
  char text[1024] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < config->num_of_monitors && used < sizeof text - 64; i++) {
    const VDAgentMonConfig *head = &config->monitors[i];
    used += (size_t)snprintf(text + used, sizeof text - used, " %ux%u+%d+%d", head->width,
                             head->height, head->x, head->y);
  }
  say("event monitors %d%s", instance->id, text);
  return 1;
}

static QXLInterface interface = {
    .base = {SPICE_INTERFACE_QXL, "peer", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR},
    .attached_worker = attached,
    .set_compression_level = set_compression_level,
    .get_init_info = get_init_info,
    .get_command = get_command,
    .req_cmd_notification = req_cmd_notification,
    .release_resource = release_resource,
    .get_cursor_command = get_cursor_command,
    .req_cursor_notification = req_cursor_notification,
    .notify_update = notify_update,
    .flush_resources = flush_resources,
    .async_complete = async_complete,
    .update_area_complete = update_area_complete,
    .set_client_capabilities = set_client_capabilities,
    .client_monitors_config = client_monitors_config,
};

/* ---- what the command thread calls ---- */

struct display *display_at(int index) {
  return index >= 0 && index < display_count ? &displays[index] : NULL;
}

QXLInstance *display_instance(struct display *display) { return &display->instance; }

/* So that the server leaves the number of a mark as it is. What replaces this
 * function takes at most 16. */
static void allow_any_count(QXLInstance *instance) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  spice_qxl_set_max_monitors(instance, UINT16_MAX);
#pragma GCC diagnostic pop
}

struct display *display_add(SpiceServer *server, int index) {
  struct display *display = &displays[index];
  display->instance.base.sif = &interface.base;
  display->instance.id = index;
  display->caps = -1;
  pthread_mutex_init(&display->mutex, NULL);
  pthread_cond_init(&display->changed, NULL);
  if (spice_server_add_interface(server, &display->instance.base) != 0) {
    die("the server takes no display %d", index);
  }
  spice_qxl_set_device_info(&display->instance, index == 0 ? "pci/0000/02.0" : "pci/0000/03.0", 0,
                            1);
  allow_any_count(&display->instance);
  /* Addresses of the device are addresses of this process. */
  QXLDevMemSlot slot = {
      .slot_group_id = MEMSLOT_GROUP, .virt_start = 0, .virt_end = ~(uintptr_t)0};
  spice_qxl_add_memslot(&display->instance, &slot);
  display_count = index + 1;
  return display;
}

struct surface *display_surface(struct display *display, uint32_t id) {
  return id < MAX_SURFACES && display->surfaces[id].live ? &display->surfaces[id] : NULL;
}

static void ring_put(struct display *display, struct ring *ring, struct arena *arena, uint32_t type,
                     void *data) {
  QXLReleaseInfo *info = data; /* every command begins with it */
  info->id = (uintptr_t)arena;
  QXLCommandExt command = {.cmd = {.data = (uintptr_t)data, .type = type},
                           .group_id = MEMSLOT_GROUP};
  pthread_mutex_lock(&display->mutex);
  while (ring->count == RING_SIZE) wait_changed(display, "queueing a command");
  ring->commands[(ring->head + ring->count++) % RING_SIZE] = command;
  display->held++;
  bool wakeup = ring->wants_wakeup;
  ring->wants_wakeup = false;
  pthread_mutex_unlock(&display->mutex);
  if (wakeup) spice_qxl_wakeup(&display->instance);
}

void display_queue(struct display *display, struct arena *arena, uint32_t type, void *data) {
  ring_put(display, &display->draws, arena, type, data);
}

void display_queue_cursor(struct display *display, struct arena *arena, void *data) {
  ring_put(display, &display->cursors, arena, QXL_CMD_CURSOR, data);
}

void display_drain(struct display *display) {
  pthread_mutex_lock(&display->mutex);
  while (display->draws.count > 0 || display->cursors.count > 0) {
    wait_changed(display, "waiting for the ring");
  }
  pthread_mutex_unlock(&display->mutex);
}

int display_held(struct display *display) {
  pthread_mutex_lock(&display->mutex);
  int held = display->held;
  pthread_mutex_unlock(&display->mutex);
  return held;
}

int display_client_caps(struct display *display) {
  pthread_mutex_lock(&display->mutex);
  int caps = display->caps;
  pthread_mutex_unlock(&display->mutex);
  return caps;
}

static void create_primary(struct display *display, const struct surface *surface) {
  QXLDevSurfaceCreate create = {
      .width = surface->width,
      .height = surface->height,
      .stride = surface->stride,
      .format = surface->format,
      .mouse_mode = 1,
      .type = QXL_SURF_TYPE_PRIMARY,
      .mem = (uintptr_t)surface->memory,
      .group_id = MEMSLOT_GROUP,
  };
  spice_qxl_create_primary_surface(&display->instance, 0, &create);
}

static void create_offscreen(struct display *display, uint32_t id, const struct surface *surface) {
  struct arena *arena = arena_new();
  QXLSurfaceCmd *command = arena_alloc(arena, sizeof *command);
  command->surface_id = id;
  command->type = QXL_SURFACE_CMD_CREATE;
  command->u.surface_create.format = surface->format;
  command->u.surface_create.width = surface->width;
  command->u.surface_create.height = surface->height;
  command->u.surface_create.stride = surface->stride;
  command->u.surface_create.data = (uintptr_t)surface->memory;
  display_queue(display, arena, QXL_CMD_SURFACE, command);
}

static int format_bytes(uint32_t format) {
  switch (format) {
    case SPICE_SURFACE_FMT_32_xRGB:
    case SPICE_SURFACE_FMT_32_ARGB:
      return 4;
    case SPICE_SURFACE_FMT_16_555:
    case SPICE_SURFACE_FMT_16_565:
      return 2;
    case SPICE_SURFACE_FMT_8_A:
      return 1;
    default:
      return 0;
  }
}

const char *display_create(struct display *display, uint32_t id, uint32_t width, uint32_t height,
                           uint32_t format, bool bottom_up) {
  if (id >= MAX_SURFACES) return "no such surface id";
  if (width < 1 || height < 1 || width > 16384 || height > 16384) return "no such size";
  if (format_bytes(format) == 0) return "no such format";
  if (display->surfaces[id].live) {
    const char *error = display_destroy(display, id);
    if (error) return error;
  }
  struct surface *surface = &display->surfaces[id];
  uint32_t stride = (width * (uint32_t)format_bytes(format) + 3) / 4 * 4;
  *surface = (struct surface){
      .live = true,
      .width = width,
      .height = height,
      .format = format,
      .stride = bottom_up ? -(int32_t)stride : (int32_t)stride,
      .memory = zalloc((size_t)stride * height),
      .shadow = shadow_new(width, height, format),
      .shadow_known = true,
  };
  if (id == 0) {
    create_primary(display, surface);
  } else {
    create_offscreen(display, id, surface);
  }
  return NULL;
}

const char *display_destroy(struct display *display, uint32_t id) {
  struct surface *surface = display_surface(display, id);
  if (!surface) return "no such surface";
  if (id == 0) {
    display_drain(display);
    spice_qxl_destroy_primary_surface(&display->instance, 0);
    free(surface->memory);
  } else {
    struct arena *arena = arena_new();
    arena->surface_memory = surface->memory;
    QXLSurfaceCmd *command = arena_alloc(arena, sizeof *command);
    command->surface_id = id;
    command->type = QXL_SURFACE_CMD_DESTROY;
    display_queue(display, arena, QXL_CMD_SURFACE, command);
  }
  if (surface->shadow) pixman_image_unref(surface->shadow);
  memset(surface, 0, sizeof *surface);
  return NULL;
}

void display_destroy_all(struct display *display) {
  display_drain(display);
  if (display->surfaces[0].live) display_destroy(display, 0);
  spice_qxl_destroy_surfaces(&display->instance);
  for (int id = 1; id < MAX_SURFACES; id++) {
    struct surface *surface = &display->surfaces[id];
    if (!surface->live) continue;
    free(surface->memory);
    if (surface->shadow) pixman_image_unref(surface->shadow);
    memset(surface, 0, sizeof *surface);
  }
}

void display_update(struct display *display, uint32_t id) {
  struct surface *surface = display_surface(display, id);
  display_drain(display);
  QXLRect area = {.right = (int32_t)surface->width, .bottom = (int32_t)surface->height};
  spice_qxl_update_area(&display->instance, id, &area, NULL, 0, 1);
}

static void announce(struct display *display) {
  struct arena *arena = arena_new();
  QXLMonitorsConfig *config =
      arena_alloc(arena, sizeof *config + display->head_count * sizeof(QXLHead));
  config->count = display->head_count;
  config->max_allowed = display->max_allowed;
  memcpy(config->heads, display->heads, display->head_count * sizeof(QXLHead));
  display_drain(display);
  spice_qxl_monitors_config_async(&display->instance, (uintptr_t)config, MEMSLOT_GROUP,
                                  ++display->cookie);
  pthread_mutex_lock(&display->mutex);
  while (display->completed < display->cookie) wait_changed(display, "announcing heads");
  pthread_mutex_unlock(&display->mutex);
  arena_free(arena);
}

void display_monitors(struct display *display, const QXLHead *heads, uint16_t count,
                      uint16_t max_allowed) {
  memcpy(display->heads, heads, count * sizeof *heads);
  display->head_count = count;
  display->max_allowed = max_allowed;
  announce(display);
}

uint32_t display_mark(struct display *display) {
  struct surface *primary = display_surface(display, 0);
  if (display->head_count == 0) {
    display->head_count = 1;
    display->max_allowed = 1;
  }
  if (display->head_count == 1 && primary) {
    display->heads[0].width = primary->width;
    display->heads[0].height = primary->height;
  }
  display->max_allowed = FIRST_MARK + display->marks++ % MARKS;
  announce(display);
  return display->max_allowed;
}
