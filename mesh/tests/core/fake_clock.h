/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock that stands where a test puts it, and moves only when a thread waits for a time and no
 * other thread wakes it: then the wait is over at once.
 */
#ifndef FAKE_CLOCK_H
#define FAKE_CLOCK_H

#include "core/clock.h"

#include <string.h>
#include <time.h>

static _Atomic int64_t fake_ns;
static int64_t fake_us;
static unsigned char fake_byte; /* what random bytes are made of */

static int64_t fake_monotonic_ns(void)
{
    return fake_ns;
}

static int64_t fake_wall_us(void)
{
    return fake_us;
}

static void fake_random(void *bytes, size_t size)
{
    memset(bytes, fake_byte, size);
}

/* Long enough for a thread that is about to wake the one that waits. */
#define FAKE_PATIENCE_MS 20

__attribute__((unused)) static bool fake_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                              int64_t deadline_ns)
{
    struct timespec until;

    if (deadline_ns == MESH_NO_DEADLINE) {
        return pthread_cond_wait(condition, mutex) == 0;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += FAKE_PATIENCE_MS * MESH_NS_PER_MS;
    until.tv_sec += until.tv_nsec / MESH_NS_PER_S;
    until.tv_nsec %= MESH_NS_PER_S;
    if (pthread_cond_timedwait(condition, mutex, &until) == 0) {
        return true;
    }
    fake_ns = fake_ns > deadline_ns ? fake_ns : deadline_ns;
    return false;
}

__attribute__((unused)) static const struct mesh_clock fake_clock = {
    fake_monotonic_ns, fake_wall_us, fake_random, fake_wait};

#endif
