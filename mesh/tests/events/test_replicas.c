/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of a service that read the same events, each a part of them. */
#include "consumer.h"
#include "db/leases.h"
#include "test.h"
#include "wall.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define HELD_BY "select count(*) from lease where name like 'partition/%%' and holder = '%s'"

struct reader {
    char name[32];
    struct consumer consumer;
    struct replica replica;
};

static void start(struct reader *reader, const struct consumer *like, const char *name)
{
    reader->consumer = *like;
    pthread_mutex_init(&reader->consumer.lock, NULL);
    reader->consumer.inbox.entries = &reader->consumer.entry;
    (void)snprintf(reader->name, sizeof(reader->name), "%s", name);
    reader->replica = start_replica(like->service, false, &reader->consumer.inbox,
                                    &reader->consumer, reader->name);
}

static void stop(struct reader *reader)
{
    stop_replica(&reader->replica);
}

static void wait_until_held(struct reader *reader, int64_t n)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), HELD_BY, reader->name);
    wait_for_int(reader->consumer.service, sql, n);
}

/* Waits until a replica has seen to its leases, knowing of all that was so before. */
static void wait_for_beat(struct reader *reader)
{
    char sql[160];

    for (int i = 0; i < 2; i++) { /* the first one may have been under way */
        int64_t at_us = query_int(reader->consumer.service,
                                  "select (extract(epoch from clock_timestamp()) * 1e6)::bigint");

        (void)snprintf(sql, sizeof(sql),
                       "select count(*) from replica where id = '%s'"
                       " and extract(epoch from kept_at) * 1e6 > %" PRId64,
                       reader->name, at_us);
        wait_for_int(reader->consumer.service, sql, 1);
    }
}

TEST(replicas_share_the_partitions_and_come_and_go_without_loss)
{
    struct pair *pair = pair_new("share1");
    static struct reader a, b, c;

    start(&a, &pair->consumer, "share1 0000000a");
    wait_until_held(&a, 8);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 100);
    CHECK_INT(a.consumer.calls, 100);
    start(&b, &pair->consumer, "share1 0000000b");
    wait_until_held(&b, 4);
    publish_keys(pair->publisher, 20);
    check_effects(&pair->consumer, 300);
    CHECK(b.consumer.calls > 0);
    start(&c, &pair->consumer, "share1 0000000c");
    publish_keys(pair->publisher, 20); /* while partitions change hands */
    stop(&a);
    publish_keys(pair->publisher, 20);
    wait_until_held(&b, 4);
    wait_until_held(&c, 4);
    check_effects(&pair->consumer, 700);
    stop(&b);
    wait_until_held(&c, 8);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 800);
    CHECK(c.consumer.calls > 0);
    stop(&c);
}

static void have_usual_leases(void)
{
    mesh__lease_ms = 3000;
}

TEST(a_replica_does_nothing_while_another_one_holds_everything)
{
    struct pair *pair = pair_new("share2");
    static struct reader a;
    uint64_t published = counter_of("mesh_relay_published_total");

    mesh__lease_ms = 60000; /* it does not take the other one to be gone */
    at_end(have_usual_leases);
    query_int(pair->consumer.service,
              "insert into replica select 'other', pid, backend_start, now()"
              " from pg_stat_get_activity(pg_backend_pid()) returning 1");
    query_int(pair->consumer.service,
              "insert into lease select 'partition/' || i, 'other' from generate_series(0, 7) as i"
              " returning 1");
    start(&a, &pair->consumer, "share2 0000000a");
    publish_keys(pair->publisher, 1);
    wait_for_counter("mesh_relay_published_total", published + 10);
    wait_for_beat(&a);
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from cursor"), 0);
    query_int(pair->consumer.service, "delete from replica where id = 'other' returning 1");
    check_effects(&pair->consumer, 10);
    stop(&a);
}

/* ---- replicas that cannot reach the broker ---- */

/* Connections that are being made wait while the gate is closed. */
static struct {
    const struct broker *real;
    struct broker table;
    atomic_bool closed;
} gate;

static void open_gate(void)
{
    atomic_store(&gate.closed, false);
}

static MESH_STATUS wait_at_gate(struct mesh_ctx *ctx, const struct broker_options *options,
                                struct broker_connection **ret_connection)
{
    while (atomic_load(&gate.closed)) {
        usleep(1000);
    }
    return gate.real->connect(ctx, options, ret_connection);
}

static void use_gate(void)
{
    gate.real = mesh__broker;
    gate.table = *mesh__broker;
    gate.table.connect = wait_at_gate;
    use_broker(&gate.table);
    at_end(open_gate);
}

/* By readers that are still being connected. */
TEST(partitions_that_were_won_and_lost_again_unseen_are_left)
{
    struct pair *pair;
    static struct reader a, b;

    use_gate();
    pair = pair_new("share3");
    publish_keys(pair->publisher, 1);
    check_stream(pair->publisher);
    atomic_store(&gate.closed, true);
    start(&a, &pair->consumer, "share3 0000000a");
    wait_until_held(&a, 8);
    start(&b, &pair->consumer, "share3 0000000b");
    wait_for_beat(&b);
    wait_for_beat(&a);
    wait_until_held(&a, 8); /* four of them are to be another's, but for the reader */
    open_gate();
    wait_until_held(&a, 4);
    wait_until_held(&b, 4);
    publish_keys(pair->publisher, 9);
    check_effects(&pair->consumer, 100);
    CHECK(a.consumer.calls > 0 && b.consumer.calls > 0);
    stop(&a);
    stop(&b);
}

TEST(a_replica_that_cannot_reach_the_broker_gives_its_partitions_to_one_that_can)
{
    struct pair *pair;
    static struct reader a, b;
    uint64_t given_up = counter_of("mesh_leases_given_up_total");

    set_patience(1000);
    use_wall("share4 0000000a", false);
    pair = pair_new("share4");
    start(&a, &pair->consumer, "share4 0000000a");
    start(&b, &pair->consumer, "share4 0000000b");
    wait_until_held(&a, 4);
    wait_until_held(&b, 4);
    shut_wall();
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 100);
    wait_until_held(&b, 8);
    CHECK_INT(counter_of("mesh_leases_given_up_total"), given_up + 4);
    open_wall();
    wait_until_held(&a, 4);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 200);
    stop(&a);
    stop(&b);
}

TEST(a_replica_that_has_not_reached_the_broker_takes_nothing_beside_one_that_has)
{
    struct pair *pair;
    static struct reader a, b;

    use_wall("share5 0000000a", false);
    pair = pair_new("share5");
    start(&b, &pair->consumer, "share5 0000000b");
    wait_until_held(&b, 8);
    shut_wall();
    start(&a, &pair->consumer, "share5 0000000a");
    wait_for_int(a.consumer.service,
                 "select count(*) from replica where id like '%a' and unable = '{partition}'", 1);
    wait_until_held(&b, 8);
    wait_for_beat(&b);
    wait_for_beat(&a);
    wait_until_held(&b, 8);
    publish_keys(pair->publisher, 1);
    check_effects(&pair->consumer, 10);
    stop(&a);
    stop(&b);
}

TEST(partitions_stay_where_they_are_while_nobody_can_reach_the_broker)
{
    struct pair *pair = pair_new("share6");
    static struct reader a, b;
    uint64_t given_up = counter_of("mesh_leases_given_up_total");

    start(&a, &pair->consumer, "share6 0000000a");
    start(&b, &pair->consumer, "share6 0000000b");
    wait_until_held(&a, 4);
    wait_until_held(&b, 4);
    kill_broker();
    wait_for_int(a.consumer.service, "select count(*) from replica where unable = '{partition}'",
                 2);
    set_patience(0); /* all are as one now */
    wait_for_beat(&a);
    wait_for_beat(&b);
    wait_until_held(&a, 4);
    wait_until_held(&b, 4);
    CHECK_INT(counter_of("mesh_leases_given_up_total"), given_up);
    set_patience(10000);
    start_broker();
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 100);
    CHECK_INT(counter_of("mesh_leases_given_up_total"), given_up);
    stop(&a);
    stop(&b);
}

TEST_EVENTS_MAIN(NULL)
