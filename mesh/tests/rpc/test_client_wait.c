/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls against a scripted peer: deadlines, cancellation, several at once, threads. */
#include "client_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "rpc/client_call.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
static struct peer *peer;
static struct mesh_client *client;
static struct mesh_ctx *ctx;
static atomic_int n_calls;     /* that scripts have seen */
static atomic_int n_cancelled; /* calls whose end was a cancellation */
static sem_t arrived;          /* one per call of Wait, Relay or Closing */
static atomic_int n_together;
static atomic_int inner_status; /* of the call that Relay or Closing made; -1 before */

static const struct mesh_method methods[] = {
    PEER_METHOD("Echo", MESH_UNARY),     PEER_METHOD("Wait", MESH_UNARY),
    PEER_METHOD("Together", MESH_UNARY), PEER_METHOD("Relay", MESH_UNARY),
    PEER_METHOD("Closing", MESH_UNARY),
};

static const struct mesh_method *method(const char *name)
{
    size_t i = 0;

    while (strcmp(methods[i].name, name) != 0) {
        i++;
    }
    return &methods[i];
}

/* ---- scripts ------------------------------------------------------------------------------ */

static void script_echo(struct peer_call *call, void *arg)
{
    Peer__Note *note = peer_read(call);

    (void)arg;
    n_calls++;
    if (note == NULL) { /* cancelled meanwhile */
        return;
    }
    (void)peer_write(call, note->text, note->number + 1);
    peer__note__free_unpacked(note, NULL);
}

/* Never answers. */
static void script_wait(struct peer_call *call, void *arg)
{
    (void)arg;
    n_calls++;
    (void)sem_post(&arrived);
    n_cancelled += peer_wait_over(call);
}

/* Answers when three calls are there. */
static void script_together(struct peer_call *call, void *arg)
{
    Peer__Note *note = peer_read(call);

    (void)arg;
    n_together++;
    while (n_together < 3) {
        (void)sched_yield();
    }
    (void)peer_write(call, "", note->number * 10);
    peer__note__free_unpacked(note, NULL);
}

static struct mesh_ctx *inbound_ctx(struct peer_call *call)
{
    struct mesh_ctx *inbound = mesh__ctx_new("relay", 0, MESH_NO_DEADLINE);

    inbound->inbound = peer_wire(call);
    return inbound;
}

/*
 * Calls Wait as the handler of a server would: with the call it serves as the parent, whose end the
 * context learns of a little later.
 */
static void script_relay(struct peer_call *call, void *arg)
{
    struct mesh_ctx *inbound = inbound_ctx(call);
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;
    atomic_bool gone = false;
    struct mesh_call *inner;

    (void)arg;
    inbound->cancelled = &gone;
    inner = mesh_client_start(inbound, client, method("Wait"), &note.base);
    while (!mesh__queue_turn(mesh__in_ms(1000))) { /* it has ended by itself */
    }
    gone = peer_wait_over(call);
    inner_status = (int)mesh_client_wait(inbound, inner, &answer);
    mesh__ctx_free(inbound);
}

/* Waits until its caller is gone and calls Echo all the same. */
static void script_closing(struct peer_call *call, void *arg)
{
    struct mesh_ctx *inbound = inbound_ctx(call);
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;

    (void)arg;
    (void)sem_post(&arrived);
    (void)peer_wait_over(call);
    inner_status = (int)mesh_client_call(mesh_ctx_closing(inbound), client, method("Echo"),
                                         &note.base, &answer);
    mesh__ctx_free(inbound);
}

static const struct peer_script scripts[] = {
    {"/peer.Peer/Echo", script_echo},         {"/peer.Peer/Wait", script_wait},
    {"/peer.Peer/Together", script_together}, {"/peer.Peer/Relay", script_relay},
    {"/peer.Peer/Closing", script_closing},   {NULL, NULL},
};

/* ---- helpers ------------------------------------------------------------------------------ */

static struct mesh_call *start_with(struct mesh_ctx *with, const char *name, int64_t number)
{
    Peer__Note note = PEER__NOTE__INIT;

    note.number = number;
    return mesh_client_start(with, client, method(name), &note.base);
}

static MESH_STATUS wait_with(struct mesh_ctx *with, struct mesh_call *call, int64_t *ret_number)
{
    ProtobufCMessage *answer;

    MESH_TRY(mesh_client_wait(with, call, &answer));
    *ret_number = ((const Peer__Note *)answer)->number;
    return MESH_OK;
}

static MESH_STATUS call_with(struct mesh_ctx *with, const char *name, const char *text,
                             int64_t number, const Peer__Note **ret_answer)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;

    note.text = text;
    note.number = number;
    MESH_TRY(mesh_client_call(with, client, method(name), &note.base, &answer));
    *ret_answer = (const Peer__Note *)answer;
    return MESH_OK;
}

static enum mesh_status call(const char *name)
{
    const Peer__Note *answer;

    return call_with(ctx, name, "", 0, &answer);
}

static void fresh(void)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    ctx->cancelled = NULL;
    n_calls = 0;
    n_cancelled = 0;
    n_together = 0;
    inner_status = -1;
    while (sem_trywait(&arrived) == 0) {
    }
}

/* ---- time --------------------------------------------------------------------------------- */

/*
 * A thread that loses the processor wherever it looks at the clock: each look of this thread is
 * slow_ms later than the one before.
 */
static const struct mesh_clock *real_clock;
static _Thread_local int64_t slow_ms, slept_ms;

static int64_t slow_monotonic_ns(void)
{
    slept_ms += slow_ms;
    return real_clock->monotonic_ns() + slept_ms * MESH_NS_PER_MS;
}

TEST(the_clients_own_timeout_ends_a_call)
{
    struct mesh_client *hasty = mesh_client_new("hasty", peer_target(peer), 100);
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;
    int64_t start_ns;

    fresh();
    start_ns = mesh__now_ns();
    CHECK(mesh_client_call(ctx, hasty, method("Wait"), &note.base, &answer) ==
          MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >= 90); /* the peer's clock starts, and may end it, a bit early */
    CHECK(peer_ms_since(start_ns) < 600);
    CHECK_TEXT(mesh_ctx_error(ctx), "hasty: no answer to Wait within 100 ms");
    mesh_client_free(hasty);
    CHECK(peer_await(&n_cancelled, 1)); /* the peer is told */
}

TEST(a_slow_start_does_not_shorten_the_timeout_that_is_told)
{
    struct mesh_client *hasty = mesh_client_new("hasty", peer_target(peer), 1000);
    Peer__Note note = PEER__NOTE__INIT;
    enum mesh_status status;
    ProtobufCMessage *answer;

    fresh();
    slow_ms = 3;
    status = mesh_client_call(ctx, hasty, method("Wait"), &note.base, &answer);
    slow_ms = 0;
    slept_ms = 0;
    CHECK(status == MESH_DEADLINE_EXCEEDED);
    CHECK_TEXT(mesh_ctx_error(ctx), "hasty: no answer to Wait within 1000 ms");
    mesh_client_free(hasty);
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(the_contexts_nearer_deadline_ends_a_call)
{
    const Peer__Note *answer;
    int64_t start_ns;

    fresh();
    start_ns = mesh__now_ns();
    CHECK(call_with(mesh_ctx_timeout(ctx, 80), "Wait", "", 0, &answer) == MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >= 70);
    CHECK(peer_ms_since(start_ns) < 600);
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(a_deadline_that_has_passed_sends_nothing)
{
    const Peer__Note *answer;

    fresh();
    CHECK(call_with(mesh_ctx_timeout(ctx, 0), "Wait", "", 0, &answer) == MESH_DEADLINE_EXCEEDED);
    CHECK_TEXT(mesh_ctx_error(ctx), "peer: the deadline passed before Wait was sent");
    CHECK(call("Echo") == MESH_OK);
    CHECK_INT(n_calls, 1);
}

/* ---- cancellation ------------------------------------------------------------------------- */

TEST(a_cancelled_context_sends_nothing)
{
    static const atomic_bool yes = true;

    fresh();
    ctx->cancelled = &yes;
    CHECK(call("Wait") == MESH_CANCELLED);
    ctx->cancelled = NULL;
    CHECK(call("Echo") == MESH_OK);
    CHECK_INT(n_calls, 1);
}

static void *cancel_when_arrived(void *flag)
{
    (void)sem_wait(&arrived);
    *(atomic_bool *)flag = true;
    return NULL;
}

TEST(cancelling_a_context_ends_the_call_it_waits_for)
{
    atomic_bool cancelled = false;
    pthread_t thread;
    int64_t start_ns;

    fresh();
    start_ns = mesh__now_ns();
    ctx->cancelled = &cancelled;
    CHECK(pthread_create(&thread, NULL, cancel_when_arrived, &cancelled) == 0);
    CHECK(call("Wait") == MESH_CANCELLED);
    CHECK_TEXT(mesh_ctx_error(ctx), "peer: Wait was cancelled");
    CHECK(peer_ms_since(start_ns) < 1500);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(peer_await(&n_cancelled, 1));
    ctx->cancelled = NULL;
}

TEST(cancelling_the_parent_cancels_the_call_made_for_it)
{
    struct mesh_ctx *outer;

    fresh();
    outer = mesh_ctx_fork(ctx);
    (void)start_with(outer, "Relay", 0);
    (void)sem_wait(&arrived); /* the relayed call has reached Wait */
    mesh__ctx_free(outer);
    CHECK(peer_await(&inner_status, MESH_CANCELLED));
    CHECK(peer_await(&n_cancelled, 1)); /* Wait has seen it, too */
}

TEST(the_parents_deadline_ends_the_call_made_for_it)
{
    const Peer__Note *answer;

    fresh();
    CHECK(call_with(mesh_ctx_timeout(ctx, 100), "Relay", "", 0, &answer) == MESH_DEADLINE_EXCEEDED);
    CHECK(peer_await(&n_cancelled, 1));
    while (inner_status == -1) {
        (void)sched_yield();
    }
    CHECK(inner_status == MESH_DEADLINE_EXCEEDED || inner_status == MESH_CANCELLED);
}

TEST(a_closing_context_calls_on_after_the_parents_end)
{
    struct mesh_ctx *outer;

    fresh();
    outer = mesh_ctx_fork(ctx);
    (void)start_with(outer, "Closing", 0);
    (void)sem_wait(&arrived);
    mesh__ctx_free(outer);
    CHECK(peer_await(&inner_status, MESH_OK));
}

/* ---- several at once ---------------------------------------------------------------------- */

TEST(calls_of_one_thread_run_together_and_are_awaited_in_any_order)
{
    struct mesh_ctx *forks[3];
    struct mesh_call *calls[3];
    int64_t number = 0;

    fresh();
    for (int i = 0; i < 3; i++) {
        forks[i] = mesh_ctx_fork(ctx);
        calls[i] = start_with(forks[i], "Together", i);
    }
    for (int i = 2; i >= 0; i--) {
        CHECK(wait_with(forks[i], calls[i], &number) == MESH_OK);
        CHECK_INT(number, i * 10);
        mesh__ctx_free(forks[i]);
    }
}

TEST(several_calls_of_one_context_keep_their_answers_apart)
{
    struct mesh_call *calls[2];
    int64_t number = 0;

    fresh();
    calls[0] = start_with(ctx, "Echo", 10);
    calls[1] = start_with(ctx, "Echo", 20);
    CHECK(wait_with(ctx, calls[0], &number) == MESH_OK);
    CHECK_INT(number, 11);
    CHECK(wait_with(ctx, calls[1], &number) == MESH_OK);
    CHECK_INT(number, 21);
}

TEST(freeing_a_context_cancels_and_drains_its_calls)
{
    struct mesh_ctx *fork;
    int64_t start_ns;

    fresh();
    fork = mesh_ctx_fork(ctx);
    (void)start_with(fork, "Wait", 0);
    (void)start_with(fork, "Wait", 0);
    (void)sem_wait(&arrived);
    (void)sem_wait(&arrived);
    start_ns = mesh__now_ns();
    mesh__ctx_free(fork);
    CHECK(peer_ms_since(start_ns) < 1000);
    CHECK(peer_await(&n_cancelled, 2));
}

TEST(resetting_a_context_does_the_same)
{
    fresh();
    (void)start_with(ctx, "Wait", 0);
    (void)start_with(ctx, "Echo", 0);
    (void)sem_wait(&arrived);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK(peer_await(&n_cancelled, 1));
    CHECK(call("Echo") == MESH_OK);
}

static void *call_often(void *failures)
{
    struct mesh_ctx *own = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);

    for (int64_t i = 0; i < 200; i++) {
        const Peer__Note *answer;

        if (call_with(own, "Echo", "", i, &answer) != MESH_OK || answer->number != i + 1) {
            ++*(atomic_int *)failures;
        }
        mesh__ctx_reset(own, MESH_NO_DEADLINE);
    }
    mesh__ctx_free(own);
    return NULL; /* the thread's queue goes with it */
}

TEST(threads_share_a_client)
{
    pthread_t threads[6];
    atomic_int failures = 0;

    fresh();
    for (int i = 0; i < 6; i++) {
        CHECK(pthread_create(&threads[i], NULL, call_often, &failures) == 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_INT(failures, 0);
    CHECK_INT(n_calls, 1200);
}

TEST(a_thread_that_gave_its_queue_back_can_call_again)
{
    fresh();
    CHECK(call("Echo") == MESH_OK);
    mesh__client_thread_done();
    mesh__client_thread_done();
    CHECK(call("Echo") == MESH_OK);
}

static int set_up(void **state)
{
    static struct mesh_clock slow_clock;

    (void)state;
    real_clock = mesh__clock;
    slow_clock = *mesh__clock;
    slow_clock.monotonic_ns = slow_monotonic_ns;
    mesh__clock = &slow_clock;
    if (sem_init(&arrived, 0, 0) != 0) {
        return -1;
    }
    peer = peer_new(scripts, NULL, 0);
    client = mesh_client_new("peer", peer_target(peer), 10000);
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    peer_free(peer);
    mesh_client_free(client);
    mesh__client_thread_done();
    return sem_destroy(&arrived);
}

TEST_MAIN(set_up, tear_down)
