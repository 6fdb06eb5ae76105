/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says in frames, to clients that do what no library does. */
#include "core/clock.h"
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

/* One call with one message; compressed is the flag before it. */
static void ask(const char *path, const char *const *headers, uint8_t compressed,
                struct raw_answer *ret_answer)
{
    static const uint8_t words[] = {0x0a, 0x02, 'h', 'i'};
    struct raw_bytes message = {.size = 0};
    int fd = raw_connect(served.port);

    raw_message(&message, compressed, words, sizeof(words));
    raw_call(fd, path, headers);
    raw_data(fd, &message, true);
    raw_read(fd, ret_answer);
    CHECK(close(fd) == 0);
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

TEST(a_compressed_message_is_unimplemented)
{
    const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
    struct raw_answer answer;

    ask(echo, gzip, 1, &answer);
    check_trailers_only(&answer);
    CHECK(raw_has(&answer.first_header, "12"));
    CHECK(raw_has(&answer.first_header, "grpc-accept-encoding"));
    CHECK(raw_has(&answer.first_header, "identity"));
}

TEST(a_message_that_was_not_compressed_after_all_is_served)
{
    const char *const gzip[] = {"grpc-encoding", "gzip", NULL};
    struct raw_answer answer;

    ask(echo, gzip, 0, &answer);
    CHECK(answer.n_data == 1);
}

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
    CHECK(raw_has(&answer.first_header, "12"));
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

TEST_MAIN(setup, teardown)
