/* SPDX-License-Identifier: Apache-2.0 */
/* https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
#include "core/metrics_data.h"
#include "core/metrics_impl.h"
#include "core/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static void write_double(struct mesh__text *out, double value)
{
    char text[32];

    if (isnan(value)) {
        mesh__text_adds(out, "NaN");
    } else if (isinf(value)) {
        mesh__text_adds(out, value > 0 ? "+Inf" : "-Inf");
    } else if (snprintf(text, sizeof(text), "%.15g", value) > 0 && strtod(text, NULL) == value) {
        mesh__text_adds(out, text); /* short where that is exact */
    } else {
        mesh__text_printf(out, "%.17g", value);
    }
}

static void write_help(struct mesh__text *out, const struct mesh__family *family)
{
    mesh__text_printf(out, "# HELP %s ", family->name);
    for (const char *c = family->help; *c != '\0'; c++) {
        if (*c == '\n') {
            mesh__text_adds(out, "\\n");
        } else if (*c == '\\') {
            mesh__text_adds(out, "\\\\");
        } else {
            mesh__text_add(out, c, 1);
        }
    }
    mesh__text_printf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
}

/* name{labels}, with braces only around something; the value follows. */
static void write_name(struct mesh__text *out, const struct mesh__sample *sample,
                       const char *suffix)
{
    const char *labels = sample->series.labels;
    bool any = labels[0] != '\0';

    mesh__text_printf(out, "%s%s%s%s%s ", sample->family->name, suffix, any ? "{" : "", labels,
                      any ? "}" : "");
}

static void write_bucket(struct mesh__text *out, const struct mesh__sample *sample, double bound,
                         uint64_t n)
{
    const char *labels = sample->series.labels;

    mesh__text_printf(out, "%s_bucket{%s%sle=\"", sample->family->name, labels,
                      labels[0] != '\0' ? "," : "");
    write_double(out, bound);
    mesh__text_printf(out, "\"} %" PRIu64 "\n", n);
}

static void write_histogram(struct mesh__text *out, const struct mesh__sample *sample)
{
    uint64_t buckets[MESH_HISTOGRAM_BOUNDS + 1];
    double sum = mesh__histogram_read(sample->series.histogram, buckets);
    uint64_t n = 0;

    for (size_t i = 0; i <= MESH_HISTOGRAM_BOUNDS; i++) {
        n += buckets[i]; /* le means "up to": each contains those below it */
        write_bucket(out, sample,
                     i < MESH_HISTOGRAM_BOUNDS ? mesh__histogram_bounds[i] : (double)INFINITY, n);
    }
    write_name(out, sample, "_sum");
    write_double(out, sum);
    mesh__text_adds(out, "\n");
    write_name(out, sample, "_count");
    mesh__text_printf(out, "%" PRIu64 "\n", n);
}

static void write_sample(struct mesh__text *out, const struct mesh__sample *sample)
{
    const struct mesh__series *series = &sample->series;

    if (series->histogram != NULL) {
        write_histogram(out, sample);
        return;
    }
    write_name(out, sample, "");
    if (series->counter != NULL) {
        mesh__text_printf(out, "%" PRIu64, mesh_counter_value(series->counter));
    } else {
        write_double(out, series->read != NULL ? series->read(series->arg)
                                               : mesh_gauge_value(series->gauge));
    }
    mesh__text_adds(out, "\n");
}

/* Whether it has a value: a callback that was taken back has none. */
static bool is_shown(const struct mesh__sample *sample)
{
    const struct mesh__series *series = &sample->series;

    return series->counter != NULL || series->gauge != NULL || series->histogram != NULL ||
           series->read != NULL;
}

static int compare(const void *left, const void *right)
{
    const struct mesh__sample *a = left;
    const struct mesh__sample *b = right;
    int by_name = strcmp(a->family->name, b->family->name);

    return by_name != 0 ? by_name : strcmp(a->series.labels, b->series.labels);
}

void mesh__metrics_write(char **ret_text, size_t *ret_size)
{
    const struct mesh__sample *last = NULL;
    struct mesh__text out = {0};
    size_t n;
    struct mesh__sample *samples = mesh__metrics_collect(&n);

    qsort(samples, n, sizeof(*samples), compare);
    mesh__text_adds(&out, "");
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(&samples[i])) {
            continue;
        }
        if (last == NULL || last->family != samples[i].family) {
            write_help(&out, samples[i].family);
        }
        last = &samples[i];
        write_sample(&out, last);
    }
    mesh__metrics_done(samples);
    *ret_text = out.bytes;
    *ret_size = out.size;
}
