/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker has acknowledged last, and whether it still has it. */
#ifndef MESH_EVENTS_RELAY_MARK_H
#define MESH_EVENTS_RELAY_MARK_H

#include "events/broker.h"
#include "mesh/id.h"

/* Of an event: its id, and the number of the rescue behind a slash. */
#define MESH__MESSAGE_ID_SIZE (MESH_UUID_SIZE + 21)

struct mesh__mark {
    char server_id[BROKER_ID_SIZE];
    int64_t created_us; /* of the stream */
    uint64_t sequence;  /* of our last message in it; 0: there is none */
    char message_id[MESH__MESSAGE_ID_SIZE];
    /* Of the message that was the last one when the stream was looked at last: one that stays while
     * others follow it. */
    uint64_t seen;
    int64_t acked_us; /* when the last one was acknowledged */
    int64_t seen_us;  /* and when the other one was */
};

enum mesh__loss {
    MESH__LOSS_NONE,
    MESH__LOSS_LATEST, /* of the last minutes, perhaps: what a server has not yet written through */
    MESH__LOSS_ANY     /* nothing can be relied upon */
};

/*
 * now_us is to tell a message that was lost from one that has left the stream by its age; server_id
 * is of the server that answers, at what its stream has at the mark: NULL if nothing, or
 * not looked up. *ret_reason says what is wrong if any may be lost.
 */
enum mesh__loss mesh__mark_check(const struct mesh__mark *mark, const char *server_id,
                                 const struct broker_stream *stream,
                                 const struct broker_identity *at, int64_t now_us,
                                 const char **ret_reason);

/* Moves it to a message that was acknowledged, unless it is behind that one. */
void mesh__mark_move(struct mesh__mark *mark, uint64_t sequence, const char *message_id,
                     int64_t now_us);
/* The stream was looked at, and has it. */
void mesh__mark_seen(struct mesh__mark *mark);

#endif
