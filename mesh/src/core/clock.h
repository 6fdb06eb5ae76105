/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to time, waiting and randomness: a table of functions that a test can replace. */
#ifndef MESH_CORE_CLOCK_H
#define MESH_CORE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MESH_NS_PER_MS INT64_C(1000000)
#define MESH_NS_PER_S INT64_C(1000000000)
#define MESH_NO_DEADLINE INT64_MAX

struct mesh_clock {
    int64_t (*monotonic_ns)(void);            /* CLOCK_MONOTONIC: deadlines, durations */
    int64_t (*wall_us)(void);                 /* CLOCK_REALTIME: what people and events see */
    void (*random)(void *bytes, size_t size); /* from the kernel */
    /* Waits on a condition by monotonic_ns(); what mesh__condition_wait() does. */
    bool (*wait)(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns);
};

/* The table in force. Tests may point it elsewhere before threads are started. */
extern const struct mesh_clock *mesh__clock;

static inline int64_t mesh__now_ns(void)
{
    return mesh__clock->monotonic_ns();
}

/* The lesser of two times, or of two durations. */
static inline int64_t mesh__least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The monotonic time ms after start_ns; MESH_NO_DEADLINE if that is beyond the range. */
int64_t mesh__after_ms(int64_t start_ns, int64_t ms);
/* The same from now. */
int64_t mesh__in_ms(int64_t ms);

/* Random bytes, drawn from the table's random() in larger pieces kept per thread. */
void mesh__random(void *ret_bytes, size_t size);
/* A number in [low, high] from the same bytes; any two of them less than 2^62 apart. */
int64_t mesh__random_between(int64_t low, int64_t high);

#endif
