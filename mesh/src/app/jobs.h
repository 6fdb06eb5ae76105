/* SPDX-License-Identifier: Apache-2.0 */
/* The service's repeated work: a thread for each job. */
#ifndef MESH_APP_JOBS_H
#define MESH_APP_JOBS_H

#include "db/leases.h"
#include "mesh/main.h"

struct mesh__jobs;

struct mesh__jobs_options {
    const struct mesh_job *jobs; /* name NULL at the end; NULL: none */
    const char *service;         /* for contexts */
    void *state;                 /* handed to every run */
    size_t arena_bytes;
    struct mesh__leases *leases; /* not started yet; NULL: there are no other replicas */
};

struct mesh__jobs *mesh__jobs_start(const struct mesh__jobs_options *options);
/* No run begins any more; those under way go on. NULL is fine. */
void mesh__jobs_finish(struct mesh__jobs *jobs);
/* Gives runs under way grace_ms to end, then cancels their contexts and joins all. NULL is fine. */
void mesh__jobs_stop(struct mesh__jobs *jobs, int64_t grace_ms);
/* After that and after the leases have stopped. NULL is fine. */
void mesh__jobs_free(struct mesh__jobs *jobs);

#endif
