/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, gauges and histograms, shown as Prometheus text on /metrics. */
#ifndef MESH_METRICS_H
#define MESH_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct mesh_counter;
struct mesh_gauge;
struct mesh_histogram;

/*
 * Each finds or makes the metric of that name and these labels; it lives until the process ends, so
 * keep the pointer. `labels` alternates names and values and ends with NULL: (const char
 * *[]){"code", "OK", NULL}; NULL means none. All metrics of one name have one help text and the
 * same label names. Names follow the Prometheus conventions (snake_case, unit suffix, _total for
 * counters). Thread-safe.
 */
struct mesh_counter *mesh_counter(const char *name, const char *help, const char *const *labels);
struct mesh_gauge *mesh_gauge(const char *name, const char *help, const char *const *labels);
/* Buckets from 1 ms to 30 s, as for durations in seconds. */
struct mesh_histogram *mesh_histogram(const char *name, const char *help,
                                      const char *const *labels);
/* A gauge whose value is asked for when metrics are read. read must be thread-safe. */
void mesh_gauge_callback(const char *name, const char *help, const char *const *labels,
                         double (*read)(void *arg), void *arg);

void mesh_counter_add(struct mesh_counter *counter, uint64_t n);
uint64_t mesh_counter_value(const struct mesh_counter *counter);
void mesh_gauge_set(struct mesh_gauge *gauge, double value);
void mesh_gauge_add(struct mesh_gauge *gauge, double delta);
double mesh_gauge_value(const struct mesh_gauge *gauge);
void mesh_histogram_observe(struct mesh_histogram *histogram, double value);

#endif
