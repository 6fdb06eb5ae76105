/* SPDX-License-Identifier: Apache-2.0 */
#include "events/wait.h"

#include "core/clock.h"

#include <errno.h>
#include <time.h>

void mesh__cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool mesh__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = deadline_ns / MESH_NS_PER_S,
                                .tv_nsec = deadline_ns % MESH_NS_PER_S};

    return pthread_cond_timedwait(cond, mutex, &deadline) != ETIMEDOUT;
}

bool mesh__join_within(pthread_t thread, int64_t ms)
{
    struct timespec until; /* this call knows the wall clock only */

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += ms % 1000 * MESH_NS_PER_MS;
    until.tv_sec += ms / 1000 + until.tv_nsec / MESH_NS_PER_S;
    until.tv_nsec %= MESH_NS_PER_S;
    return pthread_timedjoin_np(thread, NULL, &until) == 0;
}
