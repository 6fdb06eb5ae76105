/* SPDX-License-Identifier: Apache-2.0 */
/* Which endpoints are chosen, and how often, with a randomness that is the same each time. */
#include "../core/fake_clock.h"
#include "rpc/endpoint_choice.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

#define N 4
#define MANY 8000

static struct mesh__endpoint endpoints[N];
static struct mesh__endpoint *all[N];
static struct mesh__ejection *ejection;
static _Atomic uint64_t turn;
static bool panic;

static _Atomic uint64_t seed = 1;

static void same_random(void *bytes, size_t size)
{
    unsigned char *at = bytes;
    uint64_t x = seed;

    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        at[i] = (unsigned char)(x >> 24);
    }
    seed = x;
}

static const struct mesh_clock same_clock = {fake_monotonic_ns, fake_wall_us, same_random,
                                             fake_wait};

static struct mesh__endpoint_choice among(enum mesh__load_balancer balancer)
{
    return (struct mesh__endpoint_choice){
        .endpoints = all, .n = N, .balancer = balancer, .ejection = ejection, .turn = &turn};
}

/* "r": ready, "e": ready but ejected, "d": down. One letter for each. */
static void begin(const char *states, int64_t min_health_percent)
{
    struct mesh__ejection_settings settings = {.consecutive_5xx = 1,
                                               .interval_ms = 1000,
                                               .base_ms = 1000,
                                               .max_percent = 100,
                                               .min_health_percent = min_health_percent};

    memset(endpoints, 0, sizeof(endpoints));
    ejection = mesh__ejection_new(&settings, NULL, NULL);
    for (size_t i = 0; i < N; i++) {
        all[i] = &endpoints[i];
        mesh__ejection_add(ejection, &endpoints[i].ejection);
        atomic_store(&endpoints[i].ready, states[i] != 'd');
        if (states[i] == 'e') {
            mesh__ejection_report(ejection, &endpoints[i].ejection, MESH__EJECTION_5XX);
        }
    }
}

static void end(void)
{
    for (size_t i = 0; i < N; i++) {
        mesh__ejection_remove(ejection, &endpoints[i].ejection);
    }
    mesh__ejection_free(ejection);
}

/* How often each is chosen; the attempts end at once. */
static void count(const struct mesh__endpoint_choice *choice, int counts[N])
{
    memset(counts, 0, N * sizeof(counts[0]));
    for (int i = 0; i < MANY; i++) {
        struct mesh__endpoint *chosen = mesh__endpoint_choose(choice, &panic);

        if (chosen != NULL) {
            counts[chosen - endpoints]++;
            mesh__endpoint_leave(chosen);
        }
    }
}

static bool near(int count, int expected)
{
    return count > expected * 9 / 10 && count < expected * 11 / 10;
}

/* One letter for each endpoint. */
struct who {
    const char *states;
    int64_t min_health_percent;
    const char *tried;  /* "1": yes */
    const char *chosen; /* "1": as often as the others */
    bool panic;
};

static void check_who(const struct who *who, struct mesh__endpoint_choice choice)
{
    struct mesh__endpoint *tried[N];
    int n_chosen = 0;
    int counts[N];

    choice.tried = tried;
    for (size_t i = 0; i < N; i++) {
        if (who->tried[i] == '1') {
            tried[choice.n_tried++] = &endpoints[i];
        }
        n_chosen += who->chosen[i] - '0';
    }
    count(&choice, counts);
    CHECK(panic == who->panic);
    for (size_t i = 0; i < N; i++) {
        CHECK(who->chosen[i] == '1' ? near(counts[i], MANY / n_chosen) : counts[i] == 0);
    }
}

TEST(who_can_be_chosen)
{
    static const struct who rows[] = {
        {"rrrr", 0, "0000", "1111", false},
        {"rdrr", 0, "0000", "1011", false},
        {"rerr", 0, "0000", "1011", false},
        {"dddd", 0, "0000", "0000", false},
        {"eeee", 0, "0000", "1111", true}, /* all are ejected: as if none were */
        {"eded", 0, "0000", "1010", true},
        {"erre", 50, "0000", "0110", false}, /* half of them are left */
        {"erde", 50, "0000", "1101", true},  /* too few */
        {"erde", 0, "0000", "0100", false},
        {"rrrr", 0, "1000", "0111", false},
        {"rrrr", 0, "1101", "0010", false},
        {"rrrr", 0, "1111", "1111", false}, /* nobody else is left */
        {"rder", 0, "1001", "1001", false}, /* rather again than one that is ejected */
        {"rddd", 0, "1000", "1000", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(rows[i].states, rows[i].min_health_percent);
        check_who(&rows[i], among(MESH__LEAST_REQUEST));
        check_who(&rows[i], among(MESH__ROUND_ROBIN));
        end();
    }
}

TEST(without_endpoints_none_is_chosen)
{
    struct mesh__endpoint_choice choice = among(MESH__LEAST_REQUEST);

    begin("rrrr", 0);
    choice.ejection = ejection;
    choice.n = 0;
    CHECK(mesh__endpoint_choose(&choice, &panic) == NULL);
    end();
}

TEST(round_robin_goes_round)
{
    struct mesh__endpoint_choice choice;

    begin("rdrr", 0);
    choice = among(MESH__ROUND_ROBIN);
    turn = 0;
    for (size_t i = 0; i < 12; i++) {
        static const size_t expected[] = {0, 2, 3};

        CHECK(mesh__endpoint_choose(&choice, &panic) == &endpoints[expected[i % 3]]);
    }
    end();
}

TEST(least_request_shuns_the_busy_ones)
{
    struct mesh__endpoint_choice choice;
    int counts[N];

    begin("rrrr", 0);
    choice = among(MESH__LEAST_REQUEST);
    atomic_store(&endpoints[0].in_flight, 5);
    count(&choice, counts);
    CHECK_INT(counts[0], 0); /* in every pair the other one is less busy */
    CHECK(near(counts[1], MANY / 3) && near(counts[2], MANY / 3) && near(counts[3], MANY / 3));
    atomic_store(&endpoints[1].in_flight, 3);
    count(&choice, counts);
    CHECK(near(counts[1], MANY / 6)); /* it wins against the first one alone */
    atomic_store(&endpoints[0].in_flight, 0);
    atomic_store(&endpoints[1].in_flight, 0);
    end();
}

TEST(of_three_the_least_busy_is_chosen)
{
    struct mesh__endpoint_choice choice;
    int counts[N];

    begin("rrrd", 0);
    choice = among(MESH__LEAST_REQUEST);
    atomic_store(&endpoints[0].in_flight, 5);
    atomic_store(&endpoints[1].in_flight, 3);
    count(&choice, counts);
    CHECK_INT(counts[2], MANY);
    atomic_store(&endpoints[1].in_flight, 0);
    count(&choice, counts);
    CHECK(near(counts[1], MANY / 2) && near(counts[2], MANY / 2));
    atomic_store(&endpoints[0].in_flight, 0);
    end();
}

/* One of four takes twenty times as long: attempts that last pile up there, and it gets few. */
TEST(a_slow_endpoint_gets_few_attempts)
{
    enum { SLOW_ROUNDS = 40, ROUNDS = 4000 };
    static struct mesh__endpoint *running[SLOW_ROUNDS][2];
    struct mesh__endpoint_choice choice;
    int counts[N] = {0};

    begin("rrrr", 0);
    choice = among(MESH__LEAST_REQUEST);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            struct mesh__endpoint **slow = &running[round % SLOW_ROUNDS][i];
            struct mesh__endpoint **quick = &running[(round + SLOW_ROUNDS - 2) % SLOW_ROUNDS][i];

            if (*slow != NULL) {
                mesh__endpoint_leave(*slow);
            }
            *slow = mesh__endpoint_choose(&choice, &panic);
            counts[*slow - endpoints]++;
            if (*quick != NULL && *quick != &endpoints[0]) {
                mesh__endpoint_leave(*quick);
                *quick = NULL;
            }
        }
    }
    CHECK(counts[0] > 0 && counts[0] < ROUNDS * 2 / N / 3);
    end();
}

TEST(an_burdens_attempt_weighs_for_some_seconds_after_its_end)
{
    struct mesh__endpoint_choice choice;
    int counts[N];

    begin("rrrr", 0);
    choice = among(MESH__LEAST_REQUEST);
    mesh__endpoint_burden(&endpoints[1]);
    mesh__endpoint_burden(&endpoints[1]);
    count(&choice, counts);
    CHECK_INT(counts[1], 0); /* the others are idle */
    for (size_t i = 0; i < N; i++) {
        atomic_store(&endpoints[i].in_flight, i == 1 ? 1 : 4);
    }
    count(&choice, counts);
    CHECK(near(counts[1], MANY / 2)); /* whenever it is one of the two, and it still has less */
    for (size_t i = 0; i < N; i++) {
        atomic_store(&endpoints[i].in_flight, 0);
    }
    fake_ns += 6000 * MESH_NS_PER_MS;
    count(&choice, counts);
    CHECK(near(counts[1], MANY / N));
    mesh__endpoint_burden(&endpoints[1]); /* those before are forgotten */
    CHECK_INT(atomic_load(&endpoints[1].n_burdens), 1);
    end();
}

TEST(an_ejected_one_is_chosen_again_when_its_time_is_over)
{
    struct mesh__endpoint_choice choice;
    int counts[N];

    begin("errr", 0);
    choice = among(MESH__LEAST_REQUEST);
    count(&choice, counts);
    CHECK_INT(counts[0], 0);
    fake_ns += 1000 * MESH_NS_PER_MS;
    count(&choice, counts);
    CHECK(near(counts[0], MANY / N));
    end();
}

/* ---- threads ------------------------------------------------------------------------------ */

#define N_THREADS 8

static void *choose_often(void *arg)
{
    const struct mesh__endpoint_choice *choice = arg;

    for (int i = 0; i < 3000; i++) {
        bool panics;
        struct mesh__endpoint *chosen = mesh__endpoint_choose(choice, &panics);

        if (i % 10 == 0) {
            atomic_store(&endpoints[0].ready, i % 20 == 0);
        }
        if (chosen != NULL) {
            mesh__ejection_report(ejection, &chosen->ejection,
                                  i % 5 == 0 ? MESH__EJECTION_5XX : MESH__EJECTION_GOOD);
            mesh__endpoint_leave(chosen);
        }
    }
    return NULL;
}

TEST(many_threads_choose_while_endpoints_change)
{
    pthread_t threads[N_THREADS];
    struct mesh__endpoint_choice choice;

    begin("rrrr", 50);
    choice = among(MESH__LEAST_REQUEST);
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, choose_often, &choice), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < N; i++) {
        CHECK_INT(endpoints[i].in_flight, 0);
    }
    end();
}

static int set_up(void **state)
{
    (void)state;
    mesh__clock = &same_clock;
    fake_ns = 1000 * MESH_NS_PER_S;
    return 0;
}

TEST_MAIN(set_up, NULL)
