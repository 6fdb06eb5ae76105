/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay has published and not yet seen acknowledged, in order. */
#ifndef MESH_EVENTS_RELAY_WINDOW_H
#define MESH_EVENTS_RELAY_WINDOW_H

#include "events/broker.h"
#include "events/relay_mark.h"

#include <pthread.h>

enum mesh__slot_state {
    MESH__SLOT_SENT,
    MESH__SLOT_STORED,
    MESH__SLOT_DUPLICATE, /* the broker says that it was stored before */
    MESH__SLOT_FAILED
};

/* One publication. */
struct mesh__slot {
    int64_t id; /* of its row */
    char message_id[MESH__MESSAGE_ID_SIZE];
    enum mesh__slot_state state;
    uint64_t sequence; /* where the broker has stored it */
};

/*
 * Tokens count publications; token modulo BROKER_WINDOW is the slot. One thread adds and retires,
 * any thread acknowledges. Once broken it takes no more until it is reset.
 */
struct mesh__window {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct mesh__slot slots[BROKER_WINDOW];
    uint64_t next;    /* token of the next publication */
    uint64_t oldest;  /* token of the first one that is not retired */
    bool broken;      /* a publication has failed */
    bool full;        /* because there was no room for it */
    bool gone;        /* so has the connection: no more acknowledgements come */
    char reason[200]; /* why it is broken */
};

void mesh__window_init(struct mesh__window *window);
void mesh__window_done(struct mesh__window *window);

/* A token for a row; false if the window is full or broken. */
bool mesh__window_add(struct mesh__window *window, int64_t id, const char *message_id,
                      uint64_t *ret_token);
/* A copy of the oldest publication; false unless it is acknowledged. */
bool mesh__window_oldest(struct mesh__window *window, struct mesh__slot *ret_slot);
/* It leaves the window. */
void mesh__window_retire(struct mesh__window *window);
/* Its acknowledgement is not believed: it counts as failed. */
void mesh__window_refuse(struct mesh__window *window, const char *reason);
bool mesh__window_empty(struct mesh__window *window);
bool mesh__window_broken(struct mesh__window *window);

void mesh__window_ack(struct mesh__window *window, uint64_t token, const struct broker_ack *ack);
/* The connection has gone. */
void mesh__window_gone(struct mesh__window *window);
/* Waits until the oldest is acknowledged or the window is broken, but not beyond the deadline. */
void mesh__window_wait(struct mesh__window *window, int64_t deadline_ns);
/* Waits until every publication has an outcome or none can come; false at the deadline. */
bool mesh__window_drain(struct mesh__window *window, int64_t deadline_ns);
/* Forgets everything that is not retired; answers that come later are ignored. */
void mesh__window_reset(struct mesh__window *window);

#endif
