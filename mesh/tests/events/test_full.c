/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that have no room for more events. */
#include "fixture.h"
#include "test.h"

#include <stdio.h>
#include <unistd.h>

#define LARGE 30000

/* Large and small ones in turn: a stream that is full has room for the latter. */
static void count_unevenly(struct service *service, int n)
{
    char *note = calloc(1, LARGE + 1);

    memset(note, 'x', LARGE);
    for (int i = 0; i < n; i++) {
        struct mesh_ctx *ctx = service_ctx(service);
        struct mesh_tx *tx = NULL;

        CHECK(mesh_tx_begin(ctx, service->db, &tx) == MESH_OK);
        CHECK(count_up(ctx, service, tx, mesh_printf(ctx, "k-%d", i % 3), i % 5 == 0 ? note : "") ==
              MESH_OK);
        CHECK(mesh_tx_commit(ctx, &tx) == MESH_OK);
    }
    free(note);
}

static void wait_for_full(double value)
{
    const struct mesh_gauge *full = mesh_gauge("mesh_stream_full", "", NULL);
    int64_t end_ns = mesh__in_ms(20000);

    while (mesh_gauge_value(full) != value) {
        CHECK(mesh__now_ns() < end_ns);
        usleep(1000);
    }
}

static void set_max_bytes(const char *system, int max_bytes)
{
    char subject[64], config[400];

    (void)snprintf(subject, sizeof(subject), "$JS.API.STREAM.UPDATE.%s", system);
    (void)snprintf(config, sizeof(config),
                   "{\"name\":\"%s\",\"subjects\":[\"%s.*.*.*\"],\"storage\":\"file\","
                   "\"retention\":\"limits\",\"discard\":\"new\",\"max_consumers\":-1,"
                   "\"max_msgs\":-1,\"max_msgs_per_subject\":-1,\"max_msg_size\":-1,"
                   "\"max_bytes\":%d,\"max_age\":3600000000000,\"num_replicas\":1,"
                   "\"duplicate_window\":120000000000}",
                   system, system, max_bytes);
    send_raw(subject, config);
}

TEST(events_wait_for_room_in_a_stream_that_is_full_and_keep_their_order)
{
    struct service *service = service_new("full1", "counter");
    struct mesh_events *events;

    service->stream_max_bytes = 1 << 20;
    watch_log("the stream is full: events wait in the outbox until there is room for them");
    events = start_events(service, true, NULL, NULL);
    count_unevenly(service, 600); /* 3.6 MB */
    wait_for_full(1);
    CHECK(watched_lines() > 0);
    set_max_bytes("full1", 2 << 20);
    count_unevenly(service, 100);
    wait_for_full(1);
    set_max_bytes("full1", 16 << 20);
    check_stream(service);
    wait_for_full(0);
    stop_events(events);
}

TEST(a_stream_that_drops_old_events_when_it_is_full_is_reported)
{
    static const char config[] =
        "{\"name\":\"full2\",\"subjects\":[\"full2.*.*.*\"],\"storage\":\"file\","
        "\"retention\":\"limits\",\"discard\":\"old\",\"max_consumers\":-1,\"max_msgs\":-1,"
        "\"max_bytes\":1000000000,\"duplicate_window\":120000000000}";
    struct service *service = service_new("full2", "counter");
    struct mesh_events *events;

    send_raw("$JS.API.STREAM.CREATE.full2", config);
    events = start_events(service, true, NULL, NULL);
    CHECK(mesh__events_check(service_ctx(service), events) == MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(service->ctx), "it drops old messages") != NULL);
    stop_events(events);
}

TEST_EVENTS_MAIN(NULL)
