/* SPDX-License-Identifier: Apache-2.0 */
#include "events/cursor.h"

#include "core/utf8.h"
#include "events_sql.h"

#include <stdio.h>
#include <string.h>

enum mesh__verdict mesh__cursor_check(const struct mesh__cursor *cursor, uint64_t frontier,
                                      const struct broker_stream *stream,
                                      const struct broker_identity *at)
{
    if (cursor->created_us == 0) {
        return MESH__CURSOR_FITS; /* whatever the stream still has is where it begins */
    }
    if (cursor->created_us != stream->created_us || cursor->sequence > stream->last_sequence) {
        return MESH__CURSOR_REWIND;
    }
    if (at != NULL && ((cursor->at.id[0] != '\0' && strcmp(cursor->at.id, at->id) != 0) ||
                       (cursor->at.time_us != 0 && cursor->at.time_us != at->time_us))) {
        return MESH__CURSOR_REWIND;
    }
    return stream->first_sequence > frontier + 1 ? MESH__CURSOR_GAP : MESH__CURSOR_FITS;
}

static MESH_STATUS query(struct mesh_ctx *ctx, struct mesh_db *db, int partition,
                         const char *source, struct mesh_rows **ret_rows)
{
    return mesh_db_query(ctx, db, &mesh__sql_load_cursor,
                         MESH_ARGS(mesh_int64(partition), mesh_text(source)), ret_rows);
}

MESH_STATUS mesh__cursor_load(struct mesh_ctx *ctx, struct mesh_db *db, int partition,
                              const char *source, struct mesh__cursor_row *ret_row)
{
    struct mesh_rows *rows;

    MESH_TRY(query(ctx, db, partition, source, &rows));
    if (mesh_rows_count(rows) == 0) {
        MESH_TRY(mesh_db_query(ctx, db, &mesh__sql_create_cursor,
                               MESH_ARGS(mesh_int64(partition), mesh_text(source)), NULL));
        MESH_TRY(query(ctx, db, partition, source, &rows));
        if (mesh_rows_count(rows) == 0) {
            return mesh_fail(ctx, MESH_ABORTED, "cursor %d of %s was deleted", partition, source);
        }
    }
    *ret_row =
        (struct mesh__cursor_row){.cursor = {.sequence = (uint64_t)mesh_row_int64(rows, 0, 0),
                                             .at.time_us = mesh_row_time(rows, 0, 2),
                                             .created_us = mesh_row_time(rows, 0, 3)},
                                  .attempts = (int)mesh_row_int64(rows, 0, 4),
                                  .parked = mesh_row_bool(rows, 0, 6)};
    (void)snprintf(ret_row->cursor.at.id, sizeof(ret_row->cursor.at.id), "%s",
                   mesh_row_text(rows, 0, 1));
    (void)snprintf(ret_row->attempt_event, sizeof(ret_row->attempt_event), "%s",
                   mesh_row_text(rows, 0, 5));
    return MESH_OK;
}

/* Message ids may be any bytes. */
static struct mesh_arg id_or_none(const char *id)
{
    size_t size = strlen(id);

    return mesh_text(mesh__utf8_valid(id, size) == size ? id : "");
}

static struct mesh_arg time_or_null(int64_t time_us)
{
    return time_us != 0 ? mesh_time(time_us) : mesh_null();
}

void mesh__cursor_args(int partition, const char *source, const struct mesh__cursor *from,
                       const struct mesh__cursor *to, struct mesh_arg ret_args[MESH__CURSOR_ARGS])
{
    const struct mesh_arg args[MESH__CURSOR_ARGS] = {mesh_int64(partition),
                                                     mesh_text(source),
                                                     mesh_int64((int64_t)from->sequence),
                                                     time_or_null(from->created_us),
                                                     mesh_int64((int64_t)to->sequence),
                                                     id_or_none(to->at.id),
                                                     time_or_null(to->at.time_us),
                                                     time_or_null(to->created_us)};

    memcpy(ret_args, args, sizeof(args));
}

MESH_STATUS mesh__cursor_held(struct mesh_ctx *ctx, const struct mesh_rows *rows)
{
    return mesh_rows_count(rows) > 0
               ? MESH_OK
               : mesh_fail(ctx, MESH_ABORTED, "the cursor was moved by another replica");
}
