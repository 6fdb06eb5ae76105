/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fake_clock.h"
#include "mesh/ctx.h"
#include "test.h"

#include <stdio.h>

#define MS MESH_NS_PER_MS

static struct mesh_ctx *ctx;

static int setup(void **state)
{
    static struct mesh_clock clock;

    (void)state;
    clock = (struct mesh_clock){fake_monotonic_ns, fake_wall_us, mesh__clock->random, fake_wait};
    mesh__clock = &clock;
    fake_ns = 1000 * MS;
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

/* ctx, empty, with this deadline in milliseconds from now. */
static void start(int64_t deadline_ms)
{
    fake_ns = 1000 * MS;
    mesh__ctx_reset(ctx, fake_ns + deadline_ms * MS);
}

TEST(time_left_is_never_negative_and_zero_only_when_it_is_over)
{
    start(250);
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 250);
    fake_ns += 249 * MS + 1;
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 1);
    fake_ns += MS - 1;
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 0);
    fake_ns += 100 * MS;
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 0);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK(mesh_ctx_remaining_ms(ctx) == INT64_MAX);
    mesh__ctx_reset(ctx, INT64_MIN);
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 0);
}

TEST(a_timeout_only_shortens)
{
    start(250);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, 100)), 100);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, 1000)), 250);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, INT64_MAX)), 250);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, 0)), 0);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, -5)), 0);
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 250);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(ctx, 100)), 100);
}

TEST(a_reserve_ends_earlier)
{
    start(250);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_reserve(ctx, 150)), 100);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_reserve(ctx, 300)), 0);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_reserve(ctx, INT64_MAX)), 0);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_reserve(ctx, -5)), 250);
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_timeout(mesh_ctx_reserve(ctx, 150), 500)), 100);
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    CHECK(mesh_ctx_remaining_ms(mesh_ctx_reserve(ctx, 150)) == INT64_MAX);
}

TEST(cancellation_reaches_views_and_forks_but_not_what_closes)
{
    atomic_bool cancelled = false;

    start(250);
    ctx->cancelled = &cancelled;
    ctx->inbound = (struct wire_call *)ctx; /* anything but NULL */
    ctx->scope->serves = true;
    {
        cleanup_ctx struct mesh_ctx *fork = mesh_ctx_fork(ctx);
        struct mesh_ctx *timeout = mesh_ctx_timeout(ctx, 10);
        struct mesh_ctx *closing = mesh_ctx_closing(timeout);

        CHECK(!mesh_ctx_cancelled(ctx) && !mesh_ctx_cancelled(timeout));
        atomic_store(&cancelled, true);
        CHECK(mesh_ctx_cancelled(ctx));
        CHECK(mesh_ctx_cancelled(timeout));
        CHECK(mesh_ctx_cancelled(fork));
        CHECK(fork->inbound == ctx->inbound && timeout->inbound == ctx->inbound);
        CHECK(!mesh_ctx_cancelled(closing));
        CHECK(closing->inbound == NULL);
        CHECK(fork->scope->serves && closing->scope->serves); /* the thread is as busy in them */
        CHECK_INT(mesh_ctx_remaining_ms(closing), 1000);
    }
    ctx->inbound = NULL;
}

TEST(what_closes_has_a_second_even_when_time_is_over)
{
    start(10);
    fake_ns += 500 * MS;
    CHECK_INT(mesh_ctx_remaining_ms(mesh_ctx_closing(ctx)), 1000);
}

TEST(views_share_error_and_memory)
{
    struct mesh_ctx *view;

    start(250);
    view = mesh_ctx_timeout(ctx, 10);
    mesh_ignore(mesh_fail(view, MESH_NOT_FOUND, "not there"));
    CHECK_TEXT(mesh_ctx_error(ctx), "not there");
    mesh_ctx_set_correlation_id(mesh_ctx_closing(ctx), "order-1");
    CHECK_TEXT(mesh_ctx_correlation_id(view), "order-1");
    CHECK(view->scope == ctx->scope);
}

TEST(a_fork_has_an_error_and_memory_of_its_own)
{
    cleanup_ctx struct mesh_ctx *fork = NULL;

    start(250);
    mesh_ctx_set_correlation_id(ctx, "order-1");
    strcpy(ctx->scope->causation_id, "cause");
    mesh_ctx_add_outgoing_metadata(ctx, "x-shared", "1", 1);
    mesh_ignore(mesh_fail(ctx, MESH_NOT_FOUND, "not there"));
    fork = mesh_ctx_fork(mesh_ctx_timeout(ctx, 100));
    CHECK_TEXT(mesh_ctx_error(fork), "");
    CHECK_INT(mesh_ctx_error_retry_ms(fork), -1);
    CHECK_INT(mesh_ctx_remaining_ms(fork), 100);
    CHECK_TEXT(mesh_ctx_correlation_id(fork), "order-1");
    CHECK_TEXT(fork->scope->causation_id, "cause");
    CHECK_TEXT(fork->scope->service, "test");
    CHECK_TEXT(mesh_ctx_trace_id(fork), mesh_ctx_trace_id(ctx));
    CHECK_TEXT(fork->scope->trace.span_id, ctx->scope->trace.span_id);
    CHECK(fork->scope->arena != ctx->scope->arena);
    CHECK(mesh__arena_cap(fork->scope->arena) == mesh__arena_cap(ctx->scope->arena));

    mesh_ignore(mesh_fail(fork, MESH_ABORTED, "elsewhere"));
    CHECK_TEXT(mesh_ctx_error(ctx), "not there");
    mesh_ctx_add_outgoing_metadata(fork, "x-own", "2", 1);
    CHECK_TEXT(fork->scope->outgoing->key, "x-own");
    CHECK_TEXT(fork->scope->outgoing->next->key, "x-shared");
    CHECK_TEXT(ctx->scope->outgoing->key, "x-shared");
}

TEST(a_reset_leaves_nothing_of_the_call_before)
{
    char trace[33];

    start(250);
    memcpy(trace, mesh_ctx_trace_id(ctx), sizeof(trace));
    mesh_ctx_set_correlation_id(ctx, "order-1");
    mesh_ctx_note(ctx, "order_id", "%d", 1);
    mesh_ctx_add_trailing_metadata(ctx, "x-key", "value", 5);
    mesh_ignore(mesh_fail_retry(ctx, 100, "later"));
    start(100);
    CHECK_TEXT(mesh_ctx_error(ctx), "");
    CHECK_INT(mesh_ctx_error_retry_ms(ctx), -1);
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), "");
    CHECK(ctx->scope->notes == NULL && ctx->scope->trailing == NULL);
    CHECK_TEXT(ctx->scope->service, "test");
    CHECK_INT(strlen(mesh_ctx_trace_id(ctx)), 32);
    CHECK(strcmp(mesh_ctx_trace_id(ctx), trace) != 0);
    CHECK_INT(mesh_ctx_remaining_ms(ctx), 100);
}

static unsigned n_drained;

static void count_drain(struct mesh_ctx *drained)
{
    n_drained++;
    drained->scope->calls = NULL;
    drained->scope->streams = NULL;
}

TEST(calls_under_way_are_drained_before_their_memory_goes)
{
    cleanup_ctx struct mesh_ctx *fork = mesh_ctx_fork(ctx);

    n_drained = 0;
    mesh__ctx_drain = count_drain;
    mesh__ctx_reset(fork, MESH_NO_DEADLINE);
    CHECK_INT(n_drained, 0); /* none under way */
    fork->scope->calls = (struct mesh_call *)fork;
    mesh__ctx_reset(fork, MESH_NO_DEADLINE);
    CHECK_INT(n_drained, 1);
    fork->scope->streams = (struct mesh_stream *)fork;
    mesh__ctx_reset(fork, MESH_NO_DEADLINE);
    CHECK_INT(n_drained, 2);
    mesh__ctx_drain = NULL;
}

TEST(a_background_context_has_a_deadline_and_a_trace)
{
    cleanup_ctx struct mesh_ctx *background = mesh_ctx_background(300);

    CHECK_INT(mesh_ctx_remaining_ms(background), 300);
    CHECK_INT(strlen(mesh_ctx_trace_id(background)), 32);
    CHECK(!mesh_ctx_cancelled(background));
    CHECK(mesh_ctx_metadata(background, "key", NULL) == NULL);
}

TEST(memory_is_zeroed_and_text_is_copied)
{
    char text[] = "text";
    char *copy = mesh_strdup(ctx, text);
    const char *zeros = mesh_alloc(ctx, 64);

    text[0] = 'n';
    CHECK_TEXT(copy, "text");
    CHECK(mesh_strdup(ctx, NULL) == NULL);
    for (size_t i = 0; i < 64; i++) {
        CHECK_INT(zeros[i], 0);
    }
}

TEST(text_of_any_length_is_formatted)
{
    static char longer[5000];
    const char *text;

    memset(longer, 'x', sizeof(longer) - 1);
    CHECK_TEXT(mesh_printf(ctx, "%s-%d", "a", 7), "a-7");
    CHECK_TEXT(mesh_printf(ctx, "%s", ""), "");
    text = mesh_printf(ctx, "%s|%d", longer, 7);
    CHECK_INT(strlen(text), sizeof(longer) - 1 + 2);
    CHECK_TEXT(text + sizeof(longer) - 1, "|7");
    for (int size = 250; size < 260; size++) { /* around the buffer */
        CHECK_INT(strlen(mesh_printf(ctx, "%.*s", size, longer)), size);
    }
}

TEST(a_correlation_id_is_bounded)
{
    char longer[300];

    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    mesh_ctx_set_correlation_id(ctx, longer);
    CHECK_INT(strlen(mesh_ctx_correlation_id(ctx)), 128);
    mesh_ctx_set_correlation_id(ctx, mesh_ctx_correlation_id(ctx)); /* its own text */
    CHECK_INT(strlen(mesh_ctx_correlation_id(ctx)), 128);
    mesh_ctx_set_correlation_id(ctx, NULL);
    CHECK_TEXT(mesh_ctx_correlation_id(ctx), "");
}

TEST(a_correlation_id_is_not_cut_within_a_character)
{
    char text[131];

    memset(text, 'x', 127);
    memcpy(text + 127, "\xe2\x82\xac", 4);
    mesh_ctx_set_correlation_id(ctx, text);
    CHECK_INT(strlen(mesh_ctx_correlation_id(ctx)), 127);
}

TEST(a_sleep_ends_with_its_time_or_with_the_call)
{
    atomic_bool cancelled = false;
    atomic_bool stopping = false;

    start(5000);
    ctx->cancelled = &cancelled;
    ctx->stopping = &stopping;
    CHECK(mesh_ctx_sleep(ctx, 3000) == MESH_OK);
    CHECK(fake_ns == 4000 * MS);
    CHECK(mesh_ctx_sleep(ctx, 3000) == MESH_DEADLINE_EXCEEDED);
    CHECK(fake_ns == 6000 * MS);
    start(5000);
    ctx->stopping = &stopping;
    stopping = true;
    CHECK(mesh_ctx_sleep(ctx, 3000) == MESH_UNAVAILABLE);
    CHECK(mesh_ctx_sleep(mesh_ctx_closing(ctx), 100) == MESH_OK);
    ctx->cancelled = &cancelled;
    cancelled = true;
    CHECK(mesh_ctx_sleep(ctx, 3000) == MESH_CANCELLED);
}

TEST_MAIN(setup, teardown)
