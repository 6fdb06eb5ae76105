/* SPDX-License-Identifier: Apache-2.0 */
#include "governed.h"

#include "core/clock.h"
#include "core/ctx_impl.h"
#include "core/text.h"
#include "mesh/cleanup.h"
#include "mesh/metrics.h"
#include "rpc/backoff.h"
#include "rpc/client_counts.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SELF "SELF"
#define PATIENCE_MS 10000
#define TIMEOUT_MS 20000 /* of calls, unless the policy says it: no test waits for it */

/* ---- the client ----------------------------------------------------------------------------- */

#define METHOD(method_name, method_kind, level)                                                    \
    {                                                                                              \
        .path = "/peer.Peer/" method_name, .name = method_name, .kind = method_kind,               \
        .idempotency = level, .request = &peer__note__descriptor,                                  \
        .response = &peer__note__descriptor                                                        \
    }

static const struct mesh_method methods[] = {
    METHOD("Ask", MESH_UNARY, MESH_NO_SIDE_EFFECTS),
    METHOD("Buy", MESH_UNARY, MESH_IDEMPOTENT),
    METHOD("Count", MESH_UNARY, MESH_IDEMPOTENCY_UNKNOWN),
    METHOD("Watch", MESH_SERVER_STREAMING, MESH_NO_SIDE_EFFECTS),
    METHOD("Talk", MESH_BIDI_STREAMING, MESH_NO_SIDE_EFFECTS),
};
static const struct mesh_service_type type = {
    .name = "peer.Peer", .methods = methods, .n_methods = sizeof methods / sizeof methods[0]};
static const struct mesh_service_type *const types[] = {&type, NULL};

const struct mesh_method *governed_method(const char *name)
{
    size_t i = 0;

    while (strcmp(methods[i].name, name) != 0) {
        i++;
    }
    return &methods[i];
}

static void add(struct mesh__text *text, const char *part)
{
    mesh__text_adds(text, part != NULL ? part : "");
}

/* Text to be freed. */
static struct mesh__text policy_text(const struct governed *governed)
{
    const struct governed_options *options = &governed->options;
    struct mesh__text raw = {0};
    struct mesh__text text = {0};

    add(&raw, "{'schema':'mesh-policy/v1','mode':'");
    add(&raw, options->mode != NULL ? options->mode : "library");
    add(&raw, "','defaults':{'route':{");
    add(&raw, options->route);
    add(&raw, "},'destination':{");
    add(&raw, options->destination);
    add(&raw, "}},'routes':{");
    add(&raw, options->routes);
    add(&raw, "}}");
    for (size_t i = 0; i < raw.size;) {
        if (strncmp(raw.bytes + i, SELF, strlen(SELF)) == 0) {
            add(&text, governed->name);
            i += strlen(SELF);
        } else {
            mesh__text_add(&text, raw.bytes[i] == '\'' ? "\"" : raw.bytes + i, 1);
            i++;
        }
    }
    free(raw.bytes);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        abort();
    }
}

static struct mesh__policies *make_policies(const struct governed *governed)
{
    const struct mesh__policy_options options = {
        .file = governed->options.file != NULL ? governed->options.file : "policy.json",
        .peers = governed->peers,
        .settle_ms = 1,
    };
    struct mesh__policies *policies = NULL;
    struct mesh__text text = policy_text(governed);
    struct mesh__policy *policy;
    char error[512] = "";

    if (governed->options.file != NULL) {
        write_file(options.file, text.bytes);
        policies = mesh__policies_new(&options, error, sizeof error);
    } else {
        policy = mesh__policy_new(&options, text.bytes, text.size, error, sizeof error);
        policies = policy != NULL ? mesh__policies_fixed(policy) : NULL;
    }
    if (policies == NULL) {
        (void)fprintf(stderr, "%s\n%s\n", error, text.bytes);
        abort();
    }
    free(text.bytes);
    mesh__policies_start(policies);
    return policies;
}

void governed_start(struct governed *governed, const struct governed_options *options)
{
    static atomic_int n_started;
    struct mesh__client_options client = {
        .target = options->target, .n_workers = options->n_workers, .waiting = options->waiting};

    *governed = (struct governed){.options = *options};
    (void)snprintf(governed->name, sizeof governed->name, "peer%d", ++n_started);
    governed->peers[0] =
        (struct mesh_peer){.name = governed->name, .timeout_ms = TIMEOUT_MS, .types = types};
    governed->policies = make_policies(governed);
    client.name = governed->name;
    client.policies = governed->policies;
    governed->client = mesh__client_new(&client);
    governed->ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    governed->ctx->scope->serves = true;
}

void governed_done(struct governed *governed)
{
    mesh__ctx_free(governed->ctx);
    mesh_client_free(governed->client);
    mesh__client_thread_done();
    mesh__policies_free(governed->policies);
    if (governed->options.file != NULL) {
        (void)unlink(governed->options.file);
    }
}

void governed_change(struct governed *governed, const char *route, const char *destination)
{
    struct mesh__policy *before = mesh__policies_take(governed->policies);
    struct mesh__policy *now = NULL;
    int64_t limit_ns = mesh__in_ms(PATIENCE_MS);
    struct mesh__text text;

    governed->options.route = route;
    governed->options.destination = destination;
    text = policy_text(governed);
    write_file(governed->options.file, text.bytes);
    free(text.bytes);
    do {
        (void)sched_yield();
        mesh__policy_release(now);
        now = mesh__policies_take(governed->policies);
    } while (now == before && mesh__now_ns() < limit_ns);
    if (now == before) {
        abort();
    }
    mesh__policy_release(now);
    mesh__policy_release(before);
}

struct mesh_call *governed_begin(struct governed *governed, struct mesh_ctx *ctx,
                                 const char *method)
{
    Peer__Note note = PEER__NOTE__INIT;

    return mesh_client_start(ctx, governed->client, governed_method(method), &note.base);
}

enum mesh_status governed_end(struct mesh_ctx *ctx, struct mesh_call *call)
{
    ProtobufCMessage *answer;

    return mesh_client_wait(ctx, call, &answer);
}

static enum mesh_status call_until(struct governed *governed, const char *method,
                                   int64_t deadline_ns)
{
    mesh__ctx_reset(governed->ctx, deadline_ns);
    governed->ctx->scope->serves = true;
    return governed_end(governed->ctx, governed_begin(governed, governed->ctx, method));
}

enum mesh_status governed_call(struct governed *governed, const char *method)
{
    return call_until(governed, method, MESH_NO_DEADLINE);
}

enum mesh_status governed_call_within(struct governed *governed, const char *method, int64_t ms)
{
    return call_until(governed, method, mesh__in_ms(ms));
}

bool governed_recovers(struct governed *governed, const char *method, int64_t ms)
{
    int64_t limit_ns = mesh__in_ms(ms);

    while (governed_call(governed, method) != MESH_OK) {
        if (mesh__now_ns() >= limit_ns) {
            return false;
        }
        (void)sched_yield();
    }
    return true;
}

const char *governed_reason(const struct governed *governed)
{
    return mesh_ctx_error_reason(governed->ctx);
}

int64_t governed_count(const struct governed *governed, const char *metric, const char *label,
                       const char *value)
{
    const char *const labels[] = {"destination", governed->name, label, value, NULL};

    return (int64_t)mesh_counter_value(mesh_counter(metric, "", labels));
}

int64_t governed_retries(const struct governed *governed)
{
    int64_t n = 0;

    for (unsigned i = 0; i < MESH__N_RETRY_ON; i++) {
        n += governed_count(governed, "mesh_client_retries_total", "reason",
                            mesh__retry_word(1U << i));
    }
    return n;
}

/* For whoever reads why a test has failed. */
static void show(struct governed *governed)
{
    struct mesh__text text = {0};

    mesh__client_json(governed->client, &text);
    (void)fprintf(stderr, "%s\n", text.bytes);
    free(text.bytes);
}

/* How often it stands in what is shown to people. */
static int count_shown(struct governed *governed, const char *part)
{
    struct mesh__text text = {0};
    int n = 0;

    mesh__client_json(governed->client, &text);
    for (const char *at = text.bytes; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    free(text.bytes);
    return n;
}

bool governed_shows(struct governed *governed, const char *part)
{
    bool shows = count_shown(governed, part) > 0;

    if (!shows) {
        show(governed);
    }
    return shows;
}

bool governed_has_endpoints(struct governed *governed, const char *state, int n)
{
    char look_for[64];

    (void)snprintf(look_for, sizeof look_for, "\"state\":\"%s\",\"ejected\"", state);
    return count_shown(governed, look_for) == n;
}

bool governed_await_endpoints(struct governed *governed, const char *state, int n)
{
    int64_t limit_ns = mesh__in_ms(PATIENCE_MS);

    while (!governed_has_endpoints(governed, state, n)) {
        if (mesh__now_ns() >= limit_ns) {
            show(governed);
            return false;
        }
        (void)sched_yield();
    }
    return true;
}

/* ---- peers ---------------------------------------------------------------------------------- */

static struct act next_act(struct actor *actor)
{
    struct act act;

    (void)pthread_mutex_lock(&actor->mutex);
    act = actor->acts[actor->at];
    if (actor->at + 1 < actor->n_acts) {
        actor->at++;
    }
    (void)pthread_mutex_unlock(&actor->mutex);
    return act;
}

/* True: it goes on. */
static bool hang(struct actor *actor, struct peer_call *call)
{
    bool over = false;

    actor->n_hanging++;
    while (!actor->released && !over) {
        over = peer_over_within(call, 5);
    }
    actor->n_hanging--;
    if (over) {
        actor->n_cancelled += peer_wait_over(call);
    }
    return !over;
}

static void end(struct peer_call *call, const struct act *act)
{
    cleanup_ctx struct mesh_ctx *own = mesh__ctx_new("actor", 0, MESH_NO_DEADLINE);
    struct wire_pair pairs[3];
    size_t n = 0;

    if (act->pushback != NULL) {
        pairs[n++] = (struct wire_pair){MESH__PUSHBACK, act->pushback, strlen(act->pushback)};
    }
    if (act->as_ours) {
        pairs[n++] = (struct wire_pair){MESH__STATUS_MARK, "1", 1};
    }
    if (act->reason != NULL || act->own_reason != NULL) {
        pairs[n].key = "grpc-status-details-bin";
        if (act->own_reason != NULL) { /* for its details */
            mesh_ignore(mesh_fail_reason(own, act->status, act->own_reason, "as told"));
        } else {
            mesh_ignore(mesh_fail(own, act->status, "as told"));
            mesh__error_is_final(own, act->reason, -1);
        }
        pairs[n].value = mesh__error_details(own, act->status, &pairs[n].size);
        n++;
    }
    peer_end(call, act->status, "as told", pairs, n);
}

static void run(struct peer_call *call, void *arg)
{
    struct actor *actor = arg;
    struct act act = next_act(actor);
    const char *retried = peer_metadata(call, MESH__RETRIED);
    const char *fault = peer_metadata(call, MESH__FAULT);
    int64_t deadline_ns = mesh__wire->call_deadline_ns(peer_wire(call));
    Peer__Note *note = peer_read(call);

    (void)snprintf(actor->fault, sizeof actor->fault, "%s", fault != NULL ? fault : "");
    actor->given_ms =
        deadline_ns == MESH_NO_DEADLINE ? -1 : (deadline_ns - mesh__now_ns()) / MESH_NS_PER_MS;
    actor->n_retried += retried != NULL && strcmp(retried, "1") == 0;
    actor->n_calls++;
    peer__note__free_unpacked(note, NULL);
    for (int i = 0; i < act.n_messages; i++) {
        (void)peer_write(call, "message", i);
    }
    if (act.hangs && !hang(actor, call)) {
        return;
    }
    if (act.releases) {
        actor_release(actor);
        while (actor->n_hanging > 0) {
            (void)sched_yield();
        }
    }
    if (act.status == MESH_OK && act.n_messages == 0) {
        act.unreadable ? (void)peer_write_bytes(call, "\xff\xff", 2)
                       : (void)peer_write(call, "answer", 0);
    }
    end(call, &act);
}

static const struct peer_script scripts[] = {
    {"/peer.Peer/Ask", run},   {"/peer.Peer/Buy", run},  {"/peer.Peer/Count", run},
    {"/peer.Peer/Watch", run}, {"/peer.Peer/Talk", run}, {NULL, NULL},
};

void actor_start(struct actor *actor, const struct act *acts, size_t n_acts, int port)
{
    *actor = (struct actor){.n_acts = 0};
    (void)pthread_mutex_init(&actor->mutex, NULL);
    actor_follow(actor, acts, n_acts);
    actor->peer = peer_new(scripts, actor, port);
}

void actor_stop(struct actor *actor)
{
    peer_free(actor->peer);
    (void)pthread_mutex_destroy(&actor->mutex);
}

void actor_follow(struct actor *actor, const struct act *acts, size_t n_acts)
{
    if (n_acts > ACTS_MAX) {
        abort();
    }
    (void)pthread_mutex_lock(&actor->mutex);
    memcpy(actor->acts, acts, n_acts * sizeof *acts);
    actor->n_acts = n_acts;
    actor->at = 0;
    (void)pthread_mutex_unlock(&actor->mutex);
}

void actor_release(struct actor *actor)
{
    actor->released = true;
}

const char *actor_target(const struct actor *actor)
{
    return peer_target(actor->peer);
}
