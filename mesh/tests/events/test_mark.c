/* SPDX-License-Identifier: Apache-2.0 */
#include "events/relay_mark.h"
#include "test.h"

#define CREATED INT64_C(1700000000000000)
#define NOW (CREATED + 5000)

static const struct broker_stream stream = {
    .created_us = CREATED, .first_sequence = 10, .last_sequence = 100, .max_age_us = 1000};
static const struct broker_identity ours = {.id = "id-50"};
static const struct broker_identity other = {.id = "id-51"};

struct row {
    struct mesh__mark mark;
    const struct broker_identity *at;
    enum mesh__loss loss;
    const char *reason;
};

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *reason = "";

        CHECK_INT(mesh__mark_check(&rows[i].mark, "server", &stream, rows[i].at, NOW, &reason),
                  rows[i].loss);
        CHECK_TEXT(reason, rows[i].reason);
    }
}

#define CHECK_ROWS(...)                                                                            \
    check_rows((const struct row[]){__VA_ARGS__},                                                  \
               sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

TEST(a_broker_that_has_our_last_event_has_lost_nothing)
{
    CHECK_ROWS({{"server", CREATED, 50, "id-50", 50, NOW, NOW}, &ours, MESH__LOSS_NONE, ""},
               {{"server", CREATED, 50, "id-50", 50, NOW, NOW},
                NULL,
                MESH__LOSS_NONE,
                ""}, /* deleted by hand */
               {{"server", CREATED, 10, "id-50", 10, NOW, NOW}, &ours, MESH__LOSS_NONE, ""},
               {{"server", CREATED, 100, "id-50", 100, NOW, NOW}, &ours, MESH__LOSS_NONE, ""});
}

TEST(a_stream_that_is_not_the_same_has_lost_events)
{
    CHECK_ROWS({{"server", CREATED - 1, 50, "id-50", 50, NOW, NOW},
                &ours,
                MESH__LOSS_ANY,
                "the stream was made anew"},
               {{"server", CREATED + 1, 50, "id-50", 50, NOW, NOW},
                NULL,
                MESH__LOSS_ANY,
                "the stream was made anew"},
               {{"server", CREATED, 101, "id-50", 101, NOW, NOW},
                NULL,
                MESH__LOSS_ANY,
                "the stream ends before our last event"},
               {{"server", CREATED, 9, "id-50", 9, NOW, NOW},
                NULL,
                MESH__LOSS_ANY,
                "the stream begins behind our last event"},
               {{"server", CREATED, 50, "id-50", 50, NOW, NOW},
                &other,
                MESH__LOSS_ANY,
                "the stream has another message in place of our last event"});
}

/* As after a purge under load: what was published since is there. */
TEST(a_stream_that_begins_behind_what_it_had_before_has_lost_events)
{
    CHECK_ROWS({{"server", CREATED, 50, "id-50", 10, NOW, NOW}, &ours, MESH__LOSS_NONE, ""},
               {{"server", CREATED, 50, "id-50", 9, NOW, NOW},
                &ours,
                MESH__LOSS_ANY,
                "the stream begins behind our last event"});
}

TEST(a_mark_moves_forward_only)
{
    struct mesh__mark mark = {.sequence = 0};

    mesh__mark_move(&mark, 5, "id-5", NOW);
    CHECK(mark.sequence == 5 && mark.seen == 5);
    mesh__mark_move(&mark, 7, "id-7", NOW + 1);
    CHECK(mark.sequence == 7 && mark.seen == 5);
    mesh__mark_move(&mark, 6, "id-6", NOW + 2); /* stored before: a duplicate */
    CHECK(mark.sequence == 7 && mark.seen == 5);
    CHECK_TEXT(mark.message_id, "id-7");
    CHECK(mark.acked_us == NOW + 1 && mark.seen_us == NOW);
    mesh__mark_seen(&mark);
    CHECK(mark.seen == 7 && mark.seen_us == NOW + 1);
}

TEST(what_has_left_the_stream_by_its_age_is_not_lost)
{
    CHECK_ROWS(
        {{"server", CREATED, 9, "id-9", 9, NOW - 1000, NOW - 1000}, NULL, MESH__LOSS_NONE, ""},
        {{"server", CREATED, 9, "id-9", 9, NOW - 999, NOW - 999},
         NULL,
         MESH__LOSS_ANY,
         "the stream begins behind our last event"});
}

TEST(a_server_that_was_started_anew_may_have_lost_the_latest_events)
{
    CHECK_ROWS({{"before", CREATED, 50, "id-50", 50, NOW, NOW}, &ours, MESH__LOSS_LATEST, ""},
               {{"before", CREATED, 50, "id-50", 50, NOW, NOW}, NULL, MESH__LOSS_LATEST, ""},
               {{"before", CREATED, 50, "id-50", 50, NOW, NOW},
                &other,
                MESH__LOSS_ANY,
                "the stream has another message in place of our last event"},
               {{"before", CREATED, 101, "id-50", 101, NOW, NOW},
                NULL,
                MESH__LOSS_ANY,
                "the stream ends before our last event"});
}

TEST(where_nothing_was_published_nothing_is_lost)
{
    CHECK_ROWS({{"", 0, 0, "", 0, NOW, NOW}, NULL, MESH__LOSS_NONE, ""},
               {{"before", CREATED, 0, "", 0, NOW, NOW}, NULL, MESH__LOSS_NONE, ""},
               {{"server", CREATED - 1, 0, "", 0, NOW, NOW}, &other, MESH__LOSS_NONE, ""});
}

TEST_MAIN(NULL, NULL)
