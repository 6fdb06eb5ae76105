/* SPDX-License-Identifier: Apache-2.0 */
/* The wire guard and the unpacking behind it, on a message that is nested, repeated and a oneof. */
#include "core/guard.h"
#include "fuzz.h"

#include <guard_test.pb-c.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx = fuzz_ctx();
    const ProtobufCMessageDescriptor *type = &mesh__guardtest__tree__descriptor;
    ProtobufCMessage *message;

    if (mesh__guard(ctx, type, data, size) == MESH_OK) {
        enum mesh_status status = mesh__unpack(ctx, type, data, size, &message);

        /* What the guard lets in, the decoder takes, unless it is too large for the call. */
        MUST(status == MESH_OK || status == MESH_RESOURCE_EXHAUSTED);
        if (status == MESH_OK) {
            MUST(protobuf_c_message_check(message));
            MUST(protobuf_c_message_get_packed_size(message) <= 16 * size + 16);
        }
    } else {
        MUST(mesh_ctx_error(ctx)[0] != '\0');
    }
    mesh__ctx_free(ctx);
    return 0;
}
