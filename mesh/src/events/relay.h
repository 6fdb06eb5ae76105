/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the relay: one thread, its two connections, and how far it has published. */
#ifndef MESH_EVENTS_RELAY_H
#define MESH_EVENTS_RELAY_H

#include "events/events_impl.h"
#include "events/relay_mark.h"
#include "events/relay_window.h"

#define MESH__RELAY_STATEMENT_MS 10000
#define MESH__NOTHING_PUBLISHED "1:1:"
#define MESH__RELAY_PING "_relay" /* no signal of a service has such a name */

struct mesh__relay {
    struct mesh_events *events;
    struct mesh__link link;
    struct mesh_db *db; /* one connection */
    struct mesh_ctx *ctx;
    struct mesh__window window;
    struct mesh__backoff backoff;
    struct mesh__rarely complaint;
    struct mesh__lease_group *lease; /* of the relay among the replicas */
    uint64_t term;                   /* under which it works; 0: another replica does */

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake_up;
    atomic_bool wake; /* something was committed since the last pass began */
    atomic_bool stopping;
    bool ended; /* the thread has */

    /*
     * The position. Everything that the snapshot `done` sees is published. It is true for as long
     * as the connection lasts that it came from: a server that crashed gives transaction ids again
     * that left nothing in its log, and `done` may have seen them. What is saved is older than the
     * transaction that saved it, so that no crash can overtake it.
     */
    uint64_t connection;
    char *done;       /* NULL: not read yet */
    char *pass;       /* snapshot of a pass that was broken off; NULL: none */
    int64_t acked_id; /* the rows of the pass up to this one are published */
    bool large;       /* they are too large to be fetched by the page */
    bool proven;      /* this connection has stored something */
    struct mesh__mark mark;
    int64_t rescue; /* so often everything that is kept was published again */
    bool unsaved;
    int64_t save_at_ns;
    int64_t measure_at_ns;

    char server_id[BROKER_ID_SIZE]; /* of the connection */
    bool examined;                  /* it has the stream that the mark is of */
    int64_t examine_at_ns;
    const char *lost; /* why it does not have what it has acknowledged; NULL: nothing tells so */

    struct mesh_gauge *backlog;
    struct mesh_gauge *oldest;
    struct mesh_gauge *full;
    struct mesh_counter *published;
    struct mesh_counter *failures;
    struct mesh_counter *rescues;
    struct mesh_counter *setbacks;
    struct mesh_counter *restores;
};

/* ---- relay.c ---- */

/* False: it is to stop, or the relay is another replica's now. */
bool mesh__relay_works(const struct mesh__relay *relay);
/* A clean context, whose statements end at once when the relay is to stop. */
void mesh__relay_ctx(struct mesh__relay *relay);
void mesh__relay_failed(struct mesh__relay *relay, const char *reason);
/* *place owns the copy. */
void mesh__relay_keep(char **place, const char *text);

/* ---- relay_pass.c ---- */

/* For the callbacks of the broker. */
void mesh__relay_closed(void *arg);
void mesh__relay_ack(void *arg, uint64_t token, const struct broker_ack *ack);
/* Publishes what waits. False if it must be resumed. */
bool mesh__relay_pass(struct mesh__relay *relay);

/* ---- relay_position.c ---- */

/* It is read again before the next pass. */
void mesh__relay_forget(struct mesh__relay *relay);
MESH_STATUS mesh__relay_load(struct mesh__relay *relay);
/* Fails, and forgets the position, if it came from an earlier connection. */
MESH_STATUS mesh__relay_check_position(struct mesh__relay *relay, struct mesh_tx *tx);
/* The next pass begins behind this snapshot. */
void mesh__relay_begin_at(struct mesh__relay *relay, const char *done);
MESH_STATUS mesh__relay_save_now(struct mesh__relay *relay);
/* Saves the position once a second, and looks after the broker then and every two seconds. */
void mesh__relay_tend(struct mesh__relay *relay);
/* Saves what is not saved yet, also when the relay is to stop. */
void mesh__relay_finish(struct mesh__relay *relay);
/* Shows what waits: nothing after a whole pass; else it is counted once a second. */
void mesh__relay_measure(struct mesh__relay *relay, bool published_all);

/* ---- relay_loss.c ---- */

/*
 * Looks whether the broker still has what it has acknowledged, and makes the relay publish again
 * what may be lost. Fails if it cannot be told.
 */
MESH_STATUS mesh__relay_examine(struct mesh__relay *relay);

#endif
