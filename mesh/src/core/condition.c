/* SPDX-License-Identifier: Apache-2.0 */
#include "core/condition.h"

#include "core/clock.h"
#include "core/fatal.h"

#include <errno.h>
#include <time.h>

void mesh__condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    if (pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(condition, &attributes) != 0) {
        mesh__fatal("no memory for a condition");
    }
    (void)pthread_condattr_destroy(&attributes);
}

bool mesh__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / MESH_NS_PER_S,
                             .tv_nsec = deadline_ns % MESH_NS_PER_S};

    if (deadline_ns == MESH_NO_DEADLINE) {
        return pthread_cond_wait(condition, mutex) == 0;
    }
    return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}
