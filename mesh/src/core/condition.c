/* SPDX-License-Identifier: Apache-2.0 */
#include "core/condition.h"

#include "core/clock.h"
#include "core/fatal.h"

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
    return mesh__clock->wait(condition, mutex, deadline_ns);
}

void mesh__sleep_until(int64_t until_ns)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t nothing;

    mesh__condition_init(&nothing);
    (void)pthread_mutex_lock(&mutex);
    while (mesh__now_ns() < until_ns) {
        (void)mesh__condition_wait(&nothing, &mutex, until_ns);
    }
    (void)pthread_mutex_unlock(&mutex);
    (void)pthread_cond_destroy(&nothing);
}
