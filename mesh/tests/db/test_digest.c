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
    static const uint8_t expected[] = {0x4e, 0xac, 0x8b, 0x0a, 0xf1, 0x3f, 0x7f, 0x59,
                                       0xbe, 0x5b, 0x26, 0x23, 0x5a, 0x75, 0xa2, 0x96,
                                       0x39, 0x00, 0xd6, 0xcf, 0xa0, 0x5b, 0x10, 0x9d,
                                       0xb2, 0x51, 0x1a, 0x3a, 0x8a, 0xe7, 0x9c, 0x03};
    Mesh__Test__Idempotency__Twin request = MESH__TEST__IDEMPOTENCY__TWIN__INIT;

    request.request_id = "not counted";
    request.name = "a";
    CHECK(memcmp(digest_of(&request), expected, sizeof(expected)) == 0);
}

TEST(the_request_id_does_not_count_and_the_rest_does)
{
    Mesh__Test__Idempotency__Twin a = MESH__TEST__IDEMPOTENCY__TWIN__INIT;
    Mesh__Test__Idempotency__Twin b = MESH__TEST__IDEMPOTENCY__TWIN__INIT;

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
    Mesh__Test__Idempotency__Optional a = MESH__TEST__IDEMPOTENCY__OPTIONAL__INIT;
    Mesh__Test__Idempotency__Optional b = MESH__TEST__IDEMPOTENCY__OPTIONAL__INIT;

    a.name = "x";
    b.name = "x";
    b.request_id = "2";
    b._request_id_case = MESH__TEST__IDEMPOTENCY__OPTIONAL___REQUEST_ID_REQUEST_ID;
    CHECK(same(&a, &b));
}

TEST(an_empty_request_has_a_digest)
{
    Mesh__Test__Idempotency__Request a = MESH__TEST__IDEMPOTENCY__REQUEST__INIT;
    Mesh__Test__Idempotency__Twin b = MESH__TEST__IDEMPOTENCY__TWIN__INIT;

    CHECK(same(&a, &b));
}

/* What a newer client sends, as a program that knows only the older fields reads it. */
static Mesh__Test__Idempotency__Request *sent_by_newer(const char *added)
{
    Mesh__Test__Idempotency__NewPart inner = MESH__TEST__IDEMPOTENCY__NEW_PART__INIT;
    Mesh__Test__Idempotency__NewPart part = MESH__TEST__IDEMPOTENCY__NEW_PART__INIT;
    Mesh__Test__Idempotency__NewPart *parts[] = {&part, &inner};
    Mesh__Test__Idempotency__NewRequest request = MESH__TEST__IDEMPOTENCY__NEW_REQUEST__INIT;
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
    request.choice_case = MESH__TEST__IDEMPOTENCY__NEW_REQUEST__CHOICE_FIRST;
    size = mesh__test__idempotency__new_request__get_packed_size(&request);
    bytes = mesh_alloc(ctx, size);
    mesh__test__idempotency__new_request__pack(&request, bytes);
    return mesh__test__idempotency__request__unpack(&allocator, size, bytes);
}

TEST(unknown_fields_do_not_count_at_any_depth)
{
    Mesh__Test__Idempotency__Request *plain = sent_by_newer("");
    Mesh__Test__Idempotency__Request *more = sent_by_newer("more");
    Mesh__Test__Idempotency__Request *other = sent_by_newer("more");

    CHECK(more->base.n_unknown_fields == 1);
    CHECK(more->part->inner->base.n_unknown_fields == 1);
    CHECK(same(plain, more));
    CHECK(more->part->inner->base.n_unknown_fields == 1); /* still there */
    other->parts[1]->text = "another";
    CHECK(!same(more, other));
}

TEST(a_choice_counts_by_what_is_chosen)
{
    Mesh__Test__Idempotency__Request a = MESH__TEST__IDEMPOTENCY__REQUEST__INIT;
    Mesh__Test__Idempotency__Request b = MESH__TEST__IDEMPOTENCY__REQUEST__INIT;

    a.second = "x";
    a.choice_case = MESH__TEST__IDEMPOTENCY__REQUEST__CHOICE_SECOND;
    b.second = "x";
    b.choice_case = MESH__TEST__IDEMPOTENCY__REQUEST__CHOICE_SECOND;
    CHECK(same(&a, &b));
    b.choice_case = MESH__TEST__IDEMPOTENCY__REQUEST__CHOICE__NOT_SET;
    CHECK(!same(&a, &b));
}

TEST(a_reused_id_is_told_with_a_reason)
{
    CHECK_INT(mesh_fail_reused(ctx, "some-id"), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
}

TEST_MAIN(set_up, tear_down)
