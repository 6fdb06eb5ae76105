/* SPDX-License-Identifier: Apache-2.0 */
/* SIGTERM and SIGINT: the first asks the process to stop, the second ends it at once. */
#ifndef MESH_APP_STOP_H
#define MESH_APP_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mesh__stop;

/* Blocks the signals in this thread and all it will start, and starts the thread that takes them.
 */
struct mesh__stop *mesh__stop_new(void);
/* NULL is fine. */
void mesh__stop_free(struct mesh__stop *stop);

/* Waits until the process is asked to stop (true) or the monotonic clock reaches until_ns. */
bool mesh__stop_wait(struct mesh__stop *stop, int64_t until_ns);
/* True once it was asked; a flag for contexts. */
const atomic_bool *mesh__stop_flag(const struct mesh__stop *stop);
/* The name of the signal that asked, "" before. */
const char *mesh__stop_signal(struct mesh__stop *stop);
/* Whether that thread still turns: it stamps a clock twice a second. */
bool mesh__stop_turns(const struct mesh__stop *stop);

#endif
