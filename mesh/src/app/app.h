/* SPDX-License-Identifier: Apache-2.0 */
/* One process of a service: what it holds, and its subcommands. */
#ifndef MESH_APP_APP_H
#define MESH_APP_APP_H

#include "app/config.h"
#include "app/http.h"
#include "app/jobs.h"
#include "app/readiness.h"
#include "app/signals.h"
#include "app/stop.h"
#include "events/events.h"
#include "events/retention.h"
#include "policy/policies.h"
#include "rpc/limit.h"
#include "rpc/server.h"

#include <pthread.h>

struct mesh__names {
    char full[128];    /* "fashion-order", for people */
    char schema[128];  /* "fashion_order" */
    char replica[160]; /* "fashion-order 3f9a01bc": Postgres' application_name; no other process has
                          the same */
};

struct mesh_app {
    const struct mesh_app_spec *spec;
    const struct mesh__config *config;
    struct mesh__names names;
    struct mesh__stop *stop;
    struct mesh__readiness *readiness;
    struct mesh__http *http;
    struct mesh_db *db; /* NULL: the service has none */
    struct mesh__policies *policies;
    struct mesh__limit waiting;  /* calls to all peers together */
    pthread_mutex_t peers_mutex; /* while peers come and go; /debug/mesh looks at them */
    struct mesh_client **peers;
    size_t n_peers;
    struct mesh__signals *signals;
    void *state; /* the service's own */
    bool state_started;
    struct mesh__leases *leases; /* among the replicas; NULL: it has no use for any */
    struct mesh_events *events;  /* NULL: neither publishes nor consumes */
    bool events_started;
    struct mesh_server *server;
    bool server_started;
    struct mesh__jobs *jobs;
    struct mesh__retention retention;
    struct mesh_job upkeep[2]; /* the runtime's own jobs */
    struct mesh__jobs *upkeep_jobs;
    int grpc_port;
    int http_port;
};

void mesh__app_names(const struct mesh_app_spec *spec, struct mesh__names *ret_names);
/* A pool by the configuration; url is one of the two variables. */
struct mesh_db *mesh__app_db_new(const struct mesh__config *config, const struct mesh__names *names,
                                 enum mesh__var url, int size, const char *label);
/* Leases and state may be NULL. */
struct mesh_events *mesh__app_events_new(const struct mesh_app_spec *spec,
                                         const struct mesh__config *config,
                                         const struct mesh__names *names, struct mesh_db *db,
                                         struct mesh__leases *leases, void *state);

/* What the peers are called by; NULL with a sentence in error. */
struct mesh__policies *mesh__app_policies_new(const struct mesh_app_spec *spec,
                                              const struct mesh__config *config, char *error,
                                              size_t error_size);

/* The subcommands; each returns the exit code. */
int mesh__serve(const struct mesh_app_spec *spec, const struct mesh__config *config);
int mesh__migrate_command(const struct mesh_app_spec *spec, const struct mesh__config *config);
int mesh__check_command(const struct mesh_app_spec *spec, const struct mesh__config *config);
/* What every method gets by a file, or why it is refused. */
int mesh__policy_command(const struct mesh_app_spec *spec, const char *file);

#endif
