/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers beside sessions that keep a row locked. */
#include "consumer.h"
#include "events/parking.h"
#include "test.h"

#include <stdio.h>

#define LOCKED "locked"
/* Lines that tell of a share: more tries than an event that is refused has. */
#define COMPLAINTS 3
#define PARKED "select count(*) from dead_letter"

static int usual;

static void be_patient(void)
{
    mesh__park_at = usual;
}

/* The handler locks the aggregate of its key, if there is one. */
static struct pair *pair_with_aggregate(const char *system)
{
    struct pair *pair = pair_new(system);

    superuser_run("create function %s_consumer.lock_aggregate() returns trigger language plpgsql"
                  "    as $$ begin perform from %s_consumer.counter where key = new.key for update;"
                  "                return new; end $$",
                  system, system);
    superuser_run("create trigger lock_aggregate before insert on %s_consumer.effect"
                  "    for each row execute function %s_consumer.lock_aggregate()",
                  system, system);
    superuser_run("insert into %s_consumer.counter values ('" LOCKED "', 1)", system);
    usual = mesh__park_at;
    mesh__park_at = 2; /* so that a try which counts shows */
    at_end(be_patient);
    return pair;
}

/* A transaction of somebody else that holds what sql locks until it ends. */
static struct mesh_tx *hold(struct mesh_ctx *ctx, struct service *service, const char *sql)
{
    const struct mesh_sql statement = {"hold", sql};
    struct mesh_rows *rows;
    struct mesh_tx *tx = NULL;

    CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
    CHECK(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows) == MESH_OK);
    return tx;
}

/* One event of each key from k-0 to k-9 that is in another share; returns how many. */
static int64_t publish_beside(struct service *publisher)
{
    int64_t n = 0;

    for (int i = 0; i < 10; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "k-%d", i);
        if (mesh__partition(key) != mesh__partition(LOCKED)) {
            count_and_commit(publisher, key, 1);
            n++;
        }
    }
    return n;
}

/* Events of other shares are handled while that of the locked one is tried again and again. */
static void check_the_others(struct pair *pair, struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    struct service *service = pair->consumer.service;
    uint64_t failures = counter_of("mesh_consumer_failures_total");
    int64_t n = 0;

    for (int i = 1; i <= COMPLAINTS; i++) {
        n += publish_beside(pair->publisher);
        wait_for_int(service, EFFECTS " where key <> '" LOCKED "'", n);
        wait_for_counter("mesh_consumer_failures_total", failures + (uint64_t)i);
    }
    CHECK_INT(query_int(service, EFFECTS), n);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    check_effects(&pair->consumer, n + 3);
    CHECK_INT(query_int(service, PARKED), 0);
    mesh__ctx_free(ctx);
}

TEST(a_row_that_somebody_keeps_locked_holds_back_its_own_share_alone)
{
    struct pair *pair = pair_with_aggregate("lock1");
    struct mesh_ctx *ctx = mesh__ctx_new("somebody", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = hold(ctx, pair->consumer.service,
                              "select version from counter where key = '" LOCKED "' for update");

    consume(&pair->consumer);
    count_and_commit(pair->publisher, LOCKED, 3);
    check_the_others(pair, ctx, tx);
}

/* Where a share is read one by one, its cursor is written before each event is handled. */
TEST(a_cursor_that_somebody_keeps_locked_holds_back_its_own_share_alone)
{
    struct pair *pair = pair_with_aggregate("lock2");
    struct mesh_ctx *ctx = mesh__ctx_new("somebody", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx;
    char sql[256];

    superuser_run("insert into lock2_consumer.cursor (partition, source, sequence, attempts,"
                  " attempt_event) values (%d, 'counter', 0, 1, gen_random_uuid()::text)",
                  mesh__partition(LOCKED));
    (void)snprintf(sql, sizeof(sql), "select hold_share(%d, 'counter')::text",
                   mesh__partition(LOCKED));
    tx = hold(ctx, pair->consumer.service, sql);
    consume(&pair->consumer);
    count_and_commit(pair->publisher, LOCKED, 3);
    check_the_others(pair, ctx, tx);
}

TEST_EVENTS_MAIN(NULL)
