/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to Postgres on libpq, in pipeline mode and without blocking; the only user of it. */
#include "core/clock.h"
#include "core/fatal.h"
#include "db/pg.h"
#include "db/pg_cancel.h"
#include "mesh/log.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How often a wait looks whether its call was cancelled. */
#define CANCEL_LOOK_NS (50 * MESH_NS_PER_MS)
/* A peer that vanished without a word is given up after so long without an acknowledgement. */
#define TCP_USER_TIMEOUT_MS "10000"
#define BINARY 1
#define SQLSTATE_CHARS 5
#define INVALID_PASSWORD "28P01"

struct pg_conn {
    PGconn *pq;
    struct pg_cancel *cancel;       /* the last request to cancel, NULL if none is under way */
    PostgresPollingStatusType step; /* of connecting */
    bool connected;
    char refusal[6]; /* SQLSTATE, "" if the server did not refuse to connect */
    bool script;     /* outside of pipeline mode until the answer was read */
    bool ended;      /* the server said that it ends the connection */
    bool at_start;   /* the next answer belongs to another request */
    bool copying;    /* a statement was a COPY: nothing more will come */
};

struct pg_result {
    PGresult *pq;
};

/* ---- waiting ---- */

static int slice_ms(struct pg_until until, int64_t now_ns)
{
    int64_t longest_ns = until.cancelled != NULL ? CANCEL_LOOK_NS : 60 * MESH_NS_PER_S;
    int64_t left_ns = until.deadline_ns - now_ns;

    if (left_ns > longest_ns) {
        left_ns = longest_ns;
    }
    /* Rounded up: it must not wake just before the deadline to wait again. */
    return (int)((left_ns + MESH_NS_PER_MS - 1) / MESH_NS_PER_MS);
}

static bool is_cancelled(struct pg_until until)
{
    return until.cancelled != NULL && atomic_load_explicit(until.cancelled, memory_order_acquire);
}

/* PG_READY: the socket can be used, or has failed, which its next use will tell. */
static enum pg_wait wait_for(const struct pg_conn *conn, short events, struct pg_until until)
{
    struct pollfd pollfd = {.fd = PQsocket(conn->pq), .events = events};

    if (pollfd.fd < 0) {
        return PG_LOST;
    }
    for (;;) {
        int64_t now_ns = mesh__now_ns();
        int n = poll(&pollfd, 1, now_ns < until.deadline_ns ? slice_ms(until, now_ns) : 0);

        if (n > 0) {
            return PG_READY;
        }
        if (n < 0 && errno != EINTR) {
            return PG_LOST;
        }
        if (is_cancelled(until)) {
            return PG_CANCELLED;
        }
        if (mesh__now_ns() >= until.deadline_ns) {
            return PG_TIMEOUT;
        }
    }
}

/* ---- connecting ---- */

static void on_notice(void *arg, const PGresult *result)
{
    struct pg_conn *conn = arg;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) {
        conn->ended = true;
    }
    mesh_log(MESH_LOG_DEBUG, MESH_LOG_FIELDS(mesh_log_text("notice", text != NULL ? text : "")),
             "Postgres says something");
}

/* Why it cannot be parsed is not asked for: the answer would repeat pieces of a password. */
static bool pg_url_options(const char *url,
                           void (*each)(void *arg, const char *key, const char *value), void *arg)
{
    PQconninfoOption *list = PQconninfoParse(url, NULL);
    bool parsed = list != NULL;

    for (PQconninfoOption *option = list; parsed && option->keyword != NULL; option++) {
        if (option->val != NULL) {
            each(arg, option->keyword, option->val);
        }
    }
    PQconninfoFree(list);
    return parsed;
}

static void copy_settings(void *arg, const char *key, const char *value)
{
    char **own = arg;

    if (strcmp(key, "options") == 0) {
        *own = mesh__strdup(value);
    }
}

/* The url's own `options` followed by ours; freed by free(). */
static char *join_settings(const struct pg_options *options)
{
    char *own = NULL;
    char *joined = NULL;

    (void)pg_url_options(options->url, copy_settings, &own); /* a wrong url cannot connect */
    if (asprintf(&joined, "%s %s", own != NULL ? own : "", options->settings) < 0) {
        mesh__fatal("out of memory");
    }
    free(own);
    return joined;
}

static struct pg_conn *pg_connect(const struct pg_options *options)
{
    /* The url overrides what stands before it. Encryption by Kerberos, which nobody asked for,
     * would cost a search for credentials at each connection, and 0.6 MB. */
    const char *keys[8] = {"tcp_user_timeout", "gssencmode", "dbname", "application_name",
                           "client_encoding"};
    const char *values[8] = {TCP_USER_TIMEOUT_MS, "disable", options->url,
                             options->application_name, "UTF8"};
    char *settings = options->settings != NULL ? join_settings(options) : NULL;
    struct pg_conn *conn = mesh__calloc(1, sizeof(*conn));

    if (settings != NULL) {
        keys[5] = "options";
        values[5] = settings;
    }
    conn->pq = PQconnectStartParams(keys, values, 1);
    free(settings);
    if (conn->pq == NULL) {
        mesh__fatal("out of memory");
    }
    conn->step = PGRES_POLLING_WRITING; /* what libpq wants to be waited for first */
    PQsetNoticeReceiver(conn->pq, on_notice, conn);
    (void)PQsetErrorVerbosity(conn->pq, PQERRORS_VERBOSE); /* for keep_refusal */
    return conn;
}

/*
 * Of a refusal libpq tells the SQLSTATE nowhere but in its message ("FATAL:  57P03: the database
 * system is starting up"), which has one for each host that it has tried: the last one counts.
 */
static void keep_refusal(struct pg_conn *conn)
{
    const char *at = PQerrorMessage(conn->pq);

    if (PQconnectionNeedsPassword(conn->pq) == 1) { /* the server was not even asked */
        memcpy(conn->refusal, INVALID_PASSWORD, sizeof(INVALID_PASSWORD));
    }
    while ((at = strstr(at, ":  ")) != NULL) {
        at += strlen(":  ");
        if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == SQLSTATE_CHARS &&
            at[SQLSTATE_CHARS] == ':') {
            memcpy(conn->refusal, at, SQLSTATE_CHARS);
        }
    }
}

static bool enter_pipeline(struct pg_conn *conn)
{
    conn->connected = PQsetnonblocking(conn->pq, 1) == 0 && PQenterPipelineMode(conn->pq) == 1;
    conn->at_start = true;
    return conn->connected;
}

static enum pg_wait pg_connected(struct pg_conn *conn, struct pg_until until)
{
    while (!conn->connected) {
        enum pg_wait wait;

        if (PQstatus(conn->pq) == CONNECTION_BAD || conn->step == PGRES_POLLING_FAILED) {
            keep_refusal(conn);
            return PG_LOST;
        }
        if (conn->step == PGRES_POLLING_OK) {
            return enter_pipeline(conn) ? PG_READY : PG_LOST;
        }
        wait = wait_for(conn, conn->step == PGRES_POLLING_READING ? POLLIN : POLLOUT, until);
        if (wait != PG_READY) {
            return wait;
        }
        conn->step = PQconnectPoll(conn->pq);
    }
    return PG_READY;
}

static void pg_close(struct pg_conn *conn)
{
    if (conn == NULL) {
        return;
    }
    mesh__pg_cancel_free(conn->cancel);
    PQfinish(conn->pq);
    free(conn);
}

static bool pg_alive(struct pg_conn *conn)
{
    struct pollfd pollfd = {.fd = PQsocket(conn->pq), .events = POLLIN};

    while (PQstatus(conn->pq) == CONNECTION_OK && !conn->ended) {
        int n = poll(&pollfd, 1, 0);

        if (n == 0) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (PQconsumeInput(conn->pq) == 0) {
            return false;
        }
        (void)PQisBusy(conn->pq); /* reads what came: a notice that the server goes down */
    }
    return false;
}

static bool pg_idle(const struct pg_conn *conn)
{
    return PQtransactionStatus(conn->pq) == PQTRANS_IDLE;
}

static int pg_backend_pid(const struct pg_conn *conn)
{
    return PQbackendPID(conn->pq);
}

static const char *pg_last_error(const struct pg_conn *conn)
{
    return PQerrorMessage(conn->pq);
}

static const char *pg_refusal(const struct pg_conn *conn)
{
    return conn->refusal;
}

/* ---- requests ---- */

static bool pg_prepare(struct pg_conn *conn, const char *name, const char *text,
                       const struct pg_params *params)
{
    return PQsendPrepare(conn->pq, name, text, params->n, params->types) == 1;
}

static bool pg_execute(struct pg_conn *conn, const char *name, const struct pg_params *params)
{
    return PQsendQueryPrepared(conn->pq, name, params->n, params->values, params->sizes,
                               params->formats, BINARY) == 1;
}

static bool pg_query(struct pg_conn *conn, const char *text, const struct pg_params *params)
{
    return PQsendQueryParams(conn->pq, text, params->n, params->types, params->values,
                             params->sizes, params->formats, BINARY) == 1;
}

static bool pg_sync(struct pg_conn *conn)
{
    return PQpipelineSync(conn->pq) == 1;
}

static bool pg_flush(struct pg_conn *conn)
{
    return PQsendFlushRequest(conn->pq) == 1;
}

static bool pg_script(struct pg_conn *conn, const char *text)
{
    conn->script = PQexitPipelineMode(conn->pq) == 1 && PQsendQuery(conn->pq, text) == 1;
    return conn->script;
}

/* ---- answers ---- */

/* Sends what can be sent and waits until an answer, or a part of one, can be taken. */
static enum pg_wait wait_for_answer(struct pg_conn *conn, struct pg_until until)
{
    for (;;) {
        enum pg_wait wait;
        int unsent = PQflush(conn->pq); /* a failure to send shows when we read */

        if (PQisBusy(conn->pq) == 0) {
            return PG_READY;
        }
        wait = wait_for(conn, (short)(unsent == 1 ? POLLIN | POLLOUT : POLLIN), until);
        if (wait != PG_READY) {
            return wait;
        }
        if (PQconsumeInput(conn->pq) == 0 && PQisBusy(conn->pq) != 0) {
            return PG_LOST;
        }
    }
}

static struct pg_result *wrap(PGresult *pq)
{
    struct pg_result *result = mesh__calloc(1, sizeof(*result));

    result->pq = pq;
    return result;
}

/* libpq reports the loss of a connection as an error that has no SQLSTATE. */
static bool tells_of_loss(const PGresult *pq)
{
    return PQresultStatus(pq) == PGRES_FATAL_ERROR &&
           PQresultErrorField(pq, PG_DIAG_SQLSTATE) == NULL;
}

/* What the caller gets for an answer of libpq's. */
static struct pg_result *take(struct pg_conn *conn, PGresult *pq)
{
    ExecStatusType status = PQresultStatus(pq);

    conn->at_start = conn->at_start || status == PGRES_PIPELINE_SYNC;
    conn->copying =
        status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
    return wrap(pq);
}

/* Drops what a script copies to us, like its rows. */
static enum pg_wait drop_copy(struct pg_conn *conn, struct pg_until until)
{
    char *data;
    int size;

    while ((size = PQgetCopyData(conn->pq, &data, 1)) >= 0) {
        if (size > 0) {
            PQfreemem(data);
        } else {
            enum pg_wait wait = wait_for(conn, POLLIN, until);

            if (wait != PG_READY) {
                return wait;
            }
            if (PQconsumeInput(conn->pq) == 0) {
                return PG_LOST;
            }
        }
    }
    return PG_READY;
}

/* *ret_next is NULL after the last result of a script; unless PG_READY it stays as it was. */
static enum pg_wait next_of_script(struct pg_conn *conn, struct pg_until until, PGresult **ret_next)
{
    enum pg_wait wait = wait_for_answer(conn, until);
    PGresult *next;

    if (wait != PG_READY) {
        return wait;
    }
    next = PQgetResult(conn->pq);
    if (PQresultStatus(next) == PGRES_COPY_OUT) {
        wait = drop_copy(conn, until);
    }
    if (wait != PG_READY) {
        PQclear(next);
        return wait;
    }
    *ret_next = next;
    return PG_READY;
}

static enum pg_wait pg_receive_script(struct pg_conn *conn, struct pg_until until,
                                      struct pg_result **ret_result)
{
    PGresult *answer = NULL;
    PGresult *next;
    enum pg_wait wait;

    while ((wait = next_of_script(conn, until, &next)) == PG_READY && next != NULL) {
        PQclear(answer);
        answer = next;
        if (tells_of_loss(answer)) {
            break;
        }
        if (PQresultStatus(answer) == PGRES_COPY_IN) { /* the server waits for us */
            *ret_result = take(conn, answer);
            return PG_READY;
        }
    }
    if (wait != PG_READY) {
        PQclear(answer);
        return wait;
    }
    conn->script = false;
    if (answer == NULL || tells_of_loss(answer) || !enter_pipeline(conn)) {
        PQclear(answer);
        return PG_LOST;
    }
    *ret_result = wrap(answer);
    return PG_READY;
}

static enum pg_wait pg_receive(struct pg_conn *conn, struct pg_until until,
                               struct pg_result **ret_result)
{
    if (conn->copying) {
        return PG_LOST;
    }
    if (conn->script) {
        return pg_receive_script(conn, until, ret_result);
    }
    for (int n_empty = 0; n_empty < 3;) { /* more in a row: libpq waits for nothing, we do */
        enum pg_wait wait;
        PGresult *pq;

        if (conn->at_start) {
            /* Row by row, so that a huge answer costs bounded memory. */
            conn->at_start = PQsetSingleRowMode(conn->pq) != 1;
        }
        wait = wait_for_answer(conn, until);
        if (wait != PG_READY) {
            return wait;
        }
        pq = PQgetResult(conn->pq);
        if (pq == NULL) { /* stands between the answers of two requests */
            conn->at_start = true;
            n_empty++;
            continue;
        }
        if (tells_of_loss(pq)) {
            PQclear(pq);
            return PG_LOST;
        }
        *ret_result = take(conn, pq);
        return PG_READY;
    }
    return PG_LOST;
}

static enum pg_kind pg_kind(const struct pg_result *result)
{
    switch (PQresultStatus(result->pq)) {
    case PGRES_SINGLE_TUPLE:
        return PG_ROW;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        return PG_DONE;
    case PGRES_PIPELINE_ABORTED:
        return PG_SKIPPED;
    case PGRES_PIPELINE_SYNC:
        return PG_SYNCED;
    default: /* COPY is one too */
        return PG_ERROR;
    }
}

static const char *field(const struct pg_result *result, int code, const char *absent)
{
    const char *text = PQresultErrorField(result->pq, code);

    return text != NULL ? text : absent;
}

static void pg_error(const struct pg_result *result, struct pg_error *ret_error)
{
    const char *severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED, "FATAL");

    ret_error->sqlstate = field(result, PG_DIAG_SQLSTATE, "0A000");
    ret_error->message = field(result, PG_DIAG_MESSAGE_PRIMARY, "COPY is not possible here");
    ret_error->constraint = field(result, PG_DIAG_CONSTRAINT_NAME, "");
    ret_error->fatal = strcmp(severity, "ERROR") != 0;
}

static int64_t pg_count(const struct pg_result *result)
{
    return strtoll(PQcmdTuples(result->pq), NULL, 10); /* "" is 0 */
}

static int pg_columns(const struct pg_result *result)
{
    return PQnfields(result->pq);
}

static uint32_t pg_type(const struct pg_result *result, int column)
{
    return PQftype(result->pq, column);
}

static int pg_rows(const struct pg_result *result)
{
    return PQntuples(result->pq);
}

static const char *pg_value(const struct pg_result *result, int row, int column, int *ret_size)
{
    if (PQgetisnull(result->pq, row, column)) {
        return NULL;
    }
    *ret_size = PQgetlength(result->pq, row, column);
    return PQgetvalue(result->pq, row, column);
}

static void pg_result_free(struct pg_result *result)
{
    if (result != NULL) {
        PQclear(result->pq);
        free(result);
    }
}

/* ---- cancelling ---- */

static bool pg_cancel_wait(struct pg_conn *conn, int64_t deadline_ns)
{
    if (conn->cancel != NULL && !mesh__pg_cancel_wait(conn->cancel, deadline_ns)) {
        return false;
    }
    mesh__pg_cancel_free(conn->cancel);
    conn->cancel = NULL;
    return true;
}

static void send_cancel(void *request)
{
    char why[256];

    (void)PQcancel(request, why, sizeof(why)); /* not taken: the caller gives the connection up */
}

static void free_cancel(void *request)
{
    PQfreeCancel(request);
}

static void pg_cancel(struct pg_conn *conn)
{
    PGcancel *request = conn->cancel == NULL ? PQgetCancel(conn->pq) : NULL;

    if (request != NULL) {
        conn->cancel = mesh__pg_cancel_new(request, send_cancel, free_cancel);
    }
}

static const struct pg libpq = {
    .url_options = pg_url_options,
    .connect = pg_connect,
    .connected = pg_connected,
    .close = pg_close,
    .alive = pg_alive,
    .idle = pg_idle,
    .backend_pid = pg_backend_pid,
    .last_error = pg_last_error,
    .refusal = pg_refusal,
    .prepare = pg_prepare,
    .execute = pg_execute,
    .query = pg_query,
    .sync = pg_sync,
    .flush = pg_flush,
    .receive = pg_receive,
    .kind = pg_kind,
    .error = pg_error,
    .count = pg_count,
    .rows = pg_rows,
    .columns = pg_columns,
    .type = pg_type,
    .value = pg_value,
    .result_free = pg_result_free,
    .cancel = pg_cancel,
    .cancel_wait = pg_cancel_wait,
    .script = pg_script,
};

const struct pg *mesh__pg = &libpq;
