/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on the server: the three kinds, their ends, their limit, and clients that vanish. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "server_flood.h"
#include "server_served.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

typedef Check__V1__Words Words;

static struct served served;

static int setup(void **state)
{
    (void)state;
    served_init(&served);
    served_start(&served);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_done(&served);
    return 0;
}

static void begin(served_script script)
{
    mesh__ctx_free(served.ctx);
    served.ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    CHECK_INT(served_health(&served, ""), 1); /* behind every stream of an earlier test */
    while (served_metric("mesh_server_streams") != 0) {
        (void)sched_yield();
    }
    served.script = script;
    served.outcome = -1;
    served.n_entered = 0;
    served.n_finished = 0;
    while (sem_trywait(&served.entered) == 0) {
    }
    free(served_take_log());
}

#define SCRIPT(name)                                                                               \
    static MESH_STATUS name(                                                                       \
        struct mesh_ctx *ctx __attribute__((unused)), struct served *s __attribute__((unused)),    \
        const Words *request __attribute__((unused)), struct mesh_stream *stream)

static MESH_STATUS write_words(struct mesh_ctx *ctx, struct mesh_stream *stream, const char *text,
                               int64_t number)
{
    Words words = CHECK__V1__WORDS__INIT;

    words.text = mesh_strdup(ctx, text);
    words.number = number;
    return mesh_stream_write(ctx, stream, &words.base);
}

static MESH_STATUS read_words(struct mesh_ctx *ctx, struct mesh_stream *stream, Words **ret_words)
{
    ProtobufCMessage *message = NULL;

    MESH_TRY(mesh_stream_read(ctx, stream, &message));
    *ret_words = (Words *)message;
    return MESH_OK;
}

/* The client's side of a stream. */
static struct mesh_stream *open_stream(const char *method, const char *text)
{
    Words words = CHECK__V1__WORDS__INIT;
    struct mesh_stream *stream;

    words.text = mesh_strdup(served.ctx, text == NULL ? "" : text);
    CHECK(mesh_client_open(served.ctx, served.client, served_method(method),
                           text == NULL ? NULL : &words.base, &stream) == MESH_OK);
    return stream;
}

/* Waits until the script has set its outcome. */
static int wait_for_outcome(void)
{
    int64_t until_ns = mesh__in_ms(10000);

    while (served.outcome == -1 && mesh__now_ns() < until_ns) {
        (void)sched_yield();
    }
    return served.outcome;
}

/* ---- the three kinds ---------------------------------------------------------------------- */

SCRIPT(count_to_five)
{
    for (int i = 1; i <= 5; i++) {
        MESH_TRY(write_words(ctx, stream, request->text, i));
    }
    return MESH_OK;
}

TEST(a_server_stream_sends_its_messages_and_its_status)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(count_to_five);
    stream = open_stream("Count", "tick");
    for (int i = 1; i <= 5; i++) {
        CHECK(read_words(served.ctx, stream, &words) == MESH_OK);
        MUST(words != NULL);
        CHECK(words->number == i);
        CHECK_TEXT(words->text, "tick");
    }
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK && words == NULL);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    free(served_wait_log("\"method\":\"/check.v1.Check/Count\""));
}

SCRIPT(add_up)
{
    int64_t sum = 0;
    Words *words = NULL;

    do {
        MESH_TRY(read_words(ctx, stream, &words));
        sum += words == NULL ? 0 : words->number;
    } while (words != NULL);
    s->outcome = (int)sum;
    return MESH_OK;
}

TEST(a_client_stream_is_read_to_its_end)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(add_up);
    stream = open_stream("Sum", NULL);
    for (int i = 1; i <= 100; i++) {
        CHECK(write_words(served.ctx, stream, "", i) == MESH_OK);
    }
    CHECK(mesh_stream_close_send(served.ctx, stream) == MESH_OK);
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK && words != NULL);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    CHECK_INT(served.outcome, 5050);
}

SCRIPT(talk)
{
    Words *words = NULL;

    for (;;) {
        MESH_TRY(read_words(ctx, stream, &words));
        if (words == NULL) {
            return MESH_OK;
        }
        MESH_TRY(write_words(ctx, stream, words->text, words->number + 1));
    }
}

TEST(a_bidirectional_stream_talks)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(talk);
    stream = open_stream("Chat", NULL);
    for (int i = 0; i < 100; i++) {
        CHECK(write_words(served.ctx, stream, "so", i) == MESH_OK);
        CHECK(read_words(served.ctx, stream, &words) == MESH_OK);
        CHECK(words != NULL && words->number == i + 1);
    }
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
}

/* ---- what a side may do ------------------------------------------------------------------- */

SCRIPT(read_too_much)
{
    ProtobufCMessage *message;

    s->outcome = (int)mesh_stream_read(ctx, stream, &message);
    return MESH_OK;
}

TEST(a_server_stream_has_nothing_to_read)
{
    begin(read_too_much);
    CHECK(mesh_stream_finish(served.ctx, open_stream("Count", "")) == MESH_OK);
    CHECK_INT(served.outcome, MESH_INTERNAL);
}

SCRIPT(finish_as_a_client)
{
    mesh_stream_cancel(stream); /* nothing */
    CHECK(mesh_stream_close_send(ctx, stream) == MESH_INTERNAL);
    s->outcome = (int)mesh_stream_finish(ctx, stream);
    return MESH_OK;
}

TEST(a_handler_does_not_finish_its_stream)
{
    begin(finish_as_a_client);
    CHECK(mesh_stream_finish(served.ctx, open_stream("Chat", NULL)) == MESH_OK);
    CHECK_INT(served.outcome, MESH_INTERNAL);
}

/* ---- failures ----------------------------------------------------------------------------- */

SCRIPT(fail_in_the_middle)
{
    MESH_TRY(write_words(ctx, stream, "one", 1));
    return mesh_fail_reason(ctx, MESH_ABORTED, "ENOUGH", "no more");
}

TEST(a_stream_that_fails_ends_with_its_status)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(fail_in_the_middle);
    stream = open_stream("Count", "");
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK && words != NULL);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_ABORTED);
    CHECK_TEXT(mesh_ctx_error_reason(served.ctx), "ENOUGH");
}

SCRIPT(end_early)
{
    Words *words = NULL;

    return read_words(ctx, stream, &words);
}

TEST(a_handler_may_end_while_the_client_still_sends)
{
    struct mesh_stream *stream;

    begin(end_early);
    stream = open_stream("Chat", NULL);
    while (write_words(served.ctx, stream, "on and on", 1) == MESH_OK) {
    }
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
}

SCRIPT(read_bad_message)
{
    Words *words = NULL;
    enum mesh_status status;

    MESH_TRY(read_words(ctx, stream, &words));
    status = read_words(ctx, stream, &words);
    s->outcome = (int)status;
    return status;
}

TEST(each_message_of_a_stream_is_validated)
{
    struct mesh_stream *stream;
    char text[102];

    begin(read_bad_message);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    stream = open_stream("Chat", NULL);
    CHECK(write_words(served.ctx, stream, "short", 0) == MESH_OK);
    CHECK(write_words(served.ctx, stream, text, 0) == MESH_OK);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_INVALID_ARGUMENT);
    CHECK(served.ctx->scope->error->n_violations == 1);
    CHECK_TEXT(served.ctx->scope->error->violations[0].field, "text");
}

TEST(the_request_of_a_server_stream_is_validated)
{
    char text[102];

    begin(count_to_five);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK(mesh_stream_finish(served.ctx, open_stream("Count", text)) == MESH_INVALID_ARGUMENT);
    CHECK_INT(served.n_entered, 0);
}

TEST(hostile_bytes_in_a_stream_are_refused)
{
    struct served_wire wire;
    bool ok;

    begin(talk);
    served_wire_send(&wire, &served, "/check.v1.Check/Chat", mesh__in_ms(10000), "\x0a\xff", 2);
    (void)served_wire_next(&wire, &ok);
    CHECK(mesh__wire->call_status(wire.call) == MESH_INVALID_ARGUMENT);
    served_wire_close(&wire);
}

SCRIPT(keep_the_last_message)
{
    Words *first;
    Words *second;
    char *copy;

    MESH_TRY(read_words(ctx, stream, &first));
    copy = mesh_strdup(ctx, first->text);
    CHECK_TEXT(first->text, copy); /* valid until the next read */
    MESH_TRY(read_words(ctx, stream, &second));
    CHECK_TEXT(copy, "first");
    CHECK_TEXT(second->text, "second");
    return MESH_OK;
}

TEST(a_message_lives_until_the_next_is_read)
{
    struct mesh_stream *stream;

    begin(keep_the_last_message);
    stream = open_stream("Sum", NULL);
    CHECK(write_words(served.ctx, stream, "first", 0) == MESH_OK);
    CHECK(write_words(served.ctx, stream, "second", 0) == MESH_OK);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
}

SCRIPT(measure_memory)
{
    size_t before = 0;
    Words words = CHECK__V1__WORDS__INIT;
    Words *read;

    do {
        MESH_TRY(read_words(ctx, stream, &read));
        before = before == 0 ? mesh__arena_used(ctx->scope->arena) : before;
        MESH_TRY(mesh_stream_write(ctx, stream, &words.base));
    } while (read != NULL);
    s->outcome = (int)(mesh__arena_used(ctx->scope->arena) - before);
    return MESH_OK;
}

TEST(a_long_stream_does_not_grow)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(measure_memory);
    stream = open_stream("Chat", NULL);
    for (int i = 0; i < 200; i++) {
        CHECK(write_words(served.ctx, stream, "text", 0) == MESH_OK);
        CHECK(read_words(served.ctx, stream, &words) == MESH_OK);
    }
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
    CHECK_INT(served.outcome, 0);
}

/* ---- cancellation ------------------------------------------------------------------------- */

SCRIPT(read_until_over)
{
    enum mesh_status status;
    Words *words = NULL;

    do {
        status = read_words(ctx, stream, &words);
    } while (status == MESH_OK && words != NULL);
    s->outcome = (int)status;
    return status;
}

TEST(a_cancelled_upload_never_looks_complete)
{
    for (int i = 0; i < 200; i++) {
        struct mesh_stream *stream;

        begin(read_until_over);
        stream = open_stream("Sum", NULL);
        CHECK(write_words(served.ctx, stream, "part", i) == MESH_OK);
        if (i % 2 == 0) {
            while (served.n_entered == 0) {
                (void)sched_yield();
            }
        }
        mesh_stream_cancel(stream);
        CHECK(mesh_stream_finish(served.ctx, stream) == MESH_CANCELLED);
        if (served.n_entered > 0) { /* else the cancellation came first */
            CHECK_INT(wait_for_outcome(), MESH_CANCELLED);
        }
    }
}

SCRIPT(write_until_over)
{
    Words words = CHECK__V1__WORDS__INIT;
    static uint8_t body[10000];
    enum mesh_status status;

    words.body.data = body;
    words.body.len = sizeof(body);
    do {
        status = mesh_stream_write(ctx, stream, &words.base);
    } while (status == MESH_OK);
    s->outcome = (int)status;
    return status;
}

TEST(a_client_that_reads_nothing_and_cancels_wakes_a_blocked_write)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(write_until_over);
    stream = open_stream("Count", "");
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK);
    CHECK(served.outcome == -1);
    mesh_stream_cancel(stream);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_CANCELLED);
    CHECK_INT(wait_for_outcome(), MESH_CANCELLED);
}

TEST(a_message_that_is_too_large_ends_an_upload_and_does_not_complete_it)
{
    static uint8_t body[(1 << 20) + 1];
    Words words = CHECK__V1__WORDS__INIT;
    struct mesh_stream *stream;

    begin(read_until_over);
    words.body.data = body;
    words.body.len = sizeof(body);
    stream = open_stream("Sum", NULL);
    CHECK(write_words(served.ctx, stream, "part", 1) == MESH_OK);
    mesh_ignore(mesh_stream_write(served.ctx, stream, &words.base));
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_RESOURCE_EXHAUSTED);
    CHECK_INT(wait_for_outcome(), MESH_RESOURCE_EXHAUSTED);
    free(served_wait_log("\"code\":\"RESOURCE_EXHAUSTED\""));
}

TEST(the_deadline_of_the_client_wakes_a_blocked_read)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(read_until_over);
    CHECK(mesh_client_open(mesh_ctx_timeout(served.ctx, 100), served.client, served_method("Chat"),
                           NULL, &stream) == MESH_OK);
    CHECK(read_words(served.ctx, stream, &words) == MESH_DEADLINE_EXCEEDED);
    CHECK(wait_for_outcome() == MESH_DEADLINE_EXCEEDED || served.outcome == MESH_CANCELLED);
}

SCRIPT(wait_a_little_for_a_message)
{
    struct mesh_ctx *narrow = mesh_ctx_timeout(ctx, 30);
    Words *words = NULL;

    CHECK(read_words(narrow, stream, &words) == MESH_DEADLINE_EXCEEDED);
    MESH_TRY(write_words(ctx, stream, "well?", 0));
    MESH_TRY(read_words(ctx, stream, &words)); /* the same read goes on */
    return words != NULL && words->number == 7 ? MESH_OK : MESH_DATA_LOSS;
}

TEST(a_read_that_was_given_up_loses_no_message)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(wait_a_little_for_a_message);
    stream = open_stream("Chat", NULL);
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK && words != NULL);
    CHECK(write_words(served.ctx, stream, "", 7) == MESH_OK);
    CHECK(mesh_stream_finish(served.ctx, stream) == MESH_OK);
}

SCRIPT(write_for_a_little_while)
{
    Words words = CHECK__V1__WORDS__INIT;
    static uint8_t body[10000];
    enum mesh_status status;

    words.body.data = body;
    words.body.len = sizeof(body);
    do {
        status = mesh_stream_write(mesh_ctx_timeout(ctx, 100), stream, &words.base);
    } while (status == MESH_OK);
    s->outcome = (int)status;
    return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED, "you read too slowly");
}

TEST(a_handler_can_give_a_slow_reader_up)
{
    struct mesh_stream *stream;
    Words *words = NULL;

    begin(write_for_a_little_while);
    stream = open_stream("Count", "");
    CHECK(read_words(served.ctx, stream, &words) == MESH_OK);
    CHECK_INT(wait_for_outcome(), MESH_DEADLINE_EXCEEDED);
    CHECK(mesh_stream_finish(served.ctx, stream) != MESH_OK);
    free(served_wait_log("you read too slowly"));
}

TEST(a_reader_that_is_given_up_learns_it_without_reading)
{
    struct flood *flood = flood_open(served.port, 1000, true); /* no more may be sent to it */

    begin(write_for_a_little_while);
    CHECK(flood_data(flood, flood_call(flood, "/check.v1.Check/Count"), "\0\0\0\0\0", 5, true) ==
          5);
    FLOOD_AWAIT(flood, flood->n_ended > 0);
    CHECK_INT(served.outcome, MESH_DEADLINE_EXCEEDED);
    flood_close(flood);
}

/* ---- metadata ----------------------------------------------------------------------------- */

SCRIPT(greet)
{
    Words *words = NULL;

    mesh_ctx_add_initial_metadata(ctx, "x-greeting", "hello", 5);
    mesh_ctx_add_trailing_metadata(ctx, "x-farewell", "bye", 3);
    return read_words(ctx, stream, &words);
}

TEST(initial_metadata_goes_out_before_a_read_blocks)
{
    struct served_wire wire;
    struct wire_batch first = {.ops = WIRE_SEND_INITIAL};
    struct wire_batch initial = {.ops = WIRE_RECV_INITIAL};
    struct wire_batch last = {.ops = WIRE_SEND_CLOSE};
    struct wire_batch status = {.ops = WIRE_RECV_STATUS};
    struct wire_pair pair;
    bool found = false;
    bool ok;

    begin(greet);
    served_wire_open(&wire, &served, "/check.v1.Check/Chat", mesh__in_ms(10000));
    mesh__wire->call_start(wire.call, &first, &first);
    mesh__wire->call_start(wire.call, &initial, &initial);
    for (int i = 0; i < 2; i++) { /* in any order, though nothing was sent yet */
        void *tag = served_wire_next(&wire, &ok);

        CHECK((tag == &first || tag == &initial) && ok);
    }
    for (size_t i = 0; mesh__wire->call_metadata(wire.call, WIRE_INITIAL, i, &pair); i++) {
        found |= strcmp(pair.key, "x-greeting") == 0 && strcmp(pair.value, "hello") == 0;
    }
    CHECK(found);
    mesh__wire->call_start(wire.call, &last, &last);
    mesh__wire->call_start(wire.call, &status, &status);
    (void)served_wire_next(&wire, &ok);
    (void)served_wire_next(&wire, &ok);
    CHECK(mesh__wire->call_status(wire.call) == MESH_OK);
    served_wire_close(&wire);
}

/* ---- the limit ---------------------------------------------------------------------------- */

SCRIPT(show_and_stay)
{
    Words *words = NULL;

    MESH_TRY(write_words(ctx, stream, "here", 0));
    return read_words(ctx, stream, &words);
}

TEST(streams_beyond_the_limit_are_refused_and_unary_calls_go_on)
{
    struct mesh_stream *streams[8];
    Words *words = NULL;

    begin(show_and_stay);
    for (int i = 0; i < 8; i++) {
        streams[i] = open_stream("Chat", NULL);
        CHECK(read_words(served.ctx, streams[i], &words) == MESH_OK && words != NULL);
    }
    CHECK(served_metric("mesh_server_streams") == 8);
    CHECK(mesh_stream_finish(served.ctx, open_stream("Chat", NULL)) == MESH_RESOURCE_EXHAUSTED);
    for (int i = 0; i < 50; i++) {
        CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    }
    CHECK_INT(served_health(&served, ""), 1);
    for (int i = 0; i < 8; i++) {
        CHECK(mesh_stream_finish(served.ctx, streams[i]) == MESH_OK);
    }
    while (served_metric("mesh_server_streams") != 0) {
        (void)sched_yield();
    }
    CHECK(mesh_stream_finish(served.ctx, open_stream("Chat", NULL)) == MESH_OK);
}

TEST(many_short_streams_share_the_threads)
{
    begin(count_to_five);
    for (int i = 0; i < 300; i++) {
        CHECK(mesh_stream_finish(served.ctx, open_stream("Count", "x")) == MESH_OK);
    }
}

TEST(a_stop_cancels_open_streams_after_the_grace_period)
{
    struct served own;
    struct mesh_stream *stream;
    Words *words = NULL;
    enum mesh_status status;

    served_init(&own);
    own.options.grace_ms = 50;
    own.script = show_and_stay;
    served_start(&own);
    CHECK(mesh_client_open(own.ctx, own.client, served_method("Chat"), NULL, &stream) == MESH_OK);
    CHECK(read_words(own.ctx, stream, &words) == MESH_OK && words != NULL);
    mesh__server_stop(own.server);
    CHECK_INT(own.n_finished, 1);
    status = mesh_stream_finish(own.ctx, stream);
    CHECK(status == MESH_CANCELLED || status == MESH_UNAVAILABLE);
    served_done(&own);
}

/* ---- a drain ------------------------------------------------------------------------------ */

/* A server of its own, to be stopped with all the time in the world. */
static void begin_own(struct served *own, served_script script)
{
    served_init(own);
    own->options.grace_ms = INT64_C(100000);
    own->script = script;
    served_start(own);
}

static void *stop_own(void *arg)
{
    struct served *own = arg;

    mesh__server_stop(own->server);
    return NULL;
}

TEST(a_stream_that_is_idle_ends_with_a_drain)
{
    struct served own;
    struct mesh_stream *stream;
    Words *words = NULL;
    pthread_t stopper;

    begin_own(&own, show_and_stay);
    CHECK(mesh_client_open(own.ctx, own.client, served_method("Chat"), NULL, &stream) == MESH_OK);
    CHECK(read_words(own.ctx, stream, &words) == MESH_OK && words != NULL);
    CHECK(pthread_create(&stopper, NULL, stop_own, &own) == 0);
    CHECK(read_words(own.ctx, stream, &words) == MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(own.ctx), "the server is stopping");
    CHECK(pthread_join(stopper, NULL) == 0);
    served_done(&own);
}

SCRIPT(write_and_wait)
{
    enum mesh_status status;

    CHECK(!mesh_ctx_stopping(ctx));
    MESH_TRY(write_words(ctx, stream, "here", 0));
    do {
        status = mesh_ctx_sleep(ctx, 10);
    } while (status == MESH_OK);
    s->outcome = mesh_ctx_stopping(ctx) && !mesh_ctx_stopping(mesh_ctx_closing(ctx)) ? 1 : 0;
    return status;
}

TEST(a_handler_that_waits_learns_of_a_drain)
{
    struct served own;
    struct mesh_stream *stream;
    Words *words = NULL;
    pthread_t stopper;

    begin_own(&own, write_and_wait);
    CHECK(mesh_client_open(own.ctx, own.client, served_method("Chat"), NULL, &stream) == MESH_OK);
    CHECK(read_words(own.ctx, stream, &words) == MESH_OK && words != NULL);
    CHECK(pthread_create(&stopper, NULL, stop_own, &own) == 0);
    CHECK(read_words(own.ctx, stream, &words) == MESH_UNAVAILABLE);
    CHECK(pthread_join(stopper, NULL) == 0);
    CHECK_INT(own.outcome, 1);
    served_done(&own);
}

/* Tells in its answers whether the server drains. */
SCRIPT(talk_of_a_drain)
{
    Words *words = NULL;

    for (;;) {
        MESH_TRY(read_words(ctx, stream, &words));
        if (words == NULL) {
            return MESH_OK;
        }
        MESH_TRY(write_words(ctx, stream, "", mesh_ctx_stopping(ctx) ? 1 : 0));
    }
}

TEST(a_stream_that_goes_on_is_not_cut_by_a_drain)
{
    struct served own;
    struct mesh_stream *stream;
    Words *words = NULL;
    pthread_t stopper;
    int n_after = 0;

    begin_own(&own, talk_of_a_drain);
    CHECK(mesh_client_open(own.ctx, own.client, served_method("Chat"), NULL, &stream) == MESH_OK);
    for (int i = 0; n_after < 100; i++) {
        CHECK(write_words(own.ctx, stream, "so", 0) == MESH_OK);
        CHECK(read_words(own.ctx, stream, &words) == MESH_OK);
        MUST(words != NULL);
        n_after += words->number == 1 ? 1 : 0;
        if (i == 0) { /* it was taken on */
            CHECK(pthread_create(&stopper, NULL, stop_own, &own) == 0);
        }
    }
    CHECK(mesh_stream_finish(own.ctx, stream) == MESH_OK);
    CHECK(pthread_join(stopper, NULL) == 0);
    served_done(&own);
}

TEST_MAIN(setup, teardown)
