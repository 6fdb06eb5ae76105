/* SPDX-License-Identifier: Apache-2.0 */
/* How long calls and attempts may take: the policy's time, the caller's, and the reserve. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "mesh/stream.h"
#include "rpc/wire.h"
#include "test.h"

#include <stdio.h>

#define SLACK_MS 1000 /* of a machine that is busy */

static struct governed governed;
static struct actor actor;

static void begin_with(const struct governed_options *options)
{
    struct governed_options own = *options;

    actor_start(&actor, ACTS({.hangs = true}), 0);
    own.target = actor_target(&actor);
    own.destination = NO_BREAKER "," NO_EJECTION;
    governed_start(&governed, &own);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
}

static void begin(const char *route)
{
    begin_with(&(struct governed_options){.route = route});
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actor);
}

static int64_t timeouts(const char *of)
{
    return governed_count(&governed, "mesh_client_timeouts_total", "of", of);
}

static void check_text(const char *rest)
{
    char text[200];

    (void)snprintf(text, sizeof text, "%s: %s", governed.name, rest);
    CHECK_TEXT(mesh_ctx_error(governed.ctx), text);
}

TEST(the_timeout_of_the_policy_ends_a_call_and_no_sooner)
{
    int64_t start_ns;

    begin("'timeout':'150ms','retries':{'attempts':0}");
    start_ns = mesh__now_ns();
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >=
          145); /* the peer's clock starts, and may end it, a bit early */
    CHECK(peer_ms_since(start_ns) < 150 + SLACK_MS);
    check_text("no answer to Buy within 150 ms");
    CHECK_INT(timeouts("call"), 1);
    CHECK_INT(timeouts("attempt"), 0);
    CHECK(peer_await(&actor.n_cancelled, 1));
    finish();
}

TEST(the_timeout_holds_for_all_attempts_and_pauses_together)
{
    int64_t start_ns;

    begin("'timeout':'600ms','retries':{'attempts':10,'backoff':'1ms'}");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "100"},
                              {.status = MESH_UNAVAILABLE, .pushback = "100"}, {.hangs = true}));
    start_ns = mesh__now_ns();
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >= 595);
    CHECK(peer_ms_since(start_ns) < 600 + SLACK_MS);
    CHECK(peer_await(&actor.n_calls, 3));
    CHECK(actor.given_ms <= 420); /* two pauses are over */
    check_text("no answer to Buy within 600 ms");
    finish();
}

TEST(the_timer_of_an_attempt_cuts_each_and_its_end_is_that_of_the_call)
{
    int64_t start_ns;

    begin("'timeout':'5s','retries':{'attempts':2,'perTryTimeout':'100ms','backoff':'1ms'}");
    start_ns = mesh__now_ns();
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >= 300);
    CHECK(peer_ms_since(start_ns) < 300 + SLACK_MS);
    check_text("no answer to Buy within 100 ms");
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    CHECK_INT(actor.n_calls, 3);
    CHECK(peer_await(&actor.n_cancelled, 3));
    CHECK_INT(timeouts("attempt"), 3);
    CHECK_INT(timeouts("call"), 0);
    CHECK_INT(governed_count(&governed, "mesh_client_retries_total", "reason", "reset"), 2);
    finish();
}

TEST(the_timer_of_an_attempt_makes_room_for_one_that_is_answered)
{
    begin("'timeout':'5s','retries':{'attempts':2,'perTryTimeout':'100ms','backoff':'1ms'}");
    actor_follow(&actor, ACTS({.hangs = true}, {0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    finish();
}

/* What is told to end has ended by then: the peer learns of it too late. */
static void cancel_too_late(struct wire_call *call)
{
    (void)call;
    actor_release(&actor);
}

TEST(what_the_peer_says_as_the_timer_of_an_attempt_fires_is_heard)
{
    static struct wire late; /* a failed check leaves it in force */
    const struct wire *real = mesh__wire;

    late = *real;
    late.call_cancel = cancel_too_late;
    mesh__wire = &late;
    begin("'timeout':'20s','retries':{'attempts':1,'perTryTimeout':'100ms','backoff':'1ms'}");
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_NOT_FOUND}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_NOT_FOUND);
    CHECK_TEXT(mesh_ctx_error(governed.ctx), "as told");
    CHECK_INT(actor.n_calls, 1);
    CHECK_INT(timeouts("attempt"), 0);
    finish();
    mesh__wire = real;
}

/* Not that of the attempt alone: what goes on further down may outlive an attempt, not the call. */
TEST(every_attempt_carries_the_deadline_of_the_call)
{
    begin("'timeout':'20s','retries':{'attempts':1,'perTryTimeout':'100ms','backoff':'1ms'}");
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 2);
    CHECK(actor.given_ms > 10000 && actor.given_ms <= 20500); /* the core rounds it up */
    CHECK_INT(governed_call_within(&governed, "Buy", 10000), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(actor.n_calls, 4);
    CHECK(actor.given_ms > 1000 && actor.given_ms <= 9500); /* but for the reserve */
    finish();
}

TEST(a_call_without_a_deadline_carries_none)
{
    begin("'timeout':'0s'");
    actor_follow(&actor, ACTS({0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(actor.given_ms, -1);
    finish();
}

/* Of the caller's time something is kept, so that it can still record what has happened. */
TEST(the_callers_time_bounds_a_call_but_for_a_reserve)
{
    static const struct {
        int64_t callers_ms, least_ms;
    } rows[] = {{1000, 890}, {100, 70}};

    begin("'timeout':'20s','retries':{'attempts':0}");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t start_ns = mesh__now_ns();

        CHECK_INT(governed_call_within(&governed, "Buy", rows[i].callers_ms),
                  MESH_DEADLINE_EXCEEDED);
        CHECK(peer_ms_since(start_ns) >= rows[i].least_ms);
        CHECK(peer_ms_since(start_ns) < rows[i].callers_ms + SLACK_MS);
    }
    CHECK_INT(timeouts("call"), 0); /* it was not the policy's */
    finish();
}

/* What the call is given of the caller's time, by its text. */
static int64_t given_ms(int64_t callers_ms)
{
    static const char before[] = "no answer to Buy within ";
    const char *found;

    CHECK_INT(governed_call_within(&governed, "Buy", callers_ms), MESH_DEADLINE_EXCEEDED);
    found = strstr(mesh_ctx_error(governed.ctx), before);
    return found != NULL ? strtol(found + strlen(before), NULL, 10) : -1;
}

TEST(the_reserve_is_a_tenth_and_at_least_20_ms)
{
    int64_t ms;

    begin("'timeout':'400ms','retries':{'attempts':0}");
    ms = given_ms(300); /* both are measured from a moment after that of the deadline */
    CHECK(ms > 200 && ms <= 270);
    ms = given_ms(100);
    CHECK(ms > 0 && ms <= 80);
    CHECK_INT(given_ms(5000), 400);
    CHECK_INT(timeouts("call"), 1);
    finish();
}

TEST(a_caller_with_no_more_than_the_reserve_sends_nothing)
{
    begin("'retries':{'attempts':0}");
    CHECK_INT(governed_call_within(&governed, "Buy", 19), MESH_DEADLINE_EXCEEDED);
    CHECK(strstr(mesh_ctx_error(governed.ctx), "the deadline passed before Buy was sent") != NULL);
    CHECK_INT(governed_count(&governed, "mesh_client_refused_total", "reason", "deadline"), 1);
    CHECK_INT(actor.n_calls, 0);
    finish();
}

/* ---- streams -------------------------------------------------------------------------------- */

/* Opens Watch and reads on until its end; returns that. */
static enum mesh_status watch(struct mesh_ctx *ctx, int *ret_n)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *message;
    struct mesh_stream *stream;
    enum mesh_status status;

    *ret_n = 0;
    status = mesh_client_open(ctx, governed.client, governed_method("Watch"), &note.base, &stream);
    if (status != MESH_OK) {
        return status;
    }
    do {
        status = mesh_stream_read(ctx, stream, &message);
        *ret_n += status == MESH_OK && message != NULL;
    } while (status == MESH_OK && message != NULL);
    mesh_ignore(mesh_stream_finish(ctx, stream)); /* the same */
    return status;
}

static void *release_later(void *arg)
{
    struct timespec moment = {.tv_nsec = 300 * MESH_NS_PER_MS};

    (void)arg;
    (void)nanosleep(&moment, NULL); /* the time that must not matter */
    actor_release(&actor);
    return NULL;
}

TEST(no_timeout_but_that_of_a_route_which_names_it_cuts_a_stream)
{
    pthread_t thread;
    int n;

    begin("'timeout':'100ms','retries':{'attempts':1,'perTryTimeout':'40ms','backoff':'1ms'}");
    actor_follow(&actor, ACTS({.n_messages = 2, .hangs = true}));
    CHECK(pthread_create(&thread, NULL, release_later, NULL) == 0);
    CHECK_INT(watch(governed.ctx, &n), MESH_OK);
    CHECK_INT(n, 2);
    CHECK(pthread_join(thread, NULL) == 0);
    finish();
}

TEST(a_route_for_all_methods_of_the_service_cuts_none_either)
{
    pthread_t thread;
    int n;

    begin_with(&(struct governed_options){
        .routes = "'all':{'service':'SELF','grpcService':'peer.Peer','timeout':'280ms'}"});
    actor_follow(&actor, ACTS({.n_messages = 1, .hangs = true}));
    CHECK(pthread_create(&thread, NULL, release_later, NULL) == 0);
    CHECK_INT(watch(governed.ctx, &n), MESH_OK);
    CHECK_INT(n, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_INT(governed_call(&governed, "Count"), MESH_OK);
    finish();
}

TEST(a_route_that_names_a_stream_cuts_it)
{
    int64_t start_ns;
    int n;

    begin_with(&(struct governed_options){
        .routes = "'watch':{'service':'SELF','grpcService':'peer.Peer','methods':['Watch'],"
                  "'timeout':'150ms'}"});
    actor_follow(&actor, ACTS({.n_messages = 2, .hangs = true}));
    start_ns = mesh__now_ns();
    CHECK_INT(watch(governed.ctx, &n), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(n, 2);
    CHECK(peer_ms_since(start_ns) >= 145);
    CHECK(peer_ms_since(start_ns) < 150 + SLACK_MS);
    check_text("no answer to Watch within 150 ms");
    finish();
}

TEST(a_streams_attempt_that_is_cut_says_what_it_was_given)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin_with(&(struct governed_options){
        .routes = "'watch':{'service':'SELF','grpcService':'peer.Peer','methods':['Watch'],"
                  "'timeout':'0s','retries':{'attempts':1,'perTryTimeout':'80ms',"
                  "'backoff':'1ms'}}"});
    CHECK_INT(mesh_client_open(governed.ctx, governed.client, governed_method("Watch"), &note.base,
                               &stream),
              MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_DEADLINE_EXCEEDED);
    check_text("no answer to Watch within 80 ms");
    CHECK_INT(actor.n_calls, 2);
    mesh_ignore(mesh_stream_finish(governed.ctx, stream)); /* the same */
    CHECK_INT(timeouts("attempt"), 2);
    CHECK_INT(timeouts("call"), 0);
    finish();
}

/* ---- exactly -------------------------------------------------------------------------------- */

#define RUNS 10
#define EARLY_MS 5 /* of the peer's clock, which starts a bit sooner */
#define LATE_MS 20

static enum mesh_status end_of(const char *method, int64_t callers_ms)
{
    int n;

    if (strcmp(method, "Watch") == 0) {
        mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
        return watch(governed.ctx, &n);
    }
    return callers_ms > 0 ? governed_call_within(&governed, method, callers_ms)
                          : governed_call(&governed, method);
}

/* Of several calls none ends sooner, and one as it should: a busy machine may hold up any. */
static bool ends_after(int64_t ms, const char *method, int64_t callers_ms)
{
    bool exact = false;

    for (int i = 0; i < RUNS && !exact; i++) {
        int64_t start_ns = mesh__now_ns();
        int64_t took_ms;

        CHECK_INT(end_of(method, callers_ms), MESH_DEADLINE_EXCEEDED);
        took_ms = peer_ms_since(start_ns);
        CHECK(took_ms >= ms - EARLY_MS);
        exact = took_ms < ms + LATE_MS;
    }
    return exact;
}

TEST(calls_and_attempts_end_to_a_few_milliseconds_when_their_time_is_over)
{
    static const struct {
        const char *route; /* of the method */
        const char *method;
        int64_t callers_ms; /* 0: without a deadline */
        int64_t ms;
    } rows[] = {
        {"'timeout':'100ms','retries':{'attempts':0}", "Buy", 0, 100},
        {"'timeout':'5s','retries':{'attempts':0}", "Buy", 120, 100},
        {"'timeout':'5s','retries':{'attempts':0}", "Buy", 400, 360},
        {"'timeout':'5s','retries':{'attempts':1,'perTryTimeout':'50ms','backoff':'1ms'}", "Buy", 0,
         100},
        {"'timeout':'100ms','retries':{'attempts':0}", "Watch", 0, 100},
        {"'timeout':'0s','retries':{'attempts':1,'perTryTimeout':'50ms','backoff':'1ms'}", "Watch",
         0, 100},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char routes[300];

        (void)snprintf(routes, sizeof routes,
                       "'one':{'service':'SELF','grpcService':'peer.Peer','methods':['%s'],%s}",
                       rows[i].method, rows[i].route);
        begin_with(&(struct governed_options){.routes = routes});
        CHECK(ends_after(rows[i].ms, rows[i].method, rows[i].callers_ms));
        finish();
    }
}

/* Below a second the core rounds what it sends to milliseconds. */
TEST(the_peer_is_given_no_more_than_the_time_of_the_call)
{
    begin("'timeout':'900ms','retries':{'attempts':0}");
    actor_follow(&actor, ACTS({0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK(actor.given_ms > 0 && actor.given_ms <= 900 + LATE_MS);
    CHECK_INT(governed_call_within(&governed, "Buy", 800), MESH_OK);
    CHECK(actor.given_ms > 0 && actor.given_ms <= 720 + LATE_MS);
    finish();
}

TEST_MAIN(NULL, NULL)
