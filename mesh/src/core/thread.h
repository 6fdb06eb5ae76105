/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that no signal reaches but those of their own crash: all others are main()'s. */
#ifndef MESH_CORE_THREAD_H
#define MESH_CORE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* stack_bytes 0: the system's default. False: the system has no thread. */
bool mesh__thread_try(pthread_t *ret_thread, const char *name, size_t stack_bytes,
                      void *(*run)(void *arg), void *arg);
/* The same with the default stack; the process ends if the system refuses. */
void mesh__thread_start(pthread_t *ret_thread, const char *name, void *(*run)(void *arg),
                        void *arg);

#endif
