/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "death.h"
#include "fake_clock.h"
#include "mesh/ctx.h"
#include "test.h"

static struct mesh_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

TEST(the_first_value_of_a_key_is_found)
{
    struct mesh__pair third = {NULL, "key", "later", 5};
    struct mesh__pair second = {&third, "key", "value", 5};
    struct mesh__pair first = {&second, "other-bin", "a\0b", 3};
    size_t size = 0;

    ctx->scope->request_metadata = &first;
    CHECK_TEXT(mesh_ctx_metadata(ctx, "key", NULL), "value");
    CHECK(memcmp(mesh_ctx_metadata(ctx, "other-bin", &size), "a\0b", 4) == 0);
    CHECK_INT(size, 3);
    CHECK(mesh_ctx_metadata(ctx, "none", &size) == NULL);
    CHECK(mesh_ctx_reply_metadata(ctx, "key", NULL) == NULL);
    ctx->scope->reply_metadata = &third;
    CHECK_TEXT(mesh_ctx_reply_metadata(ctx, "key", &size), "later");
    CHECK_INT(size, 5);
    ctx->scope->request_metadata = NULL;
    ctx->scope->reply_metadata = NULL;
}

TEST(added_pairs_are_copies_newest_first)
{
    char key[] = "x-key";
    char value[] = "value";

    mesh_ctx_add_initial_metadata(ctx, key, value, 5);
    mesh_ctx_add_initial_metadata(ctx, "x-second", "two", 3);
    key[0] = '\0';
    value[0] = '\0';
    CHECK_TEXT(ctx->scope->initial->key, "x-second");
    CHECK_TEXT(ctx->scope->initial->next->key, "x-key");
    CHECK_TEXT(ctx->scope->initial->next->value, "value");
    CHECK_INT(ctx->scope->initial->next->size, 5);
    CHECK(ctx->scope->initial->next->next == NULL);
    CHECK(ctx->scope->trailing == NULL && ctx->scope->outgoing == NULL);
}

TEST(the_three_lists_are_apart)
{
    mesh_ctx_add_trailing_metadata(ctx, "x-trailing", "1", 1);
    mesh_ctx_add_outgoing_metadata(ctx, "x-outgoing", "2", 1);
    CHECK_TEXT(ctx->scope->trailing->key, "x-trailing");
    CHECK_TEXT(ctx->scope->outgoing->key, "x-outgoing");
}

TEST(text_that_the_transport_would_refuse_is_repaired)
{
    mesh_ctx_add_trailing_metadata(ctx, "x-text", "a\nb\xe2\x82\xac\0z", 8);
    CHECK_TEXT(ctx->scope->trailing->value, "a?b????z");
    mesh_ctx_add_trailing_metadata(ctx, "x-bytes-bin", "a\n\0\xff", 4);
    CHECK(memcmp(ctx->scope->trailing->value, "a\n\0\xff", 4) == 0);
    mesh_ctx_add_trailing_metadata(ctx, "x-empty", NULL, 0);
    CHECK_TEXT(ctx->scope->trailing->value, "");
}

static void add_upper_case(void)
{
    mesh_ctx_add_trailing_metadata(ctx, "X-Key", "value", 5);
}

static void add_no_key(void)
{
    mesh_ctx_add_trailing_metadata(ctx, "", "value", 5);
}

TEST(a_key_that_cannot_be_one_is_a_bug)
{
    CHECK(dies(add_upper_case));
    CHECK(dies(add_no_key));
}

TEST(notes_are_formatted_and_the_last_of_a_key_stays)
{
    mesh_ctx_note(ctx, "order_id", "%s-%d", "order", 1);
    mesh_ctx_note(ctx, "other", "x");
    mesh_ctx_note(ctx, "order_id", "order-%d", 2);
    CHECK_TEXT(ctx->scope->notes->key, "other");
    CHECK_TEXT(ctx->scope->notes->next->key, "order_id");
    CHECK_TEXT(ctx->scope->notes->next->value, "order-2");
    CHECK_INT(ctx->scope->notes->next->size, 7);
    CHECK(ctx->scope->notes->next->next == NULL);
}

TEST_MAIN(setup, teardown)
