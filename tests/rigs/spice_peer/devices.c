/* Input devices, which print what reaches the guest; cursors; character devices,
 * whose guest's side is the command thread. */
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <spice/protocol.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHARDEVS = 16, LINE_BYTES = 1024 };

/* ---- input ---- */

static uint8_t leds; /* as the guest has them; main thread */

static void push_key(SpiceKbdInstance *keyboard, uint8_t byte) {
  (void)keyboard;
  say("event key %02x", byte);
}

static uint8_t get_leds(SpiceKbdInstance *keyboard) {
  (void)keyboard;
  return leds;
}

static void mouse_motion(SpiceMouseInstance *mouse, int dx, int dy, int dz, uint32_t buttons) {
  (void)mouse;
  say("event motion %d %d %d %x", dx, dy, dz, buttons);
}

static void mouse_buttons(SpiceMouseInstance *mouse, uint32_t buttons) {
  (void)mouse;
  say("event buttons %x", buttons);
}

static void tablet_size(SpiceTabletInstance *tablet, int width, int height) {
  (void)tablet;
  say("event tablet_size %d %d", width, height);
}

static void tablet_position(SpiceTabletInstance *tablet, int x, int y, uint32_t buttons) {
  (void)tablet;
  say("event position %d %d %x", x, y, buttons);
}

static void tablet_wheel(SpiceTabletInstance *tablet, int wheel, uint32_t buttons) {
  (void)tablet;
  say("event wheel %d %x", wheel, buttons);
}

static void tablet_buttons(SpiceTabletInstance *tablet, uint32_t buttons) {
  (void)tablet;
  say("event tablet_buttons %x", buttons);
}

static const SpiceKbdInterface keyboard_interface = {
    .base = {SPICE_INTERFACE_KEYBOARD, "peer", SPICE_INTERFACE_KEYBOARD_MAJOR,
             SPICE_INTERFACE_KEYBOARD_MINOR},
    .push_scan_freg = push_key,
    .get_leds = get_leds,
};
static const SpiceMouseInterface mouse_interface = {
    .base = {SPICE_INTERFACE_MOUSE, "peer", SPICE_INTERFACE_MOUSE_MAJOR,
             SPICE_INTERFACE_MOUSE_MINOR},
    .motion = mouse_motion,
    .buttons = mouse_buttons,
};
static const SpiceTabletInterface tablet_interface = {
    .base = {SPICE_INTERFACE_TABLET, "peer", SPICE_INTERFACE_TABLET_MAJOR,
             SPICE_INTERFACE_TABLET_MINOR},
    .set_logical_size = tablet_size,
    .position = tablet_position,
    .wheel = tablet_wheel,
    .buttons = tablet_buttons,
};

static SpiceServer *server;
static SpiceKbdInstance keyboard = {.base.sif = &keyboard_interface.base};
static SpiceMouseInstance mouse = {.base.sif = &mouse_interface.base};
static SpiceTabletInstance tablet = {.base.sif = &tablet_interface.base};
static bool has_tablet;

void devices_add(SpiceServer *of) {
  server = of;
  spice_server_add_interface(server, &keyboard.base);
  spice_server_add_interface(server, &mouse.base);
}

static void switch_tablet(void *argument) {
  bool on = argument != NULL;
  if (on == has_tablet) return;
  has_tablet = on;
  if (on) {
    spice_server_add_interface(server, &tablet.base);
  } else {
    spice_server_remove_interface(&tablet.base);
  }
}

static void switch_leds(void *argument) {
  leds = (uint8_t)(uintptr_t)argument;
  spice_server_kbd_leds(&keyboard, leds);
}

/* ---- character devices ---- */

/* A device by the name that commands use for it. What the guest sends waits in
 * `outgoing`, under the mutex, until the server reads it on the main thread. */
struct chardev {
  SpiceCharDeviceInstance instance;
  char subtype[32];
  char name[64];
  pthread_mutex_t mutex;
  uint8_t *outgoing;
  size_t length, capacity;
};

static struct chardev chardevs[MAX_CHARDEVS];
static int chardev_count;

static struct chardev *of_chardev(SpiceCharDeviceInstance *instance) {
  return (struct chardev *)((char *)instance - offsetof(struct chardev, instance));
}

static void chardev_state(SpiceCharDeviceInstance *instance, int connected) {
  say("event chardev %s state %d", of_chardev(instance)->name, connected);
}

/* The client has sent bytes for the guest. */
static int chardev_write(SpiceCharDeviceInstance *instance, const uint8_t *bytes, int length) {
  const char *name = of_chardev(instance)->name;
  for (int at = 0; at < length; at += LINE_BYTES) {
    char hex[2 * LINE_BYTES + 1];
    int count = length - at < LINE_BYTES ? length - at : LINE_BYTES;
    for (int i = 0; i < count; i++) snprintf(hex + 2 * i, 3, "%02x", bytes[at + i]);
    say("event chardev %s data %s", name, hex);
  }
  return length;
}

/* The server takes bytes that the guest has sent. */
static int chardev_read(SpiceCharDeviceInstance *instance, uint8_t *to, int most) {
  struct chardev *device = of_chardev(instance);
  pthread_mutex_lock(&device->mutex);
  size_t count = device->length < (size_t)most ? device->length : (size_t)most;
  if (count > 0) {
    memcpy(to, device->outgoing, count);
    memmove(device->outgoing, device->outgoing + count, device->length - count);
    device->length -= count;
  }
  pthread_mutex_unlock(&device->mutex);
  return (int)count;
}

static void chardev_event(SpiceCharDeviceInstance *instance, uint8_t event) {
  static const char *const names[] = {"opened", "closed", "break"};
  say("event chardev %s %s", of_chardev(instance)->name, event < 3 ? names[event] : "unknown");
}

static const SpiceCharDeviceInterface chardev_interface = {
    .base = {SPICE_INTERFACE_CHAR_DEVICE, "peer", SPICE_INTERFACE_CHAR_DEVICE_MAJOR,
             SPICE_INTERFACE_CHAR_DEVICE_MINOR},
    .state = chardev_state,
    .write = chardev_write,
    .read = chardev_read,
    .event = chardev_event,
};

static struct chardev *chardev_by_name(const char *name) {
  for (int i = 0; name && i < chardev_count; i++) {
    if (strcmp(chardevs[i].name, name) == 0) return &chardevs[i];
  }
  return NULL;
}

static void plug(void *device) {
  spice_server_add_interface(server, &((struct chardev *)device)->instance.base);
}

static void unplug(void *device) {
  spice_server_remove_interface(&((struct chardev *)device)->instance.base);
}

static void wake(void *device) {
  spice_server_char_device_wakeup(&((struct chardev *)device)->instance);
}

static void port_opened(void *device) {
  spice_server_port_event(&((struct chardev *)device)->instance, SPICE_PORT_EVENT_OPENED);
}

static void port_closed(void *device) {
  spice_server_port_event(&((struct chardev *)device)->instance, SPICE_PORT_EVENT_CLOSED);
}

static const char *chardev_add(const char *subtype, const char *name) {
  if (!subtype || !name) return "expected a subtype and a name";
  if (chardev_by_name(name)) return "that name is taken";
  if (chardev_count == MAX_CHARDEVS) return "too many character devices";
  struct chardev *device = &chardevs[chardev_count];
  snprintf(device->subtype, sizeof device->subtype, "%s", subtype);
  snprintf(device->name, sizeof device->name, "%s", name);
  pthread_mutex_init(&device->mutex, NULL);
  device->instance.base.sif = &chardev_interface.base;
  device->instance.subtype = device->subtype;
  device->instance.portname = device->name;
  chardev_count++;
  on_main(plug, device);
  return NULL;
}

static const char *chardev_send(struct chardev *device, const char *hex) {
  size_t length = hex ? strlen(hex) / 2 : 0;
  pthread_mutex_lock(&device->mutex);
  if (device->length + length > device->capacity) {
    device->capacity = 2 * (device->length + length);
    device->outgoing = realloc(device->outgoing, device->capacity);
    if (!device->outgoing) die("out of memory");
  }
  for (size_t i = 0; i < length; i++) {
    unsigned byte = 0;
    sscanf(hex + 2 * i, "%2x", &byte);
    device->outgoing[device->length++] = (uint8_t)byte;
  }
  pthread_mutex_unlock(&device->mutex);
  on_main(wake, device);
  return NULL;
}

static const char *chardev_command(char **rest) {
  char *verb = strtok_r(NULL, " ", rest);
  char *first = strtok_r(NULL, " ", rest);
  char *second = strtok_r(NULL, " ", rest);
  if (!verb) return "expected add, remove, send, opened or closed";
  if (strcmp(verb, "add") == 0) return chardev_add(first, second);
  struct chardev *device = chardev_by_name(first);
  if (!device) return "no such character device";
  if (strcmp(verb, "send") == 0) return chardev_send(device, second);
  if (strcmp(verb, "remove") == 0) {
    on_main(unplug, device);
    device->name[0] = '\0';
  } else if (strcmp(verb, "opened") == 0) {
    on_main(port_opened, device);
  } else if (strcmp(verb, "closed") == 0) {
    on_main(port_closed, device);
  } else {
    return "expected add, remove, send, opened or closed";
  }
  return NULL;
}

const char *device_command(char *words) {
  char *rest;
  char *what = strtok_r(words, " ", &rest);
  if (what && strcmp(what, "chardev") == 0) return chardev_command(&rest);
  char *value = strtok_r(NULL, " ", &rest);
  if (!what || !value) return "expected a value";
  if (strcmp(what, "tablet") == 0) {
    on_main(switch_tablet, strcmp(value, "on") == 0 ? (void *)1 : NULL);
  } else {
    on_main(switch_leds, (void *)(uintptr_t)strtoul(value, NULL, 0));
  }
  return NULL;
}

/* ---- cursors ---- */

static size_t cursor_bytes(unsigned type, size_t width, size_t height) {
  size_t mask = (width + 7) / 8 * height;
  switch (type) {
    case SPICE_CURSOR_TYPE_ALPHA:
      return width * height * 4;
    case SPICE_CURSOR_TYPE_MONO:
      return 2 * mask;
    case SPICE_CURSOR_TYPE_COLOR4:
      return (width + 1) / 2 * height + 16 * 4 + mask;
    case SPICE_CURSOR_TYPE_COLOR8:
      return width * height + 256 * 4 + mask;
    case SPICE_CURSOR_TYPE_COLOR16:
      return width * height * 2 + mask;
    case SPICE_CURSOR_TYPE_COLOR24:
      return width * height * 3 + mask;
    case SPICE_CURSOR_TYPE_COLOR32:
      return width * height * 4 + mask;
    default:
      return 0;
  }
}

/* cursor set TYPE WIDTH HEIGHT HOT_X HOT_Y X Y VISIBLE SEED [UNIQUE [FILE]] */
static const char *cursor_set(struct display *display, const char *words) {
  unsigned type, width, height, hot_x, hot_y, visible, seed;
  int x, y;
  unsigned long long unique = 0;
  char file[512] = "";
  if (sscanf(words, "%u %u %u %u %u %d %d %u %u %llu %511s", &type, &width, &height, &hot_x, &hot_y,
             &x, &y, &visible, &seed, &unique, file) < 9) {
    return "expected TYPE WIDTH HEIGHT HOT_X HOT_Y X Y VISIBLE SEED [UNIQUE [FILE]]";
  }
  if (width > 512 || height > 512) return "a cursor of that size";
  size_t bytes = cursor_bytes(type, width, height);
  struct arena *arena = arena_new();
  QXLCursorCmd *command = arena_alloc(arena, sizeof *command);
  QXLCursor *cursor = arena_alloc(arena, sizeof *cursor + bytes);
  cursor->header = (QXLCursorHeader){.unique = unique,
                                     .type = (uint16_t)type,
                                     .width = (uint16_t)width,
                                     .height = (uint16_t)height,
                                     .hot_spot_x = (uint16_t)hot_x,
                                     .hot_spot_y = (uint16_t)hot_y};
  cursor->data_size = (uint32_t)bytes;
  cursor->chunk.data_size = (uint32_t)bytes;
  random_fill(seed, cursor->chunk.data, bytes);
  if (file[0]) {
    FILE *to = fopen(file, "wb");
    if (!to) return strerror(errno);
    fwrite(cursor->chunk.data, 1, bytes, to);
    fclose(to);
  }
  command->type = QXL_CURSOR_SET;
  command->u.set.position = (QXLPoint16){.x = (int16_t)x, .y = (int16_t)y};
  command->u.set.visible = (uint8_t)visible;
  command->u.set.shape = (uintptr_t)cursor;
  display_queue_cursor(display, arena, command);
  return NULL;
}

const char *cursor_command(struct display *display, char *words) {
  char *rest;
  char *verb = strtok_r(words, " ", &rest);
  int x = 0, y = 0;
  if (!verb) return "expected set, move, hide or trail";
  if (strcmp(verb, "set") == 0) return cursor_set(display, rest);
  sscanf(rest, "%d %d", &x, &y);
  struct arena *arena = arena_new();
  QXLCursorCmd *command = arena_alloc(arena, sizeof *command);
  if (strcmp(verb, "move") == 0) {
    command->type = QXL_CURSOR_MOVE;
    command->u.position = (QXLPoint16){.x = (int16_t)x, .y = (int16_t)y};
  } else if (strcmp(verb, "hide") == 0) {
    command->type = QXL_CURSOR_HIDE;
  } else if (strcmp(verb, "trail") == 0) {
    command->type = QXL_CURSOR_TRAIL;
    command->u.trail.length = (uint16_t)x;
    command->u.trail.frequency = (uint16_t)y;
  } else {
    arena_free(arena);
    return "expected set, move, hide or trail";
  }
  display_queue_cursor(display, arena, command);
  return NULL;
}
