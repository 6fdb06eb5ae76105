/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to a peer. Services use the typed stubs that protoc-gen-mesh writes on top of this. */
#ifndef MESH_CLIENT_H
#define MESH_CLIENT_H

#include "mesh/service.h"

/* One destination with its channel; made from configuration by the runtime, shared by all threads.
 */
struct mesh_client;
/* A unary call under way. */
struct mesh_call;

/*
 * For programs that are no service: a client for `target` ("host:port", a list of addresses with
 * commas, "file:PATH" with one address a line, or any gRPC name), called `name` in texts.
 * timeout_ms is the longest time of one unary call; 0 means 2000. Its policy is the table of
 * defaults in docs/policy.md, without breaker and ejection. Connecting begins at once and is
 * awaited by nobody. Freed (NULL is fine) after its last call has ended.
 */
struct mesh_client *mesh_client_new(const char *name, const char *target, int64_t timeout_ms);
void mesh_client_free(struct mesh_client *client);

/*
 * Calls a unary method and waits, by the policy of the method (docs/policy.md): attempts, pauses
 * and hedges are inside. The deadline is the nearer of the policy's timeout and what ctx has left
 * (for a service less 10 %, at least 20 ms, so that it can still record the outcome).
 * The response lives as long as ctx. On failure *ret_response is untouched and ctx holds the peer's
 * text and details. A deadline that has already passed is MESH_DEADLINE_EXCEEDED and nothing is
 * sent. Errors of the transport are MESH_UNAVAILABLE; a response that does not decode is
 * MESH_INTERNAL. What this side refuses (breaker, limits, no endpoint, a fault) is MESH_UNAVAILABLE
 * with a RetryInfo and a reason: CIRCUIT_OPEN, WORKER_LIMIT, REQUEST_LIMIT, PENDING_LIMIT,
 * NO_ENDPOINT, FAULT; one whose retries are spent has the reason RETRIES_EXHAUSTED.
 */
MESH_STATUS mesh_client_call(struct mesh_ctx *ctx, struct mesh_client *client,
                             const struct mesh_method *method, const ProtobufCMessage *request,
                             ProtobufCMessage **ret_response);

/*
 * The same in two steps, so that several calls run at once: start each on a context of its own
 * (mesh_ctx_fork), then wait for each on the same context or a view of it. request is packed before
 * mesh_client_start returns. Every started call is waited for; freeing its context cancels it
 * first. Both run on the same thread. The deadline is fixed by mesh_client_start: a nearer one of
 * the context that waits does not shorten it.
 */
struct mesh_call *mesh_client_start(struct mesh_ctx *ctx, struct mesh_client *client,
                                    const struct mesh_method *method,
                                    const ProtobufCMessage *request);
MESH_STATUS mesh_client_wait(struct mesh_ctx *ctx, struct mesh_call *call,
                             ProtobufCMessage **ret_response);

/*
 * Opens a streaming call. request is the only message of a server streaming call and NULL
 * otherwise. The stream lives as long as ctx and is cancelled with it unless it was finished.
 */
MESH_STATUS mesh_client_open(struct mesh_ctx *ctx, struct mesh_client *client,
                             const struct mesh_method *method, const ProtobufCMessage *request,
                             struct mesh_stream **ret_stream);

#endif
