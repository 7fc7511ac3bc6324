/* Waiting, as the calls of utm_shim.h share it. */
#ifndef UTM_WAIT_H
#define UTM_WAIT_H

#include <stdint.h>

/* When a wait ends, in milliseconds of the monotonic clock; < 0: never. */
typedef int64_t wait_deadline;

/* Returns when `timeout_ms` from now will have passed. */
wait_deadline wait_until(int32_t timeout_ms);

/* Waits until `fd` has one of `poll_events`, an error or the end of the stream.
 * Returns the events of poll; 0 when the time is up; -ECANCELED once `wake`
 * (-1: none) is woken; another -errno. */
int32_t wait_for(int32_t fd, short poll_events, int32_t wake, wait_deadline deadline);

#endif
