/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The failure of a call as google.rpc.Status and back. It travels in grpc-status-details-bin, and
 * many peers refuse metadata beyond 8 KiB together: what is sent is kept well below that.
 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/guard.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MAX 3072                     /* bytes of a Status; 4096 in base64 */
#define RECEIVED_MAX 65536                /* more is not looked at */
#define VIOLATION_TEXT_MAX 256            /* of each text of a violation */
#define DETAILS_MAX 4                     /* kinds that we send, and one of each */
#define RETRY_MAX_S INT64_C(315576000000) /* of a google.protobuf.Duration */

static const char type_prefix[] = "type.googleapis.com/";

/* Generated structs have `char *` for strings that they only read. */
static char *copy(struct mesh_ctx *ctx, const char *text, size_t max)
{
    char *whole = mesh_strdup(ctx, text != NULL ? text : "");

    return mesh_strdup(ctx, mesh__clean_text(ctx, whole, max));
}

static uint8_t *pack(struct mesh_ctx *ctx, const ProtobufCMessage *message, size_t *ret_size)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = mesh_alloc(ctx, size);

    *ret_size = protobuf_c_message_pack(message, bytes);
    return bytes;
}

static void add_detail(struct mesh_ctx *ctx, Google__Rpc__Status *status,
                       const ProtobufCMessage *detail)
{
    Google__Protobuf__Any *any = mesh_alloc(ctx, sizeof(*any));

    google__protobuf__any__init(any);
    any->type_url = mesh_printf(ctx, "%s%s", type_prefix, detail->descriptor->name);
    any->value.data = pack(ctx, detail, &any->value.len);
    status->details[status->n_details++] = any;
}

static void add_error_info(struct mesh_ctx *ctx, Google__Rpc__Status *status,
                           const struct mesh__error *error)
{
    Google__Rpc__ErrorInfo info;

    if (error->reason != NULL) {
        google__rpc__error_info__init(&info);
        info.reason = copy(ctx, error->reason, MESH_ERROR_NAME_MAX);
        info.domain = copy(ctx, error->domain, MESH_ERROR_NAME_MAX);
        add_detail(ctx, status, &info.base);
    }
}

static void add_retry_info(struct mesh_ctx *ctx, Google__Rpc__Status *status,
                           const struct mesh__error *error)
{
    Google__Rpc__RetryInfo info;
    Google__Protobuf__Duration delay;

    if (error->retry_ms >= 0) {
        google__rpc__retry_info__init(&info);
        google__protobuf__duration__init(&delay);
        delay.seconds = error->retry_ms / 1000;
        delay.nanos = (int32_t)(error->retry_ms % 1000 * MESH_NS_PER_MS);
        if (delay.seconds > RETRY_MAX_S) {
            delay.seconds = RETRY_MAX_S;
            delay.nanos = 0;
        }
        info.retry_delay = &delay;
        add_detail(ctx, status, &info.base);
    }
}

static void add_resource_info(struct mesh_ctx *ctx, Google__Rpc__Status *status,
                              const struct mesh__error *error)
{
    Google__Rpc__ResourceInfo info;

    if (error->resource_type != NULL) {
        google__rpc__resource_info__init(&info);
        info.resource_type = copy(ctx, error->resource_type, MESH_ERROR_NAME_MAX);
        info.resource_name = copy(ctx, error->resource_name, VIOLATION_TEXT_MAX);
        add_detail(ctx, status, &info.base);
    }
}

/* As many violations as there is room for. */
static void add_bad_request(struct mesh_ctx *ctx, Google__Rpc__Status *status,
                            const struct mesh__error *error)
{
    Google__Rpc__BadRequest bad;
    size_t size = google__rpc__status__get_packed_size(status) + sizeof(type_prefix) + 64;

    if (error->n_violations == 0) {
        return;
    }
    google__rpc__bad_request__init(&bad);
    bad.field_violations = mesh_alloc(ctx, error->n_violations * sizeof(void *));
    for (size_t i = 0; i < error->n_violations; i++) {
        const struct mesh__violation *from = &error->violations[i];
        Google__Rpc__BadRequest__FieldViolation *to = mesh_alloc(ctx, sizeof(*to));

        google__rpc__bad_request__field_violation__init(to);
        to->field = copy(ctx, from->field, VIOLATION_TEXT_MAX);
        to->description = copy(ctx, from->text, VIOLATION_TEXT_MAX);
        to->reason = copy(ctx, from->rule, MESH_ERROR_NAME_MAX);
        size += protobuf_c_message_get_packed_size(&to->base) + 4; /* its tag and length */
        if (size > SENT_MAX) {
            break;
        }
        bad.field_violations[bad.n_field_violations++] = to;
    }
    add_detail(ctx, status, &bad.base);
}

const uint8_t *mesh__error_details(struct mesh_ctx *ctx, enum mesh_status status, size_t *ret_size)
{
    const struct mesh__error *error = ctx->scope->error;
    Google__Rpc__Status message;

    google__rpc__status__init(&message);
    message.code = (int32_t)status;
    message.message = copy(ctx, error->text, MESH_ERROR_TEXT_MAX);
    message.details = mesh_alloc(ctx, DETAILS_MAX * sizeof(void *));
    add_error_info(ctx, &message, error);
    add_retry_info(ctx, &message, error);
    add_resource_info(ctx, &message, error);
    add_bad_request(ctx, &message, error);
    return message.n_details > 0 ? pack(ctx, &message.base, ret_size) : NULL;
}

/* ---- from a peer ---- */

static int64_t delay_ms(const Google__Protobuf__Duration *delay)
{
    if (delay == NULL) {
        return 0;
    }
    if (delay->seconds < 0 || delay->nanos < 0 || delay->nanos >= MESH_NS_PER_S) {
        return -1; /* not a delay */
    }
    if (delay->seconds > RETRY_MAX_S) {
        return RETRY_MAX_S * 1000;
    }
    return delay->seconds * 1000 + delay->nanos / MESH_NS_PER_MS;
}

/* Each takes what it needs from the message of its type. */
static void read_error_info(struct mesh_ctx *ctx, const ProtobufCMessage *message,
                            struct mesh__error *ret_error)
{
    const Google__Rpc__ErrorInfo *info = (const Google__Rpc__ErrorInfo *)message;

    (void)ctx;
    ret_error->reason = info->reason;
    ret_error->domain = info->domain;
}

static void read_retry_info(struct mesh_ctx *ctx, const ProtobufCMessage *message,
                            struct mesh__error *ret_error)
{
    (void)ctx;
    ret_error->retry_ms = delay_ms(((const Google__Rpc__RetryInfo *)message)->retry_delay);
}

static void read_resource_info(struct mesh_ctx *ctx, const ProtobufCMessage *message,
                               struct mesh__error *ret_error)
{
    const Google__Rpc__ResourceInfo *info = (const Google__Rpc__ResourceInfo *)message;

    (void)ctx;
    ret_error->resource_type = info->resource_type;
    ret_error->resource_name = info->resource_name;
}

static void read_bad_request(struct mesh_ctx *ctx, const ProtobufCMessage *message,
                             struct mesh__error *ret_error)
{
    const Google__Rpc__BadRequest *bad = (const Google__Rpc__BadRequest *)message;
    size_t n = bad->n_field_violations;
    struct mesh__violation *violations;

    if (n > MESH_VIOLATIONS_MAX) {
        n = MESH_VIOLATIONS_MAX;
    }
    violations = mesh_alloc(ctx, n * sizeof(*violations));
    for (size_t i = 0; i < n; i++) {
        const Google__Rpc__BadRequest__FieldViolation *from = bad->field_violations[i];

        violations[i].field = from->field;
        violations[i].text = from->description;
        violations[i].rule = from->reason[0] != '\0' ? from->reason : NULL;
    }
    ret_error->violations = violations;
    ret_error->n_violations = n;
}

static const struct {
    const ProtobufCMessageDescriptor *descriptor;
    void (*read)(struct mesh_ctx *ctx, const ProtobufCMessage *message,
                 struct mesh__error *ret_error);
} detail_types[] = {
    {&google__rpc__error_info__descriptor, read_error_info},
    {&google__rpc__retry_info__descriptor, read_retry_info},
    {&google__rpc__resource_info__descriptor, read_resource_info},
    {&google__rpc__bad_request__descriptor, read_bad_request},
};

static void read_detail(struct mesh_ctx *ctx, const Google__Protobuf__Any *any,
                        struct mesh__error *ret_error)
{
    const char *name = strrchr(any->type_url, '/');
    ProtobufCMessage *message;

    for (size_t i = 0; name != NULL && i < sizeof(detail_types) / sizeof(detail_types[0]); i++) {
        const ProtobufCMessageDescriptor *descriptor = detail_types[i].descriptor;

        if (strcmp(name + 1, descriptor->name) == 0 &&
            mesh__unpack(ctx, descriptor, any->value.data, any->value.len, &message) == MESH_OK) {
            detail_types[i].read(ctx, message, ret_error);
        }
    }
}

void mesh__error_from_peer(struct mesh_ctx *ctx, enum mesh_status status, const char *text,
                           const uint8_t *details, size_t details_size)
{
    struct mesh__error error = {.retry_ms = -1};
    struct mesh__error *set = ctx->scope->error;
    const char *kept = mesh_strdup(ctx, text != NULL ? text : "");
    ProtobufCMessage *message;

    if (details != NULL && details_size <= RECEIVED_MAX &&
        mesh__unpack(ctx, &google__rpc__status__descriptor, details, details_size, &message) ==
            MESH_OK) {
        const Google__Rpc__Status *rich = (const Google__Rpc__Status *)message;

        for (size_t i = 0; i < rich->n_details; i++) {
            read_detail(ctx, rich->details[i], &error);
        }
    }
    /* Only now: details that do not decode have set a failure of their own. */
    mesh_ignore(mesh_fail(ctx, status, "%s", kept));
    set->reason = error.reason;
    set->domain = error.domain;
    set->retry_ms = error.retry_ms;
    set->resource_type = error.resource_type;
    set->resource_name = error.resource_name;
    set->violations = error.violations;
    set->n_violations = error.n_violations;
}
