/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/metrics.h"

#include "core/fatal.h"
#include "core/metrics_data.h"
#include "core/metrics_impl.h"
#include "core/text.h"
#include "core/utf8.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const double mesh__histogram_bounds[MESH_HISTOGRAM_BOUNDS] = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

/* Held while metrics are read; taken before the registry's. */
static pthread_mutex_t reading_lock = PTHREAD_MUTEX_INITIALIZER;
/* Guards the registry, not the values. Families and series are added and never removed. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct mesh__family *families;
static size_t n_series;

/* ---- values ---- */

static unsigned my_shard(void)
{
    static atomic_uint next;
    static _Thread_local unsigned shard = MESH_METRIC_SHARDS;

    if (shard == MESH_METRIC_SHARDS) {
        shard = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % MESH_METRIC_SHARDS;
    }
    return shard;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double of_bits(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void add_double(atomic_uint_fast64_t *bits, double delta)
{
    uint_fast64_t old = atomic_load_explicit(bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(bits, &old, bits_of(of_bits(old) + delta),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void mesh_counter_add(struct mesh_counter *counter, uint64_t n)
{
    atomic_fetch_add_explicit(&counter->shards[my_shard()].n, n, memory_order_relaxed);
}

uint64_t mesh_counter_value(const struct mesh_counter *counter)
{
    uint64_t n = 0;

    for (size_t i = 0; i < MESH_METRIC_SHARDS; i++) {
        n += atomic_load_explicit(&counter->shards[i].n, memory_order_relaxed);
    }
    return n;
}

void mesh_gauge_set(struct mesh_gauge *gauge, double value)
{
    atomic_store_explicit(&gauge->bits, bits_of(value), memory_order_relaxed);
}

void mesh_gauge_add(struct mesh_gauge *gauge, double delta)
{
    add_double(&gauge->bits, delta);
}

double mesh_gauge_value(const struct mesh_gauge *gauge)
{
    return of_bits(atomic_load_explicit(&gauge->bits, memory_order_relaxed));
}

void mesh_histogram_observe(struct mesh_histogram *histogram, double value)
{
    struct mesh__histogram_shard *shard = &histogram->shards[my_shard()];
    size_t i = 0;

    if (isnan(value)) {
        return; /* it would make the sum useless for ever */
    }
    while (i < MESH_HISTOGRAM_BOUNDS && value > mesh__histogram_bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&shard->buckets[i], 1, memory_order_relaxed);
    add_double(&shard->sum_bits, value);
}

/* ---- names ---- */

static bool is_name(const char *name, const char *also)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t i = 0;

    while (name[i] != '\0' && (strchr(letters, name[i]) != NULL || strchr(also, name[i]) != NULL ||
                               (i > 0 && name[i] >= '0' && name[i] <= '9'))) {
        i++;
    }
    return i > 0 && name[i] == '\0';
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);

    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

static void check_names(const char *name, enum mesh__metric_type type, const char *const *labels)
{
    if (!is_name(name, ":")) {
        mesh__fatal("\"%s\" cannot be the name of a metric", name);
    }
    if ((type == MESH__COUNTER) != ends_with(name, "_total")) {
        mesh__fatal("metric %s: counters and nothing else end in _total", name);
    }
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        if (labels[i + 1] == NULL) {
            mesh__fatal("metric %s: label %s has no value", name, labels[i]);
        }
        if (!is_name(labels[i], "") || strncmp(labels[i], "__", 2) == 0 ||
            (type == MESH__HISTOGRAM && strcmp(labels[i], "le") == 0)) {
            mesh__fatal("metric %s: \"%s\" cannot be the name of a label", name, labels[i]);
        }
    }
}

static void write_label_value(struct mesh__text *out, const char *value)
{
    for (size_t left = strlen(value); left > 0;) {
        size_t step = mesh__utf8_step(value, left);

        if (step == 0) {
            mesh__text_adds(out, MESH_UTF8_REPLACEMENT);
            step = 1;
        } else if (*value == '\n') {
            mesh__text_adds(out, "\\n");
        } else {
            if (*value == '"' || *value == '\\') {
                mesh__text_adds(out, "\\");
            }
            mesh__text_add(out, value, step);
        }
        value += step;
        left -= step;
    }
}

/* As in struct mesh__series and struct mesh__family; each is freed by the caller. */
static char *label_text(const char *const *labels)
{
    struct mesh__text text = {0};

    mesh__text_adds(&text, "");
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        mesh__text_printf(&text, "%s%s=\"", i > 0 ? "," : "", labels[i]);
        write_label_value(&text, labels[i + 1]);
        mesh__text_adds(&text, "\"");
    }
    return text.bytes;
}

static char *label_names(const char *const *labels)
{
    struct mesh__text text = {0};

    mesh__text_adds(&text, "");
    for (size_t i = 0; labels != NULL && labels[i] != NULL; i += 2) {
        mesh__text_printf(&text, "%s%s", i > 0 ? "," : "", labels[i]);
    }
    return text.bytes;
}

/* ---- the registry; under its lock ---- */

static struct mesh__family *find_family(const char *name, const char *help,
                                        enum mesh__metric_type type, char *names)
{
    struct mesh__family *family = families;

    while (family != NULL && strcmp(family->name, name) != 0) {
        family = family->next;
    }
    if (family == NULL) {
        family = mesh__calloc(1, sizeof(*family));
        family->type = type;
        family->name = mesh__strdup(name);
        family->help = mesh__strdup(help);
        family->label_names = mesh__strdup(names);
        family->next = families;
        families = family;
    }
    if (family->type != type || strcmp(family->label_names, names) != 0) {
        mesh__fatal("metric %s is already there with another type or with the labels \"%s\"", name,
                    family->label_names);
    }
    return family;
}

static struct mesh__series *find_series(struct mesh__family *family, const char *labels)
{
    struct mesh__series *series = family->series;

    while (series != NULL && strcmp(series->labels, labels) != 0) {
        series = series->next;
    }
    if (series == NULL) {
        series = mesh__calloc(1, sizeof(*series));
        series->labels = mesh__strdup(labels);
        series->next = family->series;
        family->series = series;
        n_series++;
    }
    return series;
}

/* Finds or makes the metric and leaves the registry locked. */
static struct mesh__series *lock_series(const char *name, const char *help,
                                        enum mesh__metric_type type, const char *const *labels)
{
    struct mesh__series *series;
    char *names;
    char *text;

    check_names(name, type, labels);
    names = label_names(labels);
    text = label_text(labels);
    pthread_mutex_lock(&registry_lock);
    series = find_series(find_family(name, help, type, names), text);
    free(names);
    free(text);
    return series;
}

static void unlock_registry(void)
{
    pthread_mutex_unlock(&registry_lock);
}

/* Shards stand on cache lines of their own. */
static void *new_lines(size_t size)
{
    void *memory = aligned_alloc(64, size);

    if (memory == NULL) {
        mesh__fatal("out of memory: a metric of %zu bytes", size);
    }
    return memset(memory, 0, size);
}

struct mesh_counter *mesh_counter(const char *name, const char *help, const char *const *labels)
{
    struct mesh__series *series = lock_series(name, help, MESH__COUNTER, labels);

    if (series->counter == NULL) {
        series->counter = new_lines(sizeof(*series->counter));
    }
    unlock_registry();
    return series->counter;
}

struct mesh_gauge *mesh_gauge(const char *name, const char *help, const char *const *labels)
{
    struct mesh__series *series = lock_series(name, help, MESH__GAUGE, labels);

    if (series->gauge == NULL) {
        series->gauge = mesh__calloc(1, sizeof(*series->gauge));
    }
    unlock_registry();
    return series->gauge;
}

struct mesh_histogram *mesh_histogram(const char *name, const char *help, const char *const *labels)
{
    struct mesh__series *series = lock_series(name, help, MESH__HISTOGRAM, labels);

    if (series->histogram == NULL) {
        series->histogram = new_lines(sizeof(*series->histogram));
    }
    unlock_registry();
    return series->histogram;
}

void mesh_gauge_callback(const char *name, const char *help, const char *const *labels,
                         double (*read)(void *arg), void *arg)
{
    struct mesh__series *series = lock_series(name, help, MESH__GAUGE, labels);

    series->read = read;
    series->arg = arg;
    unlock_registry();
}

/* ---- reading ---- */

void mesh__metrics_forget(const void *arg)
{
    pthread_mutex_lock(&reading_lock); /* a reader may be in the callback just now */
    pthread_mutex_lock(&registry_lock);
    for (struct mesh__family *family = families; family != NULL; family = family->next) {
        for (struct mesh__series *series = family->series; series != NULL; series = series->next) {
            if (series->read != NULL && series->arg == arg) {
                series->read = NULL;
                series->arg = NULL;
            }
        }
    }
    pthread_mutex_unlock(&registry_lock);
    pthread_mutex_unlock(&reading_lock);
}

struct mesh__sample *mesh__metrics_collect(size_t *ret_n)
{
    struct mesh__sample *samples;
    size_t n = 0;

    pthread_mutex_lock(&reading_lock);
    pthread_mutex_lock(&registry_lock);
    samples = mesh__calloc(n_series, sizeof(*samples));
    for (const struct mesh__family *family = families; family != NULL; family = family->next) {
        for (const struct mesh__series *series = family->series; series != NULL;
             series = series->next) {
            samples[n++] = (struct mesh__sample){family, *series};
        }
    }
    pthread_mutex_unlock(&registry_lock);
    *ret_n = n;
    return samples;
}

void mesh__metrics_done(struct mesh__sample *samples)
{
    free(samples);
    pthread_mutex_unlock(&reading_lock);
}

double mesh__histogram_read(const struct mesh_histogram *histogram,
                            uint64_t ret_buckets[MESH_HISTOGRAM_BOUNDS + 1])
{
    double sum = 0;

    memset(ret_buckets, 0, (MESH_HISTOGRAM_BOUNDS + 1) * sizeof(*ret_buckets));
    for (size_t i = 0; i < MESH_METRIC_SHARDS; i++) {
        const struct mesh__histogram_shard *shard = &histogram->shards[i];

        for (size_t j = 0; j <= MESH_HISTOGRAM_BOUNDS; j++) {
            ret_buckets[j] += atomic_load_explicit(&shard->buckets[j], memory_order_relaxed);
        }
        sum += of_bits(atomic_load_explicit(&shard->sum_bits, memory_order_relaxed));
    }
    return sum;
}
