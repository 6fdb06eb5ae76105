/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of a service that read the same events, each a part of them. */
#include "consumer.h"
#include "test.h"

#include <stdio.h>

#define HELD_BY "select count(*) from lease where name like 'partition/%%' and holder = '%s'"

struct replica {
    char name[32];
    struct consumer consumer;
    struct mesh__leases *leases;
    struct mesh_events *events;
};

static void start(struct replica *replica, const struct consumer *like, const char *name)
{
    replica->consumer = *like;
    pthread_mutex_init(&replica->consumer.lock, NULL);
    replica->consumer.inbox.entries = &replica->consumer.entry;
    (void)snprintf(replica->name, sizeof(replica->name), "%s", name);
    replica->leases = mesh__leases_new(&(struct mesh__leases_options){
        .url = like->service->url, .schema = like->service->schema, .replica = replica->name});
    replica->events = start_replica(like->service, false, &replica->consumer.inbox,
                                    &replica->consumer, replica->leases);
    mesh__leases_start(replica->leases);
}

static void stop(struct replica *replica)
{
    mesh__events_stop(replica->events);
    mesh__leases_stop(replica->leases);
    stop_events(replica->events);
    mesh__leases_free(replica->leases);
}

static void wait_until_held(struct replica *replica, int64_t n)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql), HELD_BY, replica->name);
    wait_for_int(replica->consumer.service, sql, n);
}

TEST(replicas_share_the_partitions_and_come_and_go_without_loss)
{
    struct pair *pair = pair_new("share1");
    static struct replica a, b, c;

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

TEST(a_replica_does_nothing_while_another_one_holds_everything)
{
    struct pair *pair = pair_new("share2");
    static struct replica a;
    uint64_t published = counter_of("mesh_relay_published_total");

    /* By a session that lasts as long as the test. */
    query_int(pair->consumer.service,
              "insert into replica select 'other', pid, backend_start, now(), now() + interval '1 "
              "hour' from pg_stat_get_activity(pg_backend_pid()) returning 1");
    query_int(pair->consumer.service,
              "insert into lease select 'partition/' || i, 'other' from generate_series(0, 7) as i"
              " returning 1");
    start(&a, &pair->consumer, "share2 0000000a");
    publish_keys(pair->publisher, 1);
    wait_for_counter("mesh_relay_published_total", published + 10);
    /* It has kept its row for longer than a replica without a session lives. */
    wait_for_int(pair->consumer.service,
                 "select count(*) from replica where id = 'share2 0000000a'"
                 " and kept_at > (select kept_at from replica where id = 'other')"
                 " + interval '1.5 s'",
                 1);
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from cursor"), 0);
    query_int(pair->consumer.service, "delete from replica where id = 'other' returning 1");
    check_effects(&pair->consumer, 10);
    stop(&a);
}

TEST_EVENTS_MAIN(NULL)
