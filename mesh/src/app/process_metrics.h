/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the process itself, under the names that Prometheus' client libraries use. */
#ifndef MESH_APP_PROCESS_METRICS_H
#define MESH_APP_PROCESS_METRICS_H

#include <stdint.h>
#include <stdio.h>

/* Writes them as Prometheus text; what cannot be read is left out. */
void mesh__process_metrics_write(FILE *out);
/* Milliseconds since the kernel made this process (to 10 ms, as the kernel tells it). */
int64_t mesh__process_age_ms(void);

#endif
