/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope of an event, as anybody may have put it into the stream. */
#include "events/envelope.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx = fuzz_ctx();
    struct mesh__envelope envelope, again;
    const uint8_t *bytes;
    size_t bytes_size;

    if (mesh__envelope_decode(ctx, data, size, &envelope) == MESH_OK) {
        MUST(envelope.id != NULL && envelope.subject != NULL && envelope.type != NULL);
        MUST(envelope.payload_size <= size);
        if (strchr(envelope.type, '/') == NULL && /* no type of ours has one */
            mesh__envelope_encode(ctx, &envelope, &bytes, &bytes_size) == MESH_OK) {
            MUST(mesh__envelope_decode(ctx, bytes, bytes_size, &again) == MESH_OK);
            MUST(strcmp(again.id, envelope.id) == 0 && strcmp(again.type, envelope.type) == 0);
            MUST(again.payload_size == envelope.payload_size);
        }
    }
    mesh__ctx_free(ctx);
    return 0;
}
