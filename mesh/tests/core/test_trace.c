/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fake_clock.h"
#include "test.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static bool taken(const char *traceparent)
{
    struct mesh__trace trace;

    mesh__trace_from(&trace, traceparent);
    CHECK_INT(strlen(trace.trace_id), 32);
    CHECK_INT(strspn(trace.trace_id, "0123456789abcdef"), 32);
    CHECK_INT(strlen(trace.span_id), 16);
    CHECK_INT(strspn(trace.span_id, "0123456789abcdef"), 16);
    CHECK(strcmp(trace.span_id, PARENT) != 0);
    return strcmp(trace.trace_id, TRACE) == 0 && strcmp(trace.parent_id, PARENT) == 0;
}

TEST(a_valid_parent_is_taken)
{
    struct mesh__trace trace;

    CHECK(taken("00-" TRACE "-" PARENT "-01"));
    mesh__trace_from(&trace, "00-" TRACE "-" PARENT "-00");
    CHECK_INT(trace.flags, 0);
    mesh__trace_from(&trace, "00-" TRACE "-" PARENT "-ff");
    CHECK_INT(trace.flags, 1); /* the only flag of version 00 */
}

TEST(later_versions_may_be_longer)
{
    CHECK(taken("01-" TRACE "-" PARENT "-01"));
    CHECK(taken("cc-" TRACE "-" PARENT "-01-what-the-future-brings"));
    CHECK(!taken("cc-" TRACE "-" PARENT "-01.what-the-future-brings"));
    CHECK(!taken("cc-" TRACE "-" PARENT "-012"));
}

TEST(anything_else_starts_a_new_trace)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-more",
        "00-" TRACE "-" PARENT "-01 ",
        " 00-" TRACE "-" PARENT "-01",
        "ff-" TRACE "-" PARENT "-01",
        "0x-" TRACE "-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-" TRACE "_" PARENT "-01",
        "00-" TRACE "-" PARENT "_01",
        "00-" TRACE "-" PARENT "-0g",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00-" TRACE "-B7AD6B7169203331-01",
        "00-" TRACE "-b7ad6b716920333-101",
    };
    struct mesh__trace trace;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK(!taken(bad[i]));
        mesh__trace_from(&trace, bad[i]);
        CHECK_TEXT(trace.parent_id, "");
    }
    CHECK(!taken(NULL));
}

TEST(every_call_is_a_span_of_its_own)
{
    struct mesh__trace first;
    struct mesh__trace second;

    mesh__trace_from(&first, "00-" TRACE "-" PARENT "-01");
    mesh__trace_from(&second, "00-" TRACE "-" PARENT "-01");
    CHECK(strcmp(first.span_id, second.span_id) != 0);
    mesh__trace_from(&first, NULL);
    mesh__trace_from(&second, NULL);
    CHECK(strcmp(first.trace_id, second.trace_id) != 0);
}

TEST(what_is_sent_on_is_valid_and_names_our_span)
{
    struct mesh__trace trace;
    struct mesh__trace theirs;
    char text[56];

    mesh__trace_from(&trace, "00-" TRACE "-" PARENT "-01");
    mesh__trace_format(&trace, text);
    CHECK_INT(strlen(text), 55);
    mesh__trace_from(&theirs, text);
    CHECK_TEXT(theirs.trace_id, TRACE);
    CHECK_TEXT(theirs.parent_id, trace.span_id);
    CHECK_INT(theirs.flags, 1);
}

TEST(ids_are_valid_even_if_chance_makes_them_zero)
{
    const struct mesh_clock *real = mesh__clock;
    struct mesh__trace trace;
    char text[56];

    mesh__clock = &fake_clock;
    fake_byte = 0;
    mesh__trace_from(&trace, NULL);
    mesh__clock = real;
    CHECK_TEXT(trace.trace_id, "00000000000000000000000000000001");
    CHECK_TEXT(trace.span_id, "0000000000000001");
    mesh__trace_format(&trace, text);
    CHECK_TEXT(text, "00-00000000000000000000000000000001-0000000000000001-01");
}

TEST(the_state_of_a_trace_that_was_not_taken_is_dropped)
{
    const struct mesh__pair pair = {NULL, "tracestate", "a=1", 3};
    struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);

    ctx->scope->request_metadata = &pair;
    mesh__trace_from(&ctx->scope->trace, "00-" TRACE "-" PARENT "-01");
    mesh__trace_take_state(ctx);
    CHECK_TEXT(ctx->scope->trace.state, "a=1");
    mesh__trace_from(&ctx->scope->trace, "00-junk");
    mesh__trace_take_state(ctx);
    CHECK(ctx->scope->trace.state == NULL);
    mesh__ctx_free(ctx);
}

TEST_MAIN(NULL, NULL)
