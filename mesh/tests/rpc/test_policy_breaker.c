/* SPDX-License-Identifier: Apache-2.0 */
/* What opens a circuit breaker, what it does then, and how it closes again. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "mesh/metrics.h"
#include "mesh/stream.h"
#include "rpc/client_call.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>

#define NO_RETRIES "'retries':{'attempts':0}"
#define OPENS_AT_3(open_duration)                                                                  \
    NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':3,'failureRatePercent':0,"               \
                "'slowCallRatePercent':0,'openDuration':'" open_duration "','halfOpenCalls':2}"

static struct governed governed;
static struct actor actor;

static void begin_with(struct governed_options options)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    options.target = actor_target(&actor);
    governed_start(&governed, &options);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
}

static void begin(const char *route, const char *destination)
{
    begin_with((struct governed_options){.route = route, .destination = destination});
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actor);
}

static int64_t changes(const char *method, const char *to)
{
    char path[40];
    const char *const labels[] = {"destination", governed.name, "method", path, "to", to, NULL};

    (void)snprintf(path, sizeof path, "/peer.Peer/%s", method);
    return (int64_t)mesh_counter_value(
        mesh_counter("mesh_client_breaker_changes_total", "", labels));
}

/* Refused on this side, without a word to the peer. */
static bool is_refused(const char *method)
{
    int before = actor.n_calls;

    return governed_call(&governed, method) == MESH_UNAVAILABLE &&
           strcmp(governed_reason(&governed), "CIRCUIT_OPEN") == 0 && actor.n_calls == before;
}

static void open_it(void)
{
    for (int i = 0; i < 3; i++) {
        CHECK(governed_call(&governed, "Buy") != MESH_OK);
    }
    CHECK_INT(changes("Buy", "open"), 1);
}

/* ---- opening -------------------------------------------------------------------------------- */

TEST(failures_in_a_row_open_it_for_their_method_alone)
{
    begin(NO_RETRIES, OPENS_AT_3("60s"));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(changes("Buy", "open"), 0);
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(mesh_ctx_error(governed.ctx), "as told");
    }
    CHECK_INT(changes("Buy", "open"), 1);
    CHECK(is_refused("Buy"));
    CHECK(strstr(mesh_ctx_error(governed.ctx), "the circuit breaker of Buy is open") != NULL);
    CHECK(mesh_ctx_error_retry_ms(governed.ctx) > 0);
    CHECK(mesh_ctx_error_retry_ms(governed.ctx) <= 60000);
    CHECK(governed.ctx->scope->error->final);
    CHECK_INT(governed_count(&governed, "mesh_client_refused_total", "reason", "circuit_open"), 1);
    CHECK_INT(governed_call(&governed, "Ask"), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 4);
    finish();
}

TEST(a_success_in_between_starts_the_row_again)
{
    begin(NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE}, {0},
                              {.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE}, {0}));
    for (int i = 0; i < 6; i++) {
        (void)governed_call(&governed, "Buy");
    }
    CHECK_INT(actor.n_calls, 6);
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(a_rate_of_failures_opens_it_once_there_are_enough_calls)
{
    begin(NO_RETRIES,
          NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':0,'failureRatePercent':50,"
                      "'slowCallRatePercent':0,'minimumCalls':6,'openDuration':'60s'}");
    actor_follow(&actor, ACTS({0}, {.status = MESH_UNKNOWN}, {0}, {.status = MESH_INTERNAL}, {0},
                              {.status = MESH_DATA_LOSS}));
    for (int i = 0; i < 6; i++) {
        CHECK_INT(changes("Buy", "open"), 0);
        (void)governed_call(&governed, "Buy");
    }
    CHECK_INT(changes("Buy", "open"), 1);
    CHECK(is_refused("Buy"));
    finish();
}

TEST(slow_calls_open_it_too)
{
    struct mesh_call *call;
    int64_t start_ns;

    begin("'timeout':'5s'," NO_RETRIES,
          NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':0,'failureRatePercent':0,"
                      "'slowCallRatePercent':100,'slowCallDuration':'50ms','minimumCalls':1}");
    actor_follow(&actor, ACTS({.hangs = true}));
    start_ns = mesh__now_ns();
    call = governed_begin(&governed, governed.ctx, "Buy");
    while (peer_ms_since(start_ns) < 60) {
        (void)sched_yield();
    }
    actor_release(&actor);
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK_INT(changes("Buy", "open"), 1);
    finish();
}

/* A handler that makes several calls takes their results when it likes. */
TEST(a_call_that_has_ended_is_not_slow_because_nobody_waits_for_it)
{
    struct mesh_call *call;
    int64_t start_ns;

    begin("'timeout':'5s'," NO_RETRIES,
          NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':0,'failureRatePercent':0,"
                      "'slowCallRatePercent':100,'slowCallDuration':'1s','minimumCalls':1}");
    actor_follow(&actor, ACTS({0}));
    call = governed_begin(&governed, governed.ctx, "Buy");
    start_ns = mesh__now_ns();
    while (peer_ms_since(start_ns) < 1100) {
        (void)mesh__queue_turn(mesh__in_ms(50));
        (void)mesh__calls_step();
    }
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(nor_does_its_failure_wait_to_be_counted)
{
    struct mesh_call *call;

    begin(NO_RETRIES, NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':1}");
    call = governed_begin(&governed, governed.ctx, "Buy");
    while (governed_count(&governed, "mesh_client_attempts_total", "code", "UNAVAILABLE") == 0) {
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    CHECK_INT(changes("Buy", "open"), 1);
    CHECK_TEXT(mesh_ctx_error(governed.ctx), ""); /* whose turn has not come */
    CHECK_INT(governed_end(governed.ctx, call), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(governed.ctx), "as told");
    finish();
}

/* What counts is the call, not its attempts: three calls of three attempts each. */
TEST(calls_whose_retries_are_spent_count_once_each)
{
    begin("'retries':{'attempts':2,'backoff':'1ms'}", OPENS_AT_3("60s"));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(changes("Buy", "open"), 0);
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    }
    CHECK_INT(actor.n_calls, 9);
    CHECK_INT(changes("Buy", "open"), 1);
    CHECK(is_refused("Buy"));
    finish();
}

TEST(calls_that_the_policys_time_ends_count)
{
    begin("'timeout':'60ms'," NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.hangs = true}));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    }
    CHECK_INT(changes("Buy", "open"), 1);
    finish();
}

TEST(so_do_calls_whose_attempts_are_cut_also_with_less_time_of_the_caller)
{
    begin("'timeout':'20s','retries':{'attempts':1,'perTryTimeout':'50ms','backoff':'1ms'}",
          OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.hangs = true}));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(governed_call_within(&governed, "Buy", 10000), MESH_DEADLINE_EXCEEDED);
    }
    CHECK_INT(changes("Buy", "open"), 1);
    finish();
}

/* ---- what counts nowhere -------------------------------------------------------------------- */

TEST(refusals_of_the_business_count_nowhere)
{
    static const enum mesh_status refusals[] = {
        MESH_INVALID_ARGUMENT,  MESH_NOT_FOUND,          MESH_ALREADY_EXISTS,
        MESH_PERMISSION_DENIED, MESH_RESOURCE_EXHAUSTED, MESH_FAILED_PRECONDITION,
        MESH_ABORTED,           MESH_OUT_OF_RANGE,       MESH_UNAUTHENTICATED,
        MESH_CANCELLED,
    };

    begin(NO_RETRIES, NO_EJECTION
          ",'circuitBreaker':{'consecutiveFailures':2,'failureRatePercent':1,'minimumCalls':1}");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        actor_follow(&actor, ACTS({.status = refusals[i]}));
        for (int n = 0; n < 3; n++) {
            CHECK_INT(governed_call(&governed, "Buy"), refusals[i]);
        }
    }
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(nor_do_they_end_a_row_of_failures)
{
    begin(NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_NOT_FOUND},
                              {.status = MESH_UNAVAILABLE}, {.status = MESH_ABORTED},
                              {.status = MESH_UNAVAILABLE}));
    for (int i = 0; i < 5; i++) {
        CHECK_INT(changes("Buy", "open"), 0);
        (void)governed_call(&governed, "Buy");
    }
    CHECK_INT(changes("Buy", "open"), 1);
    finish();
}

TEST(a_caller_in_a_hurry_opens_it_for_nobody)
{
    begin("'timeout':'20s'," NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.hangs = true}));
    for (int i = 0; i < 4; i++) {
        CHECK_INT(governed_call_within(&governed, "Buy", 60), MESH_DEADLINE_EXCEEDED);
    }
    CHECK_INT(actor.n_calls, 4);
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(nor_does_one_who_gives_up)
{
    begin("'timeout':'20s'," NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.hangs = true}));
    for (int i = 1; i <= 4; i++) {
        struct mesh_ctx *fork = mesh_ctx_fork(governed.ctx);
        atomic_bool cancelled = false;
        struct mesh_call *call;

        fork->cancelled = &cancelled;
        call = governed_begin(&governed, fork, "Buy");
        CHECK(peer_await(&actor.n_calls, i));
        cancelled = true;
        CHECK_INT(governed_end(fork, call), MESH_CANCELLED);
        mesh__ctx_free(fork);
    }
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(failures_that_a_mesh_further_down_has_made_count_nowhere)
{
    /* Servers of ours tell nothing of an INTERNAL or UNKNOWN, but that enough was tried. */
    static const struct act acts[] = {
        {.status = MESH_UNAVAILABLE, .reason = "RETRIES_EXHAUSTED"},
        {.status = MESH_DEADLINE_EXCEEDED, .reason = "RETRIES_EXHAUSTED"},
        {.status = MESH_UNAVAILABLE, .as_ours = true, .pushback = "-1", .own_reason = "CLOSED"},
        {.status = MESH_INTERNAL, .as_ours = true, .pushback = "-1"},
        {.status = MESH_UNKNOWN, .as_ours = true, .pushback = "-1"},
    };

    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        begin(NO_RETRIES, OPENS_AT_3("60s"));
        actor_follow(&actor, &acts[i], 1);
        for (int n = 0; n < 4; n++) {
            CHECK_INT(governed_call(&governed, "Buy"), acts[i].status);
        }
        CHECK_INT(actor.n_calls, 4);
        CHECK_INT(changes("Buy", "open"), 0);
        finish();
    }
}

TEST(pushback_of_a_peer_that_is_none_of_ours_makes_its_failures_no_better)
{
    begin(NO_RETRIES, OPENS_AT_3("60s"));
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "-1"}));
    open_it();
    finish();
}

TEST(a_fault_that_aborts_counts_nowhere)
{
    begin_with((struct governed_options){
        .routes = "'all':{'service':'SELF','grpcService':'peer.Peer'," NO_RETRIES
                  ",'fault':{'abort':{'grpcStatus':'UNAVAILABLE'}}}",
        .destination = OPENS_AT_3("60s")});
    for (int i = 0; i < 4; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "FAULT");
    }
    CHECK_INT(changes("Buy", "open"), 0);
    finish();
}

TEST(a_peer_that_cannot_be_reached_counts)
{
    actor_start(&actor, ACTS({0}), 0);
    governed_start(&governed, &(struct governed_options){.target = "127.0.0.1:1",
                                                         .route = NO_RETRIES,
                                                         .destination = OPENS_AT_3("60s")});
    for (int i = 0; i < 3; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "NO_ENDPOINT");
    }
    CHECK_INT(changes("Buy", "open"), 1);
    CHECK(is_refused("Buy"));
    finish();
}

TEST(the_policys_time_counts_where_it_ends_before_anything_is_sent)
{
    begin_with((struct governed_options){
        .routes = "'all':{'service':'SELF','grpcService':'peer.Peer','timeout':'20ms'," NO_RETRIES
                  ",'fault':{'delay':{'fixedDelay':'5s'}}}",
        .destination = OPENS_AT_3("60s")});
    for (int i = 0; i < 3; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    }
    CHECK_INT(actor.n_calls, 0);
    CHECK_INT(changes("Buy", "open"), 1);
    finish();
}

/* ---- probes --------------------------------------------------------------------------------- */

TEST(it_closes_after_as_many_probes_as_it_asks_for)
{
    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    open_it();
    actor_follow(&actor, ACTS({0}));
    CHECK(governed_recovers(&governed, "Buy", 5000));
    CHECK_INT(changes("Buy", "half-open"), 1);
    CHECK_INT(changes("Buy", "closed"), 0);
    CHECK_INT(actor.n_calls, 4);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(changes("Buy", "closed"), 1);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    finish();
}

TEST(a_probe_that_fails_opens_it_again)
{
    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    open_it();
    while (actor.n_calls == 3) { /* a probe is let through */
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    }
    CHECK_INT(actor.n_calls, 4);
    CHECK_INT(changes("Buy", "half-open"), 1);
    CHECK_INT(changes("Buy", "open"), 2);
    finish();
}

TEST(people_are_shown_its_state)
{
    struct mesh_ctx *fork;
    struct mesh_call *call;

    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_UNAVAILABLE);
    open_it();
    CHECK(governed_shows(&governed, "\"/peer.Peer/Ask\":{\"state\":\"closed\",\"failuresInARow\":1,"
                                    "\"calls\":1,\"failures\":1,"));
    CHECK(
        governed_shows(&governed, "\"/peer.Peer/Buy\":{\"state\":\"open\",\"failuresInARow\":0,"));
    actor_follow(&actor, ACTS({.hangs = true}));
    fork = mesh_ctx_fork(governed.ctx);
    do {
        call = governed_begin(&governed, fork, "Buy");
    } while (changes("Buy", "half-open") == 0); /* until then it is refused */
    CHECK(governed_shows(&governed, "\"/peer.Peer/Buy\":{\"state\":\"half-open\","));
    CHECK(governed_shows(&governed, "\"probes\":1}"));
    CHECK(peer_await(&actor.n_hanging, 1));
    actor_release(&actor);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    finish();
}

TEST(no_more_than_the_probes_are_let_through)
{
    enum { CALLS = 5 };
    struct mesh_ctx *forks[CALLS];
    struct mesh_call *calls[CALLS];
    int n_refused = 0;

    begin("'timeout':'20s'," NO_RETRIES, OPENS_AT_3("300ms"));
    open_it();
    actor_follow(&actor, ACTS({.hangs = true}));
    for (;;) {
        forks[0] = mesh_ctx_fork(governed.ctx);
        calls[0] = governed_begin(&governed, forks[0], "Buy");
        if (changes("Buy", "half-open") > 0) {
            break;
        }
        mesh__ctx_free(forks[0]); /* it was refused */
    }
    for (int i = 1; i < CALLS; i++) {
        forks[i] = mesh_ctx_fork(governed.ctx);
        calls[i] = governed_begin(&governed, forks[i], "Buy");
    }
    CHECK(peer_await(&actor.n_hanging, 2));
    actor_release(&actor);
    for (int i = 0; i < CALLS; i++) {
        enum mesh_status status = governed_end(forks[i], calls[i]);

        n_refused += status == MESH_UNAVAILABLE &&
                     strcmp(mesh_ctx_error_reason(forks[i]), "CIRCUIT_OPEN") == 0;
        mesh__ctx_free(forks[i]);
    }
    CHECK_INT(n_refused, 3);
    CHECK_INT(changes("Buy", "closed"), 1);
    finish();
}

TEST(a_probe_that_the_business_refuses_has_found_the_peer)
{
    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    open_it();
    actor_follow(&actor, ACTS({.status = MESH_NOT_FOUND}));
    while (changes("Buy", "closed") == 0) {
        (void)governed_call(&governed, "Buy");
    }
    CHECK_INT(actor.n_calls, 5);
    finish();
}

/* It can be reached, and that is all. */
TEST(a_peer_that_sheds_every_probe_closes_it_not)
{
    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    open_it();
    actor_follow(&actor, ACTS({.status = MESH_RESOURCE_EXHAUSTED}));
    while (actor.n_calls < 3 + 10) { /* places of probes are free again at once */
        (void)governed_call(&governed, "Buy");
    }
    CHECK_INT(changes("Buy", "closed"), 0);
    CHECK_INT(changes("Buy", "open"), 1);
    actor_follow(&actor, ACTS({0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(changes("Buy", "closed"), 1);
    finish();
}

TEST(a_restarted_peer_is_reached_by_a_probe_within_2_s)
{
    int64_t start_ns;
    int port;

    begin(NO_RETRIES, OPENS_AT_3("1s"));
    port = peer_port(actor.peer);
    open_it();
    actor_stop(&actor);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    /* Longer than its pauses between connects have grown by now. */
    start_ns = mesh__now_ns();
    while (peer_ms_since(start_ns) < 1500) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        (void)sched_yield();
    }
    actor_start(&actor, ACTS({0}), port);
    CHECK(governed_recovers(&governed, "Buy", 2000));
    finish();
}

/* ---- streams -------------------------------------------------------------------------------- */

/* One stream to its end; reads one message at least. */
static enum mesh_status watch(void)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *message = NULL;
    struct mesh_stream *stream;
    enum mesh_status status;

    mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
    status = mesh_client_open(governed.ctx, governed.client, governed_method("Watch"), &note.base,
                              &stream);
    if (status == MESH_OK) {
        status = mesh_stream_read(governed.ctx, stream, &message);
    }
    return status == MESH_OK ? mesh_stream_finish(governed.ctx, stream) : status;
}

TEST(for_streams_too_a_peer_that_cannot_be_reached_counts)
{
    actor_start(&actor, ACTS({0}), 0);
    governed_start(&governed, &(struct governed_options){.target = "127.0.0.1:1",
                                                         .route = NO_RETRIES,
                                                         .destination = OPENS_AT_3("60s")});
    for (int i = 0; i < 3; i++) {
        CHECK_INT(watch(), MESH_UNAVAILABLE);
    }
    CHECK_INT(changes("Watch", "open"), 1);
    finish();
}

TEST(a_stream_is_judged_by_its_first_message)
{
    begin(NO_RETRIES, OPENS_AT_3("50ms"));
    actor_follow(&actor, ACTS({.n_messages = 1, .status = MESH_UNAVAILABLE}));
    for (int i = 0; i < 4; i++) {
        CHECK_INT(watch(), MESH_UNAVAILABLE);
    }
    CHECK_INT(changes("Watch", "open"), 0);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(changes("Watch", "open"), 0);
        CHECK_INT(watch(), MESH_UNAVAILABLE);
    }
    CHECK_INT(changes("Watch", "open"), 1);
    CHECK_INT(watch(), MESH_UNAVAILABLE);
    CHECK_TEXT(governed_reason(&governed), "CIRCUIT_OPEN");
    CHECK_INT(actor.n_calls, 7);
    finish();
}

TEST(streams_whose_retries_are_spent_count)
{
    begin("'retries':{'attempts':1,'backoff':'1ms'}", OPENS_AT_3("60s"));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(watch(), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    }
    CHECK_INT(actor.n_calls, 6);
    CHECK_INT(changes("Watch", "open"), 1);
    finish();
}

TEST(a_stream_that_probes_closes_it_with_its_first_message)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *message = NULL;
    struct mesh_stream *stream;

    begin(NO_RETRIES, NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':1,"
                                  "'openDuration':'50ms','halfOpenCalls':1}");
    CHECK_INT(watch(), MESH_UNAVAILABLE);
    CHECK_INT(changes("Watch", "open"), 1);
    actor_follow(&actor, ACTS({.n_messages = 1, .hangs = true}));
    do {
        mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
    } while (mesh_client_open(governed.ctx, governed.client, governed_method("Watch"), &note.base,
                              &stream) != MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_OK);
    CHECK_INT(changes("Watch", "closed"), 1);
    finish();
}

TEST_MAIN(NULL, NULL)
