/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of a service that publish: one relay at a time. */
#include "db/leases.h"
#include "events/events_impl.h"
#include "fixture.h"
#include "test.h"
#include "wall.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct publisher {
    struct service service; /* with a pool of its own, whose commits wake its relay */
    char name[32];
    struct replica replica;
    atomic_int pings;
};

static void on_ping(void *arg, const char *name)
{
    struct publisher *publisher = arg;

    atomic_fetch_add(&publisher->pings, strcmp(name, "test") == 0);
}

static void start(struct publisher *publisher, const struct service *service, struct mesh_db *db,
                  const char *name)
{
    *publisher = (struct publisher){.service = *service};
    publisher->service.db = db;
    (void)snprintf(publisher->name, sizeof(publisher->name), "%s", name);
    publisher->replica = start_replica(&publisher->service, true, NULL, NULL, publisher->name);
    mesh__events_on_ping(publisher->replica.events, on_ping, publisher);
}

static void stop(struct publisher *publisher)
{
    stop_replica(&publisher->replica);
}

static void wait_until_relay_of(struct service *service, const char *name)
{
    char sql[128];

    (void)snprintf(sql, sizeof(sql),
                   "select count(*) from lease where name = 'relay/0' and holder = '%s'", name);
    wait_for_int(service, sql, 1);
}

TEST(the_relay_goes_from_replica_to_replica_and_publishes_everything_once)
{
    struct service *service = service_new("relays1", "counter");
    static struct publisher a, b;

    start(&a, service, service->db, "relays1 0000000a");
    wait_until_relay_of(service, a.name);
    count_and_commit(&a.service, "k", 10);
    start(&b, service, service->silent, "relays1 0000000b");
    count_and_commit(&b.service, "k", 10);
    check_stream(service);
    stop(&a);
    count_and_commit(service, "k", 10);
    wait_until_relay_of(service, b.name);
    count_and_commit(&b.service, "k", 10);
    check_stream(service);
    start(&a, service, service->db, "relays1 1000000a");
    count_and_commit(&a.service, "k", 10);
    stop(&b);
    count_and_commit(&a.service, "k", 10);
    check_stream(service);
    stop(&a);
}

/* Nothing else wakes it. */
TEST(a_commit_of_one_replica_wakes_the_relay_of_another)
{
    struct service *service = service_new("relays2", "counter");
    static struct publisher a, b;

    let_relays_sleep();
    start(&a, service, service->db, "relays2 0000000a");
    wait_until_relay_of(service, a.name);
    start(&b, service, service->silent, "relays2 0000000b");
    count_and_commit(&a.service, "k", 1);
    wait_for_stream("relays2", 1);       /* its pass is over, or soon will be */
    while (atomic_load(&a.pings) == 0) { /* both are connected */
        mesh__events_ping(b.replica.events, "test");
        usleep(1000);
    }
    for (uint64_t n = 2; n <= 6; n++) {
        count_and_commit(&b.service, "k", 1);
        wait_for_stream("relays2", n);
    }
    stop(&b);
    stop(&a);
}

TEST(a_relay_that_was_taken_over_unnoticed_saves_no_position)
{
    struct service *service = service_new("relays3", "counter");
    static struct publisher a;
    static const struct mesh_sql lock = {
        "lock_replica", "select from replica where id = 'relays3 0000000a' for update"};
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;
    int64_t last;

    mesh__lease_ms = 60000;
    start(&a, service, service->db, "relays3 0000000a");
    wait_until_relay_of(service, a.name);
    count_and_commit(&a.service, "k", 1);
    wait_for_int(service, "select count(*) from relay_position where last_sequence = 1", 1);
    /* The next one is due as soon as there is something to be saved. */
    wait_for_int(service,
                 "select (max(saved_at) < now() - interval '1 s')::int from relay_position", 1);
    watch_log("another replica has taken the relay over");
    last = query_int(service, "select max(id) from relay_position");
    /* While this lasts the replica cannot look at its leases, and goes on with those it had. */
    CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
    CHECK(mesh_tx_query(ctx, tx, &lock, MESH_NO_ARGS, &rows) == MESH_OK);
    wait_for_int(service,
                 "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                 " and application_name = 'relays3 0000000a'",
                 1);
    query_int(service,
              "with other as (insert into replica select 'other', pid, backend_start, now()"
              " from pg_stat_get_activity(pg_backend_pid()))"
              " update lease set holder = 'other' where name = 'relay/0' returning 1");
    count_and_commit(&a.service, "k", 1);
    wait_for_watched_line();
    CHECK_INT(query_int(service, "select max(id) from relay_position"), last);
    mesh__cleanup_tx(&tx);
    query_int(service, "delete from replica where id = 'other' returning 1");
    count_and_commit(&a.service, "k", 1);
    check_stream(service);
    wait_for_int(service, "select count(*) from relay_position where last_sequence = 3", 1);
    stop(&a);
    mesh__lease_ms = 3000;
}

TEST(a_relay_that_cannot_reach_the_broker_gives_way_to_one_that_can)
{
    struct service *service;
    static struct publisher a, b;

    set_patience(1000);
    use_wall("relays4 0000000a", true);
    service = service_new("relays4", "counter");
    start(&a, service, service->db, "relays4 0000000a");
    wait_until_relay_of(service, a.name);
    start(&b, service, service->silent, "relays4 0000000b");
    count_and_commit(&a.service, "k", 10);
    wait_for_stream("relays4", 10);
    shut_wall();
    count_and_commit(&a.service, "k", 10);
    wait_until_relay_of(service, b.name);
    check_stream(service);
    open_wall();
    stop(&b);
    count_and_commit(&a.service, "k", 10);
    check_stream(service);
    stop(&a);
}

TEST_EVENTS_MAIN(NULL)
