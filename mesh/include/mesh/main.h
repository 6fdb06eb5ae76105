/* SPDX-License-Identifier: Apache-2.0 */
/* A service's main(): a declaration handed to mesh_main(), which does the rest. */
#ifndef MESH_MAIN_H
#define MESH_MAIN_H

#include "mesh/client.h"
#include "mesh/db.h"
#include "mesh/event.h"

/* The running service as its start function and jobs see it. */
struct mesh_app;

/* One gRPC service that the process serves: the generated type and the table of handlers. */
struct mesh_served {
    const struct mesh_service_type *type;
    const void *handlers;
};

/* One destination of outgoing calls, found in MESH_PEER_<NAME>. */
struct mesh_peer {
    const char *name;                             /* "payment" */
    int64_t timeout_ms;                           /* longest time of one call; 0 means 2000 */
    const struct mesh_service_type *const *types; /* the services it offers, NULL at the end */
};

/* One environment variable of the service's own; printed by --help. */
struct mesh_setting {
    const char *name;
    enum { MESH_SETTING_TEXT, MESH_SETTING_INT64, MESH_SETTING_BOOL } kind;
    const char *default_value; /* NULL: required */
    int64_t min;               /* bounds of an int64, both included */
    int64_t max;
    const char *meaning; /* one sentence, with the unit */
};

/* Work that is repeated for as long as the service runs, on a thread of its own. */
struct mesh_job {
    const char *name;
    int64_t interval_ms; /* from the end of one run to the start of the next */
    /* ctx has a deadline of 30 s. A failure is logged and counted; the next run comes all the same.
     * A run that sets *ret_more has left work undone: the next one begins at once, unless the
     * service stops. */
    MESH_STATUS (*run)(struct mesh_ctx *ctx, void *service, bool *ret_more);
    /* One replica alone runs it, as a rule: one that was taken to be gone may still be at it when
     * the next begins. */
    bool single;
};

struct mesh_app_spec {
    const char *system;                      /* "fashion" */
    const char *name;                        /* "order" */
    const char *summary;                     /* one line for --help */
    const struct mesh_served *services;      /* type NULL at the end */
    const struct mesh_peer *peers;           /* name NULL at the end; NULL: none */
    const struct mesh_migration *migrations; /* name NULL at the end; NULL: no database */
    int64_t compatible_from; /* the oldest migration number that this binary can run on; 0: the
                                newest */
    bool publishes;          /* it emits events: run the relay */
    const struct mesh_inbox_type *inbox; /* NULL: it consumes no events */
    const void *inbox_handlers;
    const struct mesh_setting *settings; /* name NULL at the end; NULL: none */
    const struct mesh_job *jobs;         /* name NULL at the end; NULL: none */
    /* Makes the service's own state after configuration, before the first call. NULL: no state. */
    MESH_STATUS (*start)(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service);
    /* Frees it after the last call. */
    void (*stop)(void *service);
};

/*
 * Runs one of the subcommands serve, migrate, check, policy, version; --help prints them and the
 * table of environment variables. Returns the process's exit code: 0 fine, 1 failed, 2 wrong usage
 * or configuration.
 */
int mesh_main(int argc, char **argv, const struct mesh_app_spec *spec);

/* For start functions. Each aborts on a name that the declaration does not have. */
struct mesh_db *mesh_app_db(struct mesh_app *app);
struct mesh_client *mesh_app_peer(struct mesh_app *app, const char *name);
int64_t mesh_app_int64(const struct mesh_app *app, const char *setting);
bool mesh_app_bool(const struct mesh_app *app, const char *setting);
const char *mesh_app_text(const struct mesh_app *app, const char *setting);

#endif
