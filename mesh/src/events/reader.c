/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer thread: keeps its connections and tends its shares in turn. */
#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "db/db_impl.h"
#include "events/parking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MS 2000
#define STOP_PATIENCE_MS 700
#define REQUEST_MS 10000

struct mesh_ctx *mesh__reader_ctx(struct mesh__reader *reader)
{
    mesh__ctx_reset(reader->ctx, mesh__in_ms(REQUEST_MS));
    reader->ctx->cancelled = &reader->cut;
    return reader->ctx;
}

/* ---- callbacks, on threads of the broker's library ---- */

static void wake(struct mesh__reader *reader)
{
    pthread_mutex_lock(&reader->lock);
    reader->ready = true;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
}

static void on_closed(void *arg)
{
    struct mesh__reader *reader = arg;

    atomic_store(&reader->link.closed, true);
    wake(reader);
}

static void on_message(void *arg, struct broker_message *message)
{
    mesh__inflow_message(arg, message);
}

static void on_pull(void *arg, const struct broker_pull_note *note)
{
    mesh__inflow_note(arg, note);
}

static void on_ping(void *arg, const char *subject)
{
    struct mesh__reader *reader = arg;

    mesh__events_pinged(reader->events, subject);
}

/* ---- connection ---- */

void mesh__reader_ping(struct mesh__reader *reader, const char *subject)
{
    mesh__link_ping(&reader->link, subject);
}

bool mesh__reader_connected(struct mesh__reader *reader)
{
    bool connected;

    pthread_mutex_lock(&reader->link.lock);
    connected = mesh__link_up(&reader->link);
    pthread_mutex_unlock(&reader->link.lock);
    return connected;
}

static void disconnect(struct mesh__reader *reader)
{
    for (size_t i = 0; i < reader->n_shares; i++) {
        mesh__share_close(reader, &reader->shares[i]);
        reader->shares[i].retry_ns = 0;
    }
    mesh__link_close(&reader->link);
}

static MESH_STATUS reconnect(struct mesh__reader *reader)
{
    const struct mesh_events_options *options = &reader->events->options;
    const struct broker_callbacks callbacks = {.arg = reader,
                                               .on_closed = on_closed,
                                               .on_message = on_message,
                                               .on_pull = on_pull,
                                               .on_ping = on_ping};
    struct mesh_ctx *ctx = mesh__reader_ctx(reader);

    disconnect(reader);
    MESH_TRY(mesh__link_open(ctx, &reader->link, &callbacks));
    MESH_TRY(mesh__broker->ping_subscribe(
        ctx, reader->link.connection,
        mesh_printf(ctx, "_mesh.%s.%s.*", options->system, options->service)));
    reader->check_ns = mesh__in_ms(CHECK_MS);
    return MESH_OK;
}

/* ---- the thread ---- */

static bool stopping(const struct mesh__reader *reader)
{
    return atomic_load(&reader->stopping);
}

static void sleep_until(struct mesh__reader *reader, int64_t until_ns)
{
    pthread_mutex_lock(&reader->lock);
    while (!stopping(reader) && !reader->ready) {
        if (!mesh__condition_wait(&reader->changed, &reader->lock, until_ns)) {
            break;
        }
    }
    reader->ready = false;
    pthread_mutex_unlock(&reader->lock);
}

/* Nothing but the stop ends this wait early. */
static void pause_until(struct mesh__reader *reader, int64_t until_ns)
{
    pthread_mutex_lock(&reader->lock);
    while (!stopping(reader) && mesh__condition_wait(&reader->changed, &reader->lock, until_ns)) {
    }
    pthread_mutex_unlock(&reader->lock);
}

/* What is another replica's now is left, and what has become ours begins anew at its cursor. */
static void begin_term(struct mesh__reader *reader, int partition, uint64_t term)
{
    reader->terms[partition] = term;
    for (size_t i = 0; i < reader->n_shares; i++) {
        struct mesh__share *share = &reader->shares[i];

        if (share->partition == partition) {
            mesh__share_close(reader, share);
            share->held = term != 0;
            share->careful = mesh__lease_unclean(reader->leases, (size_t)partition);
            share->trial.known = false;
            share->retry_ns = 0;
        }
    }
}

static void follow_lease(struct mesh__reader *reader, int partition)
{
    uint64_t term = mesh__lease_term(reader->leases, (size_t)partition);

    if (term != reader->terms[partition]) {
        begin_term(reader, partition, term);
    }
    if (term == 0) { /* each time: it may have been won and lost again unseen */
        mesh__lease_left(reader->leases, (size_t)partition);
    }
}

static void follow_leases(struct mesh__reader *reader)
{
    for (int partition = 0; partition < MESH_PARTITIONS; partition++) {
        follow_lease(reader, partition);
    }
}

static void measure(struct mesh__reader *reader)
{
    for (size_t i = 0; i < reader->n_shares; i++) {
        mesh__share_measure(reader, &reader->shares[i]);
    }
}

static void tend(struct mesh__reader *reader)
{
    bool busy = false;
    int64_t until_ns = reader->check_ns;

    follow_leases(reader);
    if (mesh__now_ns() >= reader->check_ns) {
        reader->check_ns = mesh__in_ms(CHECK_MS);
        /* If the broker does not answer, the connection will be closed. */
        mesh_ignore(mesh__shares_check(reader));
        measure(reader);
    }
    for (size_t i = 0; i < reader->n_shares && !stopping(reader); i++) {
        busy = mesh__share_tend(reader, &reader->shares[i]) || busy;
    }
    if (busy) {
        return;
    }
    for (size_t i = 0; i < reader->n_shares; i++) {
        int64_t due_ns = mesh__share_due_ns(reader, &reader->shares[i]);

        until_ns = due_ns < until_ns ? due_ns : until_ns;
    }
    sleep_until(reader, until_ns);
}

static void leases_changed(void *arg)
{
    wake(arg);
}

static void *reader_main(void *arg)
{
    struct mesh__reader *reader = arg;

    while (!stopping(reader)) {
        if (mesh__link_up(&reader->link)) {
            tend(reader);
        } else if (reconnect(reader) == MESH_OK) {
            mesh__lease_able(reader->leases, true);
            reader->backoff.last_ms = 0;
        } else {
            mesh__lease_able(reader->leases, false);
            follow_leases(reader);
            measure(reader);
            pause_until(reader, mesh__backoff_next(&reader->backoff));
        }
    }
    disconnect(reader);
    pthread_mutex_lock(&reader->lock);
    reader->ended = true;
    pthread_cond_signal(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

/* ---- life ---- */

static bool seen_before(const struct mesh_inbox_type *inbox, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(inbox->entries[i].event->source, inbox->entries[at].event->source) == 0) {
            return true;
        }
    }
    return false;
}

static void init_share(struct mesh__reader *reader, struct mesh__share *share, const char *source,
                       int partition)
{
    const char *labels[] = {"source", source, NULL, NULL, NULL};
    char number[12];

    (void)snprintf(number, sizeof(number), "%d", partition);
    share->partition = partition;
    share->source = source;
    share->backoff = (struct mesh__backoff){.min_ms = 50, .max_ms = 5000};
    if (asprintf(&share->subject, "%s.%d.%s.*", reader->events->options.system, partition, source) <
        0) {
        mesh__fatal("out of memory");
    }
    share->handled = mesh_counter("mesh_consumer_handled_total", "Events handled", labels);
    labels[2] = "partition";
    labels[3] = number;
    share->lag = mesh_gauge("mesh_consumer_lag",
                            "Events that wait to be handled, as the broker last told", labels);
    share->behind = mesh_gauge("mesh_consumer_behind_seconds",
                               "For how long it has not been certain that no event waits: grows "
                               "while some do and while the broker cannot be asked",
                               labels);
    mesh__parking_init(share);
    share->current_ns = mesh__now_ns();
}

static void make_shares(struct mesh__reader *reader)
{
    const struct mesh_events_options *options = &reader->events->options;
    const struct mesh_inbox_type *inbox = options->inbox;

    reader->shares = mesh__calloc(inbox->n_entries * MESH_PARTITIONS, sizeof(*reader->shares));
    for (size_t i = 0; i < inbox->n_entries; i++) {
        const struct mesh_event_type *event = inbox->entries[i].event;

        if (strcmp(event->system, options->system) != 0) {
            mesh__fatal("event %s is of another system than %s", event->full_name, options->system);
        }
        for (int partition = 0; partition < MESH_PARTITIONS && !seen_before(inbox, i);
             partition++) {
            init_share(reader, &reader->shares[reader->n_shares++], event->source, partition);
        }
    }
}

static void make_metrics(struct mesh__reader *reader)
{
    reader->duplicates =
        mesh_counter("mesh_consumer_duplicates_total", "Events that had been handled before", NULL);
    reader->skipped =
        mesh_counter("mesh_consumer_skipped_total", "Events of types not asked for", NULL);
    reader->failed =
        mesh_counter("mesh_consumer_failures_total", "Failed tries to handle an event", NULL);
    reader->breaks = mesh_counter("mesh_consumer_breaks_total",
                                  "Times that the deliveries of a share broke off", NULL);
    reader->rewinds = mesh_counter("mesh_consumer_rewinds_total",
                                   "Streams read again because they were not the same", NULL);
    reader->gaps = mesh_counter("mesh_consumer_gaps_total",
                                "Times that events were dropped before they were read", NULL);
}

struct mesh__reader *mesh__reader_new(struct mesh_events *events)
{
    struct mesh__reader *reader = mesh__calloc(1, sizeof(*reader));
    const struct mesh_db_options options = {.url = events->options.session_url,
                                            .schema = events->options.schema,
                                            .application_name = events->label,
                                            .size = 1,
                                            .named = true,
                                            .metric_label = "consumer",
                                            /* One thread for all shares: whoever keeps a
                                             * row locked is to hold back one of them. */
                                            .settings = "-c lock_timeout=1s"};

    reader->events = events;
    reader->ctx = mesh__ctx_new(events->options.service, 0, MESH_NO_DEADLINE);
    reader->event_ctx = mesh__ctx_new(events->options.service, 0, MESH_NO_DEADLINE);
    reader->backoff = (struct mesh__backoff){.min_ms = 50, .max_ms = 1000};
    pthread_mutex_init(&reader->lock, NULL);
    mesh__condition_init(&reader->changed);
    mesh__link_init(&reader->link, events, "consumer");
    make_metrics(reader);
    if (events->options.inbox != NULL) {
        reader->db = mesh__db_new(&options);
        make_shares(reader);
        if (events->options.leases != NULL) {
            reader->leases = mesh__leases_add(events->options.leases, "partition", MESH_PARTITIONS,
                                              leases_changed, reader);
        }
    }
    return reader;
}

void mesh__reader_start(struct mesh__reader *reader)
{
    if (reader->db != NULL && reader->events->relay != NULL) {
        /* Handlers emit events, too. */
        mesh__db_on_commit(reader->db, mesh__relay_wake, reader->events->relay);
    }
    mesh__thread_start(&reader->thread, "mesh-reader", reader_main, reader);
}

void mesh__reader_stop(struct mesh__reader *reader)
{
    const int64_t until_ns = mesh__in_ms(STOP_PATIENCE_MS);
    bool in_time = true;

    atomic_store(&reader->stopping, true);
    wake(reader);
    pthread_mutex_lock(&reader->lock);
    while (!reader->ended && in_time) {
        in_time = mesh__condition_wait(&reader->changed, &reader->lock, until_ns);
    }
    in_time = reader->ended;
    pthread_mutex_unlock(&reader->lock);
    if (!in_time) {
        atomic_store(&reader->cut, true); /* its batch is rolled back */
        mesh__link_interrupt(&reader->link);
    }
    pthread_join(reader->thread, NULL);
}

void mesh__reader_free(struct mesh__reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (size_t i = 0; i < reader->n_shares; i++) {
        free(reader->shares[i].subject);
    }
    free(reader->shares);
    mesh__link_done(&reader->link);
    mesh__db_free(reader->db);
    mesh__ctx_free(reader->ctx);
    mesh__ctx_free(reader->event_ctx);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}
