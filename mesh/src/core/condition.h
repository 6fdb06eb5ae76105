/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting by the monotonic clock in force: for a condition, or for the time alone. */
#ifndef MESH_CORE_CONDITION_H
#define MESH_CORE_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Ends the process if the system has no memory for it. */
void mesh__condition_init(pthread_cond_t *condition);
/* False once deadline_ns has passed (MESH_NO_DEADLINE: never). Wakes without a reason, too. */
bool mesh__condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns);
/* Waits for nothing but the time. */
void mesh__sleep_until(int64_t until_ns);

#endif
