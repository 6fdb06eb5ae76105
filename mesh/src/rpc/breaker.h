/* SPDX-License-Identifier: Apache-2.0 */
/* The circuit breaker of one method of one destination: stops calls that are bound to fail. */
#ifndef MESH_RPC_BREAKER_H
#define MESH_RPC_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/* Without any of the first three it never opens. */
struct mesh__breaker_settings {
    int64_t consecutive_failures;   /* in a row that open it; 0: off */
    int64_t failure_rate_percent;   /* of the calls in the window; 0: off */
    int64_t slow_call_rate_percent; /* the same for slow ones; 0: off */
    int64_t slow_call_ms;           /* a call that takes so long is slow; 0: none is */
    int64_t window_ms;              /* what the rates are taken over, in ten slices */
    int64_t minimum_calls;          /* with fewer in the window no rate opens it */
    int64_t open_ms;                /* from opening to the first probe */
    int64_t half_open_calls;        /* probes that must succeed to close it; 0: 1 */
};

enum mesh__breaker_state { MESH__BREAKER_CLOSED, MESH__BREAKER_OPEN, MESH__BREAKER_HALF_OPEN };

/* What the end of a call says of the peer. */
enum mesh__breaker_outcome {
    MESH__BREAKER_SUCCESS,
    MESH__BREAKER_FAILURE,
    MESH__BREAKER_REFUSAL, /* of the business: counts nowhere, yet a probe has found the peer */
    MESH__BREAKER_NOTHING  /* cancelled, refused on this side, out of the caller's own time */
};

struct mesh__breaker_change {
    enum mesh__breaker_state from, to;
    const char *reason;            /* a few words, the same for the same cause */
    int64_t in_a_row;              /* failures */
    int64_t calls, failures, slow; /* in the window */
};

/* A call that was let through, until its end is reported. */
struct mesh__breaker_pass {
    int64_t started_ns;
    uint64_t epoch; /* of the breaker's state; what ends in a later one says nothing */
    uint64_t round;
    bool probe; /* it finds out whether the peer is back */
};

struct mesh__breaker_view {
    enum mesh__breaker_state state;
    int64_t in_a_row;
    int64_t calls, failures, slow; /* in the window */
    int64_t probes;                /* that are under way */
};

struct mesh__breaker;

/* `changed` (NULL: nobody) is told of each change in their order, under the lock: it must not call
 * back. */
struct mesh__breaker *
mesh__breaker_new(const struct mesh__breaker_settings *settings,
                  void (*changed)(void *arg, const struct mesh__breaker_change *change), void *arg);
void mesh__breaker_free(struct mesh__breaker *breaker);

/* Other settings from now on; nothing counted is lost. Switched off, it closes. */
void mesh__breaker_set(struct mesh__breaker *breaker,
                       const struct mesh__breaker_settings *settings);

/*
 * Whether a call may go on; if so, its end is reported with the pass, once. If not, ret_retry_ms is
 * when to ask again.
 */
bool mesh__breaker_admit(struct mesh__breaker *breaker, struct mesh__breaker_pass *ret_pass,
                         int64_t *ret_retry_ms);
/*
 * The final result of a call; of a stream, its first message or its status. A probe that is never
 * reported holds its place for open_ms at most.
 */
void mesh__breaker_report(struct mesh__breaker *breaker, const struct mesh__breaker_pass *pass,
                          enum mesh__breaker_outcome outcome);

struct mesh__breaker_view mesh__breaker_look(struct mesh__breaker *breaker);
/* "closed", "open" or "half-open". */
const char *mesh__breaker_name(enum mesh__breaker_state state);

#endif
