/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction says about its outcome, whatever the connection does and whenever. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "fake_pg.h"
#include "mesh/cleanup.h"
#include "test.h"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static const struct mesh_sql statement = {"statement", "update t set v = 1"};
static const struct mesh_sql read_only = {"read_only", "select v from t"};

static void start_as(struct mesh_db_options options)
{
    options.url = "";
    options.size = 1;
    db = mesh__db_new(&options);
    /* Less than a second: more would make a time-out of the fake a slow statement. */
    ctx = mesh__ctx_new("test", 0, mesh__in_ms(900));
}

static void start(void)
{
    start_as((struct mesh_db_options){.named = true});
}

/* How many connections were closed by the transaction itself. */
static int end(void)
{
    int n = fake_pg_closed();

    mesh__db_free(db);
    mesh__ctx_free(ctx);
    return n;
}

/* One statement, then the commit, both in one flight. */
static enum mesh_status exec_and_commit(const char *begin)
{
    struct mesh_tx *tx;

    CHECK_INT(mesh__tx_begin_as(ctx, db, begin, &tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, &statement, MESH_NO_ARGS), MESH_OK);
    return mesh_tx_commit(ctx, &tx);
}

/* The statement's answer is waited for before the commit. */
static enum mesh_status query_and_commit(void)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows), MESH_OK);
    return mesh_tx_commit(ctx, &tx);
}

TEST(a_transaction_is_one_flight_and_a_query_makes_it_two)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_SYNCED, FAKE_DONE, FAKE_SYNCED);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_OK);
    CHECK_TEXT(fake_pg_asked(), "pxs");
    CHECK_INT(query_and_commit(), MESH_OK);
    CHECK_TEXT(fake_pg_asked(), "pxsxfs");
    CHECK_INT(fake_pg_connected(), 1);
    CHECK_INT(end(), 0);
}

TEST(silence_after_the_commit_was_sent_is_unknown)
{
    FAKE_ANSWERS(FAKE_LOST); /* perhaps all of it was done */
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_UNKNOWN);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_LOST);
    start();
    CHECK_INT(query_and_commit(), MESH_UNKNOWN);
    CHECK_INT(end(), 1);
}

TEST(a_connection_that_ends_before_the_commit_did_nothing)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_FATAL("57P01"), FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_UNAVAILABLE);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE);
    start();
    fake_pg_set((struct fake_faults){.dead = true}); /* its end is seen before the commit is sent */
    CHECK_INT(query_and_commit(), MESH_UNAVAILABLE);
    CHECK_TEXT(fake_pg_asked(), "pxf");
    CHECK_INT(end(), 1);
}

TEST(a_connection_that_ends_instead_of_the_commit_leaves_it_unknown)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_FATAL("57P01"), FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_UNKNOWN);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_FATAL("57P01"),
                 FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit("begin"), MESH_UNKNOWN);
    CHECK_INT(end(), 1);
}

TEST(a_failure_before_the_end_of_the_connection_is_the_outcome)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_ERROR("23505"), FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_ALREADY_EXISTS);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_ERROR("23505"), FAKE_FATAL("57P01"), FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_ALREADY_EXISTS);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_ERROR("40001"), FAKE_LOST); /* by the commit */
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_ABORTED);
    CHECK_INT(end(), 1);
}

TEST(a_commit_that_was_answered_is_a_commit)
{
    /* p x(begin) p x p x(commit), lost before the end of the pipeline */
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_LOST);
    start();
    CHECK_INT(exec_and_commit("begin"), MESH_OK);
    CHECK_INT(end(), 1);
}

TEST(a_commit_that_was_made_after_the_deadline_is_a_commit)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_TIMEOUT, FAKE_SYNCED);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_OK);
    CHECK_TEXT(fake_pg_asked(), "pxscw");
    CHECK_INT(end(), 0);
}

TEST(a_commit_that_was_cancelled_at_the_deadline_is_none)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT, FAKE_ERROR("57014"), FAKE_SYNCED);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(end(), 0);
}

static enum mesh_status read_lone(struct mesh_rows **ret_rows)
{
    return mesh_db_query(ctx, db, &read_only, MESH_NO_ARGS, ret_rows);
}

TEST(what_a_statement_answers_after_the_deadline_is_its_answer)
{
    struct mesh_rows *rows;

    FAKE_ANSWERS(FAKE_DONE, FAKE_ROWS, FAKE_TIMEOUT, FAKE_ROWS, FAKE_DONE, FAKE_SYNCED);
    start();
    CHECK_INT(read_lone(&rows), MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 2);
    CHECK_INT(end(), 0);
}

TEST(an_answer_that_gets_too_large_after_the_deadline_keeps_the_connection)
{
    struct mesh_rows *rows = NULL;

    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT, FAKE_ROWS, FAKE_ROWS, FAKE_ERROR("57014"), FAKE_SYNCED);
    start();
    fake_pg_set((struct fake_faults){.rows = 10000000});
    CHECK_INT(read_lone(&rows), MESH_RESOURCE_EXHAUSTED);
    CHECK(rows == NULL);
    CHECK_INT(end(), 0);
}

TEST(a_commit_that_never_answers_is_unknown)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_TIMEOUT, FAKE_TIMEOUT);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_UNKNOWN);
    CHECK_INT(end(), 1);
}

static void on_commit(void *arg)
{
    ++*(int *)arg;
}

/* How often a hook of one transaction runs that ends with these answers. */
static int hooked(enum mesh_status expected)
{
    struct mesh_tx *tx;
    int n = 0;

    start();
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    mesh_tx_after_commit(tx, on_commit, &n);
    CHECK_INT(mesh_tx_exec(ctx, tx, &statement, MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), expected);
    (void)end();
    return n;
}

TEST(a_hook_runs_unless_it_is_certain_that_nothing_was_committed)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_SYNCED);
    CHECK_INT(hooked(MESH_OK), 1);
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_LOST);
    CHECK_INT(hooked(MESH_UNKNOWN), 1);
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_TIMEOUT, FAKE_TIMEOUT);
    CHECK_INT(hooked(MESH_UNKNOWN), 1);
    FAKE_ANSWERS(FAKE_DONE, FAKE_FATAL("57P01"), FAKE_LOST);
    CHECK_INT(hooked(MESH_UNAVAILABLE), 0);
    FAKE_ANSWERS(FAKE_DONE, FAKE_ERROR("23505"), FAKE_LOST);
    CHECK_INT(hooked(MESH_ALREADY_EXISTS), 0);
}

TEST(a_commit_that_is_lost_behind_reads_is_not_in_doubt)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    FAKE_ANSWERS(FAKE_LOST);
    start();
    CHECK_INT(mesh_db_query(ctx, db, &read_only, MESH_NO_ARGS, NULL), MESH_UNAVAILABLE);
    CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_FATAL("57P01"), FAKE_LOST); /* instead of the commit */
    start();
    CHECK_INT(mesh_db_query(ctx, db, &read_only, MESH_NO_ARGS, NULL), MESH_UNAVAILABLE);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_TIMEOUT, FAKE_TIMEOUT);
    start();
    CHECK_INT(mesh_db_query(ctx, db, &read_only, MESH_NO_ARGS, NULL), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_LOST);
    start();
    CHECK_INT(mesh__tx_begin_as(ctx, db, "begin read only", &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &read_only, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_UNAVAILABLE);
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_LOST); /* one that writes is enough */
    start();
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &read_only, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, &statement, MESH_NO_ARGS), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_UNKNOWN);
    CHECK_INT(end(), 1);
}

TEST(a_query_that_never_answers_costs_the_connection)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT, FAKE_TIMEOUT);
    start();
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(end(), 1);
}

/* A query that is out of time; then p x(begin) p x(rollback) s are skipped. */
static void use_up_the_deadline(void)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_DEADLINE_EXCEEDED);
}

TEST(nothing_is_sent_before_a_cancel_has_arrived_which_could_hit_it)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT, FAKE_ERROR("57014"), FAKE_SKIPPED, FAKE_SKIPPED,
                 FAKE_SKIPPED, FAKE_SKIPPED, FAKE_SYNCED);
    start();
    use_up_the_deadline();
    CHECK_TEXT(fake_pg_asked(), "pxfcwpxpxs");
    CHECK_INT(end(), 0);
}

TEST(a_cancel_that_is_still_under_way_costs_the_connection)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT);
    start();
    fake_pg_set((struct fake_faults){.cancel_is_lost = true});
    use_up_the_deadline();
    CHECK_TEXT(fake_pg_asked(), "pxfcw");
    CHECK_INT(end(), 1);
}

TEST(a_cancel_through_a_pooler_may_be_under_way_for_ever)
{
    FAKE_ANSWERS(FAKE_TIMEOUT, FAKE_ERROR("57014"), FAKE_SKIPPED, FAKE_SKIPPED, FAKE_SYNCED);
    start_as((struct mesh_db_options){.named = false});
    use_up_the_deadline();
    CHECK_TEXT(fake_pg_asked(), "qfcwqqs");
    CHECK_INT(end(), 1);

    FAKE_ANSWERS(FAKE_DONE, FAKE_TIMEOUT, FAKE_SYNCED);
    start_as((struct mesh_db_options){.named = false});
    CHECK_INT(exec_and_commit(NULL), MESH_OK);
    CHECK_TEXT(fake_pg_asked(), "qscw");
    CHECK_INT(end(), 1);
}

TEST(what_was_only_queued_is_never_sent_when_the_transaction_is_left)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_DONE, FAKE_SYNCED);
    start();
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, &statement, MESH_NO_ARGS), MESH_OK);
    mesh__cleanup_tx(&tx);
    CHECK_TEXT(fake_pg_asked(), "");

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, &statement, MESH_NO_ARGS), MESH_OK);
    mesh__cleanup_tx(&tx);
    CHECK_TEXT(fake_pg_asked(), "pxfpxpxs"); /* begin; rollback */
    CHECK_INT(end(), 0);
}

TEST(a_server_that_is_still_at_work_on_what_is_undone_is_stopped)
{
    struct mesh_tx *tx;
    struct mesh_rows *rows;

    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_TIMEOUT, FAKE_ERROR("57014"), FAKE_SKIPPED,
                 FAKE_SKIPPED, FAKE_SKIPPED, FAKE_SYNCED);
    start();
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &statement, MESH_NO_ARGS, &rows), MESH_OK);
    mesh__cleanup_tx(&tx);
    CHECK_TEXT(fake_pg_asked(), "pxfpxpxscw");
    CHECK_INT(end(), 1);
}

TEST(a_connection_inside_a_transaction_is_not_lent_again)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_DONE, FAKE_SYNCED);
    start();
    fake_pg_set((struct fake_faults){.in_transaction = true});
    CHECK_INT(exec_and_commit(NULL), MESH_OK);
    CHECK_INT(end(), 1);
}

TEST(what_was_skipped_is_prepared_again)
{
    FAKE_ANSWERS(FAKE_ERROR("53200"), FAKE_SKIPPED, FAKE_SYNCED, FAKE_DONE, FAKE_DONE, FAKE_SYNCED);
    start();
    CHECK_INT(mesh_db_query(ctx, db, &statement, MESH_NO_ARGS, NULL), MESH_UNAVAILABLE);
    CHECK_INT(mesh_db_query(ctx, db, &statement, MESH_NO_ARGS, NULL), MESH_OK);
    CHECK_TEXT(fake_pg_asked(), "pxspxs");
    CHECK_INT(end(), 0);
}

TEST(an_answer_out_of_order_costs_the_connection)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_SYNCED);
    start();
    CHECK_INT(exec_and_commit(NULL), MESH_UNKNOWN);
    CHECK_INT(end(), 1);
}

TEST(what_the_server_said_to_the_first_question_is_told)
{
    FAKE_ANSWERS(FAKE_DONE, FAKE_FATAL("53300"));
    start_as((struct mesh_db_options){.named = true, .schema = "s"});
    CHECK_INT(mesh__db_check(ctx, db), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(ctx),
               "the database cannot be reached: ask_schema: a fake (SQLSTATE 53300)");
    (void)end();

    FAKE_ANSWERS(FAKE_DONE, FAKE_ERROR("42501"), FAKE_SYNCED); /* all of it is in the text */
    start_as((struct mesh_db_options){.named = true, .schema = "s"});
    CHECK_INT(mesh__db_check(ctx, db), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(mesh_ctx_error(ctx),
               "the database cannot be reached: ask_schema: a fake (SQLSTATE 42501)");
    (void)end();

    FAKE_ANSWERS(FAKE_DONE, FAKE_LOST);
    start_as((struct mesh_db_options){.named = true, .schema = "s"});
    CHECK_INT(mesh__db_check(ctx, db), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(ctx), "the database cannot be reached: the connection was lost");
    (void)end();
}

TEST(each_sqlstate_has_its_status)
{
    static const struct {
        const char *sqlstate;
        enum mesh_status status;
        int n_closed;
    } table[] = {{"23505", MESH_ALREADY_EXISTS, 0},    {"40001", MESH_ABORTED, 0},
                 {"40P01", MESH_ABORTED, 0},           {"55P03", MESH_ABORTED, 0},
                 {"57014", MESH_DEADLINE_EXCEEDED, 0}, {"22003", MESH_OUT_OF_RANGE, 0},
                 {"53100", MESH_UNAVAILABLE, 0},       {"53200", MESH_UNAVAILABLE, 0},
                 {"53300", MESH_UNAVAILABLE, 0},       {"57P01", MESH_UNAVAILABLE, 1},
                 {"57P02", MESH_UNAVAILABLE, 1},       {"57P03", MESH_UNAVAILABLE, 1},
                 {"08006", MESH_UNAVAILABLE, 1},       {"25006", MESH_UNAVAILABLE, 1},
                 {"25P02", MESH_INTERNAL, 1},          {"25001", MESH_INTERNAL, 1},
                 {"26000", MESH_UNAVAILABLE, 1},       {"23503", MESH_INTERNAL, 0},
                 {"23514", MESH_INTERNAL, 0},          {"42601", MESH_INTERNAL, 0},
                 {"0A000", MESH_INTERNAL, 0},          {"XX000", MESH_INTERNAL, 0},
                 {"22P02", MESH_INTERNAL, 0},          {"42501", MESH_INTERNAL, 0}};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *sqlstate = table[i].sqlstate;

        FAKE_ANSWERS(FAKE_DONE, FAKE_ERROR(sqlstate), FAKE_SYNCED);
        start();
        CHECK_INT(mesh_db_query(ctx, db, &statement, MESH_NO_ARGS, NULL), table[i].status);
        CHECK_TEXT(ctx->scope->error->sqlstate, sqlstate);
        CHECK((mesh_ctx_error_retry_ms(ctx) >= 0) == (table[i].status == MESH_UNAVAILABLE));
        CHECK_INT(end(), table[i].n_closed);
    }
}

TEST_MAIN(NULL, NULL)
