/* SPDX-License-Identifier: Apache-2.0 */
/* Consumers that end in the middle of their work: processes of their own, made of this program. */
#include "consumer.h"
#include "events/parking.h"
#include "events/trial.h"
#include "test.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARKED "select count(*) from dead_letter where status = 'parked'"
#define ROUNDS_MAX 20

static const char *program;

/* ---- the consumer ---- */

struct orders {
    const char *system;
    enum poison poison;
    const char *replica; /* "": without leases */
    int slow_ms;
};

/* Consumes until it is told to stop, or comes to a worse end. */
static int consume_as_told(const struct orders *orders)
{
    const struct rlimit no_core = {0, 0};
    struct pair *pair = pair_open(orders->system);
    struct consumer *consumer = &pair->consumer;
    struct replica replica;
    sigset_t stop;
    int which;

    (void)setrlimit(RLIMIT_CORE, &no_core);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    atomic_store(&consumer->poison, (int)orders->poison);
    atomic_store(&consumer->slow, orders->slow_ms);
    replica = start_replica(consumer->service, false, &consumer->inbox, consumer,
                            orders->replica[0] != '\0' ? orders->replica : NULL);
    (void)sigwait(&stop, &which);
    stop_replica(&replica);
    return 0;
}

static void mask_stop(int how)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(how, &stop, NULL);
}

static pid_t children[4];
static size_t n_children;

static pid_t start_child(const struct orders *orders)
{
    char poison[12], slow[12];
    pid_t pid;

    (void)snprintf(poison, sizeof(poison), "%d", (int)orders->poison);
    (void)snprintf(slow, sizeof(slow), "%d", orders->slow_ms);
    mask_stop(SIG_BLOCK); /* from the beginning: it may be told to stop at once */
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl(program, program, orders->system, poison, orders->replica, slow, (char *)NULL);
        _exit(127);
    }
    mask_stop(SIG_UNBLOCK);
    CHECK(n_children < sizeof(children) / sizeof(children[0]));
    children[n_children++] = pid;
    return pid;
}

/* Its status. */
static int wait_for_child(pid_t pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), pid);
    for (size_t i = 0; i < n_children; i++) {
        if (children[i] == pid) {
            children[i] = children[--n_children];
        }
    }
    return status;
}

static void stop_child(pid_t pid)
{
    CHECK_INT(kill(pid, SIGTERM), 0);
    CHECK_INT(wait_for_child(pid), 0);
}

static void kill_children(void)
{
    while (n_children > 0) {
        (void)kill(children[n_children - 1], SIGKILL);
        wait_for_child(children[n_children - 1]);
    }
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};

    CHECK_INT(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    return info.si_pid == pid;
}

/* Starts the consumer again whenever it has ended, until sql is as expected; then stops it. Returns
 * how often it ended by itself. */
static int restart_until(struct service *service, struct orders orders, const char *sql,
                         int64_t expected)
{
    static int n_replicas;
    const char *name = orders.replica;
    int ends = 0;
    pid_t pid = 0;

    while (ends < ROUNDS_MAX) {
        char replica[32] = "";

        if (name[0] != '\0') {
            (void)snprintf(replica, sizeof(replica), "%s %08x", name, ++n_replicas);
        }
        orders.replica = replica;
        pid = start_child(&orders);
        while (!has_ended(pid) && query_int(service, sql) != expected) {
            usleep(5000);
        }
        if (!has_ended(pid)) {
            break;
        }
        CHECK(wait_for_child(pid) != 0);
        ends++;
    }
    CHECK(ends < ROUNDS_MAX);
    stop_child(pid);
    return ends;
}

static void make_careful(struct service *service)
{
    /* What a lease tells: the reader before came to no good end. */
    query_int(service, "update cursor set attempts = 1 where attempts = 0 returning 1");
}

/* ---- the tests ---- */

TEST(an_event_that_ends_the_process_is_parked_at_the_fifth_time_and_no_other_is)
{
    struct pair *pair = pair_new("crash1");
    struct service *service = pair->consumer.service;
    int ends;

    at_end(kill_children);
    publish_keys(pair->publisher, 5);
    count_and_commit(pair->publisher, "poison", 2);
    publish_keys(pair->publisher, 5);
    wait_for_stream("crash1", 102);
    ends = restart_until(service, (struct orders){"crash1", DEADLY, "crash1", 0},
                         "select count(*) from effect where key <> 'poison'"
                         " having (select count(*) from dead_letter) = 2",
                         100);
    CHECK_INT(ends, 6); /* the first one was not expected yet */
    CHECK_INT(query_int(service, WRONG), 0);
    CHECK_INT(query_int(service, EFFECTS), 100);
    CHECK_INT(query_int(service, "select count(*) from parked where nth = 1 and key = 'poison'"
                                 " and reason = '" MESH__CRASHED_TEXT "'"),
              1);
    CHECK_INT(query_int(service, "select max(attempts) from cursor"), 0);
}

TEST(a_redriven_event_that_ends_the_process_is_parked_again)
{
    struct pair *pair = pair_new("crash2");
    struct service *service = pair->consumer.service;
    struct mesh_events *events;
    int usual = mesh__park_at;
    int ends;

    at_end(kill_children);
    mesh__park_at = 1;
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 2);
    publish_keys(pair->publisher, 1);
    events = consume(&pair->consumer);
    wait_for_int(service, PARKED, 2);
    wait_for_int(service, EFFECTS, 10);
    stop_events(events);
    mesh__park_at = usual;
    CHECK_INT(query_int(service, "select redrive(min(id)) from dead_letter"), 2);
    ends = restart_until(service, (struct orders){"crash2", DEADLY, "", 0}, PARKED, 2);
    CHECK_INT(ends, 5);
    CHECK_INT(query_int(service, "select count(*) from parked where nth = 1 and attempts = 2"
                                 " and reason = '" MESH__CRASHED_TEXT "'"),
              1);
    CHECK_INT(query_int(service, "select max(attempts) from cursor"), 0);
    CHECK_INT(query_int(service, "select redrive(min(id)) from dead_letter"), 2);
    CHECK_INT(restart_until(service, (struct orders){"crash2", HARMLESS, "", 0}, EFFECTS, 12), 0);
    CHECK_INT(query_int(service, WRONG), 0);
}

TEST(a_hundred_kills_of_an_innocent_process_park_nothing)
{
    struct pair *pair = pair_new("crash3");
    struct service *service = pair->consumer.service;
    unsigned int seed = (unsigned int)time(NULL);
    const char *given = getenv("CRASH_SEED");
    int64_t met_at_work = 0;

    if (given != NULL) {
        seed = (unsigned int)strtoul(given, NULL, 10);
    }
    (void)fprintf(stderr, "CRASH_SEED=%u\n", seed);
    at_end(kill_children);
    for (int i = 0; i < 100; i++) {
        pid_t pid;

        if (i % 10 == 0) {
            publish_keys(pair->publisher, 10);
        }
        make_careful(service);
        pid = start_child(&(struct orders){"crash3", HARMLESS, "", 2});
        usleep(50000 + (unsigned int)rand_r(&seed) % 150000);
        CHECK_INT(kill(pid, SIGKILL), 0);
        wait_for_child(pid);
        met_at_work += query_int(service, "select count(*) from cursor where attempt_event <> ''");
    }
    CHECK(met_at_work > 0);
    CHECK_INT(restart_until(service, (struct orders){"crash3", HARMLESS, "", 0}, EFFECTS, 1000), 0);
    CHECK_INT(query_int(service, WRONG), 0);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
    CHECK_INT(query_int(service, "select count(*) from inbox"), 1000);
}

TEST(what_one_event_is_suspected_of_is_held_against_no_other)
{
    struct pair *pair = pair_new("crash6");
    struct service *service = pair->consumer.service;
    struct mesh_events *events = consume(&pair->consumer);

    publish_keys(pair->publisher, 1);
    check_effects(&pair->consumer, 10);
    stop_events(events);
    query_int(service, "update cursor set attempts = 5, attempt_event = gen_random_uuid()"
                       " returning 1");
    publish_keys(pair->publisher, 1);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 20);
    stop_events(events);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
    /* Where one was handled since, nothing is left of it. */
    CHECK_INT(query_int(service, "select count(*) from cursor"
                                 " where sequence > 10 and attempts + (attempt_event <> '')::int"
                                 " is not null"),
              0);
}

/* A note that is taken back: neither a failure that passes nor an orderly stop is an unclean end.
 */
TEST(orderly_ends_while_an_event_fails_are_not_counted)
{
    struct pair *pair = pair_new("crash4");
    struct service *service = pair->consumer.service;

    atomic_store(&pair->consumer.poison, BAD_LUCK);
    count_and_commit(pair->publisher, "other", 1);
    count_and_commit(pair->publisher, "poison", 1);
    wait_for_stream("crash4", 2);
    for (int i = 0; i < 7; i++) {
        struct mesh_events *events;
        int calls = atomic_load(&pair->consumer.poisoned);

        make_careful(service);
        events = consume(&pair->consumer);
        while (atomic_load(&pair->consumer.poisoned) < calls + 2) {
            usleep(1000);
        }
        stop_events(events);
        CHECK(query_int(service,
                        "select max(attempts) from cursor where attempt_event is not null") <= 0);
    }
    atomic_store(&pair->consumer.poison, HARMLESS);
    consume(&pair->consumer);
    check_effects(&pair->consumer, 2);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
}

TEST(a_replica_that_hangs_in_the_middle_of_a_redrive_is_replaced_in_the_middle)
{
    struct pair *pair = pair_new("crash5");
    struct service *service = pair->consumer.service;
    struct mesh_events *events;
    int usual = mesh__park_at;
    pid_t hanging, other;

    at_end(kill_children);
    mesh__park_at = 1;
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 100);
    events = consume(&pair->consumer);
    wait_for_int(service, PARKED, 100);
    stop_events(events);
    mesh__park_at = usual;
    hanging = start_child(&(struct orders){"crash5", HARMLESS, "crash5 0000000a", 20});
    CHECK_INT(query_int(service, "select redrive(min(id)) from dead_letter"), 100);
    wait_for_int(service, "select (count(*) > 10)::int from effect", 1);
    CHECK_INT(kill(hanging, SIGSTOP), 0);
    CHECK(query_int(service, "select count(*) from dead_letter") > 0);
    other = start_child(&(struct orders){"crash5", HARMLESS, "crash5 0000000b", 5});
    count_and_commit(pair->publisher, "poison", 20);
    wait_for_int(service, "select (count(*) > 50)::int from effect", 1);
    CHECK_INT(kill(hanging, SIGCONT), 0); /* it goes on with what it did */
    wait_for_int(service, EFFECTS, 120);
    CHECK_INT(query_int(service, WRONG), 0);
    wait_for_int(service, "select count(*) from dead_letter", 0);
    stop_child(hanging);
    stop_child(other);
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc == 5) {
        return consume_as_told(&(struct orders){argv[1], (enum poison)atoi(argv[2]), /* NOLINT */
                                                argv[3], atoi(argv[4])});            /* NOLINT */
    }
    for (size_t i = 0; i < test_n_cases; i++) {
        test_cases[i].teardown_func = tidy_up;
    }
    return _cmocka_run_group_tests(__FILE__, test_cases, test_n_cases, NULL, NULL);
}
