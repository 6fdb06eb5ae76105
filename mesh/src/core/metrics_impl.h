/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the metrics, for the runtime and its tests. */
#ifndef MESH_CORE_METRICS_IMPL_H
#define MESH_CORE_METRICS_IMPL_H

#include "mesh/metrics.h"

/* All metrics as Prometheus text, version 0.0.4. The text ends with a NUL and is freed by free().
 */
void mesh__metrics_write(char **ret_text, size_t *ret_size);
/*
 * Takes back every mesh_gauge_callback() registered with this arg, before what it points to goes.
 * When it returns no callback with it runs any more: not to be called under a lock that such a
 * callback takes.
 */
void mesh__metrics_forget(const void *arg);

#endif
