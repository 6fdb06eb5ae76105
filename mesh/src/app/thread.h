/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MESH_APP_THREAD_H
#define MESH_APP_THREAD_H

#include <pthread.h>

/* Starts a thread; the process ends if the system refuses. */
void mesh__thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg),
                        void *arg);

#endif
