/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to Postgres: a table of functions over one connection, in our own types. */
#ifndef MESH_DB_PG_H
#define MESH_DB_PG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One connection. Statements are pipelined: they are queued, sent, and answered in their order. */
struct pg_conn;
/* What the server said to one statement; freed by result_free. */
struct pg_result;

/* How long a wait may last. */
struct pg_until {
    int64_t deadline_ns;          /* monotonic; MESH_NO_DEADLINE for ever */
    const atomic_bool *cancelled; /* looked at now and then; NULL: cannot be cancelled */
};

enum pg_wait { PG_READY, PG_TIMEOUT, PG_CANCELLED, PG_LOST };

struct pg_options {
    const char *url;              /* connection string or URI of libpq */
    const char *application_name; /* overrides the url's */
    const char *settings;         /* "-c name=value ...", added to the url's; NULL: none */
};

/* Parameters of a statement, each array of n elements. */
struct pg_params {
    int n;
    const uint32_t *types;     /* oid of the type, 0: let the server infer it */
    const char *const *values; /* NULL: SQL null */
    const int *sizes;          /* of binary values */
    const int *formats;        /* 0 text, 1 binary */
};

enum pg_kind {
    PG_ROW,     /* a row of a statement that has not ended */
    PG_DONE,    /* a statement has ended well; count tells how many rows */
    PG_ERROR,   /* a statement, or the commit, has failed */
    PG_SKIPPED, /* not run because an earlier statement of the pipeline failed */
    PG_SYNCED   /* the end of a pipeline: its transaction is over */
};

/* Of a PG_ERROR; the texts live as long as the result and may be "" but not NULL. */
struct pg_error {
    const char *sqlstate;
    const char *message;
    const char *constraint;
    bool fatal; /* the connection ends with it */
};

struct pg {
    /* Gives each option that a connection string sets to `each`. False: it is none, or has an
     * option that does not exist. */
    bool (*url_options)(const char *url,
                        void (*each)(void *arg, const char *key, const char *value), void *arg);
    /* Begins to connect; pg_conn is closed by close in any case. Looking up a name may block. */
    struct pg_conn *(*connect)(const struct pg_options *options);
    /* Goes on connecting. PG_LOST: it failed for good, last_error says why. */
    enum pg_wait (*connected)(struct pg_conn *conn, struct pg_until until);
    void (*close)(struct pg_conn *conn);
    /* While nothing is under way: false if the server has ended the connection. */
    bool (*alive)(struct pg_conn *conn);
    /* While nothing is under way: false if the session is still inside a transaction. */
    bool (*idle)(const struct pg_conn *conn);
    /* The server's process for this connection; 0 if unknown. */
    int (*backend_pid)(const struct pg_conn *conn);
    /* The message of the last failure of the connection itself. */
    const char *(*last_error)(const struct pg_conn *conn);
    /* After PG_LOST of connected: the SQLSTATE that the server refused with; "": it did not. */
    const char *(*refusal)(const struct pg_conn *conn);

    /*
     * Each queues one request, which gets one answer (any number of PG_ROW, then PG_DONE, PG_ERROR
     * or PG_SKIPPED; PG_SYNCED or PG_ERROR and PG_SYNCED for sync). False: the connection is lost.
     * Values are copied.
     */
    bool (*prepare)(struct pg_conn *conn, const char *name, const char *text,
                    const struct pg_params *params);
    bool (*execute)(struct pg_conn *conn, const char *name, const struct pg_params *params);
    bool (*query)(struct pg_conn *conn, const char *text, const struct pg_params *params);
    /* Ends the pipeline: commits its transaction unless a statement of it failed. */
    bool (*sync)(struct pg_conn *conn);
    /* Asks the server to answer what was queued so far without ending the pipeline. No answer. */
    bool (*flush)(struct pg_conn *conn);
    /*
     * Sends what is queued and waits for the next answer. PG_READY: *ret_result is the caller's;
     * anything else leaves the request under way.
     */
    enum pg_wait (*receive)(struct pg_conn *conn, struct pg_until until,
                            struct pg_result **ret_result);

    enum pg_kind (*kind)(const struct pg_result *result);
    void (*error)(const struct pg_result *result, struct pg_error *ret_error);
    /* Rows returned or changed by a statement that is PG_DONE. */
    int64_t (*count)(const struct pg_result *result);
    /* Rows held by this very result: one in PG_ROW, usually none in PG_DONE. */
    int (*rows)(const struct pg_result *result);
    int (*columns)(const struct pg_result *result);
    uint32_t (*type)(const struct pg_result *result, int column);
    /* Binary, with a NUL behind it; NULL for SQL null. */
    const char *(*value)(const struct pg_result *result, int row, int column, int *ret_size);
    void (*result_free)(struct pg_result *result);

    /* Asks the server to cancel what runs on conn; does not wait. */
    void (*cancel)(struct pg_conn *conn);
    /* Waits until the server has taken the request; until then it could hit a later statement. */
    bool (*cancel_wait)(struct pg_conn *conn, int64_t deadline_ns);

    /*
     * Runs many statements in one go, without parameters, as one transaction, outside of any
     * pipeline. One answer, as for query; rows are dropped.
     */
    bool (*script)(struct pg_conn *conn, const char *text);
};

/* The table in force. Tests may point it elsewhere before threads are started. */
extern const struct pg *mesh__pg;

#endif
