/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#define SCHEMA "test_hooks"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA, "create table t (id int8 primary key)");
    db = fixture_pool(SCHEMA, 2);
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

static enum mesh_status add(struct mesh_tx *tx, int64_t id)
{
    static const struct mesh_sql insert = {"insert_t", "insert into t (id) values ($1)"};

    return mesh_tx_exec(ctx, tx, &insert, MESH_ARGS(mesh_int64(id)));
}

static void on_commit(void *arg)
{
    ++*(int *)arg;
}

TEST(the_hook_runs_after_the_commit_of_a_marked_transaction_only)
{
    struct mesh_db *hooked = fixture_pool(SCHEMA, 1);
    int n = 0;

    mesh__db_on_commit(hooked, on_commit, &n);
    for (int way = 0; way < 4; way++) {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, hooked, &tx), MESH_OK);
        CHECK_INT(add(tx, 130 + way), MESH_OK);
        if (way != 0) {
            mesh__tx_mark(tx);
        }
        if (way == 3) {
            CHECK_INT(add(tx, 130 + way), MESH_OK);
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
        } else if (way != 2) {
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
        }
    }
    CHECK_INT(n, 1);
    mesh__db_free(hooked);
}

static void on_other(void *arg)
{
    *(int *)arg += 10;
}

TEST(hooks_run_once_each_and_after_the_commit_only)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    int n = 0, other = 0;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 1), MESH_OK);
    mesh_tx_after_commit(tx, on_commit, &n);
    mesh_tx_after_commit(tx, on_commit, &n);
    mesh_tx_after_commit(tx, on_other, &n);
    mesh_tx_after_commit(tx, on_commit, &other);
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
    CHECK_INT(n + other, 0);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(n, 11);
    CHECK_INT(other, 1);

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK); /* on the same connection */
    CHECK_INT(add(tx, 2), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(n + other, 12);
}

TEST(no_hook_runs_after_a_rollback)
{
    int n = 0;

    for (int way = 0; way < 3; way++) {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        mesh_tx_after_commit(tx, on_commit, &n);
        CHECK_INT(add(tx, 20), MESH_OK);
        if (way == 0) { /* the commit fails */
            CHECK_INT(add(tx, 20), MESH_OK);
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
        } else if (way == 1) { /* comes too late */
            CHECK_INT(mesh_tx_commit(mesh_ctx_timeout(ctx, 0), &tx), MESH_DEADLINE_EXCEEDED);
        }
    }
    CHECK_INT(n, 0);
}

/* ---- a hook that uses the database itself ---- */

static void on_commit_count(void *arg)
{
    struct mesh_rows *rows;

    CHECK_INT(
        mesh_db_query(ctx, arg, SQL("select count(*) from t where id = 30"), MESH_NO_ARGS, &rows),
        MESH_OK);
    CHECK_INT(mesh_row_int64(rows, 0, 0), 1);
}

TEST(a_hook_finds_the_connection_free_and_the_rows_there)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    struct mesh_tx *tx;

    CHECK_INT(mesh_tx_begin(ctx, one, &tx), MESH_OK);
    CHECK_INT(add(tx, 30), MESH_OK);
    mesh_tx_after_commit(tx, on_commit_count, one);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    mesh__db_free(one);
}

TEST_MAIN(set_up, tear_down)
