/* SPDX-License-Identifier: Apache-2.0 */
#include "events/envelope.h"
#include "fixture.h"
#include "test.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 8
#define KEYS 40

/* ---- writers with every bad habit ---- */

struct writer {
    struct service *service;
    struct mesh_db *db;
    pthread_t thread;
    unsigned seed;
    int commits;
};

static atomic_bool stop_writing;

static long chance(struct writer *writer, long n)
{
    return rand_r(&writer->seed) % n;
}

static void linger(struct writer *writer, long max_us)
{
    const struct timespec time = {.tv_nsec = chance(writer, max_us) * 1000};

    nanosleep(&time, NULL);
}

static MESH_STATUS write_some(struct writer *writer, struct mesh_ctx *ctx)
{
    static const struct mesh_sql take_xid = {"take_xid", "select pg_current_xact_id()::text"};
    cleanup_tx struct mesh_tx *tx = NULL;
    int key = (int)chance(writer, KEYS);
    int n = 1 + (int)chance(writer, 2);
    struct mesh_rows *rows;

    MESH_TRY(mesh_tx_begin(ctx, writer->db, &tx));
    if (chance(writer, 10) == 0) { /* an old transaction that writes late */
        MESH_TRY(mesh_tx_query(ctx, tx, &take_xid, MESH_NO_ARGS, &rows));
        linger(writer, 50000);
    }
    for (int i = 0; i < n && key + i < KEYS; i++) { /* locks in one order */
        MESH_TRY(count_up(ctx, writer->service, tx, mesh_printf(ctx, "k-%02d", key + i), ""));
        if (chance(writer, 20) == 0) {
            MESH_TRY(mesh__tx_flush(ctx, tx));
            linger(writer, 30000);
        }
    }
    if (chance(writer, 20) == 0) {
        return mesh_fail(ctx, MESH_ABORTED, "rolled back on purpose");
    }
    MESH_TRY(mesh_tx_commit(ctx, &tx));
    writer->commits++;
    return MESH_OK;
}

static void *writer_main(void *arg)
{
    struct writer *writer = arg;
    struct mesh_ctx *ctx = mesh__ctx_new("writer", 0, MESH_NO_DEADLINE);

    while (!atomic_load(&stop_writing)) {
        mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
        mesh_ignore(write_some(writer, ctx));
    }
    mesh__ctx_free(ctx);
    return NULL;
}

static struct {
    struct writer all[WRITERS];
    unsigned n; /* how many there are now */
} writers;

static void join_writers(void)
{
    atomic_store(&stop_writing, true);
    while (writers.n > 0) {
        pthread_join(writers.all[--writers.n].thread, NULL);
    }
}

static void start_writers(struct service *service, struct mesh_db *db)
{
    at_end(join_writers);
    atomic_store(&stop_writing, false);
    for (; writers.n < WRITERS; writers.n++) {
        struct writer *writer = &writers.all[writers.n];

        *writer = (struct writer){.service = service, .db = db, .seed = writers.n + 1};
        CHECK_INT(pthread_create(&writer->thread, NULL, writer_main, writer), 0);
    }
}

static void stop_writers(void)
{
    int commits = 0;

    join_writers();
    for (int i = 0; i < WRITERS; i++) {
        commits += writers.all[i].commits;
    }
    CHECK(commits > 100);
}

static void wait_for_rows(struct service *service, int64_t more)
{
    int64_t wanted = query_int(service, "select count(*) from outbox") + more;
    int64_t end_ns = mesh__in_ms(60000);

    while (query_int(service, "select count(*) from outbox") < wanted) {
        CHECK(mesh__now_ns() < end_ns);
        usleep(2000);
    }
}

/* ---- tests ---- */

TEST(committed_events_are_published_and_rolled_back_ones_are_not)
{
    struct service *service = service_new("relay1", "counter");
    struct mesh_events *events;
    struct mesh_tx *tx = NULL;
    struct mesh_ctx *ctx;
    struct published *rows;
    size_t n;

    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "kept", 3);
    ctx = service_ctx(service);
    CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
    CHECK(count_up(ctx, service, tx, "dropped", "") == MESH_OK);
    CHECK(mesh__tx_flush(ctx, tx) == MESH_OK);
    mesh__cleanup_tx(&tx);
    count_and_commit(service, "kept", 1);
    wait_for_stream("relay1", 4);
    rows = read_stream("relay1", &n);
    CHECK_INT(n, 4);
    for (size_t i = 0; i < n; i++) {
        CHECK_TEXT(rows[i].key, "kept");
        CHECK_INT(rows[i].version, (int64_t)i + 1);
    }
    free(rows);
    stop_events(events);
}

TEST(concurrent_writers_lose_nothing_and_keep_the_order_of_each_key)
{
    struct service *service = service_new("relay2", "counter");
    struct mesh_events *events;

    events = start_events(service, true, NULL, NULL);
    start_writers(service, service->db);
    wait_for_rows(service, 3000);
    stop_writers();
    check_stream(service);
    stop_events(events);
}

TEST(a_relay_that_is_stopped_and_started_goes_on_where_it_was)
{
    struct service *service = service_new("relay3", "counter");
    struct mesh_events *events;
    uint64_t published;

    start_writers(service, service->silent);
    for (int i = 0; i < 8; i++) {
        events = start_events(service, true, NULL, NULL);
        wait_for_rows(service, 200);
        stop_events(events);
    }
    stop_writers();
    events = start_events(service, true, NULL, NULL);
    check_stream(service);
    stop_events(events);

    published = counter_of("mesh_relay_published_total");
    events = start_events(service, true, NULL, NULL); /* finds nothing to do */
    count_and_commit(service, "last", 1);
    check_stream(service);
    stop_events(events);
    CHECK_INT(counter_of("mesh_relay_published_total") - published, 1);
}

TEST(a_broker_that_is_killed_under_load_delays_events_and_loses_none)
{
    struct service *service = service_new("relay4", "counter");
    struct mesh_events *events;

    events = start_events(service, true, NULL, NULL);
    start_writers(service, service->db);
    for (int i = 0; i < 3; i++) {
        wait_for_rows(service, 300);
        kill_broker();
        wait_for_rows(service, 300); /* orders go on */
        start_broker();
    }
    wait_for_rows(service, 300);
    stop_writers();
    check_stream(service);
    stop_events(events);
}

TEST(a_broker_that_is_away_at_the_start_is_waited_for)
{
    struct service *service = service_new("relay5", "counter");
    struct mesh_events *events;

    kill_broker();
    events = start_events(service, true, NULL, NULL);
    CHECK(mesh__events_check(service_ctx(service), events) == MESH_UNAVAILABLE);
    count_and_commit(service, "k", 5);
    start_broker();
    check_stream(service);
    CHECK(mesh__events_check(service_ctx(service), events) == MESH_OK);
    stop_events(events);
}

/* ---- wakes ---- */

TEST(a_commit_wakes_the_relay)
{
    struct service *service = service_new("relay18", "counter");
    struct mesh_events *events;

    let_relays_sleep();
    events = start_events(service, true, NULL, NULL);
    for (uint64_t n = 1; n <= 5; n++) {
        count_and_commit(service, "k", 1);
        wait_for_stream("relay18", n);
    }
    stop_events(events);
}

/* ---- a broker that fails ---- */

static struct broker faulty;
static const struct broker *real;
static atomic_int publications;

/* Every 97th is lost on its way, and says so. */
static enum mesh_status lossy_publish(struct mesh_ctx *ctx, struct broker_connection *connection,
                                      const struct broker_publication *publication, uint64_t token)
{
    if (atomic_fetch_add(&publications, 1) % 97 == 96) {
        return mesh_fail(ctx, MESH_UNAVAILABLE, "lost on purpose");
    }
    return real->publish(ctx, connection, publication, token);
}

TEST(failed_publications_are_repeated_from_the_first_failure)
{
    struct service *service = service_new("relay6", "counter");
    struct mesh_events *events;
    uint64_t failures = counter_of("mesh_relay_failures_total");

    faulty = *real;
    faulty.publish = lossy_publish;
    use_broker(&faulty);
    events = start_events(service, true, NULL, NULL);
    start_writers(service, service->db);
    wait_for_rows(service, 1500);
    stop_writers();
    check_stream(service);
    CHECK(counter_of("mesh_relay_failures_total") > failures + 5);
    stop_events(events);
}

/* ---- a stream that is empty ---- */

static atomic_int looks;

static enum mesh_status counted_state(struct mesh_ctx *ctx, struct broker_connection *connection,
                                      const char *stream, struct broker_stream *ret_stream)
{
    atomic_fetch_add(&looks, 1);
    return real->stream_state(ctx, connection, stream, ret_stream);
}

TEST(the_first_event_is_published_however_often_the_relay_has_looked_at_the_empty_stream)
{
    struct service *service = service_new("relay_empty", "counter");
    struct mesh_events *events;

    faulty = *real;
    faulty.stream_state = counted_state;
    use_broker(&faulty);
    events = start_events(service, true, NULL, NULL);
    for (int waited_ms = 0; atomic_load(&looks) < 6 && waited_ms < 20000; waited_ms++) {
        usleep(1000);
    }
    CHECK(atomic_load(&looks) >= 6);
    count_and_commit(service, "k", 1);
    wait_for_stream("relay_empty", 1);
    stop_events(events);
}

/* ---- a database that crashes ---- */

static atomic_bool hold_publications;

static enum mesh_status patient_publish(struct mesh_ctx *ctx, struct broker_connection *connection,
                                        const struct broker_publication *publication,
                                        uint64_t token)
{
    while (atomic_load(&hold_publications)) {
        usleep(1000);
    }
    return real->publish(ctx, connection, publication, token);
}

/* Transactions that leave nothing, not even in the log of a server that crashes soon. */
static void burn_transactions(struct service *service, int n)
{
    static const struct mesh_sql take_xid = {"take_xid", "select pg_current_xact_id()::text"};

    for (int i = 0; i < n; i++) {
        struct mesh_ctx *ctx = service_ctx(service);
        cleanup_tx struct mesh_tx *tx = NULL;
        struct mesh_rows *rows;

        CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
        CHECK(mesh_tx_query(ctx, tx, &take_xid, MESH_NO_ARGS, &rows) == MESH_OK);
    }
}

#define NEXT_XID "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"

/*
 * Lets the relay see a snapshot beyond the end of the log that survives, and crashes the server.
 * Returns whether transaction ids that the snapshot calls old will be given out again.
 */
static bool crash_behind_a_pass(struct service *service)
{
    int64_t published = query_int(service, "select count(*) from outbox");
    int64_t burnt;

    wait_for_int(service,
                 "select count(*) from relay_position p where p.id = (select max(id) from"
                 " relay_position) and p.last_sequence = (select count(*) from outbox)",
                 1); /* saved: it will not be again for a second */
    atomic_store(&hold_publications, true);
    count_and_commit(service, "k", 1);
    usleep(60000); /* the relay holds it in a pass */
    count_and_commit(service, "k", 1);
    burn_transactions(service, 50);
    burnt = query_int(service, NEXT_XID);
    atomic_store(&hold_publications, false);
    wait_for_stream(service->system, (uint64_t)published + 2);
    usleep(30000); /* the pass has ended */
    crash_database(service, service);
    return query_int(service, NEXT_XID) < burnt;
}

TEST(transaction_ids_that_a_crash_gives_out_again_lose_no_event)
{
    struct service *service = service_new("relay14", "counter");
    struct mesh_events *events;
    bool again = false;

    faulty = *real;
    faulty.publish = patient_publish;
    use_broker(&faulty);
    superuser_run("alter system set wal_writer_delay = '10s'");
    superuser_run("select pg_reload_conf()");
    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 1);
    for (int i = 0; i < 5 && !again; i++) {
        again = crash_behind_a_pass(service);
        count_and_commit(service, "k", 3);
        check_stream(service);
    }
    CHECK(again);
    stop_events(events);
    superuser_run("alter system reset wal_writer_delay");
    superuser_run("select pg_reload_conf()");
}

/* Of all slices together. */
#define SCANS                                                                                      \
    "select coalesce(sum(seq_scan + idx_scan), 0)::bigint from pg_stat_user_tables"                \
    " where relname like 'outbox%' and schemaname = current_schema()"
#define ROWS_READ                                                                                  \
    "select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::bigint"                                \
    "  from pg_stat_user_tables where relname like 'outbox%' and schemaname = current_schema()"

/* As after a restore: the planner knows nothing of the table. */
TEST(a_pass_reads_what_waits_and_not_what_was_published_whatever_the_planner_knows)
{
    struct service *service = service_new("relay16", "counter");
    struct mesh_events *events;
    int64_t scans, rows;

    query_int(service,
              "select cut_slices('outbox', interval '6 hours', now() + interval '12 hours')");
    superuser_run("alter system set autovacuum = off");
    superuser_run("select pg_reload_conf()");
    superuser_run("insert into relay16_counter.outbox (event_id, subject, key, envelope)"
                  " select gen_random_uuid(), 's', 'k', '\\xab' from generate_series(1, 50000)");
    superuser_run("insert into relay16_counter.relay_position (done, system_identifier)"
                  " select pg_current_snapshot(), system_identifier from pg_control_system()");
    scans = query_int(service, SCANS);
    rows = query_int(service, ROWS_READ);
    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 10);
    wait_for_stream("relay16", 10);
    while (query_int(service, SCANS) < scans + 20) { /* the figures come once a second */
        count_and_commit(service, "k", 1);
        usleep(20000);
    }
    rows = query_int(service, ROWS_READ) - rows;
    scans = query_int(service, SCANS) - scans;
    stop_events(events);
    superuser_run("alter system reset autovacuum");
    superuser_run("select pg_reload_conf()");
    CHECK_INT(rows / scans / 100, 0);
}

TEST(large_events_are_published_within_bounded_memory)
{
    struct service *service = service_new("relay9", "counter");
    struct mesh_events *events;
    char *note = calloc(1, 200001);

    memset(note, 'x', 200000);
    for (int i = 0; i < 150; i++) { /* 30 MB, more than one answer of the database may have */
        struct mesh_ctx *ctx = service_ctx(service);
        struct mesh_tx *tx = NULL;

        CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
        CHECK(count_up(ctx, service, tx, "large", note) == MESH_OK);
        CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    }
    free(note);
    events = start_events(service, true, NULL, NULL);
    check_stream(service);
    stop_events(events);
}

TEST(events_that_could_block_the_relay_are_refused_when_they_are_emitted)
{
    struct service *service = service_new("relay10", "counter");
    struct mesh_tx *tx = NULL;
    struct mesh_ctx *ctx;
    Test__Counter__V1__Counted event = TEST__COUNTER__V1__COUNTED__INIT;
    char *note;

    ctx = service_ctx(service);
    CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
    note = mesh_alloc(ctx, MESH_ENVELOPE_MAX + 1);
    memset(note, 'x', MESH_ENVELOPE_MAX);
    event.note = note;
    event.key = "k";
    CHECK(mesh_emit(ctx, tx, &service->counted, &event.base) == MESH_INTERNAL);
    note[MESH_ENVELOPE_MAX - 100] = '\0'; /* fits alone, not with its envelope */
    CHECK(mesh_emit(ctx, tx, &service->counted, &event.base) == MESH_INTERNAL);
    note[0] = '\0';
    CHECK(mesh_emit(ctx, tx, &service->counted, &event.base) == MESH_OK);
    event.key = "";
    CHECK(mesh_emit(ctx, tx, &service->counted, &event.base) == MESH_INTERNAL);
    event.key = NULL;
    CHECK(mesh_emit(ctx, tx, &service->counted, &event.base) == MESH_INTERNAL);
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    CHECK_INT(query_int(service, "select count(*) from outbox"), 1);
}

TEST(a_stream_that_would_lose_events_is_reported_until_it_is_gone)
{
    struct service *service = service_new("relay11", "counter");
    struct mesh_events *events;
    uint64_t conflicts = counter_of("mesh_stream_conflicts_total");
    const struct broker_stream_config narrow = {.name = "relay11",
                                                .subject = "relay11.*.*.*",
                                                .max_bytes = 1 << 20,
                                                .max_age_s = 10,
                                                .duplicates_s = 5};

    make_stream(&narrow);
    events = start_events(service, true, NULL, NULL);
    CHECK(mesh__events_check(service_ctx(service), events) == MESH_FAILED_PRECONDITION);
    count_and_commit(service, "k", 2);
    wait_for_counter("mesh_stream_conflicts_total", conflicts + 3);
    delete_stream("relay11");
    check_stream(service);
    stop_events(events);
}

TEST(a_stream_that_would_refuse_large_events_is_reported_before_one_comes)
{
    static const char config[] =
        "{\"name\":\"relay15\",\"subjects\":[\"relay15.*.*.*\"],\"storage\":\"file\","
        "\"retention\":\"limits\",\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
        "\"max_msg_size\":100000,\"duplicate_window\":120000000000}";
    struct service *service = service_new("relay15", "counter");
    struct mesh_events *events;

    send_raw("$JS.API.STREAM.CREATE.relay15", config);
    events = start_events(service, true, NULL, NULL);
    CHECK(mesh__events_check(service_ctx(service), events) == MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(service->ctx), "max_msg_size") != NULL);
    stop_events(events);
}

TEST(the_relay_stops_at_once_while_the_broker_does_not_answer)
{
    struct service *service = service_new("relay12", "counter");
    struct mesh_events *events;
    int64_t began_ns;

    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 1);
    wait_for_stream("relay12", 1);
    stop_broker(SIGSTOP);
    count_and_commit(service, "k", 500);
    began_ns = mesh__now_ns();
    stop_events(events);
    stop_broker(SIGCONT);
    CHECK(mesh__now_ns() - began_ns < 1500 * MESH_NS_PER_MS);
    events = start_events(service, true, NULL, NULL);
    check_stream(service);
    stop_events(events);
}

TEST(the_position_and_what_tells_brokers_apart_are_kept)
{
    struct service *service = service_new("relay13", "counter");
    struct mesh_events *events;

    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 7);
    wait_for_int(service,
                 "select count(*) from relay_position p, outbox o where o.id = 7"
                 " and p.last_sequence = 7 and p.last_event_id = o.event_id::text"
                 " and p.server_id <> '' and p.stream_created is not null"
                 " and p.system_identifier <> 0 and pg_visible_in_snapshot(o.xid, p.done)",
                 1);
    stop_events(events);
}

/* Which positions there are, by their ages, youngest first; saves another one. */
static const char *positions(struct service *service)
{
    static const struct mesh_sql ages = {
        "ages", "select string_agg(round(extract(epoch from now() - saved_at) / 60)::text, ' '"
                "                  order by id desc) from relay_position"};
    int64_t n = query_int(service, "select max(id) from relay_position");
    char sql[100];
    struct mesh_rows *rows;
    struct mesh_ctx *ctx;

    count_and_commit(service, "k", 1);
    (void)snprintf(sql, sizeof(sql), "select (max(id) > %" PRId64 ")::int from relay_position", n);
    wait_for_int(service, sql, 1);
    ctx = service_ctx(service);
    CHECK(mesh_db_query(ctx, service->db, &ages, MESH_NO_ARGS, &rows) == MESH_OK);
    return mesh_row_text(rows, 0, 0);
}

TEST(positions_are_kept_for_ten_minutes_and_the_one_before_them_for_as_long_as_it_is_needed)
{
    struct service *service = service_new("relay17", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);

    count_and_commit(service, "k", 1);
    wait_for_int(service, "select (max(last_sequence) >= 1)::int from relay_position", 1);
    superuser_run("delete from relay17_counter.relay_position where id < (select max(id) from"
                  " relay17_counter.relay_position)");
    superuser_run("update relay17_counter.relay_position set saved_at = now() - interval '90 min'");
    /* After a quiet time there is only one that the relay could go back to. */
    CHECK_TEXT(positions(service), "0 90");
    superuser_run(
        "update relay17_counter.relay_position set saved_at = saved_at - interval '8 min'");
    CHECK_TEXT(positions(service), "0 8 98");
    superuser_run(
        "update relay17_counter.relay_position set saved_at = saved_at - interval '4 min'");
    CHECK_TEXT(positions(service), "0 4 12");
    stop_events(events);
}

static int set_up(void **state)
{
    (void)state;
    real = mesh__broker;
    return 0;
}

TEST_EVENTS_MAIN(set_up)
