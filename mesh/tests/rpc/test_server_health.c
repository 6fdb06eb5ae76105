/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "grpc/health/v1/health.pb-c.h"
#include "rpc/server_impl.h"
#include "server_flood.h"
#include "server_served.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>

typedef Grpc__Health__V1__HealthCheckRequest CheckRequest;
typedef Grpc__Health__V1__HealthCheckResponse CheckResponse;

#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

static struct served served;

static int start(void **state)
{
    (void)state;
    served_init(&served);
    served_start(&served);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    served_done(&served);
    return 0;
}

/* A server for each test: they stop it. */
static void renew(void)
{
    served_done(&served);
    (void)start(NULL);
}

static struct mesh_stream *watch(const char *service)
{
    CheckRequest request;
    struct mesh_stream *stream;

    grpc__health__v1__health_check_request__init(&request);
    request.service = mesh_strdup(served.ctx, service);
    CHECK(mesh_client_open(served.ctx, served.client, &mesh__health_type.methods[2], &request.base,
                           &stream) == MESH_OK);
    return stream;
}

/* The next status; minus the call's status if it has ended, 0 for no status. */
static int next(struct mesh_stream *stream)
{
    ProtobufCMessage *message;
    enum mesh_status status = mesh_stream_read(served.ctx, stream, &message);

    if (status != MESH_OK) {
        return -(int)status;
    }
    return message == NULL ? 0 : (int)((CheckResponse *)message)->status;
}

TEST(check_answers_for_the_server_and_its_services)
{
    CHECK_INT(served_health(&served, ""), SERVING);
    CHECK_INT(served_health(&served, "check.v1.Check"), SERVING);
    CHECK_INT(served_health(&served, "no.such.Service"), -MESH_NOT_FOUND);
}

TEST(check_tells_a_change)
{
    mesh__server_set_serving(served.server, false);
    CHECK_INT(served_health(&served, ""), NOT_SERVING);
    mesh__server_set_serving(served.server, true);
    CHECK_INT(served_health(&served, ""), SERVING);
}

TEST(list_names_all_services)
{
    Grpc__Health__V1__HealthListRequest request = GRPC__HEALTH__V1__HEALTH_LIST_REQUEST__INIT;
    const Grpc__Health__V1__HealthListResponse *list;
    ProtobufCMessage *reply;
    bool found = false;

    CHECK(mesh_client_call(served.ctx, served.client, &mesh__health_type.methods[1], &request.base,
                           &reply) == MESH_OK);
    list = (const Grpc__Health__V1__HealthListResponse *)reply;
    CHECK(list->n_statuses == 2);
    for (size_t i = 0; i < list->n_statuses; i++) {
        found |= strcmp(list->statuses[i]->key, "check.v1.Check") == 0;
        CHECK(list->statuses[i]->value->status == SERVING);
    }
    CHECK(found);
}

TEST(watch_shows_the_status_now_and_each_change)
{
    struct mesh_stream *stream = watch("check.v1.Check");

    CHECK_INT(next(stream), SERVING);
    for (int i = 0; i < 10; i++) {
        mesh__server_set_serving(served.server, false);
        CHECK_INT(next(stream), NOT_SERVING);
        mesh__server_set_serving(served.server, true);
        CHECK_INT(next(stream), SERVING);
    }
    mesh_stream_cancel(stream);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_CANCELLED);
}

TEST(watch_does_not_repeat_itself)
{
    struct mesh_stream *stream = watch("");

    CHECK_INT(next(stream), SERVING);
    mesh__server_set_serving(served.server, true);
    mesh__server_set_serving(served.server, false);
    CHECK_INT(next(stream), NOT_SERVING);
    mesh__server_set_serving(served.server, true);
    CHECK_INT(next(stream), SERVING);
    mesh_stream_cancel(stream);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_CANCELLED);
}

TEST(watch_of_an_unknown_service_stays_open)
{
    struct mesh_stream *stream = watch("no.such.Service");

    CHECK_INT(next(stream), SERVICE_UNKNOWN);
    mesh_stream_cancel(stream);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_CANCELLED);
}

TEST(watches_need_neither_workers_nor_streams)
{
    struct mesh_stream *streams[40]; /* more than workers and streams together */

    for (size_t i = 0; i < 40; i++) {
        streams[i] = watch("");
        CHECK_INT(next(streams[i]), SERVING);
    }
    CHECK(served_metric("mesh_server_streams") == 0);
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    mesh__server_set_serving(served.server, false);
    for (size_t i = 0; i < 40; i++) {
        CHECK_INT(next(streams[i]), NOT_SERVING);
        mesh_stream_cancel(streams[i]);
        CHECK(mesh_stream_finish(served.ctx, streams[i]) == MESH_CANCELLED);
    }
}

TEST(watches_beyond_the_limit_are_refused)
{
    struct mesh_stream *streams[3];

    served_done(&served);
    served_init(&served);
    served.options.watch_limit = 2;
    served_start(&served);
    for (size_t i = 0; i < 3; i++) {
        streams[i] = watch("");
        CHECK_INT(next(streams[i]), i < 2 ? SERVING : -MESH_RESOURCE_EXHAUSTED);
    }
    CHECK_INT(served_health(&served, ""), SERVING);
    mesh_stream_cancel(streams[0]);
    CHECK(mesh_stream_finish(served.ctx, streams[0]) == MESH_CANCELLED);
    do { /* what has ended makes room */
        streams[0] = watch("");
    } while (next(streams[0]) != SERVING);
    renew();
}

/* A watch whose first message cannot leave yet. */
static struct flood *open_stuck_watch(void)
{
    struct flood *flood = flood_open(served.port, 0, true);

    CHECK(flood_data(flood, flood_call(flood, "/grpc.health.v1.Health/Watch"), "\0\0\0\0\0", 5,
                     true) == 5);
    FLOOD_AWAIT(flood, flood->n_headers > 0); /* behind which the message waits */
    return flood;
}

TEST(a_change_during_a_write_is_shown_after_it)
{
    struct flood *flood;

    renew();
    flood = open_stuck_watch();
    mesh__server_set_serving(served.server, false);
    flood_allow(flood, 0, 1000);
    FLOOD_AWAIT(flood, flood->n_data == 2);
    CHECK_INT(flood->last_data, NOT_SERVING);
    flood_close(flood);
    renew();
}

static void *stop_server(void *arg)
{
    (void)arg;
    mesh__server_stop(served.server);
    return NULL;
}

TEST(a_stop_tells_watchers_and_ends_their_calls)
{
    struct mesh_stream *stream;
    pthread_t stopper;

    served_done(&served);
    served_init(&served);
    served.options.lame_duck_ms = 200;
    served.options.grace_ms = 100000; /* open watches must not make a stop wait for it */
    served_start(&served);
    stream = watch("");
    CHECK_INT(next(stream), SERVING);
    CHECK(pthread_create(&stopper, NULL, stop_server, NULL) == 0);
    CHECK_INT(next(stream), NOT_SERVING);
    CHECK_INT(next(stream), -MESH_UNAVAILABLE);
    CHECK(pthread_join(stopper, NULL) == 0);
    renew();
}

TEST(a_stop_during_a_write_ends_the_watch_after_it)
{
    struct flood *flood;
    pthread_t stopper;

    served_done(&served);
    served_init(&served);
    served.options.grace_ms = 100000;
    served_start(&served);
    flood = open_stuck_watch();
    CHECK(pthread_create(&stopper, NULL, stop_server, NULL) == 0);
    FLOOD_AWAIT(flood, flood->goaway); /* watches were ended before */
    CHECK_INT(flood->n_ended, 0);
    flood_allow(flood, 0, 1000);
    FLOOD_AWAIT(flood, flood->n_ended > 0);
    CHECK(flood->n_data > 0); /* what it was being sent was not cut off */
    CHECK(pthread_join(stopper, NULL) == 0);
    flood_close(flood);
    renew();
}

/* What Check says to empty bytes: the status of the server. */
static int check_by_hand(const struct served *own)
{
    struct served_wire wire;
    struct wire_message *message;
    CheckResponse *reply;
    const uint8_t *bytes;
    size_t size;
    int status;
    bool ok;

    served_wire_send(&wire, own, "/grpc.health.v1.Health/Check", mesh__in_ms(10000), NULL, 0);
    (void)served_wire_next(&wire, &ok);
    message = mesh__wire->call_take_message(wire.call);
    bytes = mesh__wire->message_data(message, &size);
    reply = grpc__health__v1__health_check_response__unpack(NULL, size, bytes);
    status = (int)reply->status;
    grpc__health__v1__health_check_response__free_unpacked(reply, NULL);
    mesh__wire->message_free(message);
    served_wire_close(&wire);
    return status;
}

TEST(a_server_begins_as_not_serving)
{
    struct served own;
    const struct mesh_served services[] = {{NULL, NULL}};
    struct mesh_server *server;
    char error[256];

    served_init(&own);
    server = mesh__server_new(&own.options, services, NULL);
    CHECK(mesh__server_start(server, &own.port, error, sizeof(error)));
    (void)snprintf(own.target, sizeof(own.target), "127.0.0.1:%d", own.port);
    CHECK_INT(check_by_hand(&own), NOT_SERVING);
    mesh__server_free(server);
    (void)sem_destroy(&own.entered);
    (void)sem_destroy(&own.leave);
}

TEST_MAIN(start, stop)
