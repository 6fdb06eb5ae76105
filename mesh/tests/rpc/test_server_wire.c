/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says in frames, to clients that do what no library does. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "server_raw.h"
#include "server_served.h"
#include "test.h"

#include <unistd.h>

static struct served served;
static const char echo[] = "/check.v1.Check/Echo";
static const char fail[] = "/check.v1.Check/Fail";

static int setup(void **state)
{
    (void)state;
    served_init(&served);
    served_start(&served);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_done(&served);
    return 0;
}

/* One call with one message as it stands on the wire. */
static void ask_bytes(const char *path, const char *const *headers, const struct raw_bytes *message,
                      struct raw_answer *ret_answer)
{
    int fd = raw_connect(served.port);

    raw_call(fd, path, headers);
    raw_data(fd, message, true);
    raw_read(fd, ret_answer);
    CHECK(close(fd) == 0);
}

static const uint8_t words[] = {0x0a, 0x02, 'h', 'i'};

/* One call with these words; flag is the byte before them. */
static void ask(const char *path, const char *const *headers, uint8_t flag,
                struct raw_answer *ret_answer)
{
    struct raw_bytes message = {.size = 0};

    raw_message(&message, flag, words, sizeof(words));
    ask_bytes(path, headers, &message, ret_answer);
}

TEST(a_reply_has_headers_a_message_and_trailers)
{
    struct raw_answer answer;

    ask(echo, NULL, 0, &answer);
    CHECK(answer.n_headers == 2 && answer.n_data == 1 && answer.ended_by_headers);
    CHECK(raw_has(&answer.last_header, "grpc-status"));
    CHECK(!raw_has(&answer.first_header, "grpc-status"));
    CHECK(!raw_has(&answer.first_header, "gzip")); /* no encoding is offered */
}

static MESH_STATUS refuse(struct mesh_ctx *ctx, struct served *s, const Check__V1__Words *request,
                          struct mesh_stream *stream)
{
    (void)s;
    (void)request;
    (void)stream;
    return mesh_fail_reason(ctx, MESH_NOT_FOUND, "GONE", "it is gone");
}

/* One HEADERS frame that ends the stream. */
static void check_trailers_only(const struct raw_answer *answer)
{
    CHECK_INT(answer->n_headers, 1);
    CHECK_INT(answer->n_data, 0);
    CHECK(answer->ended_by_headers);
    CHECK(raw_has(&answer->first_header, "grpc-status"));
    CHECK(raw_has(&answer->first_header, "mesh-status"));
}

TEST(a_failure_is_trailers_only)
{
    struct raw_answer answer;

    served.script = refuse;
    ask(fail, NULL, 0, &answer);
    check_trailers_only(&answer);
    CHECK(raw_has(&answer.first_header, "it is gone"));
    CHECK(raw_has(&answer.first_header, "grpc-status-details-bin"));
}

TEST(a_failure_of_a_server_stream_is_trailers_only)
{
    struct raw_answer answer;

    served.script = refuse;
    ask("/check.v1.Check/Count", NULL, 0, &answer);
    check_trailers_only(&answer);
}

TEST(an_unknown_method_is_trailers_only)
{
    struct raw_answer answer;

    ask("/check.v1.Check/Nothing", NULL, 0, &answer);
    check_trailers_only(&answer);
}

static MESH_STATUS refuse_with_metadata(struct mesh_ctx *ctx, struct served *s,
                                        const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)s;
    (void)request;
    (void)stream;
    mesh_ctx_add_initial_metadata(ctx, "x-early", "bird", 4);
    return mesh_fail(ctx, MESH_NOT_FOUND, "it is gone");
}

TEST(initial_metadata_of_a_failure_is_not_lost)
{
    struct raw_answer answer;

    served.script = refuse_with_metadata;
    ask(fail, NULL, 0, &answer);
    CHECK(raw_has(&answer.first_header, "x-early"));
    CHECK(answer.n_data == 0);
}

/* ---- compression -------------------------------------------------------------------------- */

static const char *const gzipped[] = {"grpc-encoding", "gzip", NULL};
static const char *const deflated[] = {"grpc-encoding", "deflate", NULL};

TEST(a_compressed_message_is_inflated)
{
    struct raw_bytes message;
    struct raw_answer answer;

    raw_zipped(&message, true, words, sizeof(words));
    ask_bytes(echo, gzipped, &message, &answer);
    CHECK(answer.n_data == 1 && raw_has(&answer.data, "hi"));
    raw_zipped(&message, false, words, sizeof(words));
    ask_bytes(echo, deflated, &message, &answer);
    CHECK(answer.n_data == 1 && raw_has(&answer.data, "hi"));
    raw_zipped(&message, true, "", 0);
    ask_bytes("/grpc.health.v1.Health/Check", gzipped, &message, &answer);
    CHECK(answer.n_data == 1);
}

static MESH_STATUS add_up(struct mesh_ctx *ctx, struct served *s, const Check__V1__Words *request,
                          struct mesh_stream *stream)
{
    ProtobufCMessage *message = NULL;
    int n = 0;

    (void)request;
    s->outcome = -1;
    do {
        MESH_TRY(mesh_stream_read(ctx, stream, &message));
        n += message != NULL ? 1 : 0;
    } while (message != NULL);
    s->outcome = n;
    return MESH_OK;
}

TEST(each_message_of_a_stream_is_inflated)
{
    struct raw_bytes message;
    struct raw_bytes both = {.size = 0};
    struct raw_answer answer;

    served.script = add_up;
    raw_zipped(&message, true, words, sizeof(words));
    raw_add(&both, message.data, message.size);
    raw_message(&both, 0, words, sizeof(words)); /* each says for itself what it is */
    ask_bytes("/check.v1.Check/Sum", gzipped, &both, &answer);
    CHECK(answer.n_data == 1 || answer.n_headers == 2);
    CHECK_INT(served.outcome, 2);
}

TEST(what_inflates_beyond_the_limit_is_refused)
{
    size_t size = (size_t)served.options.max_message_bytes + 1;
    uint8_t *zeros = calloc(1, size);
    struct raw_bytes message;
    struct raw_answer answer;

    raw_zipped(&message, true, zeros, size);
    ask_bytes(echo, gzipped, &message, &answer);
    check_trailers_only(&answer);
    CHECK_INT(answer.status, MESH_RESOURCE_EXHAUSTED);
    /* The queue thread itself inflates no more than a little. */
    raw_zipped(&message, true, zeros, 100000);
    ask_bytes("/grpc.health.v1.Health/Check", gzipped, &message, &answer);
    CHECK_INT(answer.status, MESH_RESOURCE_EXHAUSTED);
    free(zeros);
}

TEST(what_does_not_inflate_is_refused)
{
    struct raw_bytes message;
    struct raw_bytes cut = {.size = 0};
    struct raw_answer answer;

    ask(echo, gzipped, 1, &answer); /* words are no gzip */
    check_trailers_only(&answer);
    CHECK_INT(answer.status, MESH_INVALID_ARGUMENT);
    raw_zipped(&message, true, words, sizeof(words));
    raw_message(&cut, 1, message.data + 5, (uint32_t)message.size - 5 - 1);
    ask_bytes(echo, gzipped, &cut, &answer);
    CHECK_INT(answer.status, MESH_INVALID_ARGUMENT);
    cut.size = 0;
    raw_add(&message, "x", 1); /* something behind the end */
    raw_message(&cut, 1, message.data + 5, (uint32_t)message.size - 5);
    ask_bytes(echo, gzipped, &cut, &answer);
    CHECK_INT(answer.status, MESH_INVALID_ARGUMENT);
}

/* What cannot be inflated must not be taken for the message. */
static void check_unimplemented(const char *const *headers, uint8_t flag)
{
    struct raw_answer answer;

    ask(echo, headers, flag, &answer);
    check_trailers_only(&answer);
    CHECK_INT(answer.status, MESH_UNIMPLEMENTED);
}

TEST(an_encoding_that_is_not_known_is_unimplemented)
{
    const char *const zstd[] = {"grpc-encoding", "zstd", NULL};
    struct raw_answer answer;

    check_unimplemented(zstd, 1);
    check_unimplemented(NULL, 1);
    check_unimplemented((const char *const[]){"grpc-encoding", "identity", NULL}, 1);
    ask(echo, zstd, 1, &answer);
    CHECK(raw_has(&answer.first_header, "grpc-accept-encoding"));
    CHECK(raw_has(&answer.first_header, "identity,deflate,gzip"));
    ask(echo, zstd, 0, &answer); /* it was not compressed after all */
    CHECK(answer.n_data == 1);
}

TEST(the_bytes_behind_a_flag_that_means_nothing_are_not_taken_for_a_message)
{
    struct raw_answer answer;

    ask(echo, NULL, 2, &answer); /* the core makes an empty message of it */
    CHECK(!raw_has(&answer.data, "hi"));
}

TEST(a_message_that_was_not_compressed_after_all_is_served)
{
    struct raw_answer answer;

    ask(echo, gzipped, 0, &answer);
    CHECK(answer.n_data == 1);
}

/* ---- messages that do not come whole ------------------------------------------------------ */

TEST(a_call_without_a_message_is_unimplemented)
{
    struct raw_bytes nothing = {.size = 0};
    struct raw_answer answer;
    int fd = raw_connect(served.port);

    raw_call(fd, echo, NULL);
    raw_data(fd, &nothing, true);
    raw_read(fd, &answer);
    CHECK(close(fd) == 0);
    check_trailers_only(&answer);
    CHECK_INT(answer.status, MESH_UNIMPLEMENTED);
}

TEST(a_message_that_is_cut_off_is_unimplemented)
{
    struct raw_bytes message = {.size = 0};
    struct raw_answer answer;
    char *line;

    free(served_take_log());
    raw_message(&message, 0, words, sizeof(words));
    message.size--;
    ask_bytes(echo, NULL, &message, &answer); /* the core does not tell it from none */
    check_trailers_only(&answer);
    CHECK_INT(answer.status, MESH_UNIMPLEMENTED);
    line = served_wait_log("or one that was cut off");
    CHECK(strstr(line, "\"peer\":\"ipv4:127.0.0.1:") != NULL);
    free(line);
}

TEST(a_client_that_resets_before_its_message_is_counted_as_cancelled)
{
    struct raw_bytes nothing = {.size = 0};
    char *line;
    int fd = raw_connect(served.port);

    free(served_take_log());
    raw_call(fd, echo, NULL);
    raw_data(fd, &nothing, false);
    CHECK(close(fd) == 0);
    line = served_wait_log("\"method\":\"/check.v1.Check/Echo\"");
    CHECK(strstr(line, "\"code\":\"CANCELLED\"") != NULL);
    CHECK(strstr(line, "\"peer\":\"ipv4:127.0.0.1:") != NULL);
    free(line);
}

TEST(a_client_that_vanishes_before_its_message_harms_nobody)
{
    for (int i = 0; i < 20; i++) {
        int fd = raw_connect(served.port);

        raw_call(fd, i % 2 == 0 ? echo : "/check.v1.Check/Count", NULL);
        CHECK(close(fd) == 0);
    }
    CHECK(served_call(&served, "Echo", "", NULL) == MESH_OK);
}

static MESH_STATUS see_deadline(struct mesh_ctx *ctx, struct served *s,
                                const Check__V1__Words *request, struct mesh_stream *stream)
{
    (void)request;
    (void)stream;
    s->outcome = (int)mesh_ctx_remaining_ms(ctx);
    return MESH_OK;
}

TEST(a_deadline_of_the_wire_is_the_handlers)
{
    const char *const headers[] = {"grpc-timeout", "1500m", NULL};
    struct raw_answer answer;

    served.script = see_deadline;
    ask(fail, headers, 0, &answer);
    CHECK(served.outcome <= 1500 && served.outcome > 1000);
}

/* ---- connections -------------------------------------------------------------------------- */

/* What a connection without a call sees of a server with these options, until it is over. */
static void watch_connection(struct served *own, struct raw_answer *ret_answer)
{
    int fd;

    served_start(own);
    fd = raw_connect(own->port);
    raw_read(fd, ret_answer);
    CHECK(close(fd) == 0);
    served_done(own);
}

TEST(a_client_that_answers_no_ping_is_cut_off)
{
    struct served own;
    struct raw_answer answer;

    served_init(&own);
    own.options.keepalive_ms = 50;
    own.options.keepalive_timeout_ms = 50;
    watch_connection(&own, &answer);
    CHECK(answer.pinged && answer.closed);
}

TEST(a_connection_that_is_old_enough_is_asked_to_go)
{
    struct served own;
    struct raw_answer answer;

    served_init(&own);
    own.options.max_connection_age_ms = 50;
    watch_connection(&own, &answer);
    CHECK(answer.goaway);
}

TEST(metadata_of_64_kb_is_taken)
{
    static char text[60001];
    cleanup_ctx struct mesh_ctx *ctx = mesh__ctx_new("test", 0, mesh__in_ms(10000));
    Check__V1__Words request = CHECK__V1__WORDS__INIT;
    ProtobufCMessage *reply;

    memset(text, 'x', sizeof(text) - 1);
    mesh_ctx_add_outgoing_metadata(ctx, "x-long", text, sizeof(text) - 1);
    CHECK(mesh_client_call(ctx, served.client, served_method("Echo"), &request.base, &reply) ==
          MESH_OK);
    mesh_ctx_add_outgoing_metadata(ctx, "x-longer", text, sizeof(text) - 1);
    CHECK(mesh_client_call(ctx, served.client, served_method("Echo"), &request.base, &reply) !=
          MESH_OK);
}

TEST_MAIN(setup, teardown)
