/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing and consuming events, for the runtime: the broker connection, the relay and the
 * consumers. */
#ifndef MESH_EVENTS_EVENTS_H
#define MESH_EVENTS_EVENTS_H

#include "db/leases.h"
#include "mesh/db.h"
#include "mesh/service.h"

#define MESH_PARTITIONS 8

struct mesh_events;

struct mesh_events_options {
    const char *system;      /* "fashion" */
    const char *service;     /* "order" */
    const char *nats_url;    /* one URL or a comma list */
    const char *nats_ca;     /* PEM, for tls:// URLs; NULL: who the system trusts */
    const char *session_url; /* Postgres: not through a transaction pooler */
    const char *schema;
    struct mesh_db *db; /* the pool whose commits wake the relay */
    /* Among the replicas; not started yet, and freed after the events. NULL: there are no others.
     */
    struct mesh__leases *leases;
    bool publishes;
    const struct mesh_inbox_type *inbox; /* NULL: no consumers */
    const void *inbox_handlers;
    void *state; /* handed to event handlers */
    int64_t stream_max_bytes;
    int64_t stream_max_age_s;
};

/*
 * Checks nothing and connects to nothing yet. Made before the first commit of options->db and freed
 * after the last: it registers for them.
 */
struct mesh_events *mesh__events_new(const struct mesh_events_options *options);
/* Connects once and creates or checks the stream: for `check`. A text in ctx says what is wrong. */
MESH_STATUS mesh__events_check(struct mesh_ctx *ctx, struct mesh_events *events);
/*
 * Starts the threads. The broker may be away: they keep trying. A stream whose configuration
 * contradicts ours is logged as an error and counted, and tried again.
 */
void mesh__events_start(struct mesh_events *events);
/* Finishes the batches under way and joins the threads. */
void mesh__events_stop(struct mesh_events *events);
void mesh__events_free(struct mesh_events *events);

/* Core NATS, lossy, between the replicas of this service; used by signals. The callback runs on the
 * broker's thread. */
void mesh__events_ping(struct mesh_events *events, const char *name);
void mesh__events_on_ping(struct mesh_events *events, void (*callback)(void *arg, const char *name),
                          void *arg);

/* The partition of a key: the FNV-1a hash of its bytes modulo MESH_PARTITIONS. */
int mesh__partition(const char *key);

#endif
