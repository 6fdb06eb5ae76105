/* SPDX-License-Identifier: Apache-2.0 */
#include "consumer.h"
#include "events/envelope.h"
#include "events/reader.h"
#include "mesh/id.h"
#include "mesh/time.h"
#include "test.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(each_event_is_handled_once_and_in_order_of_its_key)
{
    struct pair *pair = pair_new("read1");
    struct mesh_events *events;

    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 30);
    check_effects(&pair->consumer, 300);
    stop_events(events);
}

TEST(a_handler_sees_where_its_event_came_from)
{
    struct pair *pair = pair_new("read2");
    struct mesh_events *events;
    struct mesh_tx *tx = NULL;
    struct mesh_ctx *ctx;
    char trace_id[64];
    int64_t before_us = mesh_now_us();

    ctx = service_ctx(pair->publisher);
    (void)snprintf(trace_id, sizeof(trace_id), "%s", mesh_ctx_trace_id(ctx));
    CHECK_TEXT(mesh_ctx_event_id(ctx), "");
    CHECK(mesh_ctx_event_time_us(ctx) == 0);
    CHECK(mesh_tx_begin(ctx, pair->publisher->db, &tx) == MESH_OK);
    CHECK(count_up(ctx, pair->publisher, tx, "key-7", "") == MESH_OK);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 1);
    stop_events(events);
    CHECK_TEXT(pair->consumer.correlation_id, "key-7");
    CHECK_TEXT(pair->consumer.trace_id, trace_id);
    CHECK(pair->consumer.event_time_us >= before_us &&
          pair->consumer.event_time_us <= mesh_now_us());
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from inbox i join effect e"
                                                " using (event_id) where i.source = 'counter'"),
              1);
}

TEST(a_consumer_that_starts_late_gets_everything)
{
    struct pair *pair = pair_new("read3");
    struct mesh_events *events;

    publish_keys(pair->publisher, 100);
    wait_for_stream("read3", 1000);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 1000);
    stop_events(events);
}

TEST(restarts_repeat_and_lose_nothing)
{
    struct pair *pair = pair_new("read4");
    struct mesh_events *events;

    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");
    uint64_t gaps = counter_of("mesh_consumer_gaps_total");

    for (int i = 0; i < 6; i++) {
        events = consume(&pair->consumer);
        publish_keys(pair->publisher, 10);
        wait_for_int(pair->consumer.service, "select (count(*) > 0)::int from effect", 1);
        stop_events(events);
    }
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 600);
    stop_events(events);
    CHECK_INT(counter_of("mesh_consumer_rewinds_total"), rewinds);
    CHECK_INT(counter_of("mesh_consumer_gaps_total"), gaps);
}

TEST(a_batch_that_is_rolled_back_after_its_handlers_ran_is_repeated)
{
    struct pair *pair = pair_new("read5");
    struct mesh_events *events;

    atomic_store(&pair->consumer.abort_at, 57);
    publish_keys(pair->publisher, 20);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 200);
    CHECK(atomic_load(&pair->consumer.calls) > 200); /* it did fail */
    stop_events(events);
}

TEST(a_connection_cut_between_handler_and_commit_repeats_the_batch)
{
    struct pair *pair = pair_new("read6");
    struct mesh_events *events;

    atomic_store(&pair->consumer.kill_at, 31);
    publish_keys(pair->publisher, 20);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 200);
    CHECK(atomic_load(&pair->consumer.calls) > 200);
    stop_events(events);
}

TEST(two_consumers_at_once_have_the_effects_of_one)
{
    struct pair *pair = pair_new("read7");
    struct mesh_events *first, *second;
    uint64_t failures = counter_of("mesh_consumer_failures_total");

    first = consume(&pair->consumer);
    second = consume(&pair->consumer);
    publish_keys(pair->publisher, 100);
    check_effects(&pair->consumer, 1000);
    stop_events(first);
    publish_keys(pair->publisher, 10);
    check_effects(&pair->consumer, 1100);
    CHECK_INT(counter_of("mesh_consumer_failures_total"), failures); /* it is no failure */
    stop_events(second);
}

TEST(a_stream_that_was_made_anew_is_read_again_without_double_effects)
{
    struct pair *pair = pair_new("read8");
    struct mesh_events *events;
    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");

    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 20);
    check_effects(&pair->consumer, 200);
    delete_stream("read8");
    publish_keys(pair->publisher, 5); /* fewer than were read: their sequences were seen before */
    check_effects(&pair->consumer, 250);
    CHECK(counter_of("mesh_consumer_rewinds_total") > rewinds);
    stop_events(events);
}

TEST(a_stream_made_anew_while_the_consumer_was_away_is_noticed_at_its_start)
{
    struct pair *pair = pair_new("read9");
    struct mesh_events *events;

    events = consume(&pair->consumer);
    publish_keys(pair->publisher, 5);
    check_effects(&pair->consumer, 50);
    stop_events(events);
    delete_stream("read9");
    publish_keys(pair->publisher, 20); /* more than were read */
    wait_for_stream("read9", 250);     /* with those from before, which the relay publishes again */
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 250);
    stop_events(events);
}

/* The relay keeps nothing either that it could publish again. */
static void purge_for_good(struct service *publisher)
{
    query_int(publisher, "with gone as (delete from outbox returning 1) select count(*) from gone");
    purge_stream(publisher->system);
    wait_for_int(publisher, "select last_sequence from relay_position order by id desc limit 1", 0);
}

TEST(messages_dropped_from_the_stream_are_reported_and_passed_over)
{
    struct pair *pair = pair_new("read10");
    struct mesh_events *events;
    uint64_t gaps = counter_of("mesh_consumer_gaps_total");

    events = consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 5);
    check_effects(&pair->consumer, 5);
    stop_events(events);
    count_and_commit(pair->publisher, "k", 5);
    wait_for_stream("read10", 10);
    purge_for_good(pair->publisher);
    count_and_commit(pair->publisher, "k", 5);
    wait_for_stream("read10", 5);
    events = consume(&pair->consumer);
    wait_for_int(pair->consumer.service, EFFECTS, 10);
    CHECK_INT(query_int(pair->consumer.service, "select max(version) from effect"), 15);
    CHECK(counter_of("mesh_consumer_gaps_total") > gaps);
    stop_events(events);
}

TEST(a_broker_that_is_killed_under_load_costs_nothing)
{
    struct pair *pair = pair_new("read11");
    struct mesh_events *events;

    events = consume(&pair->consumer);
    for (int i = 0; i < 3; i++) {
        publish_keys(pair->publisher, 10);
        kill_broker();
        publish_keys(pair->publisher, 10);
        start_broker();
    }
    check_effects(&pair->consumer, 600);
    stop_events(events);
}

/* Emits an event that nobody asks for. */
static void ignore_and_commit(struct service *publisher)
{
    struct mesh_ctx *ctx = service_ctx(publisher);
    Test__Counter__V1__Ignored event = TEST__COUNTER__V1__IGNORED__INIT;
    struct mesh_tx *tx = NULL;

    event.key = mesh_strdup(ctx, "k");
    CHECK(mesh_tx_begin(ctx, publisher->db, &tx) == MESH_OK);
    CHECK(mesh_emit(ctx, tx, &publisher->ignored, &event.base) == MESH_OK);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
}

TEST(events_that_nobody_asked_for_are_skipped_and_counted)
{
    struct pair *pair = pair_new("read12");
    struct mesh_events *events;
    uint64_t skipped = counter_of("mesh_consumer_skipped_total");

    for (int i = 0; i < 3; i++) {
        ignore_and_commit(pair->publisher);
    }
    events = consume(&pair->consumer);
    /* Alone, they move the cursor a little later. */
    wait_for_int(pair->consumer.service, "select max(sequence) from cursor", 3);
    CHECK_INT(counter_of("mesh_consumer_skipped_total") - skipped, 3);
    count_and_commit(pair->publisher, "k", 1);
    check_effects(&pair->consumer, 1);
    stop_events(events);
}

TEST(a_cursor_that_only_skips_is_written_now_and_then)
{
    struct pair *pair = pair_new("read26");
    uint64_t skipped = counter_of("mesh_consumer_skipped_total");
    struct mesh_events *events;

    superuser_run("create function read26_consumer.note_move() returns trigger language plpgsql"
                  "    as $$ begin update read26_consumer.knob set value = value + 1;"
                  "                return null; end $$");
    superuser_run("create trigger note_move after update on read26_consumer.cursor"
                  "   for each row execute function read26_consumer.note_move()");
    events = consume(&pair->consumer);
    for (uint64_t n = 1; n <= 40; n++) {
        ignore_and_commit(pair->publisher);
        wait_for_counter("mesh_consumer_skipped_total", skipped + n);
    }
    CHECK(query_int(pair->consumer.service, "select value from knob") < 20);
    wait_for_int(pair->consumer.service, "select max(sequence) from cursor", 40);
    stop_events(events);
}

TEST(a_message_that_looks_like_a_note_of_the_broker_is_a_message)
{
    struct pair *pair = pair_new("read22");
    uint64_t breaks = counter_of("mesh_consumer_breaks_total");
    struct mesh_events *events;
    char subject[64];

    (void)snprintf(subject, sizeof(subject), "read22.%d.counter.Counted", mesh__partition("k"));
    events = consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 1);
    check_effects(&pair->consumer, 1);
    publish_with_header(subject, "Status: 404", "x", 1);
    publish_with_header(subject, "Status: 100\r\nNats-Last-Stream: 99", "", 0);
    publish_with_header(subject, "Status: hello", "\xff", 1);
    count_and_commit(pair->publisher, "k", 1);
    wait_for_int(pair->consumer.service, EFFECTS, 2);
    /* They are no events. */
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from dead_letter"), 3);
    CHECK_INT(counter_of("mesh_consumer_breaks_total"), breaks);
    stop_events(events);
}

TEST(an_event_published_twice_under_other_ids_of_the_broker_is_handled_once)
{
    struct pair *pair = pair_new("read14");
    struct mesh_events *events;
    struct mesh_ctx *ctx;
    struct mesh__envelope envelope = {.id = "0190A3B4-0000-7000-8000-00000000ABCD",
                                      .source = "/read14/counter",
                                      .type = "test.counter.v1.Counted",
                                      .subject = "k",
                                      .payload = (const uint8_t *)"\x0a\x01k\x10\x01",
                                      .payload_size = 5};
    uint64_t duplicates = counter_of("mesh_consumer_duplicates_total");
    const uint8_t *bytes;
    char subject[64];
    size_t size;

    ctx = service_ctx(pair->publisher);
    (void)snprintf(subject, sizeof(subject), "read14.%d.counter.Counted", mesh__partition("k"));
    CHECK(mesh__envelope_encode(ctx, &envelope, &bytes, &size) == MESH_OK);
    wait_for_stream("read14", 0);
    events = consume(&pair->consumer);
    CHECK(mesh__events_check(ctx, events) == MESH_OK);
    publish_raw(subject, "a/1", bytes, size);
    publish_raw(subject, "a/2", bytes, size);
    publish_raw(subject, "a/3", bytes, size);
    wait_for_int(pair->consumer.service, "select max(sequence) from cursor", 3);
    check_effects(&pair->consumer, 1);
    wait_for_counter("mesh_consumer_duplicates_total", duplicates + 2); /* counted afterwards */
    CHECK_INT(counter_of("mesh_consumer_duplicates_total") - duplicates, 2);
    stop_events(events);
}

TEST(events_emitted_by_a_handler_are_published_at_once)
{
    struct pair *pair = pair_new("read16");
    static struct service again;
    struct mesh_events *events;

    let_relays_sleep();
    pair->consumer.publisher = &again;
    again.counted = pair->publisher->counted;
    again.counted.source = "echo";
    events = start_events(pair->consumer.service, true, &pair->consumer.inbox, &pair->consumer);
    publish_keys(pair->publisher, 3);
    wait_for_stream("read16", 60);
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from outbox"), 30);
    stop_events(events);
}

TEST(a_consumer_stops_within_a_second_while_its_database_is_busy)
{
    struct pair *pair = pair_new("read17");
    struct mesh_events *events;
    int64_t began_ns;

    atomic_store(&pair->consumer.slow, 20000);
    count_and_commit(pair->publisher, "k", 1);
    events = consume(&pair->consumer);
    while (atomic_load(&pair->consumer.calls) == 0) {
        usleep(1000);
    }
    began_ns = mesh__now_ns();
    stop_events(events);
    CHECK(mesh__now_ns() - began_ns < 1500 * MESH_NS_PER_MS);
    CHECK_INT(query_int(pair->consumer.service, EFFECTS), 0);
    atomic_store(&pair->consumer.slow, 0);
    events = consume(&pair->consumer);
    check_effects(&pair->consumer, 1);
    stop_events(events);
}

TEST(a_consumer_stops_within_a_second_while_the_broker_does_not_answer)
{
    struct pair *pair = pair_new("read18");
    struct mesh_events *events;
    int64_t began_ns;

    events = consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 1);
    check_effects(&pair->consumer, 1);
    stop_broker(SIGSTOP);
    began_ns = mesh__now_ns();
    stop_events(events);
    CHECK(mesh__now_ns() - began_ns < 1500 * MESH_NS_PER_MS);
    events = consume(&pair->consumer); /* and while it tries to connect */
    began_ns = mesh__now_ns();
    stop_events(events);
    CHECK(mesh__now_ns() - began_ns < 1500 * MESH_NS_PER_MS);
    stop_broker(SIGCONT);
}

TEST(of_a_list_of_brokers_any_one_is_enough)
{
    struct pair *pair = pair_new("read23");
    struct mesh_events *events;

    (void)snprintf(pair->consumer.service->nats_url, sizeof(pair->consumer.service->nats_url),
                   "nats://127.0.0.1:1, nats://127.0.0.1:2,%s,nats://127.0.0.1:3",
                   getenv("TEST_NATS_URL"));
    events = consume(&pair->consumer);
    CHECK(mesh__events_check(service_ctx(pair->consumer.service), events) == MESH_OK);
    publish_keys(pair->publisher, 1);
    check_effects(&pair->consumer, 10);
    stop_events(events);
}

/* A port that takes connections and never says anything. */
static int silent_port(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_ANY)}};
    socklen_t size = sizeof(address);

    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(*ret_fd, (struct sockaddr *)&address, size), 0);
    CHECK_INT(listen(*ret_fd, 100), 0);
    CHECK_INT(getsockname(*ret_fd, (struct sockaddr *)&address, &size), 0);
    return ntohs(address.sin_port);
}

TEST(a_consumer_stops_within_a_second_while_many_brokers_do_not_answer)
{
    struct service *service = service_new("read24", "counter");
    struct mesh_events *events;
    int64_t began_ns;
    int fd, connected;
    int port = silent_port(&fd);

    (void)snprintf(service->nats_url, sizeof(service->nats_url),
                   "127.0.0.1:%d,localhost:%d,127.0.0.2:%d,127.0.0.3:%d", port, port, port, port);
    events = start_events(service, true, NULL, NULL);
    connected = accept(fd, NULL, NULL);
    CHECK(connected >= 0);
    began_ns = mesh__now_ns();
    stop_events(events);
    CHECK(mesh__now_ns() - began_ns < 1500 * MESH_NS_PER_MS);
    close(connected);
    close(fd);
}

TEST(a_quiet_share_follows_the_stream_so_that_its_old_end_is_no_gap)
{
    struct pair *pair = pair_new("read19");
    struct mesh_events *events;
    uint64_t gaps = counter_of("mesh_consumer_gaps_total");
    int64_t usual_ms = mesh__quiet_ms;

    mesh__quiet_ms = 100;
    events = consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 20); /* one share; the others have nothing to do */
    check_effects(&pair->consumer, 20);
    wait_for_int(pair->consumer.service, "select count(*) from cursor where sequence = 20", 8);
    stop_events(events);
    mesh__quiet_ms = usual_ms;
    purge_for_good(pair->publisher);
    publish_keys(pair->publisher, 1);
    events = consume(&pair->consumer);
    wait_for_int(pair->consumer.service, EFFECTS, 30);
    CHECK_INT(query_int(pair->consumer.service, WRONG), 0);
    CHECK_INT(counter_of("mesh_consumer_gaps_total"), gaps);
    stop_events(events);
}

TEST(messages_dropped_behind_a_share_that_is_held_up_are_reported)
{
    struct pair *pair = pair_new("read20");
    struct mesh_events *events;
    uint64_t gaps = counter_of("mesh_consumer_gaps_total");

    atomic_store(&pair->consumer.poison, BAD_LUCK);
    count_and_commit(pair->publisher, "poison", MESH__QUEUE + 100);
    wait_for_stream("read20", MESH__QUEUE + 100);
    events = consume(&pair->consumer);
    wait_for_counter("mesh_consumer_failures_total",
                     counter_of("mesh_consumer_failures_total") + 1);
    purge_for_good(pair->publisher);
    wait_for_counter("mesh_consumer_gaps_total", gaps + 1);
    atomic_store(&pair->consumer.poison, HARMLESS);
    wait_for_int(pair->consumer.service, EFFECTS, MESH__QUEUE); /* what had arrived before */
    count_and_commit(pair->publisher, "poison", 1);
    wait_for_int(pair->consumer.service, EFFECTS, MESH__QUEUE + 1);
    CHECK_INT(counter_of("mesh_consumer_gaps_total"), gaps + 1);
    stop_events(events);
}

TEST(a_database_that_crashes_under_load_costs_nothing)
{
    struct pair *pair = pair_new("read21");
    struct mesh_events *events;

    events = consume(&pair->consumer);
    for (int i = 0; i < 3; i++) {
        publish_keys(pair->publisher, 30);
        crash_database(pair->publisher, pair->consumer.service);
    }
    check_effects(&pair->consumer, 900);
    stop_events(events);
}

/* ---- pings ---- */

struct pinged {
    atomic_int n;
    char name[64];
};

static void on_ping(void *arg, const char *name)
{
    struct pinged *pinged = arg;

    (void)snprintf(pinged->name, sizeof(pinged->name), "%s", name);
    atomic_fetch_add(&pinged->n, 1);
}

TEST(a_ping_reaches_the_other_replicas_but_not_the_stream)
{
    struct service *service = service_new("ping", "counter");
    struct mesh_events *one, *other;
    static struct pinged pinged, own;

    one = start_events(service, false, NULL, NULL);
    other = start_events(service, false, NULL, NULL);
    mesh__events_on_ping(one, on_ping, &own);
    mesh__events_on_ping(other, on_ping, &pinged);
    while (atomic_load(&pinged.n) == 0) { /* lossy: also while it is still connecting */
        mesh__events_ping(one, "dashboard");
        usleep(1000);
    }
    stop_events(one);
    stop_events(other);
    CHECK_TEXT(pinged.name, "dashboard");
    CHECK_INT(atomic_load(&own.n), 0);
    wait_for_stream("ping", 0);
}

TEST_EVENTS_MAIN(NULL)
