/* SPDX-License-Identifier: Apache-2.0 */
/* Too much work, work that comes too late, and the end of a server that has work. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "rpc/client_impl.h"
#include "server_flood.h"
#include "server_raw.h"
#include "server_served.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static const char echo[] = "/check.v1.Check/Echo";
#define STARTED                                                                                    \
    "grpc_server_started_total{grpc_type=\"unary\",grpc_service=\"check.v1.Check\","               \
    "grpc_method=\"Echo\"}"
static const char waiting[] = "/check.v1.Check/Wait";

/* Turns the call's queue until n handlers have begun; a call is sent by the thread that waits. */
static void turn_until_entered(struct served *served, struct served_wire *wires, size_t n_wires,
                               int n)
{
    int64_t until_ns = mesh__in_ms(10000);

    while (served->n_entered < n) {
        for (size_t i = 0; i < n_wires; i++) {
            CHECK(mesh__wire->queue_next(wires[i].queue, mesh__now_ns() + 200000).kind ==
                  WIRE_TIMEOUT);
        }
        CHECK(mesh__now_ns() < until_ns);
    }
}

static void turn(struct served_wire *wire, int64_t ms)
{
    CHECK(mesh__wire->queue_next(wire->queue, mesh__in_ms(ms)).kind == WIRE_TIMEOUT);
}

static enum mesh_status finish(struct served_wire *wire)
{
    enum mesh_status status;
    bool ok;

    (void)served_wire_next(wire, &ok);
    status = mesh__wire->call_status(wire->call);
    mesh__wire->message_free(mesh__wire->call_take_message(wire->call));
    served_wire_close(wire);
    return status;
}

static double wait_for_metric(const char *line, double value)
{
    int64_t until_ns = mesh__in_ms(10000);
    double now;

    while ((now = served_metric(line)) != value && mesh__now_ns() < until_ns) {
        (void)sched_yield();
    }
    return now;
}

TEST(a_full_queue_answers_at_once)
{
    struct served served;
    struct served_wire wires[2];
    double rejected = served_metric("mesh_server_rejected_total{reason=\"queue_full\"}");
    int64_t before_ns;

    served_init(&served);
    served.options.workers = 1;
    served.options.queue_size = 1;
    served_start(&served);
    served_wire_send(&wires[0], &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, wires, 1, 1);
    served_wire_send(&wires[1], &served, waiting, mesh__in_ms(20000), NULL, 0);
    while (served_metric("mesh_server_queue_depth") != 1) {
        turn(&wires[1], 1);
    }
    before_ns = mesh__now_ns();
    CHECK(served_send(&served, echo, mesh__in_ms(20000), NULL, 0, NULL) == MESH_RESOURCE_EXHAUSTED);
    CHECK(mesh__now_ns() - before_ns < 2000 * MESH_NS_PER_MS);
    CHECK(served_metric("mesh_server_rejected_total{reason=\"queue_full\"}") == rejected + 1);
    /* Probes are not work for workers. */
    CHECK_INT(served_health(&served, ""), 1);
    CHECK(sem_post(&served.leave) == 0 && sem_post(&served.leave) == 0);
    CHECK(finish(&wires[0]) == MESH_OK);
    CHECK(finish(&wires[1]) == MESH_OK);
    CHECK(served_metric("mesh_server_queue_depth") == 0);
    served_done(&served);
}

/* A request of a little more than size bytes. */
static size_t pack_body(uint8_t **ret_bytes, size_t size)
{
    Check__V1__Words words = CHECK__V1__WORDS__INIT;
    size_t packed;

    words.body.len = size;
    words.body.data = calloc(1, size);
    *ret_bytes = malloc(check__v1__words__get_packed_size(&words));
    packed = check__v1__words__pack(&words, *ret_bytes);
    free(words.body.data);
    return packed;
}

TEST(a_queue_full_of_large_requests_answers_at_once)
{
    struct served served;
    struct served_wire wires[2];
    uint8_t *bytes;
    size_t size = pack_body(&bytes, 100000);

    served_init(&served);
    served.options.workers = 1;
    served.options.queue_bytes = 65536; /* the first to wait may exceed it */
    served_start(&served);
    served_wire_send(&wires[0], &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, wires, 1, 1);
    served_wire_send(&wires[1], &served, waiting, mesh__in_ms(20000), bytes, size);
    while (served_metric("mesh_server_queue_depth") != 1) {
        turn(&wires[1], 1);
    }
    CHECK(served_send(&served, waiting, mesh__in_ms(5000), bytes, size, NULL) ==
          MESH_RESOURCE_EXHAUSTED);
    CHECK(sem_post(&served.leave) == 0 && sem_post(&served.leave) == 0);
    CHECK(finish(&wires[0]) == MESH_OK);
    CHECK(finish(&wires[1]) == MESH_OK);
    /* What has left the queue counts no more. */
    CHECK(served_send(&served, echo, mesh__in_ms(20000), bytes, size, NULL) == MESH_OK);
    free(bytes);
    served_done(&served);
}

TEST(work_whose_deadline_passed_in_the_queue_is_not_begun)
{
    struct served served;
    struct served_wire busy;
    struct served_wire late;
    double dropped = served_metric("mesh_server_rejected_total{reason=\"expired\"}");
    char *line;

    served_init(&served);
    served.options.workers = 1;
    served.options.default_deadline_ms = 60; /* the client has none and waits on */
    served_start(&served);
    served_wire_send(&busy, &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, &busy, 1, 1);
    served_wire_send(&late, &served, waiting, MESH_NO_DEADLINE, NULL, 0);
    while (served_metric("mesh_server_queue_depth") != 1) {
        turn(&late, 1);
    }
    turn(&late, 80); /* its deadline passes */
    CHECK(sem_post(&served.leave) == 0);
    CHECK(finish(&late) == MESH_DEADLINE_EXCEEDED);
    CHECK(finish(&busy) == MESH_OK);
    CHECK(served.n_entered == 1);
    CHECK(served_metric("mesh_server_rejected_total{reason=\"expired\"}") == dropped + 1);
    line = served_wait_log("\"code\":\"DEADLINE_EXCEEDED\"");
    free(line);
    served_done(&served);
}

TEST(work_whose_client_has_gone_is_not_begun)
{
    struct served served;
    struct served_wire busy;
    struct served_wire gone;
    double dropped = served_metric("mesh_server_rejected_total{reason=\"cancelled\"}");

    served_init(&served);
    served.options.workers = 1;
    served_start(&served);
    served_wire_send(&busy, &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, &busy, 1, 1);
    served_wire_send(&gone, &served, waiting, mesh__in_ms(20000), NULL, 0);
    while (served_metric("mesh_server_queue_depth") != 1) {
        turn(&gone, 1);
    }
    mesh__wire->call_cancel(gone.call);
    CHECK(finish(&gone) == MESH_CANCELLED);
    /* Its cancellation is behind this in the same connection, or before in another: ask until the
     * server must have seen it. */
    for (int i = 0; i < 50; i++) {
        CHECK_INT(served_health(&served, ""), 1);
    }
    CHECK(sem_post(&served.leave) == 0);
    CHECK(finish(&busy) == MESH_OK);
    CHECK(wait_for_metric("mesh_server_rejected_total{reason=\"cancelled\"}", dropped + 1) ==
          dropped + 1);
    CHECK(served.n_entered == 1);
    served_done(&served);
}

/* A call whose request does not come. */
static void open_incomplete(struct served_wire *wire, const struct served *served)
{
    const struct wire_batch batch = {.ops = WIRE_SEND_INITIAL};
    bool ok;

    served_wire_open(wire, served, echo, MESH_NO_DEADLINE);
    mesh__wire->call_start(wire->call, &batch, wire);
    (void)served_wire_next(wire, &ok);
    CHECK(ok);
}

static enum mesh_status complete(struct served_wire *wire)
{
    struct wire_batch batch = {.ops = WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE | WIRE_RECV_INITIAL |
                                      WIRE_RECV_MESSAGE | WIRE_RECV_STATUS};
    uint8_t *data;

    batch.message = mesh__wire->message_new(0, &data);
    mesh__wire->call_start(wire->call, &batch, wire);
    return finish(wire);
}

TEST(of_too_many_incomplete_requests_the_oldest_is_refused)
{
    struct served served;
    struct served_wire wires[5];
    double refused = served_metric("mesh_server_rejected_total{reason=\"incomplete_limit\"}");

    served_init(&served);
    served.options.queue_size = 4;
    served_start(&served);
    for (int i = 0; i < 5; i++) {
        double started = served_metric(STARTED);

        open_incomplete(&wires[i], &served);
        while (served_metric(STARTED) != started + 1) { /* one after the other */
            turn(&wires[i], 1);
        }
    }
    CHECK(wait_for_metric("mesh_server_rejected_total{reason=\"incomplete_limit\"}", refused + 1) ==
          refused + 1);
    CHECK(complete(&wires[0]) == MESH_RESOURCE_EXHAUSTED);
    for (int i = 1; i < 5; i++) {
        CHECK(complete(&wires[i]) == MESH_OK);
    }
    served_done(&served);
}

TEST(a_request_that_is_not_complete_in_time_is_refused)
{
    struct served served;
    struct served_wire wire;

    served_init(&served);
    served.options.default_deadline_ms = 50;
    served_start(&served);
    open_incomplete(&wire, &served);
    free(served_wait_log("before the request was complete"));
    CHECK(complete(&wire) == MESH_DEADLINE_EXCEEDED);
    CHECK(served.n_entered == 0);
    served_done(&served);
}

/* Waits until the server has ended so many streams. */
static bool ended(struct flood *flood, int n)
{
    int64_t until_ns = mesh__in_ms(10000);

    while (flood->n_ended < n && mesh__now_ns() < until_ns) {
        flood_take(flood, 10);
    }
    return flood->n_ended == n;
}

TEST(an_answer_that_is_not_taken_in_time_ends_the_call)
{
    struct served served;
    struct flood *flood;
    double untaken = served_metric("mesh_server_untaken_answers_total");
    int stream;

    served_init(&served);
    served.options.default_deadline_ms = 50;
    served_start(&served);
    flood = flood_open(served.port, 0, true); /* nothing may be sent to it */
    stream = flood_call(flood, echo);
    CHECK(flood_data(flood, stream, "\0\0\0\0\0", 5, true) == 5);
    CHECK(ended(flood, 1));
    CHECK(served_metric("mesh_server_untaken_answers_total") == untaken + 1);
    flood_close(flood);
    served_done(&served);
}

TEST(a_taken_port_is_refused)
{
    struct served first;
    struct mesh_served services[] = {{NULL, NULL}};
    struct mesh_server_options options;
    struct mesh_server *second;
    int port = 0;

    served_init(&first);
    served_start(&first);
    options = first.options;
    options.listen = first.target;
    second = mesh__server_new(&options, services, NULL);
    CHECK(!mesh__server_start(second, &port));
    CHECK(port == 0);
    mesh__server_stop(second); /* nothing to stop */
    mesh__server_free(second);
    CHECK(served_call(&first, "Echo", "", NULL) == MESH_OK);
    served_done(&first);
}

TEST(addresses_of_other_families_can_be_listened_on)
{
    struct served served;
    const struct mesh_served services[] = {{NULL, NULL}};
    struct mesh_server *server;
    int port = 0;

    served_init(&served);
    served.options.listen = "[::1]:0";
    server = mesh__server_new(&served.options, services, NULL);
    CHECK(mesh__server_start(server, &port));
    CHECK(port > 0);
    mesh__server_free(server);
    (void)sem_destroy(&served.entered);
    (void)sem_destroy(&served.leave);
}

/* ---- stop --------------------------------------------------------------------------------- */

static void *stop_server(void *arg)
{
    struct served *served = arg;

    mesh__server_stop(served->server);
    return NULL;
}

TEST(calls_under_way_finish_before_a_stop)
{
    struct served served;
    struct served_wire wire;
    pthread_t stopper;

    served_init(&served);
    served.options.grace_ms = 20000;
    served_start(&served);
    served_wire_send(&wire, &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, &wire, 1, 1);
    CHECK(pthread_create(&stopper, NULL, stop_server, &served) == 0);
    turn(&wire, 50); /* GOAWAY comes, the call stays */
    CHECK(served.n_finished == 0);
    CHECK(sem_post(&served.leave) == 0);
    CHECK(finish(&wire) == MESH_OK);
    CHECK(pthread_join(stopper, NULL) == 0);
    CHECK(served_send(&served, echo, mesh__in_ms(2000), NULL, 0, NULL) == MESH_UNAVAILABLE);
    served_done(&served);
}

TEST(calls_that_do_not_finish_are_cancelled_after_the_grace_period)
{
    struct served served;
    struct served_wire wire;
    pthread_t stopper;
    enum mesh_status status;

    served_init(&served);
    served.options.grace_ms = 50;
    served_start(&served);
    served_wire_send(&wire, &served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(&served, &wire, 1, 1);
    CHECK(pthread_create(&stopper, NULL, stop_server, &served) == 0);
    status = finish(&wire);
    CHECK(pthread_join(stopper, NULL) == 0);
    CHECK(status != MESH_OK);
    CHECK(served.outcome == MESH_CANCELLED);
    served_done(&served);
}

TEST(connections_without_calls_do_not_hold_up_a_stop)
{
    struct served served;
    struct raw_bytes nothing = {.size = 0};
    int silent;
    int idle;
    int incomplete;

    served_init(&served);
    served.options.grace_ms = INT64_C(100000);
    served_start(&served);
    silent = raw_connect_silent(served.port); /* it says nothing at all */
    idle = raw_connect(served.port);
    incomplete = raw_connect(served.port);
    raw_call(incomplete, echo, NULL); /* and its request never comes */
    raw_data(incomplete, &nothing, false);
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    mesh__server_stop(served.server);
    CHECK(close(silent) == 0 && close(idle) == 0 && close(incomplete) == 0);
    served_done(&served);
}

TEST(a_stop_says_goaway_and_answers_what_is_under_way)
{
    struct served served;
    struct raw_answer answer;
    struct raw_bytes message = {.size = 0};
    pthread_t stopper;
    int fd;

    served_init(&served);
    served.options.grace_ms = INT64_C(100000);
    served_start(&served);
    fd = raw_connect(served.port);
    raw_message(&message, 0, "", 0);
    raw_call(fd, waiting, NULL);
    raw_data(fd, &message, true);
    while (served.n_entered == 0) {
        (void)sched_yield();
    }
    CHECK(pthread_create(&stopper, NULL, stop_server, &served) == 0);
    raw_read_until_goaway(fd, &answer);
    CHECK(answer.goaway && answer.n_headers == 0);
    CHECK(sem_post(&served.leave) == 0);
    raw_read(fd, &answer);
    CHECK_INT(answer.status, MESH_OK);
    CHECK(pthread_join(stopper, NULL) == 0);
    CHECK(close(fd) == 0);
    served_done(&served);
}

TEST(not_serving_is_shown_before_calls_are_refused)
{
    struct served served;
    pthread_t stopper;

    served_init(&served);
    served.options.lame_duck_ms = 300;
    served_start(&served);
    CHECK_INT(served_health(&served, ""), 1);
    CHECK(pthread_create(&stopper, NULL, stop_server, &served) == 0);
    while (served_health(&served, "check.v1.Check") == 1) {
    }
    CHECK_INT(served_health(&served, "check.v1.Check"), 2); /* NOT_SERVING, and still answering */
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    CHECK(pthread_join(stopper, NULL) == 0);
    served_done(&served);
}

struct caller {
    struct served *served;
    atomic_bool *stop;
    int n_ok;
    int n_odd; /* neither answered nor refused as a server that goes away does */
    pthread_t thread;
};

static void *call_again_and_again(void *arg)
{
    struct caller *caller = arg;

    while (!*caller->stop) {
        struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
        Check__V1__Words request = CHECK__V1__WORDS__INIT;
        ProtobufCMessage *reply;
        enum mesh_status status = mesh_client_call(ctx, caller->served->client,
                                                   served_method("Echo"), &request.base, &reply);

        caller->n_ok += status == MESH_OK ? 1 : 0;
        /* Without a lame duck the core cancels what it has not yet handed to the server. */
        caller->n_odd +=
            status != MESH_OK && status != MESH_UNAVAILABLE && status != MESH_CANCELLED ? 1 : 0;
        mesh__ctx_free(ctx);
    }
    mesh__client_thread_done();
    return NULL;
}

TEST(a_stop_under_load_is_clean)
{
    for (int round = 0; round < 5; round++) {
        struct served served;
        struct caller callers[4];
        atomic_bool stop = false;
        double started;

        served_init(&served);
        served_start(&served);
        started = served_metric(STARTED);
        for (size_t i = 0; i < 4; i++) {
            callers[i] = (struct caller){&served, &stop, 0, 0, 0};
            CHECK(pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]) == 0);
        }
        while (served_metric(STARTED) < started + 100) {
            (void)sched_yield();
        }
        mesh__server_stop(served.server);
        stop = true;
        for (size_t i = 0; i < 4; i++) {
            CHECK(pthread_join(callers[i].thread, NULL) == 0);
            CHECK_INT(callers[i].n_odd, 0);
            CHECK(callers[i].n_ok > 0);
        }
        served_done(&served);
    }
}

TEST(many_clients_get_their_own_answers)
{
    struct served served;
    struct caller callers[8];
    atomic_bool stop = false;

    served_init(&served);
    served_start(&served);
    for (size_t i = 0; i < 8; i++) {
        callers[i] = (struct caller){&served, &stop, 0, 0, 0};
        CHECK(pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]) == 0);
    }
    for (int i = 0; i < 500; i++) {
        char text[16];
        Check__V1__Words *reply;

        (void)snprintf(text, sizeof(text), "%d", i);
        CHECK(served_call(&served, "Echo", text, &reply) == MESH_OK);
        CHECK_TEXT(reply->text, text);
    }
    stop = true;
    for (size_t i = 0; i < 8; i++) {
        CHECK(pthread_join(callers[i].thread, NULL) == 0);
        CHECK_INT(callers[i].n_odd, 0);
    }
    served_done(&served);
}

TEST(a_server_that_was_never_started_can_be_freed)
{
    struct served served;
    const struct mesh_served services[] = {{NULL, NULL}};

    served_init(&served);
    mesh__server_free(mesh__server_new(&served.options, services, NULL));
    mesh__server_free(NULL);
    (void)sem_destroy(&served.entered);
    (void)sem_destroy(&served.leave);
}

TEST_MAIN(NULL, NULL)
