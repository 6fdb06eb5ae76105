/* SPDX-License-Identifier: Apache-2.0 */
/* How long it takes from an order's commit until the dashboard shows it to a watcher. */
#ifndef BENCH_EVENTS_H
#define BENCH_EVENTS_H

#include "orders.h"

/*
 * Places orders at the load's rate (its call and arg are set here) while a watcher of the same
 * customer listens, and prints one JSON object.
 */
MESH_STATUS events_measure(struct mesh_ctx *ctx, struct orders *orders,
                           const char *dashboard_target, struct load *load);

#endif
