/* SPDX-License-Identifier: Apache-2.0 */
/* What a look at a database makes of a server that takes the connection and refuses the rest. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "db/db_impl.h"
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct mesh_ctx *ctx;
static struct mesh_db *db;

/* ---- the server ----------------------------------------------------------------------------- */

static struct {
    int fd;
    int port;
    char answer[256]; /* one message of the protocol */
    size_t size;
} server;

/* Answers the next one that connects. */
static void *serve(void *ret_given)
{
    char startup[1024];
    int fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);

    *(bool *)ret_given = recv(fd, startup, sizeof(startup), 0) > 0 &&
                         send(fd, server.answer, server.size, MSG_NOSIGNAL) == (ssize_t)server.size;
    close(fd);
    return NULL;
}

static void listen_here(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(server.fd, (struct sockaddr *)&address, size), 0);
    CHECK_INT(listen(server.fd, 16), 0);
    CHECK_INT(getsockname(server.fd, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
}

static void answer(char kind, const void *body, size_t size)
{
    uint32_t length = htonl((uint32_t)(size + sizeof(length)));

    server.answer[0] = kind;
    memcpy(server.answer + 1, &length, sizeof(length));
    memcpy(server.answer + 1 + sizeof(length), body, size);
    server.size = 1 + sizeof(length) + size;
}

static void answer_error(const char *sqlstate)
{
    char body[128];
    int size = snprintf(body, sizeof(body), "SFATAL%cVFATAL%cC%s%cMno room: for you%cFx.c%c", 0, 0,
                        sqlstate, 0, 0, 0);

    answer('E', body, (size_t)size + 1); /* with the NUL that ends the list */
}

/* ---- tests ---------------------------------------------------------------------------------- */

static enum mesh_status call(void)
{
    static const struct mesh_sql ask = {"ask", "select 1"};

    return mesh_db_query(ctx, db, &ask, MESH_NO_ARGS, NULL);
}

static enum mesh_status look(void)
{
    return mesh__db_check(ctx, db);
}

/* What it comes to when the server gives the answer that was made. */
static enum mesh_status answered(enum mesh_status (*ask)(void))
{
    enum mesh_status status;
    bool given = false;
    pthread_t thread;

    mesh__ctx_reset(ctx, mesh__in_ms(20000));
    CHECK_INT(pthread_create(&thread, NULL, serve, &given), 0);
    status = ask();
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK(given);
    return status;
}

TEST(a_refusal_that_may_pass_is_unavailable)
{
    static const char *const states[] = {"57P03", "57P01", "53300", "08P01", "58000"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        answer_error(states[i]);
        CHECK_INT(answered(look), MESH_UNAVAILABLE);
        CHECK(strstr(mesh_ctx_error(ctx), "the database cannot be reached: ") != NULL);
        CHECK(strstr(mesh_ctx_error(ctx), states[i]) != NULL);
        CHECK(strstr(mesh_ctx_error(ctx), "no room: for you") != NULL);
    }
}

TEST(a_refusal_that_lasts_is_a_failed_precondition)
{
    static const char *const states[] = {"28P01", "28000", "3D000", "42501", "42704", "0A000"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        answer_error(states[i]);
        CHECK_INT(answered(look), MESH_FAILED_PRECONDITION);
        CHECK(strstr(mesh_ctx_error(ctx), "the database cannot be reached: ") != NULL);
        CHECK(strstr(mesh_ctx_error(ctx), "no room: for you") != NULL);
    }
}

TEST(a_missing_password_is_a_failed_precondition)
{
    const uint32_t clear_text = htonl(3);

    answer('R', &clear_text, sizeof(clear_text));
    CHECK_INT(answered(look), MESH_FAILED_PRECONDITION);
    CHECK(strstr(mesh_ctx_error(ctx), "no password supplied") != NULL);
}

TEST(what_is_no_answer_of_postgres_may_pass)
{
    /* As before version 3 of the protocol, when there is no memory for another one. */
    server.size = (size_t)snprintf(server.answer, sizeof(server.answer), "Ecould not fork\n") + 1;
    CHECK_INT(answered(look), MESH_UNAVAILABLE);
}

TEST(calls_are_told_that_it_is_unavailable_whatever_the_refusal)
{
    answer_error("28P01");
    CHECK_INT(answered(call), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(ctx), "the database cannot be reached");
}

static int set_up(void **state)
{
    struct mesh_db_options options = {.schema = "s",
                                      .application_name = "test",
                                      .size = 1,
                                      .named = true,
                                      .metric_label = "test"};
    char url[128];

    (void)state;
    listen_here();
    (void)snprintf(url, sizeof(url), "postgresql://me@127.0.0.1:%d/mine?sslmode=disable",
                   server.port);
    options.url = url;
    db = mesh__db_new(&options);
    ctx = mesh__ctx_new("test", 0, mesh__in_ms(20000));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__db_free(db);
    close(server.fd);
    return 0;
}

TEST_MAIN(set_up, tear_down)
