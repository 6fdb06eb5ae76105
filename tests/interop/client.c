/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interop cases of https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md on
 * generated stubs, against the interop server of another implementation.
 */
#include "grpc/testing/test.mesh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_REQUEST 271828
#define LARGE_RESPONSE 314159
#define CASE_MS 10000

/* Leaves a case, telling where, unless the condition holds. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return mesh_fail(ctx, MESH_INTERNAL, "line %d: not so: %s (last failure: \"%s\")",     \
                             __LINE__, #condition, mesh_ctx_error(ctx));                           \
        }                                                                                          \
    } while (0)

typedef Grpc__Testing__StreamingOutputCallRequest output_request;
typedef Grpc__Testing__StreamingOutputCallResponse output_response;

static const int32_t request_sizes[] = {27182, 8, 1828, 45904};
static const int32_t response_sizes[] = {31415, 9, 2653, 58979};
#define N_SIZES (sizeof request_sizes / sizeof request_sizes[0])

static Grpc__Testing__Payload *payload_new(struct mesh_ctx *ctx, int32_t size)
{
    Grpc__Testing__Payload *payload = mesh_alloc(ctx, sizeof *payload);

    grpc__testing__payload__init(payload);
    payload->body.data = mesh_alloc(ctx, (size_t)size);
    payload->body.len = (size_t)size;
    return payload;
}

static bool has_zeros(const Grpc__Testing__Payload *payload, int32_t size)
{
    if (payload == NULL || payload->body.len != (size_t)size) {
        return false;
    }
    for (size_t i = 0; i < payload->body.len; i++) {
        if (payload->body.data[i] != 0) {
            return false;
        }
    }
    return true;
}

static MESH_STATUS empty_unary(struct mesh_ctx *ctx, struct mesh_client *client)
{
    Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    Grpc__Testing__Empty *response;

    return test_service_empty_call(ctx, client, &request, &response);
}

static MESH_STATUS call_large(struct mesh_ctx *ctx, struct mesh_client *client)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__SimpleResponse *response;

    request.response_size = LARGE_RESPONSE;
    request.payload = payload_new(ctx, LARGE_REQUEST);
    MESH_TRY(test_service_unary_call(ctx, client, &request, &response));
    EXPECT(has_zeros(response->payload, LARGE_RESPONSE));
    return MESH_OK;
}

static MESH_STATUS client_streaming(struct mesh_ctx *ctx, struct mesh_client *client)
{
    Grpc__Testing__StreamingInputCallResponse *response;
    struct mesh_stream *stream;

    MESH_TRY(test_service_streaming_input_call_open(ctx, client, &stream));
    for (size_t i = 0; i < N_SIZES; i++) {
        Grpc__Testing__StreamingInputCallRequest request =
            GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__INIT;

        request.payload = payload_new(ctx, request_sizes[i]);
        MESH_TRY(test_service_streaming_input_call_send(ctx, stream, &request));
    }
    MESH_TRY(mesh_stream_close_send(ctx, stream));
    MESH_TRY(test_service_streaming_input_call_receive(ctx, stream, &response));
    EXPECT(response != NULL && response->aggregated_payload_size == 74922);
    return mesh_stream_finish(ctx, stream);
}

static MESH_STATUS server_streaming(struct mesh_ctx *ctx, struct mesh_client *client)
{
    output_request request = GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters asked[N_SIZES];
    Grpc__Testing__ResponseParameters *list[N_SIZES];
    output_response *response;
    struct mesh_stream *stream;

    for (size_t i = 0; i < N_SIZES; i++) {
        grpc__testing__response_parameters__init(&asked[i]);
        asked[i].size = response_sizes[i];
        list[i] = &asked[i];
    }
    request.n_response_parameters = N_SIZES;
    request.response_parameters = list;
    MESH_TRY(test_service_streaming_output_call_open(ctx, client, &request, &stream));
    for (size_t i = 0; i < N_SIZES; i++) {
        MESH_TRY(test_service_streaming_output_call_receive(ctx, stream, &response));
        EXPECT(response != NULL && has_zeros(response->payload, response_sizes[i]));
    }
    MESH_TRY(test_service_streaming_output_call_receive(ctx, stream, &response));
    EXPECT(response == NULL);
    return mesh_stream_finish(ctx, stream);
}

/* Sends one message of a full duplex call that asks for one answer. */
static MESH_STATUS ask(struct mesh_ctx *ctx, struct mesh_stream *stream, int32_t request_size,
                       int32_t response_size)
{
    output_request request = GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__ResponseParameters asked = GRPC__TESTING__RESPONSE_PARAMETERS__INIT;
    Grpc__Testing__ResponseParameters *list[] = {&asked};

    asked.size = response_size;
    request.n_response_parameters = 1;
    request.response_parameters = list;
    request.payload = payload_new(ctx, request_size);
    return test_service_full_duplex_call_send(ctx, stream, &request);
}

static MESH_STATUS ask_and_receive(struct mesh_ctx *ctx, struct mesh_stream *stream,
                                   int32_t request_size, int32_t response_size)
{
    output_response *response;

    MESH_TRY(ask(ctx, stream, request_size, response_size));
    MESH_TRY(test_service_full_duplex_call_receive(ctx, stream, &response));
    EXPECT(response != NULL && has_zeros(response->payload, response_size));
    return MESH_OK;
}

/* No more messages either way, and the status. */
static MESH_STATUS end_duplex(struct mesh_ctx *ctx, struct mesh_stream *stream)
{
    output_response *response;

    MESH_TRY(mesh_stream_close_send(ctx, stream));
    MESH_TRY(test_service_full_duplex_call_receive(ctx, stream, &response));
    EXPECT(response == NULL);
    return mesh_stream_finish(ctx, stream);
}

static MESH_STATUS ping_pong(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_stream *stream;

    MESH_TRY(test_service_full_duplex_call_open(ctx, client, &stream));
    for (size_t i = 0; i < N_SIZES; i++) {
        MESH_TRY(ask_and_receive(ctx, stream, request_sizes[i], response_sizes[i]));
    }
    return end_duplex(ctx, stream);
}

static MESH_STATUS empty_stream(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_stream *stream;

    MESH_TRY(test_service_full_duplex_call_open(ctx, client, &stream));
    return end_duplex(ctx, stream);
}

static MESH_STATUS timeout_on_sleeping_server(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_ctx *hasty = mesh_ctx_timeout(ctx, 1);
    output_request request = GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    output_response *response;
    struct mesh_stream *stream;
    enum mesh_status status = test_service_full_duplex_call_open(hasty, client, &stream);

    if (status == MESH_OK) {
        request.payload = payload_new(ctx, 27182);
        /* The call may end before, while or after this is written. */
        mesh_ignore(test_service_full_duplex_call_send(hasty, stream, &request));
        EXPECT(test_service_full_duplex_call_receive(hasty, stream, &response) ==
               MESH_DEADLINE_EXCEEDED);
        status = mesh_stream_finish(hasty, stream);
    }
    EXPECT(status == MESH_DEADLINE_EXCEEDED);
    return MESH_OK;
}

static MESH_STATUS unary_status(struct mesh_ctx *ctx, struct mesh_client *client, const char *text)
{
    Grpc__Testing__SimpleRequest request = GRPC__TESTING__SIMPLE_REQUEST__INIT;
    Grpc__Testing__EchoStatus asked;
    Grpc__Testing__SimpleResponse *response;

    grpc__testing__echo_status__init(&asked);
    asked.code = MESH_UNKNOWN;
    asked.message = mesh_strdup(ctx, text);
    request.response_status = &asked;
    EXPECT(test_service_unary_call(ctx, client, &request, &response) == MESH_UNKNOWN);
    EXPECT(strcmp(mesh_ctx_error(ctx), text) == 0);
    return MESH_OK;
}

static MESH_STATUS status_code_and_message(struct mesh_ctx *ctx, struct mesh_client *client)
{
    static const char text[] = "test status message";
    output_request request = GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__INIT;
    Grpc__Testing__EchoStatus asked;
    struct mesh_stream *stream;

    MESH_TRY(unary_status(ctx, client, text));
    grpc__testing__echo_status__init(&asked);
    asked.code = MESH_UNKNOWN;
    asked.message = mesh_strdup(ctx, text);
    request.response_status = &asked;
    MESH_TRY(test_service_full_duplex_call_open(ctx, client, &stream));
    MESH_TRY(test_service_full_duplex_call_send(ctx, stream, &request));
    MESH_TRY(mesh_stream_close_send(ctx, stream));
    EXPECT(mesh_stream_finish(ctx, stream) == MESH_UNKNOWN);
    EXPECT(strcmp(mesh_ctx_error(ctx), text) == 0);
    return MESH_OK;
}

static MESH_STATUS special_status_message(struct mesh_ctx *ctx, struct mesh_client *client)
{
    return unary_status(ctx, client,
                        "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP "
                        "\U0001f608\t\n");
}

static MESH_STATUS cancel_after_begin(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_stream *stream;

    MESH_TRY(test_service_streaming_input_call_open(ctx, client, &stream));
    mesh_stream_cancel(stream);
    EXPECT(mesh_stream_finish(ctx, stream) == MESH_CANCELLED);
    return MESH_OK;
}

static MESH_STATUS cancel_after_first_response(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_stream *stream;

    MESH_TRY(test_service_full_duplex_call_open(ctx, client, &stream));
    MESH_TRY(ask_and_receive(ctx, stream, 27182, 31415));
    mesh_stream_cancel(stream);
    EXPECT(mesh_stream_finish(ctx, stream) == MESH_CANCELLED);
    return MESH_OK;
}

#define ECHO_INITIAL "x-grpc-test-echo-initial"
#define ECHO_TRAILING "x-grpc-test-echo-trailing-bin"
#define INITIAL_VALUE "test_initial_metadata_value"
#define TRAILING_VALUE "\xab\xab\xab"

static MESH_STATUS expect_metadata(struct mesh_ctx *ctx)
{
    size_t size;
    const char *value = mesh_ctx_reply_metadata(ctx, ECHO_INITIAL, NULL);

    EXPECT(value != NULL && strcmp(value, INITIAL_VALUE) == 0);
    value = mesh_ctx_reply_metadata(ctx, ECHO_TRAILING, &size);
    EXPECT(value != NULL && size == 3 && memcmp(value, TRAILING_VALUE, 3) == 0);
    return MESH_OK;
}

static MESH_STATUS custom_metadata(struct mesh_ctx *ctx, struct mesh_client *client)
{
    struct mesh_stream *stream;

    mesh_ctx_add_outgoing_metadata(ctx, ECHO_INITIAL, INITIAL_VALUE, strlen(INITIAL_VALUE));
    mesh_ctx_add_outgoing_metadata(ctx, ECHO_TRAILING, TRAILING_VALUE, 3);
    MESH_TRY(call_large(ctx, client));
    MESH_TRY(expect_metadata(ctx));

    MESH_TRY(test_service_full_duplex_call_open(ctx, client, &stream));
    MESH_TRY(ask_and_receive(ctx, stream, LARGE_REQUEST, LARGE_RESPONSE));
    MESH_TRY(end_duplex(ctx, stream));
    return expect_metadata(ctx);
}

static MESH_STATUS unimplemented_method(struct mesh_ctx *ctx, struct mesh_client *client)
{
    Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    Grpc__Testing__Empty *response;

    EXPECT(test_service_unimplemented_call(ctx, client, &request, &response) == MESH_UNIMPLEMENTED);
    return MESH_OK;
}

static MESH_STATUS unimplemented_service(struct mesh_ctx *ctx, struct mesh_client *client)
{
    Grpc__Testing__Empty request = GRPC__TESTING__EMPTY__INIT;
    Grpc__Testing__Empty *response;

    EXPECT(unimplemented_service_unimplemented_call(ctx, client, &request, &response) ==
           MESH_UNIMPLEMENTED);
    return MESH_OK;
}

static const struct {
    const char *name;
    MESH_STATUS (*run)(struct mesh_ctx *ctx, struct mesh_client *client);
} cases[] = {
    {"empty_unary", empty_unary},
    {"large_unary", call_large},
    {"client_streaming", client_streaming},
    {"server_streaming", server_streaming},
    {"ping_pong", ping_pong},
    {"empty_stream", empty_stream},
    {"timeout_on_sleeping_server", timeout_on_sleeping_server},
    {"status_code_and_message", status_code_and_message},
    {"special_status_message", special_status_message},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"custom_metadata", custom_metadata},
    {"unimplemented_method", unimplemented_method},
    {"unimplemented_service", unimplemented_service},
};
#define N_CASES (sizeof cases / sizeof cases[0])

static enum mesh_status run(size_t number, struct mesh_client *client)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_background(CASE_MS);
    enum mesh_status status = cases[number].run(ctx, client);

    if (status != MESH_OK) {
        (void)fprintf(stderr, "%s: %s: %s\n", cases[number].name, mesh_status_name(status),
                      mesh_ctx_error(ctx));
    }
    return status;
}

/* interop-client HOST:PORT CASE */
int main(int argc, char **argv)
{
    struct mesh_client *client;
    enum mesh_status status;
    size_t i = 0;

    while (argc == 3 && i < N_CASES && strcmp(cases[i].name, argv[2]) != 0) {
        i++;
    }
    if (argc != 3 || i == N_CASES) {
        (void)fprintf(stderr, "usage: interop-client HOST:PORT CASE\n");
        return 2;
    }
    client = mesh_client_new("interop", argv[1], CASE_MS);
    status = run(i, client);
    mesh_client_free(client);
    return status == MESH_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
