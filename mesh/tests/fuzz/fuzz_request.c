/* SPDX-License-Identifier: Apache-2.0 */
/* A request from its bytes through all rules of its contract; the first byte chooses the method. */
#include "core/guard.h"
#include "fuzz.h"

#include <generator/features.mesh.h>

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
    if (method->validate != NULL &&
        mesh__unpack(ctx, method->request, data + 1, size - 1, &request) == MESH_OK) {
        struct mesh_violations *violations = mesh__violations_new(ctx);
        enum mesh_status status;

        mesh__violations_hide(violations, method->request, features_service_type.sensitive);
        method->validate(violations, request);
        status = mesh__violations_fail(ctx, violations);
        MUST(status == MESH_OK || status == MESH_INVALID_ARGUMENT);
        if (status != MESH_OK) {
            size_t details_size;

            MUST(mesh__error_details(ctx, status, &details_size) != NULL);
        }
    }
    mesh__ctx_free(ctx);
    return 0;
}
