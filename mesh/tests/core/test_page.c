/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/page.h"
#include "test.h"

static struct mesh_ctx *ctx;
static struct mesh_page page;

static int setup(void **state)
{
    (void)state;
    ctx = mesh_ctx_background(60000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__cleanup_ctx(&ctx);
    return 0;
}

TEST(the_first_page_begins_at_the_newest)
{
    CHECK(mesh_page_read(ctx, 0, "", &page) == MESH_OK);
    CHECK_INT(page.size, MESH_PAGE_DEFAULT);
    CHECK(strcmp(page.before, "0190a6e2-7f00-7abc-8def-0123456789ab") > 0);
}

TEST(a_page_goes_on_behind_its_token)
{
    const char *token = mesh_page_token(ctx, "0190a6e2-7f00-7abc-8def-0123456789ab");

    CHECK(mesh_page_read(ctx, 7, token, &page) == MESH_OK);
    CHECK_INT(page.size, 7);
    CHECK_TEXT(page.before, "0190a6e2-7f00-7abc-8def-0123456789ab");
}

TEST(a_page_is_bounded)
{
    CHECK(mesh_page_read(ctx, INT32_MAX, "", &page) == MESH_OK);
    CHECK_INT(page.size, MESH_PAGE_MAX);
}

TEST(what_is_no_page_names_its_field)
{
    page.size = 3;
    CHECK(mesh_page_read(ctx, -1, "", &page) == MESH_INVALID_ARGUMENT);
    CHECK(strstr(mesh_ctx_error(ctx), "page_size") != NULL);
    CHECK(mesh_page_read(ctx, 10, "junk", &page) == MESH_INVALID_ARGUMENT);
    CHECK(strstr(mesh_ctx_error(ctx), "page_token") != NULL);
    CHECK_INT(page.size, 3);
}

TEST_MAIN(setup, teardown)
