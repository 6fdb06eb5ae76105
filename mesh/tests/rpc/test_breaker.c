/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker, step by step on a clock that stands. */
#include "../core/fake_clock.h"
#include "rpc/breaker.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static struct mesh__breaker_change last_change;
static int n_changes;

static void note_change(void *arg, const struct mesh__breaker_change *change)
{
    CHECK(arg == &n_changes);
    last_change = *change;
    n_changes++;
}

static struct mesh__breaker *new_breaker(const struct mesh__breaker_settings *settings)
{
    n_changes = 0;
    return mesh__breaker_new(settings, note_change, &n_changes);
}

static void pass_ms(int64_t ms)
{
    fake_ns += ms * MESH_NS_PER_MS;
}

/* A call that takes so long. */
static bool call(struct mesh__breaker *breaker, enum mesh__breaker_outcome outcome, int64_t ms)
{
    struct mesh__breaker_pass pass;
    int64_t retry_ms;

    if (!mesh__breaker_admit(breaker, &pass, &retry_ms)) {
        return false;
    }
    pass_ms(ms);
    mesh__breaker_report(breaker, &pass, outcome);
    return true;
}

static const struct mesh__breaker_settings in_a_row = {
    .consecutive_failures = 3, .open_ms = 1000, .window_ms = 10000, .half_open_calls = 2};
static const struct mesh__breaker_settings by_rate = {.failure_rate_percent = 50,
                                                      .slow_call_rate_percent = 40,
                                                      .slow_call_ms = 100,
                                                      .window_ms = 10000,
                                                      .minimum_calls = 10,
                                                      .open_ms = 1000,
                                                      .half_open_calls = 1};

/* ---- closed ------------------------------------------------------------------------------- */

/*
 * Each letter is a call: s(uccess), f(ailure), r(efusal), n(othing), S(low success), F(slow
 * failure), '.' a second. The last one opens it, and no other, if a reason is given.
 */
static const struct {
    const struct mesh__breaker_settings *settings;
    const char *calls;
    const char *reason;
} closed_rows[] = {
    {&in_a_row, "fff", "failures in a row"},
    {&in_a_row, "ffsff", NULL},
    {&in_a_row, "ffsfff", "failures in a row"},
    {&in_a_row, "frnrf.........n.rf", "failures in a row"}, /* what counts nowhere is no success */
    {&in_a_row, "rrrrrrnnnnn", NULL},
    {&in_a_row, "SSSSSSSSSSSSS", NULL}, /* nobody asked for slow ones */
    {&by_rate, "fffffffff", NULL},      /* too few */
    {&by_rate, "ffffffffff", "failure rate"},
    {&by_rate, "fffffsssss", "failure rate"}, /* just enough, by a success */
    {&by_rate, "ffffsssssssf", NULL},         /* 5 of 12 */
    {&by_rate, "fffffffff..........f", NULL}, /* the others are out of the window */
    {&by_rate, "ffff.....sssssf", "failure rate"},
    {&by_rate, "fffffrrrrrnnnnn", NULL},
    {&by_rate, "ssssssSSSS", "slow call rate"},
    {&by_rate, "sssssssSSSs", NULL},
    {&by_rate, "ssssssFFFF", "slow call rate"}, /* a failure may be slow, too */
};

static void make_calls(struct mesh__breaker *breaker, const char *calls)
{
    for (const char *at = calls; *at != '\0'; at++) {
        static const char letters[] = "sfrnSF";
        static const enum mesh__breaker_outcome outcomes[] = {
            MESH__BREAKER_SUCCESS, MESH__BREAKER_FAILURE, MESH__BREAKER_REFUSAL,
            MESH__BREAKER_NOTHING, MESH__BREAKER_SUCCESS, MESH__BREAKER_FAILURE};
        size_t letter = strcspn(letters, (char[]){*at, '\0'});

        CHECK_INT(n_changes, 0); /* not too early */
        if (*at == '.') {
            pass_ms(1000);
        } else {
            CHECK(call(breaker, outcomes[letter], letter >= 4 ? 100 : 99));
        }
    }
}

TEST(what_opens_it_and_what_does_not)
{
    for (size_t i = 0; i < sizeof(closed_rows) / sizeof(closed_rows[0]); i++) {
        const char *reason = closed_rows[i].reason;
        struct mesh__breaker *breaker = new_breaker(closed_rows[i].settings);

        (void)fprintf(stderr, "%s\n", closed_rows[i].calls);
        make_calls(breaker, closed_rows[i].calls);
        CHECK_INT(n_changes, reason != NULL);
        CHECK_INT(mesh__breaker_look(breaker).state,
                  reason != NULL ? MESH__BREAKER_OPEN : MESH__BREAKER_CLOSED);
        if (reason != NULL) {
            CHECK_TEXT(last_change.reason, reason);
            CHECK(last_change.from == MESH__BREAKER_CLOSED && last_change.to == MESH__BREAKER_OPEN);
        }
        mesh__breaker_free(breaker);
    }
}

TEST(without_limits_it_never_opens)
{
    static const struct mesh__breaker_settings off = {.window_ms = 1000, .open_ms = 1000};
    struct mesh__breaker *breaker = new_breaker(&off);

    for (int i = 0; i < 1000; i++) {
        CHECK(call(breaker, MESH__BREAKER_FAILURE, 10));
    }
    CHECK_INT(n_changes, 0);
    mesh__breaker_free(breaker);
}

TEST(a_change_tells_the_numbers_behind_it)
{
    struct mesh__breaker *breaker = new_breaker(&by_rate);

    make_calls(breaker, "SFfffffsss");
    CHECK_INT(last_change.calls, 10);
    CHECK_INT(last_change.failures, 6);
    CHECK_INT(last_change.slow, 2);
    CHECK_INT(last_change.in_a_row, 0);
    mesh__breaker_free(breaker);
}

/* ---- open and half-open ------------------------------------------------------------------- */

static struct mesh__breaker *opened(const struct mesh__breaker_settings *settings)
{
    struct mesh__breaker *breaker = new_breaker(settings);

    while (n_changes == 0) {
        CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    }
    n_changes = 0;
    return breaker;
}

TEST(while_it_is_open_nothing_passes_and_the_caller_learns_how_long)
{
    static const struct {
        int64_t after_us, retry_ms;
    } rows[] = {{0, 1000}, {1, 1000}, {999, 1000}, {1000, 999}, {999000, 1}, {999999, 1}};
    struct mesh__breaker *breaker = opened(&in_a_row);
    int64_t opened_ns = fake_ns;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mesh__breaker_pass pass;
        int64_t retry_ms = 0;

        fake_ns = opened_ns + rows[i].after_us * 1000;
        CHECK(!mesh__breaker_admit(breaker, &pass, &retry_ms));
        CHECK_INT(retry_ms, rows[i].retry_ms);
    }
    CHECK_INT(n_changes, 0);
    mesh__breaker_free(breaker);
}

TEST(after_its_time_some_probes_pass_and_their_success_closes_it)
{
    struct mesh__breaker *breaker = opened(&in_a_row);
    struct mesh__breaker_pass passes[2];
    struct mesh__breaker_pass none;
    int64_t retry_ms = 0;

    pass_ms(1000);
    CHECK(mesh__breaker_admit(breaker, &passes[0], &retry_ms));
    CHECK(n_changes == 1 && last_change.to == MESH__BREAKER_HALF_OPEN);
    CHECK_TEXT(mesh__breaker_name(last_change.to), "half-open");
    CHECK(mesh__breaker_admit(breaker, &passes[1], &retry_ms));
    CHECK(!mesh__breaker_admit(breaker, &none, &retry_ms));
    CHECK(retry_ms >= 1);
    CHECK_INT(mesh__breaker_look(breaker).probes, 2);
    mesh__breaker_report(breaker, &passes[1], MESH__BREAKER_SUCCESS);
    CHECK(!mesh__breaker_admit(breaker, &none, &retry_ms)); /* as many as there should be */
    mesh__breaker_report(breaker, &passes[0], MESH__BREAKER_SUCCESS);
    CHECK(n_changes == 2 && last_change.to == MESH__BREAKER_CLOSED);
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0)); /* it counts from zero */
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    CHECK_INT(n_changes, 2);
    mesh__breaker_free(breaker);
}

TEST(a_probe_that_fails_opens_it_for_the_whole_time_again)
{
    struct mesh__breaker *breaker = opened(&in_a_row);

    pass_ms(1000);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 5));
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 5));
    CHECK(n_changes == 2 && last_change.to == MESH__BREAKER_OPEN);
    CHECK_TEXT(last_change.reason, "a probe has failed");
    pass_ms(999);
    CHECK(!call(breaker, MESH__BREAKER_SUCCESS, 0));
    pass_ms(1);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 0)); /* the success before has no part in it */
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_HALF_OPEN);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 0));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_free(breaker);
}

TEST(a_slow_probe_opens_it_where_slow_calls_count)
{
    struct mesh__breaker *breaker = opened(&by_rate);

    pass_ms(1000);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 100));
    CHECK_TEXT(last_change.reason, "a probe was slow");
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_OPEN);
    pass_ms(1000);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 99));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_free(breaker);
}

TEST(closed_again_it_counts_from_zero)
{
    struct mesh__breaker *breaker = opened(&by_rate);

    pass_ms(1000);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 0));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    n_changes = 0;
    make_calls(breaker, "fffffffff");
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    CHECK_INT(mesh__breaker_look(breaker).calls, 9);
    mesh__breaker_free(breaker);
}

TEST(a_refusal_shows_that_the_peer_is_there)
{
    struct mesh__breaker *breaker = opened(&in_a_row);

    pass_ms(1000);
    CHECK(call(breaker, MESH__BREAKER_REFUSAL, 5));
    CHECK(call(breaker, MESH__BREAKER_REFUSAL, 5));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_free(breaker);
}

TEST(a_probe_that_says_nothing_makes_room_for_the_next)
{
    struct mesh__breaker *breaker = opened(&in_a_row);

    pass_ms(1000);
    for (int i = 0; i < 10; i++) {
        CHECK(call(breaker, MESH__BREAKER_NOTHING, 1));
    }
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_HALF_OPEN);
    mesh__breaker_free(breaker);
}

TEST(probes_that_never_come_back_hold_it_up_for_the_open_time_at_most)
{
    struct mesh__breaker *breaker = opened(&in_a_row);
    struct mesh__breaker_pass lost[2];
    struct mesh__breaker_pass next[2];
    struct mesh__breaker_pass none;
    int64_t retry_ms;

    pass_ms(1000);
    CHECK(mesh__breaker_admit(breaker, &lost[0], &retry_ms));
    pass_ms(300);
    CHECK(mesh__breaker_admit(breaker, &lost[1], &retry_ms));
    pass_ms(999);
    CHECK(!mesh__breaker_admit(breaker, &none, &retry_ms));
    CHECK_INT(retry_ms, 1);
    pass_ms(1);
    CHECK(mesh__breaker_admit(breaker, &next[0], &retry_ms));
    CHECK(mesh__breaker_admit(breaker, &next[1], &retry_ms));
    CHECK(!mesh__breaker_admit(breaker, &none, &retry_ms));
    /* One that says nothing so late gives back no place that is no longer its own. */
    mesh__breaker_report(breaker, &lost[0], MESH__BREAKER_NOTHING);
    CHECK(!mesh__breaker_admit(breaker, &none, &retry_ms));
    /* What only took long says something after all. */
    mesh__breaker_report(breaker, &lost[1], MESH__BREAKER_SUCCESS);
    mesh__breaker_report(breaker, &next[0], MESH__BREAKER_SUCCESS);
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_report(breaker, &next[1], MESH__BREAKER_FAILURE); /* of an earlier state */
    CHECK_INT(mesh__breaker_look(breaker).in_a_row, 0);
    mesh__breaker_free(breaker);
}

TEST(calls_of_an_earlier_state_say_nothing)
{
    static const enum mesh__breaker_outcome outcomes[] = {MESH__BREAKER_SUCCESS,
                                                          MESH__BREAKER_FAILURE};

    for (size_t i = 0; i < 2; i++) {
        struct mesh__breaker *breaker = new_breaker(&in_a_row);
        struct mesh__breaker_pass old[2];
        int64_t retry_ms;

        CHECK(mesh__breaker_admit(breaker, &old[0], &retry_ms));
        CHECK(mesh__breaker_admit(breaker, &old[1], &retry_ms));
        while (n_changes == 0) {
            CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
        }
        mesh__breaker_report(breaker, &old[0], outcomes[i]);
        CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_OPEN);
        pass_ms(1000);
        CHECK(call(breaker, MESH__BREAKER_SUCCESS, 0));
        mesh__breaker_report(breaker, &old[1], outcomes[i]);
        CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_HALF_OPEN);
        mesh__breaker_free(breaker);
    }
}

/* ---- other settings ----------------------------------------------------------------------- */

TEST(other_settings_keep_what_was_counted)
{
    struct mesh__breaker_settings settings = in_a_row;
    struct mesh__breaker *breaker = new_breaker(&settings);

    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    settings.consecutive_failures = 4;
    settings.window_ms = 20000;
    mesh__breaker_set(breaker, &settings);
    CHECK_INT(mesh__breaker_look(breaker).failures, 2);
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    CHECK_INT(n_changes, 0);
    settings.window_ms = 2000;
    mesh__breaker_set(breaker, &settings);
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    CHECK_INT(n_changes, 1);
    settings.open_ms = 50; /* holds for a time that has begun */
    mesh__breaker_set(breaker, &settings);
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_OPEN);
    pass_ms(50);
    CHECK(call(breaker, MESH__BREAKER_SUCCESS, 0));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_HALF_OPEN);
    settings.half_open_calls = 1; /* so many have succeeded */
    mesh__breaker_set(breaker, &settings);
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_free(breaker);
}

TEST(switched_off_it_closes)
{
    static const struct mesh__breaker_settings off = {.window_ms = 1000};
    struct mesh__breaker *breaker = opened(&in_a_row);

    mesh__breaker_set(breaker, &off);
    CHECK_TEXT(last_change.reason, "switched off");
    CHECK(call(breaker, MESH__BREAKER_FAILURE, 0));
    CHECK_INT(mesh__breaker_look(breaker).state, MESH__BREAKER_CLOSED);
    mesh__breaker_free(breaker);
}

/* ---- threads ------------------------------------------------------------------------------ */

#define N_THREADS 8

static struct mesh__breaker *shared;
static _Atomic int n_passed;

static void *call_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        struct mesh__breaker_pass pass;
        int64_t retry_ms;

        if (mesh__breaker_admit(shared, &pass, &retry_ms)) {
            atomic_fetch_add(&n_passed, 1);
            mesh__breaker_report(shared, &pass, MESH__BREAKER_FAILURE);
        }
        if (i % 100 == 0) {
            mesh__breaker_set(shared, &in_a_row);
        }
    }
    return NULL;
}

TEST(many_threads_that_fail_open_it_once)
{
    pthread_t threads[N_THREADS];

    shared = new_breaker(&in_a_row);
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, call_often, NULL), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK_INT(n_changes, 1);
    /* Those that were under way when the third one failed. */
    CHECK(n_passed >= 3 && n_passed < 3 + N_THREADS);
    mesh__breaker_free(shared);
}

static int set_up(void **state)
{
    (void)state;
    mesh__clock = &fake_clock;
    fake_ns = 1000 * MESH_NS_PER_S;
    return 0;
}

TEST_MAIN(set_up, NULL)
