/* SPDX-License-Identifier: Apache-2.0 */
/* One service: handler table and dispatch on its side, typed stubs on the caller's. */
#include "emit.h"
#include "names.h"

#include <string.h>

static const char *kind_of(const struct method *method)
{
    if (method->client_streaming) {
        return method->server_streaming ? "MESH_BIDI_STREAMING" : "MESH_CLIENT_STREAMING";
    }
    return method->server_streaming ? "MESH_SERVER_STREAMING" : "MESH_UNARY";
}

static const char *idempotency_of(const struct method *method)
{
    static const char *const names[] = {"MESH_IDEMPOTENCY_UNKNOWN", "MESH_NO_SIDE_EFFECTS",
                                        "MESH_IDEMPOTENT"};

    return method->idempotency >= 0 && method->idempotency <= 2 ? names[method->idempotency]
                                                                : names[0];
}

struct method_vars emit_method_vars(const struct service *service, const struct method *method)
{
    const char *validator = validator_name(method->request);
    const char *index =
        gen_printf("%s_METHOD_%s", name_upper(service->prefix), name_upper(method->snake));

    return (struct method_vars){{
        {"prefix", service->prefix},
        {"state", service->state},
        {"service", service->full_name},
        {"method", method->snake},
        {"Method", method->proto->name},
        {"index", index},
        {"Request", method->request->c_type},
        {"request", method->request->c_lower},
        {"Response", method->response->c_type},
        {"response", method->response->c_lower},
        {"kind", kind_of(method)},
        {"idempotency", idempotency_of(method)},
        {"validate", validator != NULL
                         ? gen_printf("mesh__check_%s_%s", service->prefix, method->snake)
                         : "NULL"},
        {"validator", validator != NULL ? validator : ""},
        {NULL, NULL},
    }};
}

/* ---- header -----------------------------------------------------------------------------------
 */

static const char *handler_template(const struct method *method)
{
    if (method->client_streaming && method->server_streaming) {
        return "    MESH_STATUS (*$method$)(struct mesh_ctx *ctx, struct $state$ *service,\n"
               "        struct mesh_stream *stream);\n";
    }
    if (method->client_streaming) {
        return "    MESH_STATUS (*$method$)(struct mesh_ctx *ctx, struct $state$ *service,\n"
               "        struct mesh_stream *stream, $Response$ *response);\n";
    }
    if (method->server_streaming) {
        return "    MESH_STATUS (*$method$)(struct mesh_ctx *ctx, struct $state$ *service,\n"
               "        const $Request$ *request, struct mesh_stream "
               "*stream);\n";
    }
    return "    MESH_STATUS (*$method$)(struct mesh_ctx *ctx, struct $state$ *service,\n"
           "        const $Request$ *request, $Response$ *response);\n";
}

static const char unary_header[] =
    "MESH_STATUS $prefix$_$method$(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        const $Request$ *request, $Response$ **ret_response);\n"
    "struct mesh_call *$prefix$_$method$_start(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        const $Request$ *request);\n"
    "MESH_STATUS $prefix$_$method$_wait(struct mesh_ctx *ctx, struct mesh_call *call,\n"
    "        $Response$ **ret_response);\n";

static const char open_with_request_header[] =
    "MESH_STATUS $prefix$_$method$_open(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        const $Request$ *request, struct mesh_stream "
    "**ret_stream);\n";

static const char open_header[] =
    "MESH_STATUS $prefix$_$method$_open(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        struct mesh_stream **ret_stream);\n";

static const char requests_header[] =
    "MESH_STATUS $prefix$_$method$_send(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        const $Request$ *request);\n"
    "/* In the handler: the next request; NULL after the last. */\n"
    "MESH_STATUS $prefix$_$method$_read(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        $Request$ **ret_request);\n";

static const char receive_header[] =
    "/* The next response; NULL after the last. */\n"
    "MESH_STATUS $prefix$_$method$_receive(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        $Response$ **ret_response);\n";

static const char write_header[] =
    "/* In the handler. */\n"
    "MESH_STATUS $prefix$_$method$_write(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        const $Response$ *response);\n";

static void emit_stubs_header(struct text *out, const struct method *method, const struct var *vars)
{
    text_fill(out, "\n/* $service$.$Method$ */\n", vars);
    if (!method->client_streaming && !method->server_streaming) {
        text_fill(out, unary_header, vars);
        return;
    }
    text_fill(out, method->client_streaming ? open_header : open_with_request_header, vars);
    if (method->client_streaming) {
        text_fill(out, requests_header, vars);
    }
    text_fill(out, receive_header, vars);
    if (method->server_streaming) {
        text_fill(out, write_header, vars);
    }
}

void emit_service_header(struct text *out, const struct service *service)
{
    const struct var vars[] = {{"prefix", service->prefix},
                               {"state", service->state},
                               {"service", service->full_name},
                               {NULL, NULL}};

    text_fill(out,
              "\n/* ---- $service$ ---- */\n\n"
              "/* The author's own state. */\nstruct $state$;\n\n"
              "/* A method that is not set is MESH_UNIMPLEMENTED. */\n"
              "struct $prefix$_handlers {\n",
              vars);
    for (size_t i = 0; i < service->n_methods; i++) {
        struct method_vars method = emit_method_vars(service, &service->methods[i]);

        text_fill(out, handler_template(&service->methods[i]), method.vars);
    }
    text_fill(out, service->n_methods == 0 ? "    char unused;\n};\n\n" : "};\n\n", vars);
    text_fill(out, "extern const struct mesh_service_type $state$_type;\n", vars);
    if (service->n_methods == 0) {
        return;
    }
    text_fill(out, "/* Indexes of $prefix$_methods. */\nenum {\n", vars);
    for (size_t i = 0; i < service->n_methods; i++) {
        struct method_vars method = emit_method_vars(service, &service->methods[i]);

        text_fill(out, "    $index$,\n", method.vars);
    }
    text_fill(out, "};\nextern const struct mesh_method $prefix$_methods[];\n", vars);
    for (size_t i = 0; i < service->n_methods; i++) {
        struct method_vars method = emit_method_vars(service, &service->methods[i]);

        emit_stubs_header(out, &service->methods[i], method.vars);
    }
}

/* ---- source -----------------------------------------------------------------------------------
 */

static const char dispatch_begin[] =
    "\nstatic MESH_STATUS mesh__dispatch_$prefix$_$method$(struct mesh_ctx *ctx, const void "
    "*handlers,\n"
    "        void *service, const ProtobufCMessage *request,\n"
    "        ProtobufCMessage *response, struct mesh_stream *stream)\n"
    "{\n"
    "    const struct $prefix$_handlers *table = handlers;\n\n"
    "    (void)request;\n    (void)response;\n    (void)stream;\n"
    "    if (table->$method$ == NULL) {\n"
    "        return mesh_fail(ctx, MESH_UNIMPLEMENTED, \"$service$ does not implement "
    "$Method$\");\n"
    "    }\n"
    "    return (table->$method$)(ctx, service, "; /* no macro of that name, such as assert() */

static const char *dispatch_arguments(const struct method *method)
{
    if (method->client_streaming) {
        return method->server_streaming ? "stream);\n}\n" : "stream, ($Response$ *)response);\n}\n";
    }
    return method->server_streaming ? "(const $Request$ *)request, stream);\n}\n"
                                    : "(const $Request$ *)request, ($Response$ *)response);\n}\n";
}

static const char check_source[] =
    "\nstatic void mesh__check_$prefix$_$method$(struct mesh_violations *violations,\n"
    "        const ProtobufCMessage *request)\n"
    "{\n"
    "    $validator$(violations, NULL, (const $Request$ *)request);\n"
    "}\n";

static const char unary_source[] =
    "\nMESH_STATUS $prefix$_$method$(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        const $Request$ *request, $Response$ **ret_response)\n"
    "{\n"
    "    ProtobufCMessage *response = NULL;\n\n"
    "    MESH_TRY(mesh_client_call(ctx, client, &$prefix$_methods[$index$],\n"
    "        (const ProtobufCMessage *)request, &response));\n"
    "    *ret_response = ($Response$ *)response;\n"
    "    return MESH_OK;\n"
    "}\n"
    "\nstruct mesh_call *$prefix$_$method$_start(struct mesh_ctx *ctx, struct mesh_client "
    "*client,\n"
    "        const $Request$ *request)\n"
    "{\n"
    "    return mesh_client_start(ctx, client, &$prefix$_methods[$index$],\n"
    "        (const ProtobufCMessage *)request);\n"
    "}\n"
    "\nMESH_STATUS $prefix$_$method$_wait(struct mesh_ctx *ctx, struct mesh_call *call,\n"
    "        $Response$ **ret_response)\n"
    "{\n"
    "    ProtobufCMessage *response = NULL;\n\n"
    "    MESH_TRY(mesh_client_wait(ctx, call, &response));\n"
    "    *ret_response = ($Response$ *)response;\n"
    "    return MESH_OK;\n"
    "}\n";

static const char open_with_request_source[] =
    "\nMESH_STATUS $prefix$_$method$_open(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        const $Request$ *request, struct mesh_stream "
    "**ret_stream)\n"
    "{\n"
    "    return mesh_client_open(ctx, client, &$prefix$_methods[$index$],\n"
    "        (const ProtobufCMessage *)request, ret_stream);\n"
    "}\n";

static const char open_source[] =
    "\nMESH_STATUS $prefix$_$method$_open(struct mesh_ctx *ctx, struct mesh_client *client,\n"
    "        struct mesh_stream **ret_stream)\n"
    "{\n"
    "    return mesh_client_open(ctx, client, &$prefix$_methods[$index$], NULL, ret_stream);\n"
    "}\n";

static const char requests_source[] =
    "\nMESH_STATUS $prefix$_$method$_send(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        const $Request$ *request)\n"
    "{\n"
    "    return mesh_stream_write(ctx, stream, (const ProtobufCMessage *)request);\n"
    "}\n"
    "\nMESH_STATUS $prefix$_$method$_read(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        $Request$ **ret_request)\n"
    "{\n"
    "    ProtobufCMessage *request = NULL;\n\n"
    "    MESH_TRY(mesh_stream_read(ctx, stream, &request));\n"
    "    *ret_request = ($Request$ *)request;\n"
    "    return MESH_OK;\n"
    "}\n";

static const char receive_source[] =
    "\nMESH_STATUS $prefix$_$method$_receive(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        $Response$ **ret_response)\n"
    "{\n"
    "    ProtobufCMessage *response = NULL;\n\n"
    "    MESH_TRY(mesh_stream_read(ctx, stream, &response));\n"
    "    *ret_response = ($Response$ *)response;\n"
    "    return MESH_OK;\n"
    "}\n";

static const char write_source[] =
    "\nMESH_STATUS $prefix$_$method$_write(struct mesh_ctx *ctx, struct mesh_stream *stream,\n"
    "        const $Response$ *response)\n"
    "{\n"
    "    return mesh_stream_write(ctx, stream, (const ProtobufCMessage *)response);\n"
    "}\n";

static const char method_row[] = "    {.path = \"/$service$/$Method$\",\n"
                                 "     .name = \"$Method$\",\n"
                                 "     .kind = $kind$,\n"
                                 "     .idempotency = $idempotency$,\n"
                                 "     .request = &$request$__descriptor,\n"
                                 "     .response = &$response$__descriptor,\n"
                                 "     .validate = $validate$,\n"
                                 "     .dispatch = mesh__dispatch_$prefix$_$method$},\n";

static void emit_stubs_source(struct text *out, const struct method *method, const struct var *vars)
{
    if (!method->client_streaming && !method->server_streaming) {
        text_fill(out, unary_source, vars);
        return;
    }
    text_fill(out, method->client_streaming ? open_source : open_with_request_source, vars);
    if (method->client_streaming) {
        text_fill(out, requests_source, vars);
    }
    text_fill(out, receive_source, vars);
    if (method->server_streaming) {
        text_fill(out, write_source, vars);
    }
}

void emit_service_source(struct text *out, const struct service *service)
{
    const struct var vars[] = {{"prefix", service->prefix},
                               {"state", service->state},
                               {"service", service->full_name},
                               {"n", gen_printf("%zu", service->n_methods)},
                               {NULL, NULL}};

    text_fill(out, "\n/* ---- $service$ ---- */\n", vars);
    for (size_t i = 0; i < service->n_methods; i++) {
        struct method_vars method = emit_method_vars(service, &service->methods[i]);

        text_fill(out, dispatch_begin, method.vars);
        text_fill(out, dispatch_arguments(&service->methods[i]), method.vars);
        if (validator_name(service->methods[i].request) != NULL) {
            text_fill(out, check_source, method.vars);
        }
    }
    if (service->n_methods > 0) {
        text_fill(out, "\nconst struct mesh_method $prefix$_methods[] = {\n", vars);
        for (size_t i = 0; i < service->n_methods; i++) {
            struct method_vars method = emit_method_vars(service, &service->methods[i]);

            text_fill(out, method_row, method.vars);
        }
        text_fill(out, "};\n", vars);
    }
    text_fill(out,
              "\nconst struct mesh_service_type $state$_type = {\n    .name = \"$service$\",\n",
              vars);
    text_fill(out, service->n_methods > 0 ? "    .methods = $prefix$_methods,\n" : "", vars);
    text_fill(out,
              "    .n_methods = $n$,\n    .files = mesh__file_set,\n"
              "    .files_size = sizeof(mesh__file_set),\n"
              "    .sensitive = mesh__sensitive,\n};\n",
              vars);
    for (size_t i = 0; i < service->n_methods; i++) {
        struct method_vars method = emit_method_vars(service, &service->methods[i]);

        emit_stubs_source(out, &service->methods[i], method.vars);
    }
}
