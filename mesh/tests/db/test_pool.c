/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/log_impl.h"
#include "core/metrics_impl.h"
#include "fixture.h"
#include "mesh/cleanup.h"
#include "test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCHEMA "test_pool"

static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    (void)state;
    fixture_make_schema(SCHEMA);
    fixture_run(SCHEMA, "create table counter (id int8 primary key, n int8 not null); "
                        "insert into counter select g, 0 from generate_series(0, 9) g");
    ctx = fixture_ctx(100000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    return 0;
}

static const struct mesh_sql my_pid = {"my_pid", "select pg_backend_pid()"};

static int64_t pid_of(struct mesh_db *db)
{
    struct mesh_rows *rows;

    if (mesh_db_query(ctx, db, &my_pid, MESH_NO_ARGS, &rows) != MESH_OK) {
        fail_msg("%s", mesh_ctx_error(ctx));
    }
    return mesh_row_int64(rows, 0, 0);
}

TEST(connections_are_made_only_when_needed)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 5);
    int64_t first = pid_of(db);

    for (int i = 0; i < 5; i++) {
        CHECK_INT(pid_of(db), first);
    }
    mesh__db_free(db);
}

TEST(a_full_pool_is_waited_for_until_the_deadline)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    int64_t start_ns = mesh__now_ns();
    struct mesh_tx *other;
    atomic_bool cancelled = true;
    struct mesh_ctx *gone = mesh_ctx_timeout(ctx, 5000);

    {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        CHECK_INT(mesh_tx_begin(mesh_ctx_timeout(ctx, 60), db, &other), MESH_DEADLINE_EXCEEDED);
        CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS >= 60);
        gone->cancelled = &cancelled;
        CHECK_INT(mesh_tx_begin(gone, db, &other), MESH_CANCELLED);
    }
    CHECK_INT(mesh_tx_begin(ctx, db, &other), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &other), MESH_OK);
    mesh__db_free(db);
}

/* ---- order of waiting ---- */

struct turn {
    struct mesh_db *db;
    pthread_t thread;
    atomic_int *next;
    int got;
};

static void *take_turn(void *arg)
{
    struct turn *turn = arg;
    struct mesh_ctx *own = fixture_ctx(20000);
    struct mesh_tx *tx;

    if (mesh_tx_begin(own, turn->db, &tx) == MESH_OK) {
        turn->got = atomic_fetch_add(turn->next, 1);
        mesh_ignore(mesh_tx_commit(own, &tx));
    }
    mesh__ctx_free(own);
    return NULL;
}

static void wait_for_waiting(double n)
{
    const char *labels[] = {"pool", "test", NULL};
    const struct mesh_gauge *gauge = mesh_gauge("mesh_db_waiting", "", labels);

    while (mesh_gauge_value(gauge) != n) {
        usleep(1000);
    }
}

TEST(waiting_callers_are_served_in_order)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    struct turn turns[5];
    atomic_int next = 0;
    struct mesh_tx *tx;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    for (int i = 0; i < 5; i++) {
        turns[i] = (struct turn){.db = db, .next = &next, .got = -1};
        pthread_create(&turns[i].thread, NULL, take_turn, &turns[i]);
        wait_for_waiting(i + 1);
    }
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    for (int i = 0; i < 5; i++) {
        pthread_join(turns[i].thread, NULL);
        CHECK_INT(turns[i].got, i);
    }
    mesh__db_free(db);
}

/* ---- many threads ---- */

struct worker {
    struct mesh_db *db;
    pthread_t thread;
    unsigned seed;
    int n_rounds;
    int n_committed;
    int n_unknown;
    int n_unavailable;
    int n_failed;
};

static enum mesh_status work_once(struct mesh_ctx *own, struct worker *worker)
{
    static const struct mesh_sql read = {"read", "select n from counter where id = $1 for update"};
    static const struct mesh_sql write = {"write", "update counter set n = $2 where id = $1"};
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;
    int64_t id = rand_r(&worker->seed) % 10;

    MESH_TRY(mesh_tx_begin(own, worker->db, &tx));
    MESH_TRY(mesh_tx_query(own, tx, &read, MESH_ARGS(mesh_int64(id)), &rows));
    MESH_TRY(mesh_tx_exec(own, tx, &write,
                          MESH_ARGS(mesh_int64(id), mesh_int64(mesh_row_int64(rows, 0, 0) + 1))));
    if (rand_r(&worker->seed) % 4 == 0) {
        return MESH_ABORTED; /* rolled back */
    }
    return mesh_tx_commit(own, &tx);
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    for (int i = 0; i < worker->n_rounds; i++) {
        /* Now and then the deadline is too near, anywhere. */
        struct mesh_ctx *own = fixture_ctx(i % 10 == 0 ? rand_r(&worker->seed) % 4 : 20000);
        enum mesh_status status = work_once(own, worker);

        worker->n_committed += status == MESH_OK;
        worker->n_unknown += status == MESH_UNKNOWN;
        worker->n_unavailable += status == MESH_UNAVAILABLE;
        worker->n_failed += status != MESH_OK && status != MESH_UNKNOWN &&
                            status != MESH_UNAVAILABLE && status != MESH_ABORTED &&
                            status != MESH_DEADLINE_EXCEEDED;
        mesh__ctx_free(own);
    }
    return NULL;
}

#define N_WORKERS 12

static void start_workers(struct worker *workers, struct mesh_db *db, int n_rounds)
{
    fixture_run(SCHEMA, "update counter set n = 0");
    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i] = (struct worker){.db = db, .seed = i, .n_rounds = n_rounds};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
}

/* Returns the sum of what they saw. */
static struct worker join_workers(struct worker *workers)
{
    struct worker sum = {0};

    for (int i = 0; i < N_WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        sum.n_committed += workers[i].n_committed;
        sum.n_unknown += workers[i].n_unknown;
        sum.n_unavailable += workers[i].n_unavailable;
        sum.n_failed += workers[i].n_failed;
    }
    return sum;
}

static long stored(void)
{
    return strtol(fixture_ask(SCHEMA, "select sum(n) from counter"), NULL, 10);
}

TEST(many_threads_share_few_connections_and_lose_nothing)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 3);
    struct worker workers[N_WORKERS];
    struct worker sum;

    start_workers(workers, db, 100);
    sum = join_workers(workers);
    CHECK_INT(sum.n_failed + sum.n_unknown + sum.n_unavailable, 0);
    CHECK(sum.n_committed > 500);
    CHECK_INT(stored(), sum.n_committed);
    mesh__db_free(db);
}

TEST(connections_killed_at_any_moment_never_make_a_false_outcome)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 6);
    struct mesh_db *db;
    struct worker workers[N_WORKERS];
    struct worker sum;

    options.application_name = "victim";
    db = mesh__db_new(&options);
    start_workers(workers, db, 300);
    for (int i = 0; i < 60; i++) {
        fixture_run(SCHEMA, "select pg_terminate_backend(pid) from pg_stat_activity "
                            "where application_name = 'victim' order by random() limit 1");
    }
    sum = join_workers(workers);
    CHECK_INT(sum.n_failed, 0);
    CHECK(sum.n_unavailable > 0); /* some were hit */
    CHECK(sum.n_committed > 0);
    CHECK(stored() >= sum.n_committed);
    CHECK(stored() <= sum.n_committed + sum.n_unknown);
    mesh__db_free(db);
}

/* ---- servers and connections that go away ---- */

TEST(an_idle_connection_that_the_server_ended_is_replaced_unseen)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 1);

    for (int i = 0; i < 3; i++) {
        int64_t pid = pid_of(db);

        fixture_run(SCHEMA, "select pg_terminate_backend(%lld, 5000)", (long long)pid);
        CHECK(pid_of(db) != pid);
    }
    mesh__db_free(db);
}

TEST(a_connection_left_inside_a_transaction_is_not_lent_again)
{
    struct mesh_db *one = fixture_pool(SCHEMA, 1);

    CHECK_INT(mesh_db_query(ctx, one, SQL("begin"), MESH_NO_ARGS, NULL), MESH_OK);
    /* Inside it, everything after this error would be one. */
    CHECK_INT(mesh_db_query(ctx, one, SQL("table nowhere"), MESH_NO_ARGS, NULL), MESH_INTERNAL);
    CHECK_INT(mesh_db_query(ctx, one, SQL("select 1"), MESH_NO_ARGS, NULL), MESH_OK);
    mesh__db_free(one);
}

TEST(callers_fail_at_once_while_the_server_is_away_and_recover_with_it)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 2);
    int64_t start_ns;
    enum mesh_status status;

    (void)pid_of(db);
    fixture_stop_postgres();
    start_ns = mesh__now_ns();
    for (int i = 0; i < 20; i++) {
        CHECK_INT(mesh_db_query(ctx, db, &my_pid, MESH_NO_ARGS, NULL), MESH_UNAVAILABLE);
        CHECK(mesh_ctx_error_retry_ms(ctx) >= 0);
    }
    CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS < 2000);
    fixture_start_postgres();
    start_ns = mesh__now_ns();
    do {
        usleep(5000);
        status = mesh_db_query(ctx, db, &my_pid, MESH_NO_ARGS, NULL);
    } while (status == MESH_UNAVAILABLE && mesh__now_ns() - start_ns < 5 * MESH_NS_PER_S);
    CHECK_INT(status, MESH_OK);
    CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS < 1500);
    mesh__db_free(db);
}

TEST(a_restart_between_two_calls_is_not_noticed)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 2);

    (void)pid_of(db);
    fixture_stop_postgres();
    fixture_start_postgres();
    (void)pid_of(db);
    mesh__db_free(db);
}

TEST(a_server_without_room_for_more_connections_leaves_those_it_has)
{
    struct mesh_db_options options;
    struct mesh_db *db;
    struct turn turn;
    atomic_int next = 0;
    char url[600];
    struct mesh_tx *tx;

    fixture_run(SCHEMA, "create role few login connection limit 1; alter role few set search_path "
                        "to " SCHEMA "; grant usage on schema " SCHEMA " to few");
    options = fixture_options(SCHEMA, 4);
    (void)snprintf(url, sizeof(url), "%s&user=few", options.url);
    options.url = url;
    db = mesh__db_new(&options);
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    turn = (struct turn){.db = db, .next = &next, .got = -1};
    pthread_create(&turn.thread, NULL, take_turn, &turn);
    wait_for_waiting(1); /* it tried to connect, and queued */
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    pthread_join(turn.thread, NULL);
    CHECK_INT(turn.got, 0);
    mesh__db_free(db);
    fixture_run(SCHEMA, "drop owned by few; drop role few");
}

TEST(a_waiting_caller_connects_when_the_server_has_room_again)
{
    struct mesh_db_options options;
    struct mesh_db *db;
    struct turn turn;
    atomic_int next = 0;
    char url[600];
    struct mesh_tx *tx;

    fixture_run(SCHEMA, "create role more login connection limit 1; alter role more set search_path"
                        " to " SCHEMA "; grant usage on schema " SCHEMA " to more");
    options = fixture_options(SCHEMA, 4);
    (void)snprintf(url, sizeof(url), "%s&user=more", options.url);
    options.url = url;
    db = mesh__db_new(&options);
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    turn = (struct turn){.db = db, .next = &next, .got = -1};
    pthread_create(&turn.thread, NULL, take_turn, &turn);
    wait_for_waiting(1);
    fixture_run(SCHEMA, "alter role more connection limit 2");
    pthread_join(turn.thread, NULL); /* while the other connection is still lent */
    CHECK_INT(turn.got, 0);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    mesh__db_free(db);
    fixture_run(SCHEMA, "drop owned by more; drop role more");
}

TEST(a_role_whose_commits_may_get_lost_is_refused)
{
    struct mesh_db_options options;
    struct mesh_db *db;
    char url[600];

    fixture_run(SCHEMA, "create role hasty login; alter role hasty set search_path to " SCHEMA
                        "; alter role hasty set synchronous_commit to off;"
                        " grant usage on schema " SCHEMA " to hasty");
    options = fixture_options(SCHEMA, 1);
    (void)snprintf(url, sizeof(url), "%s&user=hasty", options.url);
    options.url = url;
    db = mesh__db_new(&options);
    CHECK_INT(mesh__db_check(ctx, db), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "synchronous_commit is off") != NULL);
    mesh__db_free(db);
    fixture_run(SCHEMA, "drop owned by hasty; drop role hasty");
}

TEST(transactions_are_read_committed_whatever_the_url_says)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_rows *rows;
    struct mesh_db *db;
    char url[600];

    (void)snprintf(url, sizeof(url), "%s%%20-cdefault_transaction_isolation%%3Dserializable",
                   options.url);
    options.url = url;
    db = mesh__db_new(&options);
    CHECK_INT(mesh_db_query(ctx, db, SQL("select current_setting('transaction_isolation')"),
                            MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_TEXT(mesh_row_text(rows, 0, 0), "read committed");
    mesh__db_free(db);
}

TEST(a_wrong_schema_is_told_in_a_sentence)
{
    struct mesh_db_options options = fixture_options("public", 1);
    struct mesh_db *db;

    options.schema = "fashion_order";
    db = mesh__db_new(&options);
    CHECK_INT(mesh__db_check(ctx, db), MESH_FAILED_PRECONDITION);
    CHECK_TEXT(
        mesh_ctx_error(ctx),
        "the database cannot be reached: the schema is \"public\" and not \"fashion_order\": "
        "set the search_path of the role");
    CHECK_INT(mesh_db_query(ctx, db, &my_pid, MESH_NO_ARGS, NULL), MESH_UNAVAILABLE);
    mesh__db_free(db);
}

TEST(check_tells_what_is_wrong_with_the_connection)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    struct mesh_db *db = mesh__db_new(&options);

    CHECK_INT(mesh__db_check(ctx, db), MESH_OK);
    mesh__db_free(db);

    options.url = "postgresql://nobody@127.0.0.1:1/nowhere";
    db = mesh__db_new(&options);
    CHECK_INT(mesh__db_check(ctx, db), MESH_UNAVAILABLE);
    CHECK(strstr(mesh_ctx_error(ctx), "Connection refused") != NULL);
    mesh__db_free(db);

    options.url = "port=nonsense";
    db = mesh__db_new(&options);
    CHECK_INT(mesh__db_check(ctx, db), MESH_UNAVAILABLE);
    CHECK(strstr(mesh_ctx_error(ctx), "port") != NULL);
    mesh__db_free(db);
}

/* Takes connections, in the kernel, and never says a word. Returns its port. */
static int listen_mute(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(*ret_fd, (struct sockaddr *)&address, size), 0);
    CHECK_INT(listen(*ret_fd, 16), 0);
    CHECK_INT(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

TEST(a_server_that_does_not_answer_costs_no_more_than_the_deadline)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    cleanup_fd int fd = -1;
    char url[64];
    struct mesh_db *db;
    int64_t start_ns = mesh__now_ns();

    (void)snprintf(url, sizeof(url), "postgresql://x@127.0.0.1:%d/x", listen_mute(&fd));
    options.url = url;
    db = mesh__db_new(&options);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(mesh_db_query(mesh_ctx_timeout(ctx, 100), db, &my_pid, MESH_NO_ARGS, NULL),
                  MESH_DEADLINE_EXCEEDED);
    }
    CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS < 1000);
    CHECK_INT(mesh_db_query(mesh_ctx_timeout(ctx, 20000), db, &my_pid, MESH_NO_ARGS, NULL),
              MESH_UNAVAILABLE); /* after 5 s in all */
    CHECK((mesh__now_ns() - start_ns) / MESH_NS_PER_MS < 10000);
    mesh__db_free(db);
}

TEST(an_attempt_to_connect_goes_on_in_the_next_call)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    enum mesh_status status = MESH_DEADLINE_EXCEEDED;
    int n = 0;

    /* No single call has the time for it. */
    while (status == MESH_DEADLINE_EXCEEDED && n++ < 1000) {
        status = mesh_db_query(mesh_ctx_timeout(ctx, 2), db, &my_pid, MESH_NO_ARGS, NULL);
    }
    CHECK_INT(status, MESH_OK);
    mesh__db_free(db);
}

/* ---- what an operator sees ---- */

static char logged[8192];

static void keep_line(void *arg, const char *line, size_t size)
{
    (void)arg;
    (void)strncat(logged, line, size < sizeof(logged) - strlen(logged) ? size : 0);
}

TEST(a_slow_statement_is_logged_with_its_call)
{
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    char pid[32];

    (void)snprintf(pid, sizeof(pid), "%lld", (long long)pid_of(db));
    mesh__log_capture(keep_line, NULL);
    CHECK_INT(mesh_db_query(ctx, db, SQL("select pg_sleep(1.05)"), MESH_NO_ARGS, NULL), MESH_OK);
    mesh__log_capture(NULL, NULL);
    CHECK(strstr(logged, "test_statement") != NULL);
    CHECK(strstr(logged, mesh_ctx_trace_id(ctx)) != NULL);
    CHECK(strstr(logged, pid) != NULL);
    mesh__db_free(db);
}

TEST(metrics_tell_of_the_pool)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 2);
    struct mesh_db *db;
    struct mesh_tx *tx;
    char *text;
    size_t size;

    options.metric_label = "seen";
    db = mesh__db_new(&options);
    (void)pid_of(db);
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_db_query(ctx, db, SQL("select 1/0"), MESH_NO_ARGS, NULL), MESH_INTERNAL);
    mesh__metrics_write(&text, &size);
    CHECK(strstr(text, "mesh_db_connections{pool=\"seen\",state=\"used\"} 1\n") != NULL);
    CHECK(strstr(text, "mesh_db_connections{pool=\"seen\",state=\"idle\"} 1\n") != NULL);
    CHECK(strstr(text, "mesh_db_waiting{pool=\"seen\"} 0\n") != NULL);
    CHECK(strstr(text, "mesh_db_queries_total{pool=\"seen\"} 2\n") != NULL);
    CHECK(strstr(text, "mesh_db_wait_seconds_count{pool=\"seen\"} 3\n") != NULL);
    CHECK(strstr(text, "mesh_db_errors_total{sqlstate=\"22012\"} 1\n") != NULL);
    free(text);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    mesh__db_free(db);
    mesh__metrics_write(&text, &size);
    CHECK(strstr(text, "mesh_db_connections{pool=\"seen\",state=\"idle\"} 0\n") != NULL);
    CHECK(strstr(text, "mesh_db_connections{pool=\"seen\",state=\"used\"} 0\n") != NULL);
    free(text);
}

TEST_MAIN(set_up, tear_down)
