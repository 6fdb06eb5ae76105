/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy did to the calls of one destination, in numbers. */
#ifndef MESH_RPC_CLIENT_COUNTS_H
#define MESH_RPC_CLIENT_COUNTS_H

#include "mesh/metrics.h"
#include "mesh/status.h"
#include "rpc/client_rules.h"
#include "rpc/retry_budget.h"

#define MESH__N_RETRY_ON 8 /* words of retryOn */

/* Made with the client; the metrics themselves live as long as the process. */
struct mesh__client_counts {
    struct mesh_counter *attempts[MESH_UNAUTHENTICATED + 1]; /* by code */
    struct mesh_counter *retries[MESH__N_RETRY_ON];          /* by the word that allowed them */
    struct mesh_counter *refusals[MESH__N_REFUSALS];
    struct mesh_counter *over_budget[MESH__RETRY_TOO_OFTEN + 1];
    struct mesh_counter *call_timeouts, *try_timeouts;
    struct mesh_counter *hedges, *hedges_won;
    struct mesh_counter *delays, *aborts; /* faults */
};

void mesh__client_counts_make(struct mesh__client_counts *counts, const char *destination);
/* The word of retryOn that stands for the lowest of these bits. */
const char *mesh__retry_word(unsigned retry_on);
void mesh__client_counts_retry(const struct mesh__client_counts *counts, unsigned retry_on);
/* One word, as in the metrics. */
const char *mesh__refusal_word(enum mesh__refusal refusal);

#endif
