/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for the same thing, such as one row, are done together: one statement for all. */
#ifndef MESH_BATCHER_H
#define MESH_BATCHER_H

#include "mesh/ctx.h"

/*
 * For each key one batch runs at a time, on the thread of the first who waits: he leads it and
 * takes with him all others who wait for that key, in the order they came. Who comes while it runs
 * waits for the next. So a key that nobody else wants costs no wait, and a key that everybody wants
 * costs one statement for all who wait. Different keys do not wait for each other.
 */
struct mesh_batcher;

#define MESH_BATCH_MAX 64 /* members of one batch */

/* What one caller asks for. */
struct mesh_batch_member {
    /*
     * The caller's own context. He waits, so whoever runs the batch may use it: for the memory of
     * what response points to, and for the failure of this member alone. Its deadline and its
     * cancellation are not those of the batch; what must not fail by them uses mesh_ctx_closing().
     */
    struct mesh_ctx *ctx;
    const void *request;
    void *response;
    enum mesh_status status; /* MESH_OK unless run() sets it, after it set the failure in ctx */
};

#define MESH_BATCH_TIMEOUT_MS 10000

/*
 * run(ctx, arg, members, n) does n members in one go, called by several threads at once for
 * different keys. It returns MESH_OK if each has a status of its own: one that fails does not fail
 * the others. Anything else, set in ctx, is the outcome of all of them, MESH_UNKNOWN too: each
 * caller has to know by a key of his own what became of his.
 *
 * That ctx is the batch's: its memory goes with the batch, it is not cancelled, it has the trace
 * and the correlation of the one who leads, and the deadline of the member who has the latest, at
 * most MESH_BATCH_TIMEOUT_MS from now. No lock is held.
 *
 * name is the label `batcher` of the metrics mesh_batch_size, the members of each batch, and
 * mesh_batch_waiting, those whose batch has not begun. arg has to outlive the batcher.
 */
struct mesh_batcher *mesh_batcher_new(const char *name,
                                      enum mesh_status (*run)(struct mesh_ctx *ctx, void *arg,
                                                              struct mesh_batch_member *members,
                                                              size_t n),
                                      void *arg);
/* While nobody is in a call; NULL is fine. */
void mesh_batcher_free(struct mesh_batcher *batcher);

/*
 * Returns when the batch that this call was a member of is over, with the member's status.
 * MESH_CANCELLED, MESH_DEADLINE_EXCEEDED: ctx's time was over before a batch began with it, and
 * nothing was done. Once the batch has begun the outcome is waited for, whatever becomes of ctx,
 * because what is under way for others cannot be stopped; it is bounded by the batch's deadline.
 * key, request and response are borrowed until then.
 */
MESH_STATUS mesh_batcher_call(struct mesh_ctx *ctx, struct mesh_batcher *batcher, const char *key,
                              const void *request, void *response);

#endif
