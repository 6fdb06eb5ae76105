/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "events/relay_window.h"
#include "test.h"

#include <stdio.h>

#define EVENT "0190a3b4-0000-7000-8000-000000000001"

static const struct broker_ack stored = {.stored = true, .sequence = 9};
static const struct broker_ack duplicate = {.stored = true, .duplicate = true, .sequence = 3};
static const struct broker_ack refused = {.error = "no space"};

static struct mesh__window window;

static void begin(void)
{
    mesh__window_init(&window);
}

static uint64_t add(int64_t id)
{
    uint64_t token;

    CHECK(mesh__window_add(&window, id, EVENT, &token));
    return token;
}

/* Retires everything it can; returns the row of the last one, 0 if there was none. */
static int64_t retire(void)
{
    struct mesh__slot slot;
    int64_t last = 0;

    while (mesh__window_oldest(&window, &slot)) {
        last = slot.id;
        mesh__window_retire(&window);
    }
    return last;
}

TEST(acknowledgements_in_any_order_retire_in_order)
{
    uint64_t first, second, third;

    begin();
    first = add(11);
    second = add(12);
    third = add(13);
    mesh__window_ack(&window, third, &stored);
    CHECK_INT(retire(), 0);
    mesh__window_ack(&window, first, &stored);
    CHECK_INT(retire(), 11);
    mesh__window_ack(&window, second, &duplicate);
    CHECK_INT(retire(), 13);
    CHECK(mesh__window_empty(&window));
    mesh__window_done(&window);
}

TEST(a_full_window_takes_no_more)
{
    uint64_t token, first = 0;

    begin();
    for (int i = 0; i < BROKER_WINDOW; i++) {
        token = add(i + 1);
        first = i == 0 ? token : first;
    }
    CHECK(!mesh__window_add(&window, 999, EVENT, &token));
    mesh__window_ack(&window, first, &stored);
    CHECK_INT(retire(), 1);
    CHECK(mesh__window_add(&window, 999, EVENT, &token));
    mesh__window_done(&window);
}

TEST(nothing_behind_a_failure_is_retired)
{
    uint64_t first, second, third, token;

    begin();
    first = add(1);
    second = add(2);
    third = add(3);
    mesh__window_ack(&window, second, &refused);
    mesh__window_ack(&window, third, &stored);
    mesh__window_ack(&window, first, &stored);
    CHECK(mesh__window_broken(&window));
    CHECK_TEXT(window.reason, "no space");
    CHECK_INT(retire(), 1);
    CHECK(!mesh__window_add(&window, 4, EVENT, &token));
    mesh__window_reset(&window);
    CHECK(!mesh__window_broken(&window) && mesh__window_empty(&window));
    mesh__window_done(&window);
}

TEST(a_refused_acknowledgement_counts_as_a_failure)
{
    struct mesh__slot slot;
    uint64_t first, second;

    begin();
    first = add(1);
    second = add(2);
    mesh__window_ack(&window, first, &duplicate);
    mesh__window_ack(&window, second, &stored);
    CHECK(mesh__window_oldest(&window, &slot));
    CHECK(slot.state == MESH__SLOT_DUPLICATE && slot.sequence == 3);
    mesh__window_refuse(&window, "not there");
    CHECK(!mesh__window_oldest(&window, &slot));
    CHECK(mesh__window_broken(&window));
    mesh__window_done(&window);
}

TEST(answers_to_an_earlier_attempt_are_ignored)
{
    uint64_t old, current;

    begin();
    old = add(1);
    mesh__window_reset(&window);
    current = add(1);
    mesh__window_ack(&window, old, &refused);
    CHECK(!mesh__window_broken(&window));
    mesh__window_ack(&window, current + 7, &stored); /* never given out */
    CHECK_INT(retire(), 0);
    mesh__window_ack(&window, current, &stored);
    CHECK_INT(retire(), 1);
    mesh__window_done(&window);
}

TEST(draining_waits_for_every_outcome_but_not_for_a_lost_connection)
{
    uint64_t first, second;

    begin();
    first = add(1);
    second = add(2);
    mesh__window_ack(&window, first, &refused);
    CHECK(!mesh__window_drain(&window, mesh__in_ms(20)));
    mesh__window_ack(&window, second, &stored);
    CHECK(mesh__window_drain(&window, mesh__in_ms(10000)));
    mesh__window_reset(&window);
    add(3);
    mesh__window_gone(&window);
    CHECK(mesh__window_drain(&window, mesh__in_ms(10000)));
    CHECK(mesh__window_broken(&window));
    mesh__window_done(&window);
}

static void *acknowledge(void *arg)
{
    for (uint64_t token = *(uint64_t *)arg; token < *(uint64_t *)arg + 100000; token++) {
        while (true) { /* its turn comes when it was added */
            pthread_mutex_lock(&window.lock);
            bool added = token < window.next;
            pthread_mutex_unlock(&window.lock);
            if (added) {
                break;
            }
        }
        mesh__window_ack(&window, token, &stored);
    }
    return NULL;
}

TEST(a_publisher_and_an_acknowledger_meet_without_loss)
{
    uint64_t start = 0, token;
    pthread_t thread;
    int64_t last = 0;

    begin();
    CHECK_INT(pthread_create(&thread, NULL, acknowledge, &start), 0);
    for (int64_t id = 1; id <= 100000; id++) {
        while (!mesh__window_add(&window, id, EVENT, &token)) {
            mesh__window_wait(&window, mesh__in_ms(1000));
            last = retire();
        }
    }
    while (last < 100000) {
        int64_t retired;

        mesh__window_wait(&window, mesh__in_ms(1000));
        retired = retire();
        last = retired > 0 ? retired : last;
    }
    CHECK(mesh__window_empty(&window) && !mesh__window_broken(&window));
    CHECK_INT(pthread_join(thread, NULL), 0);
    mesh__window_done(&window);
}

TEST(a_window_that_was_broken_by_a_lack_of_room_says_so)
{
    static const struct broker_ack full = {.error = "no room", .full = true};
    uint64_t first, second;

    begin();
    first = add(1);
    second = add(2);
    mesh__window_ack(&window, first, &full);
    mesh__window_ack(&window, second, &refused);
    CHECK(window.full);
    CHECK_TEXT(window.reason, "no room");
    mesh__window_reset(&window);
    CHECK(!window.full);
    first = add(3);
    second = add(4);
    mesh__window_ack(&window, second, &refused);
    mesh__window_ack(&window, first, &full);
    CHECK(!window.full); /* the first reason counts */
    mesh__window_done(&window);
}

TEST_MAIN(NULL, NULL)
