/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ctx_impl.h"
#include "fixture.h"
#include "idempotency_test.pb-c.h"
#include "mesh/cleanup.h"
#include "mesh/id.h"
#include "mesh/idempotency.h"
#include "test.h"

#include <pthread.h>
#include <stdio.h>

#define SCHEMA "test_request_log"

static struct mesh_db *db;
static struct mesh_ctx *ctx;

static int set_up(void **state)
{
    static const struct mesh_migration none[] = {{NULL, NULL}};
    int n;

    (void)state;
    fixture_make_schema(SCHEMA);
    db = fixture_pool(SCHEMA, 8);
    ctx = fixture_ctx(60000);
    return mesh__migrate(ctx, db, none, 0, &n) == MESH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    mesh__ctx_free(ctx);
    mesh__db_free(db);
    return 0;
}

static Try__Twin request_of(const char *id, const char *name)
{
    Try__Twin request = TRY__TWIN__INIT;

    request.request_id = id;
    request.name = name;
    return request;
}

/* A write as a service does it: answers with the name and how it was answered. */
static enum mesh_status handle(struct mesh_ctx *own, const Try__Twin *request, Try__Reply *reply,
                               bool *ret_seen)
{
    cleanup_tx struct mesh_tx *tx = NULL;

    MESH_TRY(mesh_tx_begin(own, db, &tx));
    MESH_TRY(mesh_request_log_begin(own, tx, request->request_id, &request->base, &reply->base,
                                    ret_seen));
    if (!*ret_seen) {
        reply->text = mesh_printf(own, "done: %s", request->name);
        reply->number = 42;
        MESH_TRY(mesh_request_log_finish(own, tx, request->request_id, &reply->base));
    }
    return mesh_tx_commit(own, &tx);
}

TEST(a_repeat_gets_the_stored_answer)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    bool seen = true;

    for (int i = 0; i < 3; i++) {
        Try__Reply reply = TRY__REPLY__INIT;

        CHECK_INT(handle(ctx, &request, &reply, &seen), MESH_OK);
        CHECK(seen == (i > 0));
        CHECK_TEXT(reply.text, "done: x");
        CHECK_INT(reply.number, 42);
    }
}

TEST(the_same_id_with_another_body_is_refused)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    Try__Twin other = request_of(id, "y");
    Try__Reply reply = TRY__REPLY__INIT;
    bool seen;

    CHECK_INT(handle(ctx, &request, &reply, &seen), MESH_OK);
    CHECK_INT(handle(ctx, &other, &reply, &seen), MESH_ALREADY_EXISTS);
    CHECK_TEXT(mesh_ctx_error_reason(ctx), "REQUEST_ID_REUSED");
}

TEST(the_same_id_for_another_method_is_refused)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    Try__Request other = TRY__REQUEST__INIT;
    Try__Reply reply = TRY__REPLY__INIT;
    cleanup_tx struct mesh_tx *tx = NULL;
    bool seen;

    other.request_id = id;
    other.name = "x"; /* the same bytes */
    CHECK_INT(handle(ctx, &request, &reply, &seen), MESH_OK);
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_request_log_begin(ctx, tx, id, &other.base, &reply.base, &seen),
              MESH_ALREADY_EXISTS);
}

TEST(a_first_try_that_failed_leaves_the_id_free)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    Try__Twin other = request_of(id, "y");
    Try__Reply reply = TRY__REPLY__INIT;
    bool seen;

    {
        cleanup_tx struct mesh_tx *tx = NULL;

        CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
        CHECK_INT(mesh_request_log_begin(ctx, tx, id, &request.base, &reply.base, &seen), MESH_OK);
        CHECK(!seen);
    }
    CHECK_INT(handle(ctx, &other, &reply, &seen), MESH_OK);
    CHECK(!seen);
}

TEST(an_answer_that_was_never_stored_is_a_bug)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    Try__Reply reply = TRY__REPLY__INIT;
    cleanup_tx struct mesh_tx *tx = NULL;
    bool seen;

    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_request_log_begin(ctx, tx, id, &request.base, &reply.base, &seen), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(handle(ctx, &request, &reply, &seen), MESH_INTERNAL);
}

TEST(an_answer_that_is_too_large_to_be_kept_is_a_bug)
{
    const char *id = mesh_new_id(ctx);
    Try__Twin request = request_of(id, "x");
    Try__Reply reply = TRY__REPLY__INIT;
    char *text = mesh_alloc(ctx, MESH_REQUEST_LOG_MAX + 1);
    cleanup_tx struct mesh_tx *tx = NULL;
    bool seen;

    memset(text, 'x', MESH_REQUEST_LOG_MAX);
    reply.text = text;
    CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
    CHECK_INT(mesh_request_log_begin(ctx, tx, id, &request.base, &reply.base, &seen), MESH_OK);
    CHECK_INT(mesh_request_log_finish(ctx, tx, id, &reply.base), MESH_INTERNAL);
    text[MESH_REQUEST_LOG_MAX - 8] = '\0';
    CHECK_INT(mesh_request_log_finish(ctx, tx, id, &reply.base), MESH_OK);
    CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
    CHECK_INT(handle(ctx, &request, &reply, &seen), MESH_OK);
    CHECK(seen);
    CHECK_INT(strlen(reply.text), MESH_REQUEST_LOG_MAX - 8);
}

/* ---- at the same time ---- */

struct caller {
    pthread_t thread;
    const char *id;
    char text[32];
    enum mesh_status status;
    bool seen;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    struct mesh_ctx *own = fixture_ctx(20000);
    Try__Twin request = request_of(caller->id, "x");
    Try__Reply reply = TRY__REPLY__INIT;

    caller->status = handle(own, &request, &reply, &caller->seen);
    (void)snprintf(caller->text, sizeof(caller->text), "%s", reply.text);
    mesh__ctx_free(own);
    return NULL;
}

TEST(a_concurrent_first_try_is_waited_for)
{
    for (int commits = 0; commits < 2; commits++) {
        struct caller caller = {.id = mesh_new_id(ctx)};
        Try__Twin request = request_of(caller.id, "x");
        Try__Reply reply = TRY__REPLY__INIT;
        bool seen;

        {
            cleanup_tx struct mesh_tx *tx = NULL;

            CHECK_INT(mesh_tx_begin(ctx, db, &tx), MESH_OK);
            CHECK_INT(mesh_request_log_begin(ctx, tx, caller.id, &request.base, &reply.base, &seen),
                      MESH_OK);
            pthread_create(&caller.thread, NULL, call, &caller);
            fixture_wait_until(SCHEMA, "select count(*) > 0 from pg_locks where not granted");
            if (commits) {
                reply.text = "by the first";
                CHECK_INT(mesh_request_log_finish(ctx, tx, caller.id, &reply.base), MESH_OK);
                CHECK_INT(mesh_tx_commit(ctx, &tx), MESH_OK);
            }
        }
        pthread_join(caller.thread, NULL);
        CHECK_INT(caller.status, MESH_OK);
        CHECK(caller.seen == (commits == 1));
        CHECK_TEXT(caller.text, commits ? "by the first" : "done: x");
    }
}

TEST(of_many_at_once_one_is_first)
{
    struct caller callers[16];
    const char *id = mesh_new_id(ctx);
    int n_first = 0;

    for (int i = 0; i < 16; i++) {
        callers[i] = (struct caller){.id = id};
        pthread_create(&callers[i].thread, NULL, call, &callers[i]);
    }
    for (int i = 0; i < 16; i++) {
        pthread_join(callers[i].thread, NULL);
        CHECK_INT(callers[i].status, MESH_OK);
        CHECK_TEXT(callers[i].text, "done: x");
        n_first += !callers[i].seen;
    }
    CHECK_INT(n_first, 1);
}

TEST_MAIN(set_up, tear_down)
