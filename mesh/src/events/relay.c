/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's thread: works while the relay is this replica's, and wakes whose it is otherwise. */
#include "events/relay.h"

#include "core/clock.h"
#include "core/condition.h"
#include "core/ctx_impl.h"
#include "core/fatal.h"
#include "core/thread.h"
#include "db/db_impl.h"

#include <stdlib.h>

#define SPACING_MS 3
#define STANDBY_MS 1000
#define STOP_PATIENCE_MS 400

_Atomic int64_t mesh__relay_idle_ms = 50;

static bool stopping(const struct mesh__relay *relay)
{
    return atomic_load(&relay->stopping);
}

bool mesh__relay_works(const struct mesh__relay *relay)
{
    return !stopping(relay) && mesh__lease_term(relay->lease, 0) == relay->term;
}

void mesh__relay_ctx(struct mesh__relay *relay)
{
    mesh__ctx_reset(relay->ctx, MESH_NO_DEADLINE);
    relay->ctx->cancelled = &relay->stopping;
}

void mesh__relay_keep(char **place, const char *text)
{
    char *copy = text != NULL ? mesh__strdup(text) : NULL;

    free(*place);
    *place = copy;
}

void mesh__relay_failed(struct mesh__relay *relay, const char *reason)
{
    if (!mesh__relay_works(relay)) {
        return;
    }
    mesh_counter_add(relay->failures, 1);
    if (mesh__rarely_now(&relay->complaint)) {
        mesh_log(MESH_LOG_WARN, MESH_LOG_FIELDS(mesh_log_text("reason", reason)),
                 "events could not be published and are tried again");
    }
}

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

void mesh__relay_pinged(struct mesh__relay *relay)
{
    if (mesh__lease_term(relay->lease, 0) != 0) { /* else it would ping, too, without an end */
        mesh__relay_wake(relay);
    }
}

static MESH_STATUS connect_broker(struct mesh__relay *relay)
{
    const struct broker_callbacks callbacks = {
        .arg = relay, .on_closed = mesh__relay_closed, .on_ack = mesh__relay_ack};
    enum mesh_status status;

    mesh__link_close(&relay->link);
    mesh__window_reset(&relay->window);
    relay->proven = false;
    relay->examined = false;
    status = mesh__link_open(relay->ctx, &relay->link, &callbacks);
    mesh__lease_able(relay->lease, status == MESH_OK);
    MESH_TRY(status);
    mesh__broker->server_id(relay->link.connection, relay->server_id);
    return MESH_OK;
}

/* A position, a connection to the broker, and the certainty that the one belongs to the other. */
static bool get_ready(struct mesh__relay *relay)
{
    mesh__relay_ctx(relay);
    if (relay->done == NULL && mesh__relay_load(relay) != MESH_OK) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx));
        return false;
    }
    if (!mesh__link_up(&relay->link) && connect_broker(relay) != MESH_OK) {
        return false; /* and it was logged */
    }
    if (!relay->examined && mesh__relay_examine(relay) != MESH_OK) {
        mesh__relay_failed(relay, mesh_ctx_error(relay->ctx));
        return false;
    }
    return true;
}

static void work(struct mesh__relay *relay, int64_t began_ns)
{
    bool done = get_ready(relay) && mesh__relay_pass(relay);

    mesh__relay_measure(relay, done);
    if (!done) {
        sleep_until(relay, mesh__backoff_next(&relay->backoff), false);
        return;
    }
    relay->backoff.last_ms = 0;
    mesh__relay_tend(relay);
    sleep_until(relay, mesh__after_ms(began_ns, mesh__relay_idle_ms), true);
    sleep_until(relay, began_ns + SPACING_MS * MESH_NS_PER_MS, false);
}

/* Ends whatever was done under the term before: a position may have been moved by others since. */
static void end_term(struct mesh__relay *relay)
{
    mesh__relay_finish(relay);
    mesh__relay_forget(relay);
    mesh__link_close(&relay->link);
    mesh__relay_measure(relay, true); /* another replica shows it */
    mesh_gauge_set(relay->full, 0);
}

/* False: the relay is another replica's. */
static bool follow_lease(struct mesh__relay *relay)
{
    uint64_t term = mesh__lease_term(relay->lease, 0);

    if (term != relay->term) {
        end_term(relay);
        relay->term = term;
    }
    if (term == 0) {
        mesh__lease_left(relay->lease, 0);
        /* It has no connection of its own now. */
        mesh__lease_able(relay->lease, mesh__reader_connected(relay->events->reader));
    }
    return term != 0;
}

static void *relay_main(void *arg)
{
    struct mesh__relay *relay = arg;

    while (!stopping(relay)) {
        int64_t began_ns = mesh__now_ns();
        bool woken = atomic_exchange(&relay->wake, false);

        if (follow_lease(relay)) {
            work(relay, began_ns);
            continue;
        }
        if (woken) {
            mesh__events_ping(relay->events, MESH__RELAY_PING);
        }
        sleep_until(relay, began_ns + SPACING_MS * MESH_NS_PER_MS, false);
        sleep_until(relay, mesh__after_ms(began_ns, STANDBY_MS), true);
    }
    end_term(relay);
    pthread_mutex_lock(&relay->lock);
    relay->ended = true;
    pthread_cond_signal(&relay->wake_up);
    pthread_mutex_unlock(&relay->lock);
    return NULL;
}

/* ---- life ---- */

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
                                             * outbox reads all of it in every pass. What cannot do
                                             * without such a scan seems to be worth compiling. */
                                            .settings = "-c enable_seqscan=off -c jit=off "
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
    relay->full = mesh_gauge("mesh_stream_full", "1 while the stream has no room for events", NULL);
    relay->published =
        mesh_counter("mesh_relay_published_total", "Events published and acknowledged", NULL);
    relay->failures =
        mesh_counter("mesh_relay_failures_total", "Passes of the relay that were broken off", NULL);
    relay->rescues = mesh_counter(
        "mesh_relay_rescues_total",
        "Times that everything kept was published again: the broker had lost events", NULL);
    relay->restores = mesh_counter(
        "mesh_relay_restores_total",
        "Times that everything kept was published again: the database was restored", NULL);
    relay->setbacks = mesh_counter(
        "mesh_relay_setbacks_total",
        "Times that the last minutes were published again: the broker was started anew", NULL);
    if (events->options.leases != NULL) {
        relay->lease =
            mesh__leases_add(events->options.leases, "relay", 1, mesh__relay_wake, relay);
    }
    mesh__db_on_commit(events->options.db, mesh__relay_wake, relay);
    return relay;
}

void mesh__relay_start(struct mesh__relay *relay)
{
    mesh__thread_start(&relay->thread, "mesh-relay", relay_main, relay);
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
    mesh__relay_forget(relay);
    pthread_cond_destroy(&relay->wake_up);
    pthread_mutex_destroy(&relay->lock);
    free(relay);
}
