/* SPDX-License-Identifier: Apache-2.0 */
/* All signals of a process, and the thread that passes them on to the other replicas. */
#ifndef MESH_APP_SIGNALS_H
#define MESH_APP_SIGNALS_H

#include "mesh/signal.h"

struct mesh__signals;

struct mesh__signals *mesh__signals_new(void);
/* After the last waiter has gone. */
void mesh__signals_free(struct mesh__signals *signals);
/* Finds or makes the signal of that name: letters, digits, '_' and '-'. */
struct mesh_signal *mesh__signals_get(struct mesh__signals *signals, const char *name);

/* From now on ping is called, on a thread of its own, for signals that were raised; per signal at
 * most every 5 ms. */
void mesh__signals_connect(struct mesh__signals *signals, void (*ping)(void *arg, const char *name),
                           void *arg);
/* Sends what is still due and ends that thread. Fine if it was never connected. */
void mesh__signals_disconnect(struct mesh__signals *signals);
/* Another replica raised the signal of that name: wakes the waiters of this process. */
void mesh__signals_received(struct mesh__signals *signals, const char *name);

#endif
