/* SPDX-License-Identifier: Apache-2.0 */
/* How many retries and hedges a destination's calls may add, in flight and per time. */
#ifndef MESH_RPC_RETRY_BUDGET_H
#define MESH_RPC_RETRY_BUDGET_H

#include <stdint.h>

/* The rate beside the settings: a part of the calls of the last ten seconds, and some more. */
#define MESH__RETRY_WINDOW_S 10
#define MESH__RETRY_RATE_PERCENT 20
#define MESH__RETRY_RATE_PER_S INT64_C(10)

struct mesh__retry_budget_settings {
    int64_t percent;         /* in flight, of a hundred live calls */
    int64_t min_concurrency; /* in flight that are always allowed */
};

enum mesh__retry_grant {
    MESH__RETRY_GRANTED,  /* a place is held until it is given back */
    MESH__RETRY_TOO_MANY, /* at the same time */
    MESH__RETRY_TOO_OFTEN
};

struct mesh__retry_budget_view {
    int64_t calls;   /* that are live */
    int64_t retries; /* that hold a place */
    int64_t recent_calls, recent_retries;
};

struct mesh__retry_budget;

struct mesh__retry_budget *
mesh__retry_budget_new(const struct mesh__retry_budget_settings *settings);
void mesh__retry_budget_free(struct mesh__retry_budget *budget);
/* Other settings from now on; nothing counted is lost. */
void mesh__retry_budget_set(struct mesh__retry_budget *budget,
                            const struct mesh__retry_budget_settings *settings);

/* A logical call begins and ends: around all of its attempts and pauses. */
void mesh__retry_budget_begin(struct mesh__retry_budget *budget);
void mesh__retry_budget_end(struct mesh__retry_budget *budget);
/* The decision for a retry or a hedge, before its pause. */
enum mesh__retry_grant mesh__retry_budget_take(struct mesh__retry_budget *budget);
/* It has ended. */
void mesh__retry_budget_give(struct mesh__retry_budget *budget);

struct mesh__retry_budget_view mesh__retry_budget_look(struct mesh__retry_budget *budget);

#endif
