/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fake_clock.h"
#include "mesh/id.h"
#include "mesh/time.h"
#include "mesh/validate.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>

static const struct mesh_clock *real;

static int setup(void **state)
{
    (void)state;
    real = mesh__clock;
    return 0;
}

/* The milliseconds that a UUID says. */
static int64_t ms_of(const char *uuid)
{
    char hex[13];

    memcpy(hex, uuid, 8);
    memcpy(hex + 8, uuid + 9, 4);
    hex[12] = '\0';
    return strtoll(hex, NULL, 16);
}

TEST(an_id_is_a_uuid_of_version_7)
{
    char uuid[MESH_UUID_SIZE];

    for (int i = 0; i < 1000; i++) {
        mesh_uuid_v7(uuid);
        CHECK(mesh_is_uuid(uuid));
        CHECK(uuid[14] == '7');
        CHECK(strchr("89ab", uuid[19]) != NULL);
    }
}

TEST(it_says_when_it_was_made)
{
    char uuid[MESH_UUID_SIZE];
    int64_t before = mesh_now_us() / 1000;

    mesh_uuid_v7(uuid);
    CHECK(ms_of(uuid) >= before);
    CHECK(ms_of(uuid) <= mesh_now_us() / 1000 + 1);
}

TEST(ids_of_one_process_are_in_order_of_creation)
{
    char last[MESH_UUID_SIZE];
    char uuid[MESH_UUID_SIZE];

    mesh_uuid_v7(last);
    for (int i = 0; i < 20000; i++) {
        mesh_uuid_v7(uuid);
        CHECK(strcmp(uuid, last) > 0);
        memcpy(last, uuid, sizeof(last));
    }
}

TEST(order_holds_while_the_clock_stands_or_steps_back_a_little)
{
    char last[MESH_UUID_SIZE];
    char uuid[MESH_UUID_SIZE];

    mesh__clock = &fake_clock;
    fake_us = real->wall_us() + INT64_C(60000000);
    mesh_uuid_v7(last);
    for (int i = 0; i < 10000; i++) {
        fake_us -= i % 2;
        mesh_uuid_v7(uuid);
        CHECK(strcmp(uuid, last) > 0);
        memcpy(last, uuid, sizeof(last));
    }
    mesh__clock = real;
}

TEST(a_clock_that_was_set_back_is_followed)
{
    char uuid[MESH_UUID_SIZE];

    mesh__clock = &fake_clock;
    fake_us = real->wall_us() + INT64_C(3600000000);
    mesh_uuid_v7(uuid);
    fake_us = real->wall_us();
    mesh_uuid_v7(uuid);
    CHECK(ms_of(uuid) == fake_us / 1000);
    mesh__clock = real;
}

#define THREADS 4
#define IDS 5000
static char made[THREADS][IDS][MESH_UUID_SIZE];

static void *make_ids(void *arg)
{
    char(*ids)[MESH_UUID_SIZE] = arg;

    for (size_t i = 0; i < IDS; i++) {
        mesh_uuid_v7(ids[i]);
    }
    return NULL;
}

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

TEST(threads_never_make_the_same_id)
{
    pthread_t threads[THREADS];
    char(*all)[MESH_UUID_SIZE] = made[0];

    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, make_ids, made[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    qsort(all, (size_t)THREADS * IDS, sizeof(*all), compare);
    for (size_t i = 1; i < (size_t)THREADS * IDS; i++) {
        CHECK(memcmp(all[i - 1], all[i], 18) != 0); /* not even the same moment */
    }
}

TEST(a_new_id_lives_in_the_context)
{
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    const char *id = mesh_new_id(ctx);

    CHECK(mesh_is_uuid(id));
    CHECK(strcmp(id, mesh_new_id(ctx)) != 0);
}

TEST_MAIN(setup, NULL)
