/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCK_NOT_AVAILABLE "55P03"

static _Noreturn void die(PGconn *connection, const char *what)
{
    (void)fprintf(stderr, "Postgres: %s: %s", what, PQerrorMessage(connection));
    exit(1);
}

PGconn *raw_connect(const char *connection_string)
{
    PGconn *connection = PQconnectdb(connection_string);

    if (PQstatus(connection) != CONNECTION_OK) {
        die(connection, "connect");
    }
    return connection;
}

void raw_close(PGconn *connection)
{
    PQfinish(connection);
}

static void take(PGconn *connection, PGresult *result, const char *what)
{
    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        die(connection, what);
    }
    PQclear(result);
}

void raw_exec(PGconn *connection, const char *text)
{
    take(connection, PQexec(connection, text), "exec");
}

static Oid type_of(char letter)
{
    switch (letter) {
    case 'u':
        return 2950;
    case 'b':
        return 17;
    case 'n':
        return 20;
    default:
        return 0;
    }
}

void raw_prepare(PGconn *connection, const struct mesh_sql *sql, const char *types)
{
    int n = (int)strlen(types);
    Oid oids[RAW_MAX_PARAMS];

    for (int i = 0; i < n; i++) {
        oids[i] = type_of(types[i]);
    }
    take(connection, PQprepare(connection, sql->name, sql->text, n, oids), sql->name);
}

void raw_begin_pipeline(PGconn *connection)
{
    if (!PQenterPipelineMode(connection)) {
        die(connection, "pipeline");
    }
}

void raw_send(PGconn *connection, const struct mesh_sql *sql, const char *const *params, int n)
{
    if (!PQsendQueryPrepared(connection, sql->name, n, params, NULL, NULL, 0)) {
        die(connection, "send");
    }
}

void raw_flush(PGconn *connection)
{
    if (!PQsendFlushRequest(connection) || PQflush(connection) != 0) {
        die(connection, "flush");
    }
}

void raw_sync(PGconn *connection)
{
    if (!PQpipelineSync(connection)) {
        die(connection, "sync");
    }
}

static bool is_locked(const PGresult *result, ExecStatusType status)
{
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

    return status == PGRES_PIPELINE_ABORTED ||
           (code != NULL && strcmp(code, LOCK_NOT_AVAILABLE) == 0);
}

int raw_read(PGconn *connection)
{
    PGresult *result;
    ExecStatusType status;
    int rows;

    do { /* NULL is the end of one statement's results */
        result = PQgetResult(connection);
    } while (result == NULL);
    status = PQresultStatus(result);
    if (status == PGRES_PIPELINE_SYNC) {
        rows = RAW_END;
    } else if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        rows = (int)strtol(PQcmdTuples(result), NULL, 10);
    } else if (is_locked(result, status)) {
        rows = RAW_LOCKED;
    } else {
        die(connection, "statement");
    }
    PQclear(result);
    return rows;
}
