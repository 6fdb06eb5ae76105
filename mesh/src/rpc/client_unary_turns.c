/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a unary call goes on: an attempt begins where an endpoint is ready, what comes back ends the
 * call or leads to a pause and another attempt. A turn looks what of it is due.
 */
#include "core/clock.h"
#include "rpc/client_unary.h"

/* Those that are not done, or have attempts under way that have lost. */
static _Thread_local struct mesh_call *calls_of_thread;

/* ---- attempts ------------------------------------------------------------------------------- */

static int64_t n_live(const struct mesh_call *call)
{
    int64_t n = 0;

    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        n += call->tries[i].state != TRY_FREE && !call->tries[i].lost ? 1 : 0;
    }
    return n;
}

/* What is sent ends by its own deadline. */
static bool is_sent(const struct mesh_call *call)
{
    bool sent = false;

    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        sent = sent || call->tries[i].state == TRY_SENT;
    }
    return sent;
}

static void give_place(struct mesh_call *call, struct unary_try *try)
{
    if (try->extra) {
        try->extra = false;
        mesh__rules_give_place(&call->rules);
    }
}

/* One that was not sent. */
static void drop_unsent(struct mesh_call *call, struct unary_try *try)
{
    mesh__rules_unpick(&call->rules, try->attempt.endpoint);
    give_place(call, try);
    *try = (struct unary_try){.state = TRY_FREE};
}

static void free_sent(struct mesh_call *call, struct unary_try *try)
{
    give_place(call, try);
    mesh__attempt_free(&try->attempt);
    *try = (struct unary_try){.state = TRY_FREE};
}

static void give_up_pending(struct mesh_call *call)
{
    if (call->pending) {
        call->pending = false;
        mesh__limit_give(&call->rules.client->pending);
    }
}

/* What an attempt that is over has come to, as the error of the call's context. */
static MESH_STATUS status_of(struct mesh_call *call, const struct unary_try *try)
{
    const struct mesh__rules *rules = &call->rules;

    if (rules->cut) {
        return mesh_fail(call->ctx, MESH_DEADLINE_EXCEEDED, "%s: no answer to %s within %lld ms",
                         rules->client->name, rules->method->name,
                         (long long)rules->values->per_try_timeout_ms);
    }
    return mesh__attempt_status(call->ctx, &try->attempt);
}

static MESH_STATUS unpack(struct mesh_call *call)
{
    const struct mesh__rules *rules = &call->rules;
    const struct mesh__attempt *attempt = &call->result->attempt;
    struct wire_message *message = mesh__wire->call_take_message(attempt->wire);

    if (message == NULL) {
        return mesh_fail(call->ctx, MESH_INTERNAL, "%s: the answer to %s has no message",
                         rules->client->name, rules->method->name);
    }
    return mesh__attempt_unpack(call->ctx, attempt, message, &call->response);
}

static MESH_STATUS result_of(struct mesh_call *call)
{
    MESH_TRY(status_of(call, call->result));
    return unpack(call);
}

/* Judged and measured now, as nobody knows when somebody waits for it. */
static void conclude(struct mesh_call *call)
{
    struct mesh__error *error = call->ctx->scope->error;
    struct mesh__error before = *error; /* nobody has heard of this one yet */
    struct mesh__rules *rules = &call->rules;

    rules->ended_ns = mesh__now_ns();
    if (call->result == NULL) {
        call->over.status = mesh__rules_refuse(call->ctx, rules, call->refusal);
    } else {
        call->over.status = result_of(call);
        mesh__rules_judge(rules, mesh__rules_outcome(call->ctx, rules, call->over.status));
    }
    if (call->final) {
        mesh__error_is_final(call->ctx, "RETRIES_EXHAUSTED", -1);
    }
    call->over.error = *error;
    *error = before;
}

/* Another attempt is to follow that one, which has failed. */
static void keep(struct mesh_call *call, const struct unary_try *try)
{
    struct mesh__error *error = call->ctx->scope->error;
    struct mesh__error before = *error;
    struct mesh__result *last = &call->rules.last;

    last->status = status_of(call, try);
    last->outcome = mesh__rules_outcome(call->ctx, &call->rules, last->status);
    last->error = *error;
    *error = before;
}

/* The call is over; what else is under way ends by itself. */
static void finish(struct mesh_call *call, struct unary_try *result, enum mesh__refusal refusal)
{
    give_up_pending(call);
    mesh__endpoints_forget(call->rules.client->endpoints, &call->rules.pick);
    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        struct unary_try *try = &call->tries[i];

        if (try == result || try->state == TRY_FREE) {
            continue;
        }
        if (try->state == TRY_DELAYED) {
            drop_unsent(call, try);
        } else if (!try->lost) {
            try->lost = true;
            mesh__attempt_cancel(&try->attempt);
        }
    }
    call->state = CALL_DONE;
    call->result = result;
    call->refusal = refusal;
    if (refusal != MESH__NOT_REFUSED) {
        mesh_counter_add(call->rules.client->counts.refusals[refusal], 1);
    }
    conclude(call);
}

static void plan_hedge(struct mesh_call *call, int64_t now_ns)
{
    const struct mesh__route_values *values = call->rules.values;

    call->next_ns = !call->stopped && values->hedging_delay_ms > 0 &&
                            call->n_hedges + 1 < values->hedging_max_attempts
                        ? mesh__after_ms(now_ns, values->hedging_delay_ms)
                        : MESH_NO_DEADLINE;
}

static void send(struct mesh_call *call, struct unary_try *try)
{
    const struct mesh__route_values *values = call->rules.values;
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL | WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE |
                                      WIRE_RECV_INITIAL | WIRE_RECV_MESSAGE | WIRE_RECV_STATUS,
                               .message = call->request,
                               .keep_message = true};

    mesh__attempt_start(&try->attempt, call->ctx, &call->rules, try->attempt.endpoint,
                        call->rules.deadline_ns);
    batch.initial = mesh__attempt_metadata(call->ctx, &call->rules, &batch.n_initial);
    try->state = TRY_SENT;
    try->until_ns = values->per_try_timeout_ms > 0
                        ? mesh__after_ms(try->attempt.started_ns, values->per_try_timeout_ms)
                        : MESH_NO_DEADLINE;
    mesh__attempt_batch(&try->attempt, &batch, &try->op);
}

/* An endpoint was picked. */
static void begin_try(struct mesh_call *call, struct mesh__endpoint *endpoint, enum try_kind kind)
{
    struct unary_try *try = call->tries;
    int64_t delay_ms;

    while (try->state != TRY_FREE) { /* one is: hedges are no more than there is room for */
        try++;
    }
    *try = (struct unary_try){.state = TRY_DELAYED,
                              .kind = kind,
                              .extra = kind != FIRST_TRY,
                              .attempt.endpoint = endpoint};
    call->state = CALL_RUNS;
    if (mesh__rules_fault(&call->rules, call->ctx, &delay_ms)) {
        finish(call, NULL, MESH__REFUSED_FAULT);
    } else if (delay_ms > 0) {
        try->until_ns = mesh__in_ms(delay_ms);
        call->next_ns = MESH_NO_DEADLINE;
    } else {
        send(call, try);
        plan_hedge(call, try->attempt.started_ns);
    }
}

/* ---- endpoints ------------------------------------------------------------------------------ */

static void pause(struct mesh_call *call, int64_t pause_ns)
{
    call->state = CALL_PAUSED;
    call->next_ns = mesh__now_ns() + pause_ns;
}

/* Nobody could be reached in time. */
static void no_endpoint(struct mesh_call *call)
{
    int64_t pause_ns;

    give_up_pending(call);
    if (mesh__rules_not_ready(&call->rules, &pause_ns) == MESH__AGAIN) {
        pause(call, pause_ns);
    } else {
        finish(call, NULL, MESH__REFUSED_NO_ENDPOINT);
    }
}

static void wait_for_endpoint(struct mesh_call *call)
{
    int64_t now_ns = mesh__now_ns();

    if (call->state != CALL_SEEKS) {
        call->state = CALL_SEEKS;
        call->next_ns = mesh__after_ms(now_ns, MESH__CONNECT_MS);
    } else if (now_ns >= call->next_ns) {
        no_endpoint(call);
        return;
    }
    if (!call->pending && !mesh__limit_take(&call->rules.client->pending)) {
        finish(call, NULL, MESH__REFUSED_PENDING);
        return;
    }
    call->pending = true;
}

/* The first attempt, or a retry after its pause. */
static void try_to_begin(struct mesh_call *call)
{
    struct mesh__endpoint *endpoint;
    enum mesh__picked picked = mesh__rules_pick(&call->rules, &endpoint);

    if (endpoint != NULL) {
        give_up_pending(call);
        begin_try(call, endpoint, call->rules.retries > 0 ? RETRY : FIRST_TRY);
    } else if (picked == MESH__PICKED) {
        finish(call, NULL, MESH__REFUSED_REQUESTS);
    } else if (picked == MESH__PICK_WAITS) {
        wait_for_endpoint(call);
    } else {
        no_endpoint(call);
    }
}

/* Without an endpoint, or a place in the budget, there is none. */
static void try_to_hedge(struct mesh_call *call)
{
    struct mesh__endpoint *endpoint;

    call->next_ns = MESH_NO_DEADLINE;
    if (call->rules.once) {
        return;
    }
    (void)mesh__rules_pick(&call->rules, &endpoint); /* that none is ready is as good a reason */
    if (endpoint == NULL) {
        return;
    }
    if (!mesh__rules_take_place(&call->rules)) {
        mesh__rules_unpick(&call->rules, endpoint);
        return;
    }
    call->n_hedges++;
    mesh_counter_add(call->rules.client->counts.hedges, 1);
    begin_try(call, endpoint, HEDGE);
}

/* ---- what comes back ------------------------------------------------------------------------ */

static void leave(struct mesh_call *call, struct unary_try *try, enum mesh_status status,
                  enum mesh__ejection_result result, const char *then)
{
    mesh__attempt_leave(&try->attempt, call->ctx, status, result, then);
    give_place(call, try);
}

/* The attempts that a hedge was sent for. */
static void overtake(struct mesh_call *call)
{
    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        struct unary_try *try = &call->tries[i];

        if (try->state == TRY_SENT && try->kind != HEDGE) {
            mesh__endpoint_burden(try->attempt.endpoint);
        }
    }
}

static void succeeded(struct mesh_call *call, struct unary_try *try)
{
    if (try->kind == HEDGE) {
        mesh_counter_add(call->rules.client->counts.hedges_won, 1);
        overtake(call);
    }
    call->rules.cut = false;
    call->rules.failure = (struct mesh__failure){0}; /* of an attempt beside it, perhaps */
    call->rules.given_up = false;
    finish(call, try, MESH__NOT_REFUSED);
    /* What cannot be read is no answer; that it is too large for this side is not its fault. */
    leave(call, try, call->over.status,
          call->over.status == MESH_INTERNAL ? MESH__EJECTION_5XX : MESH__EJECTION_GOOD, "answer");
}

/* What the peer says of other attempts holds for hedges too. */
static void follow(struct mesh_call *call, const char *pushback)
{
    int64_t pause_ns;

    if (!mesh__backoff_pushback(&call->rules.backoff, pushback, &pause_ns)) {
        call->stopped = true;
        call->next_ns = MESH_NO_DEADLINE;
        for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
            if (call->tries[i].state == TRY_DELAYED) {
                drop_unsent(call, &call->tries[i]);
            }
        }
    } else if (call->next_ns != MESH_NO_DEADLINE && mesh__now_ns() + pause_ns > call->next_ns) {
        call->next_ns = mesh__now_ns() + pause_ns;
    }
}

static enum mesh__again decide(struct mesh_call *call, const struct mesh__failure *failure,
                               const char *pushback, int64_t *ret_pause_ns)
{
    if (call->cancelled) {
        return MESH__AGAIN_NOT;
    }
    return call->stopped ? MESH__AGAIN_NO_MORE
                         : mesh__rules_retry(&call->rules, failure, pushback, ret_pause_ns);
}

static void failed(struct mesh_call *call, struct unary_try *try, enum mesh_status status)
{
    const char *pushback;
    struct mesh__failure failure = mesh__attempt_failure(&try->attempt, &pushback);
    enum mesh__again again;
    int64_t pause_ns;

    mesh__attempt_tell(&try->attempt, &call->rules);
    call->rules.cut = try->cut && status == MESH_CANCELLED;
    if (call->rules.cut) {
        failure = mesh__failure_per_try;
        call->rules.failure = failure;
        status = MESH_DEADLINE_EXCEEDED;
        mesh_counter_add(call->rules.client->counts.try_timeouts, 1);
    }
    if (pushback != NULL) {
        follow(call, pushback);
    }
    if ((failure.retry_on & (unsigned)call->rules.values->retry_on) != 0 && n_live(call) > 1) {
        keep(call, try);
        leave(call, try, status, failure.ejection, "another is under way");
        free_sent(call, try);
        return;
    }
    give_place(call, try); /* the next one may need it */
    again = decide(call, &failure, pushback, &pause_ns);
    leave(call, try, status, failure.ejection, again == MESH__AGAIN ? "retry" : "result");
    if (again == MESH__AGAIN) {
        keep(call, try);
        free_sent(call, try);
        pause(call, pause_ns);
        return;
    }
    call->final = again == MESH__AGAIN_NO_MORE;
    finish(call, try, MESH__NOT_REFUSED);
}

/* The batch of an attempt has completed. */
static void on_end(struct mesh_call *call, struct unary_try *try)
{
    enum mesh_status status;

    mesh__attempt_over(&try->attempt, call->ctx);
    status = mesh__attempt_code(&try->attempt);
    if (try->lost) {
        leave(call, try, status, MESH__EJECTION_NOTHING, "another was first");
        free_sent(call, try);
    } else if (status == MESH_OK) {
        succeeded(call, try);
    } else {
        failed(call, try, status);
    }
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* Nothing more is sent. */
static void cancel(struct mesh_call *call)
{
    call->cancelled = true;
    call->next_ns = MESH_NO_DEADLINE;
    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        struct unary_try *try = &call->tries[i];

        if (try->state == TRY_SENT) {
            mesh__attempt_cancel(&try->attempt);
        } else if (try->state == TRY_DELAYED) {
            drop_unsent(call, try);
        }
    }
    if (!is_sent(call)) {
        finish(call, NULL, MESH__REFUSED_CANCELLED);
    }
}

static void turn_try(struct mesh_call *call, struct unary_try *try, int64_t now_ns)
{
    if (try == call->result) {
        return; /* it is over, and waits for who takes it */
    }
    if (try->state == TRY_DELAYED && now_ns >= try->until_ns) {
        send(call, try);
        plan_hedge(call, now_ns);
    } else if (try->state == TRY_SENT && !try->op.pending) {
        on_end(call, try);
    } else if (try->state == TRY_SENT && now_ns >= try->until_ns && !try->cut && !try->lost) {
        try->cut = true;
        mesh__attempt_cancel(&try->attempt);
    }
}

/* An attempt is to begin, or an endpoint for it may be there. */
static bool is_due(const struct mesh_call *call, int64_t now_ns)
{
    const struct mesh__pick *pick = &call->rules.pick;

    if (call->state == CALL_SEEKS && (!pick->waits || now_ns >= pick->until_ns)) {
        return true;
    }
    return (call->state == CALL_SEEKS || call->state == CALL_PAUSED) && now_ns >= call->next_ns;
}

static void turn(struct mesh_call *call)
{
    int64_t now_ns = mesh__now_ns();

    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        turn_try(call, &call->tries[i], now_ns);
    }
    if (call->state == CALL_DONE) {
        return;
    }
    if (!call->cancelled && mesh_ctx_cancelled(call->ctx)) {
        cancel(call);
    }
    if (call->state != CALL_DONE && now_ns >= call->rules.deadline_ns && !is_sent(call)) {
        finish(call, NULL, MESH__REFUSED_LATE);
    }
    if (is_due(call, now_ns)) {
        try_to_begin(call);
    } else if (call->state == CALL_RUNS && now_ns >= call->next_ns) {
        try_to_hedge(call);
    }
}

/* When the call wants another turn, if nothing completes before. */
static int64_t next_turn(const struct mesh_call *call)
{
    int64_t due_ns = call->next_ns;

    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        const struct unary_try *try = &call->tries[i];

        if (try->state == TRY_DELAYED || (try->state == TRY_SENT && !try->cut && !try->lost)) {
            due_ns = mesh__least(due_ns, try->until_ns);
        }
    }
    if (call->state == CALL_SEEKS) {
        due_ns = mesh__least(due_ns, call->rules.pick.until_ns);
    }
    if (!is_sent(call)) {
        due_ns = mesh__least(due_ns, call->rules.deadline_ns);
    }
    /* What was sent for an inbound call is cancelled with it by the library. */
    if (call->ctx->cancelled != NULL && !call->cancelled &&
        (call->ctx->inbound == NULL || !is_sent(call))) {
        due_ns = mesh__least(due_ns, mesh__now_ns() + MESH__LOOK_NS);
    }
    return due_ns;
}

/* Nothing of it is under way. */
static bool is_over(const struct mesh_call *call)
{
    bool over = call->state == CALL_DONE;

    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        over = over && (call->tries[i].state == TRY_FREE || &call->tries[i] == call->result);
    }
    return over;
}

static void unlink_call(struct mesh_call *call)
{
    struct mesh_call **link = &calls_of_thread;

    while (*link != NULL && *link != call) {
        link = &(*link)->next_of_thread;
    }
    if (*link != NULL) { /* else a turn has done so */
        *link = call->next_of_thread;
    }
}

/* What has come is looked at before it is too late for it: the thread may have done other things.
 */
static bool take_what_has_come(void)
{
    int64_t now_ns = mesh__now_ns();
    bool late = false;
    bool taken = false;

    for (const struct mesh_call *call = calls_of_thread; call != NULL;
         call = call->next_of_thread) {
        late = late || (call->state != CALL_DONE && next_turn(call) <= now_ns);
    }
    while (late && mesh__queue_turn(now_ns)) {
        taken = true;
    }
    return taken;
}

int64_t mesh__calls_step(void)
{
    int64_t due_ns = take_what_has_come() ? mesh__now_ns() : MESH_NO_DEADLINE;
    struct mesh_call *next;

    for (struct mesh_call *call = calls_of_thread; call != NULL; call = next) {
        next = call->next_of_thread;
        turn(call);
        if (call->state != CALL_DONE) {
            due_ns = mesh__least(due_ns, next_turn(call));
        } else if (is_over(call)) {
            unlink_call(call);
        }
    }
    return due_ns;
}

/* ---- for client_unary.c --------------------------------------------------------------------- */

void mesh__unary_begin(struct mesh_call *call)
{
    call->next_of_thread = calls_of_thread;
    calls_of_thread = call;
    call->state = CALL_PAUSED; /* for no time */
    try_to_begin(call);
}

void mesh__unary_abandon(struct mesh_call *call, enum mesh__refusal refusal)
{
    finish(call, NULL, refusal);
}

void mesh__unary_free_result(struct mesh_call *call)
{
    free_sent(call, call->result);
    call->result = NULL;
}

void mesh__unary_drain(struct mesh_call *call)
{
    unlink_call(call);
    for (size_t i = 0; i < MESH__TRIES_MAX; i++) {
        struct unary_try *try = &call->tries[i];

        if (try->state == TRY_SENT) {
            (void)mesh__op_wait(&try->op, MESH_NO_DEADLINE); /* true: it has no limit */
            if (try->lost) {
                on_end(call, try);
            } else {
                free_sent(call, try);
            }
        }
    }
}
