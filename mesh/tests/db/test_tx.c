/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCHEMA "test_tx"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA, "create table t (id int8 primary key, v int2, w text, "
                        "constraint small check (v < 1000)); "
                        "create table later (id int8 references t deferrable initially deferred)");
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

static const struct mesh_sql insert = {"insert_t", "insert into t (id, v) values ($1, $2)"};
static const struct mesh_sql count = {"count_t", "select count(*) from t where id = $1"};
static const struct mesh_sql sleep_long = {"sleep_long", "select 1 from pg_sleep(30)"};
static const struct mesh_sql my_pid = {"my_pid", "select pg_backend_pid()"};

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

TEST(one_statement_is_its_own_transaction)
{
    CHECK_INT(mesh_db_query(ctx, db, &insert, MESH_ARGS(mesh_int64(1), mesh_int64(7)), NULL),
              MESH_OK);
    CHECK_INT(rows_of(1), 1);
}

TEST(a_statement_without_rows_tells_how_many_it_changed)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db, SQL("insert into t select generate_series(10, 12), 1"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 3);
    CHECK_INT(mesh_db_query(ctx, db,
                            SQL("update t set v = 2 where id between 10 and 12 returning id"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 3);
    CHECK_INT(mesh_db_query(ctx, db, SQL("update t set v = 2 where id < 0 returning id"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 0);
}

TEST(what_is_committed_is_there_and_was_invisible_before)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 20), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &count, MESH_ARGS(mesh_int64(20)), &rows), MESH_OK);
    CHECK_INT(mesh_row_int64(rows, 0, 0), 1);
    CHECK_INT(rows_of(20), 0);
    CHECK_INT(add(tx, 21), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK(tx == NULL);
    CHECK_INT(rows_of(20), 1);
    CHECK_INT(rows_of(21), 1);
}

TEST(a_later_failure_undoes_what_went_before)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 30), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &count, MESH_ARGS(mesh_int64(30)), &rows), MESH_OK);
    CHECK_INT(add(tx, 31), MESH_OK);
    CHECK_INT(add(tx, 31), MESH_OK); /* only queued */
    CHECK_INT(add(tx, 32), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_constraint(ctx), "t_pkey");
    CHECK_INT(rows_of(30) + rows_of(31) + rows_of(32), 0);
}

TEST(a_failure_shows_at_the_next_query_and_ever_after)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows = NULL;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 40), MESH_OK);
    CHECK_INT(add(tx, 40), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &count, MESH_ARGS(mesh_int64(40)), &rows),
              MESH_ALREADY_EXISTS);
    CHECK(rows == NULL);
    CHECK_INT(mesh_fail(ctx, MESH_NOT_FOUND, "something else"), MESH_NOT_FOUND);
    CHECK_INT(add(tx, 41), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error(ctx), "a row with this key exists already");
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_ALREADY_EXISTS);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
    CHECK_INT(rows_of(40) + rows_of(41), 0);
}

TEST(flush_reports_the_first_failure_before_the_commit)
{
    cleanup_tx struct mesh_tx *tx = NULL;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK); /* nothing to send */
    CHECK_INT(add(tx, 45), MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, tx, &insert, MESH_ARGS(mesh_int64(46), mesh_int64(40000))),
              MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OUT_OF_RANGE);
}

static int64_t pid_of_only_connection(struct mesh_db *one)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, one, &my_pid, MESH_NO_ARGS, &rows), MESH_OK);
    return mesh_row_int64(rows, 0, 0);
}

TEST(a_transaction_that_is_left_is_rolled_back_and_its_connection_used_again)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    int64_t pid = pid_of_only_connection(one);

    for (int sent = 0; sent < 3; sent++) {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, one, &tx), MESH_OK);
        if (sent > 0) {
            CHECK_INT(add(tx, 50), MESH_OK);
        }
        if (sent > 1) {
            CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
        }
    }
    CHECK_INT(rows_of(50), 0);
    CHECK_INT(pid_of_only_connection(one), pid);
    mesh__db_free(one);
}

/* More statements than are kept back: those before `last` are sent with the first of them. */
#define MANY 40

TEST(a_transaction_left_while_it_waits_for_a_lock_keeps_none_itself)
{
    static const struct mesh_sql touch = {"touch_t", "update t set v = v where id = $1"};
    static const struct mesh_sql probe = {"probe_t",
                                          "select 1 from t where id = $1 for update nowait"};
    cleanup_tx struct mesh_tx *rival = NULL;
    struct mesh_tx *tx;

    CHECK_INT(
        mesh_db_query(ctx, db, SQL("insert into t values (55, 1), (56, 1)"), MESH_NO_ARGS, NULL),
        MESH_OK);
    CHECK_INT(mesh_tx_begin(ctx, db, &rival), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, rival, &touch, MESH_ARGS(mesh_int64(56))), MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, rival), MESH_OK);

    for (int n = 1; n <= MANY; n += MANY - 1) {
        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        CHECK_INT(mesh_tx_exec(ctx, tx, &touch, MESH_ARGS(mesh_int64(55))), MESH_OK);
        CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
        for (int i = 0; i < n; i++) {
            CHECK_INT(mesh_tx_exec(ctx, tx, &touch, MESH_ARGS(mesh_int64(56))), MESH_OK);
        }
        mesh__cleanup_tx(&tx);
        CHECK_INT(mesh_db_query(ctx, db, &probe, MESH_ARGS(mesh_int64(55)), NULL), MESH_OK);
    }
}

TEST(an_empty_transaction_commits)
{
    cleanup_tx struct mesh_tx *tx = NULL;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
}

/* In a child process: writes without committing, says so, and waits for its death. */
static void write_and_hang(int pipe_fd)
{
    struct mesh_db *own = fixture_pool(SCHEMA, 1);
    struct mesh_ctx *own_ctx = fixture_ctx(20000);
    struct mesh_tx *tx;

    if (mesh_tx_begin(own_ctx, own, &tx) == MESH_OK &&
        mesh_tx_exec(own_ctx, tx, &insert, MESH_ARGS(mesh_int64(60), mesh_int64(1))) == MESH_OK &&
        mesh__tx_flush(own_ctx, tx) == MESH_OK) {
        (void)!write(pipe_fd, "x", 1);
    }
    pause();
}

TEST(a_killed_process_leaves_nothing)
{
    int fds[2];
    char byte;
    pid_t child;

    CHECK_INT(pipe(fds), 0);
    child = fork();
    if (child == 0) {
        close(fds[0]);
        write_and_hang(fds[1]);
        _exit(1);
    }
    close(fds[1]);
    CHECK_INT(read(fds[0], &byte, 1), 1);
    close(fds[0]);
    CHECK_INT(kill(child, SIGKILL), 0);
    CHECK_INT(waitpid(child, NULL, 0), child);
    CHECK_INT(rows_of(60), 0);
    /* Its lock is gone too. */
    CHECK_INT(mesh_db_query(ctx, db, &insert, MESH_ARGS(mesh_int64(60), mesh_int64(1)), NULL),
              MESH_OK);
}

TEST(a_constraint_checked_at_the_commit_fails_the_commit)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, SQL("insert into later values (-5) returning 1"), MESH_NO_ARGS,
                            &rows),
              MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "23503") != NULL);
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from later"), "0");
    CHECK_INT(rows_of(-5), 0); /* the connection is fine */
}

TEST(errors_have_the_status_of_their_sqlstate)
{
    CHECK_INT(mesh_db_query(ctx, db, SQL("select * from no_such_table"), MESH_NO_ARGS, NULL),
              MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "42P01") != NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "test_statement") != NULL);
    CHECK_INT(mesh_db_query(ctx, db, &insert, MESH_ARGS(mesh_int64(70), mesh_int64(70000)), NULL),
              MESH_OUT_OF_RANGE);
    CHECK_TEXT(ctx->scope->error->sqlstate, "22003");
    CHECK_INT(mesh_db_query(ctx, db, &insert, MESH_ARGS(mesh_int64(70), mesh_int64(5000)), NULL),
              MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_constraint(ctx), "small");
    CHECK_INT(mesh_db_query(ctx, db, SQL("select 1 where $1 = gen_random_uuid()"),
                            MESH_ARGS(mesh_uuid("nonsense")), NULL),
              MESH_INTERNAL);
    CHECK_INT(mesh_db_query(ctx, db, SQL("copy t to stdout"), MESH_NO_ARGS, NULL), MESH_INTERNAL);
    CHECK_INT(rows_of(70), 0);
}

TEST(values_do_not_get_into_texts)
{
    CHECK_INT(mesh_db_query(ctx, db, SQL("select $1::int8"), MESH_ARGS(mesh_text("secret")), NULL),
              MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "22P02") != NULL);
    CHECK(strstr(mesh_ctx_error(ctx), "secret") == NULL);
    CHECK_INT(mesh_db_query(ctx, db, SQL("select 1/0"), MESH_NO_ARGS, NULL), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(ctx), "division by zero") != NULL);
}

TEST(a_transaction_begun_in_words_is_what_it_says)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh__tx_begin_as(ctx, db, "begin isolation level repeatable read read only", &tx),
              MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx,
                            SQL("select current_setting('transaction_isolation'), "
                                "current_setting('transaction_read_only')"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_TEXT(mesh_row_text(rows, 0, 0), "repeatable read");
    CHECK_TEXT(mesh_row_text(rows, 0, 1), "on");
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
}

TEST(a_transaction_begun_in_words_fails_and_ends_like_any_other)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    int64_t pid = pid_of_only_connection(one);

    for (int way = 0; way < 3; way++) {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh__tx_begin_as(ctx, one, "begin", &tx), MESH_OK);
        CHECK_INT(add(tx, 80), MESH_OK);
        CHECK_INT(mesh__tx_flush(ctx, tx), MESH_OK);
        if (way > 0) {
            CHECK_INT(add(tx, 80), MESH_OK);
        }
        if (way == 1) {
            CHECK_INT(mesh__tx_flush(ctx, tx), MESH_ALREADY_EXISTS);
        }
        if (way == 2) {
            CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ALREADY_EXISTS);
        }
    }
    CHECK_INT(rows_of(80), 0);
    CHECK_INT(pid_of_only_connection(one), pid);
    mesh__db_free(one);
}

/* ---- other transactions in the way ---- */

struct rival {
    pthread_t thread;
    pthread_barrier_t *both_hold_one;
    int64_t first;
    int64_t second;
    enum mesh_status status;
};

static void *lock_two(void *arg)
{
    struct rival *rival = arg;
    struct mesh_ctx *own = fixture_ctx(20000);
    static const struct mesh_sql lock = {"lock_t", "update t set v = v where id = $1"};
    struct mesh_tx *tx;

    rival->status = mesh_tx_begin(own, db, &tx);
    if (rival->status == MESH_OK) {
        mesh_ignore(mesh_tx_exec(own, tx, &lock, MESH_ARGS(mesh_int64(rival->first))));
        rival->status = mesh__tx_flush(own, tx);
        pthread_barrier_wait(rival->both_hold_one);
        mesh_ignore(mesh_tx_exec(own, tx, &lock, MESH_ARGS(mesh_int64(rival->second))));
        rival->status = mesh_tx_commit(own, &tx);
    }
    mesh__ctx_free(own);
    return NULL;
}

TEST(of_two_transactions_in_a_deadlock_one_is_aborted)
{
    pthread_barrier_t barrier;
    struct rival a = {.both_hold_one = &barrier, .first = 90, .second = 91};
    struct rival b = {.both_hold_one = &barrier, .first = 91, .second = 90};

    fixture_run(SCHEMA, "insert into t values (90, 1), (91, 1)");
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&a.thread, NULL, lock_two, &a);
    pthread_create(&b.thread, NULL, lock_two, &b);
    pthread_join(a.thread, NULL);
    pthread_join(b.thread, NULL);
    pthread_barrier_destroy(&barrier);
    CHECK((a.status == MESH_OK && b.status == MESH_ABORTED) ||
          (a.status == MESH_ABORTED && b.status == MESH_OK));
}

TEST(a_serialization_failure_is_aborted)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    fixture_run(SCHEMA, "insert into t values (95, 1)");
    CHECK_INT(mesh__tx_begin_as(ctx, db, "begin isolation level repeatable read", &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &count, MESH_ARGS(mesh_int64(95)), &rows), MESH_OK);
    fixture_run(SCHEMA, "update t set v = 2 where id = 95");
    CHECK_INT(mesh_tx_exec(ctx, tx, SQL("update t set v = 3 where id = 95"), MESH_NO_ARGS),
              MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_ABORTED);
    CHECK_TEXT(fixture_ask(SCHEMA, "select v from t where id = 95"), "2");
}

TEST(a_lock_that_cannot_be_had_is_aborted)
{
    cleanup_tx struct mesh_tx *holder = NULL;

    fixture_run(SCHEMA, "insert into t values (97, 1)");
    CHECK_INT(mesh_tx_begin(ctx, db, &holder), MESH_OK);
    CHECK_INT(mesh_tx_exec(ctx, holder, SQL("update t set v = 2 where id = 97"), MESH_NO_ARGS),
              MESH_OK);
    CHECK_INT(mesh__tx_flush(ctx, holder), MESH_OK);
    CHECK_INT(mesh_db_query(ctx, db, SQL("select 1 from t where id = 97 for update nowait"),
                            MESH_NO_ARGS, NULL),
              MESH_ABORTED);
}

/* ---- deadlines ---- */

TEST(the_deadline_cancels_a_query_and_the_connection_is_used_again)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    int64_t pid = pid_of_only_connection(one);
    struct mesh_ctx *hurried = mesh_ctx_timeout(ctx, 100);
    int64_t start_ns = mesh__now_ns();

    {
        cleanup_tx struct mesh_tx *tx = NULL;
        struct mesh_rows *rows;

        CHECK_INT(mesh_tx_begin(ctx, one, &tx), MESH_OK);
        CHECK_INT(add(tx, 100), MESH_OK);
        CHECK_INT(mesh_tx_query(hurried, tx, &sleep_long, MESH_NO_ARGS, &rows),
                  MESH_DEADLINE_EXCEEDED);
        CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS >= 100);
        CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS < 5000);
        CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_DEADLINE_EXCEEDED); /* though ctx has time left */
    }
    CHECK_INT(rows_of(100), 0);
    CHECK_INT(pid_of_only_connection(one), pid);
    mesh__db_free(one);
}

TEST(the_deadline_cancels_a_lone_statement_and_nothing_happened)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    int64_t pid = pid_of_only_connection(one);

    CHECK_INT(mesh_db_query(mesh_ctx_timeout(ctx, 50), one,
                            SQL("insert into t select 101, 1 from pg_sleep(30)"), MESH_NO_ARGS,
                            NULL),
              MESH_DEADLINE_EXCEEDED);
    CHECK_INT(rows_of(101), 0);
    CHECK_INT(pid_of_only_connection(one), pid);
    mesh__db_free(one);
}

TEST(a_call_whose_deadline_has_passed_sends_nothing)
{
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_ctx *late = mesh_ctx_timeout(ctx, 0);

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(add(tx, 102), MESH_OK);
    CHECK_INT(mesh_tx_commit(late, &tx), MESH_DEADLINE_EXCEEDED);
    CHECK_INT(rows_of(102), 0);
}

TEST(a_cancelled_call_stops_its_statement)
{
    atomic_bool cancelled = false;
    struct mesh_ctx *view = mesh_ctx_timeout(ctx, 10000);
    struct mesh_rows *rows;
    cleanup_tx struct mesh_tx *tx = NULL;

    view->cancelled = &cancelled;
    CHECK_INT(mesh_tx_begin(view, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(view, tx, &my_pid, MESH_NO_ARGS, &rows), MESH_OK);
    atomic_store(&cancelled, true);
    CHECK_INT(mesh_tx_query(view, tx, &sleep_long, MESH_NO_ARGS, &rows), MESH_CANCELLED);
}

static void *cancel_when_asleep(void *arg)
{
    fixture_wait_until(SCHEMA, "select count(*) > 0 from pg_stat_activity "
                               "where state = 'active' and query ~ '^select 1 from pg_sleep'");
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

TEST(a_call_that_is_cancelled_while_it_waits_stops_its_statement)
{
    static atomic_bool cancelled;
    struct mesh_ctx *view = mesh_ctx_timeout(ctx, 15000);
    pthread_t thread;

    view->cancelled = &cancelled;
    pthread_create(&thread, NULL, cancel_when_asleep, &cancelled);
    CHECK_INT(mesh_db_query(view, db, &sleep_long, MESH_NO_ARGS, NULL), MESH_CANCELLED);
    pthread_join(thread, NULL);
    fixture_wait_until(SCHEMA, "select count(*) = 0 from pg_stat_activity "
                               "where state = 'active' and query ~ '^select 1 from pg_sleep'");
}

/* ---- large answers ---- */

TEST(ten_thousand_rows_are_read)
{
    struct mesh_rows *rows;

    CHECK_INT(mesh_db_query(ctx, db, SQL("select g, g::text from generate_series(1, 10000) g"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 10000);
    CHECK_INT(mesh_row_int64(rows, 9999, 0), 10000);
    CHECK_TEXT(mesh_row_text(rows, 4999, 1), "5000");
}

TEST(an_answer_beyond_the_cap_is_refused_and_the_connection_used_again)
{
    static const struct mesh_sql huge = {
        "huge", "select repeat('x', 1000), generate_series(1, 1000000000)"};
    struct mesh_db *one = fixture_pool(SCHEMA, 1);
    cleanup_ctx struct mesh_ctx *small = mesh__ctx_new("test", 1 << 20, mesh__in_ms(20000));
    int64_t pid = pid_of_only_connection(one);
    struct mesh_rows *rows = NULL;

    CHECK_INT(mesh_db_query(small, one, &huge, MESH_NO_ARGS, &rows), MESH_RESOURCE_EXHAUSTED);
    CHECK(rows == NULL);
    CHECK_INT(pid_of_only_connection(one), pid);
    {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(small, one, &tx), MESH_OK);
        CHECK_INT(mesh_tx_query(small, tx, &huge, MESH_NO_ARGS, &rows), MESH_RESOURCE_EXHAUSTED);
    }
    CHECK_INT(pid_of_only_connection(one), pid);
    mesh__db_free(one);
}

TEST_MAIN(set_up, tear_down)
