/* SPDX-License-Identifier: Apache-2.0 */
/* What the options of a pool change, and what its prepared statements do. */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <stdio.h>

#define SCHEMA "test_options"

static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA, "create table t (id int8 primary key)");
    ctx = fixture_ctx(100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

static enum mesh_status add(struct mesh_tx *tx, int64_t id)
{
    static const struct mesh_sql insert = {"insert_t", "insert into t (id) values ($1)"};

    return mesh_tx_exec(ctx, tx, &insert, MESH_ARGS(mesh_int64(id)));
}

static const struct mesh_sql count = {"count_t", "select count(*) from t where id = $1"};
static const struct mesh_sql sleep_long = {"sleep_long", "select 1 from pg_sleep(30)"};
static const struct mesh_sql my_pid = {"my_pid", "select pg_backend_pid()"};

TEST(statements_without_names_work_too)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_db *plain;
    struct mesh_rows *rows;
    cleanup_tx struct mesh_tx *tx = NULL;

    options.named = false;
    plain = mesh__db_new(&options);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(mesh_tx_begin(ctx, plain, &tx), MESH_OK);
        CHECK_INT(add(tx, 120 + i), MESH_OK);
        CHECK_INT(mesh_tx_query(ctx, tx, &count, MESH_ARGS(mesh_int64(120 + i)), &rows), MESH_OK);
        CHECK_INT(mesh_row_int64(rows, 0, 0), 1);
        CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    }
    CHECK_INT(mesh_db_query(ctx, plain, SQL("select count(*) from pg_prepared_statements"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_row_int64(rows, 0, 0), 0);
    CHECK_INT(mesh_db_query(mesh_ctx_timeout(ctx, 50), plain, &sleep_long, MESH_NO_ARGS, NULL),
              MESH_DEADLINE_EXCEEDED);
    CHECK_INT(mesh_db_query(ctx, plain, &my_pid, MESH_NO_ARGS, NULL), MESH_OK);
    mesh__db_free(plain);
}

TEST(a_statement_is_prepared_once_per_types_of_its_parameters)
{
    static const struct mesh_sql nothing = {"pick", "select coalesce($1, $2)"};
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    struct mesh_rows *rows;

    for (int i = 0; i < 3; i++) {
        CHECK_INT(mesh_db_query(ctx, one, &nothing, MESH_ARGS(mesh_null(), mesh_int64(4)), &rows),
                  MESH_OK);
        CHECK_INT(mesh_row_int64(rows, 0, 0), 4);
        CHECK_INT(mesh_db_query(ctx, one, &nothing, MESH_ARGS(mesh_null(), mesh_bool(true)), &rows),
                  MESH_OK);
        CHECK(mesh_row_bool(rows, 0, 0));
    }
    CHECK_INT(mesh_db_query(ctx, one,
                            SQL("select count(*) from pg_prepared_statements "
                                "where name like 's\\_pick\\_%'"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_row_int64(rows, 0, 0), 2);
    mesh__db_free(one);
}

TEST(a_statement_that_failed_to_prepare_is_prepared_again)
{
    static const struct mesh_sql early = {"early", "select id from not_yet"};
    struct mesh_db *one = fixture_pool(SCHEMA, 1);

    CHECK_INT(mesh_db_query(ctx, one, &early, MESH_NO_ARGS, NULL), MESH_INTERNAL);
    fixture_run(SCHEMA, "create table not_yet (id int8)");
    CHECK_INT(mesh_db_query(ctx, one, &early, MESH_NO_ARGS, NULL), MESH_OK);
    mesh__db_free(one);
}

TEST(a_changed_table_costs_one_retry)
{
    static const struct mesh_sql all = {"all", "select * from changing"};
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    struct mesh_rows *rows;

    fixture_run(SCHEMA, "create table changing (id int8)");
    CHECK_INT(mesh_db_query(ctx, one, &all, MESH_NO_ARGS, &rows), MESH_OK);
    fixture_run(SCHEMA, "alter table changing add more text");
    CHECK_INT(mesh_db_query(ctx, one, &all, MESH_NO_ARGS, &rows), MESH_UNAVAILABLE);
    CHECK_INT(mesh_db_query(ctx, one, &all, MESH_NO_ARGS, &rows), MESH_OK);
    mesh__db_free(one);
}

TEST(an_operator_can_find_the_call_in_pg_stat_activity)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_db *traced;
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;
    char name[64];

    options.application_name = "fashion-order";
    options.trace_application_name = true;
    traced = mesh__db_new(&options);
    (void)snprintf(name, sizeof(name), "fashion-order %s", mesh_ctx_trace_id(ctx));
    CHECK_INT(mesh_tx_begin(ctx, traced, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &my_pid, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_TEXT(fixture_ask(SCHEMA, "select application_name from pg_stat_activity where pid = %lld",
                           (long long)mesh_row_int64(rows, 0, 0)),
               name);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    mesh__db_free(traced);
}

TEST(a_transaction_begun_in_words_can_be_found_as_well)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_db *traced;
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    options.trace_application_name = true;
    traced = mesh__db_new(&options);
    CHECK_INT(
        mesh__tx_begin_as(ctx, traced, "begin isolation level repeatable read read only", &tx),
        MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx,
                            SQL("select current_setting('application_name'),"
                                " current_setting('transaction_isolation')"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK(strstr(mesh_row_text(rows, 0, 0), mesh_ctx_trace_id(ctx)) != NULL);
    CHECK_TEXT(mesh_row_text(rows, 0, 1), "repeatable read");
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    mesh__db_free(traced);
}

TEST_MAIN(set_up, tear_down)
