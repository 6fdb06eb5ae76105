/* SPDX-License-Identifier: Apache-2.0 */
/* The seam to gRPC C core: messages and calls. */
#include "core/clock.h"
#include "core/fatal.h"
#include "rpc/wire_grpc.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ----------------------------------------------------------------------------- */

struct wire_message *mesh__wire_message_new(size_t size, uint8_t **ret_data)
{
    struct wire_message *message = mesh__calloc(1, sizeof(*message));

    message->bytes = grpc_slice_malloc(size);
    *ret_data = GRPC_SLICE_START_PTR(message->bytes);
    return message;
}

/*
 * The core forgets an encoding that it does not know, and with it that the message was compressed.
 * The flag before the message it keeps for tests, under a name of C++; a core without it cannot
 * tell.
 */
extern uint32_t
message_flags(grpc_call *call) __asm__("_Z37grpc_call_test_only_get_message_flagsP9grpc_call")
    __attribute__((weak));
#define FLAG_COMPRESSED UINT32_C(0x80000000)

/* Before another message is asked for. */
static enum wire_encoding encoding_of(grpc_call *call, const grpc_byte_buffer *buffer)
{
    switch (buffer->data.raw.compression) {
    case GRPC_COMPRESS_DEFLATE:
        return WIRE_DEFLATE;
    case GRPC_COMPRESS_GZIP:
        return WIRE_GZIP;
    case GRPC_COMPRESS_NONE:
        return message_flags != NULL && (message_flags(call) & FLAG_COMPRESSED) != 0 ? WIRE_OTHER
                                                                                     : WIRE_PLAIN;
    default:
        return WIRE_OTHER;
    }
}

static struct wire_message *message_received(grpc_call *call, grpc_byte_buffer *buffer)
{
    struct wire_message *message = mesh__calloc(1, sizeof(*message));
    grpc_byte_buffer_reader reader;

    message->buffer = buffer;
    message->encoding = encoding_of(call, buffer);
    message->bytes = grpc_empty_slice();
    if (buffer->data.raw.slice_buffer.count > 1 && grpc_byte_buffer_reader_init(&reader, buffer)) {
        message->bytes = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    return message;
}

const uint8_t *mesh__wire_message_data(struct wire_message *message, size_t *ret_size)
{
    grpc_slice *bytes = &message->bytes;

    if (message->buffer != NULL && message->buffer->data.raw.slice_buffer.count == 1) {
        bytes = &message->buffer->data.raw.slice_buffer.slices[0];
    }
    *ret_size = GRPC_SLICE_LENGTH(*bytes);
    return GRPC_SLICE_START_PTR(*bytes);
}

enum wire_encoding mesh__wire_message_encoding(const struct wire_message *message)
{
    return message->encoding;
}

void mesh__wire_message_free(struct wire_message *message)
{
    if (message == NULL) {
        return;
    }
    if (message->buffer != NULL) {
        grpc_byte_buffer_destroy(message->buffer);
    }
    grpc_slice_unref(message->bytes);
    free(message);
}

static char *copy_text(grpc_slice slice)
{
    char *text = mesh__calloc(1, GRPC_SLICE_LENGTH(slice) + 1);

    memcpy(text, GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice));
    return text;
}

static void operation_free(struct wire_operation *operation)
{
    for (size_t i = 0; i < operation->n_initial + operation->n_trailing; i++) {
        grpc_slice_unref(operation->metadata[i].key);
        grpc_slice_unref(operation->metadata[i].value);
    }
    if (operation->sent != NULL) {
        grpc_byte_buffer_destroy(operation->sent);
    }
    mesh__wire_message_free(operation->message);
    grpc_slice_unref(operation->status_text);
    free(operation);
}

static void take_results(const struct wire_operation *operation, bool ok)
{
    struct wire_call *call = operation->call;

    if (operation->request) {
        if (!ok) {
            call->call = NULL;
            return;
        }
        call->deadline_ns =
            mesh__wire_from_timespec(call->generic ? call->details.deadline : call->deadline);
        call->head.received = true;
        if (call->generic) {
            call->path = copy_text(call->details.method);
        }
    }
    if (operation->ops & WIRE_RECV_INITIAL) {
        call->head.received = true;
    }
    if (operation->ops & WIRE_RECV_STATUS) {
        call->tail.received = true;
    }
}

/* ---- calls -------------------------------------------------------------------------------- */

struct wire_call *mesh__wire_call_new(void)
{
    struct wire_call *call = mesh__calloc(1, sizeof(*call));

    call->deadline_ns = MESH_NO_DEADLINE;
    call->status_details = grpc_empty_slice();
    grpc_metadata_array_init(&call->head.array);
    grpc_metadata_array_init(&call->tail.array);
    return call;
}

struct wire_operation *mesh__wire_operation_new(struct wire_call *call, size_t n_pairs, void *tag)
{
    struct wire_operation *operation =
        mesh__calloc(1, sizeof(*operation) + n_pairs * sizeof(grpc_metadata));

    operation->call = call;
    operation->tag = tag;
    operation->status_text = grpc_empty_slice();
    return operation;
}

void mesh__wire_call_free(struct wire_call *call)
{
    if (call == NULL) {
        return;
    }
    if (call->message != NULL) {
        grpc_byte_buffer_destroy(call->message);
    }
    if (call->call != NULL) {
        grpc_call_unref(call->call);
    }
    if (call->generic) {
        grpc_call_details_destroy(&call->details);
    }
    grpc_metadata_array_destroy(&call->head.array);
    grpc_metadata_array_destroy(&call->tail.array);
    grpc_slice_unref(call->status_details);
    free(call->head.pairs);
    free(call->tail.pairs);
    free(call->status_text);
    free(call->path);
    free(call);
}

/* The core fails a whole batch for one pair that HTTP cannot carry: such pairs are left out. */
static size_t add_metadata(grpc_metadata *to, const struct wire_pair *pairs, size_t n)
{
    size_t n_added = 0;

    for (size_t i = 0; i < n; i++) {
        grpc_slice key = grpc_slice_from_copied_string(pairs[i].key);
        grpc_slice value = grpc_slice_from_copied_buffer(pairs[i].value, pairs[i].size);

        if (!grpc_header_key_is_legal(key) ||
            (!grpc_is_binary_header(key) && !grpc_header_nonbin_value_is_legal(value))) {
            grpc_slice_unref(key);
            grpc_slice_unref(value);
            continue;
        }
        to[n_added].key = key;
        to[n_added].value = value;
        n_added++;
    }
    return n_added;
}

static size_t fill_sends(struct wire_operation *operation, const struct wire_batch *batch,
                         grpc_op *ops)
{
    size_t n = 0;

    if (batch->ops & WIRE_SEND_INITIAL) {
        operation->n_initial = add_metadata(operation->metadata, batch->initial, batch->n_initial);
        ops[n].op = GRPC_OP_SEND_INITIAL_METADATA;
        ops[n].data.send_initial_metadata.metadata = operation->metadata;
        ops[n++].data.send_initial_metadata.count = operation->n_initial;
    }
    if (batch->ops & WIRE_SEND_MESSAGE) {
        operation->message = batch->keep_message ? NULL : batch->message;
        operation->sent = grpc_raw_byte_buffer_create(&batch->message->bytes, 1);
        ops[n].op = GRPC_OP_SEND_MESSAGE;
        ops[n++].data.send_message.send_message = operation->sent;
    }
    if (batch->ops & WIRE_SEND_CLOSE) {
        ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    }
    if (batch->ops & WIRE_SEND_STATUS) {
        grpc_metadata *trailing = operation->metadata + operation->n_initial;

        operation->n_trailing = add_metadata(trailing, batch->trailing, batch->n_trailing);
        if (batch->status_text != NULL) {
            operation->status_text = grpc_slice_from_copied_string(batch->status_text);
        }
        ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
        ops[n].data.send_status_from_server.trailing_metadata = trailing;
        ops[n].data.send_status_from_server.trailing_metadata_count = operation->n_trailing;
        ops[n].data.send_status_from_server.status = (grpc_status_code)batch->status;
        ops[n++].data.send_status_from_server.status_details = &operation->status_text;
    }
    return n;
}

static size_t fill_receives(struct wire_call *call, unsigned wanted, grpc_op *ops)
{
    size_t n = 0;

    if (wanted & WIRE_RECV_INITIAL) {
        ops[n].op = GRPC_OP_RECV_INITIAL_METADATA;
        ops[n++].data.recv_initial_metadata.recv_initial_metadata = &call->head.array;
    }
    if (wanted & WIRE_RECV_MESSAGE) {
        ops[n].op = GRPC_OP_RECV_MESSAGE;
        ops[n++].data.recv_message.recv_message = &call->message;
    }
    if (wanted & WIRE_RECV_STATUS) {
        ops[n].op = GRPC_OP_RECV_STATUS_ON_CLIENT;
        ops[n].data.recv_status_on_client.trailing_metadata = &call->tail.array;
        ops[n].data.recv_status_on_client.status = &call->status;
        ops[n++].data.recv_status_on_client.status_details = &call->status_details;
    }
    if (wanted & WIRE_RECV_CLOSE) {
        ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
        ops[n++].data.recv_close_on_server.cancelled = &call->cancelled;
    }
    return n;
}

void mesh__wire_call_start(struct wire_call *call, const struct wire_batch *batch, void *tag)
{
    struct wire_operation *operation =
        mesh__wire_operation_new(call, batch->n_initial + batch->n_trailing, tag);
    grpc_op ops[8];
    size_t n;

    memset(ops, 0, sizeof(ops));
    operation->ops = batch->ops;
    n = fill_sends(operation, batch, ops);
    n += fill_receives(call, batch->ops, ops + n);
    WIRE_HAND_OVER(operation);
    mesh__wire_must(grpc_call_start_batch(call->call, ops, n, operation, NULL),
                    "grpc_call_start_batch");
}

void mesh__wire_call_cancel(struct wire_call *call)
{
    if (call->call != NULL) {
        mesh__wire_must(grpc_call_cancel(call->call, NULL), "grpc_call_cancel");
    }
}

/* With the core's own words. */
void mesh__wire_call_expire(struct wire_call *call)
{
    mesh__wire_must(grpc_call_cancel_with_status(call->call, GRPC_STATUS_DEADLINE_EXCEEDED,
                                                 "Deadline Exceeded", NULL),
                    "grpc_call_cancel_with_status");
}

const char *mesh__wire_call_path(const struct wire_call *call)
{
    return call->path == NULL ? "" : call->path;
}

int64_t mesh__wire_call_deadline_ns(const struct wire_call *call)
{
    return call->deadline_ns;
}

void mesh__wire_call_peer(const struct wire_call *call, char *ret_text, size_t size)
{
    char *peer = grpc_call_get_peer(call->call);

    (void)snprintf(ret_text, size, "%s", peer); /* a cut address is better than none */
    gpr_free(peer);
}

/* Values get a NUL behind them; all copies stand in one block. */
static void copy_pairs(struct wire_call_metadata *metadata)
{
    size_t n = metadata->array.count;
    size_t size = n * sizeof(struct wire_pair) + 1;
    char *text;

    for (size_t i = 0; i < n; i++) {
        size += GRPC_SLICE_LENGTH(metadata->array.metadata[i].key) + 1;
        size += GRPC_SLICE_LENGTH(metadata->array.metadata[i].value) + 1;
    }
    metadata->pairs = mesh__calloc(1, size);
    text = (char *)(metadata->pairs + n);
    for (size_t i = 0; i < n; i++) {
        const grpc_metadata *from = &metadata->array.metadata[i];
        size_t key_size = GRPC_SLICE_LENGTH(from->key);
        size_t value_size = GRPC_SLICE_LENGTH(from->value);

        memcpy(text, GRPC_SLICE_START_PTR(from->key), key_size);
        memcpy(text + key_size + 1, GRPC_SLICE_START_PTR(from->value), value_size);
        metadata->pairs[i] = (struct wire_pair){text, text + key_size + 1, value_size};
        text += key_size + value_size + 2;
    }
}

bool mesh__wire_call_metadata(struct wire_call *call, enum wire_metadata_kind kind, size_t i,
                              struct wire_pair *ret_pair)
{
    struct wire_call_metadata *metadata = kind == WIRE_TRAILING ? &call->tail : &call->head;

    if (!metadata->received || i >= metadata->array.count) {
        return false;
    }
    if (metadata->pairs == NULL) {
        copy_pairs(metadata);
    }
    *ret_pair = metadata->pairs[i];
    return true;
}

size_t mesh__wire_call_message_size(const struct wire_call *call)
{
    return call->message == NULL ? 0 : grpc_byte_buffer_length(call->message);
}

struct wire_message *mesh__wire_call_take_message(struct wire_call *call)
{
    grpc_byte_buffer *buffer = call->message;

    call->message = NULL;
    return buffer == NULL ? NULL : message_received(call->call, buffer);
}

bool mesh__wire_call_was_cancelled(const struct wire_call *call)
{
    return call->cancelled != 0;
}

enum mesh_status mesh__wire_call_status(const struct wire_call *call)
{
    return (enum mesh_status)call->status;
}

const char *mesh__wire_call_status_text(struct wire_call *call)
{
    if (call->status_text == NULL) {
        call->status_text = copy_text(call->status_details);
    }
    return call->status_text;
}

/* The core calls a read of a broken stream a success, as it does the end of the messages. */
static bool read_failed(const struct wire_operation *operation)
{
    const struct wire_call *call = operation->call;

    return operation->ops == WIRE_RECV_MESSAGE && call->server && call->message == NULL &&
           grpc_call_failed_before_recv_message(call->call);
}

bool mesh__wire_operation_done(struct wire_operation *operation, bool ok)
{
    if (operation->call != NULL) {
        ok = ok && !read_failed(operation);
        take_results(operation, ok);
    }
    operation_free(operation);
    return ok;
}
