/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that say odd things, and replicas that work at the same time. */
#include "consumer.h"
#include "core/log_impl.h"
#include "test.h"

#include <stdio.h>
#include <unistd.h>

static const struct broker *real;
/* What goes wrong now: the table itself stays as it is while threads use it. */
static atomic_bool late_state, no_state, noting, odd_relays;

static void be_normal(void)
{
    atomic_store(&late_state, false);
    atomic_store(&no_state, false);
    atomic_store(&noting, false);
    atomic_store(&odd_relays, false);
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

/* ---- a consumer that the broker no longer has ---- */

#define BREAK "the deliveries of a share broke off"
#define ENDED "the broker has ended its consumer"

static atomic_int logged_breaks;

static void keep_line(void *arg, const char *line, size_t size)
{
    (void)arg;
    if (memmem(line, size, BREAK, strlen(BREAK)) != NULL &&
        memmem(line, size, ENDED, strlen(ENDED)) != NULL) {
        atomic_fetch_add(&logged_breaks, 1);
    }
    (void)fwrite(line, 1, size, stderr);
}

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
    CHECK(atomic_load(&logged_breaks) > 0);
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

    atomic_store(&pair->consumer.refuse, true);
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
    atomic_store(&pair->consumer.refuse, false);
    atomic_store(&no_state, false);
    start_broker();
    check_effects(&pair->consumer, 5);
    wait_for_share_gauge("mesh_consumer_lag", "poison", 0, 0);
    wait_for_share_gauge("mesh_consumer_behind_seconds", "poison", 0, 0);
    stop_events(events);
}

/* ---- two relays at once ---- */

static atomic_int relays;
static _Thread_local int relay_number;
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

static int set_up(void **state)
{
    static struct broker odd;

    (void)state;
    real = mesh__broker;
    odd = *real;
    odd.stream_ensure = late_ensure;
    odd.stream_state = missing_state;
    odd.consumer_open = noted_open;
    odd.publish = late_publish;
    mesh__broker = &odd;
    mesh__log_capture(keep_line, NULL);
    return 0;
}

TEST_EVENTS_MAIN(set_up)
