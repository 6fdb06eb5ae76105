/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics_impl.h"
#include "death.h"
#include "mesh/metrics.h"
#include "test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static char *all; /* the text last read */

static void read_all(void)
{
    size_t size;

    free(all);
    mesh__metrics_write(&all, &size);
    CHECK_INT(strlen(all), size);
}

static bool shows(const char *lines)
{
    read_all();
    return strstr(all, lines) != NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(all);
    return 0;
}

TEST(a_counter_counts)
{
    struct mesh_counter *counter = mesh_counter("test_things_total", "Things.", NULL);

    mesh_counter_add(counter, 2);
    mesh_counter_add(counter, 3);
    CHECK_INT(mesh_counter_value(counter), 5);
    CHECK(shows("# HELP test_things_total Things.\n# TYPE test_things_total counter\n"
                "test_things_total 5\n"));
}

TEST(the_same_name_and_labels_are_the_same_metric)
{
    struct mesh_counter *ok = mesh_counter("test_calls_total", "Calls.", LABELS("code", "OK"));
    struct mesh_counter *bad =
        mesh_counter("test_calls_total", "Calls.", LABELS("code", "ABORTED"));

    CHECK(ok != bad);
    CHECK(mesh_counter("test_calls_total", "Calls.", LABELS("code", "OK")) == ok);
    mesh_counter_add(ok, 1);
    CHECK(shows("# TYPE test_calls_total counter\ntest_calls_total{code=\"ABORTED\"} 0\n"
                "test_calls_total{code=\"OK\"} 1\n"));
}

TEST(a_gauge_goes_up_and_down)
{
    struct mesh_gauge *gauge = mesh_gauge("test_depth", "Depth.", NULL);

    mesh_gauge_set(gauge, 2.5);
    mesh_gauge_add(gauge, -4);
    CHECK(mesh_gauge_value(gauge) == -1.5);
    CHECK(shows("# TYPE test_depth gauge\ntest_depth -1.5\n"));
}

TEST(values_are_shown_exactly)
{
    struct mesh_gauge *gauge = mesh_gauge("test_value", "Value.", NULL);

    mesh_gauge_set(gauge, 0.1);
    CHECK(shows("\ntest_value 0.1\n"));
    mesh_gauge_set(gauge, 0.1 + 0.2);
    CHECK(shows("\ntest_value 0.30000000000000004\n"));
    mesh_gauge_set(gauge, 1e300);
    CHECK(shows("\ntest_value 1e+300\n"));
    mesh_gauge_set(gauge, (double)NAN);
    CHECK(shows("\ntest_value NaN\n"));
    mesh_gauge_set(gauge, (double)-INFINITY);
    CHECK(shows("\ntest_value -Inf\n"));
    mesh_gauge_set(gauge, 1700000000);
    CHECK(shows("\ntest_value 1700000000\n"));
}

TEST(a_histogram_sorts_into_growing_buckets)
{
    struct mesh_histogram *histogram =
        mesh_histogram("test_seconds", "Time.", LABELS("method", "Get"));

    mesh_histogram_observe(histogram, 0.001); /* up to and with its bound */
    mesh_histogram_observe(histogram, 0.3);
    mesh_histogram_observe(histogram, 60);
    mesh_histogram_observe(histogram, (double)NAN);
    CHECK(shows("# TYPE test_seconds histogram\n"
                "test_seconds_bucket{method=\"Get\",le=\"0.001\"} 1\n"
                "test_seconds_bucket{method=\"Get\",le=\"0.0025\"} 1\n"));
    CHECK(shows("test_seconds_bucket{method=\"Get\",le=\"0.25\"} 1\n"
                "test_seconds_bucket{method=\"Get\",le=\"0.5\"} 2\n"));
    CHECK(shows("test_seconds_bucket{method=\"Get\",le=\"30\"} 2\n"
                "test_seconds_bucket{method=\"Get\",le=\"+Inf\"} 3\n"
                "test_seconds_sum{method=\"Get\"} 60.301\n"
                "test_seconds_count{method=\"Get\"} 3\n"));
    mesh_histogram_observe(mesh_histogram("test_plain_seconds", "Time.", NULL), 2);
    CHECK(shows("test_plain_seconds_bucket{le=\"2.5\"} 1\n"));
    CHECK(shows("test_plain_seconds_sum 2\ntest_plain_seconds_count 1\n"));
}

static double answer(void *arg)
{
    return *(double *)arg;
}

TEST(a_callback_is_asked_until_it_is_taken_back)
{
    double value = 7;
    double other = 8;

    mesh_gauge_callback("test_asked", "Asked.", LABELS("pool", "a"), answer, &value);
    mesh_gauge_callback("test_asked", "Asked.", LABELS("pool", "b"), answer, &other);
    CHECK(shows("test_asked{pool=\"a\"} 7\ntest_asked{pool=\"b\"} 8\n"));
    value = 9;
    CHECK(shows("test_asked{pool=\"a\"} 9\n"));
    mesh__metrics_forget(&value);
    CHECK(shows("# TYPE test_asked gauge\ntest_asked{pool=\"b\"} 8\n"));
    mesh__metrics_forget(&other);
    CHECK(!shows("test_asked"));
    mesh_gauge_callback("test_asked", "Asked.", LABELS("pool", "a"), answer, &other);
    CHECK(shows("test_asked{pool=\"a\"} 8\n"));
    mesh__metrics_forget(&other);
}

static double count_others(void *arg)
{
    (void)arg;
    return (double)mesh_counter_value(mesh_counter("test_inner_total", "Inner.", NULL));
}

TEST(a_callback_may_use_metrics_itself)
{
    static char arg;

    mesh_gauge_callback("test_outer", "Outer.", NULL, count_others, &arg);
    CHECK(shows("test_outer 0\n"));
    mesh__metrics_forget(&arg);
}

TEST(labels_and_help_are_escaped)
{
    mesh_gauge_set(mesh_gauge("test_escaped", "One\\two\nthree \"four\".",
                              LABELS("a", "q\"b\\n\n", "b", "\xff\xe2\x82\xac")),
                   1);
    CHECK(shows("# HELP test_escaped One\\\\two\\nthree \"four\".\n"));
    CHECK(shows("test_escaped{a=\"q\\\"b\\\\n\\n\",b=\"\xef\xbf\xbd\xe2\x82\xac\"} 1\n"));
}

/* How often a piece stands in the text last read. */
static size_t count(const char *piece)
{
    size_t n = 0;

    for (const char *at = all; at != NULL && (at = strstr(at, piece)) != NULL; at++) {
        n++;
    }
    return n;
}

TEST(families_are_sorted_and_introduced_once)
{
    mesh_gauge("test_zz", "Last.", LABELS("a", "1"));
    mesh_gauge("test_za", "First.", NULL);
    mesh_gauge("test_zz", "Last.", LABELS("a", "2"));
    CHECK(shows("test_za 0\n# HELP test_zz Last.\n# TYPE test_zz gauge\n"
                "test_zz{a=\"1\"} 0\ntest_zz{a=\"2\"} 0\n"));
    CHECK_INT(count("# HELP test_zz "), 1);
    CHECK_INT(count("# TYPE test_zz "), 1);
}

static void other_type(void)
{
    mesh_gauge("test_bug", "Bug.", NULL);
    mesh_histogram("test_bug", "Bug.", NULL);
}

static void other_labels(void)
{
    mesh_gauge("test_bug", "Bug.", LABELS("a", "1"));
    mesh_gauge("test_bug", "Bug.", LABELS("b", "1"));
}

static void bad_name(void)
{
    mesh_gauge("test-bug", "Bug.", NULL);
}

static void bad_start(void)
{
    mesh_gauge("1test", "Bug.", NULL);
}

static void bad_label(void)
{
    mesh_gauge("test_bug", "Bug.", LABELS("__name", "1"));
}

static void reserved_label(void)
{
    mesh_histogram("test_bug", "Bug.", LABELS("le", "1"));
}

static void no_value(void)
{
    mesh_gauge("test_bug", "Bug.", LABELS("a"));
}

static void no_total(void)
{
    mesh_counter("test_bug", "Bug.", NULL);
}

static void false_total(void)
{
    mesh_gauge("test_bug_total", "Bug.", NULL);
}

TEST(what_only_a_bug_can_cause_ends_the_process)
{
    CHECK(dies(other_type));
    CHECK(dies(other_labels));
    CHECK(dies(bad_name));
    CHECK(dies(bad_start));
    CHECK(dies(bad_label));
    CHECK(dies(reserved_label));
    CHECK(dies(no_value));
    CHECK(dies(no_total));
    CHECK(dies(false_total));
}

#define THREADS 8
#define ROUNDS 2000

static void *use_metrics(void *arg)
{
    struct mesh_counter *counter = mesh_counter("test_shared_total", "Shared.", NULL);
    struct mesh_gauge *gauge = mesh_gauge("test_shared", "Shared.", NULL);
    struct mesh_histogram *histogram = mesh_histogram("test_shared_seconds", "Shared.", NULL);

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        mesh_counter_add(counter, 1);
        mesh_gauge_add(gauge, i % 2 == 0 ? 1 : -1);
        mesh_histogram_observe(histogram, 0.5);
        if (i % 500 == 0) {
            char *text;
            size_t size;

            mesh__metrics_write(&text, &size);
            free(text);
        }
    }
    return NULL;
}

TEST(threads_lose_nothing)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, use_metrics, NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    }
    CHECK(shows("test_shared 0\n"));
    CHECK(shows("test_shared_seconds_sum 8000\ntest_shared_seconds_count 16000\n"));
    CHECK(shows("test_shared_total 16000\n"));
}

TEST(promtool_accepts_the_text)
{
    FILE *promtool;

    if (system("promtool --version >/dev/null 2>&1") != 0) {
        skip();
    }
    read_all();
    promtool = popen("promtool check metrics", "w");
    CHECK(promtool != NULL);
    CHECK(fputs(all, promtool) >= 0);
    CHECK_INT(pclose(promtool), 0);
}

TEST_MAIN(NULL, teardown)
