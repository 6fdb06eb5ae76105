/* SPDX-License-Identifier: Apache-2.0 */
/* The values of headers that a caller may send: traceparent, correlation id, page token. */
#include "core/utf8.h"
#include "fuzz.h"
#include "mesh/page.h"
#include "mesh/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mesh_ctx *ctx = fuzz_ctx();
    char *text = fuzz_text(data, size);
    struct mesh__trace trace = {0};
    struct mesh_page page;
    char traceparent[56];
    const char *clean;

    mesh__trace_from(&trace, text);
    mesh__trace_format(&trace, traceparent);
    MUST(strlen(traceparent) == 55);
    mesh_ctx_set_correlation_id(ctx, text);
    MUST(strlen(mesh_ctx_correlation_id(ctx)) <= MESH_CORRELATION_MAX);
    if (mesh_page_read(ctx, (int32_t)size, text, &page) == MESH_OK) {
        MUST(page.size >= 1 && page.size <= MESH_PAGE_MAX && mesh_is_uuid(page.before));
    }
    clean = mesh__clean_text(ctx, text, MESH_ERROR_TEXT_MAX);
    MUST(mesh__utf8_valid(clean, strlen(clean)) == strlen(clean));
    free(text);
    mesh__ctx_free(ctx);
    return 0;
}
