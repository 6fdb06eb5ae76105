/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of event delivery share: schemas, a publisher, a consumer, and the two servers. */
#ifndef TEST_EVENTS_FIXTURE_H
#define TEST_EVENTS_FIXTURE_H

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "events/broker.h"
#include "events/events.h"
#include "mesh/event.h"
#include "mesh/metrics.h"
#include "stream.h"

#include <test/counter/v1/counter.pb-c.h>

/* A service with a schema of its own: table counter (key, version) and table effect. */
struct service {
    char system[32]; /* a stream for each test */
    char schema[64];
    char url[512];
    char nats_url[512];       /* may be changed before the events are started */
    int64_t stream_max_bytes; /* the same */
    struct mesh_ctx *ctx;
    struct mesh_db *db;     /* whose commits wake the relay */
    struct mesh_db *silent; /* another pool, whose commits do not */
    struct mesh_event_type counted;
    struct mesh_event_type ignored;
};

/* name is unique in the test program; the service "counter" of the system of that name. Lives until
 * the end of the test. */
struct service *service_new(const char *system, const char *name);
/* One that another process has made. */
struct service *service_open(const char *system, const char *name);
/* ctx without deadline, with empty memory. */
struct mesh_ctx *service_ctx(struct service *service);

/* Statements of tests must succeed. Each returns the first column of the first row, or -1. */
int64_t query_int(struct service *service, const char *sql);

/* Adds one to the counter and emits Counted, in tx. */
MESH_STATUS count_up(struct mesh_ctx *ctx, struct service *service, struct mesh_tx *tx,
                     const char *key, const char *note);
/* The same in a transaction of its own, n times. */
void count_and_commit(struct service *service, const char *key, int n);

/* Publishes; consumes with these handlers if inbox is not NULL. Stopped at the end of the test. */
struct mesh_events *start_events(struct service *service, bool publishes,
                                 const struct mesh_inbox_type *inbox, void *state);
void stop_events(struct mesh_events *events);

/* One of several replicas of a service; without a name there are no others. */
struct replica {
    struct mesh__leases *leases;
    struct mesh_events *events;
};
struct replica start_replica(struct service *service, bool publishes,
                             const struct mesh_inbox_type *inbox, void *state, const char *name);
void stop_replica(struct replica *replica);

/* ---- the end of a test ---- */

/* Called at the end of the test, before anything else is taken down. At most 8 of them. */
void at_end(void (*call)(void));
/* Puts this table in force until the end of the test; before the events are started. */
void use_broker(const struct broker *table);
/* Nothing but a commit wakes a relay until the end of the test; before the events are started. */
void let_relays_sleep(void);
/* Takes down what the test has left, also when it failed: its threads, its memory, its servers. */
int tidy_up(void **state);

/* In place of TEST_MAIN. */
#define TEST_EVENTS_MAIN(set_up)                                                                   \
    int main(void)                                                                                 \
    {                                                                                              \
        for (size_t i = 0; i < test_n_cases; i++) {                                                \
            test_cases[i].teardown_func = tidy_up;                                                 \
        }                                                                                          \
        return _cmocka_run_group_tests(__FILE__, test_cases, test_n_cases, set_up, NULL);          \
    }

/* ---- waiting ---- */

/* Fails the test if sql does not become `expected` within 20 seconds. */
void wait_for_int(struct service *service, const char *sql, int64_t expected);
uint64_t counter_of(const char *name);
void wait_for_counter(const char *name, uint64_t least);
/* The same of a counter with labels; `name` is for the failure. */
void wait_for_count(const char *name, const struct mesh_counter *counter, uint64_t least);
/* A gauge of the share that the key belongs to. */
double share_gauge(const char *name, const char *key);
void wait_for_share_gauge(const char *name, const char *key, double least, double most);

/* Counts the lines of the log that contain this text, from now on. */
void watch_log(const char *text);
int watched_lines(void);
void wait_for_watched_line(void);

/* ---- the servers ---- */

void kill_broker(void);
void stop_broker(int signal_number); /* SIGSTOP, SIGCONT */
void start_broker(void);
/* A statement of the superuser. */
void superuser_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Restarts it; the pools of both services are connected again afterwards. */
void crash_database(struct service *one, struct service *other);
/* Puts a new server in its place, with what a dump takes over. */
void restore_database(struct service *service);

#endif
