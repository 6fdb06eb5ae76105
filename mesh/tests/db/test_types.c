/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCHEMA "test_types"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static const char *const uuid_a = "0190a6e0-7b1c-7c3d-8e4f-0123456789ab";
static const char *const uuid_b = "ffffffff-ffff-ffff-ffff-ffffffffffff";

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA,
                "create type colour as enum ('red', 'green'); create domain label as text; "
                "create table t (n int8, s int2, i int4, b bool, w text, v varchar(9), "
                "u uuid, y bytea, at timestamptz, c colour, d label, us uuid[], ns int8[])");
    db = fixture_pool(SCHEMA, 2);
    ctx = fixture_ctx(60000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__db_free(db);
    return 0;
}

static const struct mesh_sql put = {
    "put", "insert into t values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"};
static const struct mesh_sql get = {"get", "select * from t"};

static struct mesh_rows *put_and_get(struct mesh_args args)
{
    struct mesh_rows *rows;

    fixture_run(SCHEMA, "truncate t");
    if (mesh_db_query(ctx, db, &put, args, NULL) != MESH_OK) {
        fail_msg("%s", mesh_ctx_error(ctx));
    }
    CHECK_INT(mesh_db_query(ctx, db, &get, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 1);
    return rows;
}

TEST(values_come_back_as_they_went)
{
    static const char bytes[] = {0, 1, 'x', (char)0xff, 0};
    const char *uuids[] = {uuid_a, uuid_b};
    const int64_t numbers[] = {-1, 0, INT64_MAX};
    size_t size;
    struct mesh_rows *rows = put_and_get(MESH_ARGS(
        mesh_int64(INT64_MIN), mesh_int64(-32768), mesh_int64(2147483647), mesh_bool(true),
        mesh_text("h\xc3\xa9 'quoted' \\ text"), mesh_text("short"), mesh_uuid(uuid_a),
        mesh_bytes(bytes, sizeof(bytes)), mesh_time(INT64_C(1700000000123456)), mesh_text("green"),
        mesh_text("a label"), mesh_uuid_array(uuids, 2), mesh_int64_array(numbers, 3)));

    CHECK(mesh_row_int64(rows, 0, 0) == INT64_MIN);
    CHECK_INT(mesh_row_int64(rows, 0, 1), -32768);
    CHECK_INT(mesh_row_int64(rows, 0, 2), 2147483647);
    CHECK(mesh_row_bool(rows, 0, 3));
    CHECK_TEXT(mesh_row_text(rows, 0, 4), "h\xc3\xa9 'quoted' \\ text");
    CHECK_TEXT(mesh_row_text(rows, 0, 5), "short");
    CHECK_TEXT(mesh_row_uuid(rows, 0, 6), uuid_a);
    CHECK(memcmp(mesh_row_bytes(rows, 0, 7, &size), bytes, sizeof(bytes)) == 0);
    CHECK_INT(size, sizeof(bytes));
    CHECK_INT(mesh_row_time(rows, 0, 8), INT64_C(1700000000123456));
    CHECK_TEXT(mesh_row_text(rows, 0, 9), "green");
    CHECK_TEXT(mesh_row_text(rows, 0, 10), "a label");
    CHECK_TEXT(fixture_ask(SCHEMA, "select us::text || ns::text from t"),
               "{0190a6e0-7b1c-7c3d-8e4f-0123456789ab,ffffffff-ffff-ffff-ffff-ffffffffffff}"
               "{-1,0,9223372036854775807}");
    CHECK_TEXT(fixture_ask(SCHEMA, "select at at time zone 'UTC' from t"),
               "2023-11-14 22:13:20.123456");
}

TEST(null_comes_back_as_null)
{
    size_t size = 99;
    struct mesh_rows *rows =
        put_and_get(MESH_ARGS(mesh_null(), mesh_null(), mesh_null(), mesh_null(), mesh_text(NULL),
                              mesh_null(), mesh_uuid(NULL), mesh_null(), mesh_null(),
                              mesh_text(NULL), mesh_null(), mesh_null(), mesh_null()));

    for (int i = 0; i < 13; i++) {
        CHECK(mesh_row_is_null(rows, 0, i));
    }
    CHECK_INT(mesh_row_int64(rows, 0, 0), 0);
    CHECK(!mesh_row_bool(rows, 0, 3));
    CHECK(mesh_row_text(rows, 0, 4) == NULL);
    CHECK(mesh_row_uuid(rows, 0, 6) == NULL);
    CHECK(mesh_row_bytes(rows, 0, 7, &size) == NULL);
    CHECK_INT(size, 0);
    CHECK_INT(mesh_row_time(rows, 0, 8), 0);
}

TEST(empty_is_not_null)
{
    size_t size = 99;
    struct mesh_rows *rows = put_and_get(MESH_ARGS(
        mesh_int64(0), mesh_int64(0), mesh_int64(0), mesh_bool(false), mesh_text(""), mesh_text(""),
        mesh_uuid(uuid_b), mesh_bytes(NULL, 0), mesh_time(0), mesh_text("red"), mesh_text(""),
        mesh_uuid_array(NULL, 0), mesh_int64_array(NULL, 0)));

    for (int i = 0; i < 13; i++) {
        CHECK(!mesh_row_is_null(rows, 0, i));
    }
    CHECK_TEXT(mesh_row_text(rows, 0, 4), "");
    CHECK(mesh_row_bytes(rows, 0, 7, &size) != NULL);
    CHECK_INT(size, 0);
    CHECK_INT(mesh_row_time(rows, 0, 8), 0);
    CHECK_TEXT(fixture_ask(SCHEMA, "select us::text || ns::text from t"), "{}{}");
}

TEST(arrays_work_in_a_condition)
{
    const char *uuids[] = {uuid_b, uuid_a};
    const int64_t numbers[] = {3, 5};
    const char *texts[] = {"h\xc3\xa9 'quoted', \\ {text}", ""};
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db,
                            SQL("select u, n, t from unnest($1::uuid[], $2::int8[], $3::text[]) "
                                "as x(u, n, t) order by n desc"),
                            MESH_ARGS(mesh_uuid_array(uuids, 2), mesh_int64_array(numbers, 2),
                                      mesh_text_array(texts, 2)),
                            &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 2);
    CHECK_TEXT(mesh_row_uuid(rows, 0, 0), uuid_a);
    CHECK_INT(mesh_row_int64(rows, 1, 1), 3);
    CHECK_TEXT(mesh_row_text(rows, 0, 2), "");
    CHECK_TEXT(mesh_row_text(rows, 1, 2), texts[0]);
}

TEST(times_beyond_all_bounds_are_infinite)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db,
                            SQL("select 'infinity'::timestamptz, $1::timestamptz, "
                                "$1 = '-infinity'::timestamptz, $2::timestamptz"),
                            MESH_ARGS(mesh_time(INT64_MIN), mesh_time(-1)), &rows),
              MESH_OK);
    CHECK(mesh_row_time(rows, 0, 0) == INT64_MAX);
    CHECK(mesh_row_bool(rows, 0, 2));
    CHECK_INT(mesh_row_time(rows, 0, 3), -1);
}

TEST(a_transaction_id_reads_as_a_number)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db, SQL("select pg_current_xact_id() > '3', pg_current_xact_id()"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK(mesh_row_int64(rows, 0, 1) > 3);
}

TEST(a_large_value_goes_both_ways)
{
    size_t n = 3 << 20;
    char *large = mesh_alloc(ctx, n + 1);
    struct mesh_rows *rows;

    memset(large, 'x', n);
    CHECK_INT(
        mesh_db_query(ctx, db, SQL("select $1::text || 'y'"), MESH_ARGS(mesh_text(large)), &rows),
        MESH_OK);
    CHECK_INT(strlen(mesh_row_text(rows, 0, 0)), n + 1);
}

TEST(a_thousand_parameters_are_possible_and_too_many_are_refused)
{
    static struct mesh_arg values[70000];
    static char text[16000] = "select $1::int8";
    char *end = text + strlen(text);
    const struct mesh_sql sum = {"sum", text};
    struct mesh_rows *rows;

    for (int i = 0; i < 70000; i++) {
        values[i] = mesh_int64(1);
        if (i > 0 && i < 1000) {
            end += sprintf(end, "+$%d::int8", i + 1);
        }
    }
    CHECK_INT(mesh_db_query(ctx, db, &sum, (struct mesh_args){values, 1000}, &rows), MESH_OK);
    CHECK_INT(mesh_row_int64(rows, 0, 0), 1000);
    CHECK_INT(mesh_db_query(ctx, db, &sum, (struct mesh_args){values, 70000}, &rows),
              MESH_INTERNAL);
}

/* ---- misuse ends the process ---- */

enum misuse { NUMERIC_AS_INT64, INT64_AS_TEXT, TEXT_AS_UUID, NO_SUCH_ROW, NO_SUCH_COLUMN };

static void misuse(enum misuse what)
{
    struct mesh_db *own = fixture_pool(SCHEMA, 1);
    struct mesh_ctx *own_ctx = fixture_ctx(20000);
    struct mesh_rows *rows;

    if (mesh_db_query(own_ctx, own, SQL("select sum(1::int8), 1::int8, 'x'::text"), MESH_NO_ARGS,
                      &rows) != MESH_OK) {
        _exit(3);
    }
    switch (what) {
    case NUMERIC_AS_INT64:
        (void)mesh_row_int64(rows, 0, 0);
        break;
    case INT64_AS_TEXT:
        (void)mesh_row_text(rows, 0, 1);
        break;
    case TEXT_AS_UUID:
        (void)mesh_row_uuid(rows, 0, 2);
        break;
    case NO_SUCH_ROW:
        (void)mesh_row_text(rows, 1, 2);
        break;
    case NO_SUCH_COLUMN:
        (void)mesh_row_is_null(rows, 0, 3);
        break;
    }
}

TEST(reading_a_column_as_what_it_is_not_ends_the_process)
{
    for (int what = NUMERIC_AS_INT64; what <= NO_SUCH_COLUMN; what++) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            (void)signal(SIGABRT, SIG_DFL); /* not the test library's handler */
            misuse((enum misuse)what);
            _exit(0);
        }
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

TEST_MAIN(set_up, tear_down)
