/* The first process of a Linux guest: loads the drivers of its keyboards and mice,
 * and prints on the serial port what they report.
 *
 *   device NAME [X_MIN..X_MAX Y_MIN..Y_MAX]   once for each, as soon as it is there
 *   NAME: TYPE CODE VALUE                     an event, as linux/input.h has them
 *   ready                                     all modules are loaded
 *
 * Modules lie in /modules, in any order. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_DEVICES = 16, MAX_MODULES = 64, NAME_BYTES = 256, COMPRESSED = 4, RESCAN_MS = 50 };

struct device {
  char node[NAME_BYTES];
  char name[64];
};

static struct device devices[MAX_DEVICES];
static struct pollfd polled[MAX_DEVICES];
static nfds_t device_count;

static bool load(const char *name) {
  char path[NAME_BYTES + 16];
  snprintf(path, sizeof path, "/modules/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t length = strlen(name);
  bool is_plain = length > 3 && strcmp(name + length - 3, ".ko") == 0;
  long result = syscall(SYS_finit_module, fd, "", is_plain ? 0 : COMPRESSED);
  close(fd);
  return result == 0;
}

/* Loads every module; one that needs another is tried again after it. */
static void load_modules(void) {
  char names[MAX_MODULES][NAME_BYTES];
  int count = 0;
  DIR *folder = opendir("/modules");
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.' || count == MAX_MODULES) continue;
    snprintf(names[count++], sizeof names[0], "%s", entry->d_name);
  }
  if (folder) closedir(folder);
  for (bool progress = true; progress;) {
    progress = false;
    for (int i = 0; i < count; i++) {
      if (!load(names[i])) continue;
      memmove(names[i], names[--count], sizeof names[0]);
      i--;
      progress = true;
    }
  }
  for (int i = 0; i < count; i++) printf("cannot load %s\n", names[i]);
}

static bool is_open(const char *node) {
  for (nfds_t i = 0; i < device_count; i++) {
    if (strcmp(devices[i].node, node) == 0) return true;
  }
  return false;
}

static void open_device(const char *node) {
  char path[NAME_BYTES + 16];
  snprintf(path, sizeof path, "/dev/input/%s", node);
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  struct device *device = &devices[device_count];
  polled[device_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
  snprintf(device->node, sizeof device->node, "%s", node);
  ioctl(fd, EVIOCGNAME(sizeof device->name), device->name);
  printf("device %s", device->name);
  struct input_absinfo x, y;
  if (ioctl(fd, EVIOCGABS(ABS_X), &x) == 0 && ioctl(fd, EVIOCGABS(ABS_Y), &y) == 0) {
    printf(" %d..%d %d..%d", x.minimum, x.maximum, y.minimum, y.maximum);
  }
  printf("\n");
}

/* Opens what has come since the last call. */
static void scan(void) {
  DIR *folder = opendir("/dev/input");
  if (!folder) return;
  for (struct dirent *entry; (entry = readdir(folder)) && device_count < MAX_DEVICES;) {
    if (strncmp(entry->d_name, "event", 5) != 0 || is_open(entry->d_name)) continue;
    open_device(entry->d_name);
  }
  closedir(folder);
}

static void report(struct pollfd *from, const struct device *device) {
  struct input_event events[64];
  ssize_t length = read(from->fd, events, sizeof events);
  for (ssize_t i = 0; i * (ssize_t)sizeof events[0] < length; i++) {
    const struct input_event *event = &events[i];
    if (event->type == EV_SYN && event->code == SYN_REPORT) continue;
    if (event->type == EV_MSC || event->type == EV_LED) continue; /* raw codes; what we set */
    printf("%s: %u %u %d\n", device->name, event->type, event->code, event->value);
  }
}

int main(void) {
  mkdir("/dev", 0755);
  mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
  if (!freopen("/dev/ttyS0", "w", stdout)) return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  load_modules();
  printf("ready\n");
  for (;;) {
    scan();
    if (poll(polled, device_count, RESCAN_MS) <= 0) continue;
    for (nfds_t i = 0; i < device_count; i++) {
      if (polled[i].revents & POLLIN) report(&polled[i], &devices[i]);
    }
  }
}
