/* SPDX-License-Identifier: Apache-2.0 */
/* "Something changed": wakes handlers that wait for a change, in every replica of the service. */
#ifndef MESH_SIGNAL_H
#define MESH_SIGNAL_H

#include "mesh/ctx.h"

struct mesh_app;
struct mesh_tx;
/* A named, lossy signal: waking is quick when it works, and every waiter also looks by itself now
 * and then. */
struct mesh_signal;

/* The signal of that name, made at first use; lives as long as app. */
struct mesh_signal *mesh_app_signal(struct mesh_app *app, const char *name);
/* Wakes all waiters in this process, and, at most every 5 ms, those of the other replicas through
 * the broker. */
void mesh_signal_raise(struct mesh_signal *signal);
/* Raises it as soon as tx has committed; not at all if it is rolled back. */
void mesh_signal_raise_after_commit(struct mesh_signal *signal, struct mesh_tx *tx);
/*
 * Waits until the signal was raised after *seen (updated; start with 0), max_wait_ms have passed,
 * or the call is to end (cancelled, past its deadline, or the server drains: MESH_UNAVAILABLE):
 * MESH_OK in the first two cases.
 */
MESH_STATUS mesh_signal_wait(struct mesh_ctx *ctx, struct mesh_signal *signal, uint64_t *seen,
                             int64_t max_wait_ms);

#endif
