/* SPDX-License-Identifier: Apache-2.0 */
/* Streams under a policy, calls that are cancelled between attempts, and policies that change. */
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/text.h"
#include "governed.h"
#include "mesh/stream.h"
#include "rpc/client_call.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QUIET NO_BREAKER "," NO_EJECTION
#define RETRIES "'retries':{'attempts':2,'backoff':'1ms'}"

static struct governed governed;
static struct actor actor;

static void begin_with(const struct governed_options *options)
{
    struct governed_options own = *options;

    actor_start(&actor, ACTS({0}), 0);
    own.target = actor_target(&actor);
    governed_start(&governed, &own);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
}

static void begin(const char *route, const char *destination)
{
    begin_with(&(struct governed_options){.route = route, .destination = destination});
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actor);
}

static MESH_STATUS open_watch(struct mesh_stream **ret_stream)
{
    Peer__Note note = PEER__NOTE__INIT;

    return mesh_client_open(governed.ctx, governed.client, governed_method("Watch"), &note.base,
                            ret_stream);
}

/* ---- streams -------------------------------------------------------------------------------- */

/* Watches to the end; how many messages came. */
static enum mesh_status watch(int *ret_n)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;
    enum mesh_status status;

    *ret_n = 0;
    mesh__ctx_reset(governed.ctx, MESH_NO_DEADLINE);
    governed.ctx->scope->serves = true;
    status = open_watch(&stream);
    if (status != MESH_OK) {
        return status;
    }
    while ((status = mesh_stream_read(governed.ctx, stream, &message)) == MESH_OK &&
           message != NULL) {
        ++*ret_n;
    }
    CHECK(mesh_stream_finish(governed.ctx, stream) == status);
    return status;
}

TEST(a_stream_is_tried_again_before_its_first_message)
{
    int n;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE},
                              {.n_messages = 3}));
    CHECK_INT(watch(&n), MESH_OK);
    CHECK_INT(n, 3);
    CHECK_INT(actor.n_calls, 3);
    CHECK_INT(actor.n_retried, 2);
    CHECK_INT(governed_retries(&governed), 2);
    finish();
}

TEST(so_is_one_whose_messages_nobody_wants)
{
    struct mesh_stream *stream;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.n_messages = 3}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    finish();
}

TEST(and_not_after_it)
{
    int n;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.n_messages = 1, .status = MESH_UNAVAILABLE}));
    CHECK_INT(watch(&n), MESH_UNAVAILABLE);
    CHECK_INT(n, 1);
    CHECK_INT(actor.n_calls, 1);
    CHECK_TEXT(governed_reason(&governed), "");
    finish();
}

TEST(no_more_often_than_the_policy_says)
{
    int n;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}));
    CHECK_INT(watch(&n), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 3);
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "-1"}));
    CHECK_INT(watch(&n), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 4);
    finish();
}

TEST(streams_whose_caller_sends_several_messages_are_not)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}));
    CHECK_INT(
        mesh_client_open(governed.ctx, governed.client, governed_method("Talk"), NULL, &stream),
        MESH_OK);
    CHECK_INT(mesh_stream_close_send(governed.ctx, stream), MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_UNAVAILABLE);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 1);
    finish();
}

TEST(a_streams_retry_holds_its_place_in_the_budget_to_its_end)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;
    struct mesh_ctx *fork;

    begin(RETRIES, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.n_messages = 1, .hangs = true},
                              {.status = MESH_UNAVAILABLE}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_OK);
    fork = mesh_ctx_fork(governed.ctx);
    CHECK_INT(governed_end(fork, governed_begin(&governed, fork, "Buy")), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 3); /* the place was taken */
    mesh_stream_cancel(stream);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_CANCELLED);
    CHECK_INT(governed_end(fork, governed_begin(&governed, fork, "Buy")), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 6);
    mesh__ctx_free(fork);
    finish();
}

TEST(which_a_retry_that_has_failed_leaves_to_the_next)
{
    int n;

    begin(RETRIES, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE},
                              {.n_messages = 1}));
    CHECK_INT(watch(&n), MESH_OK);
    CHECK_INT(n, 1);
    CHECK_INT(actor.n_calls, 3);
    finish();
}

/* Its context is gone when the endpoint changes that it has waited for. */
TEST(a_stream_that_ends_while_it_seeks_an_endpoint_waits_no_more)
{
    Peer__Note note = PEER__NOTE__INIT;
    struct raw_peer *raw = raw_peer_new_hanging();
    struct mesh_stream *stream;
    struct mesh_ctx *ctx;
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(raw));
    governed_start(&governed, &(struct governed_options){.target = target, .destination = QUIET});
    CHECK(governed_await_endpoints(&governed, "connecting", 1));
    ctx = mesh__ctx_new("test", 0, mesh__in_ms(20));
    CHECK_INT(mesh_client_open(ctx, governed.client, governed_method("Watch"), &note.base, &stream),
              MESH_DEADLINE_EXCEEDED);
    mesh__ctx_free(ctx);
    raw_peer_free(raw);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    governed_done(&governed);
}

/* As in Envoy: what has begun to answer is not cut, however long it lasts. */
TEST(the_time_of_an_attempt_is_over_with_the_first_message_of_its_stream)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin_with(&(struct governed_options){
        .routes = "'watch':{'service':'SELF','grpcService':'peer.Peer','methods':['Watch'],"
                  "'timeout':'0s','retries':{'attempts':1,'perTryTimeout':'400ms'}}"});
    actor_follow(&actor, ACTS({.n_messages = 1, .hangs = true}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_OK);
    CHECK_INT(mesh_stream_read(mesh_ctx_timeout(governed.ctx, 700), stream, &message),
              MESH_DEADLINE_EXCEEDED);
    CHECK(strstr(mesh_ctx_error(governed.ctx), "did not go on in time") != NULL);
    CHECK_INT(actor.n_hanging, 1); /* nor does the peer see an end */
    actor_release(&actor);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_OK);
    CHECK(message == NULL);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_OK);
    CHECK_INT(actor.n_calls, 1);
    finish();
}

/* Who looks from time to time whether there is something new puts nothing off. */
TEST(it_is_over_in_time_for_who_has_less_time_too)
{
    enum mesh_status status = MESH_DEADLINE_EXCEEDED;
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin_with(&(struct governed_options){
        .routes = "'watch':{'service':'SELF','grpcService':'peer.Peer','methods':['Watch'],"
                  "'timeout':'0s','retries':{'attempts':1,'perTryTimeout':'100ms'}}"});
    actor_follow(&actor, ACTS({.hangs = true}, {.n_messages = 1}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    for (int i = 0; i < 1000 && status == MESH_DEADLINE_EXCEEDED; i++) {
        status = mesh_stream_read(mesh_ctx_timeout(governed.ctx, 10), stream, &message);
    }
    CHECK_INT(status, MESH_OK);
    CHECK(message != NULL);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    CHECK_INT(governed_count(&governed, "mesh_client_timeouts_total", "of", "attempt"), 1);
    finish();
}

TEST(a_fault_ends_a_stream_before_it_begins)
{
    struct mesh_stream *stream;

    begin_with(&(struct governed_options){.routes =
                                              "'all':{'service':'SELF','grpcService':'peer.Peer',"
                                              "'fault':{'abort':{'grpcStatus':'ABORTED'}}}"});
    CHECK_INT(open_watch(&stream), MESH_ABORTED);
    CHECK_TEXT(governed_reason(&governed), "FAULT");
    CHECK_INT(actor.n_calls, 0);
    finish();
}

/* Who looks from time to time whether there is something new leaves the stream alone. */
TEST(a_stream_that_pauses_outlives_who_has_less_time)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "300"}, {.n_messages = 1}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    while (governed_retries(&governed) == 0) {
        CHECK_INT(mesh_stream_read(mesh_ctx_timeout(governed.ctx, 10), stream, &message),
                  MESH_DEADLINE_EXCEEDED);
    }
    CHECK_INT(mesh_stream_read(mesh_ctx_timeout(governed.ctx, 10), stream, &message),
              MESH_DEADLINE_EXCEEDED);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_OK);
    CHECK(message != NULL);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_OK);
    CHECK_INT(actor.n_calls, 2);
    finish();
}

/* A stream that waits before it is tried again, for long. */
static struct mesh_stream *begin_pausing(struct mesh_ctx *ctx)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "10000"}, {0}));
    CHECK_INT(mesh_client_open(ctx, governed.client, governed_method("Watch"), &note.base, &stream),
              MESH_OK);
    while (governed_retries(&governed) == 0) {
        CHECK_INT(mesh_stream_read(mesh_ctx_timeout(ctx, 10), stream, &message),
                  MESH_DEADLINE_EXCEEDED);
    }
    return stream;
}

TEST(a_stream_whose_retry_cannot_be_sent_ends_with_the_failure_before)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    begin("'timeout':'20s','retries':{'attempts':1,'backoff':'1ms','retryOn':['internal']}", QUIET);
    actor_follow(&actor, ACTS({.status = MESH_INTERNAL, .pushback = "300"}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    while (governed_retries(&governed) == 0) {
        CHECK_INT(mesh_stream_read(mesh_ctx_timeout(governed.ctx, 20), stream, &message),
                  MESH_DEADLINE_EXCEEDED);
    }
    actor_stop(&actor);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_error(governed.ctx),
               "as told; no other attempt was possible: no endpoint could be reached");
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_INTERNAL);
    governed_done(&governed);
}

TEST(a_stream_that_pauses_can_be_cancelled)
{
    struct mesh_stream *stream;

    begin(RETRIES, QUIET);
    stream = begin_pausing(governed.ctx);
    mesh_stream_cancel(stream);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_CANCELLED);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_CANCELLED);
    CHECK_INT(actor.n_calls, 1);
    finish();
}

TEST(a_context_that_ends_takes_a_stream_that_pauses_with_it)
{
    struct mesh_ctx *fork;

    begin(RETRIES, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1},'workerLimit':1");
    fork = mesh_ctx_fork(governed.ctx);
    (void)begin_pausing(fork);
    mesh__ctx_free(fork);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}, {0}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK); /* worker and budget are free again */
    finish();
}

TEST(who_has_heard_of_a_streams_end_gets_no_other_attempt)
{
    ProtobufCMessage *message;
    struct mesh_stream *stream;
    struct mesh_ctx *fork;
    struct mesh_call *call;

    begin(RETRIES, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "10000"},
                              {.status = MESH_UNAVAILABLE}));
    fork = mesh_ctx_fork(governed.ctx);
    call = governed_begin(&governed, fork, "Buy");
    while (governed_retries(&governed) == 0) { /* it holds the place */
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    CHECK_INT(open_watch(&stream), MESH_OK);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_UNAVAILABLE);
    CHECK(call != NULL);
    mesh__ctx_free(fork);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_UNAVAILABLE);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 2);
    finish();
}

/* ---- cancellation --------------------------------------------------------------------------- */

static const struct wire *real_wire;
static atomic_int n_cancels;
static atomic_bool too_late;

/* A cancellation that comes too late, as the status is already on its way, changes nothing. */
static void cancel(struct wire_call *call)
{
    n_cancels++;
    if (!too_late) {
        real_wire->call_cancel(call);
    }
}

TEST(a_call_that_was_cancelled_is_not_tried_again)
{
    struct wire wire = *mesh__wire;
    atomic_bool cancelled = false;
    struct mesh_ctx *fork;
    struct mesh_call *call;

    real_wire = mesh__wire;
    wire.call_cancel = cancel;
    mesh__wire = &wire;
    n_cancels = 0;
    too_late = false;
    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    fork->cancelled = &cancelled;
    call = governed_begin(&governed, fork, "Buy");
    CHECK(peer_await(&actor.n_hanging, 1));
    too_late = true;
    cancelled = true;
    (void)mesh__calls_step();
    CHECK_INT(n_cancels, 1);
    actor_release(&actor);
    CHECK(governed_end(fork, call) != MESH_OK);
    CHECK_INT(actor.n_calls, 1);
    mesh__ctx_free(fork);
    finish();
    mesh__wire = real_wire;
}

/* The same, while a fault holds back another attempt. */
TEST(nor_is_an_attempt_sent_that_waits_at_that_time)
{
    struct wire wire = *mesh__wire;
    atomic_bool cancelled = false;
    struct mesh_ctx *fork;
    struct mesh_call *call;

    real_wire = mesh__wire;
    wire.call_cancel = cancel;
    mesh__wire = &wire;
    n_cancels = 0;
    too_late = true;
    begin_with(&(struct governed_options){
        .routes = "'all':{'service':'SELF','grpcService':'peer.Peer'," RETRIES
                  ",'hedging':{'delay':'20ms'},'fault':{'delay':{'fixedDelay':'300ms'}}}",
        .destination = QUIET});
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    fork->cancelled = &cancelled;
    call = governed_begin(&governed, fork, "Ask");
    while (governed_count(&governed, "mesh_client_hedges_total", "result", "sent") == 0) {
        (void)mesh__queue_turn(mesh__in_ms(5));
        (void)mesh__calls_step();
    }
    cancelled = true;
    (void)mesh__calls_step();
    CHECK_INT(n_cancels, 1);
    CHECK(peer_await(&actor.n_hanging, 1));
    actor_release(&actor);
    CHECK(governed_end(fork, call) != MESH_OK);
    CHECK_INT(actor.n_calls, 1);
    mesh__ctx_free(fork);
    finish();
    mesh__wire = real_wire;
}

TEST(nor_is_a_stream)
{
    struct wire wire = *mesh__wire;
    ProtobufCMessage *message;
    struct mesh_stream *stream;

    real_wire = mesh__wire;
    wire.call_cancel = cancel;
    mesh__wire = &wire;
    too_late = true;
    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE}, {0}));
    CHECK_INT(open_watch(&stream), MESH_OK);
    CHECK(peer_await(&actor.n_hanging, 1));
    mesh_stream_cancel(stream);
    actor_release(&actor);
    CHECK_INT(mesh_stream_read(governed.ctx, stream, &message), MESH_UNAVAILABLE);
    CHECK_INT(mesh_stream_finish(governed.ctx, stream), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 1);
    finish();
    mesh__wire = real_wire;
}

TEST(nor_is_a_hedge_that_is_due)
{
    atomic_bool cancelled = false;
    struct mesh_ctx *fork;
    struct mesh_call *call;
    int64_t due_ns;

    begin_with(&(struct governed_options){.routes =
                                              "'all':{'service':'SELF','grpcService':'peer.Peer',"
                                              "'hedging':{'delay':'20ms'}}",
                                          .destination = QUIET});
    actor_follow(&actor, ACTS({.hangs = true}));
    fork = mesh_ctx_fork(governed.ctx);
    fork->cancelled = &cancelled;
    call = governed_begin(&governed, fork, "Ask");
    due_ns = mesh__in_ms(20);
    while (mesh__now_ns() <= due_ns) {
        (void)sched_yield();
    }
    cancelled = true;
    CHECK_INT(governed_end(fork, call), MESH_CANCELLED);
    CHECK_INT(governed_count(&governed, "mesh_client_hedges_total", "result", "sent"), 0);
    mesh__ctx_free(fork);
    finish();
}

TEST(a_call_that_is_cancelled_while_it_pauses_ends_at_once)
{
    atomic_bool cancelled = false;
    struct mesh_ctx *fork;
    struct mesh_call *call;
    int64_t start_ns = mesh__now_ns();

    begin(RETRIES, QUIET);
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "10000"}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    fork->cancelled = &cancelled;
    call = governed_begin(&governed, fork, "Buy");
    while (governed_retries(&governed) == 0) {
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    cancelled = true;
    CHECK_INT(governed_end(fork, call), MESH_CANCELLED);
    CHECK_TEXT(mesh_ctx_error(fork), "as told; no other attempt was possible: it was cancelled");
    CHECK(peer_ms_since(start_ns) < 8000);
    CHECK_INT(actor.n_calls, 1);
    mesh__ctx_free(fork);
    finish();
}

TEST(a_context_that_ends_takes_a_call_that_pauses_with_it)
{
    struct mesh_ctx *fork;

    begin(RETRIES, QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1},'workerLimit':1");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "10000"},
                              {.status = MESH_UNAVAILABLE}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    (void)governed_begin(&governed, fork, "Buy");
    while (governed_retries(&governed) == 0) {
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    mesh__ctx_free(fork);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK); /* worker and budget are free again */
    CHECK_INT(actor.n_calls, 3);
    finish();
}

/* ---- changes -------------------------------------------------------------------------------- */

/* In a folder of its own, which the policy's thread watches. */
static void begin_changing(char *folder, char *file, size_t size, const char *route,
                           const char *destination)
{
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(file, size, "%s/policy.json", folder);
    begin_with(
        &(struct governed_options){.file = file, .route = route, .destination = destination});
}

TEST(a_change_holds_for_the_next_call_and_not_for_those_under_way)
{
    char folder[] = "/tmp/mesh-policy-XXXXXX";
    char file[64];
    struct mesh_ctx *fork;
    struct mesh_call *call;

    begin_changing(folder, file, sizeof file, "'timeout':'20s'," RETRIES, QUIET);
    actor_follow(&actor, ACTS({.hangs = true, .status = MESH_UNAVAILABLE},
                              {.status = MESH_UNAVAILABLE}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    call = governed_begin(&governed, fork, "Buy");
    CHECK(peer_await(&actor.n_hanging, 1));
    governed_change(&governed, "'retries':{'attempts':0}", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE); /* once */
    CHECK_INT(actor.n_calls, 2);
    actor_release(&actor);
    CHECK_INT(governed_end(fork, call), MESH_OK); /* with a retry */
    CHECK_INT(actor.n_calls, 3);
    mesh__ctx_free(fork);
    finish();
    CHECK(rmdir(folder) == 0);
}

TEST(a_shorter_timeout_leaves_calls_under_way_alone)
{
    char folder[] = "/tmp/mesh-policy-XXXXXX";
    char file[64];
    struct mesh_ctx *fork;
    struct mesh_call *call;

    begin_changing(folder, file, sizeof file, "'timeout':'20s'", QUIET);
    actor_follow(&actor, ACTS({.hangs = true}));
    fork = mesh_ctx_fork(governed.ctx);
    call = governed_begin(&governed, fork, "Buy");
    CHECK(peer_await(&actor.n_hanging, 1));
    governed_change(&governed, "'timeout':'60ms'", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_DEADLINE_EXCEEDED);
    actor_release(&actor);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    finish();
    CHECK(rmdir(folder) == 0);
}

TEST(what_is_known_of_a_peer_survives_a_change)
{
    char folder[] = "/tmp/mesh-policy-XXXXXX";
    char file[64];

    begin_changing(folder, file, sizeof file, "'retries':{'attempts':0}",
                   NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':2,'openDuration':'60s'}");
    actor_follow(&actor, ACTS({.status = MESH_UNAVAILABLE}));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    governed_change(&governed, "'retries':{'attempts':0},'timeout':'5s'",
                    NO_EJECTION ",'circuitBreaker':{'consecutiveFailures':2,'openDuration':'60s'}");
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE); /* the second in a row */
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_TEXT(governed_reason(&governed), "CIRCUIT_OPEN");
    governed_change(&governed, "'retries':{'attempts':0}", QUIET); /* off: it closes */
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_INT(actor.n_calls, 3);
    finish();
    CHECK(rmdir(folder) == 0);
}

static struct mesh__policy *late;

/* What the next caller gets is what was in force a moment ago. The linker has the names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
struct mesh__policy *__real_mesh__policies_take(struct mesh__policies *policies);
struct mesh__policy *__wrap_mesh__policies_take(struct mesh__policies *policies);

struct mesh__policy *__wrap_mesh__policies_take(struct mesh__policies *policies)
{
    struct mesh__policy *policy = late;

    late = NULL;
    return policy != NULL ? policy : __real_mesh__policies_take(policies);
}
/* NOLINTEND(bugprone-reserved-identifier) */

static bool has_worker_limit(int64_t limit)
{
    struct mesh__text text = {0};
    char look_for[40];
    bool has;

    (void)snprintf(look_for, sizeof look_for, "\"workerLimit\":%lld,", (long long)limit);
    mesh__client_json(governed.client, &text);
    has = strstr(text.bytes, look_for) != NULL;
    free(text.bytes);
    return has;
}

TEST(a_call_that_is_slow_to_begin_puts_no_old_policy_in_force)
{
    char folder[] = "/tmp/mesh-policy-XXXXXX";
    char file[64];
    struct mesh__policy *before;

    begin_changing(folder, file, sizeof file, NULL, "'workerLimit':5");
    before = mesh__policies_take(governed.policies);
    governed_change(&governed, NULL, "'workerLimit':7");
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK(has_worker_limit(7));
    late = before;
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK(has_worker_limit(7));
    finish();
    CHECK(rmdir(folder) == 0);
}

TEST_MAIN(NULL, NULL)
