/* SPDX-License-Identifier: Apache-2.0 */
/* Events that cannot be handled: put aside, handled again, given up. */
#include "consumer.h"
#include "events/envelope.h"
#include "events/parking.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PARKED "select count(*) from dead_letter where status = 'parked'"
#define WAITING "select count(*) from parked"
#define FIRST_OF(key)                                                                              \
    "(select min(id) from dead_letter where key = '" key "' and status <> 'dropped')"
#define REDRIVE(key) "select redrive(" FIRST_OF(key) ")"

static int usual;

static void be_patient(void)
{
    mesh__park_at = usual;
}

/* Parks at the second try until the end of the test. */
static void be_impatient(void)
{
    usual = mesh__park_at;
    mesh__park_at = 2;
    at_end(be_patient);
}

/* A key, of those with this beginning, whose events come in the same share as those of `like`. */
static void key_beside(const char *like, const char *beginning, char ret_key[32])
{
    int i = 0;

    do {
        (void)snprintf(ret_key, 32, "%s-%d", beginning, i++);
    } while (mesh__partition(ret_key) != mesh__partition(like));
}

static struct mesh_counter *parked_counter(const char *reason)
{
    const char *labels[] = {"source", "counter", "reason", reason, NULL};

    return mesh_counter("mesh_events_parked_total", "", labels);
}

static uint64_t parked_as(const char *reason)
{
    return mesh_counter_value(parked_counter(reason));
}

/* They are counted once they are parked. */
static void wait_until_parked_as(const char *reason, uint64_t n)
{
    wait_for_count(reason, parked_counter(reason), n);
    CHECK_INT(parked_as(reason), n);
}

TEST(what_cannot_be_handled_is_parked_and_other_keys_go_on)
{
    struct pair *pair = pair_new("park1");
    struct service *service = pair->consumer.service;
    uint64_t refused = parked_as("refused");
    uint64_t behind = parked_as("behind");
    char beside[32];

    key_beside("poison", "k", beside);
    atomic_store(&pair->consumer.poison, REFUSED);
    watch_log("an event is parked");
    count_and_commit(pair->publisher, beside, 2);
    count_and_commit(pair->publisher, "poison", 3);
    count_and_commit(pair->publisher, beside, 5);
    publish_keys(pair->publisher, 5);
    consume(&pair->consumer);
    wait_for_int(service, EFFECTS, 57);
    wait_for_int(service, PARKED, 3);
    CHECK_INT(query_int(service, "select count(*) from inbox"), 60);
    CHECK_INT(query_int(service, "select count(*) from parked where nth = 1 and attempts = 8 and"
                                 " reason = 'not this one' and key = 'poison'"),
              1);
    CHECK_INT(query_int(service, "select count(*) from parked where nth > 1 and attempts = 0 and"
                                 " reason = 'behind ' || (select event_id from parked"
                                 "                         where nth = 1)"),
              2);
    wait_for_share_gauge("mesh_dead_letters", "poison", 3, 3);
    wait_until_parked_as("refused", refused + 1);
    wait_until_parked_as("behind", behind + 2);
    CHECK_INT(watched_lines(), 3);
}

TEST(what_a_handler_did_before_it_refused_is_undone)
{
    struct pair *pair = pair_new("park2");

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED_LATE);
    count_and_commit(pair->publisher, "poison", 1);
    publish_keys(pair->publisher, 1);
    consume(&pair->consumer);
    wait_for_int(pair->consumer.service, PARKED, 1);
    wait_for_int(pair->consumer.service, EFFECTS, 10);
}

TEST(a_statement_that_fails_at_the_commit_is_put_down_to_its_own_event)
{
    struct pair *pair = pair_new("park3");
    struct service *service = pair->consumer.service;
    char beside[32];

    be_impatient();
    key_beside("poison", "k", beside);
    atomic_store(&pair->consumer.poison, REFUSED_BY_DATABASE);
    count_and_commit(pair->publisher, beside, 3);
    count_and_commit(pair->publisher, "poison", 1);
    count_and_commit(pair->publisher, beside, 3);
    consume(&pair->consumer);
    wait_for_int(service, PARKED, 1);
    wait_for_int(service, EFFECTS, 6);
    CHECK_INT(query_int(service, WRONG), 0);
    CHECK_INT(query_int(service, "select count(*) from parked where key = 'poison' and"
                                 " reason like '%23502%'"),
              1);
}

TEST(redriven_events_are_handled_in_order_while_new_ones_arrive)
{
    struct pair *pair = pair_new("park4");
    struct service *service = pair->consumer.service;

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 60);
    consume(&pair->consumer);
    wait_for_int(service, PARKED, 60);
    atomic_store(&pair->consumer.poison, HARMLESS);
    count_and_commit(pair->publisher, "poison", 5); /* the handler is repaired, the key waits */
    wait_for_int(service, PARKED, 65);
    CHECK_INT(query_int(service, EFFECTS), 0);
    atomic_store(&pair->consumer.slow, 5);
    CHECK_INT(query_int(service, REDRIVE("poison")), 65);
    count_and_commit(pair->publisher, "poison", 35);
    wait_for_int(service, EFFECTS, 100);
    CHECK_INT(query_int(service, WRONG), 0);
    wait_for_int(service, "select count(*) from dead_letter", 0);
    atomic_store(&pair->consumer.slow, 0);
    count_and_commit(pair->publisher, "poison", 3);
    check_effects(&pair->consumer, 103);
    wait_for_share_gauge("mesh_dead_letters", "poison", 0, 0);
}

/* The rows are marked before the event behind them is read: it is marked, too. */
TEST(an_event_behind_redriven_ones_is_redriven_with_them)
{
    struct pair *pair = pair_new("park5");
    struct service *service = pair->consumer.service;
    struct mesh_events *events;

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 1);
    events = consume(&pair->consumer);
    wait_for_int(service, PARKED, 1);
    atomic_store(&pair->consumer.poison, HARMLESS);
    atomic_store(&pair->consumer.slow, 1500); /* beyond the next look */
    count_and_commit(pair->publisher, "poison", 2);
    wait_for_int(service, PARKED, 3);
    CHECK_INT(query_int(service, REDRIVE("poison")), 3);
    count_and_commit(pair->publisher, "poison", 2);
    wait_for_int(service, EFFECTS, 1);
    atomic_store(&pair->consumer.slow, 0);
    check_effects(&pair->consumer, 5);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
    stop_events(events);
}

TEST(a_redrive_that_fails_again_parks_the_key_again)
{
    struct pair *pair = pair_new("park6");
    struct service *service = pair->consumer.service;

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 3);
    consume(&pair->consumer);
    wait_for_int(service, PARKED, 3);
    atomic_store(&pair->consumer.poison, REFUSED_BY_DATABASE);
    CHECK_INT(query_int(service, REDRIVE("poison")), 3);
    wait_for_int(service,
                 "select count(*) from parked where nth = 1 and attempts = 3"
                 " and status = 'parked' and reason like '%23502%'",
                 1);
    CHECK_INT(query_int(service, PARKED), 3);
    CHECK_INT(query_int(service, "select max(attempts) from parked where nth > 1"), 0);
    CHECK_INT(query_int(service, EFFECTS), 0);
    atomic_store(&pair->consumer.poison, HARMLESS);
    CHECK_INT(query_int(service, "select redrive(partition, source, key) from parked limit 1"), 3);
    check_effects(&pair->consumer, 3);
}

TEST(a_dropped_event_is_passed_over_and_its_key_is_free_when_nothing_waits)
{
    struct pair *pair = pair_new("park7");
    struct service *service = pair->consumer.service;

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "poison", 3);
    consume(&pair->consumer);
    wait_for_int(service, PARKED, 3);
    atomic_store(&pair->consumer.poison, HARMLESS);
    CHECK_INT(query_int(service, "select drop_letter(" FIRST_OF("poison") ")::int"), 1);
    CHECK_INT(query_int(service, "select drop_letter(min(id))::int from dead_letter"), 0);
    CHECK_INT(query_int(service, WAITING), 2);
    CHECK_INT(query_int(service, REDRIVE("poison")), 2);
    wait_for_int(service, EFFECTS, 2);
    CHECK_INT(query_int(service, "select min(version) from effect"), 2);
    count_and_commit(pair->publisher, "poison", 1);
    wait_for_int(service, EFFECTS, 3);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 1);
    CHECK_INT(query_int(service, "select redrive(min(id)) from dead_letter"), 0);
    CHECK_INT(query_int(service, "select redrive(-1)"), 0);
}

TEST(failures_that_pass_park_nothing)
{
    struct pair *pair = pair_new("park8");
    struct service *service = pair->consumer.service;
    int64_t end_ns;

    be_impatient();
    atomic_store(&pair->consumer.poison, BAD_LUCK);
    count_and_commit(pair->publisher, "poison", 2);
    publish_keys(pair->publisher, 1);
    consume(&pair->consumer);
    end_ns = mesh__in_ms(20000);
    while (atomic_load(&pair->consumer.poisoned) < 7) { /* each of them at least once */
        CHECK(mesh__now_ns() < end_ns);
        usleep(5000);
    }
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
    atomic_store(&pair->consumer.poison, HARMLESS);
    check_effects(&pair->consumer, 12);
    CHECK_INT(query_int(service, "select count(*) from dead_letter"), 0);
}

TEST(keys_of_any_characters_wait)
{
    struct pair *pair = pair_new("park9");
    struct service *service = pair->consumer.service;

    be_impatient();
    atomic_store(&pair->consumer.poison, REFUSED);
    consume(&pair->consumer);
    count_and_commit(pair->publisher, "poison \"\\{,}' null \xc3\xa9\n", 1);
    wait_for_int(service, PARKED, 1);
    atomic_store(&pair->consumer.poison, HARMLESS);
    count_and_commit(pair->publisher, "poison \"\\{,}' null \xc3\xa9\n", 2);
    wait_for_int(service, PARKED, 3);
    CHECK_INT(query_int(service, EFFECTS), 0);
    CHECK_INT(query_int(service, "select redrive(min(id)) from dead_letter"), 3);
    check_effects(&pair->consumer, 3);
}

/* ---- junk and strangers ---- */

#define EVENT_ID "0190a3b4-0000-7000-8000-00000000abcd"

static struct mesh__envelope envelope_of(const char *id, const char *key)
{
    return (struct mesh__envelope){.id = id,
                                   .source = "/x/counter",
                                   .type = "test.counter.v1.Counted",
                                   .subject = key,
                                   .payload = (const uint8_t *)"\x0a\x01k\x10\x01",
                                   .payload_size = 5};
}

static void publish_to(struct pair *pair, const char *key, const char *id, const void *data,
                       size_t size)
{
    char subject[64];

    (void)snprintf(subject, sizeof(subject), "%s.%d.counter.Counted", pair->publisher->system,
                   mesh__partition(key));
    publish_raw(subject, id, data, size);
}

static void publish_envelope(struct pair *pair, const char *id,
                             const struct mesh__envelope *envelope)
{
    const uint8_t *bytes;
    size_t size;

    CHECK(mesh__envelope_encode(service_ctx(pair->publisher), envelope, &bytes, &size) == MESH_OK);
    publish_to(pair, "k", id, bytes, size);
}

TEST(junk_of_every_kind_is_parked_and_blocks_nothing)
{
    static uint8_t large[1000000];
    struct pair *pair = pair_new("junk1");
    struct service *service = pair->consumer.service;
    struct mesh__envelope no_uuid = envelope_of("0190A3B4-0000-7000-8000-00000000ABC", "k");
    struct mesh__envelope stranger = envelope_of(EVENT_ID, "k");
    uint64_t junk = parked_as("junk");

    stranger.type = "test.counter.v2.Counted";
    count_and_commit(pair->publisher, "k", 1);
    wait_for_stream("junk1", 1);
    publish_to(pair, "k", "junk", "\xff\xff\xff", 3);
    publish_to(pair, "k", "", "", 0);
    publish_to(pair, "k", "\xff\xfe", "x", 1);
    publish_to(pair, "k", "large", large, sizeof(large));
    publish_envelope(pair, "no uuid", &no_uuid);
    publish_envelope(pair, "another type", &stranger);
    consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 1);
    wait_for_int(service, EFFECTS, 2);
    CHECK_INT(query_int(service, PARKED), 6);
    wait_until_parked_as("junk", junk + 6);
    CHECK_INT(query_int(service, "select count(distinct key) from parked where nth = 1 and"
                                 " key = event_id::text and substr(key, 15, 1) = '5' and"
                                 " exists (select from inbox where inbox.event_id ="
                                 " parked.event_id)"),
              6);
    CHECK_INT(query_int(service, "select max(length(envelope)) from dead_letter"), sizeof(large));
    /* No better for being tried again. */
    CHECK_INT(query_int(service, "select count(redrive(id)) from (select min(id) as id from"
                                 " dead_letter) as one"),
              1);
    wait_for_int(service, "select count(*) from parked where attempts = 1 and status = 'parked'",
                 1);
}

TEST(junk_at_the_end_of_what_was_read_is_no_other_stream_at_the_next_start)
{
    struct pair *pair = pair_new("junk2");
    uint64_t rewinds = counter_of("mesh_consumer_rewinds_total");
    struct mesh_events *events = consume(&pair->consumer);

    count_and_commit(pair->publisher, "k", 1);
    check_effects(&pair->consumer, 1);
    publish_to(pair, "k", "\xff\xfe", "x", 1);
    wait_for_int(pair->consumer.service, PARKED, 1);
    stop_events(events);
    consume(&pair->consumer);
    count_and_commit(pair->publisher, "k", 1);
    wait_for_int(pair->consumer.service, EFFECTS, 2);
    CHECK_INT(counter_of("mesh_consumer_rewinds_total"), rewinds);
}

TEST(an_event_whose_payload_does_not_unpack_is_parked_with_the_later_ones_of_its_key)
{
    struct pair *pair = pair_new("junk3");
    struct service *service = pair->consumer.service;
    struct mesh__envelope broken = envelope_of(EVENT_ID, "k");
    int calls;

    broken.payload = (const uint8_t *)"\x0a\x7fk";
    broken.payload_size = 3;
    count_and_commit(pair->publisher, "k", 1);
    wait_for_stream("junk3", 1);
    publish_envelope(pair, EVENT_ID, &broken);
    count_and_commit(pair->publisher, "k", 2);
    publish_keys(pair->publisher, 1);
    wait_for_stream("junk3", 14);
    consume(&pair->consumer);
    wait_for_int(service, EFFECTS, 11);
    wait_for_int(service, PARKED, 3);
    calls = atomic_load(&pair->consumer.calls);
    CHECK_INT(calls, 11); /* it was not even tried again */
    CHECK_INT(query_int(service, "select count(*) from parked where key = 'k' and nth = 1 and"
                                 " event_id = '" EVENT_ID "'"),
              1);
    CHECK_INT(query_int(service, "select drop_letter(" FIRST_OF("k") ")::int"), 1);
    CHECK_INT(query_int(service, REDRIVE("k")), 2);
    wait_for_int(service, EFFECTS, 13);
    CHECK_INT(query_int(service, WRONG), 0);
}

TEST(unknown_fields_of_an_event_are_ignored)
{
    struct pair *pair = pair_new("junk4");
    struct mesh__envelope newer = envelope_of(EVENT_ID, "k");

    newer.payload = (const uint8_t *)"\x0a\x01k\x10\x01\xfa\x01\x03new";
    newer.payload_size = 11;
    consume(&pair->consumer);
    wait_for_stream("junk4", 0);
    count_and_commit(pair->publisher, "other", 1);
    check_effects(&pair->consumer, 1);
    publish_envelope(pair, EVENT_ID, &newer);
    check_effects(&pair->consumer, 2);
    CHECK_INT(query_int(pair->consumer.service, "select count(*) from dead_letter"), 0);
}

TEST(the_id_in_the_envelope_decides_also_about_what_is_parked)
{
    struct pair *pair = pair_new("junk5");
    struct service *service = pair->consumer.service;
    struct mesh__envelope event = envelope_of(EVENT_ID, "poison");
    uint64_t duplicates = counter_of("mesh_consumer_duplicates_total");

    be_impatient();
    event.payload = (const uint8_t *)"\x0a\x06poison\x10\x01";
    event.payload_size = 10;
    atomic_store(&pair->consumer.poison, REFUSED);
    count_and_commit(pair->publisher, "other", 1);
    wait_for_stream("junk5", 1);
    publish_envelope(pair, "forged", &event);
    publish_envelope(pair, "", &event);
    consume(&pair->consumer);
    wait_for_int(service, PARKED, 1);
    wait_for_counter("mesh_consumer_duplicates_total", duplicates + 1);
    publish_envelope(pair, "again", &event);
    wait_for_counter("mesh_consumer_duplicates_total", duplicates + 2);
    CHECK_INT(query_int(service, PARKED), 1);
    atomic_store(&pair->consumer.poison, HARMLESS);
    CHECK_INT(query_int(service, REDRIVE("poison")), 1);
    check_effects(&pair->consumer, 2);
    publish_envelope(pair, "after all", &event);
    wait_for_counter("mesh_consumer_duplicates_total", duplicates + 3);
    check_effects(&pair->consumer, 2);
}

TEST_EVENTS_MAIN(NULL)
