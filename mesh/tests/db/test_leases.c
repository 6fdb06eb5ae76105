/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas share leases out, and take over from those that die or hang. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/leases.h"
#include "fixture.h"
#include "mesh/metrics.h"
#include "test.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCHEMA "test_leases"
#define MAX 8

/* A replica with a user of its leases that leaves one as soon as it should. */
struct replica {
    struct mesh__leases *leases;
    struct mesh__lease_group *group;
    size_t n;
    atomic_bool stubborn; /* its user does not leave */
    atomic_int changes;
    atomic_bool told; /* at a change the first lease was held */
};

static void changed(void *arg)
{
    struct replica *replica = arg;

    atomic_fetch_add(&replica->changes, 1);
    if (mesh__lease_term(replica->group, 0) != 0) {
        atomic_store(&replica->told, true);
    }
}

static void start(struct replica *replica, const char *id, size_t n)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);

    *replica = (struct replica){.n = n};
    replica->leases = mesh__leases_new(
        &(struct mesh__leases_options){.url = options.url, .schema = SCHEMA, .replica = id});
    replica->group = mesh__leases_add(replica->leases, "part", n, changed, replica);
    mesh__leases_start(replica->leases);
}

static void stop(struct replica *replica)
{
    mesh__leases_free(replica->leases);
}

static size_t count_held(struct replica *replica)
{
    size_t n = 0;

    for (size_t i = 0; i < replica->n; i++) {
        if (mesh__lease_term(replica->group, i) != 0) {
            n++;
        } else if (!atomic_load(&replica->stubborn)) {
            mesh__lease_left(replica->group, i);
        }
    }
    return n;
}

/* Waits until they hold all leases together, and each as many as the others or one less. */
static bool wait_until_spread(struct replica *const *replicas, size_t n)
{
    for (int tries = 0; tries < 2000; tries++) {
        size_t sum = 0;
        bool even = true;

        for (size_t i = 0; i < n; i++) {
            size_t held = count_held(replicas[i]);

            even = even && held >= MAX / n - (n > 2) && held <= (MAX + n - 1) / n;
            sum += held;
        }
        if (even && sum == MAX) {
            return true;
        }
        usleep(10000);
    }
    return false;
}

#define CHECK_SPREAD(...)                                                                          \
    CHECK(wait_until_spread((struct replica *[]){__VA_ARGS__},                                     \
                            sizeof((struct replica *[]){__VA_ARGS__}) / sizeof(struct replica *)))

static size_t count_unclean(const struct replica *replica)
{
    size_t n = 0;

    for (size_t i = 0; i < replica->n; i++) {
        n += mesh__lease_unclean(replica->group, i);
    }
    return n;
}

static int set_up(void **state __attribute__((unused)))
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx(20000);
    static const struct mesh_migration none[] = {{NULL, NULL}};
    struct mesh_db *db;
    int applied;

    fixture_make_schema(SCHEMA);
    db = fixture_pool(SCHEMA, 1);
    CHECK_INT(mesh__migrate(ctx, db, none, 0, &applied), MESH_OK);
    mesh__db_free(db);
    fixture_run(SCHEMA,
                "create table held_row (id int primary key); insert into held_row values (1)");
    return 0;
}

TEST(one_replica_holds_everything_until_it_stops)
{
    struct replica a;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    CHECK(atomic_load(&a.changes) > 0);
    CHECK_INT(count_unclean(&a), 0);
    stop(&a);
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from lease"), "0");
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from replica"), "0");
}

TEST(leases_are_spread_as_replicas_come_and_go)
{
    struct replica a;
    struct replica b;
    struct replica c;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&a, &b);
    start(&c, "test 0000000c", MAX);
    CHECK_SPREAD(&a, &b, &c);
    stop(&a);
    CHECK_SPREAD(&b, &c);
    CHECK_INT(count_unclean(&b) + count_unclean(&c), 0);
    stop(&b);
    CHECK_SPREAD(&c);
    CHECK_INT(count_unclean(&c), 0);
    stop(&c);
}

TEST(a_lease_waits_for_its_user_to_leave)
{
    struct replica a;
    struct replica b;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    atomic_store(&a.stubborn, true);
    start(&b, "test 0000000b", MAX);
    while (count_held(&a) != MAX / 2) {
        usleep(1000);
    }
    CHECK_TEXT(fixture_ask(SCHEMA, "select count(*) from lease where holder like '%%b'"), "0");
    atomic_store(&a.stubborn, false);
    CHECK_SPREAD(&a, &b);
    stop(&a);
    stop(&b);
}

TEST(a_lease_that_was_won_again_has_another_term)
{
    struct replica a;
    struct replica b;
    uint64_t terms[MAX];
    size_t n_others = 0;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    for (size_t i = 0; i < MAX; i++) {
        terms[i] = mesh__lease_term(a.group, i);
    }
    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&a, &b);
    stop(&b);
    CHECK_SPREAD(&a);
    for (size_t i = 0; i < MAX; i++) {
        n_others += mesh__lease_term(a.group, i) != terms[i];
    }
    CHECK_INT(n_others, MAX / 2);
    stop(&a);
}

/* For longer than a lease. */
static void lose_postgres(struct replica *replica)
{
    fixture_stop_postgres();
    while (count_held(replica) > 0) {
        usleep(1000);
    }
}

TEST(nothing_is_held_while_the_database_is_away_for_longer_than_a_lease)
{
    struct replica a;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    lose_postgres(&a);
    fixture_start_postgres();
    CHECK_SPREAD(&a);
    stop(&a);
}

TEST(users_are_told_when_what_they_held_before_an_outage_is_held_again)
{
    struct replica a;

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    lose_postgres(&a);
    atomic_store(&a.told, false);
    fixture_start_postgres();
    CHECK_SPREAD(&a);
    for (int tries = 0; !atomic_load(&a.told); tries++) {
        CHECK(tries < 1000);
        usleep(5000);
    }
    stop(&a);
}

static uint64_t ended(void)
{
    return mesh_counter_value(mesh_counter("mesh_replica_sessions_ended_total",
                                           "Database sessions of replicas that had gone, ended",
                                           NULL));
}

TEST(replicas_that_come_back_together_do_not_take_each_other_to_be_gone)
{
    struct replica a;
    struct replica b;
    uint64_t before = ended();

    start(&a, "test 0000000a", MAX);
    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&a, &b);
    fixture_stop_postgres();
    while (count_held(&a) + count_held(&b) > 0) {
        usleep(1000);
    }
    fixture_start_postgres();
    CHECK_SPREAD(&a, &b);
    CHECK_INT(count_unclean(&a) + count_unclean(&b), 0);
    CHECK_INT(ended(), before);
    stop(&a);
    stop(&b);
}

static struct mesh_tx *lock_row_of(struct mesh_ctx *ctx, struct mesh_db *db, const char *sql)
{
    struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(ctx, tx, &(struct mesh_sql){"lock_row", sql}, MESH_NO_ARGS, &rows),
              MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 1);
    return tx;
}

/* Waits until a replica has seen to its leases, from beginning to end. */
static void wait_for_beat(const char *id)
{
    char query[256];

    (void)snprintf(query, sizeof(query), "select count(*) = 1 from replica where id = '%s'", id);
    fixture_wait_until(SCHEMA, query);
    (void)snprintf(query, sizeof(query), "select kept_at > '%s' from replica where id = '%s'",
                   fixture_ask(SCHEMA, "select kept_at from replica where id = '%s'", id), id);
    fixture_wait_until(SCHEMA, query);
}

TEST(a_lease_that_is_locked_holds_up_no_other)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx(60000);
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    struct mesh_tx *tx;
    struct replica a;

    fixture_run(SCHEMA, "insert into lease values ('part/0', 'gone')");
    tx = lock_row_of(ctx, db, "select from lease where name = 'part/0' for update");
    start(&a, "test 0000000a", MAX);
    for (int tries = 0; count_held(&a) < MAX - 1; tries++) {
        CHECK(tries < 1000);
        usleep(5000);
    }
    CHECK_INT(mesh__lease_term(a.group, 0), 0);
    mesh__cleanup_tx(&tx);
    CHECK_SPREAD(&a);
    stop(&a);
    mesh__db_free(db);
}

/* As it is for all after the database was away. */
TEST(a_newcomer_leaves_those_alone_that_could_not_say_that_they_live)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx(60000);
    struct mesh_db *db = fixture_pool(SCHEMA, 1);
    struct replica a;
    struct replica b;
    struct mesh_tx *tx;
    uint64_t before = ended();

    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    tx = lock_row_of(ctx, db, "select from replica where id = 'test 0000000a' for update");
    fixture_wait_until(SCHEMA, "select kept_at < clock_timestamp() - interval '4 s' from replica");
    start(&b, "test 0000000b", MAX);
    wait_for_beat("test 0000000b");
    mesh__cleanup_tx(&tx);
    CHECK_SPREAD(&a, &b);
    CHECK_INT(count_unclean(&a) + count_unclean(&b), 0);
    CHECK_INT(ended(), before);
    stop(&a);
    stop(&b);
    mesh__db_free(db);
}

/* The clock of the database goes an hour ahead after each row. */
TEST(replicas_live_by_no_clock_of_the_database)
{
    struct replica a;
    struct replica b;
    uint64_t before = ended();

    fixture_run(SCHEMA, "create function set_back() returns trigger language plpgsql as $$ begin"
                        " new.kept_at := new.kept_at - interval '1 hour'; return new; end $$;"
                        "create trigger set_back before insert or update on replica"
                        " for each row execute function set_back()");
    start(&a, "test 0000000a", MAX);
    CHECK_SPREAD(&a);
    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&a, &b);
    wait_for_beat("test 0000000a");
    wait_for_beat("test 0000000b");
    CHECK_INT(count_unclean(&a) + count_unclean(&b), 0);
    CHECK_INT(ended(), before);
    stop(&a);
    stop(&b);
    fixture_run(SCHEMA, "drop function set_back cascade");
}

/* ---- replicas that die or hang ---- */

/* A replica in a process of its own, in the middle of a transaction that has locked a row. */
static pid_t start_process(const char *id)
{
    struct mesh_db_options options = fixture_options(SCHEMA, 1);
    int ready[2];
    char byte;
    pid_t pid;

    CHECK_INT(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
        struct mesh_tx *tx;
        struct replica replica;
        struct mesh_rows *rows;

        options.application_name = id;
        if (mesh_tx_begin(ctx, mesh__db_new(&options), &tx) != MESH_OK ||
            mesh_tx_query(ctx, tx, SQL("update held_row set id = id returning id"), MESH_NO_ARGS,
                          &rows) != MESH_OK) {
            _exit(2);
        }
        start(&replica, id, MAX);
        if (!wait_until_spread((struct replica *[]){&replica}, 1) || write(ready[1], "", 1) != 1) {
            _exit(3);
        }
        (void)raise(SIGSTOP); /* and goes on when it is told to */
        if (mesh_tx_commit(ctx, &tx) == MESH_OK) {
            _exit(4);
        }
        while (count_held(&replica) > 0) {
            usleep(1000);
        }
        _exit(0);
    }
    (void)close(ready[1]);
    CHECK_INT(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    CHECK_INT(waitpid(pid, NULL, WUNTRACED), pid);
    return pid;
}

TEST(a_replica_that_dies_is_replaced)
{
    struct replica b;
    pid_t pid = start_process("test 0000000a");

    CHECK_INT(kill(pid, SIGKILL), 0);
    CHECK_INT(waitpid(pid, NULL, 0), pid);
    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&b);
    CHECK_INT(count_unclean(&b), MAX);
    stop(&b);
}

TEST(a_replica_that_hangs_is_replaced_and_can_commit_nothing_more)
{
    struct replica b;
    pid_t pid = start_process("test 0000000a");
    int status;

    start(&b, "test 0000000b", MAX);
    CHECK_SPREAD(&b);
    CHECK_INT(count_unclean(&b), MAX);
    fixture_run(SCHEMA, "set lock_timeout = '10s'; update held_row set id = id"); /* it is free */
    CHECK_INT(kill(pid, SIGCONT), 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(WEXITSTATUS(status), 0);
    stop(&b);
}

TEST_MAIN(set_up, NULL)
