/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of events is dropped when it is old enough, and never before it is published. */
#include "consumer.h"
#include "events/retention.h"
#include "test.h"

#include <stdio.h>
#include <unistd.h>

#define AHEAD                                                                                      \
    "select count(*) from (select parent from slice group by parent"                               \
    " having max(ends_at) > now() + interval '451 s') as ahead"
#define KEPT "select count(*) from outbox"
#define REST "select count(*) from outbox_rest"

static struct mesh__retention keep_for(struct service *service, int64_t outbox_s, int64_t inbox_s)
{
    return (struct mesh__retention){
        .db = service->silent, .outbox_keep_s = outbox_s, .inbox_keep_s = inbox_s};
}

/* Whether it wants to run again at once. */
static bool run_once(struct service *service, struct mesh__retention retention)
{
    bool more;

    if (mesh__retention_run(service_ctx(service), &retention, &more) != MESH_OK) {
        fail_msg("%s", mesh_ctx_error(service->ctx));
    }
    return more;
}

/* Cuts the first slices, and waits for their time. */
static void begin(struct service *service, struct mesh__retention retention)
{
    run_once(service, retention);
    wait_for_int(service, "select (min(starts_at) < now())::int from slice", 1);
    run_once(service, retention);
}

/* Runs it until sql has that value. */
static void run_until(struct service *service, struct mesh__retention retention, const char *sql,
                      int64_t wanted)
{
    int64_t end_ns = mesh__in_ms(30000);

    do {
        CHECK(mesh__now_ns() < end_ns);
        run_once(service, retention);
        usleep(20000);
    } while (query_int(service, sql) != wanted);
}

/* Slices that are old enough. */
#define DUE                                                                                        \
    "select (count(*) > 0)::int from slice where parent = 'outbox'"                                \
    " and ends_at < now() - interval '1 s'"

TEST(slices_are_cut_ahead_of_time)
{
    struct service *service = service_new("keep1", "counter");

    count_and_commit(service, "k", 5);
    begin(service, keep_for(service, 3600, 3600));
    CHECK_INT(query_int(service, REST), 5); /* they were before it */
    count_and_commit(service, "k", 5);
    CHECK_INT(query_int(service, REST), 5);
    CHECK_INT(query_int(service, KEPT), 10);
    CHECK_INT(query_int(service, AHEAD), 2); /* the one of now, and another, of both tables */
}

TEST(published_events_are_dropped_when_they_are_old_enough)
{
    struct service *service = service_new("keep2", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t dropped;

    count_and_commit(service, "k", 5); /* in the rest */
    begin(service, keep_for(service, 1, 1));
    dropped = counter_of("mesh_slices_dropped_total");
    count_and_commit(service, "k", 5);
    CHECK_INT(query_int(service, KEPT), 10);
    run_until(service, keep_for(service, 1, 1), KEPT, 0);
    CHECK(counter_of("mesh_slices_dropped_total") > dropped);
    wait_for_stream("keep2", 10);
    stop_events(events);
}

TEST(events_that_are_not_published_are_kept_however_old_they_are)
{
    struct service *service = service_new("keep3", "counter");
    struct mesh_events *events;

    count_and_commit(service, "k", 5);
    begin(service, keep_for(service, 1, 1));
    count_and_commit(service, "k", 5);
    run_until(service, keep_for(service, 1, 1), DUE, 1);
    run_once(service, keep_for(service, 1, 1));
    CHECK_INT(query_int(service, KEPT), 10);
    events = start_events(service, true, NULL, NULL);
    wait_for_stream("keep3", 10);
    run_until(service, keep_for(service, 1, 1), KEPT, 0);
    stop_events(events);
}

static struct mesh_tx *begin_late(struct service *service, struct mesh_ctx *ctx)
{
    struct mesh_tx *tx = NULL;

    CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
    CHECK(count_up(ctx, service, tx, "late", "") == MESH_OK);
    CHECK(mesh__tx_flush(ctx, tx) == MESH_OK);
    return tx;
}

TEST(a_transaction_that_is_open_for_longer_loses_no_event)
{
    struct service *service = service_new("keep4", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx;

    begin(service, keep_for(service, 1, 1));
    tx = begin_late(service, ctx);
    count_and_commit(service, "k", 5);
    wait_for_stream("keep4", 5);
    run_until(service, keep_for(service, 1, 1), DUE, 1);
    run_once(service, keep_for(service, 1, 1)); /* and nobody waits, or fails */
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    wait_for_stream("keep4", 6);
    run_until(service, keep_for(service, 1, 1), KEPT, 0);
    mesh__ctx_free(ctx);
    stop_events(events);
}

static const struct mesh_sql take_xid = {"take_xid", "select pg_current_xact_id()::text"};

/* The position is that of the last event, with a transaction in it that was open then. */
TEST(the_last_events_before_a_quiet_time_are_dropped_too)
{
    struct service *service = service_new("keep8", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    struct mesh_ctx *ctx = mesh__ctx_new("elsewhere", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = NULL;
    struct mesh_rows *rows;

    CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
    CHECK(mesh_tx_query(ctx, tx, &take_xid, MESH_NO_ARGS, &rows) == MESH_OK);
    count_and_commit(service, "k", 5); /* in the rest */
    begin(service, keep_for(service, 1, 1));
    count_and_commit(service, "k", 5);
    wait_for_int(service, "select last_sequence from relay_position order by id desc limit 1", 10);
    mesh__cleanup_tx(&tx);
    run_until(service, keep_for(service, 1, 1), KEPT, 0);
    mesh__ctx_free(ctx);
    stop_events(events);
}

/* ---- a commit while a slice is about to be dropped ---- */

static void *run_in_thread(void *arg)
{
    struct mesh_ctx *ctx = mesh__ctx_new("retention", 0, MESH_NO_DEADLINE);
    bool more;

    mesh_ignore(mesh__retention_run(ctx, arg, &more));
    mesh__ctx_free(ctx);
    return NULL;
}

TEST(an_event_that_is_committed_while_its_slice_waits_to_be_dropped_is_kept)
{
    struct service *service = service_new("keep5", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    struct mesh__retention retention = keep_for(service, 1, 1);
    struct mesh_tx *tx;
    pthread_t thread;

    begin(service, retention);
    count_and_commit(service, "k", 5);
    tx = begin_late(service, ctx);
    wait_for_int(service, "select last_sequence from relay_position order by id desc limit 1", 5);
    stop_events(events);
    wait_for_int(service, DUE, 1);
    superuser_run("alter function keep5_counter.drop_outbox_slices set lock_timeout = '20s'");
    CHECK_INT(pthread_create(&thread, NULL, run_in_thread, &retention), 0);
    wait_for_int(service,
                 "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                 " and query like '%drop_outbox_slices%'",
                 1);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    pthread_join(thread, NULL);
    CHECK_INT(query_int(service, "select count(*) from outbox where key = 'late'"), 1);
    mesh__ctx_free(ctx);
}

/* ---- under load ---- */

TEST(slices_that_come_and_go_under_load_cost_no_event)
{
    struct pair *pair = pair_new("keep6");
    struct service *publisher = pair->publisher;
    struct mesh_events *events = consume(&pair->consumer);
    uint64_t dropped = counter_of("mesh_slices_dropped_total");
    int n = 0;

    while (counter_of("mesh_slices_dropped_total") < dropped + 10) {
        run_once(publisher, keep_for(publisher, 1, 3600));
        run_once(pair->consumer.service, keep_for(pair->consumer.service, 3600, 3600));
        publish_keys(publisher, 1);
        n++;
    }
    check_effects(&pair->consumer, (int64_t)n * 10);
    CHECK(query_int(publisher, KEPT) < (int64_t)n * 10);
    stop_events(events);
}

TEST(what_was_handled_is_forgotten_when_it_cannot_come_again)
{
    struct pair *pair = pair_new("keep7");
    struct service *service = pair->consumer.service;
    struct mesh_events *events = consume(&pair->consumer);

    publish_keys(pair->publisher, 1);
    wait_for_int(service, EFFECTS, 10);
    CHECK_INT(query_int(service, "select count(*) from inbox_rest"), 10);
    begin(service, keep_for(service, 3600, 1));
    publish_keys(pair->publisher, 1);
    wait_for_int(service, EFFECTS, 20);
    CHECK(query_int(service, "select count(*) from inbox_rest") < 20);
    run_until(service, keep_for(service, 3600, 1), "select count(*) from inbox", 0);
    stop_events(events);
}

/* ---- a rest with much in it ---- */

#define MANY 200000 /* rows in each */
#define NO_PROMISE "select count(*) from pg_constraint where conname = 'promise'"

/* Of long ago. */
static void fill_rests(struct service *service)
{
    query_int(service, "with new as (insert into outbox (event_id, subject, key, envelope, xid,"
                       "                                  created_at)"
                       " select gen_random_uuid(), 'a.0.b.C', 'k', '', '3', '2020-01-01'"
                       "   from generate_series(1, 200000) returning 1) select count(*) from new");
    query_int(service, "with new as (insert into inbox (event_id, source, received_at)"
                       " select ('00000000' || right(gen_random_uuid()::text, 28))::uuid, 'b',"
                       "        '2020-01-01'"
                       "   from generate_series(1, 200000) returning 1) select count(*) from new");
}

static void stop_watching(void)
{
    superuser_run("drop event trigger watch_scans");
}

/*
 * The knobs become the numbers of rows that transactions which change tables have read from a rest,
 * one after the other, while nobody else can use it.
 */
static void watch_scans(const char *schema)
{
    superuser_run("create function %s.note_scan() returns event_trigger language plpgsql"
                  "    security definer as $$ begin insert into %s.knob"
                  " select seq_tup_read from pg_stat_xact_all_tables"
                  "  where schemaname = '%s' and relname in ('outbox_rest', 'inbox_rest')"
                  "    and exists (select from pg_locks where pid = pg_backend_pid()"
                  "                   and relation = relid and mode = 'AccessExclusiveLock');"
                  " perform pg_stat_force_next_flush();" /* what earlier transactions read */
                  " end $$",
                  schema, schema, schema);
    superuser_run("create event trigger watch_scans on ddl_command_end"
                  " execute function %s.note_scan()",
                  schema);
    at_end(stop_watching);
}

TEST(however_much_is_in_the_rest_nobody_waits_until_it_was_read)
{
    struct service *service = service_new("keep15", "counter");

    fill_rests(service);
    watch_scans("keep15_counter");
    run_once(service, keep_for(service, 3600, 3600));
    CHECK(query_int(service, "select count(*) from knob") > 1); /* the first was there */
    CHECK_INT(query_int(service, "select max(value) from knob"), 0);
    CHECK_INT(query_int(service, AHEAD), 2);
    CHECK_INT(query_int(service, NO_PROMISE), 0);
}

TEST(slices_begin_behind_ids_of_a_time_to_come)
{
    struct service *service = service_new("keep9", "counter");

    fill_rests(service);
    query_int(
        service,
        "with new as (insert into inbox (event_id, source) values"
        " (uuid_floor(now() + interval '10 min'), 'b') returning 1) select count(*) from new");
    watch_scans("keep9_counter");
    run_once(service, keep_for(service, 3600, 3600));
    CHECK_INT(query_int(service, "select max(value) from knob"), 0);
    CHECK_INT(query_int(service, "select count(*) from slice where parent = 'inbox'"
                                 " and starts_at > now() + interval '9 min'"),
              query_int(service, "select count(*) from slice where parent = 'inbox'"));
    CHECK_INT(query_int(service, "select count(*) from slice where parent = 'inbox'"), 1);
}

TEST(a_promise_that_was_not_kept_is_withdrawn)
{
    struct service *service = service_new("keep10", "counter");
    struct mesh__retention retention = keep_for(service, 3600, 3600);
    bool more;

    fill_rests(service);
    superuser_run(
        "create or replace function keep10_counter.check_promise(parent text) returns void"
        " language plpgsql as $$ begin raise exception using errcode = '57014'; end $$");
    CHECK(mesh__retention_run(service_ctx(service), &retention, &more) == MESH_DEADLINE_EXCEEDED);
    CHECK(mesh_ctx_error(service->ctx)[0] != '\0'); /* for the log */
    CHECK_INT(query_int(service, NO_PROMISE), 0);
    CHECK_INT(query_int(service, "select count(*) from slice"), 0);
}

TEST(a_promise_of_a_process_that_has_died_is_withdrawn)
{
    struct service *service = service_new("keep11", "counter");

    run_once(service, keep_for(service, 3600, 3600));
    superuser_run("alter table keep11_counter.outbox_rest add constraint promise"
                  " check (created_at < '2020-01-01') not valid");
    run_once(service, keep_for(service, 3600, 3600));
    CHECK_INT(query_int(service, NO_PROMISE), 0);
    count_and_commit(service, "k", 1);
}

/* ---- locks ---- */

static void *emit_in_thread(void *arg)
{
    struct service *service = arg;
    struct mesh_ctx *ctx = mesh__ctx_new("emitter", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = NULL;
    enum mesh_status status = mesh_tx_begin(ctx, service->silent, &tx);

    if (status == MESH_OK) {
        status = count_up(ctx, service, tx, "waits", "");
    }
    if (status == MESH_OK) {
        status = mesh_tx_commit(ctx, &tx);
    }
    mesh__cleanup_tx(&tx);
    mesh__ctx_free(ctx);
    return status == MESH_OK ? NULL : service;
}

/* Slices begin when the lock was got, however long that took. */
TEST(an_event_that_comes_while_a_cut_waits_for_its_lock_is_not_refused)
{
    struct service *service = service_new("keep12", "counter");
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = begin_late(service, ctx);
    struct mesh__retention retention = keep_for(service, 3600, 3600);
    pthread_t cutter, emitter;
    void *refused;

    superuser_run("alter function keep12_counter.cut_slices set lock_timeout = '20s'");
    CHECK_INT(pthread_create(&cutter, NULL, run_in_thread, &retention), 0);
    wait_for_int(service,
                 "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                 " and query like '%cut_slices%' and query_start < now() - interval '1100 ms'",
                 1);
    CHECK_INT(pthread_create(&emitter, NULL, emit_in_thread, service), 0);
    wait_for_int(service,
                 "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
                 " and query like '%into outbox%'",
                 1);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    pthread_join(cutter, NULL);
    pthread_join(emitter, &refused);
    CHECK(refused == NULL);
    CHECK_INT(query_int(service, "select count(*) from outbox where key = 'waits'"), 1);
    mesh__ctx_free(ctx);
}

static uint64_t outcomes(const char *step, const char *outcome)
{
    const char *labels[] = {"step", step, "outcome", outcome, NULL};

    return mesh_counter_value(mesh_counter("mesh_retention_steps_total", "", labels));
}

TEST(a_step_that_a_lock_is_in_the_way_of_is_counted_and_the_others_go_on)
{
    struct service *service = service_new("keep13", "counter");
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx = begin_late(service, ctx);
    uint64_t failed = outcomes("cut outbox", "failed");
    uint64_t done = outcomes("cut inbox", "done");

    run_once(service, keep_for(service, 3600, 3600));
    CHECK_INT(outcomes("cut outbox", "failed") - failed, 1);
    CHECK_INT(outcomes("cut inbox", "done") - done, 1);
    CHECK_INT(query_int(service, "select count(*) from slice where parent = 'outbox'"), 0);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    done = outcomes("cut outbox", "done");
    run_once(service, keep_for(service, 3600, 3600));
    CHECK_INT(outcomes("cut outbox", "done") - done, 1);
    CHECK_INT(query_int(service, AHEAD), 2);
    mesh__ctx_free(ctx);
}

TEST(a_promise_that_a_reader_keeps_is_withdrawn_before_it_refuses_anything)
{
    struct service *service = service_new("keep16", "counter");
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    struct mesh_tx *tx;

    fill_rests(service);
    CHECK_INT(query_int(service, "select count(make_promise('outbox', '1 hour',"
                                 " now() + interval '2 hours'))"),
              1);
    tx = begin_late(service, ctx);
    mesh__retention_begin(service_ctx(service), service->db);
    CHECK_INT(query_int(service, NO_PROMISE), 1); /* there is time */
    wait_for_int(service,
                 "select count(*) from pg_stat_activity where usename = current_user"
                 " and xact_start < now() - interval '1 s'",
                 1);
    superuser_run("comment on constraint promise on keep16_counter.outbox_rest is '2020-01-01'");
    mesh__retention_begin(service_ctx(service), service->db);
    CHECK_INT(query_int(service, NO_PROMISE), 0);
    CHECK(mesh_tx_commit(ctx, &tx) != MESH_OK);
    count_and_commit(service, "k", 1);
    mesh__ctx_free(ctx);
}

/* ---- what is old in the rest ---- */

/* Each note: a statement that deletes in a transaction which keeps everybody from some table. */
static void watch_deletes(const char *schema)
{
    superuser_run("create function %s.note_delete() returns trigger language plpgsql as $$ begin"
                  " insert into %s.knob select 1 where exists (select from gone)"
                  " and exists (select from pg_locks"
                  "  where pid = pg_backend_pid() and mode = 'AccessExclusiveLock'"
                  "    and locktype = 'relation'); return null; end $$",
                  schema, schema);
    for (int i = 0; i < 2; i++) {
        superuser_run("create trigger note_delete after delete on %s.%s"
                      "    referencing old table as gone"
                      "    for each statement execute function %s.note_delete()",
                      schema, i == 0 ? "outbox_rest" : "inbox_rest", schema);
    }
}

TEST(what_is_old_in_the_rest_goes_in_pieces_and_apart_from_the_slices)
{
    struct service *service = service_new("keep14", "counter");
    struct mesh__retention retention = keep_for(service, 1, 1);
    uint64_t dropped = counter_of("mesh_slices_dropped_total");

    begin(service, retention);
    superuser_run("insert into keep14_counter.relay_position (done, system_identifier)"
                  " values ('90000000:90000000:', 1)");
    fill_rests(service);
    watch_deletes("keep14_counter");
    wait_for_int(service, DUE, 1);
    CHECK(run_once(service, retention));
    CHECK(counter_of("mesh_slices_dropped_total") > dropped);
    CHECK_INT(query_int(service, REST), MANY - MESH__RETENTION_PIECE);
    CHECK_INT(query_int(service, "select count(*) from inbox_rest"), MANY - MESH__RETENTION_PIECE);
    while (run_once(service, retention)) {
    }
    CHECK_INT(query_int(service, REST), 0);
    CHECK_INT(query_int(service, "select count(*) from inbox_rest"), 0);
    CHECK_INT(query_int(service, "select count(*) from knob"), 1); /* the one that was there */
}

TEST_EVENTS_MAIN(NULL)
