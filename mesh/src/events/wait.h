/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a condition by the monotonic clock. */
#ifndef MESH_EVENTS_WAIT_H
#define MESH_EVENTS_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void mesh__cond_init(pthread_cond_t *cond);
/* False once the deadline (monotonic, nanoseconds) has passed. */
bool mesh__cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns);
/* False if the thread has not ended after ms: it is still to be joined. */
bool mesh__join_within(pthread_t thread, int64_t ms);

#endif
