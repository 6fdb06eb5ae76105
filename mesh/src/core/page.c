/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/page.h"

#include "mesh/validate.h"

/* Beyond every UUID of version 7 that will be made. */
#define AFTER_ALL "ffffffff-ffff-ffff-ffff-ffffffffffff"

MESH_STATUS mesh_page_read(struct mesh_ctx *ctx, int32_t page_size, const char *page_token,
                           struct mesh_page *ret_page)
{
    if (page_size < 0) {
        return mesh_fail_field(ctx, "page_size", "must not be negative");
    }
    if (page_token[0] != '\0' && !mesh_is_uuid(page_token)) {
        return mesh_fail_field(ctx, "page_token", "is not a token of an earlier page");
    }
    ret_page->before = page_token[0] == '\0' ? AFTER_ALL : page_token;
    ret_page->size = page_size == 0 ? MESH_PAGE_DEFAULT : page_size;
    if (ret_page->size > MESH_PAGE_MAX) {
        ret_page->size = MESH_PAGE_MAX;
    }
    return MESH_OK;
}

const char *mesh_page_token(struct mesh_ctx *ctx, const char *last_id)
{
    return mesh_strdup(ctx, last_id);
}
