/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which event ends the process: after an unclean end a share takes one message per transaction, and
 * before each it writes down in its cursor which one that is. Who finds it written down knows what
 * the end before was met on.
 */
#ifndef MESH_EVENTS_TRIAL_H
#define MESH_EVENTS_TRIAL_H

#include "events/letter.h"

#define MESH__CRASHED_TEXT "the process ended 5 times in a row while it was handled"

/* What the cursor says of the readers before us; counts once for each time that the share becomes
 * ours: later it is what we wrote ourselves. */
void mesh__trial_open(struct mesh__share *share, const struct mesh__cursor_row *row);
/* Messages are taken one by one. */
bool mesh__trial_is_on(const struct mesh__share *share);
/* Too many unclean ends in a row were met on this event. */
bool mesh__trial_convicts(const struct mesh__share *share, const char *event_id);
/* Writes down that the event is about to be handled; MESH_ABORTED and *ret_lost if another replica
 * has moved the cursor, MESH_ABORTED alone if somebody keeps it locked. */
MESH_STATUS mesh__trial_note(struct mesh__reader *reader, struct mesh__share *share,
                             const char *event_id, bool *ret_lost);
/* It was not handled, but the process lives: takes the note back. */
void mesh__trial_withdraw(struct mesh__reader *reader, struct mesh__share *share);
/* So many messages are done with. */
void mesh__trial_passed(struct mesh__share *share, int n);
/* Locks the cursor for tx, and clears it of suspicion; MESH_ABORTED if another replica has moved
 * it. */
MESH_STATUS mesh__trial_hold(struct mesh__reader *reader, const struct mesh__share *share,
                             struct mesh_tx *tx);

#endif
