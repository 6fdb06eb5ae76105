/* SPDX-License-Identifier: Apache-2.0 */
/* Brokers that say odd things, and replicas that work at the same time. */
#include "consumer.h"
#include "test.h"

#include <stdio.h>
#include <unistd.h>

static const struct broker *real;
/* What goes wrong now: the table itself stays as it is while threads use it. */
static atomic_bool late_state, noting, odd_relays;

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

TEST(a_cursor_that_another_replica_has_moved_since_is_no_lost_stream)
{
    struct pair *pair = pair_new("odd1");
    struct mesh_events *events;
    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");

    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 100);
    stop_events(events);
    atomic_store(&late_state, true);
    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 1);
    check_effects(&pair->consumer, 110);
    CHECK_INT(counter_of("mesh_consumer_rewinds_total"), rewinds);
    stop_events(events);
    atomic_store(&late_state, false);
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
    struct mesh_events *events;

    atomic_store(&noting, true);
    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 50);
    wait_for_opened(MESH_PARTITIONS);
    for (int i = 0; i < MESH_PARTITIONS; i++) {
        delete_consumer("odd2", opened.names[i]);
    }
    wait_for_opened(2 * MESH_PARTITIONS);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 100);
    stop_events(events);
    atomic_store(&noting, false);
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

    atomic_store(&odd_relays, true);
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
    atomic_store(&odd_relays, false);
}

static int set_up(void **state)
{
    static struct broker odd;

    (void)state;
    real = mesh__broker;
    odd = *real;
    odd.stream_ensure = late_ensure;
    odd.consumer_open = noted_open;
    odd.publish = late_publish;
    mesh__broker = &odd;
    return 0;
}

TEST_EVENTS_MAIN(set_up)
