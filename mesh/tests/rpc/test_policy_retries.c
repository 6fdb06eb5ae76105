/* SPDX-License-Identifier: Apache-2.0 */
/* What is tried again, where, how often, after what pause, and inside of which budget. */
#include "client_raw_peer.h"
#include "core/clock.h"
#include "core/ctx_impl.h"
#include "governed.h"
#include "rpc/client_call.h"
#include "rpc/resolver.h"
#include "test.h"

#include <stdio.h>

#define QUIET NO_BREAKER "," NO_EJECTION

static struct governed governed;
static struct actor actor;

static void begin(const char *route, const char *destination)
{
    governed_start(&governed, &(struct governed_options){.target = actor_target(&actor),
                                                         .route = route,
                                                         .destination = destination});
    CHECK(governed_await_endpoints(&governed, "ready", 1));
}

static void finish(void)
{
    governed_done(&governed);
    actor_stop(&actor);
}

/* ---- what ----------------------------------------------------------------------------------- */

static const char *const words[] = {
    "connect-failure", "refused-stream",    "reset",    "reset-before-request",
    "cancelled",       "deadline-exceeded", "internal", "resource-exhausted",
    "unavailable",
};
#define N_WORDS (sizeof words / sizeof words[0])

/* Of words with a blank behind each. */
static bool is_among(const char *list, const char *word)
{
    char look_for[40];

    (void)snprintf(look_for, sizeof look_for, "%s ", word);
    return strstr(list, look_for) != NULL;
}

/* One call that fails, when the endpoint is in that state: retried if the word is listed. */
static void check_word(const char *target, const char *state, const char *per_try, const char *word,
                       const char *list)
{
    char route[200];

    (void)snprintf(route, sizeof route,
                   "'timeout':'20s','retries':{'attempts':1,'perTryTimeout':'%s','backoff':'1ms',"
                   "'retryOn':['%s']}",
                   per_try, word);
    governed_start(&governed, &(struct governed_options){
                                  .target = target, .route = route, .destination = QUIET});
    CHECK(governed_await_endpoints(&governed, state, 1));
    CHECK(governed_call(&governed, "Buy") != MESH_OK);
    (void)fprintf(stderr, "%s: %s\n", word, mesh_ctx_error(governed.ctx));
    CHECK_INT(governed_retries(&governed), is_among(list, word) ? 1 : 0);
    governed_done(&governed);
}

TEST(codes_of_the_peer_are_retried_by_their_own_word_alone)
{
    static const struct {
        enum mesh_status status;
        const char *word;
    } rows[] = {
        {MESH_CANCELLED, "cancelled"},     {MESH_DEADLINE_EXCEEDED, "deadline-exceeded"},
        {MESH_INTERNAL, "internal"},       {MESH_RESOURCE_EXHAUSTED, "resource-exhausted"},
        {MESH_UNAVAILABLE, "unavailable"},
    };

    actor_start(&actor, ACTS({0}), 0);
    for (size_t i = 0; i < N_WORDS; i++) {
        char route[200];

        (void)snprintf(route, sizeof route,
                       "'retries':{'attempts':1,'backoff':'1ms','retryOn':['%s']}", words[i]);
        begin(route, QUIET);
        for (int code = MESH_CANCELLED; code <= MESH_UNAUTHENTICATED; code++) {
            int expected = 1;

            for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
                expected += (int)rows[row].status == code && strcmp(rows[row].word, words[i]) == 0;
            }
            for (int ours = 0; ours < 2; ours++) {
                const struct act act = {.status = (enum mesh_status)code, .as_ours = ours == 1};

                actor_follow(&actor, &act, 1);
                actor.n_calls = 0;
                CHECK_INT(governed_call(&governed, "Buy"), code);
                CHECK_INT(actor.n_calls, expected);
            }
        }
        governed_done(&governed);
    }
    actor_stop(&actor);
}

static void add_fields(struct raw_bytes *bytes, uint8_t flags, uint32_t stream,
                       const char *const *fields)
{
    struct raw_bytes block = {0};

    for (; fields[0] != NULL; fields += 2) {
        raw_header(&block, fields[0], fields[1]);
    }
    raw_frame(bytes, RAW_HEADERS, RAW_END_HEADERS | flags, stream, &block);
}

/* A peer without a health service, which answers calls in bytes and closes the connection. */
static struct raw_peer *peer_of_bytes(const struct raw_bytes *answer, char target[32])
{
    static const struct raw_bytes nothing;
    static struct raw_bytes settings, watch; /* the peer reads them as long as it lives */
    struct raw_peer *raw;

    settings.size = 0;
    watch.size = 0;
    raw_frame(&settings, RAW_SETTINGS, 0, 0, &nothing);
    add_fields(&watch, RAW_END_STREAM, 1,
               (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                                "12", NULL});
    raw = raw_peer_new_watched(&settings, &watch, answer, RAW_CLOSE);
    (void)snprintf(target, 32, "127.0.0.1:%d", raw_peer_port(raw));
    return raw;
}

static void check_words_of_bytes(const struct raw_bytes *answer, const char *list)
{
    for (size_t i = 0; i < N_WORDS; i++) {
        char target[32];
        struct raw_peer *raw = peer_of_bytes(answer, target);

        check_word(target, "ready", "5s", words[i], list);
        raw_peer_free(raw);
    }
}

TEST(failures_of_the_transport_are_retried_by_its_words_alone)
{
    static const struct raw_bytes nothing;
    const struct raw_bytes refused = {4, {0, 0, 0, 7}};
    const struct raw_bytes broken = {4, {0, 0, 0, 2}};
    struct raw_bytes answer = {0};

    raw_frame(&answer, RAW_RST_STREAM, 0, 3, &refused);
    check_words_of_bytes(&answer, "refused-stream reset reset-before-request ");
    answer.size = 0;
    raw_frame(&answer, RAW_RST_STREAM, 0, 3, &broken);
    check_words_of_bytes(&answer, "reset ");
    answer.size = 0;
    add_fields(&answer, RAW_END_STREAM, 3, (const char *[]){":status", "503", NULL});
    check_words_of_bytes(&answer, "reset ");
    check_words_of_bytes(&nothing, "reset "); /* closed without a word */
}

/* Whatever code the core has for it. */
TEST(resets_of_every_code_are_failures_of_the_peer_for_the_breaker)
{
    for (uint8_t number = 0; number < 14; number++) {
        const struct raw_bytes code = {4, {0, 0, 0, number}};
        struct raw_bytes answer = {0};
        struct raw_peer *raw;
        char target[32];

        raw_frame(&answer, RAW_RST_STREAM, 0, 3, &code);
        raw = peer_of_bytes(&answer, target);
        governed_start(&governed,
                       &(struct governed_options){.target = target,
                                                  .route = "'retries':{'attempts':0}",
                                                  .destination = NO_EJECTION
                                                  ",'circuitBreaker':{'consecutiveFailures':1,"
                                                  "'openDuration':'60s'}"});
        CHECK(governed_await_endpoints(&governed, "ready", 1));
        CHECK(governed_call(&governed, "Buy") != MESH_OK);
        CHECK_TEXT(governed_reason(&governed), "");
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_TEXT(governed_reason(&governed), "CIRCUIT_OPEN");
        governed_done(&governed);
        raw_peer_free(raw);
    }
}

TEST(an_answer_that_cannot_be_read_speaks_against_its_endpoint)
{
    struct raw_bytes answer = {0};
    struct raw_bytes message = {0};
    struct raw_peer *raw;
    char target[32];

    raw_message(&message, 0, "\xff\xff", 2);
    add_fields(&answer, 0, 3,
               (const char *[]){":status", "200", "content-type", "application/grpc", NULL});
    raw_frame(&answer, RAW_DATA, 0, 3, &message);
    add_fields(&answer, RAW_END_STREAM, 3, (const char *[]){"grpc-status", "0", NULL});
    raw = peer_of_bytes(&answer, target);
    governed_start(&governed,
                   &(struct governed_options){.target = target,
                                              .destination = NO_BREAKER
                                              ",'outlierDetection':{'consecutive5xxErrors':1,"
                                              "'maxEjectionPercent':100}"});
    CHECK(governed_await_endpoints(&governed, "ready", 1));
    CHECK_INT(governed_call(&governed, "Buy"), MESH_INTERNAL);
    CHECK(strstr(mesh_ctx_error(governed.ctx), "bad answer to Buy") != NULL);
    CHECK_INT(governed_count(&governed, "mesh_client_ejections_total", NULL, NULL), 1);
    governed_done(&governed);
    raw_peer_free(raw);
}

TEST(peers_that_cannot_be_reached_are_retried_by_connect_failure_and_reset)
{
    struct raw_peer *raw = raw_peer_new_refusing();
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(raw));
    for (size_t i = 0; i < N_WORDS; i++) {
        check_word(target, "failing", "5s", words[i],
                   "connect-failure reset reset-before-request ");
    }
    raw_peer_free(raw);
}

TEST(attempts_that_our_own_timer_cuts_are_retried_by_reset)
{
    actor_start(&actor, ACTS({.hangs = true}), 0);
    for (size_t i = 0; i < N_WORDS; i++) {
        check_word(actor_target(&actor), "ready", "100ms", words[i], "reset ");
    }
    actor_stop(&actor);
}

TEST(only_safe_methods_are_retried)
{
    static const struct {
        const char *method;
        int n_calls;
    } rows[] = {{"Ask", 3}, {"Buy", 3}, {"Count", 1}};

    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        actor.n_calls = 0;
        CHECK_INT(governed_call(&governed, rows[i].method), MESH_UNAVAILABLE);
        CHECK_INT(actor.n_calls, rows[i].n_calls);
    }
    finish();
}

TEST(attempts_counts_retries_and_each_of_them_says_that_it_is_one)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    for (int attempts = 0; attempts <= 4; attempts++) {
        char route[100];

        (void)snprintf(route, sizeof route, "'retries':{'attempts':%d%s}", attempts,
                       attempts > 0 ? ",'backoff':'1ms'" : "");
        begin(route, QUIET);
        actor.n_calls = 0;
        actor.n_retried = 0;
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_INT(actor.n_calls, 1 + attempts);
        CHECK_INT(actor.n_retried, attempts);
        CHECK_INT(governed_retries(&governed), attempts);
        CHECK_INT(governed_count(&governed, "mesh_client_attempts_total", "code", "UNAVAILABLE"),
                  1 + attempts);
        governed_done(&governed);
    }
    actor_stop(&actor);
}

TEST(a_retry_that_succeeds_makes_the_call_succeed)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_UNAVAILABLE}, {0}), 0);
    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    CHECK_INT(actor.n_calls, 3);
    finish();
}

TEST(a_failure_that_is_not_retried_ends_retries)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}, {.status = MESH_NOT_FOUND}), 0);
    begin("'retries':{'attempts':5,'backoff':'1ms'}", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_NOT_FOUND);
    CHECK_INT(actor.n_calls, 2);
    CHECK_TEXT(governed_reason(&governed), "");
    finish();
}

TEST(who_has_tried_enough_says_so)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    begin("'retries':{'attempts':1,'backoff':'1ms'}", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_TEXT(mesh_ctx_error(governed.ctx), "as told");
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    CHECK_INT(governed_call(&governed, "Count"), MESH_UNAVAILABLE);
    CHECK_TEXT(governed_reason(&governed), ""); /* others may well try it */
    finish();
}

/* What was sent may have been done: nobody says that it was not. */
TEST(a_retry_that_cannot_be_sent_leaves_the_failure_of_the_attempt_before)
{
    struct mesh_call *call;

    actor_start(&actor, ACTS({.status = MESH_INTERNAL, .pushback = "300"}), 0);
    begin("'timeout':'20s','retries':{'attempts':1,'backoff':'1ms','retryOn':['internal']}", QUIET);
    call = governed_begin(&governed, governed.ctx, "Buy");
    while (governed_retries(&governed) == 0) {
        (void)mesh__queue_turn(mesh__in_ms(10));
        (void)mesh__calls_step();
    }
    actor_stop(&actor);
    CHECK(governed_await_endpoints(&governed, "failing", 1));
    CHECK_INT(governed_end(governed.ctx, call), MESH_INTERNAL);
    CHECK_TEXT(mesh_ctx_error(governed.ctx),
               "as told; no other attempt was possible: no endpoint could be reached");
    CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
    CHECK(governed.ctx->scope->error->final);
    CHECK_INT(actor.n_calls, 1);
    governed_done(&governed);
}

/* ---- to whom -------------------------------------------------------------------------------- */

/* It answers the first stream, which is the watch of health if there is one, with UNIMPLEMENTED. */
static struct raw_peer *peer_that_knows_nothing(char *ret_target)
{
    static struct raw_bytes answer; /* the peer reads it as long as it lives */

    answer.size = 0;
    add_fields(&answer, RAW_END_STREAM, 3,
               (const char *[]){":status", "200", "content-type", "application/grpc", "grpc-status",
                                "5", NULL});
    return peer_of_bytes(&answer, ret_target);
}

/* Whatever its address is. */
TEST(a_peer_is_called_by_the_name_of_its_destination)
{
    char target[32];
    struct raw_peer *raw = peer_that_knows_nothing(target);

    governed_start(&governed, &(struct governed_options){.target = target, .destination = QUIET});
    CHECK_INT(governed_call(&governed, "Buy"), MESH_NOT_FOUND);
    CHECK(raw_peer_has_received(raw, governed.name));
    CHECK(!raw_peer_has_received(raw, target));
    governed_done(&governed);
    raw_peer_free(raw);
}

static int look_up_here(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret_first)
{
    return strcmp(host, "shop-payment.") == 0 ? getaddrinfo("127.0.0.1", service, hints, ret_first)
                                              : EAI_NONAME;
}

TEST(behind_a_sidecar_it_is_called_by_its_host)
{
    static const struct mesh__dns dns = {look_up_here, freeaddrinfo};
    const struct mesh__dns *real_dns = mesh__dns;
    char target[32];
    char host[48];
    struct raw_peer *raw = peer_that_knows_nothing(target);

    mesh__dns = &dns;
    (void)snprintf(host, sizeof host, "shop-payment.%s", strchr(target, ':'));
    governed_start(&governed, &(struct governed_options){.target = host, .mode = "istio"});
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNIMPLEMENTED); /* nobody watches health */
    (void)snprintf(host, sizeof host, "shop-payment%s", strchr(target, ':'));
    CHECK(raw_peer_has_received(raw, host));
    governed_done(&governed);
    mesh__dns = real_dns;
    raw_peer_free(raw);
}

/* ---- where ---------------------------------------------------------------------------------- */

TEST(a_retry_goes_to_an_endpoint_that_was_not_tried)
{
    struct actor actors[3];
    char target[100];

    for (size_t i = 0; i < 3; i++) {
        actor_start(&actors[i], ACTS({.status = MESH_UNAVAILABLE}), 0);
    }
    (void)snprintf(target, sizeof target, "%s,%s,%s", actor_target(&actors[0]),
                   actor_target(&actors[1]), actor_target(&actors[2]));
    governed_start(&governed,
                   &(struct governed_options){.target = target,
                                              .route = "'retries':{'attempts':2,'backoff':'1ms'}",
                                              .destination = QUIET});
    CHECK(governed_await_endpoints(&governed, "ready", 3));
    for (int n = 1; n <= 10; n++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        for (size_t i = 0; i < 3; i++) {
            CHECK_INT(actors[i].n_calls, n);
        }
    }
    governed_done(&governed);
    for (size_t i = 0; i < 3; i++) {
        actor_stop(&actors[i]);
    }
}

/* ---- when ----------------------------------------------------------------------------------- */

TEST(retries_begin_after_a_pause_of_any_length_up_to_the_base)
{
    enum { CALLS = 20 };
    const int64_t base_ms = 50;
    int64_t start_ns;

    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    begin("'retries':{'attempts':1,'backoff':'50ms'}", QUIET);
    CHECK_INT(governed_call(&governed, "Count"), MESH_UNAVAILABLE); /* connected */
    start_ns = mesh__now_ns();
    for (int i = 0; i < CALLS; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    }
    /* On the average half of it; a tenth happens once in 10^13 runs. */
    CHECK(peer_ms_since(start_ns) >= CALLS * base_ms / 10);
    CHECK(peer_ms_since(start_ns) < CALLS * (base_ms + 100));
    finish();
}

TEST(the_peers_pushback_is_followed)
{
    static const struct {
        const char *pushback;
        int n_calls;
        int64_t least_ms;
    } rows[] = {
        {"0", 3, 0},    {"100", 3, 200}, {"-1", 1, 0}, {"-100", 1, 0},
        {"soon", 1, 0}, {"1.5", 1, 0},   {"", 1, 0},   {"5000", 1, 0}, /* beyond the timeout */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t start_ns;

        actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = rows[i].pushback}), 0);
        begin("'timeout':'2s','retries':{'attempts':2,'backoff':'1ms'}", QUIET);
        start_ns = mesh__now_ns();
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_INT(actor.n_calls, rows[i].n_calls);
        CHECK(peer_ms_since(start_ns) >= rows[i].least_ms);
        CHECK(peer_ms_since(start_ns) < 1800);
        CHECK_TEXT(governed_reason(&governed), "RETRIES_EXHAUSTED");
        finish();
    }
}

TEST(pushback_that_stops_is_handed_on_by_who_would_not_have_retried)
{
    actor_start(&actor, ACTS({.status = MESH_NOT_FOUND, .pushback = "-1"}), 0);
    begin("'retries':{'attempts':2,'backoff':'1ms'}", QUIET);
    CHECK_INT(governed_call(&governed, "Buy"), MESH_NOT_FOUND);
    CHECK(governed.ctx->scope->error->final);
    finish();
}

/* ---- the budget ----------------------------------------------------------------------------- */

#define AT_ONCE 6

/* So many calls at once, whose retries all wait; returns how many retries were granted. */
static int64_t granted_at_once(int n_calls, const char *budget)
{
    struct mesh_ctx *forks[AT_ONCE];
    struct mesh_call *calls[AT_ONCE];
    char destination[400];
    int64_t granted;

    (void)snprintf(destination, sizeof destination, QUIET ",'retryBudget':{%s}", budget);
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE, .pushback = "300"}), 0);
    begin("'timeout':'20s','retries':{'attempts':1,'backoff':'1ms'}", destination);
    for (int i = 0; i < n_calls; i++) {
        forks[i] = mesh_ctx_fork(governed.ctx);
        calls[i] = governed_begin(&governed, forks[i], "Buy");
    }
    for (int i = 0; i < n_calls; i++) {
        CHECK_INT(governed_end(forks[i], calls[i]), MESH_UNAVAILABLE);
        CHECK_TEXT(mesh_ctx_error_reason(forks[i]), "RETRIES_EXHAUSTED");
        mesh__ctx_free(forks[i]);
    }
    granted = governed_retries(&governed);
    CHECK_INT(actor.n_calls, n_calls + granted);
    CHECK_INT(governed_count(&governed, "mesh_client_budget_refused_total", "bound", "concurrency"),
              n_calls - granted);
    finish();
    return granted;
}

TEST(retries_in_flight_are_bounded_from_the_decision_through_the_pause)
{
    CHECK_INT(granted_at_once(1, "'percent':0,'minRetryConcurrency':0"), 0);
    CHECK_INT(granted_at_once(1, "'percent':0,'minRetryConcurrency':1"), 1);
    CHECK_INT(granted_at_once(6, "'percent':0,'minRetryConcurrency':2"), 2);
    CHECK_INT(granted_at_once(6, "'percent':100,'minRetryConcurrency':0"), 6);
}

TEST(a_retry_that_has_failed_makes_room_for_the_next_one_of_its_call)
{
    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    begin("'retries':{'attempts':3,'backoff':'1ms'}",
          QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}");
    for (int i = 1; i <= 2; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
        CHECK_INT(actor.n_calls, 4 * i);
    }
    finish();
}

TEST(so_does_a_retry_that_has_found_no_endpoint)
{
    struct raw_peer *raw = raw_peer_new_refusing();
    char target[32];

    (void)snprintf(target, sizeof target, "127.0.0.1:%d", raw_peer_port(raw));
    governed_start(
        &governed,
        &(struct governed_options){
            .target = target,
            .route = "'timeout':'5s','retries':{'attempts':3,'backoff':'1ms'}",
            .destination = QUIET ",'retryBudget':{'percent':0,'minRetryConcurrency':1}"});
    CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    CHECK_INT(governed_retries(&governed), 3);
    governed_done(&governed);
    raw_peer_free(raw);
}

TEST(retries_of_ten_seconds_are_bounded_whoever_asks_for_them)
{
    enum { CALLS = 30, FREE = 100 };
    int64_t retries;

    actor_start(&actor, ACTS({.status = MESH_UNAVAILABLE}), 0);
    begin("'retries':{'attempts':10,'backoff':'1ms'}", QUIET);
    for (int i = 0; i < CALLS; i++) {
        CHECK_INT(governed_call(&governed, "Buy"), MESH_UNAVAILABLE);
    }
    retries = governed_retries(&governed);
    CHECK(retries >= FREE && retries <= FREE + CALLS / 5);
    CHECK_INT(actor.n_calls, CALLS + retries);
    CHECK(governed_count(&governed, "mesh_client_budget_refused_total", "bound", "rate") >= 1);
    CHECK_INT(governed_count(&governed, "mesh_client_budget_refused_total", "bound", "concurrency"),
              0);
    finish();
}

TEST_MAIN(NULL, NULL)
