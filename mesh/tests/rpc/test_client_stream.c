/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of streams of all kinds against a scripted peer. */
#include "client_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "mesh/stream.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

static struct peer *peer;
static struct mesh_client *client;
static struct mesh_ctx *ctx;
static atomic_int n_seen;      /* messages that scripts have read */
static atomic_int n_cancelled; /* calls whose end was a cancellation */
static sem_t arrived;          /* one per call of Silent or ReadNothing */
static sem_t go_on;            /* lets Gated write its message */

static const struct mesh_method count = PEER_METHOD("Count", MESH_SERVER_STREAMING);
static const struct mesh_method endless = PEER_METHOD("Endless", MESH_SERVER_STREAMING);
static const struct mesh_method gated = PEER_METHOD("Gated", MESH_SERVER_STREAMING);
static const struct mesh_method sum = PEER_METHOD("Sum", MESH_CLIENT_STREAMING);
static const struct mesh_method no_sum = PEER_METHOD("NoSum", MESH_CLIENT_STREAMING);
static const struct mesh_method two_sums = PEER_METHOD("TwoSums", MESH_CLIENT_STREAMING);
static const struct mesh_method chat = PEER_METHOD("Chat", MESH_BIDI_STREAMING);
static const struct mesh_method silent = PEER_METHOD("Silent", MESH_BIDI_STREAMING);
static const struct mesh_method hurried = PEER_METHOD("Hurried", MESH_BIDI_STREAMING);
static const struct mesh_method junk = PEER_METHOD("Junk", MESH_BIDI_STREAMING);
static const struct mesh_method echo = PEER_METHOD("Echo", MESH_UNARY);

/* ---- scripts ------------------------------------------------------------------------------ */

/* Counts up to number; then ends with ABORTED if there is a text. */
static void script_count(struct peer_call *call, void *arg)
{
    const struct wire_pair initial = {"x-where", "initial", 7};
    const struct wire_pair trailing = {"x-last", "trailing", 8};
    Peer__Note *note = peer_read(call);

    (void)arg;
    peer_send_initial(call, &initial, 1);
    for (int64_t i = 1; i <= note->number && peer_write(call, "message", i); i++) {
    }
    peer_end(call, note->text[0] != '\0' ? MESH_ABORTED : MESH_OK, note->text, &trailing, 1);
    peer__note__free_unpacked(note, NULL);
}

static void script_endless(struct peer_call *call, void *arg)
{
    uint8_t body[100000];

    (void)arg;
    memset(body, 'x', sizeof body);
    body[0] = 0x1a; /* field 3, the body */
    body[1] = 0x9c; /* of sizeof body - 4 bytes: 99996 = 0x1869c */
    body[2] = 0x8d;
    body[3] = 0x06;
    while (peer_write_bytes(call, body, sizeof body)) {
    }
    n_cancelled += peer_wait_over(call);
}

static void script_gated(struct peer_call *call, void *arg)
{
    (void)arg;
    (void)sem_wait(&go_on);
    (void)peer_write(call, "late", 1);
}

static int64_t read_all(struct peer_call *call)
{
    Peer__Note *note;
    int64_t total = 0;

    while ((note = peer_read(call)) != NULL) {
        total += note->number;
        n_seen++;
        peer__note__free_unpacked(note, NULL);
    }
    return total;
}

static void script_sum(struct peer_call *call, void *arg)
{
    (void)arg;
    (void)peer_write(call, "", read_all(call));
}

static void script_no_sum(struct peer_call *call, void *arg)
{
    (void)arg;
    (void)read_all(call);
}

static void script_two_sums(struct peer_call *call, void *arg)
{
    int64_t total = read_all(call);

    (void)arg;
    (void)peer_write(call, "", total);
    (void)peer_write(call, "", total);
}

/* Answers each note with its double. */
static void script_chat(struct peer_call *call, void *arg)
{
    Peer__Note *note;

    (void)arg;
    while ((note = peer_read(call)) != NULL) {
        (void)peer_write(call, note->text, note->number * 2);
        peer__note__free_unpacked(note, NULL);
    }
}

/* Neither reads nor writes. */
static void script_silent(struct peer_call *call, void *arg)
{
    (void)arg;
    (void)sem_post(&arrived);
    n_cancelled += peer_wait_over(call);
}

/* Fails without having read anything. */
static void script_hurried(struct peer_call *call, void *arg)
{
    (void)arg;
    peer_end(call, MESH_FAILED_PRECONDITION, "no more", NULL, 0);
    (void)peer_wait_over(call);
    (void)sem_post(&arrived);
}

static void script_junk(struct peer_call *call, void *arg)
{
    (void)arg;
    (void)peer_write(call, "fine", 1);
    (void)peer_write_bytes(call, "\x0a\x7f", 2);
    (void)peer_write(call, "fine", 3);
    n_cancelled += peer_wait_over(call);
}

static void script_echo(struct peer_call *call, void *arg)
{
    Peer__Note *note = peer_read(call);

    (void)arg;
    (void)peer_write(call, note->text, note->number);
    peer__note__free_unpacked(note, NULL);
}

static const struct peer_script scripts[] = {
    {"/peer.Peer/Count", script_count},     {"/peer.Peer/Endless", script_endless},
    {"/peer.Peer/Gated", script_gated},     {"/peer.Peer/Sum", script_sum},
    {"/peer.Peer/NoSum", script_no_sum},    {"/peer.Peer/TwoSums", script_two_sums},
    {"/peer.Peer/Chat", script_chat},       {"/peer.Peer/Silent", script_silent},
    {"/peer.Peer/Hurried", script_hurried}, {"/peer.Peer/Junk", script_junk},
    {"/peer.Peer/Echo", script_echo},       {NULL, NULL},
};

/* ---- helpers ------------------------------------------------------------------------------ */

static struct mesh_stream *open_with(struct mesh_ctx *with, const struct mesh_method *method,
                                     const char *text, int64_t number)
{
    Peer__Note note = PEER__NOTE__INIT;
    struct mesh_stream *stream = NULL;

    note.text = text;
    note.number = number;
    CHECK(mesh_client_open(with, client, method,
                           method->kind == MESH_SERVER_STREAMING ? &note.base : NULL,
                           &stream) == MESH_OK);
    return stream;
}

static struct mesh_stream *open_stream(const struct mesh_method *method)
{
    return open_with(ctx, method, "", 0);
}

static enum mesh_status write_note(struct mesh_ctx *with, struct mesh_stream *stream,
                                   int64_t number)
{
    Peer__Note note = PEER__NOTE__INIT;

    note.number = number;
    return mesh_stream_write(with, stream, &note.base);
}

/* The number of the next message; -1 at the end, -100 - status after a failure. */
static int64_t read_number(struct mesh_ctx *with, struct mesh_stream *stream)
{
    ProtobufCMessage *message;
    enum mesh_status status = mesh_stream_read(with, stream, &message);

    if (status != MESH_OK) {
        return -100 - (int64_t)status;
    }
    return message == NULL ? -1 : ((const Peer__Note *)message)->number;
}

static void fresh(void)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    ctx->cancelled = NULL;
    n_seen = 0;
    n_cancelled = 0;
    while (sem_trywait(&arrived) == 0) {
    }
}

/* ---- the kinds ---------------------------------------------------------------------------- */

TEST(a_server_streams_messages_in_order)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_with(ctx, &count, "", 3);
    CHECK_INT(read_number(ctx, stream), 1);
    CHECK_INT(read_number(ctx, stream), 2);
    CHECK_INT(read_number(ctx, stream), 3);
    CHECK_INT(read_number(ctx, stream), -1);
    CHECK_INT(read_number(ctx, stream), -1);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
    CHECK_TEXT(mesh_ctx_reply_metadata(ctx, "x-where", NULL), "initial");
    CHECK_TEXT(mesh_ctx_reply_metadata(ctx, "x-last", NULL), "trailing");
}

TEST(a_client_streams_messages_and_gets_one_answer)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&sum);
    for (int64_t i = 1; i <= 100; i++) {
        CHECK(write_note(ctx, stream, i) == MESH_OK);
    }
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK_INT(read_number(ctx, stream), 5050);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
    CHECK_INT(n_seen, 100);
}

TEST(both_sides_talk_in_turn)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&chat);
    for (int64_t i = 0; i < 50; i++) {
        CHECK(write_note(ctx, stream, i) == MESH_OK);
        CHECK_INT(read_number(ctx, stream), i * 2);
    }
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK_INT(read_number(ctx, stream), -1);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
}

TEST(a_stream_without_any_message_ends_well)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&chat);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
}

TEST(streams_and_calls_of_one_thread_mix)
{
    struct mesh_stream *first;
    struct mesh_stream *second;
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;

    fresh();
    first = open_stream(&chat);
    second = open_with(ctx, &count, "", 2);
    CHECK(write_note(ctx, first, 4) == MESH_OK);
    CHECK_INT(read_number(ctx, second), 1);
    CHECK(mesh_client_call(ctx, client, &echo, &note.base, &answer) == MESH_OK);
    CHECK_INT(read_number(ctx, first), 8);
    CHECK_INT(read_number(ctx, second), 2);
    CHECK(mesh_stream_finish(ctx, first) == MESH_OK);
    CHECK(mesh_stream_finish(ctx, second) == MESH_OK);
}

TEST(messages_of_a_long_stream_do_not_pile_up)
{
    struct mesh_stream *stream;
    size_t used;

    fresh();
    stream = open_with(ctx, &count, "", 20000);
    CHECK_INT(read_number(ctx, stream), 1);
    used = mesh__arena_used(ctx->scope->arena);
    while (read_number(ctx, stream) > 0) {
    }
    CHECK(mesh__arena_used(ctx->scope->arena) < used + 4096);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
}

/* ---- ends --------------------------------------------------------------------------------- */

TEST(a_failed_stream_does_not_look_like_one_that_ended)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_with(ctx, &count, "gave up", 1);
    CHECK_INT(read_number(ctx, stream), 1);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_ABORTED);
    CHECK_TEXT(mesh_ctx_error(ctx), "gave up");
    CHECK(mesh_stream_finish(ctx, stream) == MESH_ABORTED);
    CHECK_TEXT(mesh_ctx_error(ctx), "gave up");
    CHECK(mesh_stream_finish(ctx, stream) == MESH_ABORTED);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_CANCELLED);
}

TEST(finishing_drops_what_was_not_read)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_with(ctx, &count, "", 1000);
    CHECK_INT(read_number(ctx, stream), 1);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
}

TEST(finishing_closes_the_callers_side_first)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&sum);
    CHECK(write_note(ctx, stream, 1) == MESH_OK);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
    CHECK_INT(n_seen, 1);
}

TEST(one_answer_is_what_a_client_stream_gets)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&no_sum);
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_INTERNAL);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_error(ctx), "peer: NoSum has answered with 0 messages, not with one");

    stream = open_stream(&two_sums);
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK_INT(read_number(ctx, stream), 0);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_INTERNAL);
}

TEST(a_write_after_the_callers_own_end_is_refused)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&chat);
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_OK);
    CHECK(write_note(ctx, stream, 1) == MESH_CANCELLED);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
    CHECK(write_note(ctx, stream, 1) == MESH_CANCELLED);
}

TEST(a_write_after_the_peers_end_tells_why)
{
    struct mesh_stream *stream;
    enum mesh_status status = MESH_OK;
    int64_t limit_ns = mesh__in_ms(5000);

    fresh();
    stream = open_stream(&hurried);
    (void)sem_wait(&arrived);
    while (status == MESH_OK && mesh__now_ns() < limit_ns) { /* its end may still be on the way */
        status = write_note(ctx, stream, 1);
    }
    CHECK_INT(status, MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx), "no more");
    CHECK(mesh_stream_finish(ctx, stream) == MESH_FAILED_PRECONDITION);
}

TEST(a_bad_message_ends_the_call)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&junk);
    CHECK_INT(read_number(ctx, stream), 1);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_INTERNAL);
    CHECK(strncmp(mesh_ctx_error(ctx), "peer: bad answer to Junk: ", 26) == 0);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_INTERNAL);
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(an_unreachable_peer_fails_the_stream)
{
    struct mesh_client *nowhere = mesh_client_new("nowhere", "127.0.0.1:1", 0);
    struct mesh_stream *stream = NULL;

    fresh();
    CHECK(mesh_client_open(ctx, nowhere, &chat, NULL, &stream) == MESH_UNAVAILABLE);
    CHECK(strncmp(mesh_ctx_error(ctx), "nowhere: no endpoint could be reached", 37) == 0);
    mesh_client_free(nowhere);
}

/* ---- cancellation and time ---------------------------------------------------------------- */

TEST(a_cancelled_stream_ends_so_on_both_sides)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&silent);
    (void)sem_wait(&arrived);
    mesh_stream_cancel(stream);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_CANCELLED);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_CANCELLED);
    mesh_stream_cancel(stream); /* harmless */
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(cancelling_with_unread_messages_ends_the_stream)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&endless);
    CHECK_INT(read_number(ctx, stream), 0);
    mesh_stream_cancel(stream);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_CANCELLED);
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(freeing_a_context_drains_its_streams)
{
    struct mesh_ctx *fork;

    fresh();
    fork = mesh_ctx_fork(ctx);
    (void)open_with(fork, &silent, "", 0);
    (void)open_with(fork, &endless, "", 0);
    (void)sem_wait(&arrived);
    mesh__ctx_free(fork);
    CHECK(peer_await(&n_cancelled, 2));
}

TEST(a_freed_context_may_leave_a_started_read_behind)
{
    struct mesh_ctx *fork;
    struct mesh_stream *stream;

    fresh();
    fork = mesh_ctx_fork(ctx);
    stream = open_with(fork, &silent, "", 0);
    CHECK_INT(read_number(mesh_ctx_timeout(fork, 10), stream), -100 - MESH_DEADLINE_EXCEEDED);
    mesh__ctx_free(fork);
    CHECK(peer_await(&n_cancelled, 1));
}

TEST(the_deadline_of_the_context_ends_the_stream)
{
    struct mesh_ctx *view;
    struct mesh_stream *stream;
    int64_t start_ns;

    fresh();
    view = mesh_ctx_timeout(ctx, 100);
    start_ns = mesh__now_ns();
    stream = open_with(view, &silent, "", 0);
    CHECK_INT(read_number(ctx, stream), -100 - MESH_DEADLINE_EXCEEDED);
    CHECK(peer_ms_since(start_ns) >= 99);
    CHECK(peer_ms_since(start_ns) < 600);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_DEADLINE_EXCEEDED);
}

TEST(a_stream_is_not_opened_after_the_deadline)
{
    struct mesh_stream *stream = NULL;

    fresh();
    CHECK(mesh_client_open(mesh_ctx_timeout(ctx, 0), client, &silent, NULL, &stream) ==
          MESH_DEADLINE_EXCEEDED);
    CHECK(stream == NULL);
    CHECK(sem_trywait(&arrived) != 0);
}

TEST(a_read_that_was_given_up_can_be_taken_up_again)
{
    struct mesh_stream *stream;

    fresh();
    stream = open_stream(&gated);
    CHECK_INT(read_number(mesh_ctx_timeout(ctx, 20), stream), -100 - MESH_DEADLINE_EXCEEDED);
    (void)sem_post(&go_on);
    CHECK_INT(read_number(ctx, stream), 1);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_OK);
}

TEST(a_peer_that_does_not_read_makes_the_writer_wait)
{
    static uint8_t body[1000000];
    Peer__Note note = PEER__NOTE__INIT;
    struct mesh_stream *stream;
    enum mesh_status status = MESH_OK;
    int n = 0;

    fresh();
    note.body.data = body;
    note.body.len = sizeof body;
    stream = open_with(mesh_ctx_timeout(ctx, 300), &silent, "", 0);
    while (status == MESH_OK && n < 200) {
        status = mesh_stream_write(ctx, stream, &note.base);
        n++;
    }
    CHECK_INT(status, MESH_DEADLINE_EXCEEDED);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_DEADLINE_EXCEEDED);
}

TEST(a_cancelled_context_ends_the_read)
{
    atomic_bool cancelled = false;
    struct mesh_stream *stream;

    fresh();
    ctx->cancelled = &cancelled;
    stream = open_stream(&silent);
    (void)sem_wait(&arrived);
    cancelled = true;
    CHECK_INT(read_number(ctx, stream), -100 - MESH_CANCELLED);
    CHECK(mesh_stream_finish(ctx, stream) == MESH_CANCELLED);
    ctx->cancelled = NULL;
}

static int set_up(void **state)
{
    (void)state;
    if (sem_init(&arrived, 0, 0) != 0 || sem_init(&go_on, 0, 0) != 0) {
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
    return sem_destroy(&arrived) + sem_destroy(&go_on);
}

TEST_MAIN(set_up, tear_down)
