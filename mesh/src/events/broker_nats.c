/* SPDX-License-Identifier: Apache-2.0 */
/* The broker seam on nats.c: connections, publishing and consuming. */
#include "events/broker_nats.h"

#include "core/fatal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 800
#define REQUEST_MS 900
#define WRITE_MS 900
#define ACK_MS 5000 /* else an acknowledgement that got lost would never be missed */
#define PING_MS 2000
#define HEARTBEAT_MS 3000
#define PULL_MS (INT64_C(10) * HEARTBEAT_MS)
#define PULL_MAX_BYTES (4 << 20)
#define CONSUMER_KEPT_S 300 /* without a pull */

static struct broker_connection *enter(void *closure)
{
    return (struct broker_connection *)mesh__handle_enter((uintptr_t)closure);
}

static void leave(struct broker_connection *connection)
{
    mesh__handle_leave(&connection->handle);
}

/* The library takes numbers for its callbacks as pointers that it never follows. */
static void *closure_of(const struct broker_connection *connection)
{
    return (void *)connection->handle.number; /* NOLINT(performance-no-int-to-ptr) */
}

MESH_STATUS mesh__nats_failed(struct mesh_ctx *ctx, const char *what, natsStatus status)
{
    const char *detail = nats_GetLastError(NULL);

    if (status == NATS_SECURE_CONNECTION_WANTED) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "broker: it has no TLS, but NATS_URL is tls://");
    }
    return mesh_fail(ctx, MESH_UNAVAILABLE, "broker: %s: %s%s%s", what, natsStatus_GetText(status),
                     detail != NULL ? ": " : "", detail != NULL ? detail : "");
}

/* ---- callbacks of the library ---- */

static void on_closed(natsConnection *nats, void *closure)
{
    struct broker_connection *connection = enter(closure);

    (void)nats;
    if (connection != NULL) {
        connection->callbacks.on_closed(connection->callbacks.arg);
        leave(connection);
    }
}

/* What it reports is seen elsewhere: a lost delivery as a gap, a lost connection as closed. */
static void on_error(natsConnection *nats, natsSubscription *sub, natsStatus status, void *closure)
{
    (void)nats;
    (void)sub;
    (void)status;
    (void)closure;
}

static bool is_full(const jsPubAckErr *error)
{
    return error->ErrCode == JSStorageResourcesExceededErr ||
           error->ErrCode == JSInsufficientResourcesErr ||
           error->ErrCode == JSAccountResourcesExceededErr ||
           (error->ErrText != NULL && strstr(error->ErrText, "maximum bytes exceeded") != NULL);
}

static void on_ack(jsCtx *js, natsMsg *message, jsPubAck *stored, jsPubAckErr *error, void *closure)
{
    struct broker_connection *connection = enter(closure);
    uint64_t token;

    (void)js;
    if (connection != NULL && mesh__pending_take(&connection->pending, message, &token)) {
        struct broker_ack ack = {.stored = stored != NULL};

        if (stored != NULL) {
            ack.duplicate = stored->Duplicate;
            ack.sequence = stored->Sequence;
        } else {
            ack.error = error->ErrText != NULL ? error->ErrText : natsStatus_GetText(error->Err);
            ack.full = is_full(error);
        }
        connection->callbacks.on_ack(connection->callbacks.arg, token, &ack);
    }
    if (connection != NULL) {
        leave(connection);
    }
    natsMsg_Destroy(message);
}

const char *mesh__nats_header(natsMsg *message, const char *key)
{
    const char *value;

    return natsMsgHeader_Get(message, key, &value) == NATS_OK && value != NULL ? value : "";
}

static struct broker_message *message_from(natsMsg *from, const jsMsgMetaData *meta)
{
    const struct broker_message message = {.subject = natsMsg_GetSubject(from),
                                           .id = mesh__nats_header(from, "Nats-Msg-Id"),
                                           .consumer = meta->Consumer,
                                           .sequence = meta->Sequence.Stream,
                                           .consumer_sequence = meta->Sequence.Consumer,
                                           .pending = meta->NumPending,
                                           .time_us = meta->Timestamp / NS_PER_US,
                                           .data = (const uint8_t *)natsMsg_GetData(from),
                                           .size = (size_t)natsMsg_GetDataLength(from)};

    return mesh__broker_message_new(&message);
}

/* What follows our inbox in a subject; NULL for any other subject. */
static const char *tag_in(const struct broker_connection *connection, const char *subject)
{
    size_t size = strlen(connection->inbox);

    return strncmp(subject, connection->inbox, size) == 0 && subject[size] == '.'
               ? subject + size + 1
               : NULL;
}

static void on_note(struct broker_connection *connection, natsMsg *message)
{
    const char *tag = tag_in(connection, natsMsg_GetSubject(message));
    struct broker_pull_note note = {
        .state = mesh__pull_state(mesh__nats_header(message, "Status"),
                                  mesh__nats_header(message, "Description")),
        .stream_sequence = strtoull(mesh__nats_header(message, "Nats-Last-Stream"), NULL, 10),
        .consumer_sequence = strtoull(mesh__nats_header(message, "Nats-Last-Consumer"), NULL, 10)};

    if (tag != NULL) {
        note.tag = strtoull(tag, NULL, 10);
        connection->callbacks.on_pull(connection->callbacks.arg, &note);
    }
}

static void on_delivery(natsConnection *nats, natsSubscription *sub, natsMsg *message,
                        void *closure)
{
    struct broker_connection *connection = enter(closure);
    jsMsgMetaData *meta;

    (void)nats;
    (void)sub;
    if (connection != NULL) {
        /* Not told apart by headers, which are the publisher's: a message of a stream comes under
         * its own subject and says from where, a note comes to our inbox and does not. */
        if (natsMsg_GetMetaData(&meta, message) == NATS_OK) {
            connection->callbacks.on_message(connection->callbacks.arg,
                                             message_from(message, meta));
            jsMsgMetaData_Destroy(meta);
        } else {
            on_note(connection, message);
        }
        leave(connection);
    }
    natsMsg_Destroy(message);
}

static void on_ping(natsConnection *nats, natsSubscription *sub, natsMsg *message, void *closure)
{
    struct broker_connection *connection = enter(closure);

    (void)nats;
    (void)sub;
    if (connection != NULL) {
        connection->callbacks.on_ping(connection->callbacks.arg, natsMsg_GetSubject(message));
        leave(connection);
    }
    natsMsg_Destroy(message);
}

/* ---- connection ---- */

/* The library takes tls:// for a wish, and sends the password to a server that has no TLS. */
static natsStatus demand_tls(natsOptions *options, const struct broker_options *from)
{
    bool tls = strncmp(from->url, "tls://", 6) == 0;
    natsStatus status = natsOptions_SetSecure(options, tls);

    if (tls && from->ca != NULL) {
        status = THEN(status, natsOptions_SetCATrustedCertificates(options, from->ca));
    }
    return status;
}

static natsStatus make_options(natsOptions **ret_options, const struct broker_options *from,
                               void *closure)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    status = THEN(status, natsOptions_SetURL(options, from->url));
    status = THEN(status, demand_tls(options, from));
    /* Each that it tries takes its time. */
    status = THEN(status, natsOptions_SetIgnoreDiscoveredServers(options, true));
    status = THEN(status, natsOptions_SetName(options, from->name));
    status = THEN(status, natsOptions_SetTimeout(options, CONNECT_MS));
    /* A connection that comes back would hide what was lost meanwhile. */
    status = THEN(status, natsOptions_SetAllowReconnect(options, false));
    /* Else everything that is sent waits 1 ms for the flusher. */
    status = THEN(status, natsOptions_SetSendAsap(options, true));
    status = THEN(status, natsOptions_UseGlobalMessageDelivery(options, true));
    status = THEN(status, natsOptions_SetWriteDeadline(options, WRITE_MS));
    status = THEN(status, natsOptions_SetPingInterval(options, PING_MS));
    status = THEN(status, natsOptions_SetMaxPingsOut(options, 2));
    status = THEN(status, natsOptions_SetNoEcho(options, true));
    status = THEN(status, natsOptions_SetClosedCB(options, on_closed, closure));
    status = THEN(status, natsOptions_SetErrorHandler(options, on_error, NULL));
    if (status != NATS_OK) {
        natsOptions_Destroy(options);
        return status;
    }
    *ret_options = options;
    return NATS_OK;
}

static natsStatus make_jetstream(struct broker_connection *connection)
{
    jsOptions options;
    natsStatus status = jsOptions_Init(&options);

    options.Wait = REQUEST_MS;
    options.PublishAsync.MaxPending = BROKER_WINDOW;
    options.PublishAsync.AckHandler = on_ack;
    options.PublishAsync.AckHandlerClosure = closure_of(connection);
    return THEN(status, natsConnection_JetStream(&connection->js, connection->nats, &options));
}

static natsStatus subscribe_deliveries(struct broker_connection *connection)
{
    natsInbox *inbox = NULL;
    char subject[BROKER_NAME_SIZE + 2];
    natsStatus status = natsInbox_Create(&inbox);

    if (status == NATS_OK) {
        (void)snprintf(connection->inbox, sizeof(connection->inbox), "%s", inbox);
        (void)snprintf(subject, sizeof(subject), "%s.*", inbox);
        status = natsConnection_Subscribe(&connection->deliveries, connection->nats, subject,
                                          on_delivery, closure_of(connection));
    }
    natsInbox_Destroy(inbox);
    return status;
}

static void nats_close(struct broker_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    mesh__handle_remove(&connection->handle);
    natsSubscription_Destroy(connection->deliveries);
    natsSubscription_Destroy(connection->pings);
    jsCtx_Destroy(connection->js);
    natsConnection_Destroy(connection->nats);
    mesh__pending_done(&connection->pending);
    free(connection);
}

static void nats_interrupt(struct broker_connection *connection)
{
    natsConnection_Close(connection->nats);
}

static MESH_STATUS nats_connect(struct mesh_ctx *ctx, const struct broker_options *options,
                                struct broker_connection **ret_connection)
{
    struct broker_connection *connection = mesh__calloc(1, sizeof(*connection));
    natsOptions *nats_options = NULL;
    natsStatus status;

    connection->callbacks = options->callbacks;
    mesh__pending_init(&connection->pending);
    mesh__handle_add(&connection->handle);
    status = make_options(&nats_options, options, closure_of(connection));
    if (status == NATS_OK) {
        status = natsConnection_Connect(&connection->nats, nats_options);
    }
    natsOptions_Destroy(nats_options);
    if (status == NATS_OK) {
        status = make_jetstream(connection);
    }
    if (status == NATS_OK) {
        status = subscribe_deliveries(connection);
    }
    if (status != NATS_OK) {
        enum mesh_status outcome = mesh__nats_failed(ctx, "connecting", status);

        nats_close(connection);
        return outcome;
    }
    *ret_connection = connection;
    return MESH_OK;
}

static void nats_server_id(struct broker_connection *connection, char ret_id[BROKER_ID_SIZE])
{
    if (natsConnection_GetConnectedServerId(connection->nats, ret_id, BROKER_ID_SIZE) != NATS_OK) {
        ret_id[0] = '\0';
    }
}

/* ---- publishing ---- */

static MESH_STATUS nats_publish(struct mesh_ctx *ctx, struct broker_connection *connection,
                                const struct broker_publication *publication, uint64_t token)
{
    jsPubOptions options;
    natsMsg *message = NULL;
    natsStatus status = natsMsg_Create(&message, publication->subject, NULL, publication->data,
                                       (int)publication->size);

    if (status != NATS_OK) {
        return mesh__nats_failed(ctx, "publishing", status);
    }
    if (!mesh__pending_add(&connection->pending, message, token)) {
        natsMsg_Destroy(message);
        return mesh_fail(ctx, MESH_RESOURCE_EXHAUSTED, "broker: too many publications under way");
    }
    status = jsPubOptions_Init(&options);
    options.MsgId = publication->id;
    options.MaxWait = ACK_MS;
    if (status == NATS_OK) {
        const natsMsg *sent = message;

        /* Afterwards the message is the library's; its answer may be here already. */
        status = js_PublishMsgAsync(connection->js, &message, &options);
        if (status != NATS_OK) {
            mesh__pending_take(&connection->pending, sent, &token);
        }
    }
    natsMsg_Destroy(message);
    return status == NATS_OK ? MESH_OK : mesh__nats_failed(ctx, "publishing", status);
}

/* ---- consuming ---- */

/*
 * Made by pulling instead of the library's ordered consumer, which recovers by itself, silently and
 * from the wrong place when the stream was made anew.
 */
static MESH_STATUS nats_consumer_open(struct mesh_ctx *ctx, struct broker_connection *connection,
                                      const char *stream, const char *subject, uint64_t from,
                                      struct broker_consumer *ret_consumer)
{
    jsConsumerConfig config;
    jsConsumerInfo *info = NULL;
    natsStatus status = jsConsumerConfig_Init(&config);

    config.FilterSubject = subject;
    config.DeliverPolicy = js_DeliverByStartSequence;
    config.OptStartSeq = from;
    config.AckPolicy = js_AckNone;
    config.MemoryStorage = true;
    config.Replicas = 1;
    config.InactiveThreshold = CONSUMER_KEPT_S * MESH_NS_PER_S;
    if (status == NATS_OK) {
        status = js_AddConsumer(&info, connection->js, stream, &config, NULL, NULL);
    }
    if (status != NATS_OK) {
        return mesh__nats_failed(ctx, "making a consumer", status);
    }
    (void)snprintf(ret_consumer->name, sizeof(ret_consumer->name), "%s", info->Name);
    ret_consumer->pending = info->NumPending;
    jsConsumerInfo_Destroy(info);
    return MESH_OK;
}

static MESH_STATUS nats_consumer_pull(struct mesh_ctx *ctx, struct broker_connection *connection,
                                      const char *stream, const char *consumer, uint64_t tag, int n)
{
    const char *subject = mesh_printf(ctx, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", stream, consumer);
    const char *reply = mesh_printf(ctx, "%s.%" PRIu64, connection->inbox, tag);
    const char *body = mesh_printf(
        ctx,
        "{\"batch\":%d,\"expires\":%" PRId64 ",\"idle_heartbeat\":%" PRId64 ",\"max_bytes\":%d}", n,
        PULL_MS * MESH_NS_PER_MS, HEARTBEAT_MS * MESH_NS_PER_MS, PULL_MAX_BYTES);
    natsStatus status =
        natsConnection_PublishRequest(connection->nats, subject, reply, body, (int)strlen(body));

    return status == NATS_OK ? MESH_OK : mesh__nats_failed(ctx, "pulling", status);
}

static void nats_consumer_close(struct broker_connection *connection, const char *stream,
                                const char *consumer)
{
    char subject[2 * BROKER_NAME_SIZE + 64];

    (void)snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.DELETE.%s.%s", stream, consumer);
    /* If it gets lost, the broker forgets the consumer a little later. */
    (void)natsConnection_PublishString(connection->nats, subject, "");
}

/* ---- pings ---- */

static MESH_STATUS nats_ping_subscribe(struct mesh_ctx *ctx, struct broker_connection *connection,
                                       const char *subject)
{
    natsStatus status = natsConnection_Subscribe(&connection->pings, connection->nats, subject,
                                                 on_ping, closure_of(connection));

    return status == NATS_OK ? MESH_OK : mesh__nats_failed(ctx, "listening for pings", status);
}

static void nats_ping(struct broker_connection *connection, const char *subject)
{
    (void)natsConnection_PublishString(connection->nats, subject, ""); /* lossy by contract */
}

static const struct broker nats = {
    .connect = nats_connect,
    .close = nats_close,
    .interrupt = nats_interrupt,
    .server_id = nats_server_id,
    .stream_ensure = mesh__nats_stream_ensure,
    .stream_state = mesh__nats_stream_state,
    .message_identity = mesh__nats_message_identity,
    .publish = nats_publish,
    .consumer_open = nats_consumer_open,
    .consumer_pull = nats_consumer_pull,
    .consumer_close = nats_consumer_close,
    .ping_subscribe = nats_ping_subscribe,
    .ping = nats_ping,
    .heartbeat_ms = HEARTBEAT_MS,
};

const struct broker *mesh__broker = &nats;
