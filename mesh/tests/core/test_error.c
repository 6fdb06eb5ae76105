/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/ctx.h"
#include "test.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>

static struct mesh_ctx *ctx;
static struct mesh_ctx *peer;

static int setup(void **state)
{
    (void)state;
    ctx = mesh__ctx_new("fashion-order", 0, MESH_NO_DEADLINE);
    peer = mesh__ctx_new("peer", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__ctx_free(peer);
    return 0;
}

/* Sends ctx's failure to peer. */
static void send_failure(enum mesh_status status)
{
    size_t size = 0;
    const uint8_t *details = mesh__error_details(ctx, status, &size);

    mesh__ctx_reset(peer, MESH_NO_DEADLINE);
    mesh__error_from_peer(peer, status, mesh_ctx_error(ctx), details, size);
}

TEST(a_fresh_context_has_no_failure)
{
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK_TEXT(mesh_ctx_error(ctx), "");
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "");
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), -1);
}

TEST(the_last_failure_wins_with_all_its_details)
{
    CHECK(mesh_fail_retry(ctx, 100, "first") == MESH_UNAVAILABLE);
    CHECK(mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "OUT_OF_STOCK", "%s is gone", "it") ==
          MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx), "it is gone");
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "OUT_OF_STOCK");
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), -1);
    CHECK(mesh_fail(ctx, MESH_NOT_FOUND, "second") == MESH_NOT_FOUND);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "");
    CHECK(ctx->scope->error->status == MESH_NOT_FOUND);
}

TEST(a_text_may_quote_the_failure_before_it)
{
    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "inner"));
    mesh_ignore(mesh_fail(ctx, MESH_ABORTED, "outer: %s", mesh_ctx_error(ctx)));
    CHECK_TEXT(mesh_ctx_error(ctx), "outer: inner");
}

TEST(a_plain_failure_needs_no_details)
{
    size_t size = 7;

    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "plain"));
    CHECK(mesh__error_details(ctx, MESH_NOT_FOUND, &size) == NULL);
    CHECK_INT(size, 7);
}

TEST(details_are_a_status_with_its_code_and_message)
{
    Google__Rpc__Status *status;
    const uint8_t *details;
    size_t size;

    mesh_ignore(mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "WHY", "because"));
    details = mesh__error_details(ctx, MESH_FAILED_PRECONDITION, &size);
    CHECK(details != NULL);
    status = google__rpc__status__unpack(NULL, size, details);
    CHECK(status != NULL);
    if (status == NULL) {
        return;
    }
    CHECK_INT(status->code, 9);
    CHECK_TEXT(status->message, "because");
    CHECK_INT(status->n_details, 1);
    CHECK_TEXT(status->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    google__rpc__status__free_unpacked(status, NULL);
}

TEST(a_reason_travels_with_the_service_as_its_domain)
{
    mesh_ignore(mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "WHY", "because"));
    send_failure(MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(peer), "because");
    CHECK_TEXT(mesh_ctx_error_reason(peer), "WHY");
    CHECK_TEXT(peer->scope->error->domain, "fashion-order");
    CHECK(peer->scope->error->status == MESH_FAILED_PRECONDITION);
}

TEST(a_delay_travels_in_milliseconds)
{
    static const int64_t delays[] = {0, 1, 999, 1000, 1500, 86400000};

    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        mesh_ignore(mesh_fail_retry(ctx, delays[i], "later"));
        send_failure(MESH_UNAVAILABLE);
        CHECK_INT(mesh_ctx_error_retry_ms(peer), delays[i]);
    }
    mesh_ignore(mesh_fail_retry(ctx, -5, "later"));
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), 0);
    mesh_ignore(mesh_fail_retry(ctx, INT64_MAX, "much later"));
    send_failure(MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(peer) == INT64_C(315576000000000));
}

TEST(what_the_mesh_has_tried_enough_stays_so_when_a_handler_says_it_in_its_own_words)
{
    mesh_ignore(mesh_fail(ctx, MESH_FAILED_PRECONDITION, "aborted"));
    CHECK(!mesh_ctx_error_is_of_mesh(ctx));
    mesh__error_is_final(ctx, "FAULT", -1);
    CHECK(mesh_ctx_error_is_of_mesh(ctx));
    CHECK(mesh_fail_retry_peer(ctx, 100, "product: %s", mesh_ctx_error(ctx)) == MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(ctx), "product: aborted");
    CHECK(ctx->scope->error->final && ctx->scope->error->status == MESH_UNAVAILABLE);
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), 100);
    send_failure(MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error_reason(peer), "FAULT");
    CHECK(mesh_ctx_error_is_of_mesh(peer));
}

TEST(a_failure_of_a_peer_that_may_be_tried_again_leaves_nothing_behind)
{
    mesh_ignore(mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "OUT_OF_STOCK", "it is gone"));
    CHECK(!mesh_ctx_error_is_of_mesh(ctx));
    CHECK(mesh_fail_retry_peer(ctx, 100, "later") == MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "");
    CHECK(!ctx->scope->error->final && !mesh_ctx_error_is_of_mesh(ctx));
}

TEST(a_field_travels_with_its_path)
{
    const struct mesh__error *error = peer->scope->error;

    CHECK(mesh_fail_field(ctx, "lines[3].quantity", "must be at least %d", 1) ==
          MESH_INVALID_ARGUMENT);
    CHECK_TEXT(mesh_ctx_error(ctx), "lines[3].quantity: must be at least 1");
    send_failure(MESH_INVALID_ARGUMENT);
    CHECK_INT(error->n_violations, 1);
    CHECK_TEXT(error->violations[0].field, "lines[3].quantity");
    CHECK_TEXT(error->violations[0].text, "must be at least 1");
    CHECK(error->violations[0].rule == NULL);
}

TEST(a_resource_travels)
{
    CHECK(mesh_fail_resource(ctx, MESH_NOT_FOUND, "order", "o-1", "no such order") ==
          MESH_NOT_FOUND);
    send_failure(MESH_NOT_FOUND);
    CHECK_TEXT(peer->scope->error->resource_type, "order");
    CHECK_TEXT(peer->scope->error->resource_name, "o-1");
}

TEST(what_a_peer_said_is_passed_on)
{
    size_t size = 0;
    const uint8_t *details;
    cleanup_ctx struct mesh_ctx *third = mesh__ctx_new("third", 0, MESH_NO_DEADLINE);

    mesh_ignore(mesh_fail_reason(ctx, MESH_ABORTED, "WHY", "because"));
    ctx->scope->error->retry_ms = 70;
    send_failure(MESH_ABORTED);
    details = mesh__error_details(peer, MESH_ABORTED, &size);
    mesh__error_from_peer(third, MESH_ABORTED, mesh_ctx_error(peer), details, size);
    CHECK_TEXT(mesh_ctx_error_reason(third), "WHY");
    CHECK_TEXT(third->scope->error->domain, "fashion-order");
    CHECK_INT(mesh_ctx_error_retry_ms(third), 70);
}

TEST(what_sql_said_stays_until_the_failure_is_cleared)
{
    mesh__error_clear(ctx);
    ctx->scope->error->constraint = "orders_pkey";
    mesh_ignore(mesh_fail(ctx, MESH_ALREADY_EXISTS, "again"));
    CHECK_TEXT(ctx->scope->error->constraint, "orders_pkey");
    mesh__error_clear(ctx);
    CHECK(ctx->scope->error->constraint == NULL);
    CHECK_TEXT(mesh_ctx_error(ctx), "");
}

TEST(long_and_broken_texts_are_cut_and_repaired)
{
    static char longer[5000];

    memset(longer, 'x', sizeof(longer) - 1);
    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "%s", longer));
    CHECK_INT(strlen(mesh_ctx_error(ctx)), MESH_ERROR_TEXT_MAX);
    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "a\xff\xe2\x82z"));
    CHECK_TEXT(mesh_ctx_error(ctx), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    memset(longer, 0xff, sizeof(longer) - 1);
    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "%s", longer));
    CHECK(strlen(mesh_ctx_error(ctx)) <= MESH_ERROR_TEXT_MAX);
    mesh_ignore(mesh_fail_field(ctx, longer, "%s", longer));
    send_failure(MESH_INVALID_ARGUMENT);
    CHECK_INT(peer->scope->error->n_violations, 1);
}

TEST(details_stay_below_what_peers_accept)
{
    static char longer[2000];
    struct mesh__violation violations[32];
    struct mesh__error *error = ctx->scope->error;
    const uint8_t *details;
    size_t size = 0;

    memset(longer, 'x', sizeof(longer) - 1);
    for (size_t i = 0; i < 32; i++) {
        violations[i] = (struct mesh__violation){longer, longer, longer};
    }
    mesh_ignore(mesh_fail_reason(ctx, MESH_INVALID_ARGUMENT, longer, "%s", longer));
    error->retry_ms = 1000;
    error->resource_type = longer;
    error->resource_name = longer;
    error->violations = violations;
    error->n_violations = 32;
    details = mesh__error_details(ctx, MESH_INVALID_ARGUMENT, &size);
    CHECK(details != NULL && size <= 3072);
    send_failure(MESH_INVALID_ARGUMENT);
    CHECK(peer->scope->error->n_violations >= 1 && peer->scope->error->n_violations < 32);
    mesh__error_clear(ctx);
}

TEST(bad_details_are_ignored)
{
    static const uint8_t junk[] = {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3};

    mesh__error_from_peer(peer, MESH_ABORTED, "text", junk, sizeof(junk));
    CHECK_TEXT(mesh_ctx_error(peer), "text");
    CHECK(peer->scope->error->status == MESH_ABORTED);
    CHECK_INT(mesh_ctx_error_retry_ms(peer), -1);
    mesh__error_from_peer(peer, MESH_ABORTED, NULL, NULL, 0);
    CHECK_TEXT(mesh_ctx_error(peer), "");
    mesh__error_from_peer(peer, MESH_ABORTED, "\xff", NULL, 0);
    CHECK_TEXT(mesh_ctx_error(peer), "\xef\xbf\xbd");
}

/* Details with one Any. */
static void receive(const char *type_url, const uint8_t *value, size_t size)
{
    Google__Protobuf__Any any;
    Google__Protobuf__Any *anys[] = {&any};
    Google__Rpc__Status status;
    uint8_t bytes[1024];

    google__protobuf__any__init(&any);
    google__rpc__status__init(&status);
    mesh__ctx_reset(peer, MESH_NO_DEADLINE);
    any.type_url = mesh_strdup(peer, type_url);
    any.value.data = (uint8_t *)mesh__strndup(peer, value, size);
    any.value.len = size;
    status.details = anys;
    status.n_details = 1;
    CHECK(google__rpc__status__get_packed_size(&status) <= sizeof(bytes));
    size = google__rpc__status__pack(&status, bytes);
    mesh__error_from_peer(peer, MESH_UNAVAILABLE, "text", bytes, size);
    CHECK_TEXT(mesh_ctx_error(peer), "text");
}

TEST(details_of_other_types_or_with_bad_values_are_ignored)
{
    static const uint8_t reason[] = {0x0a, 1, 'R'};
    static const uint8_t bad_text[] = {0x0a, 1, 0xff};
    static const uint8_t negative[] = {0x0a, 11,   0x08, 0xff, 0xff, 0xff, 0xff,
                                       0xff, 0xff, 0xff, 0xff, 0xff, 0x01};

    receive("example.com/google.rpc.ErrorInfo", reason, sizeof(reason)); /* any prefix */
    CHECK_TEXT(mesh_ctx_error_reason(peer), "R");
    receive("type.googleapis.com/google.rpc.DebugInfo", reason, sizeof(reason));
    CHECK_TEXT(mesh_ctx_error_reason(peer), "");
    receive("google.rpc.ErrorInfo", reason, sizeof(reason));
    CHECK_TEXT(mesh_ctx_error_reason(peer), "");
    receive("type.googleapis.com/google.rpc.ErrorInfo", bad_text, sizeof(bad_text));
    CHECK_TEXT(mesh_ctx_error_reason(peer), "");
    receive("type.googleapis.com/google.rpc.RetryInfo", negative, sizeof(negative));
    CHECK_INT(mesh_ctx_error_retry_ms(peer), -1);
    receive("type.googleapis.com/google.rpc.RetryInfo", reason, 0);
    CHECK_INT(mesh_ctx_error_retry_ms(peer), 0);
}

TEST(random_details_do_no_harm)
{
    uint8_t bytes[64];

    for (int i = 0; i < 20000; i++) {
        size_t size = 0;
        const uint8_t *good;

        mesh_ignore(mesh_fail_retry(ctx, i, "later"));
        good = mesh__error_details(ctx, MESH_UNAVAILABLE, &size);
        CHECK(size <= sizeof(bytes) + 32);
        size = size < sizeof(bytes) ? size : sizeof(bytes);
        memcpy(bytes, good, size);
        for (int changes = 0; changes < 3; changes++) {
            unsigned char change[2];

            mesh__random(change, sizeof(change));
            bytes[change[0] % size] = change[1];
        }
        mesh__error_from_peer(peer, MESH_UNAVAILABLE, "text", bytes, size);
        CHECK_TEXT(mesh_ctx_error(peer), "text");
        CHECK(mesh_ctx_error_retry_ms(peer) >= -1);
        mesh__ctx_reset(peer, MESH_NO_DEADLINE);
        mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    }
}

TEST(a_copied_failure_has_all_details_and_outlives_the_first)
{
    struct mesh_ctx *from = mesh__ctx_new("from", 0, MESH_NO_DEADLINE);

    CHECK_INT(mesh_fail_reason(from, MESH_ABORTED, "TAKEN", "%s is taken", "it"), MESH_ABORTED);
    mesh__error_copy(ctx, from);
    CHECK_INT(mesh_fail_resource(from, MESH_NOT_FOUND, "order", "7", "no order %d", 7),
              MESH_NOT_FOUND);
    mesh__error_copy(peer, from);
    mesh__ctx_free(from);
    CHECK_TEXT(mesh_ctx_error(ctx), "it is taken");
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "TAKEN");
    CHECK_TEXT(ctx->scope->error->domain, "from");
    CHECK_TEXT(mesh_ctx_error(peer), "no order 7");
    CHECK_TEXT(mesh_ctx_error_reason(peer), "");
    CHECK_TEXT(peer->scope->error->resource_type, "order");
    CHECK_TEXT(peer->scope->error->resource_name, "7");
}

TEST(a_copied_failure_keeps_the_fields_that_are_wrong)
{
    struct mesh_ctx *from = mesh__ctx_new("from", 0, MESH_NO_DEADLINE);

    CHECK_INT(mesh_fail_field(from, "sku.code", "is empty"), MESH_INVALID_ARGUMENT);
    mesh__error_copy(ctx, from);
    mesh__ctx_free(from);
    CHECK_INT(ctx->scope->error->n_violations, 1);
    CHECK_TEXT(ctx->scope->error->violations[0].field, "sku.code");
    CHECK_TEXT(ctx->scope->error->violations[0].text, "is empty");
}

TEST_MAIN(setup, teardown)
