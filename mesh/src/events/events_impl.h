/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of event delivery share. */
#ifndef MESH_EVENTS_EVENTS_IMPL_H
#define MESH_EVENTS_EVENTS_IMPL_H

#include "events/broker.h"
#include "events/events.h"
#include "mesh/log.h"
#include "mesh/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

struct mesh__relay;
struct mesh__reader;

struct mesh_events {
    struct mesh_events_options options; /* its texts are copies: */
    char *texts[6];
    size_t n_texts;
    char *subjects;              /* pattern of every event of the system */
    char *label;                 /* "fashion-order 3f9a01bc", shown by the servers */
    struct mesh__relay *relay;   /* NULL: publishes nothing */
    struct mesh__reader *reader; /* consumes, and keeps the connection for pings */
    bool started;
    pthread_mutex_t ping_lock;
    void (*on_ping)(void *arg, const char *name);
    void *on_ping_arg;
};

/* A ping of another replica has come. */
void mesh__events_pinged(struct mesh_events *events, const char *subject);

/* ---- back-off ---- */

/* Doubles from min to max, with a jitter of a quarter, so that replicas do not move in step. */
struct mesh__backoff {
    int64_t min_ms;
    int64_t max_ms;
    int64_t last_ms; /* 0: no failure since the last success */
};

/* The monotonic time of the next try. */
int64_t mesh__backoff_next(struct mesh__backoff *backoff);

/* A line that may come often is written at most every ten seconds. */
struct mesh__rarely {
    int64_t next_ns;
};

bool mesh__rarely_now(struct mesh__rarely *rarely);

/* ---- the connection of one thread ---- */

struct mesh__link {
    struct mesh_events *events;
    const char *role; /* "relay" */
    char *list;       /* of servers, cut into: */
    const char *servers[BROKER_SERVERS];
    int n_servers;
    int server;                           /* to be tried next */
    struct broker_connection *connection; /* NULL: there is none; changed under lock */
    pthread_mutex_t lock;
    atomic_bool closed;          /* the broker has closed it */
    struct broker_stream stream; /* as last seen */
    int64_t seen_ns;
    int64_t missing_ns; /* when it was first found gone; 0: it was not */
    struct mesh__rarely complaint;
    bool complained; /* its absence was logged */
    struct mesh_gauge *connected;
    struct mesh_counter *conflicts;
};

void mesh__link_init(struct mesh__link *link, struct mesh_events *events, const char *role);
void mesh__link_done(struct mesh__link *link);
/* Connects to one of the servers, the next time to the next one; creates or checks the stream, and
 * logs what came of it. */
MESH_STATUS mesh__link_open(struct mesh_ctx *ctx, struct mesh__link *link,
                            const struct broker_callbacks *callbacks);
void mesh__link_close(struct mesh__link *link);
/* There is a connection and the broker has not closed it. */
bool mesh__link_up(const struct mesh__link *link);
/* Any thread: what waits for the broker on it fails at once. */
void mesh__link_interrupt(struct mesh__link *link);
/* Any thread; lost if there is no connection. */
void mesh__link_ping(struct mesh__link *link, const char *subject);
/* Looks at the stream again. A stream that has gone is made anew. */
MESH_STATUS mesh__link_look(struct mesh_ctx *ctx, struct mesh__link *link);

/* ---- the threads ---- */

struct mesh__relay *mesh__relay_new(struct mesh_events *events);
void mesh__relay_start(struct mesh__relay *relay);
/* Asks it to stop; mesh__relay_stop() waits for it. */
void mesh__relay_halt(struct mesh__relay *relay);
void mesh__relay_stop(struct mesh__relay *relay);
void mesh__relay_free(struct mesh__relay *relay);
/* A commit of this process has written events. arg is the relay; any thread. */
void mesh__relay_wake(void *arg);
/* Another replica has committed events. Any thread. */
void mesh__relay_pinged(struct mesh__relay *relay);
/* Without such a call it looks so often; a test makes it longer. */
extern _Atomic int64_t mesh__relay_idle_ms;

struct mesh__reader *mesh__reader_new(struct mesh_events *events);
void mesh__reader_start(struct mesh__reader *reader);
void mesh__reader_stop(struct mesh__reader *reader);
void mesh__reader_free(struct mesh__reader *reader);
/* Any thread. Lost if the broker is away. */
void mesh__reader_ping(struct mesh__reader *reader, const char *subject);
/* Any thread. */
bool mesh__reader_connected(struct mesh__reader *reader);

#endif
