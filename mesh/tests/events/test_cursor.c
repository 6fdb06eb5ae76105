/* SPDX-License-Identifier: Apache-2.0 */
#include "events/cursor.h"
#include "events/events.h"
#include "test.h"

#include <stdio.h>

#define CREATED INT64_C(1700000000000000)
#define THEN INT64_C(1700000001000000)

static const struct broker_stream stream = {
    .created_us = CREATED, .first_sequence = 10, .last_sequence = 100};
static const struct broker_identity at = {"id-50", THEN};

static struct mesh__cursor cursor_at(uint64_t sequence)
{
    return (struct mesh__cursor){
        .sequence = sequence, .at = {"id-50", THEN}, .created_us = CREATED};
}

static enum mesh__verdict check(const struct mesh__cursor *cursor,
                                const struct broker_identity *identity)
{
    return mesh__cursor_check(cursor, cursor->sequence, &stream, identity);
}

TEST(a_cursor_inside_its_stream_fits)
{
    struct mesh__cursor cursor = cursor_at(50);

    CHECK(check(&cursor, &at) == MESH__CURSOR_FITS);
    CHECK(check(&cursor, NULL) == MESH__CURSOR_FITS);
    cursor.sequence = 100;
    CHECK(check(&cursor, &at) == MESH__CURSOR_FITS);
    cursor.sequence = 9; /* the next is the first */
    CHECK(check(&cursor, NULL) == MESH__CURSOR_FITS);
}

TEST(a_stream_made_anew_is_read_from_its_beginning)
{
    struct mesh__cursor cursor = cursor_at(50);

    cursor.created_us++;
    CHECK(check(&cursor, &at) == MESH__CURSOR_REWIND);
}

TEST(a_stream_that_ends_before_the_cursor_has_lost_messages)
{
    struct mesh__cursor cursor = cursor_at(101);

    CHECK(check(&cursor, NULL) == MESH__CURSOR_REWIND);
}

TEST(another_message_at_the_cursor_means_that_some_were_lost)
{
    struct mesh__cursor cursor = cursor_at(50);
    struct broker_identity other = at;

    other.time_us++;
    CHECK(check(&cursor, &other) == MESH__CURSOR_REWIND);
    other = at;
    other.id[0] = 'x';
    CHECK(check(&cursor, &other) == MESH__CURSOR_REWIND);
    cursor.at.id[0] = '\0'; /* what is not known is not compared */
    CHECK(check(&cursor, &other) == MESH__CURSOR_FITS);
}

TEST(messages_dropped_before_they_were_read_are_a_gap)
{
    struct mesh__cursor cursor = cursor_at(8);

    CHECK(check(&cursor, NULL) == MESH__CURSOR_GAP);
    /* What has arrived meanwhile counts as well. */
    CHECK(mesh__cursor_check(&cursor, 9, &stream, NULL) == MESH__CURSOR_FITS);
}

TEST(a_purged_stream_is_a_gap_only_for_those_who_had_not_read_it)
{
    const struct broker_stream purged = {
        .created_us = CREATED, .first_sequence = 101, .last_sequence = 100};
    struct mesh__cursor cursor = cursor_at(100);

    CHECK(mesh__cursor_check(&cursor, 100, &purged, NULL) == MESH__CURSOR_FITS);
    cursor.sequence = 99;
    CHECK(mesh__cursor_check(&cursor, 99, &purged, NULL) == MESH__CURSOR_GAP);
}

TEST(a_share_that_was_never_read_begins_wherever_the_stream_does)
{
    const struct mesh__cursor cursor = {0};

    CHECK(check(&cursor, NULL) == MESH__CURSOR_FITS);
}

TEST(keys_have_the_partitions_that_they_will_always_have)
{
    /* FNV-1a, 64 bits: the offset basis for "", af63dc4c8601ec8c for "a". */
    CHECK_INT(mesh__partition(""), 0xcbf29ce484222325 % 8);
    CHECK_INT(mesh__partition("a"), 0xaf63dc4c8601ec8c % 8);
    CHECK_INT(mesh__partition("foobar"), 0x85944171f73967e8 % 8);
}

TEST(keys_spread_over_all_partitions)
{
    int counts[MESH_PARTITIONS] = {0};

    for (int i = 0; i < 8000; i++) {
        char key[16];

        (void)snprintf(key, sizeof(key), "order-%d", i);
        counts[mesh__partition(key)]++;
    }
    for (int i = 0; i < MESH_PARTITIONS; i++) {
        CHECK(counts[i] > 800 && counts[i] < 1200);
    }
}

TEST_MAIN(NULL, NULL)
