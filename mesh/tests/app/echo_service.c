/* SPDX-License-Identifier: Apache-2.0 */
/* A complete, tiny service, to be run as a process by the tests. */
#include "mesh/main.h"
#include "mesh/signal.h"

#include <google/protobuf/empty.pb-c.h>
#include <google/protobuf/wrappers.pb-c.h>
#include <time.h>

struct echo {
    struct mesh_db *db;
    struct mesh_signal *changed;
};

static MESH_STATUS call_echo(struct mesh_ctx *ctx, const void *handlers, void *service,
                             const ProtobufCMessage *request, ProtobufCMessage *response,
                             struct mesh_stream *stream)
{
    (void)handlers;
    (void)service;
    (void)stream;
    ((Google__Protobuf__StringValue *)response)->value =
        mesh_strdup(ctx, ((const Google__Protobuf__StringValue *)request)->value);
    return MESH_OK;
}

/* Takes as many milliseconds as it is told. */
static MESH_STATUS call_sleep(struct mesh_ctx *ctx, const void *handlers, void *service,
                              const ProtobufCMessage *request, ProtobufCMessage *response,
                              struct mesh_stream *stream)
{
    int64_t ms = ((const Google__Protobuf__Int64Value *)request)->value;
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};

    (void)ctx;
    (void)handlers;
    (void)service;
    (void)response;
    (void)stream;
    nanosleep(&pause, NULL);
    return MESH_OK;
}

static MESH_STATUS call_count(struct mesh_ctx *ctx, const void *handlers, void *service,
                              const ProtobufCMessage *request, ProtobufCMessage *response,
                              struct mesh_stream *stream)
{
    static const struct mesh_sql insert = {"insert_visit",
                                           "insert into visits default values returning id"};
    struct echo *echo = service;
    struct mesh_rows *rows;

    (void)handlers;
    (void)request;
    (void)stream;
    MESH_TRY(mesh_db_query(ctx, echo->db, &insert, MESH_NO_ARGS, &rows));
    ((Google__Protobuf__Int64Value *)response)->value = mesh_row_int64(rows, 0, 0);
    return MESH_OK;
}

static MESH_STATUS call_raise(struct mesh_ctx *ctx, const void *handlers, void *service,
                              const ProtobufCMessage *request, ProtobufCMessage *response,
                              struct mesh_stream *stream)
{
    struct echo *echo = service;

    (void)ctx;
    (void)handlers;
    (void)request;
    (void)response;
    (void)stream;
    mesh_signal_raise(echo->changed);
    return MESH_OK;
}

/* Answers what it has seen, once that is something else than the request. */
static MESH_STATUS call_wait(struct mesh_ctx *ctx, const void *handlers, void *service,
                             const ProtobufCMessage *request, ProtobufCMessage *response,
                             struct mesh_stream *stream)
{
    struct echo *echo = service;
    uint64_t seen = (uint64_t)((const Google__Protobuf__Int64Value *)request)->value;

    (void)handlers;
    (void)stream;
    MESH_TRY(mesh_signal_wait(ctx, echo->changed, &seen, 60000));
    ((Google__Protobuf__Int64Value *)response)->value = (int64_t)seen;
    return MESH_OK;
}

static const struct mesh_method methods[] = {
    {.path = "/test.EchoService/Echo",
     .name = "Echo",
     .request = &google__protobuf__string_value__descriptor,
     .response = &google__protobuf__string_value__descriptor,
     .dispatch = call_echo},
    {.path = "/test.EchoService/Sleep",
     .name = "Sleep",
     .request = &google__protobuf__int64_value__descriptor,
     .response = &google__protobuf__empty__descriptor,
     .dispatch = call_sleep},
    {.path = "/test.EchoService/Count",
     .name = "Count",
     .request = &google__protobuf__empty__descriptor,
     .response = &google__protobuf__int64_value__descriptor,
     .dispatch = call_count},
    {.path = "/test.EchoService/Raise",
     .name = "Raise",
     .request = &google__protobuf__empty__descriptor,
     .response = &google__protobuf__empty__descriptor,
     .dispatch = call_raise},
    {.path = "/test.EchoService/Wait",
     .name = "Wait",
     .request = &google__protobuf__int64_value__descriptor,
     .response = &google__protobuf__int64_value__descriptor,
     .dispatch = call_wait},
};
static const struct mesh_service_type type = {.name = "test.EchoService",
                                              .methods = methods,
                                              .n_methods = sizeof(methods) / sizeof(methods[0])};

static MESH_STATUS start(struct mesh_ctx *ctx, struct mesh_app *app, void **ret_service)
{
    static struct echo echo;

    (void)ctx;
    echo.db = mesh_app_db(app);
    echo.changed = mesh_app_signal(app, "changed");
    *ret_service = &echo;
    return MESH_OK;
}

static MESH_STATUS clean(struct mesh_ctx *ctx, void *service,
                         bool *ret_more __attribute__((unused)))
{
    static const struct mesh_sql delete_old = {
        "delete_old_visits", "delete from visits where at < now() - interval '1 day'"};
    struct echo *echo = service;

    return mesh_db_query(ctx, echo->db, &delete_old, MESH_NO_ARGS, NULL);
}

int main(int argc, char **argv)
{
    static const struct mesh_served services[] = {{.type = &type, .handlers = &type}, {0}};
    static const struct mesh_migration migrations[] = {
        {.name = "0001_create_visits",
         .text = "create table visits (id bigserial primary key, at timestamptz not null default "
                 "now())"},
        {0}};
    static const struct mesh_job jobs[] = {{.name = "clean", .interval_ms = 50, .run = clean}, {0}};
    static const struct mesh_app_spec spec = {.system = "test",
                                              .name = "echo",
                                              .summary = "answers what it is told",
                                              .services = services,
                                              .migrations = migrations,
                                              .publishes = true,
                                              .jobs = jobs,
                                              .start = start};

    return mesh_main(argc, argv, &spec);
}
