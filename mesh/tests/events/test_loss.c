/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that lose what they had acknowledged, under load: everything arrives, and has its effect
 * once. */
#include "consumer.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- an emitter that never stops ---- */

static struct {
    struct service service; /* with a context of its own */
    pthread_t thread;
    bool running;
    atomic_bool stop;
    atomic_int commits;
} emitter;

static MESH_STATUS emit_one(int i)
{
    struct mesh_ctx *ctx = service_ctx(&emitter.service);
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(ctx, emitter.service.db, &tx));
    MESH_TRY(count_up(ctx, &emitter.service, tx, mesh_printf(ctx, "k-%d", i % 10), ""));
    return mesh_tx_commit(ctx, &tx);
}

static void *emit(void *arg)
{
    (void)arg;
    for (int i = 0; !atomic_load(&emitter.stop); i++) {
        atomic_fetch_add(&emitter.commits, emit_one(i) == MESH_OK);
        usleep(500);
    }
    return NULL;
}

static void stop_emitter(void)
{
    if (emitter.running) {
        atomic_store(&emitter.stop, true);
        pthread_join(emitter.thread, NULL);
        mesh__ctx_free(emitter.service.ctx);
        emitter.running = false;
    }
}

static void start_emitter(struct service *service)
{
    emitter.service = *service;
    emitter.service.ctx = mesh__ctx_new("emitter", 0, MESH_NO_DEADLINE);
    atomic_store(&emitter.stop, false);
    atomic_store(&emitter.commits, 0);
    CHECK_INT(pthread_create(&emitter.thread, NULL, emit, NULL), 0);
    emitter.running = true;
    at_end(stop_emitter);
}

static void wait_for_commits(int more)
{
    int wanted = atomic_load(&emitter.commits) + more;
    int64_t end_ns = mesh__in_ms(20000);

    while (atomic_load(&emitter.commits) < wanted) {
        CHECK(mesh__now_ns() < end_ns);
        usleep(1000);
    }
}

/* ---- what can happen to a broker ---- */

static void shell(const char *command)
{
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): a line of our own */
}

static void lose_folder(const char *system)
{
    (void)system;
    kill_broker();
    shell("rm -rf \"$TEST_NATS_DIR\"");
    wait_for_commits(50);
    start_broker();
}

static void lose_what_came_after_a_copy(const char *system)
{
    (void)system;
    kill_broker();
    shell("cp -r \"$TEST_NATS_DIR\" \"$TEST_NATS_DIR.old\"");
    start_broker();
    wait_for_commits(300);
    kill_broker();
    shell("rm -rf \"$TEST_NATS_DIR\" && mv \"$TEST_NATS_DIR.old\" \"$TEST_NATS_DIR\"");
    wait_for_commits(50);
    start_broker();
}

/* The broker removes the files of a stream after it has answered, and those of a new one with them.
 */
static void wait_until_removed(const char *system)
{
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/jetstream/$G/streams/%s", getenv("TEST_NATS_DIR"),
                   system);
    while (access(path, F_OK) == 0) {
        usleep(1000);
    }
}

static void delete_and_make(const char *system)
{
    char subject[64];
    const struct broker_stream_config config = {.name = system,
                                                .subject = subject,
                                                .max_bytes = INT64_C(64) << 20,
                                                .max_age_s = 3600,
                                                .duplicates_s = 120};

    (void)snprintf(subject, sizeof(subject), "%s.*.*.*", system);
    delete_stream(system);
    wait_until_removed(system);
    make_stream(&config);
}

static struct pair *run_through(const char *system, void (*lose)(const char *system))
{
    struct pair *pair = pair_new(system);
    uint64_t rescues = counter_of("mesh_relay_rescues_total");
    struct mesh_events *events = consume(&pair->consumer);

    atomic_store(&pair->consumer.slow, 1); /* so that it lags, and some are lost unread */
    start_emitter(pair->publisher);
    wait_for_commits(300);
    lose(system);
    wait_for_commits(300);
    wait_for_counter("mesh_relay_rescues_total", rescues + 1);
    wait_for_commits(100);
    stop_emitter();
    wait_for_int(pair->consumer.service, EFFECTS, atomic_load(&emitter.commits));
    /* Those that were lost unread may come behind later ones. */
    CHECK_INT(query_int(pair->consumer.service, DOUBLED), 0);
    stop_events(events);
    return pair;
}

/* Nothing was published between the loss and its discovery: the keys are in order, too. */
static void check_order(const struct pair *pair)
{
    CHECK_INT(query_int(pair->consumer.service, WRONG), 0);
}

TEST(a_data_folder_that_was_removed_costs_no_event)
{
    check_order(run_through("loss1", lose_folder));
}

TEST(an_old_copy_of_the_data_that_was_restored_costs_no_event)
{
    check_order(run_through("loss2", lose_what_came_after_a_copy));
}

TEST(a_stream_that_was_deleted_costs_no_event)
{
    run_through("loss3", delete_stream);
}

static struct {
    const struct broker *real;
    _Atomic int64_t gone_ns;
    _Atomic int64_t asked_ns;
} watched;

static MESH_STATUS watch_ensure(struct mesh_ctx *ctx, struct broker_connection *connection,
                                const struct broker_stream_config *config,
                                struct broker_stream *ret_stream)
{
    if (atomic_load(&watched.gone_ns) != 0 && atomic_load(&watched.asked_ns) == 0) {
        atomic_store(&watched.asked_ns, mesh__now_ns());
    }
    return watched.real->stream_ensure(ctx, connection, config, ret_stream);
}

TEST(a_stream_that_has_gone_is_not_made_anew_at_once)
{
    static struct broker watching;
    struct service *service;

    watched.real = mesh__broker;
    watching = *mesh__broker;
    watching.stream_ensure = watch_ensure;
    use_broker(&watching);
    service = service_new("loss9", "counter");
    start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 1);
    wait_for_stream("loss9", 1);
    delete_stream("loss9");
    atomic_store(&watched.gone_ns, mesh__now_ns());
    count_and_commit(service, "k", 1);
    wait_for_stream("loss9", 2);
    CHECK(atomic_load(&watched.asked_ns) - atomic_load(&watched.gone_ns) >= MESH_NS_PER_S);
}

TEST(a_stream_that_was_deleted_and_made_by_somebody_else_costs_no_event)
{
    run_through("loss4", delete_and_make);
}

TEST(a_stream_that_was_purged_costs_no_event)
{
    run_through("loss5", purge_stream);
}

/* ---- a server that was started anew ---- */

static void age_positions(struct service *service, const char *by)
{
    superuser_run("update %s.relay_position set saved_at = saved_at - interval '%s'",
                  service->schema, by);
}

static void wait_for_position(struct service *service, int n)
{
    char sql[160];

    (void)snprintf(sql, sizeof(sql),
                   "select max(last_sequence) from relay_position where last_sequence <= %d", n);
    wait_for_int(service, sql, n);
}

TEST(after_a_restart_of_the_broker_the_last_minutes_are_published_again)
{
    struct service *service = service_new("loss6", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t published = counter_of("mesh_relay_published_total");

    count_and_commit(service, "k", 3);
    wait_for_position(service, 3);
    age_positions(service, "100 s");
    count_and_commit(service, "k", 3);
    wait_for_position(service, 6);
    age_positions(service, "100 s"); /* the first one is older than the newest by 100 s */
    count_and_commit(service, "k", 3);
    wait_for_position(service, 9);
    kill_broker();
    start_broker();
    wait_for_counter("mesh_relay_published_total", published + 9 + 6);
    count_and_commit(service, "k", 1);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_published_total"), published + 9 + 6 + 1);
    stop_events(events);
}

/* ---- a relay that was away ---- */

TEST(a_loss_while_no_relay_runs_is_found_by_the_next_one)
{
    struct service *service = service_new("loss7", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t rescues = counter_of("mesh_relay_rescues_total");

    count_and_commit(service, "k", 5);
    wait_for_stream("loss7", 5);
    stop_events(events);
    purge_stream("loss7");
    count_and_commit(service, "k", 5);
    events = start_events(service, true, NULL, NULL);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_rescues_total"), rescues + 1);
    stop_events(events);
    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 5);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_rescues_total"), rescues + 1);
    stop_events(events);
}

TEST(a_loss_of_what_is_kept_no_more_is_no_rescue)
{
    struct service *service = service_new("loss8", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t rescues = counter_of("mesh_relay_rescues_total");

    count_and_commit(service, "k", 5);
    wait_for_position(service, 5);
    superuser_run("delete from loss8_counter.outbox");
    purge_stream("loss8");
    wait_for_int(service,
                 "select count(*) from relay_position where last_sequence = 0"
                 " and id = (select max(id) from relay_position)",
                 1);
    count_and_commit(service, "k", 1);
    wait_for_stream("loss8", 1);
    CHECK_INT(counter_of("mesh_relay_rescues_total"), rescues);
    stop_events(events);
}

TEST_EVENTS_MAIN(NULL)
