/* SPDX-License-Identifier: Apache-2.0 */
#include "events/trial.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events_sql.h"

#include <stdio.h>
#include <string.h>

#define ENDS 5      /* unclean ones in a row on the same event, then it is parked */
#define CAREFUL 256 /* messages that are taken one by one */
#define WITHDRAW_MS 200

void mesh__trial_open(struct mesh__share *share, const struct mesh__cursor_row *row)
{
    struct mesh__trial *trial = &share->trial;

    if (trial->known) {
        return;
    }
    *trial = (struct mesh__trial){.known = true, .ends = row->attempts};
    memcpy(trial->event, row->attempt_event, sizeof(trial->event));
    trial->left = share->careful || row->attempts > 0 ? CAREFUL : 0;
}

bool mesh__trial_is_on(const struct mesh__share *share)
{
    return share->trial.left > 0;
}

static int ends_on(const struct mesh__share *share, const char *event_id)
{
    return strcmp(share->trial.event, event_id) == 0 ? share->trial.ends : 0;
}

bool mesh__trial_convicts(const struct mesh__share *share, const char *event_id)
{
    return ends_on(share, event_id) >= ENDS;
}

#define NOTE_ARGS 6

static void note_args(const struct mesh__share *share, int attempts, const char *event_id,
                      struct mesh_arg ret_args[NOTE_ARGS])
{
    struct mesh_arg args[MESH__CURSOR_ARGS];

    mesh__cursor_args(share->partition, share->source, &share->cursor, &share->cursor, args);
    memcpy(ret_args, args, 4 * sizeof(*args)); /* what the cursor is compared with */
    ret_args[4] = mesh_int64(attempts);
    ret_args[5] = mesh_text(event_id);
}

static MESH_STATUS note(struct mesh__reader *reader, const struct mesh__share *share, int attempts,
                        const char *event_id, bool *ret_lost)
{
    struct mesh_arg args[NOTE_ARGS];
    struct mesh_rows *rows;
    enum mesh_status status;

    note_args(share, attempts, event_id, args);
    MESH_TRY(mesh_db_query(reader->ctx, reader->db, &mesh__sql_note_attempt,
                           ((struct mesh_args){args, NOTE_ARGS}), &rows));
    status = mesh__cursor_held(reader->ctx, rows);
    *ret_lost = status != MESH_OK;
    return status;
}

MESH_STATUS mesh__trial_note(struct mesh__reader *reader, struct mesh__share *share,
                             const char *event_id, bool *ret_lost)
{
    share->trial.noted = true; /* even if it is never known whether it was committed */
    /* Tries of this process end in order: however many there are, they are one. */
    return note(reader, share, ends_on(share, event_id) + 1, event_id, ret_lost);
}

void mesh__trial_withdraw(struct mesh__reader *reader, struct mesh__share *share)
{
    struct mesh__trial *trial = &share->trial;
    const char *event = trial->event[0] != '\0' ? trial->event : NULL;
    bool lost;

    if (!trial->noted) {
        return;
    }
    /* Also when the process is stopping, which is no unclean end. Where the database is away the
     * note stays, and does no harm while we live: it is not read again. */
    mesh__reader_ctx(reader)->deadline_ns = mesh__in_ms(WITHDRAW_MS);
    reader->ctx->cancelled = NULL;
    trial->noted = note(reader, share, trial->ends, event, &lost) != MESH_OK;
}

void mesh__trial_passed(struct mesh__share *share, int n)
{
    struct mesh__trial *trial = &share->trial;

    trial->left = trial->left > n ? trial->left - n : 0;
    trial->ends = 0;
    trial->event[0] = '\0';
    trial->noted = false;
}

MESH_STATUS mesh__trial_hold(struct mesh__reader *reader, const struct mesh__share *share,
                             struct mesh_tx *tx)
{
    struct mesh_arg args[NOTE_ARGS];
    struct mesh_rows *rows;

    note_args(share, 0, NULL, args);
    MESH_TRY(mesh_tx_query(reader->ctx, tx, &mesh__sql_note_attempt,
                           ((struct mesh_args){args, NOTE_ARGS}), &rows));
    return mesh__cursor_held(reader->ctx, rows);
}
