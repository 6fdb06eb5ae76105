/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "events/reader.h"
#include "test.h"

#include <stdio.h>

static struct mesh__share share;
static struct mesh__reader reader = {.shares = &share,
                                     .n_shares = 1,
                                     .lock = PTHREAD_MUTEX_INITIALIZER,
                                     .changed = PTHREAD_COND_INITIALIZER};

/* A share that has read up to 100 and listens to the consumer "c". */
static void begin(void)
{
    share.cursor.sequence = 100;
    mesh__inflow_reset(&reader, &share, &(struct broker_consumer){.name = "c"});
}

static int end(void **state)
{
    (void)state;
    mesh__inflow_reset(&reader, &share, NULL);
    return 0;
}

static void arrive(const char *consumer, uint64_t sequence, uint64_t delivery)
{
    const struct broker_message message = {.subject = "s",
                                           .id = "i",
                                           .consumer = consumer,
                                           .sequence = sequence,
                                           .consumer_sequence = delivery,
                                           .data = (const uint8_t *)"",
                                           .size = 0};

    mesh__inflow_message(&reader, mesh__broker_message_new(&message));
}

static int peek(uint64_t *ret_first)
{
    const struct broker_message *messages[MESH__BATCH];
    int n = mesh__inflow_peek(&reader, &share, MESH__BATCH, messages);

    *ret_first = n > 0 ? messages[0]->sequence : 0;
    return n;
}

TEST(messages_wait_in_order_until_they_are_dropped)
{
    uint64_t first;

    begin();
    arrive("c", 105, 1);
    arrive("c", 106, 2);
    arrive("c", 110, 3);
    CHECK_INT(peek(&first), 3);
    CHECK(first == 105);
    mesh__inflow_drop(&reader, &share, 106);
    CHECK_INT(peek(&first), 1);
    CHECK(first == 110);
    CHECK(!mesh__inflow_broken(&reader, &share));
}

TEST(a_lost_delivery_breaks_the_share)
{
    uint64_t first;

    begin();
    arrive("c", 105, 1);
    arrive("c", 107, 3);
    CHECK(mesh__inflow_broken(&reader, &share));
    arrive("c", 108, 4); /* nothing more is taken */
    CHECK_INT(peek(&first), 1);
}

TEST(what_another_replica_has_read_is_passed_over_when_it_arrives)
{
    uint64_t first;

    begin();
    arrive("c", 105, 1);
    mesh__inflow_drop(&reader, &share, 120); /* that is where the other one is */
    arrive("c", 110, 2);
    arrive("c", 120, 3);
    CHECK_INT(peek(&first), 0);
    arrive("c", 121, 4);
    CHECK_INT(peek(&first), 1);
    CHECK(first == 121);
    CHECK(!mesh__inflow_broken(&reader, &share));
}

TEST(messages_of_a_consumer_that_was_given_up_are_ignored)
{
    uint64_t first;

    begin();
    arrive("old", 200, 1);
    CHECK_INT(peek(&first), 0);
    CHECK(!mesh__inflow_broken(&reader, &share));
}

/* After a restart it may count messages that it has sent before. */
TEST(nothing_waits_at_a_broker_that_waits_itself)
{
    struct broker_pull_note alive = {
        .state = BROKER_PULL_ALIVE, .consumer_sequence = 1, .stream_sequence = 105};
    const struct broker_message message = {.subject = "s",
                                           .id = "i",
                                           .consumer = "c",
                                           .sequence = 105,
                                           .consumer_sequence = 1,
                                           .pending = 2,
                                           .data = (const uint8_t *)""};

    begin();
    (void)mesh__inflow_wants(&reader, &share, &alive.tag);
    mesh__inflow_message(&reader, mesh__broker_message_new(&message));
    CHECK_INT(mesh__inflow_lag(&reader, &share), 3);
    mesh__inflow_drop(&reader, &share, 105);
    CHECK(!mesh__inflow_current(&reader, &share));
    alive.consumer_sequence = 2; /* one is still on its way */
    mesh__inflow_note(&reader, &alive);
    CHECK_INT(mesh__inflow_lag(&reader, &share), 2);
    alive.consumer_sequence = 1;
    mesh__inflow_note(&reader, &alive);
    CHECK_INT(mesh__inflow_lag(&reader, &share), 0);
    CHECK(mesh__inflow_current(&reader, &share));
}

TEST(a_pull_is_repeated_when_it_is_over_and_there_is_room)
{
    struct broker_pull_note ended = {.state = BROKER_PULL_ENDED};
    uint64_t tag, sequence = 101;

    begin();
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), MESH__QUEUE);
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), 0);
    for (int i = 1; i <= MESH__QUEUE; i++) {
        arrive("c", sequence++, (uint64_t)i);
    }
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), 0); /* fulfilled, but no room */
    mesh__inflow_drop(&reader, &share, UINT64_C(100) + MESH__BATCH);
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), MESH__BATCH);
    ended.tag = tag - 1;
    mesh__inflow_note(&reader, &ended); /* of the pull before */
    CHECK(share.in.awaited == MESH__BATCH);
    ended.tag = tag;
    mesh__inflow_note(&reader, &ended);
    CHECK_INT(share.in.awaited, 0);
    /* Refused at once: not asked again at once. */
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), 0);
    CHECK(mesh__inflow_due_ns(&reader, &share) > mesh__now_ns());
}

TEST(a_pull_that_is_refused_breaks_the_share)
{
    struct broker_pull_note refused = {.state = BROKER_PULL_REFUSED};

    begin();
    CHECK_INT(mesh__inflow_wants(&reader, &share, &refused.tag), MESH__QUEUE);
    refused.tag--;
    mesh__inflow_note(&reader, &refused); /* of the pull before */
    CHECK(!mesh__inflow_broken(&reader, &share));
    refused.tag++;
    mesh__inflow_note(&reader, &refused);
    CHECK(mesh__inflow_broken(&reader, &share));
}

TEST(a_broker_cannot_send_more_than_was_asked_for)
{
    begin();
    for (uint64_t i = 1; i <= MESH__QUEUE + 1; i++) {
        arrive("c", 100 + i, i);
    }
    CHECK_INT(share.in.queued, MESH__QUEUE);
    CHECK(mesh__inflow_broken(&reader, &share));
}

TEST(large_messages_make_a_share_pull_later)
{
    static const uint8_t large[256 * 1024];
    uint64_t tag;

    begin();
    (void)mesh__inflow_wants(&reader, &share, &tag);
    for (uint64_t i = 1; i <= MESH__QUEUE_BYTES / sizeof(large); i++) {
        const struct broker_message message = {.subject = "s",
                                               .id = "i",
                                               .consumer = "c",
                                               .sequence = 100 + i,
                                               .consumer_sequence = i,
                                               .data = large,
                                               .size = sizeof(large)};

        mesh__inflow_message(&reader, mesh__broker_message_new(&message));
    }
    mesh__inflow_note(&reader, &(struct broker_pull_note){.tag = tag, .state = BROKER_PULL_ENDED});
    share.in.pull_again_ns = 0;
    CHECK_INT(mesh__inflow_wants(&reader, &share, &tag), 0);
    mesh__inflow_drop(&reader, &share, 101);
    CHECK(mesh__inflow_wants(&reader, &share, &tag) > 0);
}

TEST(a_quiet_share_is_complete_as_far_as_the_broker_has_looked)
{
    struct broker_pull_note alive = {
        .state = BROKER_PULL_ALIVE, .stream_sequence = 500, .consumer_sequence = 0};

    begin();
    CHECK(mesh__inflow_wants(&reader, &share, &alive.tag) > 0);
    CHECK(mesh__inflow_quiet(&reader, &share) == 100);
    mesh__inflow_note(&reader, &alive);
    CHECK(mesh__inflow_quiet(&reader, &share) == 500);
    alive.consumer_sequence = 1; /* a message was sent that is not here: it proves nothing */
    alive.stream_sequence = 600;
    mesh__inflow_note(&reader, &alive);
    CHECK(mesh__inflow_quiet(&reader, &share) == 500);
}

TEST(a_share_with_messages_to_read_is_not_quiet)
{
    begin();
    arrive("c", 300, 1);
    CHECK(mesh__inflow_quiet(&reader, &share) == 0);
    CHECK(mesh__inflow_complete(&reader, &share) == 300);
    mesh__inflow_drop(&reader, &share, 300);
    CHECK(mesh__inflow_quiet(&reader, &share) == 300);
}

static int64_t now_ns;

static int64_t fake_now(void)
{
    return now_ns;
}

TEST(silence_longer_than_the_heartbeats_breaks_a_share_that_has_pulled)
{
    const struct mesh_clock *real = mesh__clock;
    struct mesh_clock fake = *real;
    struct broker_pull_note alive = {.state = BROKER_PULL_ALIVE};

    begin();
    fake.monotonic_ns = fake_now;
    mesh__clock = &fake;
    now_ns = 1000 * MESH_NS_PER_S;
    CHECK(!mesh__inflow_broken(&reader, &share)); /* nothing was asked for */
    CHECK(mesh__inflow_wants(&reader, &share, &alive.tag) > 0);
    now_ns += 3 * mesh__broker->heartbeat_ms * MESH_NS_PER_MS;
    CHECK(!mesh__inflow_broken(&reader, &share));
    mesh__inflow_note(&reader, &alive);
    now_ns += 3 * mesh__broker->heartbeat_ms * MESH_NS_PER_MS;
    CHECK(!mesh__inflow_broken(&reader, &share));
    now_ns += 1;
    CHECK(mesh__inflow_broken(&reader, &share));
    mesh__clock = real;
}

TEST_MAIN(NULL, end)
