/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that gRPC's core 1.51 puts into a status that no peer has sent. */
#include "rpc/client_transport.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum cause {
    CONNECT, /* there is no connection */
    REFUSED, /* the peer has not begun with it */
    CLOSED,  /* the connection has gone */
    RST,     /* the code of RST_STREAM stands behind */
    HTTP,    /* the HTTP status stands behind */
    HERE     /* on this side */
};

struct row {
    const char *text; /* it begins with this */
    enum cause cause;
};

static const struct row rows[] = {
    {"failed to connect to all addresses", CONNECT},
    {"connections to all backends failing", CONNECT},
    {"DNS resolution failed", CONNECT},
    {"DNS query cancelled", CONNECT},
    {"empty address list", CONNECT},
    {"HTTP proxy returned response code", CONNECT},
    {"GOAWAY received", REFUSED},
    {"Received RST_STREAM with error code ", RST},
    {"Received http2 header with status: ", HTTP},
    {"Socket closed", CLOSED},
    {"recvmsg:", CLOSED},
    {"sendmsg:", CLOSED},
    {"keepalive watchdog timeout", CLOSED},
    {"Endpoint read failed", CLOSED},
    {"Transport closed", CLOSED},
    {"Stream removed", CLOSED},
    {"Trying to connect an http1.x server", CLOSED},
    {"Received message larger than max", HERE},
};

#define RST_REFUSED_STREAM 7

const struct mesh__failure mesh__failure_cancelled = {true, 0, MESH__EJECTION_NOTHING};
const struct mesh__failure mesh__failure_late = {true, 0, MESH__EJECTION_GATEWAY};
static const struct mesh__failure dropped = {
    true, MESH__RETRY_REFUSED_STREAM | MESH__RETRY_RESET | MESH__RETRY_CANCELLED,
    MESH__EJECTION_BOTH};
const struct mesh__failure mesh__failure_per_try = {true, MESH__RETRY_RESET, MESH__EJECTION_BOTH};
const struct mesh__failure mesh__failure_not_ready = {
    true, MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_RESET, MESH__EJECTION_NOTHING};

static const struct row *find(const char *text)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strncmp(text, rows[i].text, strlen(rows[i].text)) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

bool mesh__transport_text(const char *text)
{
    return find(text) != NULL;
}

/* A core that stops ends so what it has handed to nobody. */
static bool is_dropped(enum mesh_status status, const char *text)
{
    return status == MESH_CANCELLED && strcmp(text, "CANCELLED") == 0;
}

static struct mesh__failure of_transport(const struct row *row, const char *text)
{
    struct mesh__failure failure = {true, MESH__RETRY_RESET, MESH__EJECTION_BOTH};
    long number = strtol(text + strlen(row->text), NULL, 10); /* 0 if there is none */

    switch (row->cause) {
    case CONNECT:
        failure.retry_on |= MESH__RETRY_CONNECT_FAILURE;
        break;
    case REFUSED:
        failure.retry_on |= MESH__RETRY_REFUSED_STREAM;
        break;
    case RST:
        failure.retry_on |= number == RST_REFUSED_STREAM ? MESH__RETRY_REFUSED_STREAM : 0U;
        break;
    case HTTP: /* whoever answers 4xx will do so again */
        failure.retry_on = number >= 500 ? MESH__RETRY_RESET : 0U;
        break;
    case HERE:
        failure.retry_on = 0;
        failure.ejection = MESH__EJECTION_NOTHING;
        break;
    case CLOSED:
        break;
    }
    return failure;
}

static struct mesh__failure of_server(enum mesh_status status)
{
    switch (status) {
    case MESH_CANCELLED:
        return (struct mesh__failure){false, MESH__RETRY_CANCELLED, MESH__EJECTION_GOOD};
    case MESH_DEADLINE_EXCEEDED:
        return (struct mesh__failure){false, MESH__RETRY_DEADLINE_EXCEEDED, MESH__EJECTION_GATEWAY};
    case MESH_INTERNAL:
        return (struct mesh__failure){false, MESH__RETRY_INTERNAL, MESH__EJECTION_5XX};
    case MESH_RESOURCE_EXHAUSTED:
        return (struct mesh__failure){false, MESH__RETRY_RESOURCE_EXHAUSTED, MESH__EJECTION_GOOD};
    case MESH_UNAVAILABLE:
        return (struct mesh__failure){false, MESH__RETRY_UNAVAILABLE, MESH__EJECTION_GATEWAY};
    case MESH_UNKNOWN:
    case MESH_DATA_LOSS:
    case MESH_UNIMPLEMENTED:
        return (struct mesh__failure){false, 0, MESH__EJECTION_5XX};
    default:
        return (struct mesh__failure){false, 0, MESH__EJECTION_GOOD};
    }
}

struct mesh__failure mesh__failure_of(enum mesh_status status, const char *text, bool marked)
{
    const struct row *row = marked || status == MESH_OK ? NULL : find(text);

    if (!marked && is_dropped(status, text)) {
        return dropped;
    }
    return row != NULL ? of_transport(row, text) : of_server(status);
}

enum mesh_status mesh__transport_code(enum mesh_status status, const char *text)
{
    const struct row *row = find(text);

    if (is_dropped(status, text)) {
        return MESH_UNAVAILABLE;
    }
    if (row == NULL || row->cause == HERE) {
        return status;
    }
    switch (status) {
    case MESH_UNKNOWN: /* a connection that broke down over bad HTTP/2 is as gone as a closed one */
        return MESH_UNAVAILABLE;
    case MESH_CANCELLED:
    case MESH_RESOURCE_EXHAUSTED:
    case MESH_PERMISSION_DENIED: /* nobody has: a stream was reset */
        return row->cause == RST ? MESH_UNAVAILABLE : status;
    default:
        return status;
    }
}
