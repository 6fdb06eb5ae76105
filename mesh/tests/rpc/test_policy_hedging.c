/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts beside slow ones, and faults that the policy makes. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "rpc/client_call.h"
#include "test.h"

#include <stdio.h>

#define QUIET NO_BREAKER "," NO_EJECTION
#define HEDGED_TO(attempts)                                                                        \
    "'retries':{'attempts':1,'backoff':'1ms'},'hedging':{'delay':'30ms','maxAttempts':" attempts "}"
#define HEDGED HEDGED_TO("3")

static struct governed governed;
static struct actor actor;

/* A route for all methods. */
static void begin(const char *route, const char *destination)
{
    char routes[400];

    (void)snprintf(routes, sizeof routes, "'all':{'service':'SELF','grpcService':'peer.Peer',%s}",
                   route);
    actor_start(&actor, ACTS({0}), 0);
    governed_start(&governed, &(struct governed_options){.target = actor_target(&actor),
                                                         .routes = routes,
                                                         .destination = destination});
    CHECK(governed_await_endpoints(&governed, "ready", 1));
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actor);
}

static int64_t hedges(const char *result)
{
    return governed_count(&governed, "mesh_client_hedges_total", "result", result);
}

static int64_t too_many_hedges(void)
{
    return governed_count(&governed, "mesh_client_budget_refused_total", "bound", "concurrency");
}

/* Attempts that have ended so. */
static int64_t attempts(const char *code)
{
    return governed_count(&governed, "mesh_client_attempts_total", "code", code);
}

static int64_t faults(const char *kind)
{
    return governed_count(&governed, "mesh_client_faults_total", "kind", kind);
}

/* The calls of this thread do what is due. */
static void go_on(void)
{
    (void)mesh__queue_turn(mesh__in_ms(10));
    (void)mesh__calls_step();
}

/* ---- hedging -------------------------------------------------------------------------------- */

TEST(a_second_attempt_wins_over_a_slow_one_which_is_cancelled)
{
    begin(HEDGED_TO("2"), QUIET); /* no third one, however late the second answers */
    actor_follow(&actor, ACTS({.hangs = true}, {0}));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    CHECK(peer_await(&actor.n_cancelled, 1));
    CHECK_INT(hedges("sent"), 1);
    CHECK_INT(hedges("won"), 1);
    CHECK_INT(attempts("CANCELLED"), 1); /* it has not run into its deadline */
    CHECK_INT(governed_retries(&governed), 0);
    CHECK_INT(actor.n_retried, 0); /* who is hedged may retry further down */
    finish();
}

TEST(after_a_hedge_has_won_calls_go_to_the_endpoint_that_has_answered)
{
    struct actor slow;
    char target[64];

    actor_start(&slow, ACTS({.hangs = true}), 0);
    actor_start(&actor, ACTS({0}), 0);
    (void)snprintf(target, sizeof target, "%s,%s", actor_target(&slow), actor_target(&actor));
    governed_start(&governed, &(struct governed_options){
                                  .target = target,
                                  .routes = "'all':{'service':'SELF','grpcService':'peer.Peer',"
                                            "'hedging':{'delay':'30ms'}}",
                                  .destination = QUIET});
    CHECK(governed_await_endpoints(&governed, "ready", 2));
    while (hedges("won") == 0) { /* the first call, or one of the next */
        CHECK_INT(governed_call(&governed, "Ask"), MESH_OK);
    }
    CHECK_INT(attempts("CANCELLED"), hedges("sent")); /* all of them to the slow one */
    for (int i = 0; i < 40; i++) {
        CHECK_INT(governed_call(&governed, "Ask"), MESH_OK);
        CHECK_INT(hedges("won"), 1); /* whatever goes to the slow one first is won by a hedge */
    }
    finish();
    actor_stop(&slow);
}

TEST(no_more_attempts_than_maxAttempts_run_at_the_same_time)
{
    struct mesh_call *call;

    begin(HEDGED, QUIET);
    actor_follow(&actor, ACTS({.hangs = true}));
    CHECK_INT(governed_call_within(&governed, "Ask", 500), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 3);
    CHECK(peer_await(&actor.n_cancelled, 3));
    CHECK_INT(hedges("sent"), 2);
    CHECK_INT(hedges("won"), 0);
    actor_release(&actor);
    mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
    call = governed_begin(&governed, governed.ctx, "Ask");
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    finish();
}

/* It was this side that has ended them. */
TEST(attempts_that_have_lost_eject_no_endpoint)
{
    begin(HEDGED_TO("2"),
          NO_BREAKER ",'outlierDetection':{'consecutive5xxErrors':1,'consecutiveGatewayErrors':1,"
                     "'maxEjectionPercent':100}");
    actor_follow(&actor, ACTS({.hangs = true}, {0}));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_OK);
    CHECK_INT(attempts("CANCELLED"), 1);
    actor_follow(&actor, ACTS({.hangs = true}, {.status = MESH_NOT_FOUND}));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_NOT_FOUND);
    CHECK_INT(attempts("CANCELLED"), 2);
    CHECK_INT(governed_count(&governed, "mesh_client_ejections_total", NULL, NULL), 0);
    finish();
}

TEST(only_methods_without_side_effects_are_hedged)
{
    begin("'hedging':{'delay':'30ms'}", QUIET);
    actor_follow(&actor, ACTS({.hangs = true}));
    CHECK_INT(governed_call_within(&governed, "Buy", 300), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(governed_call_within(&governed, "Count", 300), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 2);
    CHECK_INT(hedges("sent"), 0);
    finish();
}

TEST(hedges_are_inside_of_the_budget)
{
    begin(HEDGED, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':0}");
    actor_follow(&actor, ACTS({.hangs = true}));
    CHECK_INT(governed_call_within(&governed, "Ask", 300), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 1);
    CHECK_INT(hedges("sent"), 0);
    CHECK_INT(too_many_hedges(), 1);
    CHECK_INT(governed.client->requests.used, 0);
    finish();
}

/* From the decision to the end of the attempt. */
TEST(a_hedge_holds_its_place_in_the_budget_while_it_is_under_way)
{
    enum { CALLS = 3 };

    begin("'hedging':{'delay':'30ms'}",
          QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    actor_follow(&actor, ACTS({.hangs = true}));
    for (int64_t round = 1; round <= 2; round++) {
        struct mesh_ctx *forks[CALLS];
        struct mesh_call *calls[CALLS];

        actor.released = false;
        for (int i = 0; i < CALLS; i++) {
            forks[i] = mesh_ctx_fork(governed.ctx);
            calls[i] = governed_begin(&governed, forks[i], "Ask");
        }
        while (hedges("sent") + too_many_hedges() < round * CALLS) { /* each wants one */
            go_on();
        }
        CHECK_INT(hedges("sent"), round);
        actor_release(&actor);
        for (int i = 0; i < CALLS; i++) {
            CHECK_INT(governed_end(forks[i], calls[i]), MESH_OK);
            mesh__ctx_free(forks[i]);
        }
    }
    finish();
}

/* Those of three calls find no room among the requests; that of a later one does. */
TEST(a_hedge_that_has_found_no_endpoint_holds_no_place)
{
    enum { CALLS = 3 };
    struct mesh_ctx *forks[CALLS];
    struct mesh_call *calls[CALLS];
    int64_t start_ns;

    begin(HEDGED_TO("2"), QUIET ",'connectionPool':{'http':{'http2MaxRequests':3}},"
                                "'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    actor_follow(&actor,
                 ACTS({.hangs = true}, {.hangs = true}, {.hangs = true}, {.hangs = true}, {0}));
    for (int i = 0; i < CALLS; i++) {
        forks[i] = mesh_ctx_fork(governed.ctx);
        calls[i] = governed_begin(&governed, forks[i], "Ask");
    }
    CHECK(peer_await(&actor.n_calls, CALLS));
    start_ns = mesh__now_ns();
    while (peer_ms_since(start_ns) < 150) { /* each wants one */
        go_on();
    }
    CHECK_INT(hedges("sent") + too_many_hedges(), 0);
    CHECK(governed_shows(&governed, "\"retryBudget\":{\"inFlight\":0,"));
    mesh__ctx_free(forks[1]); /* two are given up, the first one stays */
    mesh__ctx_free(forks[2]);
    forks[1] = mesh_ctx_fork(governed.ctx);
    calls[1] = governed_begin(&governed, forks[1], "Ask");
    CHECK_INT(governed_end(forks[1], calls[1]), MESH_OK);
    CHECK_INT(hedges("won"), 1);
    mesh__ctx_free(forks[1]);
    mesh__ctx_free(forks[0]);
    finish();
}

TEST(a_hedge_that_has_won_holds_no_place_though_nobody_waits_for_its_call)
{
    struct mesh_ctx *forks[2];
    struct mesh_call *calls[2];

    begin(HEDGED_TO("2"), QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    for (int64_t i = 0; i < 2; i++) {
        actor_follow(&actor, ACTS({.hangs = true}, {0}));
        forks[i] = mesh_ctx_fork(governed.ctx);
        calls[i] = governed_begin(&governed, forks[i], "Ask");
        while (hedges("won") + too_many_hedges() == i) {
            go_on();
        }
        CHECK_INT(too_many_hedges(), 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_INT(governed_end(forks[i], calls[i]), MESH_OK);
        mesh__ctx_free(forks[i]);
    }
    finish();
}

TEST(hedges_count_as_attempts_in_flight)
{
    begin(HEDGED, QUIET ",'connectionPool':{'http':{'http2MaxRequests':1}}");
    actor_follow(&actor, ACTS({.hangs = true}));
    CHECK_INT(governed_call_within(&governed, "Ask", 300), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 1);
    CHECK_INT(hedges("sent"), 0);
    finish();
}

TEST(a_hedge_that_fails_leaves_the_first_attempt_alone)
{
    struct mesh_call *call;

    begin("'retries':{'attempts':1,'backoff':'1ms'},'hedging':{'delay':'30ms'}", QUIET);
    actor_follow(&actor, ACTS({.hangs = true}, {.status = MESH_UNAVAILABLE}));
    call = governed_begin(&governed, governed.ctx, "Ask");
    while (governed_count(&governed, "mesh_client_attempts_total", "code", "UNAVAILABLE") == 0) {
        go_on();
    }
    actor_release(&actor);
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    CHECK_INT(hedges("sent"), 1);
    CHECK_INT(hedges("won"), 0);
    CHECK_INT(governed_retries(&governed), 0);
    finish();
}

/* A hedge is pushed back at once. True: that was heard before another one was due. */
static bool heard_in_time(const char *pushback, struct mesh_call **ret_call)
{
    int64_t start_ns;

    begin("'timeout':'20s','retries':{'attempts':3,'backoff':'1ms'},"
          "'hedging':{'delay':'100ms','maxAttempts':5}",
          QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE},
                              {.status = MESH_UNAVAILABLE, .pushback = pushback}, {0}));
    *ret_call = governed_begin(&governed, governed.ctx, "Ask");
    while (hedges("sent") == 0) {
        go_on();
    }
    start_ns = mesh__now_ns();
    while (governed_count(&governed, "mesh_client_attempts_total", "code", "UNAVAILABLE") == 0 &&
           hedges("sent") == 1) {
        go_on();
    }
    return peer_ms_since(start_ns) < 80 && hedges("sent") == 1;
}

/* On a machine that is busy the other hedge may be there first: then that was no try. */
static struct mesh_call *begin_pushed_back(const char *pushback)
{
    struct mesh_call *call;

    while (!heard_in_time(pushback, &call)) {
        mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
        finish();
    }
    return call;
}

/* The attempt under way may still succeed. */
TEST(a_hedge_whose_peer_says_so_is_followed_by_no_other_attempt)
{
    struct mesh_call *call = begin_pushed_back("-1");
    int64_t start_ns = mesh__now_ns();

    while (peer_ms_since(start_ns) < 250) { /* another one would be due twice */
        go_on();
    }
    actor_release(&actor);
    CHECK_INT(governed_end(governed.ctx, call), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 2);
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    finish();
}

TEST(a_hedge_that_is_pushed_back_puts_off_the_next_one)
{
    struct mesh_call *call = begin_pushed_back("500");
    int64_t start_ns = mesh__now_ns();

    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK(peer_ms_since(start_ns) >= 400);
    CHECK_INT(hedges("won"), 1);
    finish();
}

TEST(pushback_that_stops_ends_a_hedge_that_a_fault_holds_back)
{
    struct mesh_call *call;

    begin("'timeout':'20s'," HEDGED_TO("2") ",'fault':{'delay':{'fixedDelay':'2s'}}", QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE, .pushback = "-1"}));
    call = governed_begin(&governed, governed.ctx, "Ask");
    while (faults("delay") < 2) { /* the first attempt is under way, the hedge is not */
        go_on();
    }
    actor_release(&actor);
    CHECK_INT(governed_end(governed.ctx, call), MESH_UNAVAILABLE);
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    CHECK_INT(actor.n_calls, 1);
    finish();
}

/* A peer of ours whose own attempts are spent counts for no breaker; this one is another. */
TEST(an_answer_that_cannot_be_read_counts_whatever_has_become_of_a_hedge)
{
    struct mesh_call *call;

    begin(HEDGED_TO("2"), NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':1,"
                                      "'openDuration':'60s'}");
    actor_follow(&actor, ACTS({.hangs = true, .unreadable = true},
                              {.status = MESH_UNAVAILABLE, .as_ours = true, .pushback = "-1"}));
    call = governed_begin(&governed, governed.ctx, "Ask");
    while (attempts("UNAVAILABLE") == 0) {
        go_on();
    }
    actor_release(&actor);
    CHECK_INT(governed_end(governed.ctx, call), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(governed.ctx), "bad answer to Ask") != NULL);
    CHECK_INT(governed_call(&governed, "Ask"), MESH_UNAVAILABLE);
    CHECK_TEXT(governed_reason(&governed), "CIRCUIT_OPEN");
    finish();
}

TEST(a_failure_that_is_not_retried_ends_all_attempts)
{
    begin(HEDGED, QUIET);
    actor_follow(&actor, ACTS({.hangs = true}, {.status = MESH_NOT_FOUND}));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_NOT_FOUND);
    CHECK(peer_await(&actor.n_cancelled, 1));
    finish();
}

TEST(a_retry_that_wins_after_a_hedge_is_no_hedge_that_wins)
{
    begin("'retries':{'attempts':1,'backoff':'1ms'},'hedging':{'delay':'30ms'}", QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE},
                              {.releases = true, .status = MESH_UNAVAILABLE}, {0}));
    CHECK_INT(governed_call(&governed, "Ask"), MESH_OK);
    CHECK_INT(actor.n_calls, 3);
    CHECK_INT(hedges("sent"), 1);
    CHECK_INT(hedges("won"), 0);
    CHECK_INT(governed_retries(&governed), 1);
    finish();
}

/* ---- faults --------------------------------------------------------------------------------- */

TEST(an_abort_sends_nothing_is_final_and_counts_nowhere)
{
    begin("'retries':{'attempts':2,'backoff':'1ms'},'fault':{'abort':{'grpcStatus':'UNAVAILABLE'}}",
          NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':2}");
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "FAULT");
        CHECK(governed.ctx->scope->error->final);
        CHECK_INT(faults("abort"), i);
    }
    CHECK_INT(governed_retries(&governed), 0);
    CHECK_INT(actor.n_calls, 0);
    finish();
}

TEST(an_abort_has_the_code_that_the_policy_says)
{
    begin("'fault':{'abort':{'grpcStatus':'NOT_FOUND'}}", QUIET);
    CHECK_INT(governed_call(&governed, "Count"), MESH_NOT_FOUND);
    CHECK_TEXT(governed_reason(&governed), "FAULT");
    CHECK_INT(mesh_ctx_error_retry_ms(governed.ctx), -1);
    finish();
}

TEST(faults_of_no_calls_happen_to_none)
{
    begin("'fault':{'abort':{'grpcStatus':'NOT_FOUND','percentage':{'value':0}},"
          "'delay':{'fixedDelay':'5s','percentage':{'value':0}}}",
          QUIET);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(faults("abort") + faults("delay"), 0);
    finish();
}

/* Of 400 calls: further away than this from what the file says is no more than once in 10^9 runs.
 */
TEST(faults_happen_to_their_share_of_the_calls)
{
    enum { CALLS = 400 };
    static const struct {
        const char *percent;
        int64_t least, most;
    } rows[] = {{"0.0001", 0, 2}, {"12.5", 12, 95}, {"50", 135, 265}, {"100", CALLS, CALLS}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char route[300];
        int n_aborted = 0;

        (void)snprintf(route, sizeof route,
                       "'fault':{'abort':{'grpcStatus':'NOT_FOUND','percentage':{'value':%s}}}",
                       rows[i].percent);
        begin(route, QUIET);
        for (int call = 0; call < CALLS; call++) {
            n_aborted += governed_call(&governed, "Buy") == MESH_NOT_FOUND;
        }
        CHECK(n_aborted >= rows[i].least && n_aborted <= rows[i].most);
        CHECK_INT(faults("abort"), n_aborted);
        CHECK_INT(actor.n_calls, CALLS - n_aborted);
        finish();
    }
}

TEST(delays_happen_to_their_share_of_the_attempts)
{
    enum { CALLS = 100 };

    begin("'fault':{'delay':{'fixedDelay':'1ms','percentage':{'value':50}}}", QUIET);
    for (int call = 0; call < CALLS; call++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK(faults("delay") >= 18 && faults("delay") <= 82); /* the same */
    CHECK_INT(actor.n_calls, CALLS);
    finish();
}

TEST(a_delay_holds_back_each_attempt)
{
    int64_t start_ns;

    begin("'retries':{'attempts':1,'backoff':'1ms'},'fault':{'delay':{'fixedDelay':'100ms'}}",
          QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {0}));
    start_ns = mesh__now_ns();
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK(peer_ms_since(start_ns) >= 200);
    CHECK(peer_ms_since(start_ns) < 3000);
    CHECK_INT(faults("delay"), 2);
    CHECK_INT(actor.n_calls, 2);
    finish();
}

TEST(a_delay_beyond_the_timeout_sends_nothing)
{
    begin("'timeout':'100ms','retries':{'attempts':0},'fault':{'delay':{'fixedDelay':'5s'}}",
          QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 0);
    finish();
}

/* A call in a context whose own call came with this; value NULL: without. */
static enum mesh_status call_with(const char *key, const char *value, const char *method)
{
    struct mesh__pair pair = {
        .key = key, .value = value, .size = value != NULL ? strlen(value) : 0};
    struct mesh_ctx *fork;
    enum mesh_status status;

    governed.ctx->scope->request_metadata = value != NULL ? &pair : NULL;
    fork = mesh_ctx_fork(governed.ctx);
    governed.ctx->scope->request_metadata = NULL;
    status = governed_end(fork, governed_begin(&governed, fork, method));
    mesh__ctx_free(fork);
    return status;
}

TEST(a_fault_with_a_header_is_for_calls_that_carry_it)
{
    begin("'fault':{'abort':{'grpcStatus':'ABORTED'},'header':{'exact':'slow-bank'}}", QUIET);
    CHECK_INT(call_with(MESH__FAULT, NULL, "Buy"), MESH_OK);
    CHECK_INT(call_with(MESH__FAULT, "slow", "Buy"), MESH_OK);
    CHECK_INT(call_with("x-other", "slow-bank", "Buy"), MESH_OK);
    CHECK_INT(call_with(MESH__FAULT, "slow-bank", "Buy"), MESH_ABORTED);
    CHECK_INT(faults("abort"), 1);
    finish();
}

TEST(the_header_travels_on)
{
    begin("'timeout':'20s'", QUIET);
    CHECK_INT(call_with(MESH__FAULT, "slow-bank", "Buy"), MESH_OK);
    CHECK_TEXT(actor.fault, "slow-bank");
    CHECK_INT(call_with(MESH__FAULT, NULL, "Buy"), MESH_OK);
    CHECK_TEXT(actor.fault, "");
    finish();
}

/* ---- those who are retries themselves ------------------------------------------------------- */

TEST(who_is_a_retry_itself_tries_nothing_again_and_says_so_further_down)
{
    begin(HEDGED, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}));
    CHECK_INT(call_with(MESH__RETRIED, "1", "Buy"), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 1);
    CHECK_INT(actor.n_retried, 1);
    finish();
}

TEST(nor_does_it_hedge)
{
    begin("'timeout':'200ms'," HEDGED, QUIET);
    actor_follow(&actor, ACTS({.hangs = true}));
    CHECK_INT(call_with(MESH__RETRIED, "1", "Ask"), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 1);
    finish();
}

TEST(an_answer_that_is_there_is_taken_before_a_hedge_is_sent)
{
    struct mesh_call *call;

    begin(HEDGED_TO("2"), QUIET);
    actor_follow(&actor, ACTS({0}));
    call = governed_begin(&governed, governed.ctx, "Ask");
    mesh__sleep_until(mesh__in_ms(300)); /* its thread does something else meanwhile */
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    CHECK_INT(actor.n_calls, 1);
    CHECK_INT(hedges("sent"), 0);
    finish();
}

/* Another call of its thread is waited for. */
TEST(an_attempt_that_has_lost_gives_its_place_back_before_its_call_is_waited_for)
{
    struct mesh_call *call;

    begin(HEDGED_TO("2"), QUIET);
    actor_follow(&actor, ACTS({.hangs = true}, {0}));
    call = governed_begin(&governed, governed.ctx, "Ask");
    for (int i = 0; i < 1000 && (hedges("won") == 0 || governed.client->requests.used > 0); i++) {
        int64_t due_ns = mesh__calls_step();
        int64_t soon_ns = mesh__in_ms(10);

        (void)mesh__queue_turn(due_ns < soon_ns ? due_ns : soon_ns);
    }
    CHECK_INT(hedges("won"), 1);
    CHECK_INT(governed.client->requests.used, 0);
    CHECK_INT(governed_end(governed.ctx, call), MESH_OK);
    finish();
}

TEST_MAIN(NULL, NULL)
