/* SPDX-License-Identifier: Apache-2.0 */
/* The environment table of a process: every variable with its rules, and the values that were read.
 */
#ifndef MESH_APP_CONFIG_H
#define MESH_APP_CONFIG_H

#include "mesh/main.h"

#include <stdio.h>

/* The runtime's own variables; their names are in variables.c. */
enum mesh__var {
    VAR_GRPC_LISTEN,
    VAR_HTTP_LISTEN,
    VAR_DATABASE_URL,
    VAR_DATABASE_SESSION_URL,
    VAR_DATABASE_PREPARE,
    VAR_DATABASE_POOL_SIZE,
    VAR_DATABASE_TRACE,
    VAR_MIGRATE_WAIT_MS,
    VAR_NATS_URL,
    VAR_NATS_CA,
    VAR_STREAM_MAX_BYTES,
    VAR_STREAM_MAX_AGE_S,
    VAR_OUTBOX_KEEP_S,
    VAR_INBOX_KEEP_S,
    VAR_WORKERS,
    VAR_QUEUE_SIZE,
    VAR_QUEUE_BYTES,
    VAR_STREAM_LIMIT,
    VAR_WATCH_LIMIT,
    VAR_CONNECTION_STREAMS,
    VAR_CONNECTION_MEMORY_BYTES,
    VAR_DEFAULT_DEADLINE_MS,
    VAR_MAX_DEADLINE_MS,
    VAR_LAME_DUCK_MS,
    VAR_GRACE_MS,
    VAR_MAX_MESSAGE_BYTES,
    VAR_MAX_CONNECTION_AGE_MS,
    VAR_CALL_MEMORY_BYTES,
    VAR_POLICY_FILE,
    VAR_XDS_BOOTSTRAP,
    VAR_LOG_LEVEL,
    VAR_LOG_FORMAT,
    N_VARS
};

enum mesh__var_kind {
    KIND_TEXT,
    KIND_INT64,
    KIND_BOOL,
    KIND_CHOICE,   /* one of the words of `choices` */
    KIND_LISTEN,   /* host:port to bind */
    KIND_POSTGRES, /* a libpq connection string */
    KIND_BROKER,   /* nats:// URLs, separated by commas */
    KIND_PEM,      /* certificates */
    KIND_TARGET    /* host:port, ip:port,ip:port, file:PATH or another gRPC target */
};

/* What has to be there for a subcommand; also who a variable is for. */
enum mesh__need {
    NEED_DATABASE = 1 << 0,
    NEED_BROKER = 1 << 1,
    NEED_PEERS = 1 << 2,
    NEED_SETTINGS = 1 << 3,
    NEED_ALL = NEED_DATABASE | NEED_BROKER | NEED_PEERS | NEED_SETTINGS
};

struct mesh__variable {
    const char *name;
    enum mesh__var_kind kind;
    const char *default_value; /* NULL: none */
    const char *shown_default; /* what --help says instead; NULL: default_value */
    int64_t min, max;
    const char *choices; /* "json|plain" */
    unsigned need;       /* it matters where this is needed; 0: always */
    bool required;
    bool secret; /* its value is never shown */
    bool may_be_empty;
    const char *meaning;
};

extern const struct mesh__variable mesh__variables[N_VARS];

struct mesh__config;

/* What the service needs at all, of enum mesh__need. */
unsigned mesh__config_needs(const struct mesh_app_spec *spec);
/*
 * Reads env (as environ, NULL is empty) by the runtime's, the peers' and the service's variables.
 * `needs` tells which of the required ones must be there. NULL with one sentence in error if
 * anything is wrong.
 */
struct mesh__config *mesh__config_read(const struct mesh_app_spec *spec, char *const *env,
                                       unsigned needs, char *error, size_t error_size);
void mesh__config_free(struct mesh__config *config);

/* Whether it was set, and not left to its default. */
bool mesh__config_given(const struct mesh__config *config, enum mesh__var var);
/* NULL: not set and no default. */
const char *mesh__config_text(const struct mesh__config *config, enum mesh__var var);
int64_t mesh__config_int64(const struct mesh__config *config, enum mesh__var var);
bool mesh__config_bool(const struct mesh__config *config, enum mesh__var var);
/* The target of the i-th peer of the declaration. */
const char *mesh__config_peer(const struct mesh__config *config, size_t i);
/* The variable of the first peer whose target is xds:///name; NULL: there is none. */
const char *mesh__config_xds_peer(const struct mesh__config *config);
/* The value of a setting; NULL if the declaration has none of that name and kind. */
const char *mesh__config_setting(const struct mesh__config *config, const char *name,
                                 enum mesh__var_kind kind, int64_t *ret_number);

/* Prints the table of all variables of the service. */
void mesh__config_help(const struct mesh_app_spec *spec, FILE *out);

#endif
