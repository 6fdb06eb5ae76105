/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of one method, on either side, with the names of go-grpc-prometheus. */
#ifndef MESH_RPC_CALL_METRICS_H
#define MESH_RPC_CALL_METRICS_H

#include "mesh/service.h"

enum mesh__side { MESH__SERVER, MESH__CLIENT };

struct mesh__call_metrics;

struct mesh__call_metrics *mesh__call_metrics_new(enum mesh__side side, const char *service,
                                                  const char *method, enum mesh_method_kind kind);
/* NULL is fine. The counts themselves stay. */
void mesh__call_metrics_free(struct mesh__call_metrics *metrics);
void mesh__call_started(struct mesh__call_metrics *metrics);
void mesh__call_handled(struct mesh__call_metrics *metrics, enum mesh_status status,
                        int64_t elapsed_ns);

#endif
