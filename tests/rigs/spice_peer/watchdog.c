/* Finds out a worker of the server's that loops for ever. libspice-server does so now and
 * then in its region code under random draws: such a worker uses the processor without
 * ever coming back to us, unlike one that waits for a client. */
#include "peer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum {
  MAX_WORKERS = 4,
  LOOP_MS = 5000, /* of processor time, which no draw takes, not even under the sanitizers */
  SPIN_MS = 500,   /* the same once a worker is told to loop */
  PERIOD_MS = 250,
};

struct worker {
  clockid_t clock; /* its processor time */
  atomic_llong beat_ms;
  atomic_bool live;
};

static struct worker workers[MAX_WORKERS];
static atomic_int worker_count;
static _Thread_local struct worker *self;
static atomic_bool spins;

static long long processor_ms(clockid_t clock) {
  struct timespec now;
  if (clock_gettime(clock, &now) != 0) return 0;
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void watchdog_beat(void) {
  if (!self) {
    int index = atomic_fetch_add(&worker_count, 1);
    if (index >= MAX_WORKERS) die("more workers than displays");
    self = &workers[index];
    if (pthread_getcpuclockid(pthread_self(), &self->clock) != 0) die("a worker without a clock");
    atomic_store(&self->beat_ms, processor_ms(self->clock));
    atomic_store(&self->live, true);
  }
  atomic_store(&self->beat_ms, processor_ms(self->clock));
  while (atomic_load(&spins)) continue;
}

void watchdog_spin(void) { atomic_store(&spins, true); }

static void *watch(void *unused) {
  (void)unused;
  for (;;) {
    nanosleep(&(struct timespec){.tv_nsec = PERIOD_MS * 1000000L}, NULL);
    long long limit = atomic_load(&spins) ? SPIN_MS : LOOP_MS;
    for (int i = 0; i < MAX_WORKERS; i++) {
      struct worker *worker = &workers[i];
      if (!atomic_load(&worker->live)) continue;
      long long used = processor_ms(worker->clock) - atomic_load(&worker->beat_ms);
      if (used > limit) die("the server loops: %lld ms of processor time for one thing", used);
    }
  }
  return NULL;
}

void watchdog_start(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, watch, NULL) != 0) die("no thread for the watchdog");
  pthread_detach(thread);
}
