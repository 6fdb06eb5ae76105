/* SPDX-License-Identifier: Apache-2.0 */
/* A request from its bytes through all rules of its contract; the first byte chooses the method. */
#include "core/guard.h"
#include "fuzz.h"

#include <generator/features.mesh.h>

#define DETAILS_MAX 4096 /* many peers refuse 8 KiB of metadata, in base64 */

static void validate(struct mesh_ctx *ctx, const struct mesh_method *method,
                     const ProtobufCMessage *request)
{
    struct mesh_violations *violations = mesh__violations_new(ctx);
    enum mesh_status status;

    mesh__violations_hide(violations, method->request, features_service_type.sensitive);
    method->validate(violations, request);
    status = mesh__violations_fail(ctx, violations);
    MUST(status == MESH_OK || status == MESH_INVALID_ARGUMENT);
    if (status != MESH_OK) {
        size_t size;

        MUST(mesh__error_details(ctx, status, &size) != NULL);
        MUST(size <= DETAILS_MAX);
    }
}

/* What protobuf-c writes of a message that it has read is read again, as the same. */
static void write_and_read(struct mesh_ctx *ctx, const ProtobufCMessage *message)
{
    ProtobufCMessage *again = NULL;
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = mesh_alloc(ctx, size);
    uint8_t *bytes_again = mesh_alloc(ctx, size);
    enum mesh_status status;

    MUST(protobuf_c_message_pack(message, bytes) == size);
    status = mesh__unpack(ctx, message->descriptor, bytes, size, &again);
    if (status == MESH_RESOURCE_EXHAUSTED) {
        return; /* the context pays for both */
    }
    MUST(status == MESH_OK);
    MUST(protobuf_c_message_get_packed_size(again) == size);
    MUST(protobuf_c_message_pack(again, bytes_again) == size);
    MUST(memcmp(bytes, bytes_again, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx;
    const struct mesh_method *method;
    ProtobufCMessage *request;

    if (size == 0) {
        return 0;
    }
    ctx = fuzz_ctx();
    method = &features_service_type.methods[data[0] % features_service_type.n_methods];
    if (mesh__unpack(ctx, method->request, data + 1, size - 1, &request) == MESH_OK) {
        if (method->validate != NULL) {
            validate(ctx, method, request);
        }
        write_and_read(ctx, request);
    }
    mesh__ctx_free(ctx);
    return 0;
}
