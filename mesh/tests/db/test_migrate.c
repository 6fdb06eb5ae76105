/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>

#define SCHEMA "test_migrate"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    ctx = fixture_ctx(100000);
    db = fixture_pool(SCHEMA, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__db_free(db);
    return 0;
}

#define FIRST                                                                                      \
    {                                                                                              \
        "0001_create_a", "create table a (id int8);\ncreate table b (id int8);\n"                  \
    }
#define SECOND                                                                                     \
    {                                                                                              \
        "0002_widen_a", "alter table a add more text; -- no end of line here"                      \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL                                                                                 \
    }

static const struct mesh_migration one[] = {FIRST, END};
static const struct mesh_migration two[] = {FIRST, SECOND, END};

static enum mesh_status migrate(const struct mesh_migration *migrations, int *ret_applied)
{
    return mesh__migrate(ctx, db, migrations, 0, ret_applied);
}

static enum mesh_status check(const struct mesh_migration *migrations)
{
    return mesh__migrate_check(ctx, db, migrations, 0);
}

TEST(migrations_are_applied_once_and_in_order)
{
    int n = -1;

    fixture_make_schema(SCHEMA);
    CHECK_INT(check(one), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "run `migrate` first") != NULL);
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(n, 2); /* the runtime's own, and this one */
    CHECK_INT(check(one), MESH_OK);
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(n, 0);
    CHECK_INT(check(two), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "0002_widen_a") != NULL);
    CHECK_INT(migrate(two, &n), MESH_OK);
    CHECK_INT(n, 1);
    CHECK_INT(check(two), MESH_OK);
    CHECK_TEXT(fixture_ask(SCHEMA, "select string_agg(owner || number || name || compatible_from, "
                                   "' ' order by owner, number) from migration"),
               "mesh10001_create_mesh_tables0 service10001_create_a0 service20002_widen_a1");
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from request_log"), "0");
}

TEST(a_binary_that_says_so_runs_on_an_older_schema)
{
    int n;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(mesh__migrate_check(ctx, db, two, 1), MESH_OK);
    CHECK_INT(mesh__migrate_check(ctx, db, two, 2), MESH_FAILED_PRECONDITION);
}

TEST(an_older_binary_runs_on_a_newer_schema_as_far_as_that_is_compatible)
{
    static const struct mesh_migration three[] = {
        FIRST, SECOND, {"0003_drop_b", "-- compatible_from: 2\ndrop table b;"}, END};
    int n;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(two, &n), MESH_OK);
    CHECK_INT(check(one), MESH_OK); /* by default the one before can go on */
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(n, 0);
    CHECK_INT(migrate(three, &n), MESH_OK);
    CHECK_INT(check(two), MESH_OK);
    CHECK_INT(check(one), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx),
               "the schema is too new for this program: migration 0003_drop_b needs one that knows "
               "at least migration 0002, this one knows 0001");
    CHECK_INT(migrate(one, &n), MESH_FAILED_PRECONDITION);
}

TEST(a_changed_file_stops_both)
{
    static const struct mesh_migration changed[] = {
        {"0001_create_a", "create table a (id int4);\ncreate table b (id int8);\n"}, SECOND, END};
    int n = -1;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(check(changed), MESH_FAILED_PRECONDITION);
    CHECK_INT(migrate(changed, &n), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "migration 0001_create_a was changed") != NULL);
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from migration"), "2");
}

TEST(a_migration_that_fails_leaves_nothing_and_is_named)
{
    static const struct mesh_migration bad[] = {
        FIRST,
        {"0002_break_all", "create table c (id int8); select 1/0; create table d (id int8)"},
        END};
    int n = -1;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(bad, &n), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "0002_break_all") != NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "division by zero") != NULL);
    CHECK_INT(n, -1);
    CHECK_TEXT(fixture_ask(SCHEMA, "select to_regclass('c') is null"), "true");
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from migration"), "2"); /* what went before */
    CHECK_INT(migrate(two, &n), MESH_OK);
    CHECK_INT(n, 1);
}

TEST(a_migration_that_wants_data_from_its_client_fails)
{
    static const struct mesh_migration copy[] = {
        FIRST, {"0002_copy_all", "create table c (id int8); copy c from stdin; select 1"}, END};
    int n = -1;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(copy, &n), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "0002_copy_all") != NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "COPY is not possible here") != NULL);
    fixture_wait_until(SCHEMA, "select to_regclass('c') is null");
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from migration"), "2");
}

TEST(what_a_migration_gives_to_its_client_is_dropped)
{
    static const struct mesh_migration copy[] = {
        FIRST,
        {"0002_copy_all", "copy (select repeat('x', 100) from generate_series(1, 20000)) to stdout;"
                          "create table c (id int8)"},
        END};
    int n = -1;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(copy, &n), MESH_OK);
    CHECK_TEXT(fixture_ask(SCHEMA, "select to_regclass('c') is null"), "false");
}

/* ---- several at once ---- */

struct migrator {
    pthread_t thread;
    enum mesh_status status;
    int n_applied;
};

static void *migrate_two(void *arg)
{
    struct migrator *migrator = arg;
    struct mesh_ctx *own = fixture_ctx(20000);

    migrator->status = mesh__migrate(own, db, two, 0, &migrator->n_applied);
    mesh__ctx_free(own);
    return NULL;
}

TEST(of_several_at_once_one_applies_and_the_others_wait)
{
    struct migrator migrators[4] = {0};
    int n = 0;

    fixture_make_schema(SCHEMA);
    for (int i = 0; i < 4; i++) {
        pthread_create(&migrators[i].thread, NULL, migrate_two, &migrators[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(migrators[i].thread, NULL);
        CHECK_INT(migrators[i].status, MESH_OK);
        n += migrators[i].n_applied;
    }
    CHECK_INT(n, 3);
}

TEST(a_migration_waits_for_another_one_only_so_long)
{
    struct mesh_db *holder = fixture_pool(SCHEMA, 1);
    struct mesh_tx *tx;
    struct mesh_rows *rows;
    int n;

    fixture_make_schema(SCHEMA);
    CHECK_INT(mesh_tx_begin(ctx, holder, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx,
                            SQL("select pg_advisory_xact_lock(hashtextextended("
                                "'cmesh migrate ' || current_schema(), 0))"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(migrate(one, &n), MESH_ABORTED);
    CHECK_TEXT(mesh_ctx_error(ctx), "another migration of schema " SCHEMA " is running");
    CHECK_INT(mesh__migrate(mesh_ctx_timeout(ctx, 100), db, one, 0, &n), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(migrate(one, &n), MESH_OK);
    mesh__db_free(holder);
}

TEST(a_table_in_use_stops_a_migration_with_its_name)
{
    struct mesh_db *holder = fixture_pool(SCHEMA, 1);
    cleanup_tx struct mesh_tx *tx = NULL;
    int n;

    fixture_make_schema(SCHEMA);
    CHECK_INT(migrate(one, &n), MESH_OK);
    CHECK_INT(mesh__tx_begin_as(ctx, holder, "begin", &tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, SQL("lock table a"), MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
    CHECK_INT(migrate(two, &n), MESH_ABORTED);
    CHECK(strstr(mesh_ctx_error(ctx), "migration 0002_widen_a was not applied") != NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "lock timeout") != NULL);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(migrate(two, &n), MESH_OK);
    mesh__db_free(holder);
}

TEST(the_wrong_schema_is_not_migrated)
{
    struct mesh_db_options options = fixture_options("public", 1);
    struct mesh_db *wrong;
    int n;

    options.schema = SCHEMA;
    wrong = mesh__db_new(&options);
    CHECK_INT(mesh__migrate(ctx, wrong, one, 0, &n), MESH_UNAVAILABLE);
    CHECK(strstr(mesh_ctx_error(ctx), "the schema is \"public\"") != NULL);
    CHECK_TEXT(fixture_ask("public", "select to_regclass('public.migration') is null"), "true");
    mesh__db_free(wrong);
}

TEST_MAIN(set_up, tear_down)
