/* SPDX-License-Identifier: Apache-2.0 */
/* The broker seam on nats.c: streams. */
#include "events/broker_nats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct broker_stream stream_from(const jsStreamInfo *info)
{
    return (struct broker_stream){.created_us = info->Created / NS_PER_US,
                                  .first_sequence = info->State.FirstSeq,
                                  .last_sequence = info->State.LastSeq,
                                  .size = (int64_t)info->State.Bytes,
                                  .max_bytes = info->Config->MaxBytes,
                                  .max_age_us = info->Config->MaxAge / NS_PER_US};
}

static bool has_subject(const jsStreamConfig *config, const char *subject)
{
    for (int i = 0; i < config->SubjectsLen; i++) {
        if (strcmp(config->Subjects[i], subject) == 0) {
            return true;
        }
    }
    return false;
}

static bool below(int64_t limit, int64_t wanted)
{
    return limit > 0 && (wanted <= 0 || limit < wanted);
}

/* What would lose events that we were promised; NULL if nothing does. A wider stream is fine. */
static const char *contradiction(const jsStreamConfig *have,
                                 const struct broker_stream_config *want)
{
    const struct {
        bool broken;
        const char *text;
    } rules[] = {
        {!has_subject(have, want->subject), "it does not capture our subjects"},
        {have->Storage != js_FileStorage, "it is not kept in files"},
        {have->Retention != js_LimitsPolicy, "its retention is not by limits"},
        {have->NoAck, "it does not acknowledge"},
        {have->Sealed, "it is sealed"},
        {below(have->MaxBytes, want->max_bytes), "its max_bytes is smaller than configured"},
        {below(have->MaxAge, want->max_age_s * MESH_NS_PER_S),
         "its max_age is shorter than configured"},
        {have->Duplicates < want->duplicates_s * MESH_NS_PER_S,
         "its duplicate window is too short"},
        {below(have->MaxMsgSize, want->message_size), "its max_msg_size is too small"},
        {have->MaxBytes > 0 && have->Discard != js_DiscardNew,
         "it drops old messages when it is full (discard is not \"new\")"},
        {have->MaxMsgs > 0, "it limits the number of messages"},
        {have->MaxMsgsPerSubject > 0, "it limits the number of messages of a subject"},
    };

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].broken) {
            return rules[i].text;
        }
    }
    return NULL;
}

static natsStatus create_stream(jsStreamInfo **ret_info, jsCtx *js,
                                const struct broker_stream_config *want, jsErrCode *ret_code)
{
    jsStreamConfig config;
    const char *subjects[] = {want->subject};
    natsStatus status = jsStreamConfig_Init(&config);

    config.Name = want->name;
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    config.Retention = js_LimitsPolicy;
    config.Discard = js_DiscardNew; /* what waits in the outbox is safe */
    config.MaxBytes = want->max_bytes > 0 ? want->max_bytes : -1;
    config.MaxAge = want->max_age_s * MESH_NS_PER_S;
    config.Duplicates = want->duplicates_s * MESH_NS_PER_S;
    return THEN(status, js_AddStream(ret_info, js, &config, NULL, ret_code));
}

MESH_STATUS mesh__nats_stream_ensure(struct mesh_ctx *ctx, struct broker_connection *connection,
                                     const struct broker_stream_config *config,
                                     struct broker_stream *ret_stream)
{
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    natsStatus status = js_GetStreamInfo(&info, connection->js, config->name, NULL, &code);
    enum mesh_status outcome = MESH_OK;
    const char *broken;

    if (status == NATS_NOT_FOUND) {
        code = 0;
        status = create_stream(&info, connection->js, config, &code);
        if (code == JSStreamNameExistErr) { /* another service was quicker */
            status = js_GetStreamInfo(&info, connection->js, config->name, NULL, &code);
        }
    }
    if (status == NATS_OK &&
        natsConnection_GetMaxPayload(connection->nats) < config->message_size) {
        jsStreamInfo_Destroy(info);
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION,
                         "broker: its max_payload is less than %" PRId64, config->message_size);
    }
    if (status != NATS_OK && code != 0) {
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION, "stream %s: %s", config->name,
                         nats_GetLastError(NULL));
    }
    if (status != NATS_OK) {
        return mesh__nats_failed(ctx, "looking for the stream", status);
    }
    broken = contradiction(info->Config, config);
    if (broken != NULL) {
        outcome = mesh_fail(ctx, MESH_FAILED_PRECONDITION, "stream %s exists, but %s", config->name,
                            broken);
    } else {
        *ret_stream = stream_from(info);
    }
    jsStreamInfo_Destroy(info);
    return outcome;
}

MESH_STATUS mesh__nats_stream_state(struct mesh_ctx *ctx, struct broker_connection *connection,
                                    const char *stream, struct broker_stream *ret_stream)
{
    jsStreamInfo *info = NULL;
    natsStatus status = js_GetStreamInfo(&info, connection->js, stream, NULL, NULL);

    if (status == NATS_NOT_FOUND) {
        return mesh_fail(ctx, MESH_NOT_FOUND, "stream %s does not exist", stream);
    }
    if (status != NATS_OK) {
        return mesh__nats_failed(ctx, "asking for the state of the stream", status);
    }
    *ret_stream = stream_from(info);
    jsStreamInfo_Destroy(info);
    return MESH_OK;
}

MESH_STATUS mesh__nats_message_identity(struct mesh_ctx *ctx, struct broker_connection *connection,
                                        const char *stream, uint64_t sequence,
                                        struct broker_identity *ret_identity)
{
    natsMsg *message = NULL;
    natsStatus status = js_GetMsg(&message, connection->js, stream, sequence, NULL, NULL);

    if (status == NATS_NOT_FOUND) {
        return mesh_fail(ctx, MESH_NOT_FOUND, "stream %s has no message %" PRIu64, stream,
                         sequence);
    }
    if (status != NATS_OK) {
        return mesh__nats_failed(ctx, "reading a message", status);
    }
    (void)snprintf(ret_identity->id, sizeof(ret_identity->id), "%s",
                   mesh__nats_header(message, "Nats-Msg-Id"));
    ret_identity->time_us = natsMsg_GetTime(message) / NS_PER_US;
    natsMsg_Destroy(message);
    return MESH_OK;
}
