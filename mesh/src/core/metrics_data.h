/* SPDX-License-Identifier: Apache-2.0 */
/* How metrics are kept: written by many threads without waiting, read now and then. */
#ifndef MESH_CORE_METRICS_DATA_H
#define MESH_CORE_METRICS_DATA_H

#include "mesh/metrics.h"

#include <stdalign.h>
#include <stdatomic.h>

#define MESH_METRIC_SHARDS 4 /* threads are spread over them; each is a cache line of its own */
#define MESH_HISTOGRAM_BOUNDS 14

extern const double mesh__histogram_bounds[MESH_HISTOGRAM_BOUNDS];

struct mesh__counter_shard {
    alignas(64) atomic_uint_fast64_t n;
};

struct mesh_counter {
    struct mesh__counter_shard shards[MESH_METRIC_SHARDS];
};

struct mesh_gauge {
    atomic_uint_fast64_t bits; /* of a double */
};

struct mesh__histogram_shard {
    alignas(64) atomic_uint_fast64_t buckets[MESH_HISTOGRAM_BOUNDS + 1]; /* the last: beyond all */
    atomic_uint_fast64_t sum_bits;                                       /* of a double */
};

struct mesh_histogram {
    struct mesh__histogram_shard shards[MESH_METRIC_SHARDS];
};

enum mesh__metric_type { MESH__COUNTER, MESH__GAUGE, MESH__HISTOGRAM };

/* One metric: a name with values for its labels. */
struct mesh__series {
    struct mesh__series *next;
    char *labels; /* as shown: code="OK",method="Get"; "" for none */
    struct mesh_counter *counter;
    struct mesh_gauge *gauge;
    struct mesh_histogram *histogram;
    double (*read)(void *arg); /* a gauge that is asked */
    void *arg;
};

/* All metrics of one name. */
struct mesh__family {
    struct mesh__family *next;
    enum mesh__metric_type type;
    char *name;
    char *help;
    char *label_names; /* "code,method" */
    struct mesh__series *series;
};

/* A metric as it was when reading began: callbacks are called without the registry's lock. */
struct mesh__sample {
    const struct mesh__family *family;
    struct mesh__series series;
};

/* The samples of all metrics, in no order. One thread reads at a time, until it is done with them.
 */
struct mesh__sample *mesh__metrics_collect(size_t *ret_n);
void mesh__metrics_done(struct mesh__sample *samples);

/* The observations in each bucket, the last beyond all bounds; returns their sum. */
double mesh__histogram_read(const struct mesh_histogram *histogram,
                            uint64_t ret_buckets[MESH_HISTOGRAM_BOUNDS + 1]);

#endif
