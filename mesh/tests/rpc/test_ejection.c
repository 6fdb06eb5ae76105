/* SPDX-License-Identifier: Apache-2.0 */
/* Ejection of endpoints on a clock that stands. */
#include "../core/fake_clock.h"
#include "rpc/ejection.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define N_HOSTS 10

static struct mesh__ejection *ejection;
static struct mesh__ejection_host hosts[N_HOSTS];
static size_t n_members;
static int n_ejections, n_returns;
static int64_t last_for_ms;
static struct mesh__ejection_host *last_host;

static const struct mesh__ejection_settings common = {.consecutive_5xx = 3,
                                                      .consecutive_gateway_errors = 2,
                                                      .interval_ms = 1000,
                                                      .base_ms = 3000,
                                                      .max_percent = 50};

static void note_change(void *arg, struct mesh__ejection_host *host, int64_t for_ms)
{
    CHECK(arg == hosts);
    CHECK(atomic_load(&host->ejected) == (for_ms > 0));
    n_ejections += for_ms > 0 ? 1 : 0;
    n_returns += for_ms > 0 ? 0 : 1;
    last_for_ms = for_ms;
    last_host = host;
}

static void begin(const struct mesh__ejection_settings *settings, size_t n)
{
    memset(hosts, 0, sizeof(hosts));
    n_ejections = 0;
    n_returns = 0;
    n_members = n;
    ejection = mesh__ejection_new(settings, note_change, hosts);
    for (size_t i = 0; i < n; i++) {
        mesh__ejection_add(ejection, &hosts[i]);
    }
}

static void end(void)
{
    for (size_t i = 0; i < n_members; i++) {
        mesh__ejection_remove(ejection, &hosts[i]);
    }
    mesh__ejection_free(ejection);
}

static void report(size_t host, enum mesh__ejection_result result, int times)
{
    for (int i = 0; i < times; i++) {
        mesh__ejection_report(ejection, &hosts[host], result);
    }
}

static void pass_ms(int64_t ms)
{
    fake_ns += ms * MESH_NS_PER_MS;
    mesh__ejection_sweep(ejection);
}

/* ---- what counts -------------------------------------------------------------------------- */

TEST(errors_in_a_row_eject)
{
    /* g(ood), 5(xx), w: gateway, b(oth), n(othing); the last one ejects, and no other. */
    static const struct {
        const char *results;
        bool ejects;
    } rows[] = {
        {"555", true},    {"55", false},  {"55g55", false},   {"55g555", true},
        {"ww", true},     {"w", false},   {"wgw", false},     {"w5w", false}, /* not in a row */
        {"5w5w", false},  {"55w5", true}, /* a gateway error is no success */
        {"bb", true},     {"55b", true},  {"wb", true},       {"5b5", true},
        {"5nn5n5", true}, {"wnw", true},  {"nnnnnnn", false}, {"ggggggg", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&common, 4);
        (void)fprintf(stderr, "%s\n", rows[i].results);
        for (const char *at = rows[i].results; *at != '\0'; at++) {
            CHECK_INT(n_ejections, 0);
            report(0, (enum mesh__ejection_result)strcspn("g5wbn", (char[]){*at, '\0'}), 1);
            report(1, MESH__EJECTION_GOOD, 1); /* others do not matter */
        }
        CHECK_INT(n_ejections, rows[i].ejects);
        CHECK(atomic_load(&hosts[0].ejected) == rows[i].ejects);
        end();
    }
}

TEST(without_limits_nobody_is_ejected)
{
    struct mesh__ejection_settings settings = common;

    settings.consecutive_5xx = 0;
    settings.consecutive_gateway_errors = 0;
    begin(&settings, 4);
    report(0, MESH__EJECTION_BOTH, 100);
    CHECK_INT(n_ejections, 0);
    end();
}

/* ---- how many ----------------------------------------------------------------------------- */

TEST(no_more_are_ejected_than_the_percentage_allows)
{
    static const struct {
        int64_t max_percent;
        size_t n_hosts;
        int ejected;
    } rows[] = {{50, 1, 0},  {50, 2, 1},  {50, 3, 1},  {50, 4, 2}, {50, 10, 5}, {10, 9, 0},
                {10, 10, 1}, {100, 1, 1}, {100, 3, 3}, {0, 10, 0}, {34, 3, 1},  {33, 3, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mesh__ejection_settings settings = common;

        settings.max_percent = rows[i].max_percent;
        begin(&settings, rows[i].n_hosts);
        for (size_t host = 0; host < rows[i].n_hosts; host++) {
            report(host, MESH__EJECTION_BOTH, 10);
        }
        CHECK_INT(n_ejections, rows[i].ejected);
        CHECK_INT(mesh__ejection_n_ejected(ejection), rows[i].ejected);
        end();
    }
}

TEST(one_that_fails_on_is_ejected_once_there_is_room)
{
    begin(&common, 2);
    report(0, MESH__EJECTION_BOTH, 2);
    report(1, MESH__EJECTION_BOTH, 5);
    CHECK_INT(n_ejections, 1);
    pass_ms(3000);
    CHECK_INT(n_returns, 1);
    report(1, MESH__EJECTION_BOTH, 1);
    CHECK(n_ejections == 2 && last_host == &hosts[1]);
    end();
}

TEST(ejection_is_ignored_when_too_few_are_left)
{
    static const struct {
        int64_t min_health_percent;
        size_t n_hosts, n_healthy;
        bool panics;
    } rows[] = {{0, 3, 0, true},  {0, 3, 1, false},  {50, 4, 2, false},
                {50, 4, 1, true}, {100, 3, 2, true}, {100, 3, 3, false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mesh__ejection_settings settings = common;

        settings.min_health_percent = rows[i].min_health_percent;
        begin(&settings, 0);
        CHECK(mesh__ejection_panics(ejection, rows[i].n_hosts, rows[i].n_healthy) ==
              rows[i].panics);
        end();
    }
}

/* ---- how long ----------------------------------------------------------------------------- */

TEST(who_comes_back_does_so_at_the_end_of_an_interval)
{
    static const struct {
        int64_t ejected_after_ms; /* the start */
        int64_t back_after_ms;
    } rows[] = {{0, 3000}, {1, 4000}, {400, 4000}, {999, 4000}, {1000, 4000}, {1001, 5000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t start_ns = fake_ns;

        begin(&common, 4);
        pass_ms(rows[i].ejected_after_ms);
        report(0, MESH__EJECTION_BOTH, 2);
        CHECK_INT(last_for_ms, 3000);
        fake_ns = start_ns + rows[i].back_after_ms * MESH_NS_PER_MS - 1;
        mesh__ejection_sweep(ejection);
        CHECK(atomic_load(&hosts[0].ejected));
        fake_ns++;
        mesh__ejection_sweep(ejection);
        CHECK(!atomic_load(&hosts[0].ejected));
        CHECK(n_returns == 1 && last_host == &hosts[0]);
        end();
    }
}

TEST(each_time_is_longer_up_to_the_longest)
{
    static const struct {
        int64_t base_ms, longest_ms;
    } rows[] = {{30000, 300000}, {70000, 300000}, {400000, 400000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mesh__ejection_settings settings = common;

        settings.base_ms = rows[i].base_ms;
        begin(&settings, 4);
        for (int64_t time = 1; time < 20; time++) {
            int64_t for_ms = time * rows[i].base_ms;

            report(0, MESH__EJECTION_BOTH, 2);
            CHECK_INT(n_ejections, time);
            CHECK_INT(last_for_ms, for_ms < rows[i].longest_ms ? for_ms : rows[i].longest_ms);
            pass_ms(last_for_ms);
            CHECK_INT(n_returns, time);
        }
        end();
    }
}

TEST(good_intervals_make_the_next_time_shorter)
{
    /* Whether one looks often or once comes to the same. */
    for (int looks = 0; looks < 2; looks++) {
        begin(&common, 4);
        for (int i = 0; i < 4; i++) {
            report(0, MESH__EJECTION_BOTH, 2);
            pass_ms((i + 1) * common.base_ms);
        }
        CHECK_INT(n_returns, 4);
        for (int i = 0; i < 2 && looks == 1; i++) {
            pass_ms(1000);
        }
        pass_ms(looks == 1 ? 0 : 2000);
        report(0, MESH__EJECTION_BOTH, 2);
        CHECK_INT(last_for_ms, 3 * common.base_ms);      /* 4 - 2 + 1 */
        pass_ms(3 * common.base_ms + INT64_C(86400000)); /* comes back and stays for a day */
        report(0, MESH__EJECTION_BOTH, 2);
        CHECK_INT(last_for_ms, common.base_ms);
        end();
    }
}

TEST(who_comes_back_starts_anew)
{
    begin(&common, 4);
    report(0, MESH__EJECTION_BOTH, 2);
    report(0, MESH__EJECTION_BOTH, 2); /* attempts that were under way */
    pass_ms(3000);
    report(0, MESH__EJECTION_BOTH, 1);
    CHECK_INT(n_ejections, 1);
    report(0, MESH__EJECTION_BOTH, 1);
    CHECK_INT(n_ejections, 2);
    end();
}

/* ---- changes ------------------------------------------------------------------------------ */

TEST(a_host_that_goes_makes_room)
{
    begin(&common, 3);
    report(0, MESH__EJECTION_BOTH, 2);
    report(1, MESH__EJECTION_BOTH, 2);
    CHECK_INT(n_ejections, 1);
    mesh__ejection_remove(ejection, &hosts[0]);
    CHECK(n_returns == 1 && mesh__ejection_n_ejected(ejection) == 0);
    report(0, MESH__EJECTION_BOTH, 5); /* attempts that were under way */
    CHECK_INT(n_ejections, 1);
    report(1, MESH__EJECTION_BOTH, 1);
    CHECK(n_ejections == 2 && last_host == &hosts[1]);
    mesh__ejection_remove(ejection, &hosts[1]);
    mesh__ejection_remove(ejection, &hosts[2]);
    n_members = 0;
    end();
}

TEST(other_settings_keep_what_was_counted)
{
    struct mesh__ejection_settings settings = common;

    begin(&settings, 4);
    report(0, MESH__EJECTION_BOTH, 2);
    report(1, MESH__EJECTION_5XX, 2);
    settings.consecutive_5xx = 4;
    settings.base_ms = 1000;
    settings.min_health_percent = 100;
    mesh__ejection_set(ejection, &settings);
    CHECK(atomic_load(&hosts[0].ejected));
    CHECK(mesh__ejection_panics(ejection, 4, 3));
    report(1, MESH__EJECTION_5XX, 1);
    CHECK_INT(n_ejections, 1);
    report(1, MESH__EJECTION_5XX, 1);
    CHECK_INT(n_ejections, 2);
    pass_ms(1000);
    CHECK_INT(n_returns, 2);
    end();
}

TEST(a_shorter_interval_does_not_wait_for_the_longer_one)
{
    struct mesh__ejection_settings settings = common;

    settings.interval_ms = 3600000;
    begin(&settings, 4);
    report(0, MESH__EJECTION_BOTH, 2);
    pass_ms(10000);
    CHECK_INT(n_returns, 0);
    settings.interval_ms = 1000;
    mesh__ejection_set(ejection, &settings);
    pass_ms(1000);
    CHECK_INT(n_returns, 1);
    end();
}

TEST(the_time_before_other_settings_went_by_the_old_interval)
{
    struct mesh__ejection_settings settings = common;

    begin(&common, 4);
    for (int i = 0; i < 4; i++) {
        report(0, MESH__EJECTION_BOTH, 2);
        pass_ms((i + 1) * common.base_ms);
    }
    fake_ns += 2000 * MESH_NS_PER_MS;
    settings.interval_ms = 10;
    mesh__ejection_set(ejection, &settings);
    report(0, MESH__EJECTION_BOTH, 2);
    CHECK_INT(last_for_ms, 3 * common.base_ms);
    end();
}

TEST(switched_off_all_come_back)
{
    struct mesh__ejection_settings settings = common;

    begin(&settings, 4);
    report(0, MESH__EJECTION_BOTH, 2);
    report(1, MESH__EJECTION_BOTH, 2);
    settings.consecutive_5xx = 0;
    settings.consecutive_gateway_errors = 0;
    mesh__ejection_set(ejection, &settings);
    CHECK(n_returns == 2 && mesh__ejection_n_ejected(ejection) == 0);
    end();
}

/* ---- threads ------------------------------------------------------------------------------ */

#define N_THREADS 8

static void *report_often(void *arg)
{
    const size_t *first = arg;

    for (size_t i = 0; i < 3000; i++) {
        struct mesh__ejection_host *host = &hosts[(*first + i) % 4];

        mesh__ejection_report(ejection, host,
                              i % 7 == 0 ? MESH__EJECTION_GOOD : MESH__EJECTION_BOTH);
        mesh__ejection_sweep(ejection);
        (void)atomic_load(&host->ejected);
        if (i % 50 == 0) {
            fake_ns += 100 * MESH_NS_PER_MS;
            mesh__ejection_set(ejection, &common);
        }
    }
    return NULL;
}

TEST(many_threads_leave_the_counts_right)
{
    static size_t firsts[N_THREADS];
    pthread_t threads[N_THREADS];
    size_t n = 0;

    begin(&common, 4);
    for (size_t i = 0; i < N_THREADS; i++) {
        firsts[i] = i;
        CHECK_INT(pthread_create(&threads[i], NULL, report_often, &firsts[i]), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        n += atomic_load(&hosts[i].ejected) ? 1 : 0;
    }
    CHECK(n_ejections > 0 && n <= 2 && n == (size_t)(n_ejections - n_returns));
    CHECK_INT(mesh__ejection_n_ejected(ejection), n);
    end();
}

static int set_up(void **state)
{
    (void)state;
    mesh__clock = &fake_clock;
    fake_ns = 1000 * MESH_NS_PER_S;
    return 0;
}

TEST_MAIN(set_up, NULL)
