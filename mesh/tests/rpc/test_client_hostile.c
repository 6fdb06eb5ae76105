/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that answer with what they should not: bad messages, bad HTTP/2, bad statuses, nothing. */
#include "client_peer.h"
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "mesh/client.h"
#include "rpc/client_call.h"
#include "rpc/client_impl.h"
#include "test.h"

#include <stdio.h>

static const struct mesh_method ask = PEER_METHOD("Ask", MESH_UNARY);
static struct mesh_ctx *ctx;

/* What the scripted peer answers with. */
static const uint8_t *answer_bytes;
static size_t answer_size;
static int n_answers;

static void script_ask(struct peer_call *call, void *arg)
{
    (void)arg;
    for (int i = 0; i < n_answers; i++) {
        (void)peer_write_bytes(call, answer_bytes, answer_size);
    }
}

static const struct peer_script scripts[] = {{"/peer.Peer/Ask", script_ask}, {NULL, NULL}};

static enum mesh_status ask_target(const char *target, int64_t timeout_ms)
{
    struct mesh_client *client = mesh_client_new("peer", target, timeout_ms);
    Peer__Note note = PEER__NOTE__INIT;
    ProtobufCMessage *none = &note.base;
    ProtobufCMessage *answer = none;
    enum mesh_status status;

    mesh__ctx_reset(ctx, MESH_NO_DEADLINE);
    status = mesh_client_call(ctx, client, &ask, &note.base, &answer);
    CHECK((status == MESH_OK) == (answer != none));
    mesh_client_free(client);
    return status;
}

static enum mesh_status answered_with(const void *bytes, size_t size, int n)
{
    struct peer *peer;
    enum mesh_status status;

    answer_bytes = bytes;
    answer_size = size;
    n_answers = n;
    peer = peer_new(scripts, NULL, 0);
    status = ask_target(peer_target(peer), 1000);
    peer_free(peer);
    return status;
}

static bool says(const char *start)
{
    if (strncmp(mesh_ctx_error(ctx), start, strlen(start)) != 0) {
        (void)fprintf(stderr, "\"%s\" does not start with \"%s\"\n", mesh_ctx_error(ctx), start);
        return false;
    }
    return true;
}

/* ---- messages ----------------------------------------------------------------------------- */

TEST(an_empty_message_is_a_fine_answer)
{
    CHECK(answered_with("", 0, 1) == MESH_OK);
}

TEST(an_answer_that_does_not_decode_is_internal)
{
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"\x0a\x7f", 2},                 /* a text longer than the message */
        {"\xff\xff\xff\xff", 4},         /* half a tag */
        {"\x0a\x02\xc3\x28", 4},         /* not UTF-8 */
        {"\x0a\x03\x61\x00\x62", 5},     /* a NUL in a text */
        {"\x22\x00\x22\x00", 4},         /* a message twice */
        {"\x0b\x0c", 2},                 /* a group */
        {"\x08\x01", 2},                 /* a number in place of a text */
        {"\x1a\xff\xff\xff\xff\x0f", 6}, /* a length of 4 GiB */
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(answered_with(bad[i].bytes, bad[i].size, 1), MESH_INTERNAL);
        CHECK(says("peer: bad answer to Ask: "));
    }
}

TEST(an_answer_nested_too_deep_is_internal)
{
    static uint8_t deep[4 * 10000];
    size_t at = sizeof deep;
    size_t inside = 0;

    while (at > 8 && inside < 0x1fffff) { /* wraps what is there in one more note, from the end */
        size_t value = inside;

        if (inside < 0x80) {
            deep[--at] = (uint8_t)value;
        } else if (inside < 0x4000) {
            deep[--at] = (uint8_t)(value >> 7);
            deep[--at] = (uint8_t)(value | 0x80);
        } else {
            deep[--at] = (uint8_t)(value >> 14);
            deep[--at] = (uint8_t)(value >> 7 | 0x80);
            deep[--at] = (uint8_t)(value | 0x80);
        }
        deep[--at] = 0x22;
        inside = sizeof deep - at;
    }
    CHECK_INT(answered_with(deep + at, sizeof deep - at, 1), MESH_INTERNAL);
    CHECK(says("peer: bad answer to Ask: "));
}

TEST(an_answer_that_is_too_large_is_resource_exhausted)
{
    size_t size = (4 << 20) + 100;
    uint8_t *large = calloc(1, size);

    CHECK_INT(answered_with(large, size, 1), MESH_RESOURCE_EXHAUSTED);
    CHECK(says("peer: Received message larger than max"));
    free(large);
}

/* The core waits for the second one to be read, which nobody does. */
TEST(two_answers_to_a_unary_call_cost_its_deadline_at_most)
{
    int64_t start_ns = mesh__now_ns();
    enum mesh_status status = answered_with("", 0, 2);

    CHECK(status == MESH_OK || status == MESH_INTERNAL || status == MESH_DEADLINE_EXCEEDED);
    CHECK(mesh__now_ns() - start_ns < 3 * MESH_NS_PER_S);
}

/* ---- bytes -------------------------------------------------------------------------------- */

static const struct raw_bytes nothing;
static struct raw_bytes settings;

static enum mesh_status raw_answered(const struct raw_bytes *hello, const struct raw_bytes *answer,
                                     enum raw_end end)
{
    struct raw_peer *peer = raw_peer_new(hello, answer, end);
    enum mesh_status status;
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(peer));
    status = ask_target(target, 1000);
    raw_peer_free(peer);
    return status;
}

static void add_fields(struct raw_bytes *bytes, uint8_t flags, const char *const *fields)
{
    struct raw_bytes block = {0};

    for (; fields[0] != NULL; fields += 2) {
        raw_header(&block, fields[0], fields[1]);
    }
    raw_frame(bytes, RAW_HEADERS, RAW_END_HEADERS | flags, 1, &block);
}

/* Headers of a good answer, one message with this prefix, and trailers of success. */
static void add_answer(struct raw_bytes *bytes, const char *encoding, uint8_t compressed)
{
    struct raw_bytes data = {0};

    add_fields(bytes, 0,
               (const char *[]){":status", "200", "content-type", "application/grpc",
                                encoding != NULL ? "grpc-encoding" : NULL, encoding, NULL});
    raw_message(&data, compressed, "\x10\x05", 2);
    raw_frame(bytes, RAW_DATA, 0, 1, &data);
    add_fields(bytes, RAW_END_STREAM, (const char *[]){"grpc-status", "0", NULL});
}

TEST(a_good_answer_in_bytes_is_understood)
{
    struct raw_bytes answer = {0};

    add_answer(&answer, NULL, 0);
    CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), MESH_OK);
}

TEST(a_compressed_answer_is_refused)
{
    static const char *const encodings[] = {"gzip", "deflate"};

    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        struct raw_bytes answer = {0};
        enum mesh_status status;

        add_answer(&answer, encodings[i], 1);
        status = raw_answered(&settings, &answer, RAW_STAY);
        CHECK(status == MESH_INTERNAL || status == MESH_UNIMPLEMENTED);
        CHECK(says("peer: "));
    }
}

TEST(a_compressed_answer_without_a_known_encoding_is_refused)
{
    static const char *const encodings[] = {NULL, "identity", "zebra"};

    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        struct raw_bytes answer = {0};

        add_answer(&answer, encodings[i], 1);
        CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), MESH_INTERNAL);
        CHECK(says("peer: "));
    }
}

TEST(a_status_that_grpc_does_not_know_is_unknown)
{
    static const char *const codes[] = {"17", "99", "2147483647", "-1", "", "NOT_FOUND"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct raw_bytes answer = {0};

        add_fields(&answer, RAW_END_STREAM,
                   (const char *[]){":status", "200", "content-type", "application/grpc",
                                    "grpc-status", codes[i], "grpc-message", "odd", NULL});
        CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), MESH_UNKNOWN);
    }
}

TEST(details_that_are_no_details_are_dropped)
{
    struct raw_bytes answer = {0};

    add_fields(&answer, RAW_END_STREAM,
               (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                                "5", "grpc-message", "gone", "grpc-status-details-bin", "/////w",
                                NULL});
    CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), MESH_NOT_FOUND);
    CHECK_TEXT(mesh_ctx_error(ctx), "gone");
}

TEST(the_transports_own_failures_are_named)
{
    static const struct {
        uint32_t code;
        enum mesh_status status;
    } resets[] = {{7, MESH_UNAVAILABLE}, {8, MESH_UNAVAILABLE},  {2, MESH_INTERNAL},
                  {0, MESH_INTERNAL},    {11, MESH_UNAVAILABLE}, {12, MESH_UNAVAILABLE}};
    struct raw_bytes answer = {0};

    for (size_t i = 0; i < sizeof resets / sizeof resets[0]; i++) {
        const struct raw_bytes code = {4, {0, 0, 0, (uint8_t)resets[i].code}};

        answer.size = 0;
        raw_frame(&answer, RAW_RST_STREAM, 0, 1, &code);
        CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), resets[i].status);
        CHECK(says("peer: Received RST_STREAM with error code"));
    }
    answer.size = 0;
    add_fields(&answer, RAW_END_STREAM, (const char *[]){":status", "503", NULL});
    CHECK_INT(raw_answered(&settings, &answer, RAW_STAY), MESH_UNAVAILABLE);
    CHECK(says("peer: Received http2 header with status: 503"));

    CHECK_INT(raw_answered(&settings, &nothing, RAW_CLOSE), MESH_UNAVAILABLE);
    CHECK(mesh__transport_text(strstr(mesh_ctx_error(ctx), ": ") + 2));
}

TEST(a_goaway_below_the_call_is_unavailable)
{
    const struct raw_bytes last_stream_none = {8, {0}};
    struct raw_bytes answer = {0};
    enum mesh_status status;

    raw_frame(&answer, RAW_GOAWAY, 0, 0, &last_stream_none);
    status = raw_answered(&settings, &answer, RAW_CLOSE);
    /* The core sends such a call once more by itself; then the connection is closed again. */
    CHECK(status == MESH_UNAVAILABLE || status == MESH_DEADLINE_EXCEEDED);
    CHECK(says("peer: "));
}

TEST(bytes_that_are_not_http2_are_unavailable)
{
    struct raw_bytes junk = {0};

    raw_add(&junk, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    CHECK_INT(raw_answered(&junk, &nothing, RAW_STAY), MESH_UNAVAILABLE);
    CHECK(says("peer: "));
    junk.size = 0;
    for (int i = 0; i < 4096; i++) {
        raw_add(&junk, &(uint8_t){(uint8_t)(i * 37 + 11)}, 1);
    }
    CHECK_INT(raw_answered(&junk, &nothing, RAW_STAY), MESH_UNAVAILABLE);
    CHECK_INT(raw_answered(&settings, &junk, RAW_STAY), MESH_UNAVAILABLE);
    CHECK(says("peer: "));
}

TEST(a_peer_that_accepts_and_stays_silent_costs_the_deadline)
{
    int64_t start_ns = mesh__now_ns();
    enum mesh_status status = raw_answered(&nothing, &nothing, RAW_STAY);

    CHECK(status == MESH_DEADLINE_EXCEEDED || status == MESH_UNAVAILABLE);
    CHECK(mesh__now_ns() - start_ns < 3 * MESH_NS_PER_S);
    CHECK_INT(raw_answered(&settings, &nothing, RAW_STAY), MESH_DEADLINE_EXCEEDED);
    CHECK_TEXT(mesh_ctx_error(ctx), "peer: no answer to Ask within 1000 ms");
}

/* Clients ping after half a minute; a channel of our own does it sooner. */
TEST(a_peer_that_answers_no_ping_is_given_up)
{
    struct raw_peer *peer = raw_peer_new(&settings, &nothing, RAW_STAY);
    struct wire_batch batch = {.ops = WIRE_SEND_INITIAL | WIRE_RECV_INITIAL | WIRE_RECV_STATUS};
    struct wire_channel *channel;
    struct wire_queue *queue;
    struct wire_call *call;
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(peer));
    mesh__wire->start();
    queue = mesh__wire->queue_new();
    channel = mesh__wire->channel_new(
        target, &(struct wire_channel_options){.keepalive_ms = 50, .keepalive_timeout_ms = 50});
    call = mesh__wire->call_new(channel, NULL, queue, "/peer.Peer/Ask", mesh__in_ms(30000));
    mesh__wire->call_start(call, &batch, &batch);
    CHECK(mesh__wire->queue_next(queue, MESH_NO_DEADLINE).kind == WIRE_COMPLETE);
    CHECK_INT(mesh__wire->call_status(call), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh__wire->call_status_text(call), "keepalive watchdog timeout");
    mesh__wire->call_free(call);
    mesh__wire->channel_free(channel);
    mesh__wire->queue_shutdown(queue);
    CHECK(mesh__wire->queue_next(queue, MESH_NO_DEADLINE).kind == WIRE_SHUTDOWN);
    mesh__wire->queue_free(queue);
    mesh__wire->stop();
    raw_peer_free(peer);
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
