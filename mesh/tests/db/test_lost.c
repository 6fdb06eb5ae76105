/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction says when the server ends its connection. */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <pthread.h>

#define SCHEMA "test_lost"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static const struct mesh_sql insert = {"insert_t", "insert into t (id, v) values ($1, $2)"};
static const struct mesh_sql count = {"count_t", "select count(*) from t where id = $1"};
static const struct mesh_sql my_pid = {"my_pid", "select pg_backend_pid()"};

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA, "create table t (id int8 primary key, v int2)");
    db = fixture_pool(SCHEMA, 4);
    ctx = fixture_ctx(100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__db_free(db);
    return 0;
}

static int64_t rows_of(int64_t id)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db, &count, MESH_ARGS(mesh_int64(id)), &rows), MESH_OK);
    return mesh_row_int64(rows, 0, 0);
}

static enum mesh_status add(struct mesh_tx *tx, int64_t id)
{
    return mesh_tx_exec(ctx, tx, &insert, MESH_ARGS(mesh_int64(id), mesh_int64(1)));
}

static void terminate(int64_t pid)
{
    fixture_run(SCHEMA, "select pg_terminate_backend(%lld, 5000)", (long long)pid);
}

TEST(a_connection_lost_before_the_commit_is_unavailable)
{
    for (int queued = 0; queued < 2; queued++) {
        cleanup_tx struct mesh_tx *tx = NULL;
        struct mesh_rows *rows;

        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        CHECK_INT(add(tx, 110), MESH_OK);
        CHECK_INT(mesh_tx_query(ctx, tx, &my_pid, MESH_NO_ARGS, &rows), MESH_OK);
        terminate(mesh_row_int64(rows, 0, 0));
        if (queued) {
            CHECK_INT(add(tx, 111), MESH_OK);
        }
        CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_UNAVAILABLE);
        CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
    }
    CHECK_INT(rows_of(110), 0);
}

TEST(a_connection_lost_between_statements_is_unavailable)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &my_pid, MESH_NO_ARGS, &rows), MESH_OK);
    terminate(mesh_row_int64(rows, 0, 0));
    CHECK_INT(mesh_tx_query(ctx, tx, &my_pid, MESH_NO_ARGS, &rows), MESH_UNAVAILABLE);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_UNAVAILABLE);
}

static void *terminate_when_asleep(void *arg)
{
    fixture_wait_until(SCHEMA, "select count(*) > 0 from pg_stat_activity where "
                               "wait_event = 'PgSleep' and pid <> pg_backend_pid()");
    fixture_run(SCHEMA, "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                        "where wait_event = 'PgSleep' and pid <> pg_backend_pid()");
    return arg;
}

TEST(a_connection_lost_in_a_lone_statement_is_unavailable)
{
    pthread_t thread;

    pthread_create(&thread, NULL, terminate_when_asleep, NULL);
    CHECK_INT(mesh_db_query(ctx, db, SQL("insert into t select 112, 1 from pg_sleep(30)"),
                            MESH_NO_ARGS, NULL),
              MESH_UNAVAILABLE);
    pthread_join(thread, NULL);
    CHECK_INT(rows_of(112), 0);
}

TEST(a_connection_lost_in_the_commit_leaves_its_outcome_unknown)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    pthread_t thread;

    fixture_run(SCHEMA,
                "create table slow (id int8); "
                "create function wait() returns trigger language plpgsql as "
                "$$ begin perform pg_sleep(30); return null; end $$; "
                "create constraint trigger wait after insert on slow deferrable initially deferred "
                "for each row execute function wait()");
    pthread_create(&thread, NULL, terminate_when_asleep, NULL);
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, SQL("insert into slow values (1)"), MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_UNKNOWN);
    pthread_join(thread, NULL);

    /* Stopped by the deadline it is known: nothing happened. */
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, SQL("insert into slow values (1)"), MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh_tx_commit(mesh_ctx_timeout(ctx, 50), &tx), MESH_DEADLINE_EXCEEDED);
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from slow"), "0");
}

TEST_MAIN(set_up, tear_down)
