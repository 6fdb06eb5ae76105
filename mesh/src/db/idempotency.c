/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/idempotency.h"

#include "core/field.h"
#include "core/guard.h"
#include "db/sha256.h"
#include "mesh_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A row that is purged between the two statements lets a request in again; twice it is no accident.
 */
#define TRIES 3

_Static_assert(MESH_DIGEST_SIZE == SHA256_BYTES, "the digest is a SHA-256");

static void *member(ProtobufCMessage *message, unsigned offset)
{
    return (char *)message + offset;
}

static ProtobufCMessage *known_part(struct mesh_ctx *ctx, const ProtobufCMessage *message);

/* "amounts_of" is "AmountsOf" in the name of a map's entries. */
static bool is_camel_of(const char *camel, size_t size, const char *name)
{
    bool upper = true;
    size_t n = 0;

    for (; *name != '\0'; name++) {
        if (*name == '_') {
            upper = true;
        } else if (n == size || camel[n++] != (upper ? toupper((unsigned char)*name) : *name)) {
            return false;
        } else {
            upper = false;
        }
    }
    return n == size;
}

/* Only the names that protoc gives tell a map from a list of messages. */
static bool is_map(const ProtobufCMessageDescriptor *parent, const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t size = strlen(parent->name);
    const char *name = entry->name + size + 1;
    size_t name_size;

    if (strncmp(entry->name, parent->name, size) != 0 || entry->name[size] != '.') {
        return false;
    }
    name_size = strlen(name);
    return name_size > strlen("Entry") &&
           strcmp(name + name_size - strlen("Entry"), "Entry") == 0 &&
           is_camel_of(name, name_size - strlen("Entry"), field->name);
}

struct entry {
    ProtobufCMessage *message;
    uint8_t *bytes;
    size_t size;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    int difference = memcmp(x->bytes, y->bytes, x->size < y->size ? x->size : y->size);

    return difference != 0 ? difference : (x->size > y->size) - (x->size < y->size);
}

/* A repeat may bring the entries of a map in another order. */
static void sort_entries(struct mesh_ctx *ctx, ProtobufCMessage **messages, size_t n)
{
    struct entry *entries = mesh_alloc(ctx, n * sizeof(*entries));

    for (size_t i = 0; i < n; i++) {
        entries[i].message = messages[i];
        entries[i].size = protobuf_c_message_get_packed_size(messages[i]);
        entries[i].bytes = mesh_alloc(ctx, entries[i].size);
        protobuf_c_message_pack(messages[i], entries[i].bytes);
    }
    qsort(entries, n, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < n; i++) {
        messages[i] = entries[i].message;
    }
}

static void replace_list(struct mesh_ctx *ctx, ProtobufCMessage *copy,
                         const ProtobufCFieldDescriptor *field)
{
    size_t n = *(size_t *)member(copy, field->quantifier_offset);
    ProtobufCMessage ***list = member(copy, field->offset);
    ProtobufCMessage **elements = n > 0 ? mesh_alloc(ctx, n * sizeof(ProtobufCMessage *)) : NULL;

    for (size_t i = 0; i < n; i++) {
        elements[i] = known_part(ctx, (*list)[i]);
    }
    if (n > 1 && is_map(copy->descriptor, field)) {
        sort_entries(ctx, elements, n);
    }
    *list = elements;
}

/*
 * A copy without unknown fields at any depth; what is not a message is shared. The depth was
 * bounded by the wire guard.
 */
/* NOLINTNEXTLINE(misc-no-recursion) */
static ProtobufCMessage *known_part(struct mesh_ctx *ctx, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    ProtobufCMessage *copy = mesh_alloc(ctx, descriptor->sizeof_message);

    memcpy(copy, message, descriptor->sizeof_message);
    copy->n_unknown_fields = 0;
    copy->unknown_fields = NULL;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

        if (field->type != PROTOBUF_C_TYPE_MESSAGE || !mesh__field_is_set(copy, field)) {
            continue;
        }
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            replace_list(ctx, copy, field);
        } else {
            ProtobufCMessage **one = member(copy, field->offset);

            *one = *one != NULL ? known_part(ctx, *one) : NULL;
        }
    }
    return copy;
}

static void clear_request_id(ProtobufCMessage *copy)
{
    const ProtobufCFieldDescriptor *field = mesh__field_request_id(copy->descriptor);

    if (field == NULL) {
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0) {
        *(const char **)member(copy, field->offset) = NULL; /* packed as absent */
    } else if (mesh__field_is_set(copy, field)) {
        *(uint32_t *)member(copy, field->quantifier_offset) = 0;
    }
}

/* prefix may be "". */
static void digest(struct mesh_ctx *ctx, const char *prefix, const ProtobufCMessage *request,
                   uint8_t ret_digest[MESH_DIGEST_SIZE])
{
    ProtobufCMessage *copy = known_part(ctx, request);
    size_t prefix_size = strlen(prefix);
    size_t size;
    uint8_t *bytes;

    clear_request_id(copy);
    size = prefix_size + protobuf_c_message_get_packed_size(copy);
    bytes = mesh_alloc(ctx, size + 1);
    memcpy(bytes, prefix, prefix_size); /* NOLINT(bugprone-not-null-terminated-result): bytes */
    protobuf_c_message_pack(copy, bytes + prefix_size);
    mesh__sha256(bytes, size, ret_digest);
}

void mesh_request_digest(struct mesh_ctx *ctx, const ProtobufCMessage *request,
                         uint8_t ret_digest[MESH_DIGEST_SIZE])
{
    digest(ctx, "", request, ret_digest);
}

MESH_STATUS mesh_fail_reused(struct mesh_ctx *ctx, const char *request_id)
{
    return mesh_fail_reason(ctx, MESH_ALREADY_EXISTS, "REQUEST_ID_REUSED",
                            "request id %s was used for a different request", request_id);
}

/* Compares a repeat with the stored request and takes the stored answer. */
static MESH_STATUS take_answer(struct mesh_ctx *ctx, const char *request_id,
                               const struct mesh_rows *rows, const uint8_t wanted[MESH_DIGEST_SIZE],
                               ProtobufCMessage *response)
{
    ProtobufCMessage *stored;
    size_t size;
    const uint8_t *bytes = mesh_row_bytes(rows, 0, 0, &size);

    if (size != MESH_DIGEST_SIZE || memcmp(bytes, wanted, size) != 0) {
        return mesh_fail_reused(ctx, request_id);
    }
    bytes = mesh_row_bytes(rows, 0, 1, &size);
    if (bytes == NULL) {
        return mesh_fail(ctx, MESH_INTERNAL, "the answer to request %s was never stored",
                         request_id);
    }
    MESH_TRY(mesh__unpack(ctx, response->descriptor, bytes, size, &stored));
    memcpy(response, stored, response->descriptor->sizeof_message);
    return MESH_OK;
}

MESH_STATUS mesh_request_log_begin(struct mesh_ctx *ctx, struct mesh_tx *tx, const char *request_id,
                                   const ProtobufCMessage *request, ProtobufCMessage *response,
                                   bool *ret_seen)
{
    uint8_t wanted[MESH_DIGEST_SIZE];

    /* With its name: the requests of two methods can have the same bytes. */
    digest(ctx, request->descriptor->name, request, wanted);
    for (int i = 0; i < TRIES; i++) {
        struct mesh_rows *rows;

        MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_insert_request,
                               MESH_ARGS(mesh_uuid(request_id), mesh_bytes(wanted, sizeof(wanted))),
                               &rows));
        if (mesh_rows_count(rows) == 1) {
            *ret_seen = false;
            return MESH_OK;
        }
        /* A concurrent first try has committed by now; only a new statement sees its row. */
        MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_get_request, MESH_ARGS(mesh_uuid(request_id)),
                               &rows));
        if (mesh_rows_count(rows) == 1) {
            MESH_TRY(take_answer(ctx, request_id, rows, wanted, response));
            *ret_seen = true;
            return MESH_OK;
        }
    }
    return mesh_fail(ctx, MESH_ABORTED, "request %s comes and goes in the log", request_id);
}

MESH_STATUS mesh_request_log_finish(struct mesh_ctx *ctx, struct mesh_tx *tx,
                                    const char *request_id, const ProtobufCMessage *response)
{
    size_t size = protobuf_c_message_get_packed_size(response);
    uint8_t *bytes;

    if (size > MESH_REQUEST_LOG_MAX) {
        return mesh_fail(ctx, MESH_INTERNAL, "the answer to request %s has %zu bytes, more than %d",
                         request_id, size, MESH_REQUEST_LOG_MAX);
    }
    bytes = mesh_alloc(ctx, size + 1);
    protobuf_c_message_pack(response, bytes);
    return mesh_tx_exec(ctx, tx, &mesh__sql_finish_request,
                        MESH_ARGS(mesh_uuid(request_id), mesh_bytes(bytes, size)));
}
