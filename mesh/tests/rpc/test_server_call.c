/* SPDX-License-Identifier: Apache-2.0 */
/* Unary calls: what the handler sees, what the client gets, what is written down. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "rpc/wire.h"
#include "server_served.h"
#include "test.h"

#include <stdio.h>

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

/* Every test begins with a context of its own. */
static void begin(served_script script)
{
    mesh__ctx_free(served.ctx);
    served.ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    served.script = script;
    served.outcome = -1;
    served.n_entered = 0;
    served.n_finished = 0;
    while (sem_trywait(&served.entered) == 0) {
    }
    free(served_take_log());
}

#define SCRIPT(name)                                                                               \
    static MESH_STATUS name(struct mesh_ctx *ctx, struct served *s __attribute__((unused)),        \
                            const Check__V1__Words *request __attribute__((unused)),               \
                            struct mesh_stream *stream __attribute__((unused)))

TEST(a_request_is_answered)
{
    Check__V1__Words *reply;

    begin(NULL);
    CHECK(served_call(&served, "Echo", "hello", &reply) == MESH_OK);
    CHECK_TEXT(reply->text, "hello");
}

/* ---- failures ----------------------------------------------------------------------------- */

SCRIPT(refuse)
{
    return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "TOO_LATE", "%s comes too late",
                            request->text);
}

TEST(a_failure_arrives_with_text_and_details)
{
    begin(refuse);
    CHECK(served_call(&served, "Fail", "it", NULL) == MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(served.ctx), "it comes too late");
    CHECK_TEXT(mesh_ctx_error_reason(served.ctx), "TOO_LATE");
    CHECK(mesh_ctx_reply_metadata(served.ctx, "grpc-status-details-bin", NULL) != NULL);
    CHECK_TEXT(mesh_ctx_reply_metadata(served.ctx, "mesh-status", NULL), "1");
}

TEST(a_success_is_marked_as_ours_too)
{
    begin(NULL);
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    CHECK_TEXT(mesh_ctx_reply_metadata(served.ctx, "mesh-status", NULL), "1");
}

SCRIPT(break_down)
{
    return mesh_fail_reason(ctx, MESH_INTERNAL, "WRONG_TABLE", "the table is not there");
}

TEST(internal_texts_stay_in_the_log)
{
    char *line;

    begin(break_down);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_error(served.ctx), "internal error");
    CHECK_TEXT(mesh_ctx_error_reason(served.ctx), "");
    CHECK(mesh_ctx_reply_metadata(served.ctx, "grpc-status-details-bin", NULL) == NULL);
    line = served_wait_log("the table is not there");
    CHECK(strstr(line, "\"code\":\"INTERNAL\"") != NULL);
    CHECK(strstr(line, "\"reason\":\"WRONG_TABLE\"") != NULL);
    free(line);
}

SCRIPT(lose_the_commit)
{
    return mesh_fail(ctx, MESH_UNKNOWN, "the connection was lost in COMMIT");
}

TEST(unknown_texts_stay_in_the_log)
{
    begin(lose_the_commit);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_UNKNOWN);
    CHECK_TEXT(mesh_ctx_error(served.ctx), "internal error");
    free(served_wait_log("lost in COMMIT"));
}

SCRIPT(hide_a_failure)
{
    mesh_ignore(mesh_fail(ctx, MESH_INTERNAL, "secrets of the database"));
    return MESH_UNAVAILABLE;
}

TEST(an_internal_text_does_not_leave_under_another_status)
{
    begin(hide_a_failure);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_UNAVAILABLE);
    CHECK(strstr(mesh_ctx_error(served.ctx), "secrets") == NULL);
}

SCRIPT(invent_a_status)
{
    (void)ctx;
    return (enum mesh_status)4711;
}

TEST(a_status_that_is_none_is_unknown)
{
    begin(invent_a_status);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_UNKNOWN);
    free(served_wait_log("status 4711"));
}

SCRIPT(invent_a_negative_status)
{
    (void)ctx;
    return (enum mesh_status) - 1;
}

TEST(a_negative_status_is_unknown)
{
    begin(invent_a_negative_status);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_UNKNOWN);
}

SCRIPT(abort_it)
{
    return mesh_fail_retry(ctx, 250, "come again");
}

TEST(retry_info_arrives)
{
    begin(abort_it);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(served.ctx) == 250);
}

TEST(a_broken_rule_is_answered_before_the_handler)
{
    char text[102];

    begin(refuse);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK(served_call(&served, "Fail", text, NULL) == MESH_INVALID_ARGUMENT);
    CHECK(served.ctx->scope->error->n_violations == 1);
    CHECK_TEXT(served.ctx->scope->error->violations[0].field, "text");
    CHECK(served.n_entered == 0);
}

TEST(an_unknown_method_is_unimplemented_at_once)
{
    struct mesh_method unknown = *served_method("Echo");
    Check__V1__Words request = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *reply;
    char *line;

    begin(NULL);
    unknown.path = "/check.v1.Check/Nothing";
    CHECK(mesh_client_call(served.ctx, served.client, &unknown, &request.base, &reply) ==
          MESH_UNIMPLEMENTED);
    CHECK(strstr(mesh_ctx_error(served.ctx), "/check.v1.Check/Nothing") != NULL);
    line = served_wait_log("/check.v1.Check/Nothing");
    CHECK(strstr(line, "\"code\":\"UNIMPLEMENTED\"") != NULL);
    free(line);
}

TEST(an_unknown_service_is_unimplemented_at_once)
{
    struct mesh_method unknown = *served_method("Echo");
    Check__V1__Words request = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *reply;

    begin(NULL);
    unknown.path = "/no.such.Service/Echo";
    CHECK(mesh_client_call(served.ctx, served.client, &unknown, &request.base, &reply) ==
          MESH_UNIMPLEMENTED);
}

/* ---- metadata and identity ---------------------------------------------------------------- */

SCRIPT(show_metadata)
{
    size_t size = 0;
    const char *value = mesh_ctx_metadata(ctx, "x-binary-bin", &size);

    CHECK(value != NULL && size == 3 && memcmp(value, "\0\1\2", 4) == 0);
    CHECK_TEXT(mesh_ctx_metadata(ctx, "x-word", NULL), "first"); /* not "second" */
    CHECK(mesh_ctx_metadata(ctx, "x-absent", NULL) == NULL);
    mesh_ctx_add_initial_metadata(ctx, "x-initial", "one", 3);
    mesh_ctx_add_trailing_metadata(ctx, "x-trailing-bin", "\0\1", 2);
    mesh_ctx_add_trailing_metadata(ctx, "grpc-status", "5", 1); /* not the handler's */
    mesh_ctx_add_trailing_metadata(ctx, "mesh-status", "no", 2);
    return MESH_OK;
}

TEST(a_handler_reads_and_sets_metadata)
{
    size_t size = 0;
    const char *value;

    begin(show_metadata);
    mesh_ctx_add_outgoing_metadata(served.ctx, "x-binary-bin", "\0\1\2", 3);
    mesh_ctx_add_outgoing_metadata(served.ctx, "x-word", "first", 5);
    mesh_ctx_add_outgoing_metadata(served.ctx, "x-word", "second", 6);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_OK);
    CHECK_TEXT(mesh_ctx_reply_metadata(served.ctx, "x-initial", NULL), "one");
    value = mesh_ctx_reply_metadata(served.ctx, "x-trailing-bin", &size);
    CHECK(value != NULL && size == 2 && memcmp(value, "\0\1", 2) == 0);
    CHECK_TEXT(mesh_ctx_reply_metadata(served.ctx, "mesh-status", NULL), "1");
}

SCRIPT(show_identity)
{
    CHECK_TEXT(mesh_ctx_trace_id(ctx), request->text);
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), "order-1");
    mesh_ctx_note(ctx, "order_id", "%d", 17);
    return MESH_OK;
}

TEST(trace_and_correlation_come_in_and_into_the_log)
{
    char *line;

    begin(show_identity);
    mesh_ctx_set_correlation_id(served.ctx, "order-1");
    CHECK(served_call(&served, "Fail", mesh_ctx_trace_id(served.ctx), NULL) == MESH_OK);
    line = served_wait_log("\"correlation_id\":\"order-1\"");
    CHECK(strstr(line, mesh_ctx_trace_id(served.ctx)) != NULL);
    CHECK(strstr(line, "\"order_id\":\"17\"") != NULL);
    CHECK(strstr(line, "\"method\":\"/check.v1.Check/Fail\"") != NULL);
    CHECK(strstr(line, "\"code\":\"OK\"") != NULL);
    CHECK(strstr(line, "\"ms\":") != NULL);
    CHECK(strstr(line, "\"peer\":\"ipv4:127.0.0.1:") != NULL);
    free(line);
}

SCRIPT(show_no_correlation)
{
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), "");
    return MESH_OK;
}

SCRIPT(show_blanks)
{
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), "order 1 of 2");
    return MESH_OK;
}

TEST(a_correlation_id_with_blanks_travels)
{
    begin(show_blanks);
    mesh_ctx_set_correlation_id(served.ctx, "order 1 of 2");
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_OK);
}

TEST(a_correlation_id_that_is_no_text_is_ignored)
{
    begin(show_no_correlation);
    mesh_ctx_add_outgoing_metadata(served.ctx, "x-correlation-id", "", 0);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_OK);
}

TEST(a_correlation_id_that_is_too_long_is_ignored)
{
    char text[130];

    begin(show_no_correlation);
    memset(text, 'x', sizeof(text));
    mesh_ctx_add_outgoing_metadata(served.ctx, "x-correlation-id", text, 129);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_OK);
}

/* ---- log ---------------------------------------------------------------------------------- */

TEST(the_log_has_the_request_id_and_no_other_content)
{
    Check__V1__Words request = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *reply;
    char id[] = "0190-id";
    char text[] = "private words";
    char secret[] = "4111111111111111";
    char *log;

    begin(NULL);
    request.request_id = id;
    request.text = text;
    request.secret = secret;
    CHECK(mesh_client_call(served.ctx, served.client, served_method("Echo"), &request.base,
                           &reply) == MESH_OK);
    free(served_wait_log("\"request_id\":\"0190-id\""));
    log = served_take_log();
    CHECK(strstr(log, text) == NULL && strstr(log, secret) == NULL);
    free(log);
}

TEST(a_sensitive_request_id_is_not_logged)
{
    Check__V1__Hidden request = CHECK__V1__HIDDEN__INIT;
    ProtobufCMessage *reply;
    char id[] = "not-for-you";
    char *log;

    begin(NULL);
    request.request_id = id;
    CHECK(mesh_client_call(served.ctx, served.client, served_method("Hide"), &request.base,
                           &reply) == MESH_OK);
    free(served_wait_log("/check.v1.Check/Hide"));
    log = served_take_log();
    CHECK(strstr(log, id) == NULL);
    free(log);
}

static void choose(Check__V1__Choice *choice)
{
    ProtobufCMessage *reply;

    CHECK(mesh_client_call(served.ctx, served.client, served_method("Choose"), &choice->base,
                           &reply) == MESH_OK);
}

TEST(a_request_id_is_logged_only_if_it_was_chosen)
{
    Check__V1__Choice choice = CHECK__V1__CHOICE__INIT;
    char id[] = "chosen-id";
    char *line;

    begin(NULL);
    choice.choice_case = CHECK__V1__CHOICE__CHOICE_NUMBER; /* in the same place as the id */
    choice.number = INT64_C(0x4141414141414141);
    choose(&choice);
    line = served_wait_log("/check.v1.Check/Choose");
    CHECK(strstr(line, "request_id") == NULL);
    free(line);
    choice.choice_case = CHECK__V1__CHOICE__CHOICE_REQUEST_ID;
    choice.request_id = id;
    choose(&choice);
    free(served_wait_log("\"request_id\":\"chosen-id\""));
}

TEST(a_broken_rule_does_not_tell_what_is_sensitive)
{
    Check__V1__Words request = CHECK__V1__WORDS__INIT;
    Check__V1__Words__LabelsEntry entry = CHECK__V1__WORDS__LABELS_ENTRY__INIT;
    Check__V1__Words__LabelsEntry *labels[] = {&entry};
    ProtobufCMessage *reply;
    char key[] = "4111111111111111";
    char value[] = "more than ten characters";
    char *log;

    begin(NULL);
    entry.key = key;
    entry.value = value;
    request.labels = labels;
    request.n_labels = 1;
    CHECK(mesh_client_call(served.ctx, served.client, served_method("Echo"), &request.base,
                           &reply) == MESH_INVALID_ARGUMENT);
    CHECK_TEXT(mesh_ctx_error(served.ctx), "labels[*]: at most 10 characters [string.max_len]");
    CHECK_TEXT(served.ctx->scope->error->violations[0].field, "labels[*]");
    free(served_wait_log("labels[*]"));
    log = served_take_log();
    CHECK(strstr(log, key) == NULL && strstr(log, value) == NULL);
    free(log);
}

TEST(each_call_gets_one_log_line)
{
    char *log;
    int n = 0;

    begin(NULL);
    for (int i = 0; i < 5; i++) {
        CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
    }
    log = served_take_log(); /* a line is written before the answer leaves */
    for (const char *at = log; (at = strstr(at, "/check.v1.Check/Echo")) != NULL; at++) {
        n++;
    }
    CHECK_INT(n, 5);
    free(log);
}

#define LABELS(code)                                                                               \
    "{grpc_type=\"unary\",grpc_service=\"check.v1.Check\",grpc_method=\"Fail\"" code "}"

TEST(calls_are_counted_by_their_status)
{
    double started = served_metric("grpc_server_started_total" LABELS(""));
    double ok = served_metric("grpc_server_handled_total" LABELS(",grpc_code=\"OK\""));
    double refused =
        served_metric("grpc_server_handled_total" LABELS(",grpc_code=\"FailedPrecondition\""));

    begin(NULL);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_OK);
    begin(refuse);
    CHECK(served_call(&served, "Fail", "", NULL) == MESH_FAILED_PRECONDITION);
    CHECK(served_metric("grpc_server_started_total" LABELS("")) == started + 2);
    CHECK(served_metric("grpc_server_handled_total" LABELS(",grpc_code=\"OK\"")) == ok + 1);
    CHECK(served_metric("grpc_server_handled_total" LABELS(",grpc_code=\"FailedPrecondition\"")) ==
          refused + 1);
    CHECK(served_metric("grpc_server_handling_seconds_count" LABELS("")) == started + 2);
}

/* ---- time --------------------------------------------------------------------------------- */

/* What Echo says is left. */
static int64_t remaining_of(int64_t deadline_ns)
{
    Check__V1__Words *reply;
    int64_t remaining;

    CHECK(served_send(&served, "/check.v1.Check/Echo", deadline_ns, NULL, 0, &reply) == MESH_OK);
    remaining = reply->number;
    check__v1__words__free_unpacked(reply, NULL);
    return remaining;
}

TEST(a_request_without_deadline_gets_the_servers)
{
    int64_t remaining = remaining_of(MESH_NO_DEADLINE);

    CHECK(remaining <= 5000 && remaining > 3000);
}

TEST(a_long_deadline_is_capped)
{
    int64_t remaining = remaining_of(mesh__in_ms(INT64_C(3600000)));

    CHECK(remaining <= 20000 && remaining > 18000);
}

TEST(a_clients_deadline_is_the_handlers)
{
    int64_t remaining = remaining_of(mesh__in_ms(9000));

    CHECK(remaining <= 9100 && remaining > 7000);
}

TEST(a_cancelled_call_is_seen_by_its_handler)
{
    struct served_wire wire;
    bool ok;

    begin(NULL);
    served_wire_send(&wire, &served, "/check.v1.Check/Wait", MESH_NO_DEADLINE, NULL, 0);
    while (served.n_entered == 0) { /* a call is sent by the thread that waits for it */
        CHECK(mesh__wire->queue_next(wire.queue, mesh__in_ms(1)).kind == WIRE_TIMEOUT);
    }
    mesh__wire->call_cancel(wire.call);
    (void)served_wire_next(&wire, &ok);
    CHECK(mesh__wire->call_status(wire.call) == MESH_CANCELLED);
    served_wire_close(&wire);
    free(served_wait_log("the handler has seen it"));
    CHECK(served.outcome == MESH_CANCELLED);
}

TEST(a_clients_deadline_cancels_its_handler)
{
    begin(NULL);
    CHECK(served_send(&served, "/check.v1.Check/Wait", mesh__in_ms(100), NULL, 0, NULL) ==
          MESH_DEADLINE_EXCEEDED);
    free(served_wait_log("\"method\":\"/check.v1.Check/Wait\""));
    CHECK(served.outcome == MESH_CANCELLED || served.outcome == MESH_DEADLINE_EXCEEDED);
}

/* ---- hostile ------------------------------------------------------------------------------ */

static enum mesh_status send_bytes(const void *bytes, size_t size)
{
    return served_send(&served, "/check.v1.Check/Echo", mesh__in_ms(20000), bytes, size, NULL);
}

TEST(bytes_that_are_no_message_are_refused)
{
    CHECK(send_bytes("\x0a\xff", 2) == MESH_INVALID_ARGUMENT);
}

TEST(text_that_is_not_utf8_is_refused)
{
    CHECK(send_bytes("\x0a\x02\xc3\x28", 4) == MESH_INVALID_ARGUMENT);
}

TEST(nesting_that_is_too_deep_is_refused)
{
    Check__V1__Words words[70];
    uint8_t bytes[1024];
    size_t size;

    for (size_t i = 0; i < 70; i++) {
        check__v1__words__init(&words[i]);
        words[i].inner = i == 0 ? NULL : &words[i - 1];
    }
    size = check__v1__words__pack(&words[69], bytes);
    CHECK(size < sizeof(bytes));
    CHECK(send_bytes(bytes, size) == MESH_INVALID_ARGUMENT);
    size = check__v1__words__pack(&words[40], bytes);
    CHECK(send_bytes(bytes, size) == MESH_OK);
}

TEST(a_message_that_is_too_large_is_refused)
{
    size_t size = (1 << 20) + 1;
    uint8_t *bytes = calloc(1, size);
    char *line;

    CHECK(bytes != NULL);
    free(served_take_log());
    CHECK(send_bytes(bytes, size) == MESH_RESOURCE_EXHAUSTED);
    free(bytes);
    line = served_wait_log("/check.v1.Check/Echo"); /* as the client has it */
    CHECK(strstr(line, "\"code\":\"RESOURCE_EXHAUSTED\"") != NULL);
    CHECK(strstr(line, "\"peer\":\"ipv4:127.0.0.1:") != NULL);
    free(line);
    CHECK(served_call(&served, "Echo", "still there", NULL) == MESH_OK);
}

TEST_MAIN(setup, teardown)
