/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.testing.TestService on the runtime, for the interop clients of other implementations. */
#include "grpc/testing/test.mesh.h"
#include "mesh/main.h"
#include "rpc/wire.h" /* the only look inside, see show_texts() */

#include <time.h>

#define MAX_RESPONSE (4 << 20)
#define ECHO_INITIAL "x-grpc-test-echo-initial"
#define ECHO_TRAILING "x-grpc-test-echo-trailing-bin"

typedef Grpc__Testing__StreamingOutputCallRequest output_request;

/*
 * The runtime never shows the text of an UNKNOWN, but two of the cases ask for one. It is put back
 * at the seam, on the thread that has run the handler; everything else of the answer is as it was.
 */
static _Thread_local const char *unknown_text;
static const struct wire *real_wire;
static struct wire showing_wire;

static void call_start(struct wire_call *call, const struct wire_batch *batch, void *tag)
{
    struct wire_batch shown = *batch;

    if ((batch->ops & WIRE_SEND_STATUS) != 0) {
        if (batch->status == MESH_UNKNOWN && unknown_text != NULL) {
            shown.status_text = unknown_text;
        }
        unknown_text = NULL;
    }
    real_wire->call_start(call, &shown, tag);
}

static void show_texts(void)
{
    real_wire = mesh__wire;
    showing_wire = *real_wire;
    showing_wire.call_start = call_start;
    mesh__wire = &showing_wire;
}

static void echo_metadata(struct mesh_ctx *ctx)
{
    size_t size;
    const char *value = mesh_ctx_metadata(ctx, ECHO_INITIAL, &size);

    if (value != NULL) {
        mesh_ctx_add_initial_metadata(ctx, ECHO_INITIAL, value, size);
    }
    value = mesh_ctx_metadata(ctx, ECHO_TRAILING, &size);
    if (value != NULL) {
        mesh_ctx_add_trailing_metadata(ctx, ECHO_TRAILING, value, size);
    }
}

/* The failure that the client asks for, if it does. */
static MESH_STATUS asked_status(struct mesh_ctx *ctx, const Grpc__Testing__EchoStatus *asked)
{
    if (asked == NULL || asked->code == MESH_OK) {
        return MESH_OK;
    }
    if (asked->code < 0 || asked->code > MESH_UNAUTHENTICATED) {
        return mesh_fail_field(ctx, "response_status.code", "not a status code");
    }
    unknown_text = mesh_strdup(ctx, asked->message);
    return mesh_fail(ctx, (enum mesh_status)asked->code, "%s", asked->message);
}

static MESH_STATUS fill_payload(struct mesh_ctx *ctx, Grpc__Testing__Payload *payload, int32_t size)
{
    if (size < 0 || size > MAX_RESPONSE) {
        return mesh_fail_field(ctx, "size", "between 0 and %d bytes", MAX_RESPONSE);
    }
    payload->type = GRPC__TESTING__PAYLOAD_TYPE__COMPRESSABLE;
    payload->body.data = mesh_alloc(ctx, (size_t)size);
    payload->body.len = (size_t)size;
    return MESH_OK;
}

static MESH_STATUS empty_call(struct mesh_ctx *ctx, struct test_service *service,
                              const Grpc__Testing__Empty *request, Grpc__Testing__Empty *response)
{
    (void)ctx;
    (void)service;
    (void)request;
    (void)response;
    return MESH_OK;
}

static MESH_STATUS unary_call(struct mesh_ctx *ctx, struct test_service *service,
                              const Grpc__Testing__SimpleRequest *request,
                              Grpc__Testing__SimpleResponse *response)
{
    Grpc__Testing__Payload *payload = mesh_alloc(ctx, sizeof *payload);

    (void)service;
    echo_metadata(ctx);
    MESH_TRY(asked_status(ctx, request->response_status));
    grpc__testing__payload__init(payload);
    MESH_TRY(fill_payload(ctx, payload, request->response_size));
    response->payload = payload;
    return MESH_OK;
}

static void sleep_us(int32_t us)
{
    const struct timespec time = {us / 1000000, (us % 1000000) * 1000L};

    if (us > 0) {
        (void)nanosleep(&time, NULL); /* an early end does no harm */
    }
}

/* Sends what one request asks for. */
static MESH_STATUS answer(struct mesh_ctx *ctx, const output_request *request,
                          struct mesh_stream *stream)
{
    for (size_t i = 0; i < request->n_response_parameters; i++) {
        const Grpc__Testing__ResponseParameters *asked = request->response_parameters[i];
        Grpc__Testing__StreamingOutputCallResponse response =
            GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
        Grpc__Testing__Payload payload = GRPC__TESTING__PAYLOAD__INIT;
        cleanup_ctx struct mesh_ctx *round = mesh_ctx_fork(ctx);

        sleep_us(asked->interval_us);
        MESH_TRY(fill_payload(round, &payload, asked->size));
        response.payload = &payload;
        MESH_TRY(test_service_full_duplex_call_write(ctx, stream, &response));
    }
    return asked_status(ctx, request->response_status);
}

static MESH_STATUS streaming_output_call(struct mesh_ctx *ctx, struct test_service *service,
                                         const output_request *request, struct mesh_stream *stream)
{
    (void)service;
    echo_metadata(ctx);
    return answer(ctx, request, stream);
}

static MESH_STATUS streaming_input_call(struct mesh_ctx *ctx, struct test_service *service,
                                        struct mesh_stream *stream,
                                        Grpc__Testing__StreamingInputCallResponse *response)
{
    size_t size = 0;

    (void)service;
    for (;;) {
        Grpc__Testing__StreamingInputCallRequest *request;

        MESH_TRY(test_service_streaming_input_call_read(ctx, stream, &request));
        if (request == NULL) {
            break;
        }
        size += request->payload != NULL ? request->payload->body.len : 0;
    }
    if (size > INT32_MAX) {
        return mesh_fail(ctx, MESH_OUT_OF_RANGE, "%zu bytes do not fit into the answer", size);
    }
    response->aggregated_payload_size = (int32_t)size;
    return MESH_OK;
}

static MESH_STATUS full_duplex_call(struct mesh_ctx *ctx, struct test_service *service,
                                    struct mesh_stream *stream)
{
    (void)service;
    echo_metadata(ctx);
    for (;;) {
        output_request *request;

        MESH_TRY(test_service_full_duplex_call_read(ctx, stream, &request));
        if (request == NULL) {
            return MESH_OK;
        }
        MESH_TRY(answer(ctx, request, stream));
    }
}

static const struct test_service_handlers handlers = {
    .empty_call = empty_call,
    .unary_call = unary_call,
    .streaming_output_call = streaming_output_call,
    .streaming_input_call = streaming_input_call,
    .full_duplex_call = full_duplex_call,
};

static const struct mesh_served services[] = {{&test_service_type, &handlers}, {NULL, NULL}};

static const struct mesh_app_spec spec = {
    .system = "grpc",
    .name = "interop",
    .summary = "gRPC's own test service",
    .services = services,
};

int main(int argc, char **argv)
{
    show_texts();
    return mesh_main(argc, argv, &spec);
}
