/* SPDX-License-Identifier: Apache-2.0 */
/* grpc-message and grpc-status-details-bin of a peer; the first byte is the status. */
#include "core/utf8.h"
#include "fuzz.h"

#define PASSED_ON_MAX 4096 /* to our caller; many refuse 8 KiB of metadata, in base64 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx;
    char *text;
    size_t details_size;

    if (size == 0) {
        return 0;
    }
    ctx = fuzz_ctx();
    text = fuzz_text(data + 1, size - 1);
    mesh__error_from_peer(ctx, (enum mesh_status)(1 + data[0] % 16), text, data + 1, size - 1);
    MUST(mesh__utf8_valid(mesh_ctx_error(ctx), strlen(mesh_ctx_error(ctx))) ==
         strlen(mesh_ctx_error(ctx)));
    if (mesh__error_details(ctx, MESH_UNAVAILABLE, &details_size) != NULL) {
        MUST(details_size <= PASSED_ON_MAX);
    }
    free(text);
    mesh__ctx_free(ctx);
    return 0;
}
