/* SPDX-License-Identifier: Apache-2.0 */
#include "consumer.h"

#include "checks.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static MESH_STATUS misbehave(struct mesh_ctx *ctx, struct consumer *consumer, struct mesh_tx *tx)
{
    static const struct mesh_sql cut = {"cut",
                                        "select pg_terminate_backend(pg_backend_pid())::text"};
    static const struct mesh_sql work = {"work", "select pg_sleep($1::bigint / 1000.0)::text"};
    int call = atomic_fetch_add(&consumer->calls, 1) + 1;
    struct mesh_rows *rows;

    if (atomic_load(&consumer->slow) > 0) {
        MESH_TRY(mesh_tx_query(ctx, tx, &work, MESH_ARGS(mesh_int64(atomic_load(&consumer->slow))),
                               &rows));
    }
    if (call == atomic_load(&consumer->abort_at)) {
        return mesh_fail(ctx, MESH_ABORTED, "as if by a deadlock");
    }
    if (call == atomic_load(&consumer->kill_at)) {
        return mesh_tx_query(ctx, tx, &cut, MESH_NO_ARGS, &rows);
    }
    return MESH_OK;
}

/* What SQL reports for failures that pass, and the loss of the connection. */
static MESH_STATUS have_bad_luck(struct mesh_ctx *ctx, struct mesh_tx *tx, int call)
{
    static const char *const codes[] = {"40P01", "40001", "55P03", "57014", "57P01"};
    static const struct mesh_sql fail_sql = {"fail_sql", "select fail_with($1)"};
    struct mesh_rows *rows;

    return mesh_tx_query(ctx, tx, &fail_sql, MESH_ARGS(mesh_text(codes[call % 5])), &rows);
}

static void end_process(int call)
{
    static const int signals[] = {SIGABRT, SIGSEGV, SIGKILL};

    (void)raise(signals[(getpid() + call) % 3]);
    abort();
}

static MESH_STATUS be_poisoned(struct mesh_ctx *ctx, struct consumer *consumer, struct mesh_tx *tx)
{
    static const struct mesh_sql wrong = {"wrong", "insert into knob (value) values ($1)"};
    int call = atomic_fetch_add(&consumer->poisoned, 1);

    switch ((enum poison)atomic_load(&consumer->poison)) {
    case REFUSED:
    case REFUSED_LATE:
        return mesh_fail(ctx, MESH_FAILED_PRECONDITION, "not this one");
    case REFUSED_BY_DATABASE:
        return mesh_tx_exec(ctx, tx, &wrong, MESH_ARGS(mesh_null()));
    case BAD_LUCK:
        return have_bad_luck(ctx, tx, call);
    case DEADLY:
        end_process(call);
        break;
    case HARMLESS:
        break;
    }
    return MESH_OK;
}

static MESH_STATUS on_counted(struct mesh_ctx *ctx, const void *handlers, void *state,
                              struct mesh_tx *tx, const ProtobufCMessage *message)
{
    static const struct mesh_sql insert = {
        "insert_effect", "insert into effect (event_id, key, version) values ($1, $2, $3)"};
    const Test__Counter__V1__Counted *event = (const Test__Counter__V1__Counted *)message;
    struct consumer *consumer = state;
    bool is_poison = strncmp(event->key, "poison", strlen("poison")) == 0;

    (void)handlers;
    if (is_poison && atomic_load(&consumer->poison) == REFUSED) {
        return be_poisoned(ctx, consumer, tx);
    }
    MESH_TRY(mesh_tx_exec(ctx, tx, &insert,
                          MESH_ARGS(mesh_uuid(mesh_ctx_event_id(ctx)), mesh_text(event->key),
                                    mesh_int64(event->version))));
    if (is_poison) {
        MESH_TRY(be_poisoned(ctx, consumer, tx));
    }
    MESH_TRY(misbehave(ctx, consumer, tx));
    pthread_mutex_lock(&consumer->lock);
    (void)snprintf(consumer->correlation_id, sizeof(consumer->correlation_id), "%s",
                   mesh_ctx_correlation_id(ctx));
    (void)snprintf(consumer->event_id, sizeof(consumer->event_id), "%s", mesh_ctx_event_id(ctx));
    (void)snprintf(consumer->trace_id, sizeof(consumer->trace_id), "%s", mesh_ctx_trace_id(ctx));
    consumer->event_time_us = mesh_ctx_event_time_us(ctx);
    pthread_mutex_unlock(&consumer->lock);
    if (consumer->publisher != NULL) {
        return mesh_emit(ctx, tx, &consumer->publisher->counted, message);
    }
    return MESH_OK;
}

static struct pair *make_pair(struct service *publisher, struct service *service)
{
    static struct pair pair; /* there is one in each test */
    struct consumer *consumer = &pair.consumer;

    pair = (struct pair){.publisher = publisher};
    pthread_mutex_init(&consumer->lock, NULL);
    consumer->service = service;
    consumer->entry = (struct mesh_inbox_entry){&pair.publisher->counted, on_counted};
    consumer->inbox = (struct mesh_inbox_type){&consumer->entry, 1};
    return &pair;
}

struct pair *pair_new(const char *system)
{
    struct pair *pair = make_pair(service_new(system, "counter"), service_new(system, "consumer"));

    pair->relay = start_events(pair->publisher, true, NULL, NULL);
    return pair;
}

struct pair *pair_open(const char *system)
{
    return make_pair(service_open(system, "counter"), service_open(system, "consumer"));
}

struct mesh_events *consume(struct consumer *consumer)
{
    return start_events(consumer->service, false, &consumer->inbox, consumer);
}

void publish_keys(struct service *publisher, int n)
{
    for (int i = 0; i < 10; i++) {
        char key[8];

        (void)snprintf(key, sizeof(key), "k-%d", i);
        count_and_commit(publisher, key, n);
    }
}

void check_effects(struct consumer *consumer, int64_t n)
{
    wait_for_int(consumer->service, EFFECTS, n);
    CHECK_INT(query_int(consumer->service, WRONG), 0);
    CHECK_INT(query_int(consumer->service, "select count(*) from inbox"), n);
}
