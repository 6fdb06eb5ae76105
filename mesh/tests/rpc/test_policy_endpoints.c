/* SPDX-License-Identifier: Apache-2.0 */
/* Where attempts go when a destination has several endpoints that come, go, fail and hang. */
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "rpc/client_call.h"
#include "rpc/client_transport.h"
#include "rpc/wire.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define QUIET NO_BREAKER "," NO_EJECTION
#define NO_RETRIES "'retries':{'attempts':0}"

static struct governed governed;
static struct actor actors[2];

static void begin(const char *route, const char *destination)
{
    char target[100];

    actor_start(&actors[0], ACTS({0}), 0);
    actor_start(&actors[1], ACTS({0}), 0);
    (void)snprintf(target, sizeof target, "%s,%s", actor_target(&actors[0]),
                   actor_target(&actors[1]));
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = route, .destination = destination});
    CHECK(governed_await_endpoints(&governed, "ready", 2));
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actors[0]);
    actor_stop(&actors[1]);
}

/* ---- which one ------------------------------------------------------------------------------ */

TEST(round_robin_takes_each_in_turn)
{
    begin(NO_RETRIES, QUIET ",'loadBalancer':'ROUND_ROBIN'");
    for (int i = 0; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(actors[0].n_calls, 5);
    CHECK_INT(actors[1].n_calls, 5);
    finish();
}

TEST(least_request_goes_around_the_one_that_is_busy)
{
    struct mesh_ctx *fork;
    struct mesh_call *call;
    struct actor *busy, *free_one;

    begin(NO_RETRIES, QUIET);
    actor_follow(&actors[0], ACTS({.hangs = true}, {0}));
    actor_follow(&actors[1], ACTS({.hangs = true}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    call = governed_begin(&governed, fork, "Buy");
    while (actors[0].n_hanging + actors[1].n_hanging == 0) {
        (void)sched_yield();
    }
    busy = actors[0].n_hanging == 1 ? &actors[0] : &actors[1];
    free_one = busy == &actors[0] ? &actors[1] : &actors[0];
    actor_follow(free_one, ACTS({0}));
    for (int i = 0; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(busy->n_calls, 1);
    CHECK_INT(free_one->n_calls, 10);
    actor_release(busy);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    finish();
}

/* ---- those that fail ------------------------------------------------------------------------ */

TEST(one_that_fails_in_a_row_is_ejected_and_comes_back)
{
    int n_failed = 0;
    int seen;

    begin(NO_RETRIES, NO_BREAKER
          ",'loadBalancer':'ROUND_ROBIN','outlierDetection':{'consecutiveGatewayErrors':3,"
          "'interval':'100ms','baseEjectionTime':'1s'}");
    actor_follow(&actors[0], ACTS({.status = MESH_UNAVAILABLE}));
    while (governed_count(&governed, "mesh_client_ejections_total", NULL, NULL) == 0) {
        n_failed += governed_call(&governed, "Buy") != MESH_OK;
    }
    CHECK_INT(n_failed, 3);
    CHECK_INT(actors[0].n_calls, 3);
    actor_follow(&actors[0], ACTS({0}));
    seen = actors[1].n_calls;
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK(actors[1].n_calls >= seen + 3); /* all, but for a long wait of this thread */
    while (actors[0].n_calls == 3) {      /* its time is over */
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(governed_count(&governed, "mesh_client_ejections_total", NULL, NULL), 1);
    finish();
}

TEST(people_are_shown_which_one_is_ejected)
{
    char part[100];

    begin(NO_RETRIES, NO_BREAKER ",'loadBalancer':'ROUND_ROBIN','outlierDetection':"
                                 "{'consecutiveGatewayErrors':1,'baseEjectionTime':'60s'}");
    actor_follow(&actors[0], ACTS({.status = MESH_UNAVAILABLE}));
    while (governed_call(&governed, "Buy") == MESH_OK) {
    }
    (void)snprintf(part, sizeof part,
                   "\"address\":\"ipv4:%s\",\"state\":\"ready\",\"ejected\":true,",
                   actor_target(&actors[0]));
    CHECK(governed_shows(&governed, part));
    (void)snprintf(part, sizeof part,
                   "\"address\":\"ipv4:%s\",\"state\":\"ready\",\"ejected\":false,",
                   actor_target(&actors[1]));
    CHECK(governed_shows(&governed, part));
    finish();
}

TEST(attempts_that_go_to_any_endpoint_as_all_are_ejected_are_counted)
{
    begin(NO_RETRIES, NO_BREAKER ",'outlierDetection':{'consecutiveGatewayErrors':1,"
                                 "'baseEjectionTime':'60s','maxEjectionPercent':100}");
    actor_follow(&actors[0], ACTS({.status = MESH_UNAVAILABLE}));
    actor_follow(&actors[1], ACTS({.status = MESH_UNAVAILABLE}));
    for (int64_t i = 1; i <= 2; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_INT(governed_count(&governed, "mesh_client_ejections_total", NULL, NULL), i);
    }
    CHECK_INT(governed_count(&governed, "mesh_client_panics_total", NULL, NULL), 0);
    actor_follow(&actors[0], ACTS({0}));
    actor_follow(&actors[1], ACTS({0}));
    for (int64_t i = 1; i <= 3; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
        CHECK_INT(governed_count(&governed, "mesh_client_panics_total", NULL, NULL), i);
    }
    finish();
}

TEST(when_all_are_down_calls_fail_soon_and_are_reached_once_one_is_back)
{
    int64_t start_ns;
    int port;

    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    port = peer_port(actors[1].peer);
    actor_stop(&actors[0]);
    actor_stop(&actors[1]);
    CHECK(governed_await_endpoints(&governed, "failing", 2));
    start_ns = mesh__now_ns();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "NO_ENDPOINT");
    }
    CHECK(peer_ms_since(start_ns) < 5000);
    actor_start(&actors[1], ACTS({0}), port);
    CHECK(governed_recovers(&governed, "Buy", 5000));
    CHECK_INT(actors[1].n_calls, 1);
    actor_start(&actors[0], ACTS({0}), 0); /* for finish() */
    finish();
}

TEST(one_that_is_down_fails_no_call_of_a_method_that_is_retried)
{
    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    actor_stop(&actors[0]);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    actor_start(&actors[0], ACTS({0}), 0); /* for finish() */
    finish();
}

/* ---- peers in bytes ------------------------------------------------------------------------- */

static const struct raw_bytes nothing;

/* Without a health service; each call has that answer. */
static struct raw_peer *peer_of_bytes(const struct raw_bytes *answer, enum raw_end end)
{
    static struct raw_bytes settings, watch; /* the peer reads them as long as it lives */
    struct raw_bytes block = {0};

    settings.size = 0;
    watch.size = 0;
    raw_frame(&settings, RAW_SETTINGS, 0, 0, &nothing);
    raw_header(&block, ":status", "200");
    raw_header(&block, "content-type", "application/grpc");
    raw_header(&block, "grpc-status", "12");
    raw_frame(&watch, RAW_HEADERS, RAW_END_HEADERS | RAW_END_STREAM, 1, &block);
    return raw_peer_new_watched(&settings, &watch, answer, end);
}

static void write_target(const struct raw_peer *raw, char *ret_target, size_t size)
{
    (void)snprintf(ret_target, size, "127.0.0.1:%d", raw_peer_port(raw));
}

/* ---- those that cannot be reached ----------------------------------------------------------- */

#define RUNS 10
#define IN_TIME_MS 100

/* Of several calls none fails sooner, and one as soon: a busy machine may hold up any. */
static bool finds_none_after(int64_t ms)
{
    bool in_time = false;

    for (int i = 0; i < RUNS && !in_time; i++) {
        int64_t start_ns = mesh__now_ns();

        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "NO_ENDPOINT");
        CHECK(peer_ms_since(start_ns) >= ms);
        in_time = peer_ms_since(start_ns) < ms + IN_TIME_MS;
    }
    return in_time;
}

static void begin_at(const char *target)
{
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = NO_RETRIES, .destination = QUIET});
}

static void begin_raw(const struct raw_peer *raw)
{
    char target[32];

    write_target(raw, target, sizeof target);
    begin_at(target);
}

/* It is connected and says nothing of its health. */
TEST(a_call_waits_half_a_second_for_an_endpoint_that_connects)
{
    struct raw_bytes settings = {0};
    struct raw_peer *raw;

    raw_frame(&settings, RAW_SETTINGS, 0, 0, &nothing);
    raw = raw_peer_new_watched(&settings, &nothing, &nothing, RAW_STAY);
    begin_raw(raw);
    CHECK(finds_none_after(500));
    governed_done(&governed);
    raw_peer_free(raw);
}

TEST(a_call_does_not_wait_for_endpoints_whose_look_up_has_failed)
{
    begin_at("file:/nowhere/endpoints");
    CHECK(finds_none_after(0));
    governed_done(&governed);
}

/* Ten connections: nine pauses, of which the first take 1.6 s and the last 4 s, a fifth more or
 * less. No call asks for them. */
TEST(an_endpoint_that_is_down_is_tried_again_soon_and_then_every_second)
{
    static const char no_http2[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    struct raw_bytes hello = {0};
    bool in_time = false;

    raw_add(&hello, no_http2, strlen(no_http2));
    for (int i = 0; i < 3 && !in_time; i++) { /* a busy machine may hold up any */
        struct raw_peer *raw = raw_peer_new(&hello, &nothing, RAW_CLOSE);
        int64_t limit_ns = mesh__in_ms(8000);

        begin_raw(raw);
        while (raw_peer_n_connections(raw) < 10 && mesh__now_ns() < limit_ns) {
            (void)usleep(1000);
        }
        in_time = raw_peer_n_connections(raw) >= 10;
        governed_done(&governed);
        raw_peer_free(raw);
    }
    CHECK(in_time);
}

static const struct wire *real_wire;
static atomic_int n_connected;

static void count_connect(struct wire_channel *channel)
{
    n_connected++;
    real_wire->channel_reset_backoff(channel);
}

/* Calls for which one is ready leave the others to their pauses; a probe does not. */
TEST(a_probe_makes_all_endpoints_connect_at_once)
{
    static struct wire counting; /* a failed check leaves it in force */

    real_wire = mesh__wire;
    counting = *real_wire;
    counting.channel_reset_backoff = count_connect;
    mesh__wire = &counting;
    n_connected = 0;
    begin(NO_RETRIES,
          NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':2,'openDuration':'10ms'}");
    actor_stop(&actors[1]);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    actor_follow(&actors[0], ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE}, {0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_INT(n_connected, 0);
    CHECK(governed_recovers(&governed, "Buy", 5000));
    CHECK_INT(actors[0].n_calls, 3);
    CHECK_INT(n_connected, 2);
    governed_done(&governed);
    actor_stop(&actors[0]);
    mesh__wire = real_wire;
}

/* ---- from one that fails to another -----------------------------------------------------------
 */

/* The second endpoint is at that port. */
static void begin_beside(const struct raw_peer *raw, int port, const char *retry_on)
{
    char target[64];
    char route[200];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d,127.0.0.1:%d", raw_peer_port(raw), port);
    (void)snprintf(route, sizeof route,
                   "'timeout':'20s','retries':{'attempts':5,'backoff':'1s','retryOn':['%s']}",
                   retry_on);
    governed_start(&governed, &(struct governed_options){.target = target,
                                                         .route = route,
                                                         .destination = QUIET
                                                         ",'loadBalancer':'ROUND_ROBIN'"});
}

/* One of two calls goes to the peer in bytes first, and then for this reason to the other. */
static void check_retried(const char *reason)
{
    int n_calls = 0;

    CHECK(governed_await_endpoints(&governed, "ready", 2));
    while (governed_count(&governed, "mesh_client_retries_total", "reason", reason) == 0) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
        n_calls++;
    }
    CHECK_INT(governed_retries(&governed), 1);
    CHECK_INT(actors[0].n_calls, n_calls);
    CHECK_INT(actors[0].n_retried, 1);
}

/* Above the watch of its health, which had the first stream. */
TEST(a_call_that_goaway_leaves_out_is_answered_by_another_endpoint)
{
    const struct raw_bytes after_the_first = {8, {0, 0, 0, 1, 0, 0, 0, 0}};
    struct raw_bytes goaway = {0};
    struct raw_peer *raw;

    raw_frame(&goaway, RAW_GOAWAY, 0, 0, &after_the_first);
    raw = peer_of_bytes(&goaway, RAW_CLOSE);
    actor_start(&actors[0], ACTS({0}), 0);
    begin_beside(raw, peer_port(actors[0].peer), "refused-stream");
    check_retried("refused-stream");
    governed_done(&governed);
    actor_stop(&actors[0]);
    raw_peer_free(raw);
}

static const char *pinged; /* the address of the only peer that is */

static struct wire_channel *ping_soon(const char *target,
                                      const struct wire_channel_options *options)
{
    struct wire_channel_options own = *options;

    if (strcmp(target, pinged) == 0) {
        own.keepalive_ms = 50;
        own.keepalive_timeout_ms = 50;
    }
    return real_wire->channel_new(target, &own);
}

/* Its connection is there, and nothing more. */
TEST(a_call_whose_peer_answers_no_ping_is_answered_by_another_endpoint)
{
    static struct wire pinging; /* a failed check leaves it in force */
    struct raw_peer *raw = peer_of_bytes(&nothing, RAW_STAY);
    char address[40];

    (void)snprintf(address, sizeof address, "ipv4:127.0.0.1:%d", raw_peer_port(raw));
    pinged = address;
    real_wire = mesh__wire;
    pinging = *real_wire;
    pinging.channel_new = ping_soon;
    mesh__wire = &pinging;
    actor_start(&actors[0], ACTS({0}), 0);
    begin_beside(raw, peer_port(actors[0].peer), "reset");
    check_retried("reset");
    governed_done(&governed);
    actor_stop(&actors[0]);
    mesh__wire = real_wire;
    raw_peer_free(raw);
}

/* One hangs while it connects, the other one is down for a moment. */
TEST(a_call_that_has_waited_for_a_connection_is_answered_by_another_endpoint)
{
    struct raw_peer *raw = raw_peer_new_hanging();
    struct mesh_call *call;
    int port;

    actor_start(&actors[0], ACTS({0}), 0);
    port = peer_port(actors[0].peer);
    actor_stop(&actors[0]);
    begin_beside(raw, port, "connect-failure");
    call = governed_begin(&governed, governed.ctx, "Buy");
    while (governed_retries(&governed) == 0 &&
           governed_count(&governed, "mesh_client_refused_total", "reason", "no_endpoint") == 0) {
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    actor_start(&actors[0], ACTS({0}), port);
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK_INT(actors[0].n_retried, 1);
    governed_done(&governed);
    actor_stop(&actors[0]);
    raw_peer_free(raw);
}

/* ---- those that come and go ----------------------------------------------------------------- */

static void write_addresses(const char *path, const char *first, const char *second)
{
    char next[100];
    FILE *file;

    (void)snprintf(next, sizeof next, "%s.next", path);
    file = fopen(next, "w");
    CHECK(file != NULL && fprintf(file, "%s\n%s\n", first, second) > 0 && fclose(file) == 0);
    CHECK(rename(next, path) == 0);
}

TEST(a_new_endpoint_gets_calls_and_a_removed_one_drains_without_a_failed_call)
{
    char path[] = "/tmp/mesh-endpoints-XXXXXX";
    char target[sizeof path + 5];
    struct mesh_ctx *fork;
    struct mesh_call *call;
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0);
    actor_start(&actors[0], ACTS({.hangs = true}, {0}), 0);
    actor_start(&actors[1], ACTS({0}), 0);
    write_addresses(path, actor_target(&actors[0]), "");
    (void)snprintf(target, sizeof target, "file:%s", path);
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = NO_RETRIES, .destination = QUIET});
    fork = mesh_ctx_fork(governed.ctx);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    call = governed_begin(&governed, fork, "Buy"); /* it stays under way until the end */
    CHECK(peer_await(&actors[0].n_hanging, 1));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(actors[0].n_calls, 2);

    write_addresses(path, actor_target(&actors[0]), actor_target(&actors[1]));
    while (actors[1].n_calls == 0) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    write_addresses(path, actor_target(&actors[1]), "");
    while (!governed_has_endpoints(&governed, "ready", 1)) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    for (int i = 0, before = actors[0].n_calls; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
        CHECK_INT(actors[0].n_calls, before);
    }
    CHECK_INT(actors[0].n_hanging, 1);
    actor_release(&actors[0]);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    CHECK(unlink(path) == 0);
    finish();
}

/* The look-up of all three seconds would find it, too, but later. */
TEST(a_failure_of_the_transport_looks_for_other_endpoints_at_once)
{
    const struct raw_bytes internal_error = {4, {0, 0, 0, 2}};
    struct raw_bytes reset = {0};
    bool in_time = false;

    raw_frame(&reset, RAW_RST_STREAM, 0, 3, &internal_error);
    actor_start(&actors[0], ACTS({0}), 0);
    for (int i = 0; i < 5 && !in_time; i++) { /* a busy machine may hold up any */
        char path[] = "/tmp/mesh-endpoints-XXXXXX";
        char target[sizeof path + 5];
        char old[32];
        struct raw_peer *raw = peer_of_bytes(&reset, RAW_STAY);
        int fd = mkstemp(path);
        int64_t limit_ns;

        CHECK(fd >= 0 && close(fd) == 0);
        write_target(raw, old, sizeof old);
        write_addresses(path, old, "");
        (void)snprintf(target, sizeof target, "file:%s", path);
        begin_at(target);
        CHECK(governed_await_endpoints(&governed, "ready", 1));
        write_addresses(path, old, actor_target(&actors[0]));
        CHECK(governed_call(&governed, "Buy") != MESH_OK);
        limit_ns = mesh__in_ms(1000);
        while (!governed_has_endpoints(&governed, "ready", 2) && mesh__now_ns() < limit_ns) {
            (void)sched_yield();
        }
        in_time = governed_has_endpoints(&governed, "ready", 2);
        governed_done(&governed);
        raw_peer_free(raw);
        CHECK(unlink(path) == 0);
    }
    CHECK(in_time);
    actor_stop(&actors[0]);
}

/* ---- one that sheds its load ---------------------------------------------------------------- */

static atomic_int n_shed, n_done;
static struct governed crowd;

static void shed(struct peer_call *call, void *arg)
{
    (void)arg;
    n_shed++;
    peer__note__free_unpacked(peer_read(call), NULL);
    peer_end(call, MESH_RESOURCE_EXHAUSTED, "full",
             (const struct wire_pair[]){{MESH__STATUS_MARK, "1", 1}}, 1);
}

static void work_for_20_ms(struct peer_call *call, void *arg)
{
    (void)arg;
    n_done++;
    peer__note__free_unpacked(peer_read(call), NULL);
    (void)peer_over_within(call, 20);
    (void)peer_write(call, "answer", 0);
    peer_end(call, MESH_OK, "", NULL, 0);
}

static void *buy_fifty(void *arg)
{
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);

    (void)arg;
    for (int i = 0; i < 50; i++) {
        mesh_ignore(governed_end(ctx, governed_begin(&crowd, ctx, "Buy")));
        mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    }
    mesh__ctx_free(ctx);
    mesh__client_thread_done();
    return NULL;
}

TEST(one_that_sheds_its_load_does_not_get_most_of_it)
{
    static const struct peer_script shedding[] = {{"/peer.Peer/Buy", shed}, {NULL, NULL}};
    static const struct peer_script working[] = {{"/peer.Peer/Buy", work_for_20_ms}, {NULL, NULL}};
    struct peer *full = peer_new(shedding, NULL, 0);
    struct peer *well = peer_new(working, NULL, 0);
    pthread_t threads[6];
    char target[100];

    (void)snprintf(target, sizeof target, "%s,%s", peer_target(full), peer_target(well));
    governed_start(&crowd, &(struct governed_options){.target = target}); /* all defaults */
    CHECK(governed_await_endpoints(&crowd, "ready", 2));
    for (int i = 0; i < 6; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, buy_fifty, NULL), 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(n_shed + n_done, 300);
    CHECK(n_shed < 30); /* without the weight of what was refused: 270 */
    governed_done(&crowd);
    peer_free(full);
    peer_free(well);
}

TEST_MAIN(NULL, NULL)
