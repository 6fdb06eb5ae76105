/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which other replicas have gone without a word, and the end of what they have left.
 *
 * Gone is whose row has not changed for as long as we have been watching it, by our clock: that of
 * the database may be set to another time, and rows that are old say nothing while nobody could
 * write them.
 */
#ifndef MESH_DB_GONE_H
#define MESH_DB_GONE_H

#include "mesh/db.h"
#include "mesh/metrics.h"

/* How a replica's row was when it was last looked at. */
struct mesh__sighting;

struct mesh__gone {
    const char *replica; /* ours */
    struct mesh_db *db;
    struct mesh__sighting *seen;
    size_t n_seen;
    int64_t judge_from_ns; /* who is gone is not told before */
    struct mesh_counter *ended;
};

void mesh__gone_init(struct mesh__gone *gone, struct mesh_db *db, const char *replica);
void mesh__gone_done(struct mesh__gone *gone);
/* Nobody is judged for the time of a lease: the others may just be coming back, as we are. */
void mesh__gone_wait(struct mesh__gone *gone);
/* Looks at the other replicas. Ends the sessions of those that have gone, so that what they hold in
 * the database is free and what they have not committed never will be; then removes their rows. */
MESH_STATUS mesh__gone_remove(struct mesh__gone *gone, struct mesh_ctx *ctx);

#endif
