/* SPDX-License-Identifier: Apache-2.0 */
/* A message as its reader sees it: an event for a handler, nothing for us, or junk. */
#ifndef MESH_EVENTS_LETTER_H
#define MESH_EVENTS_LETTER_H

#include "events/envelope.h"
#include "events/reader.h"

struct mesh__letter {
    uint64_t sequence;
    const char *subject;
    const uint8_t *data;
    size_t size;

    const char *id;                       /* in the inbox, lower case; NULL: it is skipped */
    const char *key;                      /* what it is in order with */
    const struct mesh_inbox_entry *entry; /* NULL: no event of ours */
    struct mesh__envelope envelope;       /* if there is an entry */

    bool fresh; /* not taken before */
    enum mesh__why why;
    const char *reason; /* in words, unless it is handled */
    bool redrive;       /* behind those that are being handled again */
};

/* Fills in the rest from the first four members; what they point to is borrowed. */
void mesh__letter_read(struct mesh_ctx *ctx, const struct mesh__reader *reader,
                       const struct mesh__share *share, struct mesh__letter *letter);
/* Makes the reader's event_ctx that of the letter, and unpacks its event. */
MESH_STATUS mesh__letter_unpack(struct mesh__reader *reader, const struct mesh__letter *letter,
                                ProtobufCMessage **ret_event);
/* Calls its handler with event_ctx. */
MESH_STATUS mesh__letter_handle(struct mesh__reader *reader, const struct mesh__letter *letter,
                                struct mesh_tx *tx, const ProtobufCMessage *event);

#endif
