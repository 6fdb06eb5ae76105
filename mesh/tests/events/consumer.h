/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of consumers share: one whose handler does as it is told, and a publisher. */
#ifndef TEST_EVENTS_CONSUMER_H
#define TEST_EVENTS_CONSUMER_H

#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define EFFECTS "select count(*) from effect"
/* Effects that are doubled, or out of order within their key. */
#define WRONG                                                                                      \
    "select count(*) from (select version, row_number() over (partition by key order by n) as nth" \
    " from effect) as e where version <> nth"
/* Keys with an effect that is doubled or missing, whatever their order. */
#define DOUBLED                                                                                    \
    "select count(*) from (select key from effect group by key"                                    \
    " having count(*) <> count(distinct version) or count(*) <> max(version)) as wrong"

/* What becomes of events whose keys begin with "poison". */
enum poison {
    HARMLESS,
    REFUSED,
    REFUSED_LATE,        /* when their effects are written */
    REFUSED_BY_DATABASE, /* by a statement that is only queued */
    BAD_LUCK,            /* one failure after the other that passes */
    DEADLY               /* to the process */
};

struct consumer {
    struct service *service;
    struct mesh_inbox_entry entry;
    struct mesh_inbox_type inbox;
    struct service *publisher; /* NULL, or emits again as this one */
    atomic_int calls;
    atomic_int abort_at;  /* the call that fails once as if it met a deadlock; 0: none */
    atomic_int kill_at;   /* the call after which the connection to the database is cut */
    atomic_int slow;      /* milliseconds that each call keeps the database busy */
    atomic_int poison;    /* enum poison */
    atomic_int poisoned;  /* calls for them */
    pthread_mutex_t lock; /* of what the latest handler saw */
    char correlation_id[130];
    char event_id[64];
    char trace_id[64];
    int64_t event_time_us;
};

/* A publisher that runs and a consumer that does not yet; lives until the end of the test. */
struct pair {
    struct service *publisher;
    struct consumer consumer;
    struct mesh_events *relay;
};

struct pair *pair_new(const char *system);
/* That of another process, which publishes. */
struct pair *pair_open(const char *system);

struct mesh_events *consume(struct consumer *consumer);
/* n events of each of the keys k-0 to k-9. */
void publish_keys(struct service *publisher, int n);
/* Waits for n effects: each once, and in order of its key. */
void check_effects(struct consumer *consumer, int64_t n);

#endif
