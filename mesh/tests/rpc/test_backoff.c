/* SPDX-License-Identifier: Apache-2.0 */
/* How long a retry waits. */
#include "../core/fake_clock.h"
#include "rpc/backoff.h"
#include "test.h"

static const int64_t largest_ms[] = {25, 50, 100, 200, 250, 250, 250};
#define N (sizeof(largest_ms) / sizeof(largest_ms[0]))

TEST(any_time_up_to_a_base_that_doubles_up_to_tenfold)
{
    int64_t most_ns[N] = {0};
    int64_t least_ns[N];

    memset(least_ns, 0x7f, sizeof(least_ns));
    for (int call = 0; call < 2000; call++) {
        struct mesh__backoff backoff = {.base_ms = 25};

        for (size_t i = 0; i < N; i++) {
            int64_t ns = mesh__backoff_ns(&backoff);

            CHECK(ns >= 0 && ns <= largest_ms[i] * MESH_NS_PER_MS);
            most_ns[i] = ns > most_ns[i] ? ns : most_ns[i];
            least_ns[i] = ns < least_ns[i] ? ns : least_ns[i];
        }
    }
    for (size_t i = 0; i < N; i++) { /* that none of 2000 comes near: 0.95^2000 */
        CHECK(most_ns[i] > largest_ms[i] * MESH_NS_PER_MS / 100 * 95);
        CHECK(least_ns[i] < largest_ms[i] * MESH_NS_PER_MS / 100 * 5);
    }
}

TEST(the_jitter_comes_from_the_seam)
{
    const struct mesh_clock *real = mesh__clock;
    struct mesh__backoff backoff = {.base_ms = 25};

    mesh__clock = &fake_clock;
    fake_byte = 0;
    CHECK_INT(mesh__backoff_ns(&backoff), 0);
    mesh__clock = real;
}

TEST(the_peer_says_how_long_or_not_at_all)
{
    static const struct {
        const char *value;
        int64_t ms; /* -1: not at all */
    } rows[] = {{"0", 0},      {"1", 1},   {"1500", 1500},     {"-1", -1},
                {"-2000", -1}, {"", -1},   {"soon", -1},       {"99999999999999999999", -1},
                {"1.5", -1},   {" 1", -1}, {"100000", 100000}, {"100001", -1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mesh__backoff backoff = {.base_ms = 25};
        int64_t ns = -1;

        CHECK(mesh__backoff_pushback(&backoff, rows[i].value, &ns) == (rows[i].ms >= 0));
        CHECK(ns == (rows[i].ms >= 0 ? rows[i].ms * MESH_NS_PER_MS : -1));
    }
}

TEST(after_the_peers_word_the_pauses_begin_again)
{
    struct mesh__backoff backoff = {.base_ms = 25};
    int64_t ns;

    for (int i = 0; i < 500; i++) {
        (void)mesh__backoff_ns(&backoff);
        (void)mesh__backoff_ns(&backoff);
        (void)mesh__backoff_ns(&backoff);
        CHECK(mesh__backoff_pushback(&backoff, "10", &ns));
        CHECK(mesh__backoff_ns(&backoff) <= 25 * MESH_NS_PER_MS);
    }
}

TEST_MAIN(NULL, NULL)
