/* SPDX-License-Identifier: Apache-2.0 */
/* What the failure of an attempt is: who says so, what retries match it, whom it speaks against. */
#ifndef MESH_RPC_CLIENT_TRANSPORT_H
#define MESH_RPC_CLIENT_TRANSPORT_H

#include "mesh/status.h"
#include "policy/policy.h"
#include "rpc/ejection.h"

#include <stdbool.h>

/* The trailer that our servers add to every status of theirs. */
#define MESH__STATUS_MARK "mesh-status"

struct mesh__failure {
    bool transport;    /* no server has sent the status */
    unsigned retry_on; /* what matches it, of enum mesh__retry_on; 0: nothing does */
    enum mesh__ejection_result ejection;
};

/*
 * Of what this side has not ended itself. `marked`: it came with MESH__STATUS_MARK, and its text
 * cannot deceive. MESH_OK is none.
 */
struct mesh__failure mesh__failure_of(enum mesh_status status, const char *text, bool marked);

/* Ended on this side: cancelled, or out of time. */
extern const struct mesh__failure mesh__failure_cancelled;
extern const struct mesh__failure mesh__failure_late;
/* Nobody of ours answers within the time of one try: cut by the caller's own timer. */
extern const struct mesh__failure mesh__failure_per_try;
/* No endpoint became ready within the time for it. */
extern const struct mesh__failure mesh__failure_not_ready;

/* True for the texts that the transport below us writes, rather than a peer. */
bool mesh__transport_text(const char *text);
/* The code of such a failure for callers: what the transport makes up is no word of a peer's
 * business. */
enum mesh_status mesh__transport_code(enum mesh_status status, const char *text);

#endif
