/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls against a scripted peer: answers, failures, metadata, metrics. */
#include "client_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "mesh/metrics.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <sched.h>
#define ODD_TEXT "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"

static struct peer *peer;
static struct mesh_client *client;
static struct mesh_ctx *ctx;

static const struct mesh_method methods[] = {
    PEER_METHOD("Echo", MESH_UNARY),        PEER_METHOD("Fail", MESH_UNARY),
    PEER_METHOD("FailRichly", MESH_UNARY),  PEER_METHOD("HangUp", MESH_UNARY),
    PEER_METHOD("Metadata", MESH_UNARY),    PEER_METHOD("ReplyMetadata", MESH_UNARY),
    PEER_METHOD("NoMessage", MESH_UNARY),   PEER_METHOD("Unknown", MESH_UNARY),
    PEER_METHOD("CountedOnce", MESH_UNARY),
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
    (void)peer_write(call, note->text, note->number + 1);
    peer__note__free_unpacked(note, NULL);
}

/* Fails with the code in number and the text in text. */
static void script_fail(struct peer_call *call, void *arg)
{
    Peer__Note *note = peer_read(call);

    (void)arg;
    peer_end(call, (enum mesh_status)note->number, note->text, NULL, 0);
    peer__note__free_unpacked(note, NULL);
}

static void script_fail_richly(struct peer_call *call, void *arg)
{
    struct mesh_ctx *own = mesh__ctx_new("peer", 0, MESH_NO_DEADLINE);
    struct wire_pair pair = {"grpc-status-details-bin", NULL, 0};
    Peer__Note *note = peer_read(call);
    enum mesh_status status;

    (void)arg;
    if (note->number == 0) {
        status = mesh_fail_retry(own, 250, "busy");
    } else {
        status = mesh_fail_reason(own, MESH_FAILED_PRECONDITION, "NO_MONEY", "card declined");
    }
    pair.value = mesh__error_details(own, status, &pair.size);
    peer_end(call, status, mesh_ctx_error(own), &pair, 1);
    peer__note__free_unpacked(note, NULL);
    mesh__ctx_free(own);
}

static void script_hang_up(struct peer_call *call, void *arg)
{
    (void)arg;
    mesh__wire->call_cancel(peer_wire(call));
    (void)peer_wait_over(call);
}

/* Answers with the value of the metadata key in text. */
static void script_metadata(struct peer_call *call, void *arg)
{
    Peer__Note *note = peer_read(call);
    const char *value = peer_metadata(call, note->text);

    (void)arg;
    (void)peer_write(call, value != NULL ? value : "(none)", value != NULL);
    peer__note__free_unpacked(note, NULL);
}

static void script_reply_metadata(struct peer_call *call, void *arg)
{
    const struct wire_pair initial[] = {{"x-where", "initial", 7}, {"x-raw-bin", "a\0b", 3}};
    const struct wire_pair trailing[] = {{"x-where", "trailing", 8}, {"x-last", "", 0}};
    Peer__Note *note = peer_read(call);

    (void)arg;
    peer_send_initial(call, initial, 2);
    (void)peer_write(call, "", 0);
    peer_end(call, (enum mesh_status)note->number, "", trailing, 2);
    peer__note__free_unpacked(note, NULL);
}

static void script_no_message(struct peer_call *call, void *arg)
{
    (void)arg;
    peer_end(call, MESH_OK, "", NULL, 0);
}

static const struct peer_script scripts[] = {
    {"/peer.Peer/Echo", script_echo},
    {"/peer.Peer/Fail", script_fail},
    {"/peer.Peer/FailRichly", script_fail_richly},
    {"/peer.Peer/HangUp", script_hang_up},
    {"/peer.Peer/Metadata", script_metadata},
    {"/peer.Peer/ReplyMetadata", script_reply_metadata},
    {"/peer.Peer/NoMessage", script_no_message},
    {NULL, NULL},
};

/* ---- helpers ------------------------------------------------------------------------------ */

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

/* What the peer saw as metadata `key`. */
static const char *seen(const char *key)
{
    const Peer__Note *answer;

    return call_with(ctx, "Metadata", key, 0, &answer) == MESH_OK ? answer->text : "(failed)";
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void fresh(void)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
}

/* ---- answers and failures ----------------------------------------------------------------- */

TEST(a_call_brings_the_answer)
{
    static const Peer__Note none;
    const Peer__Note *answer = &none;

    fresh();
    CHECK(call_with(ctx, "Echo", "hello", 41, &answer) == MESH_OK);
    CHECK_TEXT(answer->text, "hello");
    CHECK_INT(answer->number, 42);
}

TEST(a_failure_leaves_the_response_alone_and_carries_the_peers_text)
{
    static const Peer__Note none;
    const Peer__Note *answer = &none;

    fresh();
    CHECK(call_with(ctx, "Fail", ODD_TEXT, MESH_NOT_FOUND, &answer) == MESH_NOT_FOUND);
    CHECK(answer == &none);
    CHECK_TEXT(mesh_ctx_error(ctx), ODD_TEXT);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "");
    CHECK(mesh_ctx_error_retry_ms(ctx) == -1);
}

TEST(every_status_of_a_peer_arrives_as_it_is)
{
    fresh();
    for (int code = MESH_CANCELLED; code <= MESH_UNAUTHENTICATED; code++) {
        const Peer__Note *answer;

        CHECK_INT(call_with(ctx, "Fail", "said so", code, &answer), code);
        CHECK_TEXT(mesh_ctx_error(ctx), "said so");
    }
}

TEST(details_of_an_error_arrive)
{
    const Peer__Note *answer;

    fresh();
    CHECK(call_with(ctx, "FailRichly", "", 0, &answer) == MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(ctx), "busy");
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), 250);
    CHECK(call_with(ctx, "FailRichly", "", 1, &answer) == MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx), "card declined");
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "NO_MONEY");
    CHECK(mesh_ctx_error_retry_ms(ctx) == -1);
}

TEST(an_unknown_method_is_unimplemented)
{
    fresh();
    CHECK(call("Unknown") == MESH_UNIMPLEMENTED);
}

TEST(ok_without_a_message_is_internal)
{
    fresh();
    CHECK(call("NoMessage") == MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_error(ctx), "peer: the answer to NoMessage has no message");
}

TEST(a_peer_that_hangs_up_is_told_with_its_name)
{
    fresh();
    CHECK(call("HangUp") != MESH_OK);
    CHECK(starts_with(mesh_ctx_error(ctx), "peer: "));
}

TEST(an_unreachable_peer_is_unavailable_at_once_and_named)
{
    struct mesh_client *nowhere = mesh_client_new("nowhere", "127.0.0.1:1", 5000);
    Peer__Note note = PEER__NOTE__INIT;
    int64_t start_ns = mesh__now_ns();
    ProtobufCMessage *answer;

    fresh();
    CHECK(mesh_client_call(ctx, nowhere, method("Echo"), &note.base, &answer) == MESH_UNAVAILABLE);
    CHECK(peer_ms_since(start_ns) < 1000);
    CHECK(starts_with(mesh_ctx_error(ctx), "nowhere: no endpoint could be reached"));
    mesh_client_free(nowhere);
}

TEST(a_restarted_peer_is_reached_again_soon)
{
    int port = peer_port(peer);
    int64_t start_ns;

    fresh();
    CHECK(call("Echo") == MESH_OK);
    peer_free(peer);
    CHECK(call("Echo") == MESH_UNAVAILABLE);
    peer = peer_new(scripts, NULL, port);
    start_ns = mesh__now_ns();
    while (call("Echo") != MESH_OK) {
        CHECK(peer_ms_since(start_ns) < 3000);
        (void)sched_yield();
    }
}

/* ---- metadata ----------------------------------------------------------------------------- */

TEST(a_proxy_of_the_environment_is_not_for_peers)
{
    static const char *const names[] = {"grpc_proxy", "http_proxy", "https_proxy"};
    struct mesh_client *own;
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;

    for (size_t i = 0; i < 3; i++) {
        CHECK(setenv(names[i], "http://127.0.0.1:1", 1) == 0); /* where nobody listens */
    }
    own = mesh_client_new("peer", peer_target(peer), 10000);
    CHECK(mesh_client_call(ctx, own, method("Echo"), &note.base, &answer) == MESH_OK);
    mesh_client_free(own);
    for (size_t i = 0; i < 3; i++) {
        CHECK(unsetenv(names[i]) == 0);
    }
}

TEST(trace_and_correlation_id_go_along)
{
    char traceparent[56];

    fresh();
    mesh__trace_format(&ctx->scope->trace, traceparent);
    CHECK_TEXT(seen("traceparent"), traceparent);
    CHECK_TEXT(seen("x-correlation-id"), "(none)");
    mesh_ctx_set_correlation_id(ctx, "order-17");
    CHECK_TEXT(seen("x-correlation-id"), "order-17");
}

TEST(a_correlation_id_that_no_header_can_carry_stays_here)
{
    fresh();
    mesh_ctx_set_correlation_id(ctx, "order \u263a");
    CHECK_TEXT(seen("x-correlation-id"), "(none)");
    CHECK(starts_with(seen("traceparent"), "00-"));
}

TEST(the_contexts_own_pairs_go_along_in_order)
{
    fresh();
    mesh_ctx_add_outgoing_metadata(ctx, "x-first", "1", 1);
    mesh_ctx_add_outgoing_metadata(ctx, "x-first", "2", 1);
    mesh_ctx_add_outgoing_metadata(ctx, "x-raw-bin", "a\xff", 2);
    mesh_ctx_set_correlation_id(ctx, "order-17");
    CHECK_TEXT(seen("x-first"), "1");
    CHECK_TEXT(seen("x-correlation-id"), "order-17");
    CHECK(starts_with(seen("user-agent"), "grpc-c/"));
}

TEST(metadata_of_the_reply_is_kept_also_when_the_call_failed)
{
    const enum mesh_status ends[] = {MESH_OK, MESH_ABORTED};

    fresh();
    for (size_t i = 0; i < 2; i++) {
        const Peer__Note *answer;
        size_t size = 0;

        CHECK(call_with(ctx, "ReplyMetadata", "", ends[i], &answer) == ends[i]);
        CHECK_TEXT(mesh_ctx_reply_metadata(ctx, "x-where", NULL), "initial");
        CHECK(memcmp(mesh_ctx_reply_metadata(ctx, "x-raw-bin", &size), "a\0b", 4) == 0);
        CHECK_INT(size, 3);
        CHECK_TEXT(mesh_ctx_reply_metadata(ctx, "x-last", NULL), "");
        CHECK(mesh_ctx_reply_metadata(ctx, "x-absent", NULL) == NULL);
    }
    CHECK(call("Echo") == MESH_OK);
    CHECK(mesh_ctx_reply_metadata(ctx, "x-where", NULL) == NULL);
}

/* ---- metrics ------------------------------------------------------------------------------ */

static uint64_t counted(const char *name, const char *code)
{
    const char *labels[] = {"grpc_type",   "unary",     "grpc_service", "peer.Peer", "grpc_method",
                            "CountedOnce", "grpc_code", code,           NULL};

    if (code == NULL) {
        labels[6] = NULL;
    }
    return mesh_counter_value(mesh_counter(name, "", labels));
}

TEST(calls_are_counted_by_method_and_code)
{
    fresh();
    CHECK(call("CountedOnce") == MESH_UNIMPLEMENTED);
    CHECK_INT(counted("grpc_client_started_total", NULL), 1);
    CHECK_INT(counted("grpc_client_handled_total", "Unimplemented"), 1);
    CHECK_INT(counted("grpc_client_handled_total", "OK"), 0);
}

static int set_up(void **state)
{
    (void)state;
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
    return 0;
}

TEST_MAIN(set_up, tear_down)
