/* The floor that `deno task bench` compares a launch with: what a C program
 * takes that does nothing but the launch itself.
 *
 *   launch_floor [--no-links] -- QEMU ARG...
 *
 * starts exactly this QEMU, connects to the QMP socket that its arguments name,
 * negotiates, makes the SPICE links of the main and the display channel (unless
 * --no-links), sends `cont`, and prints one line of JSON as soon as that is
 * accepted, in milliseconds since the fork:
 *
 *   {"greeted": 41.2, "linked": 64.8, "running": 65.1}
 *
 * Then it ends QEMU. It measures and is no client to build upon: one frame after
 * the other, every surprise is the end. Needs libcrypto for the SPICE ticket. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum {
  PATIENCE_MS = 30000,
  RETRY_US = 200,
  /* SPICE link protocol. Source: spice-protocol, spice/protocol.h. */
  LINK_HEADER_BYTES = 16,
  KEY_AT = 4, /* in the reply */
  KEY_BYTES = 162,
  TICKET_BYTES = 128,
  AUTH_SPICE = 1,
  CAP_COMMON = 1 << 0 | 1 << 1 | 1 << 3, /* auth selection, ticket, mini header */
  MINI_HEADER_BYTES = 6,
  CHANNEL_MAIN = 1,
  CHANNEL_DISPLAY = 2,
  MAIN_INIT = 103,
  MAIN_CHANNELS_LIST = 104,
  MAIN_ATTACH_CHANNELS = 104,
  DISPLAY_INIT = 101,
  DISPLAY_INIT_BYTES = 14,
};

static pid_t qemu = -1;

static void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("launch_floor: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  if (qemu > 0) kill(qemu, SIGKILL);
  exit(1);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* The value of `key` in a QEMU option list ("a,key=value,b"), `,,` read as one
 * comma. Owned by the caller; NULL if it is not there. */
static char *option(const char *list, const char *key) {
  size_t length = strlen(key);
  const char *at = list;
  for (;;) {
    bool match = strncmp(at, key, length) == 0 && at[length] == '=';
    const char *from = match ? at + length + 1 : at;
    char *value = calloc(strlen(from) + 1, 1);
    size_t used = 0;
    while (*from && (*from != ',' || from[1] == ',')) {
      value[used++] = *from;
      from += *from == ',' ? 2 : 1;
    }
    if (match) return value;
    free(value);
    if (!*from) return NULL;
    at = from + 1;
  }
}

/* The argument behind the first `flag` that `accept` (if any) is part of. */
static const char *argument(char **argv, const char *flag, const char *accept) {
  for (; argv[0] && argv[1]; argv++) {
    if (strcmp(argv[0], flag) == 0 && (!accept || strstr(argv[1], accept))) return argv[1];
  }
  return NULL;
}

/* The path of the QMP socket: that of the chardev of the control monitor. */
static char *qmp_path(char **argv) {
  const char *monitor = argument(argv, "-mon", "mode=control");
  char *id = monitor ? option(monitor, "chardev") : NULL;
  if (!id) die("there is no -mon chardev=...,mode=control");
  char wanted[256];
  snprintf(wanted, sizeof wanted, "id=%s,", id);
  free(id);
  const char *chardev = argument(argv, "-chardev", wanted);
  char *path = chardev ? option(chardev, "path") : NULL;
  if (!path) die("the chardev of the control monitor has no path");
  return path;
}

/* The path of the SPICE socket; NULL if there is none. */
static char *spice_path(char **argv) {
  const char *spice = argument(argv, "-spice", "unix=on");
  return spice ? option(spice, "addr") : NULL;
}

/* Connects as soon as somebody listens; QEMU's end is the end of the wait. */
static int connect_to(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die("%s is too long for a socket", path);
  strcpy(address.sun_path, path);
  double deadline = now_ms() + PATIENCE_MS;
  for (;;) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
    int reason = errno;
    close(fd);
    if (reason != ENOENT && reason != ECONNREFUSED) die("%s: %s", path, strerror(reason));
    if (waitpid(qemu, NULL, WNOHANG) == qemu) {
      qemu = -1;
      die("QEMU ended before %s was there", path);
    }
    if (now_ms() > deadline) die("nobody listens at %s", path);
    struct timespec pause = {.tv_nsec = RETRY_US * 1000};
    nanosleep(&pause, NULL);
  }
}

static void send_all(int fd, const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t count = send(fd, at, length, 0);
    if (count <= 0) die("send: %s", strerror(errno));
    at += count;
    length -= (size_t)count;
  }
}

static void read_all(int fd, void *bytes, size_t length) {
  char *at = bytes;
  while (length > 0) {
    ssize_t count = read(fd, at, length);
    if (count <= 0) die("read: %s", count < 0 ? strerror(errno) : "the peer has closed");
    at += count;
    length -= (size_t)count;
  }
}

/* Reads QMP lines until one has `key` in it; events pass by. */
static void qmp_wait(FILE *from, const char *key) {
  char *line = NULL;
  size_t cap = 0;
  while (getline(&line, &cap, from) > 0) {
    if (strstr(line, "\"error\"")) die("QMP: %s", line);
    if (strstr(line, key)) {
      free(line);
      return;
    }
  }
  die("QMP has closed");
}

static void qmp_execute(int fd, FILE *from, const char *command) {
  char line[128];
  int length = snprintf(line, sizeof line, "{\"execute\":\"%s\"}\n", command);
  send_all(fd, line, (size_t)length);
  qmp_wait(from, "\"return\"");
}

/* Writes a little-endian word; returns what follows it. */
static uint8_t *put(uint8_t *at, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *at++ = (uint8_t)(value >> 8 * i);
  return at;
}

static uint32_t get(const uint8_t *at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; i++) value |= (uint32_t)at[i] << 8 * i;
  return value;
}

/* One zero byte, the empty password, under the server's key of this link:
 * RSAES-OAEP with SHA-1, libcrypto's default. */
static void encrypt_ticket(const uint8_t *der, uint8_t ticket[TICKET_BYTES]) {
  EVP_PKEY *key = d2i_PUBKEY(NULL, &der, KEY_BYTES);
  EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new(key, NULL) : NULL;
  size_t length = TICKET_BYTES;
  const uint8_t password[1] = {0};
  if (!context || EVP_PKEY_encrypt_init(context) <= 0 ||
      EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) <= 0 ||
      EVP_PKEY_encrypt(context, ticket, &length, password, sizeof password) <= 0 ||
      length != TICKET_BYTES) {
    die("cannot encrypt the SPICE ticket");
  }
  EVP_PKEY_CTX_free(context);
  EVP_PKEY_free(key);
}

/* Links one channel; framed messages follow on the descriptor it returns. */
static int spice_link(const char *path, uint32_t session, uint8_t type) {
  int fd = connect_to(path);
  uint8_t message[LINK_HEADER_BYTES + 18 + 8];
  uint8_t *at = put(message, 0x51444552, 4); /* "REDQ" */
  at = put(put(at, 2, 4), 2, 4);             /* version 2.2 */
  at = put(at, sizeof message - LINK_HEADER_BYTES, 4);
  at = put(put(put(at, session, 4), type, 1), 0, 1);
  at = put(put(put(at, 1, 4), 1, 4), 18, 4); /* one word of each set of capabilities */
  put(put(at, CAP_COMMON, 4), 0, 4);
  send_all(fd, message, sizeof message);

  uint8_t header[LINK_HEADER_BYTES];
  uint8_t reply[4096];
  read_all(fd, header, sizeof header);
  uint32_t size = get(header + 12, 4);
  if (memcmp(header, "REDQ", 4) != 0 || size < KEY_AT + KEY_BYTES || size > sizeof reply) {
    die("not a SPICE link reply");
  }
  read_all(fd, reply, size);
  if (get(reply, 4) != 0) die("SPICE refused the link: error %u", get(reply, 4));

  uint8_t answer[4 + TICKET_BYTES];
  put(answer, AUTH_SPICE, 4);
  encrypt_ticket(reply + KEY_AT, answer + 4);
  send_all(fd, answer, sizeof answer);
  uint8_t result[4];
  read_all(fd, result, sizeof result);
  if (get(result, 4) != 0) die("SPICE refused the ticket: error %u", get(result, 4));
  return fd;
}

static void spice_send(int fd, uint16_t id, const void *body, uint32_t size) {
  uint8_t message[64];
  put(put(message, id, 2), size, 4);
  if (size > 0) memcpy(message + MINI_HEADER_BYTES, body, size);
  send_all(fd, message, MINI_HEADER_BYTES + size);
}

/* Reads messages up to the first with this id (0: any); returns the first word
 * of its body. */
static uint32_t spice_wait(int fd, uint16_t id) {
  for (;;) {
    uint8_t header[MINI_HEADER_BYTES];
    uint8_t body[65536];
    read_all(fd, header, sizeof header);
    uint32_t size = get(header + 2, 4);
    if (size > sizeof body) die("a SPICE message of %u bytes", size);
    read_all(fd, body, size);
    if (id == 0 || get(header, 2) == id) return size < 4 ? 0 : get(body, 4);
  }
}

/* Main and display, up to the display's first message. */
static void attach(const char *path) {
  int main_channel = spice_link(path, 0, CHANNEL_MAIN);
  uint32_t session = spice_wait(main_channel, MAIN_INIT);
  spice_send(main_channel, MAIN_ATTACH_CHANNELS, NULL, 0);
  spice_wait(main_channel, MAIN_CHANNELS_LIST);
  int display = spice_link(path, session, CHANNEL_DISPLAY);
  uint8_t init[DISPLAY_INIT_BYTES] = {[0] = 1, [9] = 1}; /* no caches */
  spice_send(display, DISPLAY_INIT, init, sizeof init);
  spice_wait(display, 0);
}

static pid_t start(char **argv) {
  pid_t pid = fork();
  if (pid < 0) die("fork: %s", strerror(errno));
  if (pid == 0) {
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execvp(argv[0], argv);
    _exit(127);
  }
  return pid;
}

int main(int argc, char **argv) {
  bool links = !(argc > 1 && strcmp(argv[1], "--no-links") == 0);
  char **command = argv + (links ? 1 : 2);
  if (argc < (links ? 3 : 4) || strcmp(command[0], "--") != 0) {
    fputs("usage: launch_floor [--no-links] -- QEMU ARG...\n", stderr);
    return 2;
  }
  command++;
  char *qmp = qmp_path(command);
  char *spice = spice_path(command);
  if (links && !spice) die("there is no -spice unix=on,addr=...");
  signal(SIGPIPE, SIG_IGN);

  double begin = now_ms();
  qemu = start(command);
  int fd = connect_to(qmp);
  FILE *from = fdopen(dup(fd), "r");
  qmp_wait(from, "\"QMP\"");
  qmp_execute(fd, from, "qmp_capabilities");
  double greeted = now_ms() - begin;
  if (links) attach(spice);
  double linked = now_ms() - begin;
  qmp_execute(fd, from, "cont");
  double running = now_ms() - begin;
  printf("{\"greeted\": %.2f, \"linked\": %.2f, \"running\": %.2f}\n", greeted, linked, running);
  fflush(stdout);

  kill(qemu, SIGKILL);
  waitpid(qemu, NULL, 0);
  unlink(qmp);
  if (spice) unlink(spice);
  return 0;
}
