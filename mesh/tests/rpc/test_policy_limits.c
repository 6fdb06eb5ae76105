/* SPDX-License-Identifier: Apache-2.0 */
/* How many calls and attempts may be under way, so that a peer that hangs holds up no others. */
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "mesh/stream.h"
#include "rpc/client_call.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUIET NO_BREAKER "," NO_EJECTION

static struct actor hanging, other;
static struct governed to_hanging, to_other;

static void begin(const char *destination, int64_t n_workers, struct mesh__limit *waiting)
{
    struct governed_options own = {.route = "'retries':{'attempts':2,'backoff':'1ms'}",
                                   .destination = destination,
                                   .n_workers = n_workers,
                                   .waiting = waiting};

    actor_start(&hanging, ACTS({.hangs = true}), 0);
    actor_start(&other, ACTS({0}), 0);
    own.target = actor_target(&hanging);
    governed_start(&to_hanging, &own);
    own.target = actor_target(&other);
    governed_start(&to_other, &own);
    CHECK(governed_await_endpoints(&to_hanging, "ready", 1));
    CHECK(governed_await_endpoints(&to_other, "ready", 1));
}

static void finish(void)
{
    governed_done(&to_hanging);
    governed_done(&to_other);
    actor_stop(&hanging);
    actor_stop(&other);
}

#define CALLS_MAX 4

struct calls {
    struct mesh_ctx *forks[CALLS_MAX];
    struct mesh_call *calls[CALLS_MAX];
    int n;
};

/* Starts so many that hang. */
static void hold(struct calls *calls, const char *method, int n)
{
    for (calls->n = 0; calls->n < n; calls->n++) {
        calls->forks[calls->n] = mesh_ctx_fork(to_hanging.ctx);
        calls->calls[calls->n] = governed_begin(&to_hanging, calls->forks[calls->n], method);
    }
    CHECK(peer_await(&hanging.n_hanging, n));
}

/* The peer answers them. */
static void let_go(struct calls *calls)
{
    actor_release(&hanging);
    for (int i = 0; i < calls->n; i++) {
        CHECK_INT(governed_end(calls->forks[i], calls->calls[i]), MESH_OK);
        mesh__ctx_free(calls->forks[i]);
    }
}

/* Another call, in a context of its own, is refused on this side: with RetryInfo, and for good. */
static bool is_refused(struct governed *governed, const char *reason, const char *word)
{
    int64_t before = governed_count(governed, "mesh_client_refused_total", "reason", word);
    struct mesh_ctx *fork = mesh_ctx_fork(governed->ctx);
    enum mesh_status status = governed_end(fork, governed_begin(governed, fork, "Buy"));
    bool is = status == MESH_UNAVAILABLE && strcmp(mesh_ctx_error_reason(fork), reason) == 0 &&
              mesh_ctx_error_retry_ms(fork) > 0 && fork->scope->error->final &&
              governed_count(governed, "mesh_client_refused_total", "reason", word) == before + 1;

    mesh__ctx_free(fork);
    return is;
}

TEST(no_more_workers_wait_for_a_peer_than_its_limit)
{
    struct calls calls;

    begin(QUIET ",'workerLimit':2", 0, NULL);
    hold(&calls, "Buy", 2);
    CHECK(is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit"));
    CHECK_INT(hanging.n_calls, 2);
    CHECK_INT(governed_call(&to_other, "Buy"), MESH_OK);
    let_go(&calls);
    CHECK_INT(governed_call(&to_hanging, "Buy"), MESH_OK);
    finish();
}

TEST(without_a_limit_it_is_half_of_the_workers)
{
    struct calls calls;

    begin(QUIET, 6, NULL);
    hold(&calls, "Buy", 3);
    CHECK(is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit"));
    CHECK_INT(governed_call(&to_other, "Buy"), MESH_OK);
    let_go(&calls);
    finish();
}

TEST(all_peers_together_have_a_limit_too)
{
    struct mesh__limit waiting = {.max = 3};
    struct calls calls;

    begin(QUIET ",'workerLimit':10", 0, &waiting);
    hold(&calls, "Buy", 2);
    CHECK_INT(governed_call(&to_other, "Buy"), MESH_OK);
    let_go(&calls);
    finish();

    begin(QUIET ",'workerLimit':10", 0, &waiting);
    hold(&calls, "Buy", 3);
    CHECK(is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit"));
    CHECK(is_refused(&to_other, "WORKER_LIMIT", "worker_limit"));
    CHECK_INT(other.n_calls, 0);
    let_go(&calls);
    CHECK_INT(governed_call(&to_other, "Buy"), MESH_OK);
    CHECK_INT(waiting.used, 0);
    finish();
}

/* ---- waiting for a worker's place ----------------------------------------------------------- */

#define PLACE_MS 100 /* as in client_rules.c */

/* A call of a thread of its own, which has no other. */
struct customer {
    pthread_t thread;
    enum mesh_status status;
    const char *reason;
    int64_t took_ns;
    atomic_bool over;
};

static void *buy(void *arg)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    struct customer *customer = arg;
    int64_t began_ns = mesh__now_ns();

    ctx->scope->serves = true;
    customer->status = governed_end(ctx, governed_begin(&to_hanging, ctx, "Buy"));
    customer->took_ns = mesh__now_ns() - began_ns;
    customer->reason = strcmp(mesh_ctx_error_reason(ctx), "WORKER_LIMIT") == 0   ? "WORKER_LIMIT"
                       : strcmp(mesh_ctx_error_reason(ctx), "CIRCUIT_OPEN") == 0 ? "CIRCUIT_OPEN"
                                                                                 : "";
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    mesh__client_thread_done();
    atomic_store(&customer->over, true);
    return NULL;
}

/* Returns when the customer waits for a place, or does not any more: the machine may be slow. */
static void send_customer(struct customer *customer)
{
    struct mesh__limit *workers = &to_hanging.client->workers;

    atomic_store(&customer->over, false);
    CHECK_INT(pthread_create(&customer->thread, NULL, buy, customer), 0);
    while (workers->n_waiting == 0 && !atomic_load(&customer->over)) {
        (void)sched_yield();
    }
}

static void await_customer(struct customer *customer)
{
    CHECK_INT(pthread_join(customer->thread, NULL), 0);
    CHECK_INT(to_hanging.client->workers.n_waiting, 0);
}

/* What a customer finds who waits while the only place is given back by a call that ends as told.
 */
static void meet(struct customer *customer, const char *destination, enum mesh_status end)
{
    char text[300];
    struct mesh_ctx *fork;
    struct mesh_call *call;

    (void)snprintf(text, sizeof text, NO_EJECTION ",'workerLimit':1,%s", destination);
    begin(text, 0, NULL);
    actor_follow(&hanging, ACTS({.hangs = true, .status = end}));
    fork = mesh_ctx_fork(to_hanging.ctx);
    call = governed_begin(&to_hanging, fork, "Buy");
    CHECK(peer_await(&hanging.n_hanging, 1));
    send_customer(customer);
    actor_release(&hanging);
    CHECK_INT(governed_end(fork, call), end);
    mesh__ctx_free(fork);
    await_customer(customer);
    CHECK_INT(to_hanging.client->workers.used, 0);
    finish();
}

#define TRIES 20 /* on a machine that is busy the time may be over too soon */

TEST(who_finds_no_place_waits_for_one)
{
    struct customer customer = {.status = MESH_UNAVAILABLE};

    for (int i = 0; i < TRIES && customer.status != MESH_OK; i++) {
        meet(&customer, NO_BREAKER, MESH_OK);
    }
    CHECK_INT(customer.status, MESH_OK);
}

TEST(a_breaker_that_opens_meanwhile_lets_nobody_through_who_has_waited)
{
    struct customer customer = {.reason = ""};

    for (int i = 0; i < TRIES && strcmp(customer.reason, "CIRCUIT_OPEN") != 0; i++) {
        meet(&customer, "'circuitBreaker':{'consecutiveFailures':1,'openDuration':'60s'}",
             MESH_INTERNAL);
        CHECK_INT(customer.status, MESH_UNAVAILABLE);
        CHECK_INT(hanging.n_calls, 1);
    }
    CHECK_TEXT(customer.reason, "CIRCUIT_OPEN");
}

TEST(who_has_waited_in_vain_is_refused)
{
    struct customer customer;
    struct calls calls;

    begin(QUIET ",'workerLimit':1", 0, NULL);
    hold(&calls, "Buy", 1);
    send_customer(&customer);
    await_customer(&customer);
    CHECK_INT(customer.status, MESH_UNAVAILABLE);
    CHECK_TEXT(customer.reason, "WORKER_LIMIT");
    CHECK(customer.took_ns >= PLACE_MS * MESH_NS_PER_MS);
    CHECK_INT(hanging.n_calls, 1);
    let_go(&calls);
    finish();
}

/* Its other calls would stand still. */
TEST(a_thread_with_another_call_under_way_does_not_wait)
{
    int64_t least_ns = INT64_MAX;
    struct calls calls;

    begin(QUIET ",'workerLimit':1", 0, NULL);
    hold(&calls, "Buy", 1);
    for (int i = 0; i < TRIES && least_ns >= PLACE_MS * MESH_NS_PER_MS; i++) {
        int64_t began_ns = mesh__now_ns();

        CHECK(is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit"));
        least_ns = mesh__now_ns() - began_ns;
    }
    CHECK(least_ns < PLACE_MS * MESH_NS_PER_MS);
    let_go(&calls);
    finish();
}

TEST(who_serves_no_call_takes_no_place)
{
    struct mesh__limit waiting = {.max = 1};
    struct calls calls;

    begin(QUIET ",'workerLimit':1", 0, &waiting);
    to_hanging.ctx->scope->serves = false; /* a job */
    hold(&calls, "Buy", 3);
    CHECK(to_hanging.client->workers.used == 0 && waiting.used == 0);
    CHECK_INT(governed_call(&to_other, "Buy"), MESH_OK);
    let_go(&calls);
    CHECK(to_hanging.client->workers.used == 0 && waiting.used == 0);
    finish();
}

/* What this side refuses says nothing of the peer. */
TEST(refusals_of_the_limits_open_no_breaker)
{
    static const struct {
        const char *limit, *reason, *word;
    } rows[] = {
        {"'workerLimit':1", "WORKER_LIMIT", "worker_limit"},
        {"'connectionPool':{'http':{'http2MaxRequests':1}}", "REQUEST_LIMIT", "request_limit"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char destination[200];
        struct calls calls;

        (void)snprintf(destination, sizeof destination,
                       NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':1},%s", rows[i].limit);
        begin(destination, 0, NULL);
        hold(&calls, "Buy", 1);
        for (int n = 0; n < 3; n++) {
            CHECK(is_refused(&to_hanging, rows[i].reason, rows[i].word));
        }
        let_go(&calls);
        CHECK_INT(governed_call(&to_hanging, "Buy"), MESH_OK);
        finish();
    }
}

/* ---- probes at the limit -------------------------------------------------------------------- */

#define PROBES_2(open_duration)                                                                    \
    NO_EJECTION ",'workerLimit':1,'circuitBreaker':{'consecutiveFailures':1,'openDuration':"       \
                "'" open_duration "','halfOpenCalls':2}"

static char policy_file[64];

/* The breaker of Buy is half-open, and stays so; a call of another method holds the only place. */
static void begin_half_open(struct calls *calls)
{
    static const char no_retries[] = "'retries':{'attempts':0}";
    int fd;

    (void)snprintf(policy_file, sizeof policy_file, "/tmp/mesh-policy-XXXXXX");
    fd = mkstemp(policy_file);
    CHECK(fd >= 0 && close(fd) == 0);
    actor_start(&hanging, ACTS({.status = MESH_UNAVAILABLE}), 0);
    actor_start(&other, ACTS({0}), 0);
    governed_start(&to_hanging, &(struct governed_options){.target = actor_target(&hanging),
                                                           .route = no_retries,
                                                           .destination = PROBES_2("10ms"),
                                                           .file = policy_file});
    governed_start(&to_other, &(struct governed_options){.target = actor_target(&other)});
    CHECK(governed_await_endpoints(&to_hanging, "ready", 1));
    CHECK_INT(governed_call(&to_hanging, "Buy"), MESH_UNAVAILABLE);
    actor_follow(&hanging, ACTS({.hangs = true}));
    hold(calls, "Ask", 1);
    while (!is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit")) {
        (void)sched_yield(); /* its breaker is open still */
    }
    governed_change(&to_hanging, no_retries, PROBES_2("60s"));
    CHECK(governed_shows(&to_hanging, "/Buy\":{\"state\":\"half-open\""));
}

TEST(a_probe_that_finds_no_place_gives_its_own_back_once)
{
    struct calls calls;

    begin_half_open(&calls);
    for (int i = 0; i < 3; i++) { /* more often than there are probes */
        CHECK(is_refused(&to_hanging, "WORKER_LIMIT", "worker_limit"));
        CHECK(governed_shows(&to_hanging, "/Buy\":{\"state\":\"half-open\",\"failuresInARow\":0,"
                                          "\"calls\":0,\"failures\":0,\"slowCalls\":0,"
                                          "\"probes\":0}"));
    }
    CHECK_INT(hanging.n_calls, 2);
    let_go(&calls);
    hanging.released = false;
    to_hanging.ctx->scope->serves = false; /* no limit but that of the probes */
    hold(&calls, "Buy", 2);
    CHECK(is_refused(&to_hanging, "CIRCUIT_OPEN", "circuit_open"));
    let_go(&calls);
    CHECK(governed_shows(&to_hanging, "/Buy\":{\"state\":\"closed\""));
    finish();
}

/* Meanwhile others would be turned away. */
TEST(a_probe_does_not_wait_for_a_place)
{
    struct customer customer;
    struct calls calls;
    bool waited;

    begin_half_open(&calls);
    send_customer(&customer);
    waited = !atomic_load(&customer.over);
    await_customer(&customer);
    CHECK(!waited);
    CHECK_INT(customer.status, MESH_UNAVAILABLE);
    CHECK_TEXT(customer.reason, "WORKER_LIMIT");
    let_go(&calls);
    finish();
}

/* ---- what else is limited, and what counts --------------------------------------------------- */

/* A whole call counts, its pauses included. */
TEST(a_call_that_pauses_before_a_retry_holds_its_worker)
{
    struct mesh_ctx *fork;
    struct mesh_call *call;

    begin(QUIET ",'workerLimit':1", 0, NULL);
    actor_follow(&other, ACTS({.status = MESH_UNAVAILABLE, .pushback = "500"}, {0}));
    fork = mesh_ctx_fork(to_other.ctx);
    call = governed_begin(&to_other, fork, "Buy");
    while (governed_retries(&to_other) == 0) { /* its first attempt has ended */
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    CHECK(is_refused(&to_other, "WORKER_LIMIT", "worker_limit"));
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    finish();
}

TEST(no_more_attempts_are_in_flight_than_http2MaxRequests)
{
    struct calls calls;

    begin(QUIET ",'connectionPool':{'http':{'http2MaxRequests':2}}", 0, NULL);
    hold(&calls, "Buy", 2);
    CHECK(is_refused(&to_hanging, "REQUEST_LIMIT", "request_limit"));
    CHECK_INT(hanging.n_calls, 2);
    let_go(&calls);
    CHECK_INT(governed_call(&to_hanging, "Buy"), MESH_OK);
    finish();
}

TEST(no_more_calls_wait_for_an_endpoint_than_http1MaxPendingRequests)
{
    struct raw_peer *raw = raw_peer_new_hanging();
    struct governed governed;
    struct mesh_ctx *fork;
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(raw));
    governed_start(&governed, &(struct governed_options){
                                  .target = target,
                                  .destination = QUIET
                                  ",'connectionPool':{'http':{'http1MaxPendingRequests':1}}"});
    fork = mesh_ctx_fork(governed.ctx);
    (void)governed_begin(&governed, fork, "Buy"); /* it waits */
    CHECK(is_refused(&governed, "PENDING_LIMIT", "pending_limit"));
    mesh__ctx_free(fork);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE); /* after its wait */
    CHECK_TEXT(governed_reason(&governed), "NO_ENDPOINT");
    governed_done(&governed);
    raw_peer_free(raw);
}

TEST(a_stream_whose_endpoint_is_ready_does_not_wait)
{
    Peer__Note note = PEER__NOTE__INIT;
    struct governed governed;
    struct mesh_stream *stream;
    struct mesh_ctx *fork;
    struct actor actor;
    int port;

    actor_start(&actor, ACTS({0}), 0);
    port = peer_port(actor.peer);
    governed_start(&governed, &(struct governed_options){
                                  .target = actor_target(&actor),
                                  .destination = QUIET
                                  ",'connectionPool':{'http':{'http1MaxPendingRequests':1}}"});
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    actor_stop(&actor);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    fork = mesh_ctx_fork(governed.ctx);
    (void)governed_begin(&governed, fork, "Buy"); /* it waits, and learns nothing meanwhile */
    actor_start(&actor, ACTS({0}), port);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    CHECK_INT(mesh_client_open(governed.ctx, governed.client, governed_method("Watch"), &note.base,
                               &stream),
              MESH_OK);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_OK);
    mesh__ctx_free(fork);
    governed_done(&governed);
    actor_stop(&actor);
}

/* Waits for the first one's 150 ms, 100 ms at most, and has then not enough of its time. */
static void answer_after_150_ms(struct peer_call *call, void *arg)
{
    (void)arg;
    peer__note__free_unpacked(peer_read(call), NULL);
    (void)peer_over_within(call, 150);
    (void)peer_write(call, "answer", 0);
    peer_end(call, MESH_OK, "", NULL, 0);
}

TEST(who_has_waited_for_a_place_opens_no_breaker_of_a_peer_that_is_well)
{
    static const struct peer_script script[] = {{"/peer.Peer/Buy", answer_after_150_ms},
                                                {NULL, NULL}};
    struct peer *peer = peer_new(script, NULL, 0);
    struct customer first, second;

    governed_start(&to_hanging,
                   &(struct governed_options){.target = peer_target(peer),
                                              .route = "'timeout':'230ms','retries':{'attempts':0}",
                                              .destination = NO_EJECTION
                                              ",'workerLimit':1,"
                                              "'circuitBreaker':{'consecutiveFailures':1}"});
    CHECK(governed_await_endpoints(&to_hanging, "ready", 1));
    CHECK_INT(pthread_create(&first.thread, NULL, buy, &first), 0);
    while (to_hanging.client->workers.used == 0) {
        (void)sched_yield();
    }
    mesh__sleep_until(mesh__in_ms(60)); /* so that its wait is over in time */
    send_customer(&second);
    await_customer(&second);
    CHECK_INT(pthread_join(first.thread, NULL), 0);
    CHECK_INT(governed_call(&to_hanging, "Buy"), MESH_OK); /* and not CIRCUIT_OPEN */
    governed_done(&to_hanging);
    peer_free(peer);
}

TEST_MAIN(NULL, NULL)
