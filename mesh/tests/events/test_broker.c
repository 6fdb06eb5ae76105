/* SPDX-License-Identifier: Apache-2.0 */
#include "events/broker_handle.h"
#include "events/broker_pending.h"
#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

TEST(a_list_of_servers_is_cut_at_its_commas)
{
    char list[] = "nats://a:1, nats://b:2,,nats://c:3,";
    const char *servers[8];

    CHECK_INT(mesh__broker_split(list, servers, 8), 3);
    CHECK_TEXT(servers[0], "nats://a:1");
    CHECK_TEXT(servers[1], "nats://b:2");
    CHECK_TEXT(servers[2], "nats://c:3");
    CHECK_INT(mesh__broker_split((char[]){""}, servers, 8), 0);
    CHECK_INT(mesh__broker_split((char[]){"a,b,c"}, servers, 2), 2);
}

TEST(a_copied_message_needs_nothing_of_the_original)
{
    char subject[] = "s", id[] = "i", consumer[] = "c";
    uint8_t data[] = {0, 1, 2};
    const struct broker_message from = {.subject = subject,
                                        .id = id,
                                        .consumer = consumer,
                                        .sequence = 7,
                                        .data = data,
                                        .size = sizeof(data)};
    struct broker_message *copy = mesh__broker_message_new(&from);

    subject[0] = id[0] = consumer[0] = 'x';
    data[1] = 9;
    CHECK_TEXT(copy->subject, "s");
    CHECK_TEXT(copy->id, "i");
    CHECK_TEXT(copy->consumer, "c");
    CHECK(copy->sequence == 7 && copy->size == 3 && copy->data[1] == 1 && copy->next == NULL);
    free(copy);
}

TEST(answers_find_their_publications_in_any_order)
{
    struct broker_pending pending;
    char messages[BROKER_WINDOW + 1];
    uint64_t token;

    mesh__pending_init(&pending);
    for (uint64_t i = 0; i < BROKER_WINDOW; i++) {
        CHECK(mesh__pending_add(&pending, &messages[i], 1000 + i));
    }
    CHECK(!mesh__pending_add(&pending, &messages[BROKER_WINDOW], 5));
    CHECK(mesh__pending_take(&pending, &messages[200], &token) && token == 1200);
    CHECK(mesh__pending_take(&pending, &messages[3], &token) && token == 1003);
    CHECK(!mesh__pending_take(&pending, &messages[3], &token));
    CHECK(mesh__pending_add(&pending, &messages[BROKER_WINDOW], 5));
    CHECK(mesh__pending_take(&pending, &messages[BROKER_WINDOW], &token) && token == 5);
    mesh__pending_done(&pending);
}

static struct broker_handle handle;
static atomic_bool left;

static void *use_for_a_while(void *arg)
{
    (void)arg;
    usleep(20000);
    atomic_store(&left, true);
    mesh__handle_leave(&handle);
    return NULL;
}

TEST(a_late_callback_finds_nothing_and_a_running_one_is_waited_for)
{
    pthread_t thread;

    mesh__handle_add(&handle);
    CHECK(mesh__handle_enter(handle.number) == &handle);
    CHECK(mesh__handle_enter(handle.number + 1) == NULL);
    CHECK_INT(pthread_create(&thread, NULL, use_for_a_while, NULL), 0);
    mesh__handle_remove(&handle);
    CHECK(atomic_load(&left));
    CHECK(mesh__handle_enter(handle.number) == NULL);
    CHECK_INT(pthread_join(thread, NULL), 0);
}

TEST_MAIN(NULL, NULL)
