/* SPDX-License-Identifier: Apache-2.0 */
/* Too much work, work that comes too late, and the end of a server that has work. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "rpc/client_impl.h"
#include "server_flood.h"
#include "server_raw.h"
#include "server_served.h"
#include "test.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
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

/* Starts a server whose only worker is at a call that waits for served->leave. */
static void keep_busy(struct served *served, struct served_wire *busy)
{
    served->options.workers = 1;
    served_start(served);
    served_wire_send(busy, served, waiting, mesh__in_ms(20000), NULL, 0);
    turn_until_entered(served, busy, 1, 1);
}

/* The one call that waits for a worker. */
static void await_in_queue(struct served_wire *wire)
{
    while (served_metric("mesh_server_queue_depth") != 1) {
        turn(wire, 1);
    }
}

TEST(a_full_queue_answers_at_once)
{
    struct served served;
    struct served_wire wires[2];
    double rejected = served_metric("mesh_server_rejected_total{reason=\"queue_full\"}");
    int64_t before_ns;

    served_init(&served);
    served.options.queue_size = 1;
    keep_busy(&served, &wires[0]);
    served_wire_send(&wires[1], &served, waiting, mesh__in_ms(20000), NULL, 0);
    await_in_queue(&wires[1]);
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

static atomic_bool no_threads;

/* A system that makes no thread. The linker has the names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
bool __real_mesh__thread_try(pthread_t *ret_thread, const char *name, size_t stack_bytes,
                             void *(*run)(void *arg), void *arg);
bool __wrap_mesh__thread_try(pthread_t *ret_thread, const char *name, size_t stack_bytes,
                             void *(*run)(void *arg), void *arg);

bool __wrap_mesh__thread_try(pthread_t *ret_thread, const char *name, size_t stack_bytes,
                             void *(*run)(void *arg), void *arg)
{
    return !no_threads && __real_mesh__thread_try(ret_thread, name, stack_bytes, run, arg);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void wait_for_all(struct served *served, struct served_wire *wires, int n, int n_at_once)
{
    int before = served->n_entered;

    for (int i = 0; i < n; i++) {
        served_wire_send(&wires[i], served, waiting, mesh__in_ms(20000), NULL, 0);
    }
    turn_until_entered(served, wires, (size_t)n, before + n_at_once);
    for (int i = 0; i < n; i++) {
        CHECK(sem_post(&served->leave) == 0);
    }
    for (int i = 0; i < n; i++) {
        CHECK(finish(&wires[i]) == MESH_OK);
    }
}

TEST(as_many_calls_run_at_once_as_there_are_workers)
{
    struct served served;
    struct served_wire wires[8];

    served_init(&served);
    served.options.workers = 8;
    served_start(&served);
    for (int round = 0; round < 20; round++) { /* from all of them idle to all of them busy */
        wait_for_all(&served, wires, 8, 8);
    }
    served_done(&served);
}

TEST(workers_that_cannot_be_made_are_done_without)
{
    struct served served;
    struct served_wire wires[4];

    served_init(&served);
    served.options.workers = 4;
    served_start(&served);
    no_threads = true;
    wait_for_all(&served, wires, 4, 1);
    no_threads = false;
    wait_for_all(&served, wires, 2, 2);
    no_threads = true;
    wait_for_all(&served, wires, 4, 2);
    no_threads = false;
    wait_for_all(&served, wires, 4, 4);
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
    served.options.queue_bytes = 65536; /* the first to wait may exceed it */
    keep_busy(&served, &wires[0]);
    served_wire_send(&wires[1], &served, waiting, mesh__in_ms(20000), bytes, size);
    await_in_queue(&wires[1]);
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
    served.options.default_deadline_ms = 60; /* the client has none and waits on */
    keep_busy(&served, &busy);
    served_wire_send(&late, &served, waiting, MESH_NO_DEADLINE, NULL, 0);
    await_in_queue(&late);
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

TEST(work_that_has_waited_for_most_of_its_time_is_not_begun)
{
    struct served served;
    struct served_wire busy;
    struct served_wire late;
    double dropped = served_metric("mesh_server_rejected_total{reason=\"waited\"}");

    served_init(&served);
    served.options.default_deadline_ms = 3000;
    keep_busy(&served, &busy);
    served_wire_send(&late, &served, waiting, MESH_NO_DEADLINE, NULL, 0);
    await_in_queue(&late);
    turn(&late, 1510); /* more than half of its time */
    CHECK(sem_post(&served.leave) == 0);
    CHECK(sem_post(&served.leave) == 0); /* for it, if it is begun */
    CHECK(finish(&late) == MESH_RESOURCE_EXHAUSTED);
    CHECK(finish(&busy) == MESH_OK);
    CHECK(served.n_entered == 1);
    CHECK(served_metric("mesh_server_rejected_total{reason=\"waited\"}") == dropped + 1);
    served_done(&served);
}

/* A clock that can be stopped and put forward, so that a busy machine changes nothing. */
static const struct mesh_clock *real_clock;
static _Atomic int64_t stopped_ns; /* 0: it goes */

static int64_t stoppable_ns(void)
{
    int64_t ns = stopped_ns;

    return ns != 0 ? ns : real_clock->monotonic_ns();
}

/* Before anything runs that looks at it. */
static void use_stoppable_clock(void)
{
    static struct mesh_clock stoppable;

    real_clock = mesh__clock;
    stoppable = *real_clock;
    stoppable.monotonic_ns = stoppable_ns;
    mesh__clock = &stoppable;
}

static void use_real_clock(void)
{
    stopped_ns = 0;
    mesh__clock = real_clock;
}

/* Of a call that has a few milliseconds, half says nothing of how much there is to do. */
TEST(a_short_wait_is_none_however_little_time_there_was)
{
    struct served served;
    struct served_wire busy;
    struct served_wire hasty;
    enum mesh_status status;

    use_stoppable_clock();
    served_init(&served);
    served.options.default_deadline_ms = 15;
    keep_busy(&served, &busy);
    stopped_ns = mesh__now_ns();
    served_wire_send(&hasty, &served, echo, MESH_NO_DEADLINE, NULL, 0);
    await_in_queue(&hasty);
    stopped_ns += 8 * MESH_NS_PER_MS;
    CHECK(sem_post(&served.leave) == 0);
    status = finish(&hasty);
    CHECK_INT(finish(&busy), MESH_OK);
    stopped_ns = 0;
    served_done(&served);
    use_real_clock();
    CHECK_INT(status, MESH_OK);
}

TEST(work_whose_client_has_gone_is_not_begun)
{
    struct served served;
    struct served_wire busy;
    struct served_wire gone;
    double dropped = served_metric("mesh_server_rejected_total{reason=\"cancelled\"}");

    served_init(&served);
    keep_busy(&served, &busy);
    served_wire_send(&gone, &served, waiting, mesh__in_ms(20000), NULL, 0);
    await_in_queue(&gone);
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

/* How long a client takes to send it is not how much the server has to do. */
TEST(a_request_that_comes_slowly_to_an_idle_server_is_done)
{
    struct served served;
    struct served_wire wire;
    double started = served_metric(STARTED);
    enum mesh_status status;

    use_stoppable_clock();
    served_init(&served);
    served.options.default_deadline_ms = 3000;
    served_start(&served);
    stopped_ns = mesh__now_ns();
    open_incomplete(&wire, &served);
    while (served_metric(STARTED) != started + 1) {
        turn(&wire, 1);
    }
    stopped_ns += 1600 * MESH_NS_PER_MS;
    status = complete(&wire);
    stopped_ns = 0;
    served_done(&served);
    use_real_clock();
    CHECK_INT(status, MESH_OK);
}

TEST(an_answer_that_is_not_taken_in_time_ends_the_call)
{
    struct served served;
    struct flood *flood;
    double untaken = served_metric("mesh_server_untaken_answers_total");
    int stream;

    served_init(&served);
    served.options.default_deadline_ms = 400; /* half of it is for a slow machine to begin */
    served_start(&served);
    flood = flood_open(served.port, 0, true); /* nothing may be sent to it */
    stream = flood_call(flood, echo);
    CHECK(flood_data(flood, stream, "\0\0\0\0\0", 5, true) == 5);
    FLOOD_AWAIT(flood, flood->n_ended > 0);
    CHECK(served_metric("mesh_server_untaken_answers_total") == untaken + 1);
    flood_close(flood);
    served_done(&served);
}

/* ---- addresses ---------------------------------------------------------------------------- */

/* A server that listens there; NULL with a sentence in error if it cannot. */
static struct mesh_server *listen_at(const char *address, int *ret_port, char *error, size_t size)
{
    static const struct mesh_served services[] = {{NULL, NULL}};
    struct served served;
    struct mesh_server *server;

    served_init(&served);
    served.options.listen = address;
    server = mesh__server_new(&served.options, services, NULL);
    (void)sem_destroy(&served.entered);
    (void)sem_destroy(&served.leave);
    if (mesh__server_start(server, ret_port, error, size)) {
        return server;
    }
    mesh__server_stop(server); /* nothing to stop */
    mesh__server_free(server);
    return NULL;
}

/* Whether a connection to the port of an address gets the first frame of a server. */
static bool answers(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {10, 0};
    uint8_t frame[9];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered;

    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    answered = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
               recv(fd, frame, sizeof(frame), MSG_WAITALL) == (ssize_t)sizeof(frame);
    CHECK(close(fd) == 0);
    return answered;
}

TEST(a_taken_port_is_refused_in_one_sentence)
{
    struct served first;
    char expected[128];
    char error[256];
    char *log;
    int port = 0;

    served_init(&first);
    served_start(&first);
    CHECK(listen_at(first.target, &port, error, sizeof(error)) == NULL);
    (void)snprintf(expected, sizeof(expected), "cannot listen on %s: Address already in use",
                   first.target);
    CHECK_TEXT(error, expected);
    CHECK(port == 0);
    log = served_take_log(); /* the core has nothing to add */
    CHECK_TEXT(log, "");
    free(log);
    CHECK(served_call(&first, "Echo", "", NULL) == MESH_OK);
    served_done(&first);
}

TEST(addresses_of_other_families_can_be_listened_on)
{
    char error[256];
    int port = 0;
    struct mesh_server *server = listen_at("[::1]:0", &port, error, sizeof(error));

    CHECK(server != NULL && port > 0);
    mesh__server_free(server);
}

/*
 * The two addresses of two.test: of this process alone, so that nobody else has the port of the one
 * at the other.
 */
static const char *own_host(int which)
{
    static char hosts[2][INET_ADDRSTRLEN];
    unsigned pid = (unsigned)getpid(); /* at most 22 bits */

    (void)snprintf(hosts[which], sizeof(hosts[which]), "127.%u.%u.%u", 64 + (pid >> 15 & 127),
                   pid >> 7 & 255, (pid & 127) * 2 + (unsigned)which);
    return hosts[which];
}

/* One of them twice. The linker has the names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_first);
int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_first);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_first)
{
    static const int which[] = {0, 1, 0};

    if (host == NULL || strcmp(host, "two.test") != 0) {
        return __real_getaddrinfo(host, service, hints, ret_first);
    }
    for (size_t i = 0; i < 3; i++) {
        CHECK(__real_getaddrinfo(own_host(which[i]), service, hints, ret_first) == 0);
        ret_first = &(*ret_first)->ai_next;
    }
    return 0;
}
/* NOLINTEND(bugprone-reserved-identifier) */

TEST(a_name_of_two_addresses_listens_on_both)
{
    char error[256];
    int port = 0;
    struct mesh_server *server = listen_at("two.test:0", &port, error, sizeof(error));

    MUST(server != NULL);
    CHECK(answers(own_host(0), port) && answers(own_host(1), port));
    mesh__server_free(server);
}

TEST(a_name_of_two_addresses_of_which_one_is_taken_is_refused)
{
    char address[32];
    char expected[128];
    char error[256];
    int port = 0;
    int again = 0;
    struct mesh_server *first;

    (void)snprintf(address, sizeof(address), "%s:0", own_host(1));
    first = listen_at(address, &port, error, sizeof(error));
    MUST(first != NULL);
    (void)snprintf(address, sizeof(address), "two.test:%d", port);
    (void)snprintf(expected, sizeof(expected),
                   "cannot listen on two.test:%d (%s:%d): Address already in use", port,
                   own_host(1), port);
    CHECK(listen_at(address, &again, error, sizeof(error)) == NULL);
    CHECK_TEXT(error, expected);
    mesh__server_free(first);
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
    atomic_int n_ok;
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

        served_init(&served);
        served_start(&served);
        for (size_t i = 0; i < 4; i++) {
            callers[i] = (struct caller){&served, &stop, 0, 0, 0};
            CHECK(pthread_create(&callers[i].thread, NULL, call_again_and_again, &callers[i]) == 0);
        }
        for (size_t i = 0; i < 4; i++) {
            while (callers[i].n_ok < 20) {
                (void)sched_yield();
            }
        }
        mesh__server_stop(served.server);
        stop = true;
        for (size_t i = 0; i < 4; i++) {
            CHECK(pthread_join(callers[i].thread, NULL) == 0);
            CHECK_INT(callers[i].n_odd, 0);
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
