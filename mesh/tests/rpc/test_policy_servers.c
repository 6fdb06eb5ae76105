/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of services that call each other: chains of retries, and health. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "mesh/metrics.h"
#include "rpc/backoff.h"
#include "server_served.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define QUIET NO_BREAKER "," NO_EJECTION
#define N_LAYERS 3

/* Each layer calls the one below it by its own policy; the lowest calls the actor. */
static struct served layers[N_LAYERS - 1];
static struct governed clients[N_LAYERS];
static struct actor bottom;

/* Methods of the servers that may be repeated. */
static const struct mesh_method relay = {
    .path = "/check.v1.Check/Fail",
    .name = "Fail",
    .kind = MESH_UNARY,
    .idempotency = MESH_IDEMPOTENT,
    .request = &check__v1__words__descriptor,
    .response = &check__v1__words__descriptor,
};

static MESH_STATUS call_relay(struct mesh_ctx *ctx, struct governed *governed)
{
    Check__V1__Words words = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *answer;

    return mesh_client_call(ctx, governed->client, &relay, &words.base, &answer);
}

static MESH_STATUS call_layer(struct mesh_ctx *ctx, size_t i)
{
    if (i < N_LAYERS - 1) {
        return call_relay(ctx, &clients[i]);
    }
    return governed_end(ctx, governed_begin(&clients[i], ctx, "Buy"));
}

static MESH_STATUS call_below(struct mesh_ctx *ctx, struct served *served,
                              const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)request;
    (void)stream;
    return call_layer(ctx, (size_t)(served - layers) + 1);
}

static void begin_with(const char *route, const char *destination)
{
    actor_start(&bottom, ACTS({.status = MESH_UNAVAILABLE}), 0);
    for (size_t i = 0; i < N_LAYERS - 1; i++) {
        served_init(&layers[i]);
        layers[i].options.default_deadline_ms = 20000;
        served_start(&layers[i]);
    }
    for (size_t i = 0; i < N_LAYERS; i++) {
        governed_start(&clients[i], &(struct governed_options){.target = i == N_LAYERS - 1
                                                                             ? actor_target(&bottom)
                                                                             : layers[i].target,
                                                               .route = route,
                                                               .destination = destination});
        CHECK(governed_await_endpoints(&clients[i], "ready", 1));
    }
    for (size_t i = 0; i < N_LAYERS - 1; i++) { /* now that there is something to call */
        layers[i].script = call_below;
    }
}

static void begin(const char *route)
{
    begin_with(route, QUIET);
}

/* The servers first: their handlers use the clients. */
static void finish(void)
{
    for (size_t i = 0; i < N_LAYERS - 1; i++) {
        mesh__server_stop(layers[i].server);
    }
    for (size_t i = 0; i < N_LAYERS; i++) {
        governed_done(&clients[i]);
    }
    for (size_t i = 0; i < N_LAYERS - 1; i++) {
        served_done(&layers[i]);
    }
    actor_stop(&bottom);
}

TEST(three_layers_with_two_retries_each_call_a_bottom_that_is_down_three_times)
{
    begin("'timeout':'20s','retries':{'attempts':2,'backoff':'1ms'}");
    CHECK_INT(call_layer(clients[0].ctx, 0), MESH_UNAVAILABLE);
    CHECK_INT(bottom.n_calls, 3);
    CHECK_INT(layers[0].n_entered, 1);
    CHECK_INT(layers[1].n_entered, 1);
    CHECK_TEXT(mesh_ctx_reply_metadata(clients[0].ctx, MESH__PUSHBACK, NULL), "-1");
    CHECK_TEXT(mesh_ctx_error_reason(clients[0].ctx), "RETRIES_EXHAUSTED");
    finish();
}

static int64_t openings(size_t layer)
{
    const char *const labels[] = {
        "destination", clients[layer].name,
        "method",      layer == N_LAYERS - 1 ? "/peer.Peer/Buy" : relay.path,
        "to",          "open",
        NULL};

    return (int64_t)mesh_counter_value(
        mesh_counter("mesh_client_breaker_changes_total", "", labels));
}

/* Also where the bottom has a reason of its own, which goes up to the first caller. */
TEST(what_a_layer_has_given_up_opens_no_breaker_above_it)
{
    begin_with("'timeout':'20s','retries':{'attempts':1,'backoff':'1ms'}",
               NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':2,'openDuration':'60s'}");
    actor_follow(&bottom, ACTS({.status = MESH_UNAVAILABLE, .own_reason = "BANK_CLOSED"}));
    for (int i = 0; i < 2; i++) {
        CHECK_INT(call_layer(clients[0].ctx, 0), MESH_UNAVAILABLE);
        CHECK_TEXT(mesh_ctx_error_reason(clients[0].ctx), "BANK_CLOSED");
    }
    CHECK_INT(openings(0), 0);
    CHECK_INT(openings(1), 0);
    CHECK_INT(openings(2), 1);
    finish();
}

/* INTERNAL tells its callers neither text nor details. */
TEST(so_they_do_when_the_bottom_fails_in_a_way_that_nobody_is_told)
{
    begin("'timeout':'20s','retries':{'attempts':2,'backoff':'1ms','retryOn':['internal']}");
    actor_follow(&bottom, ACTS({.status = MESH_INTERNAL}));
    CHECK_INT(call_layer(clients[0].ctx, 0), MESH_INTERNAL);
    CHECK_INT(bottom.n_calls, 3);
    finish();
}

/* A retry is of somebody above: here the first answer of the middle is lost. */
TEST(a_retry_further_up_is_not_retried_further_down)
{
    begin("'timeout':'20s','retries':{'attempts':2,'backoff':'1ms'}");
    mesh_ctx_add_outgoing_metadata(clients[0].ctx, "mesh-retried", "1", 1);
    CHECK_INT(call_layer(clients[0].ctx, 0), MESH_UNAVAILABLE);
    CHECK_INT(bottom.n_calls, 1);
    CHECK_INT(bottom.n_retried, 1); /* two hops below */
    finish();
}

TEST(a_fault_that_the_first_caller_asks_for_is_known_at_the_bottom)
{
    begin("'timeout':'20s'");
    mesh_ctx_add_outgoing_metadata(clients[0].ctx, "x-mesh-fault", "slow-bank", 9);
    actor_follow(&bottom, ACTS({0}));
    CHECK_INT(call_layer(clients[0].ctx, 0), MESH_OK);
    CHECK_TEXT(bottom.fault, "slow-bank");
    finish();
}

TEST(refusals_of_a_layer_below_stop_the_layers_above)
{
    begin("'timeout':'20s','retries':{'attempts':2,'backoff':'1ms'}");
    actor_stop(&bottom);
    CHECK(governed_await_endpoints(&clients[N_LAYERS - 1], "failing", 1));
    CHECK_INT(call_layer(clients[0].ctx, 0), MESH_UNAVAILABLE);
    CHECK_INT(layers[0].n_entered, 1);
    CHECK_INT(layers[1].n_entered, 1);
    CHECK_TEXT(mesh_ctx_error_reason(clients[0].ctx), "NO_ENDPOINT");
    CHECK(mesh_ctx_error_retry_ms(clients[0].ctx) > 0);
    actor_start(&bottom, ACTS({0}), 0); /* for finish() */
    finish();
}

/* ---- a server that stops -------------------------------------------------------------------- */

static struct governed caller;
static atomic_bool over;
static atomic_int n_ended[MESH_UNAUTHENTICATED + 1]; /* calls, by their status */

static void *call_on(void *arg)
{
    struct mesh_ctx *ctx = mesh__ctx_new("caller", 0, MESH_NO_DEADLINE);

    (void)arg;
    while (!over) {
        n_ended[call_relay(ctx, &caller)]++;
        mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    }
    mesh__ctx_free(ctx);
    mesh__client_thread_done();
    return NULL;
}

/* What its core has handed to nobody yet is no cancellation of the caller's: that is tried again,
 * and if nobody is there it ends as with any other connection that is lost. */
TEST(a_server_that_stops_cancels_no_calls)
{
    enum { ROUNDS = 60, CALLERS = 6, CALLS = 40 };

    memset(n_ended, 0, sizeof n_ended);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[CALLERS];
        struct served served;

        over = false;
        served_init(&served);
        served.script = NULL;
        served_start(&served);
        governed_start(&caller,
                       &(struct governed_options){.target = served.target,
                                                  .route = "'timeout':'5s','retries':{'attempts':2,"
                                                           "'backoff':'1ms'}",
                                                  .destination = QUIET});
        CHECK(governed_await_endpoints(&caller, "ready", 1));
        for (int i = 0; i < CALLERS; i++) {
            CHECK_INT(pthread_create(&threads[i], NULL, call_on, NULL), 0);
        }
        while (served.n_entered < CALLS) {
            (void)sched_yield();
        }
        mesh__server_stop(served.server);
        over = true;
        for (int i = 0; i < CALLERS; i++) {
            CHECK_INT(pthread_join(threads[i], NULL), 0);
        }
        governed_done(&caller);
        served_done(&served);
    }
    for (int code = MESH_CANCELLED; code <= MESH_UNAUTHENTICATED; code++) {
        CHECK(n_ended[code] == 0 || code == MESH_UNAVAILABLE);
    }
    CHECK(n_ended[MESH_OK] >= ROUNDS * CALLS);
}

/* ---- a caller that gives up ----------------------------------------------------------------- */

static const struct wire *real_wire;
static pthread_t top;
static atomic_bool looked; /* a handler's thread has looked at a status */

static enum mesh_status look(const struct wire_call *call)
{
    looked = looked || !pthread_equal(pthread_self(), top);
    return real_wire->call_status(call);
}

/* The context of an inbound call learns of its end after what was sent for it has ended. */
static bool learn_late(const struct wire_call *call)
{
    int64_t start_ns = mesh__now_ns();
    bool was = real_wire->call_was_cancelled(call);

    while (was && !looked && peer_ms_since(start_ns) < 5000) {
        (void)sched_yield();
    }
    return was;
}

TEST(a_call_that_ends_with_the_call_it_was_made_for_is_the_callers_doing)
{
    Check__V1__Words words = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *answer;
    struct wire wire = *mesh__wire;
    atomic_bool cancelled = false;
    struct mesh_ctx *fork;
    struct mesh_call *call;

    real_wire = mesh__wire;
    wire.call_status = look;
    wire.call_was_cancelled = learn_late;
    mesh__wire = &wire;
    top = pthread_self();
    looked = true;
    begin_with("'timeout':'20s','retries':{'attempts':2,'backoff':'1ms'}",
               NO_BREAKER ",'outlierDetection':{'consecutive5xxErrors':1}");
    actor_follow(&bottom, ACTS({.hangs = true}));
    fork = mesh_ctx_fork(clients[1].ctx);
    fork->cancelled = &cancelled;
    call = mesh_client_start(fork, clients[1].client, &relay, &words.base);
    CHECK(peer_await(&bottom.n_hanging, 1));
    looked = false;
    cancelled = true;
    CHECK_INT(mesh_client_wait(fork, call, &answer), MESH_CANCELLED);
    CHECK(peer_await(&bottom.n_cancelled, 1));
    while (layers[1].n_finished == 0) {
        (void)sched_yield();
    }
    CHECK_INT(bottom.n_calls, 1);
    CHECK_INT(governed_count(&clients[2], "mesh_client_attempts_total", "code", "CANCELLED"), 1);
    CHECK_INT(governed_count(&clients[2], "mesh_client_ejections_total", NULL, NULL), 0);
    mesh__ctx_free(fork);
    finish();
    mesh__wire = real_wire;
}

/* ---- health --------------------------------------------------------------------------------- */

TEST(who_does_not_serve_gets_no_calls_until_it_does)
{
    struct governed governed;
    struct served two[2];
    char target[100];

    for (size_t i = 0; i < 2; i++) {
        served_init(&two[i]);
        two[i].script = NULL;
        served_start(&two[i]);
    }
    (void)snprintf(target, sizeof target, "%s,%s", two[0].target, two[1].target);
    governed_start(&governed, &(struct governed_options){.target = target, .destination = QUIET});
    CHECK(governed_await_endpoints(&governed, "ready", 2));
    mesh__server_set_serving(two[0].server, false);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    for (int i = 0; i < 10; i++) {
        CHECK_INT(call_relay(governed.ctx, &governed), MESH_OK);
    }
    CHECK_INT(two[0].n_entered, 0);
    CHECK_INT(two[1].n_entered, 10);
    mesh__server_set_serving(two[0].server, true);
    CHECK(governed_await_endpoints(&governed, "ready", 2));
    while (two[0].n_entered == 0) {
        CHECK_INT(call_relay(governed.ctx, &governed), MESH_OK);
    }
    governed_done(&governed);
    served_done(&two[0]);
    served_done(&two[1]);
}

/* The hedge ends as what a stopping core drops; the first attempt is answered a moment later. */
static atomic_int n_asked, n_dropped;

static void answer_after_the_hedge(struct peer_call *call, void *arg)
{
    bool hedge = ++n_asked == 2;

    (void)arg;
    peer__note__free_unpacked(peer_read(call), NULL);
    if (hedge) {
        peer_end(call, MESH_CANCELLED, "CANCELLED", NULL, 0);
        n_dropped++;
        return;
    }
    while (n_dropped == 0) {
        (void)peer_over_within(call, 1);
    }
    (void)peer_over_within(call, 5);
    (void)peer_write(call, "answer", 0);
    peer_end(call, MESH_OK, "", NULL, 0);
}

static struct governed asking;
static _Atomic int64_t asked_ms; /* how long it took */

static MESH_STATUS ask(struct mesh_ctx *ctx, struct served *served, const Check__V1__Words *request,
                       struct mesh_stream *stream)
{
    int64_t start_ns = mesh__now_ns();
    enum mesh_status status = governed_end(ctx, governed_begin(&asking, ctx, "Ask"));

    (void)served;
    (void)request;
    (void)stream;
    asked_ms = (mesh__now_ns() - start_ns) / MESH_NS_PER_MS;
    return status;
}

TEST(an_answer_that_comes_while_a_dropped_hedge_is_looked_at_is_not_lost)
{
    static const struct peer_script script[] = {{"/peer.Peer/Ask", answer_after_the_hedge},
                                                {NULL, NULL}};
    struct peer *peer = peer_new(script, NULL, 0);
    struct served served;
    struct governed above;

    governed_start(&asking, &(struct governed_options){
                                .target = peer_target(peer),
                                .routes = "'all':{'service':'SELF','grpcService':'peer.Peer',"
                                          "'timeout':'2s','hedging':{'delay':'30ms'}}",
                                .destination = QUIET});
    CHECK(governed_await_endpoints(&asking, "ready", 1));
    served_init(&served);
    served_start_aloud(&served); /* others log already */
    served.script = ask;
    governed_start(&above,
                   &(struct governed_options){.target = served.target, .destination = QUIET});
    CHECK_INT(call_relay(mesh_ctx_timeout(above.ctx, 3000), &above), MESH_OK);
    CHECK_INT(n_asked, 2);
    CHECK(asked_ms < 1500); /* and not when the time of the call is over */
    governed_done(&above);
    governed_done(&asking);
    served_done(&served);
    peer_free(peer);
}

/* The threads of a peer ask for their first calls as it stops. */
TEST(a_server_that_stops_forgets_nobody_who_asks_for_a_call)
{
    static const struct peer_script none[] = {{NULL, NULL}};

    for (int i = 0; i < 200; i++) {
        peer_free(peer_new(none, NULL, 0)); /* which waits for the ends of these requests */
    }
}

TEST_MAIN(NULL, NULL)
