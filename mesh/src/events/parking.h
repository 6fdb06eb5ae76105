/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parking: what cannot be handled is put aside in dead_letter, and the later events of its key
 * behind it, in the transaction that moves the cursor. Operators mark rows by functions of the
 * schema; the owner of the share handles those again, in order, before it reads on.
 */
#ifndef MESH_EVENTS_PARKING_H
#define MESH_EVENTS_PARKING_H

#include "events/letter.h"

#define MESH__LOOK_MS 1000 /* so often the owner looks for rows that are marked */

/* An event that its handler refuses is parked at this try. A test makes it fewer. */
extern int mesh__park_at;

/* Makes its metrics. */
void mesh__parking_init(struct mesh__share *share);

/* Whether trying again may help: then the event is not to blame and is never parked. */
bool mesh__is_transient(enum mesh_status status);

/* Marks the fresh letters whose keys wait. In a transaction that holds the cursor. */
MESH_STATUS mesh__park_waiting(struct mesh__reader *reader, const struct mesh__share *share,
                               struct mesh_tx *tx, struct mesh__letter *letters, int n);
/* Marks those of the other letters that are behind this one, which is about to be parked. */
void mesh__park_behind(struct mesh_ctx *ctx, const struct mesh__letter *letter,
                       struct mesh__letter *others, int n);
/* Queues the row of a letter that has a reason. */
MESH_STATUS mesh__park(struct mesh__reader *reader, struct mesh__share *share, struct mesh_tx *tx,
                       const struct mesh__letter *letter);
/* After the commit: counts and logs it. */
void mesh__park_tell(struct mesh__share *share, const struct mesh__letter *letter);

/* ---- redrive.c ---- */

/* Handles the next parked event that is marked for it; true: the share is not to be read yet. */
bool mesh__redrive(struct mesh__reader *reader, struct mesh__share *share);

#endif
