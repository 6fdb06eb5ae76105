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

/* ---- work before the commit ---- */

struct item {
    int64_t id;
};

static int n_runs;

/* Adds all ids at once; refuses a negative one without asking the database. */
static enum mesh_status add_all(struct mesh_ctx *ctx_of_commit, struct mesh_tx *tx, void *arg,
                                const void *items, size_t n)
{
    const struct item *item = items;

    CHECK(ctx_of_commit == ctx);
    CHECK(arg == db);
    n_runs++;
    for (size_t i = 0; i < n; i++) {
        if (item[i].id < 0) {
            return mesh_fail_reason(ctx, MESH_FAILED_PRECONDITION, "NEGATIVE", "a negative id");
        }
        MESH_TRY(add(tx, item[i].id));
    }
    return MESH_OK;
}

static const struct mesh_tx_work add_all_work = {add_all, sizeof(struct item)};

static void ask_for(struct mesh_tx *tx, int64_t id)
{
    struct item item = {id};

    mesh_tx_before_commit(tx, &add_all_work, db, &item);
    item.id = 0; /* it was copied */
}

static int64_t count(int64_t from, int64_t to)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db, SQL("select count(*) from t where id between $1 and $2"),
                            MESH_ARGS(mesh_int64(from), mesh_int64(to)), &rows),
              MESH_OK);
    return mesh_row_int64(rows, 0, 0);
}

TEST(work_before_the_commit_is_done_once_with_all_items)
{
    cleanup_tx struct mesh_tx *tx = NULL;

    n_runs = 0;
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    for (int64_t id = 200; id < 250; id++) {
        ask_for(tx, id);
    }
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
    CHECK_INT(n_runs, 0);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(n_runs, 1);
    CHECK_INT(count(200, 249), 50);

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK); /* on the same connection */
    CHECK_INT(add(tx, 250), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(n_runs, 1);
}

static enum mesh_status note_order(struct mesh_ctx *ctx_of_commit __attribute__((unused)),
                                   struct mesh_tx *tx __attribute__((unused)), void *arg,
                                   const void *items, size_t n)
{
    char *order = arg;

    for (size_t i = 0; i < n; i++) {
        strncat(order, (const char *)items + i, 1);
    }
    return MESH_OK;
}

TEST(works_are_done_in_the_order_they_were_first_asked_for)
{
    static const struct mesh_tx_work one = {note_order, 1}, other = {note_order, 1};
    cleanup_tx struct mesh_tx *tx = NULL;
    char order[8] = "";

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    mesh_tx_before_commit(tx, &one, order, "a");
    mesh_tx_before_commit(tx, &other, order, "b");
    mesh_tx_before_commit(tx, &one, order, "c");
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_TEXT(order, "acb");
}

TEST(work_that_fails_undoes_the_transaction_and_its_failure_is_the_commits)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    int n = 0;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 300), MESH_OK);
    ask_for(tx, 301);
    ask_for(tx, -1);
    mesh_tx_after_commit(tx, on_commit, &n);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_FAILED_PRECONDITION);
    CHECK(tx == NULL);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "NEGATIVE");
    CHECK_INT(n, 0);

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    ask_for(tx, 302);
    ask_for(tx, 302); /* the server finds it */
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
    CHECK_INT(count(300, 302), 0);
}

TEST(no_work_is_done_for_a_transaction_that_is_left_has_failed_or_is_late)
{
    n_runs = 0;
    for (int way = 0; way < 3; way++) {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        ask_for(tx, 310);
        if (way == 1) {
            CHECK_INT(add(tx, 311), MESH_OK);
            CHECK_INT(add(tx, 311), MESH_OK);
            CHECK_INT(mesh__tx_flush(ctx, tx), MESH_ALREADY_EXISTS);
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
        } else if (way == 2) {
            CHECK_INT(mesh_tx_commit(mesh_ctx_timeout(ctx, 0), &tx), MESH_DEADLINE_EXCEEDED);
        }
    }
    CHECK_INT(n_runs, 0);
    CHECK_INT(count(310, 311), 0);
}

TEST_MAIN(set_up, tear_down)
