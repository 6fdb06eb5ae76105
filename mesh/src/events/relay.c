/* SPDX-License-Identifier: Apache-2.0 */
/* The relay: publishes what committed transactions have put into the outbox, in order per key. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "db/db_impl.h"
#include "events/events_impl.h"
#include "events/relay_window.h"
#include "events_sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 1000 /* as in sql/fetch_pass.sql */
#define FEW 32    /* as in sql/fetch_few.sql: even the largest events fit into memory */
#define SPACING_MS 3
#define SAVE_MS 1000
#define MEASURE_MS 1000
#define STATEMENT_MS 10000
#define WINDOW_WAIT_MS 50
#define DRAIN_MS 6000 /* longer than the broker seam waits for an acknowledgement */
#define STOP_DRAIN_MS 300
#define STOP_PATIENCE_MS 400
#define NOTHING_PUBLISHED "1:1:"

_Atomic int64_t mesh__relay_idle_ms = 50;

struct mesh__relay {
    struct mesh_events *events;
    struct mesh__link link;
    struct mesh_db *db; /* one connection */
    struct mesh_ctx *ctx;
    struct mesh__window window;
    struct mesh__backoff backoff;
    struct mesh__rarely complaint;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake_up;
    atomic_bool wake; /* something was committed since the last pass began */
    atomic_bool stopping;
    bool ended; /* the thread has */

    /*
     * The position. Everything that the snapshot `done` sees is published. It is true for as long
     * as the connection lasts that it came from: a server that crashed gives transaction ids again
     * that left nothing in its log, and `done` may have seen them. What is saved is older than the
     * transaction that saved it, so that no crash can overtake it.
     */
    uint64_t connection;
    char *done;       /* NULL: not read yet */
    char *pass;       /* snapshot of a pass that was broken off; NULL: none */
    int64_t acked_id; /* the rows of the pass up to this one are published */
    bool large;       /* they are too large to be fetched by the page */
    bool proven;      /* this connection has stored something */
    char server_id[BROKER_ID_SIZE];
    uint64_t last_sequence;
    char last_event_id[MESH_UUID_SIZE];
    bool unsaved;
    int64_t save_at_ns;
    int64_t measure_at_ns;

    struct mesh_gauge *backlog;
    struct mesh_gauge *oldest;
    struct mesh_counter *published;
    struct mesh_counter *failures;
};

/* What one pass has seen so far. */
struct pass {
    struct mesh_tx *tx;
    char *snapshot; /* NULL: no rows */
    int64_t rows;   /* of the last page */
    bool cut;       /* ended early */
};

static bool stopping(const struct mesh__relay *relay)
{
    return atomic_load(&relay->stopping);
}

/* Statements end at once when the relay is to stop. */
static void fresh_ctx(struct mesh__relay *relay)
{
    mesh__ctx_reset(relay->ctx, MESH_NO_DEADLINE);
    relay->ctx->cancelled = &relay->stopping;
}

static void replace_text(char **place, const char *text)
{
    char *copy = text != NULL ? mesh__strdup(text) : NULL;

    free(*place);
    *place = copy;
}

/* ---- acknowledgements ---- */

static void on_closed(void *arg)
{
    struct mesh__relay *relay = arg;

    atomic_store(&relay->link.closed, true);
    mesh__window_gone(&relay->window);
}

static void on_ack(void *arg, uint64_t token, const struct broker_ack *ack)
{
    struct mesh__relay *relay = arg;

    mesh__window_ack(&relay->window, token, ack);
}

static bool in_stream(const struct broker_stream *stream, uint64_t sequence)
{
    return sequence >= stream->first_sequence && sequence <= stream->last_sequence;
}

/*
 * Why an event that is acknowledged may not be stored; NULL if it is. The broker remembers message
 * ids longer than messages: after a purge it calls an event a duplicate of one that is not there.
 */
static const char *doubt(struct mesh__relay *relay, const struct mesh__slot *slot)
{
    if (slot->state != MESH__SLOT_DUPLICATE || in_stream(&relay->link.stream, slot->sequence)) {
        return NULL;
    }
    if (mesh__link_look(relay->ctx, &relay->link) != MESH_OK) {
        return mesh_printf(relay->ctx, "what an event is a duplicate of cannot be looked for: %s",
                           mesh_ctx_error(relay->ctx));
    }
    return in_stream(&relay->link.stream, slot->sequence)
               ? NULL
               : "the broker took an event for a duplicate of one that it does not have";
}

/* Takes what is acknowledged out of the window, in order. */
static void settle(struct mesh__relay *relay)
{
    struct mesh__slot slot;

    while (mesh__window_oldest(&relay->window, &slot)) {
        const char *reason = doubt(relay, &slot);

        if (reason != NULL) {
            mesh__window_refuse(&relay->window, reason);
            return;
        }
        relay->acked_id = slot.id;
        relay->last_sequence = slot.sequence;
        memcpy(relay->last_event_id, slot.event_id, sizeof(slot.event_id));
        mesh__window_retire(&relay->window);
        mesh_counter_add(relay->published, 1);
    }
}

/* ---- a pass ---- */

/*
 * The first publication of a connection goes alone: a broker that has just started may refuse some
 * and take the next, and so turn their order round.
 */
static bool prove(struct mesh__relay *relay)
{
    settle(relay);
    while (!mesh__window_empty(&relay->window)) {
        if (stopping(relay) || mesh__window_broken(&relay->window)) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
        settle(relay);
    }
    relay->proven = true;
    return true;
}

/* False: the window is broken, or it is time to stop. */
static bool publish(struct mesh__relay *relay, struct mesh_ctx *ctx, const struct mesh_rows *rows,
                    int64_t row)
{
    struct broker_publication publication = {.id = mesh_row_uuid(rows, row, 1),
                                             .subject = mesh_row_text(rows, row, 2)};
    uint64_t token;

    publication.data = mesh_row_bytes(rows, row, 3, &publication.size);
    while (
        !mesh__window_add(&relay->window, mesh_row_int64(rows, row, 0), publication.id, &token)) {
        settle(relay);
        if (stopping(relay) || mesh__window_broken(&relay->window)) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
    }
    if (mesh__broker->publish(ctx, relay->link.connection, &publication, token) != MESH_OK) {
        struct broker_ack ack = {.error = mesh_ctx_error(ctx)};

        mesh__window_ack(&relay->window, token, &ack);
        return false;
    }
    return relay->proven || prove(relay);
}

static MESH_STATUS publish_page(struct mesh__relay *relay, struct pass *pass)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh_ctx_fork(relay->ctx);
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_query(mesh_ctx_timeout(ctx, STATEMENT_MS), pass->tx,
                           relay->large ? &mesh__sql_fetch_few : &mesh__sql_fetch_pass,
                           MESH_NO_ARGS, &rows));
    pass->rows = mesh_rows_count(rows);
    if (pass->rows > 0 && pass->snapshot == NULL) {
        pass->snapshot = mesh_strdup(relay->ctx, mesh_row_text(rows, 0, 4));
    }
    for (int64_t row = 0; row < pass->rows && !pass->cut; row++) {
        pass->cut = stopping(relay) || !publish(relay, ctx, rows, row);
    }
    return MESH_OK;
}

static MESH_STATUS declare(struct mesh__relay *relay, struct mesh_ctx *ctx, struct mesh_tx *tx)
{
    if (relay->pass == NULL) {
        return mesh_tx_exec(ctx, tx, &mesh__sql_declare_pass, MESH_ARGS(mesh_text(relay->done)));
    }
    return mesh_tx_exec(
        ctx, tx, &mesh__sql_declare_resumed_pass,
        MESH_ARGS(mesh_text(relay->done), mesh_text(relay->pass), mesh_int64(relay->acked_id)));
}

/* Fails, and forgets the position, if it came from an earlier connection. */
static MESH_STATUS check_position(struct mesh__relay *relay, struct mesh_tx *tx)
{
    if (mesh__tx_connection(tx) == relay->connection) {
        return MESH_OK;
    }
    replace_text(&relay->done, NULL);
    replace_text(&relay->pass, NULL);
    relay->acked_id = 0;
    relay->unsaved = false;
    return mesh_fail(relay->ctx, MESH_ABORTED,
                     "the connection to the database is a new one: the position is read again");
}

static MESH_STATUS publish_pages(struct mesh__relay *relay, struct pass *pass)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, STATEMENT_MS);

    MESH_TRY(mesh__tx_begin_as(ctx, relay->db, "begin isolation level repeatable read read only",
                               &pass->tx));
    MESH_TRY(check_position(relay, pass->tx));
    MESH_TRY(declare(relay, ctx, pass->tx));
    do {
        MESH_TRY(publish_page(relay, pass));
    } while (pass->rows == (relay->large ? FEW : PAGE) && !pass->cut);
    return mesh_tx_commit(mesh_ctx_timeout(relay->ctx, STATEMENT_MS), &pass->tx);
}

/* Waits for the outcome of everything published; false if something has failed. */
static bool finish_window(struct mesh__relay *relay)
{
    int64_t stop_ns = MESH_NO_DEADLINE;
    bool whole;

    settle(relay);
    while (!mesh__window_empty(&relay->window) && !mesh__window_broken(&relay->window)) {
        if (stopping(relay) && stop_ns == MESH_NO_DEADLINE) {
            stop_ns = mesh__in_ms(STOP_DRAIN_MS);
        }
        if (mesh__now_ns() >= stop_ns) {
            return false;
        }
        mesh__window_wait(&relay->window, mesh__in_ms(WINDOW_WAIT_MS));
        settle(relay);
    }
    whole = !mesh__window_broken(&relay->window);
    if (!whole) {
        mesh__window_drain(&relay->window, mesh__in_ms(stopping(relay) ? STOP_DRAIN_MS : DRAIN_MS));
        settle(relay);
    }
    return whole;
}

static void note_failure(struct mesh__relay *relay, const char *reason)
{
    if (stopping(relay)) {
        return;
    }
    mesh_counter_add(relay->failures, 1);
    if (mesh__rarely_now(&relay->complaint)) {
        mesh_log(MESH_LOG_WARN, MESH_LOG_FIELDS(mesh_log_text("reason", reason)),
                 "events could not be published and are tried again");
    }
}

/* Moves the position. */
static void conclude(struct mesh__relay *relay, const struct pass *pass, bool whole)
{
    if (pass->snapshot == NULL && relay->pass == NULL) {
        return; /* there was nothing */
    }
    if (!whole) { /* to be resumed after acked_id */
        if (pass->snapshot != NULL) {
            replace_text(&relay->pass, pass->snapshot);
        }
        return;
    }
    replace_text(&relay->done, relay->pass != NULL ? relay->pass : pass->snapshot);
    replace_text(&relay->pass, NULL);
    relay->acked_id = 0;
    relay->unsaved = true;
}

/* False if it must be resumed. */
static bool run_pass(struct mesh__relay *relay)
{
    struct pass pass = {0};
    enum mesh_status status;
    bool whole;

    fresh_ctx(relay);
    status = publish_pages(relay, &pass);
    whole = finish_window(relay) && !pass.cut;
    mesh__cleanup_tx(&pass.tx);
    conclude(relay, &pass, whole && status == MESH_OK);
    relay->large = status == MESH_RESOURCE_EXHAUSTED || (relay->large && status != MESH_OK);
    if (!whole) {
        note_failure(relay, relay->window.reason);
        mesh__link_close(&relay->link); /* and begin anew: nothing of this connection is trusted */
    } else if (status != MESH_OK && status != MESH_RESOURCE_EXHAUSTED) {
        note_failure(relay, mesh_ctx_error(relay->ctx));
    }
    mesh__window_reset(&relay->window);
    return whole && status == MESH_OK;
}

/* ---- position and figures ---- */

static MESH_STATUS load_position(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, STATEMENT_MS);
    cleanup_tx struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(mesh_tx_query(ctx, tx, &mesh__sql_load_position, MESH_NO_ARGS, &rows));
    relay->connection = mesh__tx_connection(tx);
    if (mesh_rows_count(rows) == 0) {
        replace_text(&relay->done, NOTHING_PUBLISHED);
        return MESH_OK;
    }
    relay->last_sequence = (uint64_t)mesh_row_int64(rows, 0, 1);
    strncpy(relay->last_event_id, mesh_row_text(rows, 0, 2), sizeof(relay->last_event_id) - 1);
    replace_text(&relay->done, mesh_row_text(rows, 0, 0));
    return MESH_OK;
}

static MESH_STATUS save_position(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, SAVE_MS / 2);
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, relay->db, &tx));
    MESH_TRY(check_position(relay, tx));
    MESH_TRY(mesh_tx_exec(
        ctx, tx, &mesh__sql_save_position,
        MESH_ARGS(mesh_text(relay->done), mesh_text(relay->server_id),
                  relay->link.stream.created_us != 0 ? mesh_time(relay->link.stream.created_us)
                                                     : mesh_null(),
                  mesh_int64((int64_t)relay->last_sequence), mesh_text(relay->last_event_id))));
    MESH_TRY(mesh_tx_exec(ctx, tx, &mesh__sql_purge_positions, MESH_NO_ARGS));
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    relay->unsaved = false;
    return MESH_OK;
}

static void save_if_due(struct mesh__relay *relay)
{
    if (!relay->unsaved || (!stopping(relay) && mesh__now_ns() < relay->save_at_ns)) {
        return;
    }
    relay->save_at_ns = mesh__in_ms(SAVE_MS);
    mesh__ctx_reset(relay->ctx, MESH_NO_DEADLINE); /* also when stopping */
    if (save_position(relay) != MESH_OK) {
        note_failure(relay, mesh_ctx_error(relay->ctx)); /* published again after a restart */
    }
}

static MESH_STATUS count_backlog(struct mesh__relay *relay)
{
    struct mesh_ctx *ctx = mesh_ctx_timeout(relay->ctx, STATEMENT_MS);
    struct mesh_rows *rows;

    MESH_TRY(mesh_db_query(ctx, relay->db, &mesh__sql_count_backlog,
                           MESH_ARGS(mesh_text(relay->done), mesh_int64(relay->acked_id)), &rows));
    mesh_gauge_set(relay->backlog, (double)mesh_row_int64(rows, 0, 0));
    mesh_gauge_set(relay->oldest, (double)mesh_row_int64(rows, 0, 1) / 1000);
    return MESH_OK;
}

/* Nothing waits after a whole pass; else it is counted once a second. */
static void measure(struct mesh__relay *relay, bool published_all)
{
    if (published_all) {
        mesh_gauge_set(relay->backlog, 0);
        mesh_gauge_set(relay->oldest, 0);
    } else if (relay->done != NULL && mesh__now_ns() >= relay->measure_at_ns) {
        relay->measure_at_ns = mesh__in_ms(MEASURE_MS);
        fresh_ctx(relay);
        mesh_ignore(count_backlog(relay)); /* without a database there is no figure */
    }
}

/* ---- the thread ---- */

void mesh__relay_wake(void *arg)
{
    struct mesh__relay *relay = arg;

    if (!atomic_exchange(&relay->wake, true)) {
        pthread_mutex_lock(&relay->lock);
        pthread_cond_signal(&relay->wake_up);
        pthread_mutex_unlock(&relay->lock);
    }
}

static void sleep_until(struct mesh__relay *relay, int64_t until_ns, bool wakeable)
{
    pthread_mutex_lock(&relay->lock);
    while (!stopping(relay) && !(wakeable && atomic_load(&relay->wake))) {
        if (!mesh__condition_wait(&relay->wake_up, &relay->lock, until_ns)) {
            break;
        }
    }
    pthread_mutex_unlock(&relay->lock);
}

static bool get_ready(struct mesh__relay *relay)
{
    const struct broker_callbacks callbacks = {
        .arg = relay, .on_closed = on_closed, .on_ack = on_ack};

    fresh_ctx(relay);
    if (relay->done == NULL && load_position(relay) != MESH_OK) {
        note_failure(relay, mesh_ctx_error(relay->ctx));
        return false;
    }
    if (mesh__link_up(&relay->link)) {
        return true;
    }
    mesh__link_close(&relay->link);
    mesh__window_reset(&relay->window);
    relay->proven = false;
    if (mesh__link_open(relay->ctx, &relay->link, &callbacks) != MESH_OK) {
        return false;
    }
    mesh__broker->server_id(relay->link.connection, relay->server_id);
    return true;
}

static void *relay_main(void *arg)
{
    struct mesh__relay *relay = arg;

    pthread_setname_np(pthread_self(), "mesh-relay");
    while (!stopping(relay)) {
        int64_t began_ns = mesh__now_ns();
        bool done;

        atomic_store(&relay->wake, false);
        done = get_ready(relay) && run_pass(relay);
        measure(relay, done);
        if (!done) {
            sleep_until(relay, mesh__backoff_next(&relay->backoff), false);
            continue;
        }
        relay->backoff.last_ms = 0;
        save_if_due(relay);
        sleep_until(relay, mesh__after_ms(began_ns, mesh__relay_idle_ms), true);
        sleep_until(relay, began_ns + SPACING_MS * MESH_NS_PER_MS, false);
    }
    if (relay->done != NULL) {
        save_if_due(relay);
    }
    mesh__link_close(&relay->link);
    pthread_mutex_lock(&relay->lock);
    relay->ended = true;
    pthread_cond_signal(&relay->wake_up);
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

struct mesh__relay *mesh__relay_new(struct mesh_events *events)
{
    struct mesh__relay *relay = mesh__calloc(1, sizeof(*relay));
    const struct mesh_db_options options = {.url = events->options.session_url,
                                            .schema = events->options.schema,
                                            .application_name = events->label,
                                            .size = 1,
                                            .named = true,
                                            .metric_label = "relay",
                                            /* Else a planner that knows nothing of the
                                             * outbox reads all of it in every pass. */
                                            .settings = "-c enable_seqscan=off "
                                                        "-c max_parallel_workers_per_gather=0"};

    relay->events = events;
    relay->db = mesh__db_new(&options);
    relay->ctx = mesh__ctx_new(events->options.service, 0, MESH_NO_DEADLINE);
    relay->backoff = (struct mesh__backoff){.min_ms = 50, .max_ms = 1000};
    mesh__link_init(&relay->link, events, "relay");
    mesh__window_init(&relay->window);
    pthread_mutex_init(&relay->lock, NULL);
    mesh__condition_init(&relay->wake_up);
    relay->backlog =
        mesh_gauge("mesh_outbox_backlog", "Events that wait to be published, up to 100000", NULL);
    relay->oldest =
        mesh_gauge("mesh_outbox_oldest_seconds", "For how long the oldest of them waits", NULL);
    relay->published =
        mesh_counter("mesh_relay_published_total", "Events published and acknowledged", NULL);
    relay->failures =
        mesh_counter("mesh_relay_failures_total", "Passes of the relay that were broken off", NULL);
    mesh__db_on_commit(events->options.db, mesh__relay_wake, relay);
    return relay;
}

void mesh__relay_start(struct mesh__relay *relay)
{
    if (pthread_create(&relay->thread, NULL, relay_main, relay) != 0) {
        mesh__fatal("the relay's thread cannot be made");
    }
}

void mesh__relay_halt(struct mesh__relay *relay)
{
    atomic_store(&relay->stopping, true);
    pthread_mutex_lock(&relay->lock);
    pthread_cond_signal(&relay->wake_up);
    pthread_mutex_unlock(&relay->lock);
}

void mesh__relay_stop(struct mesh__relay *relay)
{
    const int64_t until_ns = mesh__in_ms(STOP_PATIENCE_MS);
    bool in_time = true;

    pthread_mutex_lock(&relay->lock);
    while (!relay->ended && in_time) {
        in_time = mesh__condition_wait(&relay->wake_up, &relay->lock, until_ns);
    }
    in_time = relay->ended;
    pthread_mutex_unlock(&relay->lock);
    if (!in_time) {
        mesh__link_interrupt(&relay->link);
    }
    pthread_join(relay->thread, NULL);
}

void mesh__relay_free(struct mesh__relay *relay)
{
    if (relay == NULL) {
        return;
    }
    mesh__db_on_commit(relay->events->options.db, NULL, NULL);
    mesh__link_done(&relay->link);
    mesh__window_done(&relay->window);
    mesh__db_free(relay->db);
    mesh__ctx_free(relay->ctx);
    free(relay->done);
    free(relay->pass);
    pthread_cond_destroy(&relay->wake_up);
    pthread_mutex_destroy(&relay->lock);
    free(relay);
}
