/* SPDX-License-Identifier: Apache-2.0 */
/* Paging of lists that are ordered by id, newest first (AIP-158). */
#ifndef MESH_PAGE_H
#define MESH_PAGE_H

#include "mesh/ctx.h"

#define MESH_PAGE_DEFAULT 50
#define MESH_PAGE_MAX 200

struct mesh_page {
    int64_t size; /* rows of this page: 1 to MESH_PAGE_MAX. Read one more to learn whether another
                     follows. */
    const char *before; /* only ids smaller than this UUID */
};

/*
 * Reads page_size (0: MESH_PAGE_DEFAULT, more than MESH_PAGE_MAX: MESH_PAGE_MAX) and page_token
 * ("": the first page). MESH_INVALID_ARGUMENT naming page_token if it is none of ours.
 */
MESH_STATUS mesh_page_read(struct mesh_ctx *ctx, int32_t page_size, const char *page_token,
                           struct mesh_page *ret_page);
/* The token of the page that follows the row with this id; in ctx's memory. */
const char *mesh_page_token(struct mesh_ctx *ctx, const char *last_id);

#endif
