/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that a handler of the real server makes: deadline, cancellation, trace, what it leaves. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "server_served.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

static struct served served;
static atomic_int inner_status; /* of the call that the script has made; -1 before */
static _Atomic int64_t inner_remaining_ms;

/* Fail's handler runs `script`, as does Chat's, which then echoes until the end. */
static MESH_STATUS echo_all(struct mesh_ctx *ctx, struct mesh_stream *stream)
{
    for (;;) {
        ProtobufCMessage *message;

        MESH_TRY(mesh_stream_read(ctx, stream, &message));
        if (message == NULL) {
            return MESH_OK;
        }
        MESH_TRY(mesh_stream_write(ctx, stream, message));
    }
}

static struct mesh_call *start(struct mesh_ctx *ctx, const char *method)
{
    Check__V1__Words request = CHECK__V1__WORDS__INIT;

    return mesh_client_start(ctx, served.client, served_method(method), &request.base);
}

static MESH_STATUS call(struct mesh_ctx *ctx, const char *method)
{
    ProtobufCMessage *reply;

    return mesh_client_wait(ctx, start(ctx, method), &reply);
}

/* The call that a script makes. */
static MESH_STATUS inner_call(struct mesh_ctx *ctx, const char *method)
{
    ProtobufCMessage *reply = NULL;
    enum mesh_status status = mesh_client_wait(ctx, start(ctx, method), &reply);

    if (status == MESH_OK) {
        inner_remaining_ms = ((const Check__V1__Words *)reply)->number;
    }
    inner_status = (int)status;
    return status;
}

static bool became(atomic_int *value, int expected)
{
    int64_t limit_ns = mesh__in_ms(10000);

    while (*value != expected && mesh__now_ns() < limit_ns) {
        (void)sched_yield();
    }
    return *value == expected;
}

/* Waits until so many more handlers have begun. */
static bool entered(int n)
{
    struct timespec limit;

    if (clock_gettime(CLOCK_REALTIME, &limit) != 0) {
        return false;
    }
    limit.tv_sec += 10;
    while (n > 0 && sem_timedwait(&served.entered, &limit) == 0) {
        n--;
    }
    return n == 0;
}

/* ---- scripts ------------------------------------------------------------------------------ */

static MESH_STATUS call_wait(struct mesh_ctx *ctx, struct served *own,
                             const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)own;
    (void)request;
    (void)stream;
    return inner_call(ctx, "Wait");
}

static MESH_STATUS call_echo(struct mesh_ctx *ctx, struct served *own,
                             const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)own;
    (void)request;
    (void)stream;
    return inner_call(ctx, "Echo");
}

/* Waits for its caller's end and calls Echo twice: as it is, and in a closing context. */
static MESH_STATUS call_at_the_end(struct mesh_ctx *ctx, struct served *own,
                                   const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)own;
    (void)request;
    (void)stream;
    while (!mesh_ctx_cancelled(ctx)) {
        (void)sched_yield();
    }
    if (inner_call(ctx, "Echo") != MESH_CANCELLED) {
        return MESH_INTERNAL;
    }
    return inner_call(mesh_ctx_closing(ctx), "Echo");
}

static MESH_STATUS leave_all_behind(struct mesh_ctx *ctx, struct served *own,
                                    const Check__V1__Words *request, struct mesh_stream *stream)
{
    struct mesh_stream *left;

    (void)request;
    if (stream != NULL) {
        return echo_all(ctx, stream);
    }
    MESH_TRY(mesh_client_open(ctx, own->client, served_method("Chat"), NULL, &left));
    (void)start(ctx, "Wait");
    (void)start(ctx, "Wait");
    /* This handler, too. */
    return entered(4) ? MESH_OK : mesh_fail(ctx, MESH_ABORTED, "they have not begun");
}

static MESH_STATUS talk(struct mesh_ctx *ctx, struct served *own, const Check__V1__Words *request,
                        struct mesh_stream *stream)
{
    Check__V1__Words words = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *message;
    struct mesh_stream *chat;

    (void)request;
    if (stream != NULL) {
        return echo_all(ctx, stream);
    }
    MESH_TRY(mesh_client_open(ctx, own->client, served_method("Chat"), NULL, &chat));
    for (words.number = 1; words.number <= 5; words.number++) {
        MESH_TRY(mesh_stream_write(ctx, chat, &words.base));
        MESH_TRY(mesh_stream_read(ctx, chat, &message));
        if (message == NULL || ((const Check__V1__Words *)message)->number != words.number) {
            return mesh_fail(ctx, MESH_DATA_LOSS, "no echo");
        }
    }
    return mesh_stream_finish(ctx, chat);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void begin(MESH_STATUS (*script)(struct mesh_ctx *ctx, struct served *own,
                                        const Check__V1__Words *request,
                                        struct mesh_stream *stream))
{
    served_init(&served);
    inner_status = -1;
    inner_remaining_ms = -1;
    served_start(&served);
    served.script = script;                                   /* which finds the client there */
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK); /* connected */
    free(served_wait_log("/check.v1.Check/Echo"));
    free(served_take_log());
}

/* The server first: its handlers use the client. */
static void finish(void)
{
    mesh__server_stop(served.server);
    served_done(&served);
}

TEST(a_cancelled_handler_cancels_the_call_it_makes)
{
    struct mesh_ctx *caller;

    begin(call_wait);
    caller = mesh_ctx_fork(served.ctx);
    (void)start(caller, "Fail");
    CHECK(entered(2)); /* Wait has begun, too */
    mesh__ctx_free(caller);
    CHECK(became(&inner_status, MESH_CANCELLED));
    CHECK(became(&served.outcome, MESH_CANCELLED));
    finish();
}

TEST(a_handlers_deadline_bounds_the_call_it_makes)
{
    begin(call_echo);
    CHECK(call(mesh_ctx_timeout(served.ctx, 700), "Fail") == MESH_OK);
    /* A timeout on the wire is rounded up, at each hop. */
    CHECK(inner_remaining_ms > 0 && inner_remaining_ms <= 720);

    finish();
    begin(call_wait);
    CHECK(call(mesh_ctx_timeout(served.ctx, 100), "Fail") == MESH_DEADLINE_EXCEEDED);
    finish();
}

TEST(a_closing_context_outlives_the_caller)
{
    struct mesh_ctx *caller;

    begin(call_at_the_end);
    caller = mesh_ctx_fork(served.ctx);
    (void)start(caller, "Fail");
    CHECK(entered(1));
    mesh__ctx_free(caller);
    CHECK(became(&inner_status, MESH_OK));
    finish();
}

TEST(trace_and_correlation_go_on_to_the_next_hop)
{
    char *line;

    begin(call_echo);
    mesh_ctx_set_correlation_id(served.ctx, "errand-7");
    CHECK(call(served.ctx, "Fail") == MESH_OK);
    line = served_wait_log("/check.v1.Check/Echo");
    CHECK(strstr(line, "errand-7") != NULL);
    CHECK(strstr(line, mesh_ctx_trace_id(served.ctx)) != NULL);
    free(line);
    finish();
}

/* The first hop calls itself with what has come in; the second says what that was. */
static MESH_STATUS pass_state_on(struct mesh_ctx *ctx, struct served *own,
                                 const Check__V1__Words *request, struct mesh_stream *stream)
{
    cleanup_ctx struct mesh_ctx *child = mesh_ctx_fork(ctx); /* it knows the state, too */
    const char *seen = mesh_ctx_metadata(ctx, "tracestate", NULL);
    Check__V1__Words again = CHECK__V1__WORDS__INIT;
    char second[] = "second";
    ProtobufCMessage *reply;

    (void)stream;
    if (request->text[0] == '\0') {
        again.text = second;
        MESH_TRY(mesh_client_call(child, own->client, served_method("Fail"), &again.base, &reply));
        seen = mesh_ctx_reply_metadata(child, "x-seen", NULL);
    }
    if (seen != NULL) {
        mesh_ctx_add_trailing_metadata(ctx, "x-seen", seen, strlen(seen));
    }
    return MESH_OK;
}

/* What the second hop sees of a tracestate. */
static const char *state_of_second_hop(const char *const *states)
{
    static char state[1024];
    cleanup_ctx struct mesh_ctx *caller = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    const char *seen;

    for (; *states != NULL; states++) {
        mesh_ctx_add_outgoing_metadata(caller, "tracestate", *states, strlen(*states));
    }
    CHECK(call(caller, "Fail") == MESH_OK);
    seen = mesh_ctx_reply_metadata(caller, "x-seen", NULL);
    (void)snprintf(state, sizeof(state), "%s", seen != NULL ? seen : "(none)");
    return state;
}

TEST(tracestate_goes_on_to_the_next_hop)
{
    char longest[513];
    char longer[514];

    memset(longest, 'x', 512);
    longest[512] = '\0';
    memset(longer, 'x', 513);
    longer[513] = '\0';
    begin(pass_state_on);
    CHECK_TEXT(state_of_second_hop((const char *const[]){NULL}), "(none)");
    CHECK_TEXT(state_of_second_hop((const char *const[]){"a=1,b=two 2", NULL}), "a=1,b=two 2");
    CHECK_TEXT(state_of_second_hop((const char *const[]){"a=1", "b=2", NULL}), "a=1,b=2");
    CHECK_TEXT(state_of_second_hop((const char *const[]){longest, NULL}), longest);
    CHECK_TEXT(state_of_second_hop((const char *const[]){longer, NULL}), "(none)");
    CHECK_TEXT(state_of_second_hop((const char *const[]){longest, "a=1", NULL}), "(none)");
    finish();
}

TEST(what_a_handler_leaves_behind_is_cancelled_before_its_memory_goes)
{
    begin(leave_all_behind);
    CHECK(call(served.ctx, "Fail") == MESH_OK);
    CHECK(became(&served.n_finished, 4)); /* Fail, Chat and twice Wait */
    CHECK_INT(served.outcome, MESH_CANCELLED);
    finish();
}

TEST(a_handler_talks_over_a_stream_of_its_own)
{
    begin(talk);
    CHECK(call(served.ctx, "Fail") == MESH_OK);
    finish();
}

TEST_MAIN(NULL, NULL)
