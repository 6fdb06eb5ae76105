/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that say odd things, and replicas that work at the same time. */
#include "consumer.h"
#include "test.h"

#include <stdio.h>
#include <unistd.h>

static const struct broker *real;
/* What goes wrong now: the table itself stays as it is while threads use it. */
static atomic_bool late_state, no_state, blinding, noting, odd_relays, other_ids, other_times;
/* Relays come by one connection each, on a thread of their own. */
static _Thread_local int relay_number;

static void be_normal(void)
{
    atomic_store(&late_state, false);
    atomic_store(&no_state, false);
    atomic_store(&blinding, false);
    atomic_store(&noting, false);
    atomic_store(&odd_relays, false);
    atomic_store(&other_ids, false);
    atomic_store(&other_times, false);
}

/* Until the end of the test. */
static void be_odd(atomic_bool *way)
{
    at_end(be_normal);
    atomic_store(way, true);
}

/* ---- a state of the stream that is older than the cursor ---- */

/* As if it had been asked just before another replica read on. */
static enum mesh_status late_ensure(struct mesh_ctx *ctx, struct broker_connection *connection,
                                    const struct broker_stream_config *config,
                                    struct broker_stream *ret_stream)
{
    enum mesh_status status = real->stream_ensure(ctx, connection, config, ret_stream);

    if (status == MESH_OK && atomic_load(&late_state) && ret_stream->last_sequence > 0) {
        ret_stream->last_sequence = 1;
    }
    return status;
}

static enum mesh_status missing_state(struct mesh_ctx *ctx, struct broker_connection *connection,
                                      const char *stream, struct broker_stream *ret_stream)
{
    if (atomic_load(&no_state)) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "no state on purpose");
    }
    return real->stream_state(ctx, connection, stream, ret_stream);
}

TEST(a_cursor_that_another_replica_has_moved_since_is_no_lost_stream)
{
    struct pair *pair = pair_new("odd1");
    struct mesh_events *events;
    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");

    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 100);
    stop_events(events);
    be_odd(&late_state);
    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 1);
    check_effects(&pair->consumer, 110);
    CHECK_INT(counter_of("mesh_consumer_rewinds_total"), rewinds);
    stop_events(events);
}

/* ---- a stream that has other messages at the same places ---- */

static enum mesh_status other_identity(struct mesh_ctx *ctx, struct broker_connection *connection,
                                       const char *stream, uint64_t sequence,
                                       struct broker_identity *ret_identity)
{
    enum mesh_status status =
        real->message_identity(ctx, connection, stream, sequence, ret_identity);

    if (atomic_load(&other_ids)) {
        (void)snprintf(ret_identity->id, sizeof(ret_identity->id), "another");
    }
    if (relay_number != 0) { /* published under an id that it does not know */
        *strchrnul(ret_identity->id, '/') = '\0';
    }
    ret_identity->time_us += atomic_load(&other_times);
    return status;
}

/* As after a copy of its data was restored: read again, at the start and while it is idle. */
static void check_rewind(const char *system, atomic_bool *way)
{
    struct pair *pair = pair_new(system);
    struct mesh_events *events = consume(&pair->consumer);
    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");

    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 50);
    be_odd(way);
    wait_for_counter("mesh_consumer_rewinds_total", rewinds + 1);
    stop_events(events);
    atomic_store(way, false);

    rewinds = counter_of("mesh_consumer_rewinds_total");
    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 100);
    CHECK_INT(counter_of("mesh_consumer_rewinds_total"), rewinds);
    stop_events(events);
    atomic_store(way, true);
    events = consume(&pair->consumer);
    wait_for_counter("mesh_consumer_rewinds_total", rewinds + 1);
    atomic_store(way, false);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 150);
    stop_events(events);
}

TEST(a_stream_with_other_ids_at_the_same_places_is_read_again)
{
    check_rewind("odd6", &other_ids);
}

TEST(a_stream_with_other_times_at_the_same_places_is_read_again)
{
    check_rewind("odd7", &other_times);
}

/* ---- a consumer that the broker no longer has ---- */

static struct {
    pthread_mutex_t lock;
    int n;
    char names[MESH_PARTITIONS][BROKER_NAME_SIZE];
} opened = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum mesh_status noted_open(struct mesh_ctx *ctx, struct broker_connection *connection,
                                   const char *stream, const char *subject, uint64_t from,
                                   struct broker_consumer *ret_consumer)
{
    enum mesh_status status =
        real->consumer_open(ctx, connection, stream, subject, from, ret_consumer);

    pthread_mutex_lock(&opened.lock);
    if (status == MESH_OK && atomic_load(&noting)) {
        if (opened.n < MESH_PARTITIONS) {
            (void)snprintf(opened.names[opened.n], BROKER_NAME_SIZE, "%s", ret_consumer->name);
        }
        opened.n++;
    }
    pthread_mutex_unlock(&opened.lock);
    return status;
}

static void note_opened(void)
{
    pthread_mutex_lock(&opened.lock);
    opened.n = 0;
    pthread_mutex_unlock(&opened.lock);
    be_odd(&noting);
}

/* Sooner than silence would tell. */
static void wait_for_opened(int wanted)
{
    const int64_t end_ns = mesh__in_ms(2 * real->heartbeat_ms);
    int n;

    do {
        usleep(1000);
        pthread_mutex_lock(&opened.lock);
        n = opened.n;
        pthread_mutex_unlock(&opened.lock);
    } while (n < wanted && mesh__now_ns() < end_ns);
    CHECK_INT(n, wanted);
}

TEST(a_consumer_that_the_broker_has_forgotten_is_made_again)
{
    struct pair *pair = pair_new("odd2");
    uint64_t breaks = counter_of("mesh_consumer_breaks_total");
    struct mesh_events *events;

    watch_log("the broker has ended its consumer");
    note_opened();
    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 50);
    wait_for_opened(MESH_PARTITIONS);
    for (int i = 0; i < MESH_PARTITIONS; i++) {
        delete_consumer("odd2", opened.names[i]);
    }
    wait_for_opened(2 * MESH_PARTITIONS);
    CHECK_INT(counter_of("mesh_consumer_breaks_total") - breaks, MESH_PARTITIONS);
    CHECK(watched_lines() > 0);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 100);
    stop_events(events);
}

/* ---- figures ---- */

TEST(a_share_shows_what_waits_for_it_from_its_opening_on)
{
    struct pair *pair = pair_new("odd5");
    struct mesh_events *events;

    count_and_commit(pair->publisher, "k", 7);
    wait_for_stream("odd5", 7);
    atomic_store(&pair->consumer.slow, 20000); /* nothing ends before the test does */
    events = consume(&pair->consumer);
    while (atomic_load(&pair->consumer.calls) == 0) {
        usleep(1000);
    }
    CHECK(share_gauge("mesh_consumer_lag", "k") == 7);
    stop_events(events);
}

TEST(a_share_shows_how_far_it_is_behind_while_the_broker_is_away)
{
    struct pair *pair = pair_new("odd4");
    struct mesh_events *events;

    atomic_store(&pair->consumer.poison, BAD_LUCK);
    count_and_commit(pair->publisher, "poison", 5);
    wait_for_stream("odd4", 5);
    note_opened();
    events = consume(&pair->consumer);
    wait_for_opened(MESH_PARTITIONS);
    be_odd(&no_state); /* nothing can be asked later */
    wait_for_share_gauge("mesh_consumer_lag", "poison", 5, 5);
    kill_broker();
    wait_for_share_gauge("mesh_consumer_behind_seconds", "poison", 1, 1000);
    CHECK(share_gauge("mesh_consumer_lag", "poison") == 5);
    atomic_store(&pair->consumer.poison, HARMLESS);
    atomic_store(&no_state, false);
    start_broker();
    check_effects(&pair->consumer, 5);
    wait_for_share_gauge("mesh_consumer_lag", "poison", 0, 0);
    wait_for_share_gauge("mesh_consumer_behind_seconds", "poison", 0, 0);
    stop_events(events);
}

/* ---- a replica that is slower than another ---- */

TEST(a_batch_of_a_replica_that_has_lost_its_share_has_no_effect)
{
    static const struct mesh_sql move = {
        "move", "update cursor set sequence = 4, event_id = '', broker_time = null"
                " where sequence = 1 returning sequence"};
    struct pair *pair = pair_new("odd8");
    struct service *service = pair->consumer.service;
    struct mesh_events *events = consume(&pair->consumer);
    struct mesh_rows *rows;
    struct mesh_tx *tx;

    count_and_commit(pair->publisher, "k", 1);
    check_effects(&pair->consumer, 1);
    /* The other one has handled three more, and the slower one waits for its commit. */
    CHECK_INT(mesh_tx_begin(service->ctx, service->silent, &tx), MESH_OK);
    CHECK_INT(mesh_tx_query(service->ctx, tx, &move, MESH_NO_ARGS, &rows), MESH_OK);
    CHECK_INT(mesh_rows_count(rows), 1);
    count_and_commit(pair->publisher, "k", 3);
    wait_for_int(service, "select count(*) from pg_stat_activity where wait_event_type = 'Lock'",
                 1);
    CHECK_INT(mesh_tx_commit(service->ctx, &tx), MESH_OK);
    count_and_commit(pair->publisher, "k", 1);
    wait_for_int(service, EFFECTS, 2);
    CHECK_INT(query_int(service, "select max(version) from effect"), 5);
    stop_events(events);
}

/* ---- two relays at once ---- */

static atomic_int relays;
static atomic_int publications;

/*
 * One of the two publishes under ids of its own, as if it came back after the broker has forgotten
 * the others; and each 50th publication of either is lost.
 */
static enum mesh_status late_publish(struct mesh_ctx *ctx, struct broker_connection *connection,
                                     const struct broker_publication *publication, uint64_t token)
{
    struct broker_publication late = *publication;
    char id[BROKER_ID_SIZE];

    if (atomic_load(&blinding)) {
        atomic_store(&no_state, true);
    }
    if (!atomic_load(&odd_relays)) {
        return real->publish(ctx, connection, publication, token);
    }
    if (relay_number == 0) {
        relay_number = atomic_fetch_add(&relays, 1) + 1;
    }
    if (atomic_fetch_add(&publications, 1) % 50 == 49) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "lost on purpose");
    }
    (void)snprintf(id, sizeof(id), "%s/%d", publication->id, relay_number);
    late.id = id;
    return real->publish(ctx, connection, &late, token);
}

TEST(two_relays_whose_events_are_not_recognised_as_the_same_have_the_effects_of_one)
{
    struct pair *pair = pair_new("odd3");
    struct mesh_events *other, *events;
    uint64_t duplicates = counter_of("mesh_consumer_duplicates_total");
    int n = 0;

    be_odd(&odd_relays);
    other = start_events(pair->publisher, true, NULL, NULL);
    events = consume(&pair->consumer);
    for (; atomic_load(&relays) < 2; n++) {
        count_and_commit(pair->publisher, "first", 1);
    }
    publish_keys(pair->publisher, 50);
    check_effects(&pair->consumer, 500 + n);
    wait_for_counter("mesh_consumer_duplicates_total", duplicates + 500); /* each came twice */
    stop_events(events);
    stop_events(other);
}

/* ---- acknowledgements that say odd things ---- */

static struct broker faulty;
static atomic_bool hold_acks;
static struct broker_callbacks held;

/* The broker has it, but its answer is a failure. */
static void held_ack(void *arg, uint64_t token, const struct broker_ack *ack)
{
    static const struct broker_ack failure = {.error = "answer lost on purpose"};

    held.on_ack(arg, token, atomic_load(&hold_acks) && token % 7 == 3 ? &failure : ack);
}

static enum mesh_status forgetful_connect(struct mesh_ctx *ctx,
                                          const struct broker_options *options,
                                          struct broker_connection **ret_connection)
{
    struct broker_options changed = *options;

    if (strcmp(options->name, "relay7-counter") == 0 && options->callbacks.on_ack != NULL) {
        held = options->callbacks;
        changed.callbacks.on_ack = held_ack;
    }
    return real->connect(ctx, &changed, ret_connection);
}

TEST(events_whose_acknowledgement_failed_are_not_doubled)
{
    struct service *service = service_new("relay7", "counter");
    struct mesh_events *events;

    faulty = *real;
    faulty.connect = forgetful_connect;
    use_broker(&faulty);
    atomic_store(&hold_acks, true);
    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "a", 30);
    check_stream(service);
    stop_events(events);
}

TEST(a_purge_that_the_broker_remembers_as_duplicates_is_no_publication)
{
    struct service *service = service_new("relay8", "counter");
    struct mesh_events *events;
    uint64_t failures = counter_of("mesh_relay_failures_total");

    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "a", 3);
    wait_for_stream("relay8", 3);
    stop_events(events);
    purge_stream("relay8");
    /* As after a crash: the relay begins from the start of its outbox. */
    CHECK_INT(query_int(service, "with gone as (delete from relay_position returning 1)"
                                 " select count(*) - count(*) from gone"),
              0);
    events = start_events(service, true, NULL, NULL);
    wait_for_counter("mesh_relay_failures_total", failures + 1);
    stop_events(events);
}

TEST(a_duplicate_that_cannot_be_looked_for_is_not_called_missing)
{
    struct service *service = service_new("relay19", "counter");
    uint64_t failures = counter_of("mesh_relay_failures_total");
    struct mesh_events *events;

    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "a", 3);
    wait_for_stream("relay19", 3);
    stop_events(events);
    purge_stream("relay19");
    superuser_run("delete from relay19_counter.relay_position");
    be_odd(&blinding);
    watch_log("cannot be looked for: no state on purpose");
    events = start_events(service, true, NULL, NULL);
    wait_for_counter("mesh_relay_failures_total", failures + 1);
    CHECK(watched_lines() > 0);
    stop_events(events);
}

static struct broker_callbacks alone;
static atomic_int sent, sent_at_first_answer;

static void first_answer(void *arg, uint64_t token, const struct broker_ack *ack)
{
    int none = 0;

    (void)atomic_compare_exchange_strong(&sent_at_first_answer, &none, atomic_load(&sent));
    alone.on_ack(arg, token, ack);
}

static enum mesh_status watched_connect(struct mesh_ctx *ctx, const struct broker_options *options,
                                        struct broker_connection **ret_connection)
{
    struct broker_options changed = *options;

    if (options->callbacks.on_ack != NULL) {
        alone = options->callbacks;
        changed.callbacks.on_ack = first_answer;
    }
    return real->connect(ctx, &changed, ret_connection);
}

static enum mesh_status counted_publish(struct mesh_ctx *ctx, struct broker_connection *connection,
                                        const struct broker_publication *publication,
                                        uint64_t token)
{
    atomic_fetch_add(&sent, 1);
    return real->publish(ctx, connection, publication, token);
}

TEST(the_first_publication_of_a_connection_goes_alone)
{
    struct service *service = service_new("relay20", "counter");
    struct mesh_events *events;

    count_and_commit(service, "k", 100);
    faulty = *real;
    faulty.connect = watched_connect;
    faulty.publish = counted_publish;
    use_broker(&faulty);
    events = start_events(service, true, NULL, NULL);
    check_stream(service);
    CHECK_INT(atomic_load(&sent_at_first_answer), 1);
    CHECK_INT(atomic_load(&sent), 100);
    stop_events(events);
}

static int set_up(void **state)
{
    static struct broker odd;

    (void)state;
    real = mesh__broker;
    odd = *real;
    odd.stream_ensure = late_ensure;
    odd.stream_state = missing_state;
    odd.message_identity = other_identity;
    odd.consumer_open = noted_open;
    odd.publish = late_publish;
    mesh__broker = &odd;
    return 0;
}

TEST_EVENTS_MAIN(set_up)
