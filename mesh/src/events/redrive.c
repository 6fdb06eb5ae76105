/* SPDX-License-Identifier: Apache-2.0 */
/* Parked events that an operator has marked are handled again, one in each transaction. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "events/parking.h"
#include "events/trial.h"
#include "events_sql.h"

#include <string.h>

#define HANDLE_MS 30000

struct redrive {
    struct mesh__reader *reader;
    struct mesh__share *share;
    int64_t row;          /* of dead_letter */
    const char *event_id; /* of its row in the inbox */
    const char *key;      /* that it waits under */
    struct mesh__letter letter;
    bool refused; /* by its handler, or it has none: it is to blame for the failure */
};

/* The row that is next; 0: there is none. tx NULL: only a look. */
static MESH_STATUS find_row(struct redrive *redrive, struct mesh_tx *tx)
{
    struct mesh__reader *reader = redrive->reader;
    const struct mesh__share *share = redrive->share;
    const struct mesh_arg args[] = {mesh_int64(share->partition), mesh_text(share->source)};
    struct mesh__letter *letter = &redrive->letter;
    struct mesh_rows *rows;

    if (tx != NULL) {
        MESH_TRY(mesh_tx_query(reader->ctx, tx, &mesh__sql_next_redrive,
                               ((struct mesh_args){args, 2}), &rows));
    } else {
        MESH_TRY(mesh_db_query(reader->ctx, reader->db, &mesh__sql_next_redrive,
                               ((struct mesh_args){args, 2}), &rows));
    }
    *redrive = (struct redrive){.reader = reader, .share = redrive->share};
    if (mesh_rows_count(rows) > 0) {
        redrive->row = mesh_row_int64(rows, 0, 0);
        redrive->event_id = mesh_row_uuid(rows, 0, 2);
        redrive->key = mesh_row_text(rows, 0, 3);
        letter->sequence = (uint64_t)mesh_row_int64(rows, 0, 1);
        letter->subject = mesh_row_text(rows, 0, 4);
        letter->data = mesh_row_bytes(rows, 0, 5, &letter->size);
    }
    return MESH_OK;
}

/* Locks the share, and sees that the row is still the next one. */
static MESH_STATUS hold_row(struct redrive *redrive, struct mesh_tx *tx)
{
    int64_t row = redrive->row;

    MESH_TRY(mesh__trial_hold(redrive->reader, redrive->share, tx));
    MESH_TRY(find_row(redrive, tx));
    return redrive->row == row ? MESH_OK
                               : mesh_fail(redrive->reader->ctx, MESH_ABORTED,
                                           "another parked event is next by now");
}

/* What was parked as junk has its true id only now. */
static MESH_STATUS enter(struct redrive *redrive, struct mesh_tx *tx, bool *ret_fresh)
{
    struct mesh__reader *reader = redrive->reader;
    struct mesh_rows *rows;

    *ret_fresh = true;
    if (strcmp(redrive->letter.id, redrive->event_id) == 0) {
        return MESH_OK;
    }
    MESH_TRY(mesh_tx_query(
        reader->ctx, tx, &mesh__sql_insert_inbox,
        MESH_ARGS(mesh_uuid(redrive->letter.id), mesh_text(redrive->share->source)), &rows));
    *ret_fresh = mesh_rows_count(rows) > 0;
    return MESH_OK;
}

static MESH_STATUS handle(struct redrive *redrive, struct mesh_tx *tx)
{
    struct mesh__reader *reader = redrive->reader;
    struct mesh__letter *letter = &redrive->letter;
    ProtobufCMessage *event;
    enum mesh_status status;
    bool fresh;

    mesh__letter_read(reader->ctx, reader, redrive->share, letter);
    if (letter->entry == NULL) {
        redrive->refused = true;
        letter->reason = letter->reason != NULL ? letter->reason : "nobody here handles it";
        return mesh_fail(reader->ctx, MESH_INVALID_ARGUMENT, "%s", letter->reason);
    }
    MESH_TRY(enter(redrive, tx, &fresh));
    redrive->refused = true; /* what fails from here on does so by this event */
    if (!fresh) {
        return MESH_OK;
    }
    status = mesh__letter_unpack(reader, letter, &event);
    if (status == MESH_OK) {
        status = mesh__letter_handle(reader, letter, tx, event);
    }
    letter->reason = status != MESH_OK ? mesh_ctx_error(reader->event_ctx) : NULL;
    return status;
}

static enum mesh_status transact(struct redrive *redrive)
{
    struct mesh_ctx *ctx = redrive->reader->ctx;
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, redrive->reader->db, &tx));
    MESH_TRY(hold_row(redrive, tx));
    MESH_TRY(handle(redrive, tx));
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_take_redriven, MESH_ARGS(mesh_int64(redrive->row))));
    return mesh_tx_commit(ctx, &tx);
}

/* It waits again, and so does what is behind it. */
static enum mesh_status park_again(struct redrive *redrive, enum mesh__why why, const char *reason)
{
    struct mesh_ctx *ctx = redrive->reader->ctx;
    const struct mesh__share *share = redrive->share;
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, redrive->reader->db, &tx));
    MESH_TRY(hold_row(redrive, tx));
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_park_again,
                          MESH_ARGS(mesh_int64(share->partition), mesh_text(share->source),
                                    mesh_text(redrive->key), mesh_int64(redrive->row),
                                    mesh_text(reason))));
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    redrive->letter.id = redrive->event_id;
    redrive->letter.key = redrive->key;
    redrive->letter.why = why;
    redrive->letter.reason = reason;
    mesh__park_tell(redrive->share, &redrive->letter);
    return MESH_OK;
}

static enum mesh_status try_again(struct redrive *redrive)
{
    struct mesh__reader *reader = redrive->reader;
    struct mesh__share *share = redrive->share;
    const char *reason;
    enum mesh_status status;
    bool lost; /* any failure looks at the cursor again */

    if (mesh__trial_convicts(share, redrive->event_id)) {
        return park_again(redrive, MESH__WHY_CRASHED, MESH__CRASHED_TEXT);
    }
    /* It may well end the process, which is seldom enough to write that down each time. */
    MESH_TRY(mesh__trial_note(reader, share, redrive->event_id, &lost));
    status = transact(redrive);
    if (status == MESH_OK) {
        mesh_counter_add(share->handled, 1);
    } else if (redrive->refused && !mesh__is_transient(status)) {
        reason = redrive->letter.reason; /* NULL: a statement failed that was only queued */
        reason = mesh_strdup(reader->ctx, reason != NULL ? reason : mesh_ctx_error(reader->ctx));
        return park_again(redrive, MESH__WHY_REFUSED, reason);
    }
    return status;
}

/* Counts what waits, and looks for marks. */
static void look(struct mesh__reader *reader, struct mesh__share *share)
{
    struct mesh_rows *rows;

    share->look_ns = mesh__in_ms(MESH__LOOK_MS);
    if (mesh_db_query(mesh__reader_ctx(reader), reader->db, &mesh__sql_count_parked,
                      MESH_ARGS(mesh_int64(share->partition), mesh_text(share->source)),
                      &rows) == MESH_OK) {
        share->maybe_parked = mesh_row_int64(rows, 0, 0) > 0;
        share->draining = mesh_row_bool(rows, 0, 1);
        mesh_gauge_set(share->parked, (double)mesh_row_int64(rows, 0, 0));
    }
}

static void fail(struct mesh__reader *reader, struct mesh__share *share)
{
    share->retry_ns = mesh__backoff_next(&share->backoff);
    if (mesh__rarely_now(&share->complaint)) {
        mesh_log(MESH_LOG_WARN,
                 MESH_LOG_FIELDS(mesh_log_text("source", share->source),
                                 mesh_log_int("partition", share->partition),
                                 mesh_log_text("reason", mesh_ctx_error(reader->ctx))),
                 "parked events cannot be handled again now");
    }
    mesh__trial_withdraw(reader, share);
    /* Perhaps another replica reads the share by now; without the database, nobody does. */
    mesh_ignore(mesh__share_resync(reader, share));
}

bool mesh__redrive(struct mesh__reader *reader, struct mesh__share *share)
{
    struct redrive redrive = {.reader = reader, .share = share};
    enum mesh_status status;

    if (share->maybe_parked && !share->draining && mesh__now_ns() >= share->look_ns) {
        look(reader, share);
    }
    if (!share->maybe_parked || !share->draining) {
        return false;
    }
    mesh__reader_ctx(reader)->deadline_ns = mesh__in_ms(HANDLE_MS);
    status = find_row(&redrive, NULL);
    if (status == MESH_OK && redrive.row == 0) {
        share->draining = false;
        share->look_ns = 0;
        return false;
    }
    if (status == MESH_OK) {
        status = try_again(&redrive);
    }
    if (status == MESH_OK) {
        mesh__trial_passed(share, 0);
        share->backoff.last_ms = 0;
    } else {
        fail(reader, share);
    }
    return true;
}
