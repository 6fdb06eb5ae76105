/* SPDX-License-Identifier: Apache-2.0 */
#include "events/relay_mark.h"

#include <stdio.h>
#include <string.h>

static bool is_over_age(const struct mesh__mark *mark, const struct broker_stream *stream,
                        int64_t now_us)
{
    return stream->max_age_us > 0 && mark->seen_us + stream->max_age_us <= now_us;
}

enum mesh__loss mesh__mark_check(const struct mesh__mark *mark, const char *server_id,
                                 const struct broker_stream *stream,
                                 const struct broker_identity *at, int64_t now_us,
                                 const char **ret_reason)
{
    const struct {
        bool broken;
        const char *reason;
    } rules[] = {
        {mark->created_us != stream->created_us, "the stream was made anew"},
        {stream->last_sequence < mark->sequence, "the stream ends before our last event"},
        {stream->first_sequence > mark->seen && !is_over_age(mark, stream, now_us),
         "the stream begins behind our last event"},
        {at != NULL && strcmp(at->id, mark->message_id) != 0,
         "the stream has another message in place of our last event"},
    };

    if (mark->sequence == 0) { /* nothing that it could have lost */
        return MESH__LOSS_NONE;
    }
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].broken) {
            *ret_reason = rules[i].reason;
            return MESH__LOSS_ANY;
        }
    }
    return strcmp(mark->server_id, server_id) != 0 ? MESH__LOSS_LATEST : MESH__LOSS_NONE;
}

void mesh__mark_move(struct mesh__mark *mark, uint64_t sequence, const char *message_id,
                     int64_t now_us)
{
    if (sequence <= mark->sequence) {
        return;
    }
    mark->sequence = sequence;
    mark->acked_us = now_us;
    (void)snprintf(mark->message_id, sizeof(mark->message_id), "%s", message_id);
    if (mark->seen == 0) {
        mesh__mark_seen(mark);
    }
}

void mesh__mark_seen(struct mesh__mark *mark)
{
    mark->seen = mark->sequence;
    mark->seen_us = mark->acked_us;
}
