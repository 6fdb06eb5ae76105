/* SPDX-License-Identifier: Apache-2.0 */
/* What each method gets, and where every value comes from. */
#include "core/arena.h"
#include "core/text.h"
#include "mesh/status.h"
#include "policy/json.h"
#include "policy_test.h"

#include <stdio.h>

#define SHOP "\"service\": \"shop\", \"grpcService\": \"shop.v1.ShopService\""

static struct mesh__policy *policy;

static void use(const char *mode, const char *inside)
{
    mesh__policy_release(policy);
    policy = policy_with(mode, inside);
    CHECK_TEXT(error, "");
}

static const struct mesh__method_policy *shop(int method)
{
    return mesh__policy_method(mesh__policy_destination(policy, 0), &shop_methods[method]);
}

static const struct mesh__method_policy *pay(void)
{
    return mesh__policy_method(mesh__policy_destination(policy, 1), &bank_methods[0]);
}

/* Where a value comes from, by its name in the struct. */
#define FROM(policy_, member)                                                                      \
    ((policy_)->from[offsetof(struct mesh__route_values, member) / sizeof(int64_t)])
#define FROM_OF(destination_, member)                                                              \
    ((destination_)->from[offsetof(struct mesh__destination_values, member) / sizeof(int64_t)])

TEST(without_a_file_there_are_the_defaults)
{
    mesh__policy_release(policy);
    policy = policy_of(NULL);
    CHECK(mesh__policy_mode(policy) == MESH__MODE_LIBRARY);
    CHECK_INT(shop(BUY)->values.timeout_ms, 2000);
    CHECK_TEXT(FROM(shop(BUY), timeout_ms), "default");
    CHECK_INT(shop(BUY)->values.attempts, 2);
    CHECK_INT(shop(BUY)->values.per_try_timeout_ms, 0);
    CHECK_INT(shop(BUY)->values.retry_on, MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_REFUSED_STREAM |
                                              MESH__RETRY_RESET | MESH__RETRY_CANCELLED |
                                              MESH__RETRY_UNAVAILABLE);
    CHECK_INT(shop(BUY)->values.backoff_ms, 25);
    CHECK_INT(shop(BUY)->values.fault_abort_per_million, 1000000);
    CHECK(shop(BUY)->values.fault_header == NULL);
    CHECK_INT(shop(BUY)->destination->values.load_balancer, MESH__LEAST_REQUEST);
    CHECK_INT(shop(BUY)->destination->values.max_ejection_percent, 50);
    CHECK_TEXT(shop(BUY)->destination->name, "shop");
    CHECK(mesh__policy_destination(policy, 3) == NULL);
}

TEST(what_a_peer_is_declared_with_stands_above_the_default_alone)
{
    use("library", "");
    CHECK_INT(pay()->values.timeout_ms, 500);
    CHECK_TEXT(FROM(pay(), timeout_ms), "declaration");
    use("library", "\"defaults\": {\"route\": {\"timeout\": \"1.5s\"}}");
    CHECK_INT(pay()->values.timeout_ms, 1500);
    CHECK_TEXT(FROM(pay(), timeout_ms), "defaults.route");
}

TEST(the_most_specific_route_wins_and_leaves_the_rest_to_the_defaults)
{
    use("library", "\"defaults\": {\"route\": {\"timeout\": \"1s\", \"retries\": {\"attempts\": 3, "
                   "\"backoff\": \"10ms\"}}}, \"routes\": {"
                   "\"all\": {" SHOP ", \"timeout\": \"3s\", \"retries\": {\"attempts\": 4}}, "
                   "\"buy\": {" SHOP ", \"methods\": [\"Buy\"], \"retries\": {\"perTryTimeout\": "
                   "\"250ms\", \"retryOn\": [\"reset-before-request\", \"unavailable\"]}}}");
    CHECK_INT(shop(BUY)->values.timeout_ms, 1000);
    CHECK_TEXT(FROM(shop(BUY), timeout_ms), "defaults.route");
    CHECK_INT(shop(BUY)->values.attempts, 3);
    CHECK_INT(shop(BUY)->values.per_try_timeout_ms, 250);
    CHECK_TEXT(FROM(shop(BUY), per_try_timeout_ms), "routes.buy");
    CHECK_INT(shop(BUY)->values.retry_on,
              MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_REFUSED_STREAM | MESH__RETRY_UNAVAILABLE);
    CHECK_INT(shop(LOOK)->values.timeout_ms, 3000);
    CHECK_INT(shop(LOOK)->values.attempts, 4);
    CHECK_TEXT(FROM(shop(LOOK), attempts), "routes.all");
    CHECK_INT(shop(LOOK)->values.backoff_ms, 10);
    CHECK_INT(pay()->values.attempts, 3);
}

TEST(what_is_not_safe_to_repeat_is_never_tried_again)
{
    use("library", "\"routes\": {\"all\": {" SHOP ", \"retries\": {\"attempts\": 4, "
                   "\"perTryTimeout\": \"100ms\"}, \"hedging\": {\"delay\": \"50ms\"}}}");
    CHECK_INT(shop(COUNT_UP)->values.attempts, 0);
    CHECK_TEXT(FROM(shop(COUNT_UP), attempts), "method");
    CHECK_INT(shop(COUNT_UP)->values.per_try_timeout_ms, 0);
    CHECK_INT(shop(SEND)->values.attempts, 0);
    CHECK_INT(shop(WATCH)->values.attempts, 4);
    CHECK_INT(shop(BUY)->values.attempts, 4);
    CHECK_INT(shop(BUY)->values.hedging_delay_ms, 0);
    CHECK_TEXT(FROM(shop(BUY), hedging_delay_ms), "method");
    CHECK_INT(shop(LOOK)->values.hedging_delay_ms, 50);
    CHECK_INT(shop(WATCH)->values.hedging_delay_ms, 0);
}

TEST(streams_are_cut_only_by_a_route_that_names_them)
{
    use("library", "\"routes\": {\"all\": {" SHOP ", \"timeout\": \"1s\", \"retries\": "
                   "{\"attempts\": 1, \"perTryTimeout\": \"100ms\"}}}");
    CHECK_INT(shop(WATCH)->values.timeout_ms, 0);
    CHECK_TEXT(FROM(shop(WATCH), timeout_ms), "method");
    CHECK_INT(shop(WATCH)->values.per_try_timeout_ms, 0);
    CHECK_INT(shop(SEND)->values.timeout_ms, 0);
    CHECK_INT(shop(BUY)->values.timeout_ms, 1000);
    use("library", "\"routes\": {\"watch\": {" SHOP ", \"methods\": [\"Watch\"], \"timeout\": "
                   "\"1h\"}, \"send\": {" SHOP ", \"methods\": [\"Send\"], \"timeout\": \"0s\"}}");
    CHECK_INT(shop(WATCH)->values.timeout_ms, 3600000);
    CHECK_TEXT(FROM(shop(WATCH), timeout_ms), "routes.watch");
    CHECK_INT(shop(SEND)->values.timeout_ms, 0);
    CHECK_TEXT(FROM(shop(SEND), timeout_ms), "routes.send");
}

TEST(a_sidecar_or_the_core_retries_alone)
{
    static const char *const modes[] = {"istio", "proxyless"};

    for (size_t i = 0; i < 2; i++) {
        use(modes[i], "\"routes\": {\"all\": {" SHOP ", \"timeout\": \"1s\", \"retries\": "
                      "{\"attempts\": 3}, \"hedging\": {\"delay\": \"50ms\"}, \"fault\": "
                      "{\"abort\": {\"grpcStatus\": \"INTERNAL\"}}}}");
        CHECK_INT(shop(LOOK)->values.timeout_ms, 1000);
        CHECK_INT(shop(LOOK)->values.attempts, 0);
        CHECK_TEXT(FROM(shop(LOOK), attempts), "mode");
        CHECK_INT(shop(LOOK)->values.hedging_delay_ms, 0);
        CHECK_INT(shop(LOOK)->values.fault_abort_status, MESH_OK);
        CHECK_INT(pay()->values.attempts, 0);
        CHECK_INT(pay()->destination->values.consecutive_5xx_errors, 0);
        CHECK_TEXT(FROM_OF(pay()->destination, consecutive_5xx_errors), "mode");
        CHECK_INT(pay()->destination->values.breaker_consecutive_failures, 5);
    }
    CHECK(mesh__policy_mode(policy) == MESH__MODE_PROXYLESS);
}

TEST(destinations_have_their_own_the_common_and_the_default_values)
{
    const struct mesh__destination_policy *destination;

    use("library",
        "\"defaults\": {\"destination\": {\"retryBudget\": {\"percent\": 30, "
        "\"minRetryConcurrency\": 1}}}, \"destinations\": {\"bank\": {\"loadBalancer\": "
        "\"ROUND_ROBIN\", \"retryBudget\": {\"percent\": 1e1}, \"connectionPool\": {\"http\": "
        "{\"http2MaxRequests\": 1e+06}}}, \"other\": {\"workerLimit\": 3}}");
    destination = mesh__policy_destination(policy, 1);
    CHECK_TEXT(destination->name, "bank");
    CHECK_INT(destination->values.load_balancer, MESH__ROUND_ROBIN);
    CHECK_TEXT(FROM_OF(destination, load_balancer), "destinations.bank");
    CHECK_INT(destination->values.budget_percent, 10);
    CHECK_INT(destination->values.budget_min_concurrency, 1);
    CHECK_TEXT(FROM_OF(destination, budget_min_concurrency), "defaults.destination");
    CHECK_INT(destination->values.max_requests, 1000000);
    CHECK_INT(destination->values.worker_limit, 0);
    CHECK_TEXT(FROM_OF(destination, worker_limit), "default");
    CHECK_INT(mesh__policy_destination(policy, 0)->values.budget_percent, 30);
}

TEST(faults_have_their_share_and_their_header)
{
    use("library", "\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Buy\"], \"fault\": {"
                   "\"delay\": {\"fixedDelay\": \"700ms\", \"percentage\": {\"value\": 0.5}}, "
                   "\"abort\": {\"grpcStatus\": \"UNAVAILABLE\", \"percentage\": {\"value\": "
                   "12.25}}, \"header\": {\"exact\": \"test-1\"}}}}");
    CHECK_INT(shop(BUY)->values.fault_delay_ms, 700);
    CHECK_INT(shop(BUY)->values.fault_delay_per_million, 5000);
    CHECK_INT(shop(BUY)->values.fault_abort_status, MESH_UNAVAILABLE);
    CHECK_INT(shop(BUY)->values.fault_abort_per_million, 122500);
    CHECK_TEXT(shop(BUY)->values.fault_header, "test-1");
    CHECK_TEXT(FROM(shop(BUY), fault_header), "routes.a");
}

TEST(a_method_that_nobody_declared_gets_what_its_kind_gets)
{
    const struct mesh_method watch = {.kind = MESH_BIDI_STREAMING, .idempotency = MESH_IDEMPOTENT};
    const struct mesh_method read = {.kind = MESH_UNARY, .idempotency = MESH_NO_SIDE_EFFECTS};
    const struct mesh_method write = {.kind = MESH_UNARY};
    const struct mesh__destination_policy *plain;

    use("library", "\"defaults\": {\"route\": {\"timeout\": \"3s\"}}");
    plain = mesh__policy_destination(policy, 2);
    CHECK_INT(mesh__policy_method(plain, &watch)->values.timeout_ms, 0);
    CHECK_INT(mesh__policy_method(plain, &read)->values.timeout_ms, 3000);
    CHECK_INT(mesh__policy_method(plain, &read)->values.attempts, 2);
    CHECK_INT(mesh__policy_method(plain, &write)->values.attempts, 0);
    CHECK(mesh__policy_method(plain, &write)->destination == plain);
}

TEST(a_policy_lives_for_as_long_as_a_call_holds_it)
{
    struct mesh__policy *held;

    use("library", "\"defaults\": {\"route\": {\"timeout\": \"3s\"}}");
    held = mesh__policy_hold(policy);
    use("library", "");
    CHECK_INT(mesh__policy_destination(held, 0)->methods[1][BUY].values.timeout_ms, 3000);
    mesh__policy_release(held);
    mesh__policy_release(NULL);
}

static bool shows(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

TEST(a_policy_is_shown_to_people_and_to_programs)
{
    struct mesh__text text = {0};

    use("library",
        "\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Watch\"], \"timeout\": \"90s\"}}");
    mesh__policy_print(policy, &text);
    CHECK(shows(text.bytes, "mode library\nshop\n  loadBalancer                                "
                            "LEAST_REQUEST       default\n"));
    CHECK(shows(text.bytes, "/shop.v1.ShopService/Watch\n  timeout                                 "
                            "    90s                 routes.a\n"));
    CHECK(shows(text.bytes, "half of the workers "));
    free(text.bytes);
    text = (struct mesh__text){0};
    mesh__policy_json(policy, &text);
    CHECK(shows(text.bytes, "{\"schema\":\"mesh-policy/v1\",\"mode\":\"library\",\"destinations\":{"
                            "\"shop\":{\"loadBalancer\":{\"value\":\"LEAST_REQUEST\",\"from\":"
                            "\"default\"},"));
    CHECK(shows(text.bytes,
                "\"/shop.v1.ShopService/Watch\":{\"timeout\":{\"value\":\"90s\",\"from\":"
                "\"routes.a\"},\"retries.attempts\":{\"value\":2,\"from\":\"default\"}"));
    free(text.bytes);
}

TEST(what_is_shown_to_programs_is_json)
{
    struct mesh__text text = {0};
    struct mesh_arena *arena = mesh__arena_new(0);
    const struct mesh__json *whole;
    const struct mesh__json *buy;

    use("library", "\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Buy\"], \"fault\": {\"header\": "
                   "{\"exact\": \"!#x~\"}, \"abort\": {\"grpcStatus\": \"ABORTED\", "
                   "\"percentage\": {\"value\": 0.5}}}}}");
    mesh__policy_json(policy, &text);
    whole = mesh__json_parse(arena, text.bytes, text.size, error, sizeof(error));
    CHECK(whole != NULL);
    buy = mesh__json_find(mesh__json_find(mesh__json_find(whole, "destinations"), "shop"),
                          "/shop.v1.ShopService/Buy");
    CHECK_TEXT(mesh__json_find(mesh__json_find(buy, "fault.header.exact"), "value")->text, "!#x~");
    CHECK(mesh__json_find(mesh__json_find(buy, "fault.abort.percentage.value"), "value")->number ==
          0.5);
    buy = mesh__json_find(mesh__json_find(mesh__json_find(whole, "destinations"), "bank"),
                          "/bank.v1.BankService/Pay");
    CHECK_INT(mesh__json_find(mesh__json_find(buy, "fault.header.exact"), "value")->kind,
              MESH__JSON_NULL);
    mesh__arena_free(arena);
    free(text.bytes);
}

static int forget(void **state)
{
    (void)state;
    mesh__policy_release(policy);
    return 0;
}

TEST_MAIN(NULL, forget)
