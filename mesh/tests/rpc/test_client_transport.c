/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What failures are, told by the client that meets them: a peer in bytes produces each. Texts are
 * those of one version of the core, so this is what a new version has to pass.
 */
#include "client_peer.h"
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "rpc/client_call.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <stdio.h>

#define REFUSED (MESH__RETRY_REFUSED_STREAM | MESH__RETRY_RESET)
#define CONNECT (MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_RESET)

static const struct mesh_method ask = PEER_METHOD("Ask", MESH_UNARY);
static const struct raw_bytes nothing;
static struct raw_bytes settings;
static struct mesh_ctx *ctx;
static int64_t callers_ms; /* the time that the caller has; 0: any */

/* What is expected of one attempt. */
struct expected {
    enum mesh_status status;
    bool transport;
    unsigned retry_on;
    enum mesh__ejection_result ejection;
};

static bool same(const struct mesh__attempt *attempt, const struct expected *expected)
{
    const char *pushback;
    struct mesh__failure failure = mesh__attempt_failure(attempt, &pushback);
    enum mesh_status status = mesh__attempt_code(attempt);

    (void)fprintf(stderr, "%d \"%s\": %s, %#x, ejection %d\n", status,
                  mesh__wire->call_status_text(attempt->wire),
                  failure.transport ? "transport" : "server", failure.retry_on,
                  (int)failure.ejection);
    return status == expected->status && failure.transport == expected->transport &&
           failure.retry_on == expected->retry_on && failure.ejection == expected->ejection;
}

/* One that has an endpoint that was ready then. */
static void pick(struct mesh__attempt *attempt, struct mesh__rules *rules,
                 struct mesh_client *client)
{
    mesh__ctx_reset(ctx, callers_ms > 0 ? mesh__in_ms(callers_ms) : MESH_NO_DEADLINE);
    CHECK(mesh__rules_begin(rules, ctx, client, &ask) == MESH__NOT_REFUSED);
    while (mesh__endpoints_pick(client->endpoints, &rules->pick, &attempt->endpoint) ==
           MESH__PICK_WAITS) {
        (void)mesh__queue_turn(rules->deadline_ns);
    }
    CHECK(attempt->endpoint != NULL);
    CHECK(mesh__limit_take(&client->requests));
}

/* It is made and ends; `cancel`: given up by the caller at once. */
static bool ends_as(struct mesh__attempt *attempt, struct mesh__rules *rules, bool cancel,
                    const struct expected *expected)
{
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL | WIRE_SEND_MESSAGE | WIRE_SEND_CLOSE |
                                      WIRE_RECV_INITIAL | WIRE_RECV_MESSAGE | WIRE_RECV_STATUS};
    Peer__Note note = PEER__NOTE__INIT;
    struct mesh__op op;
    bool is;

    mesh__attempt_start(attempt, ctx, rules, attempt->endpoint, rules->deadline_ns);
    batch.initial = mesh__attempt_metadata(ctx, rules, &batch.n_initial);
    batch.message = mesh__client_pack(&note.base);
    mesh__attempt_batch(attempt, &batch, &op);
    if (cancel) {
        mesh__attempt_cancel(attempt);
    }
    CHECK(mesh__attempt_await(ctx, attempt, &op, MESH_NO_DEADLINE));
    mesh__attempt_over(attempt, ctx);
    is = same(attempt, expected);
    mesh__attempt_leave(attempt, ctx, mesh__attempt_code(attempt), expected->ejection, "result");
    mesh__attempt_free(attempt);
    mesh__rules_end(rules, MESH_OK);
    return is;
}

/* One attempt of a program's client, with two seconds at most. */
static bool attempt_is(struct raw_peer *peer, bool cancel, const struct expected *expected)
{
    struct mesh_client *client;
    struct mesh__attempt attempt;
    struct mesh__rules rules;
    char target[32];
    bool is;

    (void)snprintf(target, sizeof target, "ipv4:127.0.0.1:%d", raw_peer_port(peer));
    client = mesh_client_new("peer", target, 0);
    pick(&attempt, &rules, client);
    is = ends_as(&attempt, &rules, cancel, expected);
    mesh_client_free(client);
    raw_peer_free(peer);
    return is;
}

/* ---- what the peer says ------------------------------------------------------------------- */

static void add_fields(struct raw_bytes *bytes, uint8_t flags, const char *const *fields)
{
    struct raw_bytes block = {0};

    for (; fields[0] != NULL; fields += 2) {
        raw_header(&block, fields[0], fields[1]);
    }
    raw_frame(bytes, RAW_HEADERS, RAW_END_HEADERS | flags, 1, &block);
}

static void add_headers(struct raw_bytes *bytes)
{
    add_fields(bytes, 0,
               (const char *[]){":status", "200", "content-type", "application/grpc", NULL});
}

/* A status alone; behind headers, the first ones. mark NULL: none. */
static void add_trailers(struct raw_bytes *bytes, const char *code, const char *text,
                         const char *mark)
{
    static const char *const head[] = {":status", "200", "content-type", "application/grpc"};
    bool alone = bytes->size == 0 || bytes->data[3] != RAW_HEADERS;
    const char *fields[11];
    size_t n = 0;

    for (size_t i = 0; alone && i < sizeof head / sizeof head[0]; i++) {
        fields[n++] = head[i];
    }
    fields[n++] = "grpc-status";
    fields[n++] = code;
    fields[n++] = "grpc-message";
    fields[n++] = text;
    fields[n++] = mark != NULL ? MESH__STATUS_MARK : NULL;
    fields[n++] = mark;
    fields[n] = NULL;
    add_fields(bytes, RAW_END_STREAM, fields);
}

static void add_reset(struct raw_bytes *bytes, uint8_t code)
{
    const struct raw_bytes payload = {4, {0, 0, 0, code}};

    raw_frame(bytes, RAW_RST_STREAM, 0, 1, &payload);
}

static void add_goaway(struct raw_bytes *bytes, uint8_t last_stream, uint8_t code)
{
    const struct raw_bytes payload = {8, {0, 0, 0, last_stream, 0, 0, 0, code}};

    raw_frame(bytes, RAW_GOAWAY, 0, 0, &payload);
}

static enum mesh_status status_of_reset(int code)
{
    switch (code) {
    case 7:
    case 8:  /* nobody has cancelled it, */
    case 11: /* has had enough */
    case 12: /* or has forbidden it */
        return MESH_UNAVAILABLE;
    default:
        return MESH_INTERNAL;
    }
}

TEST(a_reset_of_every_code)
{
    enum { CODES = 20 }; /* those from 14 on are not defined */

    for (int code = 0; code < CODES; code++) {
        const struct expected expected = {status_of_reset(code), true,
                                          code == 7 ? REFUSED : MESH__RETRY_RESET,
                                          MESH__EJECTION_BOTH};

        for (int begun = 0; begun < 2; begun++) {
            struct raw_bytes answer = {0};

            if (begun == 1) {
                add_headers(&answer);
            }
            add_reset(&answer, (uint8_t)code);
            CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &expected));
        }
    }
}

static const struct expected refused = {MESH_UNAVAILABLE, true, REFUSED, MESH__EJECTION_BOTH};
static const struct expected closed = {MESH_UNAVAILABLE, true, MESH__RETRY_RESET,
                                       MESH__EJECTION_BOTH};

/* The core sends a call that GOAWAY refuses once more by itself, and is refused again. */
TEST(goaway_below_the_call_and_above)
{
    static const struct {
        uint8_t last_stream, code;
        enum raw_end end;
        const struct expected *expected;
    } rows[] = {
        {0, 0, RAW_CLOSE, &refused}, {0, 11, RAW_CLOSE, &refused}, {1, 0, RAW_CLOSE, &closed},
        {3, 0, RAW_CLOSE, &closed},  {1, 2, RAW_CLOSE, &closed},   {1, 0, RAW_RESET, &closed},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct raw_bytes answer = {0};

        add_goaway(&answer, rows[i].last_stream, rows[i].code);
        CHECK(attempt_is(raw_peer_new(&settings, &answer, rows[i].end), false, rows[i].expected));
    }
}

TEST(a_call_that_goaway_lets_finish_finishes)
{
    static const struct expected there = {MESH_NOT_FOUND, false, 0, MESH__EJECTION_GOOD};
    struct raw_bytes answer = {0};

    add_goaway(&answer, 1, 0);
    add_trailers(&answer, "5", "gone", NULL);
    CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_CLOSE), false, &there));
}

TEST(connections_that_end)
{
    static const enum raw_end ends[] = {RAW_CLOSE, RAW_RESET};
    struct raw_bytes head = {0};

    add_headers(&head);
    for (size_t i = 0; i < 2; i++) {
        CHECK(attempt_is(raw_peer_new(&settings, &nothing, ends[i]), false, &closed));
        CHECK(attempt_is(raw_peer_new(&settings, &head, ends[i]), false, &closed));
    }
}

static bool has_no_endpoint(struct raw_peer *peer)
{
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *answer;
    struct mesh_client *client;
    char target[32];
    bool has_none;

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(peer));
    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    client = mesh_client_new("peer", target, 5000);
    has_none = mesh_client_call(ctx, client, &ask, &note.base, &answer) == MESH_UNAVAILABLE &&
               strcmp(mesh_ctx_error_reason(ctx), "NO_ENDPOINT") == 0;
    mesh_client_free(client);
    raw_peer_free(peer);
    return has_none;
}

TEST(connections_that_never_are)
{
    struct raw_bytes http1 = {0};

    raw_add(&http1, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    CHECK(has_no_endpoint(raw_peer_new_refusing()));
    CHECK(has_no_endpoint(raw_peer_new_hanging()));
    CHECK(has_no_endpoint(raw_peer_new(&nothing, &nothing, RAW_STAY)));
    CHECK(has_no_endpoint(raw_peer_new(&http1, &nothing, RAW_STAY)));
}

/* Between the choice of an endpoint and the attempt. */
TEST(a_connection_that_is_lost_before_the_attempt)
{
    static const struct expected lost = {MESH_UNAVAILABLE, true, CONNECT, MESH__EJECTION_BOTH};
    struct governed governed;
    struct actor actor;
    struct mesh__attempt attempt;
    struct mesh__rules rules;

    actor_start(&actor, ACTS({0}), 0);
    governed_start(&governed, &(struct governed_options){.target = actor_target(&actor)});
    pick(&attempt, &rules, governed.client);
    actor_stop(&actor);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    CHECK(ends_as(&attempt, &rules, false, &lost));
    governed_done(&governed);
}

TEST(a_peer_that_turns_to_another_protocol)
{
    static const struct expected broken = {MESH_INTERNAL, true, MESH__RETRY_RESET,
                                           MESH__EJECTION_BOTH};
    struct raw_bytes http1 = {0};

    raw_add(&http1, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    CHECK(attempt_is(raw_peer_new(&settings, &http1, RAW_STAY), false, &broken));
}

TEST(what_ends_on_this_side_is_no_failure_of_the_peer_to_try_again)
{
    static const struct expected late = {MESH_DEADLINE_EXCEEDED, true, 0, MESH__EJECTION_GATEWAY};
    static const struct expected cancelled = {MESH_CANCELLED, true, 0, MESH__EJECTION_NOTHING};

    CHECK(attempt_is(raw_peer_new(&settings, &nothing, RAW_STAY), false, &late));
    CHECK(attempt_is(raw_peer_new(&settings, &nothing, RAW_STAY), true, &cancelled));
}

/* The same words of the other side: its core drops what it has handed to nobody, and its clock is
 * not ours. */
TEST(what_ends_with_those_words_on_the_other_side_is)
{
    static const struct expected dropped = {MESH_UNAVAILABLE, true, REFUSED | MESH__RETRY_CANCELLED,
                                            MESH__EJECTION_BOTH};
    static const struct expected late = {MESH_DEADLINE_EXCEEDED, false,
                                         MESH__RETRY_DEADLINE_EXCEEDED, MESH__EJECTION_GATEWAY};
    struct raw_bytes answer = {0};

    add_trailers(&answer, "1", "CANCELLED", NULL);
    CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &dropped));
    answer.size = 0;
    add_trailers(&answer, "4", "Deadline Exceeded", NULL);
    CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &late));
}

/* Nobody else shall go without an endpoint because of it. */
TEST(a_caller_in_a_hurry_says_nothing_of_the_endpoint)
{
    static const struct expected late = {MESH_DEADLINE_EXCEEDED, true, 0, MESH__EJECTION_NOTHING};
    static const struct expected told = {MESH_DEADLINE_EXCEEDED, false,
                                         MESH__RETRY_DEADLINE_EXCEEDED, MESH__EJECTION_NOTHING};
    struct raw_bytes answer = {0};

    callers_ms = 1000;
    CHECK(attempt_is(raw_peer_new(&settings, &nothing, RAW_STAY), false, &late));
    add_trailers(&answer, "4", "no time left", "1");
    CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &told));
    callers_ms = 0;
}

TEST(http_without_a_grpc_status)
{
    static const struct {
        const char *http;
        enum mesh_status status;
        bool again;
    } rows[] = {
        {"400", MESH_INTERNAL, false},          {"401", MESH_UNAUTHENTICATED, false},
        {"403", MESH_PERMISSION_DENIED, false}, {"404", MESH_UNIMPLEMENTED, false},
        {"429", MESH_UNAVAILABLE, false},       {"302", MESH_UNAVAILABLE, false},
        {"500", MESH_UNAVAILABLE, true},        {"502", MESH_UNAVAILABLE, true},
        {"503", MESH_UNAVAILABLE, true},        {"504", MESH_UNAVAILABLE, true},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const struct expected there = {MESH_UNAVAILABLE, false, MESH__RETRY_UNAVAILABLE,
                                              MESH__EJECTION_GATEWAY};
        struct expected expected = {rows[i].status, true, rows[i].again ? MESH__RETRY_RESET : 0U,
                                    MESH__EJECTION_BOTH};
        struct raw_bytes answer = {0};

        add_fields(&answer, RAW_END_STREAM, (const char *[]){":status", rows[i].http, NULL});
        CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &expected));
        answer.size = 0; /* with one, that counts */
        add_fields(&answer, RAW_END_STREAM,
                   (const char *[]){":status", rows[i].http, "grpc-status", "14", NULL});
        CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &there));
    }
}

/* ---- what a server says ------------------------------------------------------------------- */

static const struct {
    const char *code;
    struct expected expected;
} sent[] = {
    {"1", {MESH_CANCELLED, false, MESH__RETRY_CANCELLED, MESH__EJECTION_GOOD}},
    {"2", {MESH_UNKNOWN, false, 0, MESH__EJECTION_5XX}},
    {"3", {MESH_INVALID_ARGUMENT, false, 0, MESH__EJECTION_GOOD}},
    {"4", {MESH_DEADLINE_EXCEEDED, false, MESH__RETRY_DEADLINE_EXCEEDED, MESH__EJECTION_GATEWAY}},
    {"5", {MESH_NOT_FOUND, false, 0, MESH__EJECTION_GOOD}},
    {"6", {MESH_ALREADY_EXISTS, false, 0, MESH__EJECTION_GOOD}},
    {"7", {MESH_PERMISSION_DENIED, false, 0, MESH__EJECTION_GOOD}},
    {"8", {MESH_RESOURCE_EXHAUSTED, false, MESH__RETRY_RESOURCE_EXHAUSTED, MESH__EJECTION_GOOD}},
    {"9", {MESH_FAILED_PRECONDITION, false, 0, MESH__EJECTION_GOOD}},
    {"10", {MESH_ABORTED, false, 0, MESH__EJECTION_GOOD}},
    {"11", {MESH_OUT_OF_RANGE, false, 0, MESH__EJECTION_GOOD}},
    {"12", {MESH_UNIMPLEMENTED, false, 0, MESH__EJECTION_5XX}},
    {"13", {MESH_INTERNAL, false, MESH__RETRY_INTERNAL, MESH__EJECTION_5XX}},
    {"14", {MESH_UNAVAILABLE, false, MESH__RETRY_UNAVAILABLE, MESH__EJECTION_GATEWAY}},
    {"15", {MESH_DATA_LOSS, false, 0, MESH__EJECTION_5XX}},
    {"16", {MESH_UNAUTHENTICATED, false, 0, MESH__EJECTION_GOOD}},
};

TEST(a_status_of_every_code_is_the_servers)
{
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        struct raw_bytes answer = {0};

        add_trailers(&answer, sent[i].code, "no such article", NULL);
        CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &sent[i].expected));
    }
}

/* Texts of the transport, sent by a server: only the mark tells. */
TEST(a_marked_status_is_the_servers_whatever_it_says)
{
    static const char *const texts[] = {"Socket closed", "CANCELLED", "Deadline Exceeded",
                                        "Received RST_STREAM with error code 7",
                                        "failed to connect to all addresses"};

    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        struct raw_bytes answer = {0};

        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++) {
            answer.size = 0;
            add_trailers(&answer, sent[i].code, texts[j], "1");
            CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &sent[i].expected));
        }
        answer.size = 0; /* the same behind headers */
        add_headers(&answer);
        add_trailers(&answer, sent[i].code, texts[0], "1");
        CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &sent[i].expected));
    }
}

TEST(without_the_mark_the_text_decides)
{
    struct raw_bytes answer = {0};

    add_trailers(&answer, "14", "Socket closed", NULL);
    CHECK(attempt_is(raw_peer_new(&settings, &answer, RAW_STAY), false, &closed));
}

/* ---- texts that no peer brings about here ------------------------------------------------- */

TEST(texts_of_the_core)
{
    static const struct {
        enum mesh_status status;
        const char *text;
        unsigned retry_on;
        enum mesh__ejection_result ejection;
    } rows[] = {
        {MESH_UNAVAILABLE, "DNS resolution failed for x: y", CONNECT, MESH__EJECTION_BOTH},
        {MESH_UNAVAILABLE, "empty address list: ", CONNECT, MESH__EJECTION_BOTH},
        {MESH_UNAVAILABLE, "keepalive watchdog timeout", MESH__RETRY_RESET, MESH__EJECTION_BOTH},
        {MESH_UNAVAILABLE, "sendmsg:Broken pipe", MESH__RETRY_RESET, MESH__EJECTION_BOTH},
        {MESH_UNKNOWN, "Stream removed", MESH__RETRY_RESET, MESH__EJECTION_BOTH},
        {MESH_RESOURCE_EXHAUSTED, "Received message larger than max (5 vs. 4)", 0,
         MESH__EJECTION_NOTHING},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mesh__failure failure = mesh__failure_of(rows[i].status, rows[i].text, false);

        CHECK(failure.transport && failure.retry_on == rows[i].retry_on &&
              failure.ejection == rows[i].ejection);
        failure = mesh__failure_of(rows[i].status, rows[i].text, true);
        CHECK(!failure.transport);
    }
    CHECK(!mesh__failure_of(MESH_CANCELLED, "Deadline Exceeded", false).transport);
    CHECK(!mesh__failure_of(MESH_DEADLINE_EXCEEDED, "CANCELLED", false).transport);
    CHECK(!mesh__failure_of(MESH_OK, "Socket closed", false).transport);
}

static int set_up(void **state)
{
    (void)state;
    raw_frame(&settings, RAW_SETTINGS, 0, 0, &nothing);
    ctx = mesh__ctx_new("test", 0, MESH_NO_DEADLINE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__client_thread_done();
    return 0;
}

TEST_MAIN(set_up, tear_down)
