/* SPDX-License-Identifier: Apache-2.0 */
/* Drops what is kept of events for long enough, a slice of time at once. */
#ifndef MESH_EVENTS_RETENTION_H
#define MESH_EVENTS_RETENTION_H

#include "mesh/db.h"

#define MESH__RETENTION_PIECE 10000 /* rows of no slice that one transaction deletes */

struct mesh__retention {
    struct mesh_db *db;
    int64_t outbox_keep_s; /* published events, to be published again if the broker loses them */
    int64_t inbox_keep_s;  /* ids of events that were handled */
};

/* Before the first event of this process: withdraws what a run that died has promised. */
void mesh__retention_begin(struct mesh_ctx *ctx, struct mesh_db *db);
/* How often it should run. */
int64_t mesh__retention_interval_ms(const struct mesh__retention *retention);
/*
 * A run of the job; retention is its struct. Cuts the slices that are needed soon, drops those that
 * are not needed any more, and deletes a piece of what is old and in no slice. Where a transaction
 * is in the way, the next run does it.
 */
MESH_STATUS mesh__retention_run(struct mesh_ctx *ctx, void *retention, bool *ret_more);

#endif
