/* SPDX-License-Identifier: Apache-2.0 */
/* The life of event delivery in one process. */
#include "events/events.h"

#include "core/fatal.h"
#include "events/events_impl.h"
#include "events/relay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *format_text(const char *format, ...)
{
    va_list args;
    char *text;
    int size;

    va_start(args, format);
    size = vasprintf(&text, format, args);
    va_end(args);
    if (size < 0) {
        mesh__fatal("out of memory");
    }
    return text;
}

/* Replaces a borrowed text by a copy that lives as long as events. */
static void keep(struct mesh_events *events, const char **text)
{
    char *copy = mesh__strdup(*text);

    events->texts[events->n_texts++] = copy;
    *text = copy;
}

struct mesh_events *mesh__events_new(const struct mesh_events_options *options)
{
    struct mesh_events *events = mesh__calloc(1, sizeof(*events));
    struct mesh_events_options *own = &events->options;

    *own = *options;
    keep(events, &own->system);
    keep(events, &own->service);
    keep(events, &own->nats_url);
    if (own->nats_ca != NULL) {
        keep(events, &own->nats_ca);
    }
    keep(events, &own->session_url);
    keep(events, &own->schema);
    events->subjects = format_text("%s.*.*.*", own->system);
    events->label = own->leases != NULL ? mesh__strdup(mesh__leases_replica(own->leases))
                                        : format_text("%s-%s", own->system, own->service);
    pthread_mutex_init(&events->ping_lock, NULL);
    if (own->publishes) {
        events->relay = mesh__relay_new(events);
    }
    events->reader = mesh__reader_new(events);
    return events;
}

static void ignore_closed(void *arg)
{
    (void)arg;
}

MESH_STATUS mesh__events_check(struct mesh_ctx *ctx, struct mesh_events *events)
{
    const struct broker_callbacks callbacks = {.on_closed = ignore_closed};
    struct mesh__link link;
    enum mesh_status status;

    mesh__link_init(&link, events, "check");
    status = mesh__link_open(ctx, &link, &callbacks);
    for (int i = 1; i < link.n_servers && status == MESH_UNAVAILABLE; i++) {
        status = mesh__link_open(ctx, &link, &callbacks);
    }
    mesh__link_done(&link);
    return status;
}

void mesh__events_start(struct mesh_events *events)
{
    events->started = true;
    if (events->relay != NULL) {
        mesh__relay_start(events->relay);
    }
    mesh__reader_start(events->reader);
}

void mesh__events_stop(struct mesh_events *events)
{
    if (!events->started) {
        return;
    }
    events->started = false;
    if (events->relay != NULL) {
        mesh__relay_halt(events->relay);
    }
    mesh__reader_stop(events->reader);
    if (events->relay != NULL) {
        mesh__relay_stop(events->relay);
    }
}

void mesh__events_free(struct mesh_events *events)
{
    if (events == NULL) {
        return;
    }
    mesh__events_stop(events);
    mesh__reader_free(events->reader);
    mesh__relay_free(events->relay);
    for (size_t i = 0; i < events->n_texts; i++) {
        free(events->texts[i]);
    }
    free(events->subjects);
    free(events->label);
    pthread_mutex_destroy(&events->ping_lock);
    free(events);
}

/* ---- pings ---- */

void mesh__events_ping(struct mesh_events *events, const char *name)
{
    char *subject =
        format_text("_mesh.%s.%s.%s", events->options.system, events->options.service, name);

    mesh__reader_ping(events->reader, subject);
    free(subject);
}

void mesh__events_on_ping(struct mesh_events *events, void (*callback)(void *arg, const char *name),
                          void *arg)
{
    pthread_mutex_lock(&events->ping_lock);
    events->on_ping = callback;
    events->on_ping_arg = arg;
    pthread_mutex_unlock(&events->ping_lock);
}

void mesh__events_pinged(struct mesh_events *events, const char *subject)
{
    const char *name = strrchr(subject, '.');
    void (*callback)(void *arg, const char *name);
    void *arg;

    if (name != NULL && strcmp(name + 1, MESH__RELAY_PING) == 0) {
        if (events->relay != NULL) {
            mesh__relay_pinged(events->relay);
        }
        return;
    }
    pthread_mutex_lock(&events->ping_lock);
    callback = events->on_ping;
    arg = events->on_ping_arg;
    pthread_mutex_unlock(&events->ping_lock);
    if (callback != NULL && name != NULL) {
        callback(arg, name + 1);
    }
}
