/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "idempotency_test.pb-c.h"
#include "mesh/cleanup.h"
#include "mesh/idempotency.h"
#include "test.h"

static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

static const uint8_t *digest_of(const void *message)
{
    uint8_t *digest = mesh_alloc(ctx, MESH_DIGEST_SIZE);

    mesh_request_digest(ctx, message, digest);
    return digest;
}

static bool same(const void *a, const void *b)
{
    return memcmp(digest_of(a), digest_of(b), MESH_DIGEST_SIZE) == 0;
}

TEST(the_digest_is_sha_256_of_what_is_left)
{
    /* SHA-256 of the bytes 12 01 61: field 2, "a". */
    static const uint8_t expected[] = {0x38, 0x6b, 0x1a, 0x69, 0x4c, 0x7f, 0x10, 0x92,
                                       0x4d, 0xd7, 0x60, 0x75, 0xc8, 0x49, 0x60, 0x3e,
                                       0xac, 0xaf, 0xb8, 0xa8, 0x8a, 0xe5, 0x9a, 0x01,
                                       0xac, 0x7e, 0x38, 0xb7, 0xd4, 0xee, 0x51, 0xcb};
    Try__Twin request = TRY__TWIN__INIT;

    request.request_id = "not counted";
    request.name = "a";
    CHECK(memcmp(digest_of(&request), expected, sizeof(expected)) == 0);
}

TEST(the_request_id_does_not_count_and_the_rest_does)
{
    Try__Twin a = TRY__TWIN__INIT;
    Try__Twin b = TRY__TWIN__INIT;

    a.request_id = "1";
    b.request_id = "2";
    a.name = "x";
    b.name = "x";
    CHECK(same(&a, &b));
    b.name = "y";
    CHECK(!same(&a, &b));
    CHECK_TEXT(a.request_id, "1"); /* the request is as it was */
}

TEST(an_optional_request_id_does_not_count_either)
{
    Try__Optional a = TRY__OPTIONAL__INIT;
    Try__Optional b = TRY__OPTIONAL__INIT;

    a.name = "x";
    b.name = "x";
    b.request_id = "2";
    b._request_id_case = TRY__OPTIONAL___REQUEST_ID_REQUEST_ID;
    CHECK(same(&a, &b));
}

TEST(an_empty_request_has_a_digest)
{
    Try__Request a = TRY__REQUEST__INIT;
    Try__Twin b = TRY__TWIN__INIT;

    CHECK(same(&a, &b));
}

/* What a newer client sends, as a program that knows only the older fields reads it. */
static Try__Request *sent_by_newer(const char *added)
{
    Try__NewPart inner = TRY__NEW_PART__INIT;
    Try__NewPart part = TRY__NEW_PART__INIT;
    Try__NewPart *parts[] = {&part, &inner};
    Try__NewRequest request = TRY__NEW_REQUEST__INIT;
    ProtobufCAllocator allocator = mesh__arena_allocator(ctx->scope->arena);
    uint8_t *bytes;
    size_t size;

    inner.text = "inner";
    inner.added = added;
    part.text = "part";
    part.added = added;
    part.inner = &inner;
    request.name = "name";
    request.added = added;
    request.part = &part;
    request.parts = parts;
    request.n_parts = 2;
    request.first = &part;
    request.choice_case = TRY__NEW_REQUEST__CHOICE_FIRST;
    size = try__new_request__get_packed_size(&request);
    bytes = mesh_alloc(ctx, size);
    try__new_request__pack(&request, bytes);
    return try__request__unpack(&allocator, size, bytes);
}

TEST(unknown_fields_do_not_count_at_any_depth)
{
    Try__Request *plain = sent_by_newer("");
    Try__Request *more = sent_by_newer("more");
    Try__Request *other = sent_by_newer("more");

    CHECK(more->base.n_unknown_fields == 1);
    CHECK(more->part->inner->base.n_unknown_fields == 1);
    CHECK(same(plain, more));
    CHECK(more->part->inner->base.n_unknown_fields == 1); /* still there */
    other->parts[1]->text = "another";
    CHECK(!same(more, other));
}

TEST(a_choice_counts_by_what_is_chosen)
{
    Try__Request a = TRY__REQUEST__INIT;
    Try__Request b = TRY__REQUEST__INIT;

    a.second = "x";
    a.choice_case = TRY__REQUEST__CHOICE_SECOND;
    b.second = "x";
    b.choice_case = TRY__REQUEST__CHOICE_SECOND;
    CHECK(same(&a, &b));
    b.choice_case = TRY__REQUEST__CHOICE__NOT_SET;
    CHECK(!same(&a, &b));
}

TEST(the_order_of_a_map_does_not_count_and_that_of_a_list_does)
{
    Try__Request__AmountsEntry one = TRY__REQUEST__AMOUNTS_ENTRY__INIT;
    Try__Request__AmountsEntry two = TRY__REQUEST__AMOUNTS_ENTRY__INIT;
    Try__Request__AmountsEntry *forwards[] = {&one, &two};
    Try__Request__AmountsEntry *backwards[] = {&two, &one};
    Try__Part first = TRY__PART__INIT;
    Try__Part second = TRY__PART__INIT;
    Try__Part *parts[] = {&first, &second};
    Try__Part *straps[] = {&second, &first};
    Try__Request a = TRY__REQUEST__INIT;
    Try__Request b = TRY__REQUEST__INIT;

    one.key = "one";
    one.value = 1;
    two.key = "two";
    two.value = 2;
    a.amounts = forwards;
    a.n_amounts = 2;
    b.amounts = backwards;
    b.n_amounts = 2;
    CHECK(same(&a, &b));
    CHECK(b.amounts[0] == &two); /* the request is as it was */
    second.text = "second";
    a.parts = parts;
    a.n_parts = 2;
    b.parts = straps;
    b.n_parts = 2;
    CHECK(!same(&a, &b));
    b.parts = parts;
    two.value = 3;
    b.amounts = forwards;
    b.n_amounts = 1;
    CHECK(!same(&a, &b));
}

TEST(a_reused_id_is_told_with_a_reason)
{
    CHECK_INT(mesh_fail_reused(ctx, "some-id"), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
}

TEST_MAIN(set_up, tear_down)
