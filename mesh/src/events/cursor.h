/* SPDX-License-Identifier: Apache-2.0 */
/* How far a share of a stream has been read, and whether the stream is still the one it was read
 * from. */
#ifndef MESH_EVENTS_CURSOR_H
#define MESH_EVENTS_CURSOR_H

#include "events/broker.h"
#include "mesh/db.h"
#include "mesh/id.h"

struct mesh__cursor {
    uint64_t sequence;         /* of the last message read */
    struct broker_identity at; /* what it was; "" and 0: not known */
    int64_t created_us;        /* when the stream was made; 0: nothing was ever read */
};

enum mesh__verdict {
    MESH__CURSOR_FITS,
    MESH__CURSOR_REWIND, /* another stream, or one that has lost messages: read it all again */
    MESH__CURSOR_GAP     /* messages were dropped before they were read */
};

/*
 * frontier is how far the share is known to be complete, at least cursor->sequence. at is what the
 * stream has at the cursor, NULL if nothing or not looked up.
 */
enum mesh__verdict mesh__cursor_check(const struct mesh__cursor *cursor, uint64_t frontier,
                                      const struct broker_stream *stream,
                                      const struct broker_identity *at);

/* What the database has of a share. */
struct mesh__cursor_row {
    struct mesh__cursor cursor;
    int attempts; /* unclean ends in a row on: */
    char attempt_event[MESH_UUID_SIZE];
    bool parked; /* some of its events are */
};

/* A row is made if there is none. */
MESH_STATUS mesh__cursor_load(struct mesh_ctx *ctx, struct mesh_db *db, int partition,
                              const char *source, struct mesh__cursor_row *ret_row);

/* Compare and set: the arguments of the statements that move a cursor, $1 to $8; what it is
 * compared with are the first four. An id that is no text for a database is not kept. */
#define MESH__CURSOR_ARGS 8
void mesh__cursor_args(int partition, const char *source, const struct mesh__cursor *from,
                       const struct mesh__cursor *to, struct mesh_arg ret_args[MESH__CURSOR_ARGS]);
/* Of such a statement: MESH_ABORTED if it found another cursor than that. */
MESH_STATUS mesh__cursor_held(struct mesh_ctx *ctx, const struct mesh_rows *rows);

#endif
