/* SPDX-License-Identifier: Apache-2.0 */
/* Databases that were restored: their transaction ids mean nothing any more. */
#include "fixture.h"
#include "test.h"

#include <stdio.h>

/* Rows that no pass would see, and rows that each would. */
static void change_position(const char *system, const char *change)
{
    superuser_run("update %s_counter.relay_position set %s", system, change);
}

/* Returns how many events were published, or published again. */
static uint64_t publish_on(struct service *service, int n)
{
    uint64_t published = counter_of("mesh_relay_published_total");
    struct mesh_events *events = start_events(service, true, NULL, NULL);

    count_and_commit(service, "k", n);
    check_stream(service);
    stop_events(events);
    return counter_of("mesh_relay_published_total") - published;
}

static void check_restored(struct service *service, const char *change)
{
    uint64_t restores = counter_of("mesh_relay_restores_total");

    CHECK_INT(publish_on(service, 5), 5);
    CHECK_INT(counter_of("mesh_relay_restores_total"), restores);
    change_position(service->system, change);
    CHECK_INT(publish_on(service, 5), 10);
    CHECK_INT(counter_of("mesh_relay_restores_total"), restores + 1);
    CHECK_INT(publish_on(service, 5), 5);
    CHECK_INT(counter_of("mesh_relay_restores_total"), restores + 1);
}

TEST(a_position_of_another_database_is_not_believed)
{
    check_restored(service_new("restore1", "counter"), "system_identifier = 1");
}

TEST(a_position_of_a_time_to_come_is_not_believed)
{
    check_restored(service_new("restore2", "counter"), "done = '90000000:90000000:'");
}

TEST(events_of_transactions_to_come_are_published_once)
{
    struct service *service = service_new("restore3", "counter");
    struct mesh_events *events;
    uint64_t published;

    CHECK_INT(publish_on(service, 5), 5);
    superuser_run("update restore3_counter.outbox set xid = '90000000'");
    superuser_run("delete from restore3_counter.relay_position");
    CHECK_INT(publish_on(service, 1), 6);
    published = counter_of("mesh_relay_published_total");
    events = start_events(service, true, NULL, NULL);
    count_and_commit(service, "k", 1);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_published_total"), published + 1);
    stop_events(events);
}

TEST(events_flow_again_after_a_dump_was_restored_on_another_server)
{
    struct service *service = service_new("restore4", "counter");
    struct mesh_events *events = start_events(service, true, NULL, NULL);
    uint64_t restores = counter_of("mesh_relay_restores_total");

    count_and_commit(service, "k", 10);
    wait_for_int(service, "select last_sequence from relay_position order by id desc limit 1", 10);
    restore_database(service);
    count_and_commit(service, "k", 10);
    check_stream(service);
    CHECK_INT(counter_of("mesh_relay_restores_total"), restores + 1);
    count_and_commit(service, "k", 10);
    check_stream(service);
    stop_events(events);
}

TEST_EVENTS_MAIN(NULL)
