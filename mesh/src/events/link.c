/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/fatal.h"
#include "events/envelope.h"
#include "events/events_impl.h"

#include <stdlib.h>

#define DUPLICATES_S 120
#define MESSAGE_SIZE ((int64_t)MESH_ENVELOPE_MAX + 1024) /* with its header */
#define COMPLAINT_EVERY_MS 10000
#define LET_GO_MS 2000

/* ---- back-off ---- */

int64_t mesh__backoff_next(struct mesh__backoff *backoff)
{
    int64_t ms = backoff->last_ms == 0 ? backoff->min_ms : backoff->last_ms * 2;
    uint8_t random;

    if (ms > backoff->max_ms) {
        ms = backoff->max_ms;
    }
    backoff->last_ms = ms;
    mesh__clock->random(&random, sizeof(random));
    return mesh__now_ns() + (ms * 7 / 8) * MESH_NS_PER_MS + ms * random * (MESH_NS_PER_MS / 1024);
}

bool mesh__rarely_now(struct mesh__rarely *rarely)
{
    if (mesh__now_ns() < rarely->next_ns) {
        return false;
    }
    rarely->next_ns = mesh__in_ms(COMPLAINT_EVERY_MS);
    return true;
}

/* ---- link ---- */

void mesh__link_init(struct mesh__link *link, struct mesh_events *events, const char *role)
{
    const char *labels[] = {"connection", role, NULL};

    uint8_t random;

    *link = (struct mesh__link){
        .events = events, .role = role, .list = mesh__strdup(events->options.nats_url)};
    pthread_mutex_init(&link->lock, NULL);
    link->n_servers = mesh__broker_split(link->list, link->servers, BROKER_SERVERS);
    mesh__clock->random(&random, sizeof(random));
    link->server = link->n_servers > 0 ? random % link->n_servers : 0;
    link->connected = mesh_gauge("mesh_broker_connected",
                                 "1 while there is a connection to the message broker", labels);
    link->conflicts = mesh_counter("mesh_stream_conflicts_total",
                                   "Connections refused because the stream cannot be used", NULL);
}

void mesh__link_done(struct mesh__link *link)
{
    mesh__link_close(link);
    pthread_mutex_destroy(&link->lock);
    free(link->list);
}

/* One at a time, so that a stop has to wait for no more than one that does not answer. */
static const char *next_server(struct mesh__link *link)
{
    const char *server = link->n_servers > 0 ? link->servers[link->server] : "";

    link->server = link->server + 1 < link->n_servers ? link->server + 1 : 0;
    return server;
}

/* Returns the connection that was there before. */
static struct broker_connection *replace(struct mesh__link *link,
                                         struct broker_connection *connection)
{
    struct broker_connection *before;

    pthread_mutex_lock(&link->lock);
    before = link->connection;
    link->connection = connection;
    pthread_mutex_unlock(&link->lock);
    return before;
}

/*
 * A stream that has gone is not made anew at once: nats-server 2.9 is still removing the files of
 * the old one, and those of the new one with them, which then stores nothing.
 */
static MESH_STATUS let_go(struct mesh_ctx *ctx, struct mesh__link *link)
{
    const char *name = link->events->options.system;
    struct broker_stream stream;

    if (link->stream.created_us == 0 ||
        mesh__broker->stream_state(ctx, link->connection, name, &stream) != MESH_NOT_FOUND) {
        link->missing_ns = 0;
        return MESH_OK;
    }
    if (link->missing_ns == 0) {
        link->missing_ns = mesh__now_ns();
    }
    if (mesh__now_ns() - link->missing_ns < LET_GO_MS * MESH_NS_PER_MS) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "stream %s has gone; it is made anew in a moment",
                         name);
    }
    link->missing_ns = 0;
    return MESH_OK;
}

static MESH_STATUS ensure_stream(struct mesh_ctx *ctx, struct mesh__link *link)
{
    const struct mesh_events_options *options = &link->events->options;
    const struct broker_stream_config config = {.name = options->system,
                                                .subject = link->events->subjects,
                                                .max_bytes = options->stream_max_bytes,
                                                .max_age_s = options->stream_max_age_s,
                                                .duplicates_s = DUPLICATES_S,
                                                .message_size = MESSAGE_SIZE};

    MESH_TRY(let_go(ctx, link));
    MESH_TRY(mesh__broker->stream_ensure(ctx, link->connection, &config, &link->stream));
    link->seen_ns = mesh__now_ns();
    return MESH_OK;
}

static void complain(struct mesh_ctx *ctx, struct mesh__link *link, enum mesh_status status)
{
    bool conflict = status == MESH_FAILED_PRECONDITION;

    if (conflict) {
        mesh_counter_add(link->conflicts, 1);
    }
    if (mesh__rarely_now(&link->complaint)) {
        mesh_log(conflict ? MESH_LOG_ERROR : MESH_LOG_WARN,
                 MESH_LOG_FIELDS(mesh_log_text("connection", link->role),
                                 mesh_log_text("reason", mesh_ctx_error(ctx))),
                 "no connection to the broker");
        link->complained = true;
    }
}

MESH_STATUS mesh__link_open(struct mesh_ctx *ctx, struct mesh__link *link,
                            const struct broker_callbacks *callbacks)
{
    const struct broker_options options = {.url = next_server(link),
                                           .ca = link->events->options.nats_ca,
                                           .name = link->events->label,
                                           .callbacks = *callbacks};
    struct broker_connection *connection;
    enum mesh_status status;

    atomic_store(&link->closed, false);
    status = mesh__broker->connect(ctx, &options, &connection);
    if (status == MESH_OK) {
        replace(link, connection);
        status = ensure_stream(ctx, link);
    }
    if (status != MESH_OK) {
        complain(ctx, link, status);
        mesh__link_close(link);
        return status;
    }
    mesh_gauge_set(link->connected, 1);
    if (link->complained) {
        mesh_log(MESH_LOG_INFO, MESH_LOG_FIELDS(mesh_log_text("connection", link->role)),
                 "connected to the broker");
        link->complained = false;
        link->complaint.next_ns = 0;
    }
    return MESH_OK;
}

void mesh__link_close(struct mesh__link *link)
{
    /* Not under the lock: callbacks that it waits for may want to ping. */
    mesh__broker->close(replace(link, NULL));
    mesh_gauge_set(link->connected, 0);
}

void mesh__link_interrupt(struct mesh__link *link)
{
    pthread_mutex_lock(&link->lock);
    if (link->connection != NULL) {
        mesh__broker->interrupt(link->connection);
    }
    pthread_mutex_unlock(&link->lock);
}

void mesh__link_ping(struct mesh__link *link, const char *subject)
{
    pthread_mutex_lock(&link->lock);
    if (link->connection != NULL) {
        mesh__broker->ping(link->connection, subject);
    }
    pthread_mutex_unlock(&link->lock);
}

bool mesh__link_up(const struct mesh__link *link)
{
    return link->connection != NULL && !atomic_load(&link->closed);
}

MESH_STATUS mesh__link_look(struct mesh_ctx *ctx, struct mesh__link *link)
{
    enum mesh_status status = mesh__broker->stream_state(
        ctx, link->connection, link->events->options.system, &link->stream);

    if (status == MESH_NOT_FOUND) {
        return ensure_stream(ctx, link);
    }
    if (status == MESH_OK) {
        link->seen_ns = mesh__now_ns();
    }
    return status;
}
