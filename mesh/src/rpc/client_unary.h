/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One unary call: its attempts, pauses and hedges, as the policy has it. It goes on whenever its
 * thread waits for something on its queue; nothing of it runs on any other thread.
 */
#ifndef MESH_RPC_CLIENT_UNARY_H
#define MESH_RPC_CLIENT_UNARY_H

#include "rpc/client_call.h"

#define MESH__TRIES_MAX 5 /* attempts at the same time: hedging.maxAttempts has no more */

enum try_state {
    TRY_FREE,
    TRY_DELAYED, /* by a fault; until until_ns */
    TRY_SENT     /* until_ns: the per-try timer */
};

enum try_kind { FIRST_TRY, RETRY, HEDGE };

struct unary_try {
    enum try_state state;
    enum try_kind kind;
    bool extra; /* a retry or a hedge: it holds a place in the budget */
    bool cut;   /* by the per-try timer */
    bool lost;  /* another attempt is the call's result */
    int64_t until_ns;
    struct mesh__attempt attempt;
    struct mesh__op op;
};

enum call_state {
    CALL_PAUSED, /* until next_ns: then another attempt */
    CALL_SEEKS,  /* an endpoint, until next_ns */
    CALL_RUNS,   /* attempts are under way; at next_ns a hedge */
    CALL_DONE    /* result or refusal */
};

struct mesh_call {
    struct mesh_call *next;           /* in scope->calls */
    struct mesh_call *next_of_thread; /* of those that turns move */
    struct mesh_ctx *ctx;             /* that it was started with */
    struct mesh__rules rules;
    struct wire_message *request; /* for as long as it may be sent */
    enum call_state state;
    int64_t next_ns;
    bool pending;   /* it holds a place among those that wait for an endpoint */
    bool cancelled; /* what is under way was told to end */
    bool stopped;   /* by pushback: no other attempt begins */
    bool final;     /* enough was tried */
    bool ended;     /* the rules are */
    int64_t n_hedges;
    struct unary_try tries[MESH__TRIES_MAX];
    struct unary_try *result; /* CALL_DONE: whose status is the call's; NULL: refusal */
    enum mesh__refusal refusal;
    struct mesh__result over;   /* CALL_DONE, unless it was refused at once */
    ProtobufCMessage *response; /* of MESH_OK */
};

/* The first attempt; from now on turns move the call, until it is CALL_DONE. */
void mesh__unary_begin(struct mesh_call *call);
/* The call is over before its result is there; what is under way ends by itself. */
void mesh__unary_abandon(struct mesh_call *call, enum mesh__refusal refusal);
/* The result of a call that is done was taken. */
void mesh__unary_free_result(struct mesh_call *call);
/* Waits until nothing of a call that is done is under way. */
void mesh__unary_drain(struct mesh_call *call);

#endif
