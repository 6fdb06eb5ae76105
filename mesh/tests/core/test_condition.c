/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"
#include "core/condition.h"
#include "fake_clock.h"
#include "test.h"

struct box {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool full;
};

static void *fill(void *arg)
{
    struct box *box = arg;

    (void)pthread_mutex_lock(&box->mutex);
    box->full = true;
    (void)pthread_cond_signal(&box->changed);
    (void)pthread_mutex_unlock(&box->mutex);
    return NULL;
}

/* Whether the box was full before the deadline. */
static bool wait_for(struct box *box, int64_t deadline_ns)
{
    bool in_time = true;

    (void)pthread_mutex_lock(&box->mutex);
    while (!box->full && in_time) {
        in_time = mesh__condition_wait(&box->changed, &box->mutex, deadline_ns);
    }
    (void)pthread_mutex_unlock(&box->mutex);
    return box->full;
}

static bool is_filled_before(int64_t deadline_ns)
{
    struct box box = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    bool full;

    mesh__condition_init(&box.changed);
    CHECK(pthread_create(&thread, NULL, fill, &box) == 0);
    full = wait_for(&box, deadline_ns);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_cond_destroy(&box.changed) == 0);
    return full;
}

TEST(a_signal_ends_the_wait)
{
    CHECK(is_filled_before(mesh__in_ms(10000)));
}

TEST(a_wait_without_a_deadline_ends_with_the_signal)
{
    CHECK(is_filled_before(MESH_NO_DEADLINE));
}

TEST(the_monotonic_deadline_ends_the_wait)
{
    struct box box = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    int64_t deadline_ns = mesh__in_ms(30);

    mesh__condition_init(&box.changed);
    CHECK(!wait_for(&box, deadline_ns));
    CHECK(mesh__now_ns() >= deadline_ns);
    CHECK(!wait_for(&box, 0)); /* long ago */
    CHECK(pthread_cond_destroy(&box.changed) == 0);
}

TEST(a_wait_by_a_clock_that_stands_ends_at_its_deadline)
{
    const struct mesh_clock *real = mesh__clock;
    struct box box = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    int64_t until_ns;

    mesh__condition_init(&box.changed);
    mesh__clock = &fake_clock;
    fake_ns = 1000 * MESH_NS_PER_S;
    until_ns = mesh__in_ms(INT64_C(3600000000)); /* far beyond any uptime */
    CHECK(!wait_for(&box, until_ns));
    CHECK(mesh__now_ns() == until_ns);
    until_ns = mesh__in_ms(100);
    mesh__sleep_until(until_ns);
    CHECK(mesh__now_ns() == until_ns);
    CHECK(is_filled_before(MESH_NO_DEADLINE)); /* by a thread that is real */
    mesh__clock = real;
    CHECK(pthread_cond_destroy(&box.changed) == 0);
}

TEST(a_sleep_ends_with_its_time)
{
    int64_t until_ns = mesh__in_ms(20);

    mesh__sleep_until(until_ns);
    CHECK(mesh__now_ns() >= until_ns);
}

TEST_MAIN(NULL, NULL)
