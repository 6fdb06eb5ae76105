/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client_counts.h"

#include <stddef.h>

/* In the order of the bits of enum mesh__retry_on. */
static const char *const retry_words[MESH__N_RETRY_ON] = {
    "connect-failure", "refused-stream",     "reset",      "cancelled", "deadline-exceeded",
    "internal",        "resource-exhausted", "unavailable"};

static const char *const refusal_words[MESH__N_REFUSALS] = {
    [MESH__NOT_REFUSED] = "none",
    [MESH__REFUSED_LATE] = "deadline",
    [MESH__REFUSED_CANCELLED] = "cancelled",
    [MESH__REFUSED_BREAKER] = "circuit_open",
    [MESH__REFUSED_WORKERS] = "worker_limit",
    [MESH__REFUSED_REQUESTS] = "request_limit",
    [MESH__REFUSED_PENDING] = "pending_limit",
    [MESH__REFUSED_NO_ENDPOINT] = "no_endpoint",
    [MESH__REFUSED_FAULT] = "fault",
};

const char *mesh__refusal_word(enum mesh__refusal refusal)
{
    return refusal_words[refusal];
}

static size_t lowest_bit(unsigned bits)
{
    size_t i = 0;

    while (i + 1 < MESH__N_RETRY_ON && (bits & (1U << i)) == 0) {
        i++;
    }
    return i;
}

const char *mesh__retry_word(unsigned retry_on)
{
    return retry_words[lowest_bit(retry_on)];
}

static struct mesh_counter *count(const char *name, const char *help, const char *destination,
                                  const char *label, const char *value)
{
    const char *const labels[] = {"destination", destination, label, value, NULL};

    return mesh_counter(name, help, labels);
}

static void make_lists(struct mesh__client_counts *counts, const char *destination)
{
    for (size_t i = 0; i <= MESH_UNAUTHENTICATED; i++) {
        counts->attempts[i] =
            count("mesh_client_attempts_total", "Attempts of calls that have ended, by code.",
                  destination, "code", mesh_status_name((enum mesh_status)i));
    }
    for (size_t i = 0; i < MESH__N_RETRY_ON; i++) {
        counts->retries[i] =
            count("mesh_client_retries_total", "Retries, by the word of retryOn that allowed them.",
                  destination, "reason", retry_words[i]);
    }
    for (size_t i = 1; i < MESH__N_REFUSALS; i++) {
        counts->refusals[i] =
            count("mesh_client_refused_total",
                  "Calls that were not sent, or not again, for a reason on this side.", destination,
                  "reason", refusal_words[i]);
    }
}

void mesh__client_counts_make(struct mesh__client_counts *counts, const char *destination)
{
    static const char budget[] = "mesh_client_budget_refused_total";
    static const char budget_help[] = "Retries and hedges that the retry budget did not allow.";
    static const char timeouts[] = "mesh_client_timeouts_total";
    static const char timeouts_help[] = "Calls and attempts that were cut by the policy's time.";
    static const char hedges[] = "mesh_client_hedges_total";
    static const char hedges_help[] = "Attempts beside one that was slow to answer.";
    static const char faults[] = "mesh_client_faults_total";
    static const char faults_help[] = "Faults that the policy asks for.";

    make_lists(counts, destination);
    counts->over_budget[MESH__RETRY_TOO_MANY] =
        count(budget, budget_help, destination, "bound", "concurrency");
    counts->over_budget[MESH__RETRY_TOO_OFTEN] =
        count(budget, budget_help, destination, "bound", "rate");
    counts->call_timeouts = count(timeouts, timeouts_help, destination, "of", "call");
    counts->try_timeouts = count(timeouts, timeouts_help, destination, "of", "attempt");
    counts->hedges = count(hedges, hedges_help, destination, "result", "sent");
    counts->hedges_won = count(hedges, hedges_help, destination, "result", "won");
    counts->delays = count(faults, faults_help, destination, "kind", "delay");
    counts->aborts = count(faults, faults_help, destination, "kind", "abort");
}

void mesh__client_counts_retry(const struct mesh__client_counts *counts, unsigned retry_on)
{
    mesh_counter_add(counts->retries[lowest_bit(retry_on)], 1);
}
