/* SPDX-License-Identifier: Apache-2.0 */
/* Relays in trouble: transactions that stay open, answers that say no, company, a long absence. */
#include "consumer.h"
#include "test.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* No header of it is installed with gcc. */
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

static const struct broker *real;

/* ---- transactions that stay open ---- */

static const struct mesh_sql take_xid = {"take_xid", "select pg_current_xact_id()::text"};

TEST(a_transaction_that_stays_open_holds_back_its_own_event_alone)
{
    struct service *service = service_new("trouble1", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    struct mesh_ctx *ctx = mesh__ctx_new("late", 0, MESH_NO_DEADLINE);
    uint64_t published = counter_of("mesh_relay_published_total");
    struct mesh_tx *tx = NULL;

    CHECK(mesh_tx_begin(ctx, service->silent, &tx) == MESH_OK);
    CHECK(count_up(ctx, service, tx, "late", "") == MESH_OK);
    CHECK(mesh__tx_flush(ctx, tx) == MESH_OK);
    for (uint64_t n = 1; n <= 20; n++) {
        count_and_commit(service, "k", 1);
        wait_for_stream("trouble1", n);
    }
    CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    check_stream(service);
    count_and_commit(service, "k", 1);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_published_total") - published, 22); /* none was read again */
    mesh__ctx_free(ctx);
    stop_events(events);
}

/* Its id is in every snapshot, too. */
TEST(a_transaction_that_stays_open_in_another_database_holds_back_nothing)
{
    struct service *service = service_new("trouble2", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    struct mesh_ctx *ctx = mesh__ctx_new("elsewhere", 0, MESH_NO_DEADLINE);
    uint64_t published = counter_of("mesh_relay_published_total");
    char url[512];
    struct mesh_rows *rows;
    struct mesh_tx *tx = NULL;
    struct mesh_db *db;

    (void)snprintf(url, sizeof(url), "%s", getenv("TEST_DATABASE_URL"));
    (void)snprintf(strrchr(url, '/'), 16, "/template1");
    db = mesh__db_new(&(struct mesh_db_options){.url = url,
                                                .schema = "public",
                                                .application_name = "test",
                                                .size = 1,
                                                .named = true,
                                                .metric_label = "test"});
    CHECK(mesh_tx_begin(ctx, db, &tx) == MESH_OK);
    CHECK(mesh_tx_query(ctx, tx, &take_xid, MESH_NO_ARGS, &rows) == MESH_OK);
    for (uint64_t n = 1; n <= 20; n++) {
        count_and_commit(service, "k", 1);
        wait_for_stream("trouble2", n);
    }
    stop_events(events);
    events = start_events(service, true, NULL, NULL); /* from a position with it in its middle */
    count_and_commit(service, "k", 1);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_published_total") - published, 21);
    mesh__cleanup_tx(&tx);
    mesh__db_free(db);
    mesh__ctx_free(ctx);
    stop_events(events);
}

/* ---- answers that say no ---- */

static struct broker faulty;
static struct broker_callbacks relays;
static atomic_int publications;
static _Atomic uint64_t refused_token; /* of a publication that never came to the broker */

static enum mesh_status noted_connect(struct mesh_ctx *ctx, const struct broker_options *options,
                                      struct broker_connection **ret_connection)
{
    if (options->callbacks.on_ack != NULL) {
        relays = options->callbacks;
        atomic_store(&publications, 0);
    }
    return real->connect(ctx, options, ret_connection);
}

/* The 40th of a connection is refused, but ten that follow are stored before the answer comes. */
static enum mesh_status late_refusal(struct mesh_ctx *ctx, struct broker_connection *connection,
                                     const struct broker_publication *publication, uint64_t token)
{
    static const struct broker_ack refusal = {.error = "refused on purpose"};
    int n = atomic_fetch_add(&publications, 1) + 1;

    if (n == 40) {
        atomic_store(&refused_token, token);
        return MESH_OK;
    }
    if (n == 51) {
        relays.on_ack(relays.arg, atomic_load(&refused_token), &refusal);
    }
    return real->publish(ctx, connection, publication, token);
}

TEST(a_refusal_in_the_middle_of_a_page_loses_and_doubles_nothing)
{
    struct pair *pair;
    struct mesh_events *events;
    struct published *rows;
    size_t n;

    faulty = *real;
    faulty.connect = noted_connect;
    faulty.publish = late_refusal;
    use_broker(&faulty);
    pair = pair_new("trouble3");
    stop_events(pair->relay);
    publish_keys(pair->publisher, 30);
    pair->relay = start_events(pair->publisher, true, NULL, NULL);
    events = consume(&pair->consumer);
    wait_for_int(pair->consumer.service, EFFECTS, 300);
    CHECK_INT(query_int(pair->consumer.service, DOUBLED), 0);
    wait_for_stream("trouble3", 300);
    rows = read_stream("trouble3", &n);
    CHECK_INT(n, 300); /* and none twice in the stream */
    free(rows);
    stop_events(events);
}

/* ---- company ---- */

TEST(two_relays_that_both_believe_to_be_the_only_one_keep_the_order)
{
    struct service *service = service_new("trouble4", "counter");
    struct service other = *service;
    uint64_t rescues = counter_of("mesh_relay_rescues_total");
    struct mesh_events *first, *second;

    other.db = service->silent;
    first = start_events(service, true, NULL, NULL);
    second = start_events(&other, true, NULL, NULL);
    publish_keys(service, 40);
    publish_keys(&other, 40);
    stop_events(first);
    publish_keys(&other, 10);
    check_stream(service);
    first = start_events(service, true, NULL, NULL); /* its position is the newest of either */
    publish_keys(service, 10);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_rescues_total"), rescues);
    stop_events(first);
    stop_events(second);
}

/* ---- a long absence ---- */

#define BACKLOG 15000
#define NOTE 2000
#define MEMORY (INT64_C(16) << 20) /* of 33 MB that wait */

static int64_t heap_size(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return (int64_t)__sanitizer_get_current_allocated_bytes();
#else
    struct mallinfo2 info = mallinfo2();

    return (int64_t)(info.uordblks + info.hblkhd);
#endif
}

static void emit_many(struct service *service, int n)
{
    char note[NOTE + 1];

    memset(note, 'x', NOTE);
    note[NOTE] = '\0';
    for (int i = 0; i < n; i += 100) {
        struct mesh_ctx *ctx = service_ctx(service);
        struct mesh_tx *tx = NULL;

        CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
        for (int j = 0; j < 100; j++) {
            CHECK(count_up(ctx, service, tx, mesh_printf(ctx, "k-%d", j % 10), note) == MESH_OK);
        }
        CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    }
    service_ctx(service);
}

TEST(a_backlog_drains_in_order_and_within_bounded_memory)
{
    struct service *service = service_new("trouble5", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t published = counter_of("mesh_relay_published_total");
    int64_t end_ns, size, most = 0;

    emit_many(service, 1000);
    wait_for_counter("mesh_relay_published_total", published + 1000);
    size = heap_size();
    kill_broker();
    emit_many(service, BACKLOG);
    start_broker();
    end_ns = mesh__in_ms(60000);
    while (counter_of("mesh_relay_published_total") < published + 1000 + BACKLOG) {
        most = heap_size() > most ? heap_size() : most;
        CHECK(mesh__now_ns() < end_ns);
        usleep(500);
    }
    CHECK(most - size < MEMORY);
    check_stream(service);
    stop_events(events);
}

static int set_up(void **state)
{
    (void)state;
    real = mesh__broker;
    return 0;
}

TEST_EVENTS_MAIN(set_up)
