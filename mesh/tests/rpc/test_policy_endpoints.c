/* SPDX-License-Identifier: Apache-2.0 */
/* Where attempts go when a destination has several endpoints that come, go, fail and hang. */
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "test.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define QUIET NO_BREAKER "," NO_EJECTION
#define NO_RETRIES "'retries':{'attempts':0}"

static struct governed governed;
static struct actor actors[2];

static void begin(const char *route, const char *destination)
{
    char target[100];

    actor_start(&actors[0], ACTS({0}), 0);
    actor_start(&actors[1], ACTS({0}), 0);
    (void)snprintf(target, sizeof target, "%s,%s", actor_target(&actors[0]),
                   actor_target(&actors[1]));
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = route, .destination = destination});
    CHECK(governed_await_endpoints(&governed, "ready", 2));
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actors[0]);
    actor_stop(&actors[1]);
}

/* ---- which one ------------------------------------------------------------------------------ */

TEST(round_robin_takes_each_in_turn)
{
    begin(NO_RETRIES, QUIET ",'loadBalancer':'ROUND_ROBIN'");
    for (int i = 0; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(actors[0].n_calls, 5);
    CHECK_INT(actors[1].n_calls, 5);
    finish();
}

TEST(least_request_goes_around_the_one_that_is_busy)
{
    struct mesh_ctx *fork;
    struct mesh_call *call;
    struct actor *busy, *free_one;

    begin(NO_RETRIES, QUIET);
    actor_follow(&actors[0], ACTS({.hangs = true}, {0}));
    actor_follow(&actors[1], ACTS({.hangs = true}, {0}));
    fork = mesh_ctx_fork(governed.ctx);
    call = governed_begin(&governed, fork, "Buy");
    while (actors[0].n_hanging + actors[1].n_hanging == 0) {
        (void)sched_yield();
    }
    busy = actors[0].n_hanging == 1 ? &actors[0] : &actors[1];
    free_one = busy == &actors[0] ? &actors[1] : &actors[0];
    actor_follow(free_one, ACTS({0}));
    for (int i = 0; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(busy->n_calls, 1);
    CHECK_INT(free_one->n_calls, 10);
    actor_release(busy);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    finish();
}

/* ---- those that fail ------------------------------------------------------------------------ */

TEST(one_that_fails_in_a_row_is_ejected_and_comes_back)
{
    int n_failed = 0;
    int seen;

    begin(NO_RETRIES, NO_BREAKER
          ",'loadBalancer':'ROUND_ROBIN','outlierDetection':{'consecutiveGatewayErrors':3,"
          "'interval':'100ms','baseEjectionTime':'1s'}");
    actor_follow(&actors[0], ACTS({.status = MESH_UNAVAILABLE}));
    while (governed_count(&governed, "mesh_client_ejections_total", NULL, NULL) == 0) {
        n_failed += governed_call(&governed, "Buy") != MESH_OK;
    }
    CHECK_INT(n_failed, 3);
    CHECK_INT(actors[0].n_calls, 3);
    actor_follow(&actors[0], ACTS({0}));
    seen = actors[1].n_calls;
    for (int i = 1; i <= 5; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK(actors[1].n_calls >= seen + 3); /* all, but for a long wait of this thread */
    while (actors[0].n_calls == 3) {      /* its time is over */
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    CHECK_INT(governed_count(&governed, "mesh_client_ejections_total", NULL, NULL), 1);
    finish();
}

TEST(when_all_are_down_calls_fail_soon_and_are_reached_once_one_is_back)
{
    int64_t start_ns;
    int port;

    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    port = peer_port(actors[1].peer);
    actor_stop(&actors[0]);
    actor_stop(&actors[1]);
    CHECK(governed_await_endpoints(&governed, "failing", 2));
    start_ns = mesh__now_ns();
    for (int i = 0; i < 5; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "NO_ENDPOINT");
    }
    CHECK(peer_ms_since(start_ns) < 5000);
    actor_start(&actors[1], ACTS({0}), port);
    CHECK(governed_recovers(&governed, "Buy", 5000));
    CHECK_INT(actors[1].n_calls, 1);
    actor_start(&actors[0], ACTS({0}), 0); /* for finish() */
    finish();
}

TEST(one_that_is_down_fails_no_call_of_a_method_that_is_retried)
{
    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    actor_stop(&actors[0]);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    actor_start(&actors[0], ACTS({0}), 0); /* for finish() */
    finish();
}

/* ---- those that come and go ----------------------------------------------------------------- */

static void write_addresses(const char *path, const char *first, const char *second)
{
    char next[100];
    FILE *file;

    (void)snprintf(next, sizeof next, "%s.next", path);
    file = fopen(next, "w");
    CHECK(file != NULL && fprintf(file, "%s\n%s\n", first, second) > 0 && fclose(file) == 0);
    CHECK(rename(next, path) == 0);
}

TEST(a_new_endpoint_gets_calls_and_a_removed_one_drains_without_a_failed_call)
{
    char path[] = "/tmp/mesh-endpoints-XXXXXX";
    char target[sizeof path + 5];
    struct mesh_ctx *fork;
    struct mesh_call *call;
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0);
    actor_start(&actors[0], ACTS({.hangs = true}, {0}), 0);
    actor_start(&actors[1], ACTS({0}), 0);
    write_addresses(path, actor_target(&actors[0]), "");
    (void)snprintf(target, sizeof target, "file:%s", path);
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = NO_RETRIES, .destination = QUIET});
    fork = mesh_ctx_fork(governed.ctx);
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    call = governed_begin(&governed, fork, "Buy"); /* it stays under way until the end */
    CHECK(peer_await(&actors[0].n_hanging, 1));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(actors[0].n_calls, 2);

    write_addresses(path, actor_target(&actors[0]), actor_target(&actors[1]));
    while (actors[1].n_calls == 0) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    write_addresses(path, actor_target(&actors[1]), "");
    while (!governed_has_endpoints(&governed, "ready", 1)) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    }
    for (int i = 0, before = actors[0].n_calls; i < 10; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
        CHECK_INT(actors[0].n_calls, before);
    }
    CHECK_INT(actors[0].n_hanging, 1);
    actor_release(&actors[0]);
    CHECK_INT(governed_end(fork, call), MESH_OK);
    mesh__ctx_free(fork);
    CHECK(unlink(path) == 0);
    finish();
}

TEST_MAIN(NULL, NULL)
