/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong in a policy.json, and the sentence that says so and where. */
#include "policy_test.h"

#include <stdio.h>

#define HEAD "{\"schema\": \"mesh-policy/v1\", \"mode\": \"library\""
#define BUY_ROUTE                                                                                  \
    "\"service\": \"shop\", \"grpcService\": \"shop.v1.ShopService\", \"methods\": [\"Buy\"]"
#define SHOP "\"service\": \"shop\", \"grpcService\": \"shop.v1.ShopService\""

struct refusal {
    const char *inside;
    const char *sentence; /* behind "policy.json: " */
};

static void check_sentence(struct mesh__policy *policy, const char *sentence)
{
    char expected[1024];

    (void)snprintf(expected, sizeof(expected), "policy.json: %s", sentence);
    CHECK_TEXT(error, expected);
    CHECK(policy == NULL);
}

static void check_refusals(const char *mode, const struct refusal *refusals, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_sentence(policy_with(mode, refusals[i].inside), refusals[i].sentence);
    }
}

#define CHECK_REFUSALS(mode, table) check_refusals(mode, table, sizeof(table) / sizeof((table)[0]))

TEST(no_json_is_refused_with_its_line)
{
    check_sentence(policy_of(""), "line 1: '[' or '{' expected near end of file.");
    check_sentence(policy_of(HEAD ",\n\n \"routes\"}"), "line 3: ':' expected near '}'.");
    check_sentence(policy_of(HEAD ",\n\"mode\": \"istio\"}"),
                   "line 2: duplicate object key near '\"mode\"'.");
    check_sentence(policy_of("{} {}"), "line 1: end of file expected near '{'.");
    check_sentence(policy_of("{\"a\": \"\xff\"}"), "line 1: unable to decode byte 0xff near '\"'.");
    check_sentence(policy_of("{\"a\x01\": 1}"), "line 1: control character 0x1 near '\"a'.");
}

TEST(the_head_is_there_and_known)
{
    check_sentence(policy_of("[]"), "the file is an empty array, expected an object.");
    check_sentence(policy_of("{}"), "schema is missing, expected mesh-policy/v1.");
    check_sentence(policy_of("{\"schema\": \"mesh-policy/v2\"}"),
                   "schema is \"mesh-policy/v2\", expected mesh-policy/v1.");
    check_sentence(policy_of("{\"schema\": \"mesh-policy/v1\"}"),
                   "mode is missing, expected library, istio or proxyless.");
    check_sentence(policy_of("{\"schema\": \"mesh-policy/v1\", \"mode\": 1}"),
                   "mode is 1, expected library, istio or proxyless.");
    check_sentence(policy_with("sidecar", ""),
                   "mode is \"sidecar\", expected library, istio or proxyless.");
}

TEST(with_a_peer_that_is_found_by_xds_there_is_one_mode)
{
    static const char *const others[] = {"library", "istio"};
    const struct mesh__policy_options options = {
        .file = "policy.json", .peers = peers, .xds_peer = "MESH_PEER_SHOP"};
    char text[128];
    char sentence[128];
    int size;

    for (size_t i = 0; i < 2; i++) {
        size = snprintf(text, sizeof(text), "{\"schema\": \"mesh-policy/v1\", \"mode\": \"%s\"}",
                        others[i]);
        (void)snprintf(sentence, sizeof(sentence),
                       "mode is \"%s\", expected proxyless, as MESH_PEER_SHOP is found by xDS.",
                       others[i]);
        check_sentence(mesh__policy_new(&options, text, (size_t)size, error, sizeof(error)),
                       sentence);
    }
    size =
        snprintf(text, sizeof(text), "{\"schema\": \"mesh-policy/v1\", \"mode\": \"proxyless\"}");
    error[0] = '\0';
    struct mesh__policy *policy =
        mesh__policy_new(&options, text, (size_t)size, error, sizeof(error));
    CHECK_TEXT(error, "");
    mesh__policy_release(policy);
}

TEST(unknown_keys_are_refused_with_those_that_are_known)
{
    static const struct refusal refusals[] = {
        {"\"route\": {}",
         "route is not a known key, expected schema, mode, defaults, routes or destinations."},
        {"\"defaults\": {\"routes\": {}}",
         "defaults.routes is not a known key, expected route or destination."},
        {"\"defaults\": {\"route\": {\"hedging\": {}}}",
         "defaults.route.hedging is not a known key, expected timeout or retries."},
        {"\"defaults\": {\"route\": {\"service\": \"shop\"}}",
         "defaults.route.service is not a known key, expected timeout or retries."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retrys\": {}}}",
         "routes.buy.retrys is not a known key, expected service, grpcService, methods, calls, "
         "timeout, retries, hedging or fault."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": {\"tries\": 1}}}",
         "routes.buy.retries.tries is not a known key, expected attempts, perTryTimeout, retryOn "
         "or "
         "backoff."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries.attempts\": 1}}",
         "routes.buy.retries.attempts is not a known key, expected service, grpcService, methods, "
         "calls, timeout, retries, hedging or fault."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"\": 1}}",
         "routes.buy. is not a known key, expected service, grpcService, methods, calls, timeout, "
         "retries, hedging or fault."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"fault\": {\"abort\": {\"httpStatus\": 503}}}}",
         "routes.buy.fault.abort.httpStatus is not a known key, expected grpcStatus or "
         "percentage."},
        {"\"destinations\": {\"shop\": {\"connectionPool\": {\"tcp\": {}}}}",
         "destinations.shop.connectionPool.tcp is not a known key, expected http."},
        {"\"destinations\": {\"shop\": {\"a\\u000ab\": 1}}",
         "destinations.shop.a?b is not a known key, expected loadBalancer, connectionPool, "
         "workerLimit, outlierDetection, retryBudget or circuitBreaker."},
    };

    CHECK_REFUSALS("library", refusals);
}

TEST(values_have_their_type_and_range)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": {\"attempts\": 11}}}",
         "routes.buy.retries.attempts is 11, expected a whole number from 0 to 10."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": {\"attempts\": -1}}}",
         "routes.buy.retries.attempts is -1, expected a whole number from 0 to 10."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": {\"attempts\": 1.5}}}",
         "routes.buy.retries.attempts is 1.5, expected a whole number from 0 to 10."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": {\"attempts\": \"2\"}}}",
         "routes.buy.retries.attempts is \"2\", expected a whole number from 0 to 10."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"retries\": 2}}",
         "routes.buy.retries is 2, expected an object."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE
         ", \"retries\": {\"retryOn\": \"reset,unavailable\"}}}",
         "routes.buy.retries.retryOn is \"reset,unavailable\", expected an array of "
         "connect-failure, refused-stream, reset, cancelled, deadline-exceeded, internal, "
         "resource-exhausted, unavailable or reset-before-request, each once."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE
         ", \"hedging\": {\"delay\": \"5ms\", \"maxAttempts\": 0}}}",
         "routes.buy.hedging.maxAttempts is 0, expected a whole number from 2 to 5."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"fault\": {\"abort\": {\"grpcStatus\": 14}}}}",
         "routes.buy.fault.abort.grpcStatus is 14, expected the name of a gRPC code such as "
         "UNAVAILABLE."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"fault\": {\"abort\": {\"grpcStatus\": \"OK\"}}}}",
         "routes.buy.fault.abort.grpcStatus is \"OK\", expected the name of a gRPC code such as "
         "UNAVAILABLE."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE
         ", \"fault\": {\"delay\": {\"fixedDelay\": \"1s\", \"percentage\": {\"value\": 100.1}}}}}",
         "routes.buy.fault.delay.percentage.value is 100.1, expected a number from 0 to 100."},
        {"\"routes\": {\"buy\": {" BUY_ROUTE ", \"fault\": {\"header\": {\"exact\": \"a b\"}}}}",
         "routes.buy.fault.header.exact is \"a b\", expected a text of 1 to 128 visible characters "
         "of ASCII without \" and \\."},
        {"\"destinations\": {\"shop\": {\"loadBalancer\": \"RANDOM\"}}",
         "destinations.shop.loadBalancer is \"RANDOM\", expected LEAST_REQUEST or ROUND_ROBIN."},
        {"\"destinations\": {\"shop\": {\"workerLimit\": true}}",
         "destinations.shop.workerLimit is true, expected a whole number from 0 to 1024."},
        {"\"destinations\": {\"shop\": null}", "destinations.shop is null, expected an object."},
        {"\"defaults\": []", "defaults is an empty array, expected an object."},
        {"\"routes\": []", "routes is an empty array, expected an object."},
        {"\"defaults\": {\"destination\": {\"circuitBreaker\": {\"window\": \"999ms\"}}}",
         "defaults.destination.circuitBreaker.window is \"999ms\", expected a duration from 1s to "
         "600s."},
    };

    CHECK_REFUSALS("library", refusals);
}

TEST(durations_are_written_as_istio_and_protobuf_write_them)
{
    static const char *const wrong[] = {"",
                                        "1",
                                        "500",
                                        "500 ms",
                                        "0.5ms",
                                        "1.s",
                                        ".5s",
                                        "-1s",
                                        "1e3ms",
                                        "+1s",
                                        "01s",
                                        "1.0005s",
                                        "1m30s",
                                        "1S",
                                        "1us",
                                        "1ns",
                                        "1d",
                                        "2h",
                                        "99999999999999999999s",
                                        "1s "};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char inside[256];
        char sentence[256];

        (void)snprintf(inside, sizeof(inside), "\"defaults\": {\"route\": {\"timeout\": \"%s\"}}",
                       wrong[i]);
        (void)snprintf(
            sentence, sizeof(sentence),
            "defaults.route.timeout is \"%s\", expected a duration from 1ms to 3600s, or "
            "\"0s\".",
            wrong[i]);
        check_sentence(policy_with("library", inside), sentence);
    }
}

TEST(routes_name_whom_they_are_for)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"buy\": {}}", "routes.buy.service is missing, expected the name of a "
                                      "service: a small letter, then small "
                                      "letters, digits and -, 63 at most."},
        {"\"routes\": {\"buy\": {\"service\": \"shop\"}}",
         "routes.buy.grpcService is missing, expected a gRPC service such as shop.v1.ShopService."},
        {"\"routes\": {\"buy\": {\"service\": \"Shop\", \"grpcService\": \"a.B\"}}",
         "routes.buy.service is \"Shop\", expected the name of a service: a small letter, then "
         "small "
         "letters, digits and -, 63 at most."},
        {"\"routes\": {\"buy\": {\"service\": \"x\", \"grpcService\": \"/a.B/\"}}",
         "routes.buy.grpcService is \"/a.B/\", expected a gRPC service such as "
         "shop.v1.ShopService."},
        {"\"routes\": {\"buy\": {\"service\": \"x\", \"grpcService\": \"a..B\"}}",
         "routes.buy.grpcService is \"a..B\", expected a gRPC service such as "
         "shop.v1.ShopService."},
        {"\"routes\": {\"a b\": {}}",
         "routes.a b is not the name of a route, expected a letter, then letters, digits and -, 63 "
         "at most."},
        {"\"destinations\": {\"shop:9090\": {}}",
         "destinations.shop:9090 is not the name of a service: a small letter, then small letters, "
         "digits and -, 63 at most."},
        {"\"routes\": {\"buy\": {" SHOP ", \"methods\": []}}",
         "routes.buy.methods is an empty array, expected an array of texts."},
        {"\"routes\": {\"buy\": {" SHOP ", \"methods\": [\"Buy\", \"Buy\"]}}",
         "routes.buy.methods[1] is \"Buy\", expected each only once."},
        {"\"routes\": {\"buy\": {" SHOP ", \"methods\": [\"Buy\", 2]}}",
         "routes.buy.methods[1] is 2, expected the name of a method."},
        {"\"routes\": {\"buy\": {" SHOP ", \"calls\": [\"bank.v1.BankService.Pay\"]}}",
         "routes.buy.calls[0] is \"bank.v1.BankService.Pay\", expected a method such as "
         "shop.v1.ShopService/Buy."},
    };

    CHECK_REFUSALS("library", refusals);
}

TEST(methods_of_peers_are_known)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"buy\": {" SHOP ", \"methods\": [\"Buy\", \"Sell\"]}}",
         "routes.buy.methods[1] is \"Sell\", expected a method of shop.v1.ShopService."},
        {"\"routes\": {\"buy\": {\"service\": \"bank\", \"grpcService\": \"shop.v1.ShopService\"}}",
         "routes.buy.grpcService is \"shop.v1.ShopService\", expected a service that bank offers, "
         "such as bank.v1.BankService."},
    };

    CHECK_REFUSALS("library", refusals);
}

TEST(the_methods_of_others_are_not)
{
    struct mesh__policy *policy =
        policy_with("library", "\"routes\": {\"a\": {\"service\": \"other\", \"grpcService\": "
                               "\"x.Y\", \"methods\": [\"Z\"], \"retries\": {\"attempts\": 1}}, "
                               "\"b\": {\"service\": \"plain\", \"grpcService\": \"x.Y\"}}");

    CHECK_TEXT(error, "");
    mesh__policy_release(policy);
}

TEST(two_routes_for_the_same_are_refused)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"a\": {" SHOP "}, \"b\": {" SHOP "}}",
         "routes.b.grpcService is \"shop.v1.ShopService\", expected one that routes.a is not for "
         "already."},
        {"\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Buy\"]}, \"b\": {" SHOP
         ", \"methods\": [\"Look\", \"Buy\"]}}",
         "routes.b.methods[1] is \"Buy\", expected one that routes.a does not name already."},
        {"\"routes\": {\"a\": {\"service\": \"x\", \"grpcService\": \"x.Y\", \"methods\": "
         "[\"Z\"]}, "
         "\"b\": {\"service\": \"x\", \"grpcService\": \"x.Y\", \"methods\": [\"Z\"]}}",
         "routes.b.methods[0] is \"Z\", expected one that routes.a does not name already."},
    };
    struct mesh__policy *policy;

    CHECK_REFUSALS("library", refusals);
    policy = policy_with("library", "\"routes\": {\"a\": {" SHOP "}, \"b\": {" BUY_ROUTE "}}");
    CHECK_TEXT(error, "");
    mesh__policy_release(policy);
}

TEST(a_route_that_names_a_method_gives_it_only_what_it_can_have)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"a\": {" SHOP
         ", \"methods\": [\"CountUp\"], \"retries\": {\"attempts\": 1}}}",
         "routes.a.retries is set, expected none for CountUp, which is neither IDEMPOTENT nor "
         "NO_SIDE_EFFECTS."},
        {"\"routes\": {\"a\": {" SHOP
         ", \"methods\": [\"Buy\", \"CountUp\"], \"retries\": {\"retryOn\": [\"reset\"]}}}",
         "routes.a.retries is set, expected none for CountUp, which is neither IDEMPOTENT nor "
         "NO_SIDE_EFFECTS."},
        {"\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Send\"], \"retries\": {\"attempts\": 1}}}",
         "routes.a.retries is set, expected none for Send, whose caller streams."},
        {"\"routes\": {\"a\": {" BUY_ROUTE ", \"hedging\": {\"delay\": \"5ms\"}}}",
         "routes.a.hedging is set, expected none for Buy, which is not a unary method with "
         "NO_SIDE_EFFECTS."},
        {"\"routes\": {\"a\": {" SHOP
         ", \"methods\": [\"Watch\"], \"hedging\": {\"delay\": \"5ms\"}}}",
         "routes.a.hedging is set, expected none for Watch, which is not a unary method with "
         "NO_SIDE_EFFECTS."},
        {"\"routes\": {\"a\": {" BUY_ROUTE
         ", \"retries\": {\"attempts\": 0, \"perTryTimeout\": \"1s\"}}}",
         "routes.a.retries.perTryTimeout is set, expected it left out beside attempts 0."},
        {"\"routes\": {\"a\": {" BUY_ROUTE ", \"hedging\": {\"maxAttempts\": 2}}}",
         "routes.a.hedging.delay is missing, expected a duration from 1ms to 3600s, or \"0s\"."},
        {"\"routes\": {\"a\": {" BUY_ROUTE ", \"fault\": {\"delay\": {}}}}",
         "routes.a.fault.delay.fixedDelay is missing, expected a duration from 1ms to 3600s, or "
         "\"0s\"."},
    };
    struct mesh__policy *policy;

    CHECK_REFUSALS("library", refusals);
    policy = policy_with("library", "\"routes\": {\"a\": {" SHOP ", \"methods\": [\"CountUp\"], "
                                    "\"retries\": {\"attempts\": 0}}}");
    CHECK_TEXT(error, "");
    mesh__policy_release(policy);
}

TEST(all_attempts_fit_into_the_timeout)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"a\": {" BUY_ROUTE
         ", \"timeout\": \"500ms\", \"retries\": {\"attempts\": 2, \"perTryTimeout\": \"200ms\"}}}",
         "routes.a.retries.perTryTimeout is 200ms, expected at most 166ms, so that all 3 attempts "
         "fit within the timeout of 500ms (routes.a)."},
        {"\"defaults\": {\"route\": {\"timeout\": \"1s\", \"retries\": {\"perTryTimeout\": "
         "\"400ms\"}}}",
         "defaults.route.retries.perTryTimeout is 400ms, expected at most 333ms, so that all 3 "
         "attempts fit within the timeout of 1s (defaults.route)."},
        {"\"defaults\": {\"route\": {\"retries\": {\"perTryTimeout\": \"400ms\"}}}",
         "defaults.route.retries.perTryTimeout is 400ms, expected at most 166ms, so that all 3 "
         "attempts fit within the timeout of 500ms (declaration)."},
        {"\"defaults\": {\"route\": {\"timeout\": \"2s\", \"retries\": {\"perTryTimeout\": "
         "\"400ms\"}}}, "
         "\"routes\": {\"a\": {" BUY_ROUTE ", \"timeout\": \"1s\"}}",
         "defaults.route.retries.perTryTimeout is 400ms, expected at most 333ms, so that all 3 "
         "attempts fit within the timeout of 1s (routes.a)."},
        {"\"routes\": {\"a\": {\"service\": \"other\", \"grpcService\": \"x.Y\", \"timeout\": "
         "\"1s\", "
         "\"retries\": {\"attempts\": 1, \"perTryTimeout\": \"501ms\"}}}",
         "routes.a.retries.perTryTimeout is 501ms, expected at most 500ms, so that all 2 attempts "
         "fit within the timeout of 1s (routes.a)."},
        {"\"routes\": {\"a\": {" SHOP ", \"methods\": [\"Look\"], \"timeout\": \"1s\", "
         "\"hedging\": {\"delay\": \"1s\"}}}",
         "routes.a.hedging.delay is 1s, expected at most 999ms, so that it can begin within the "
         "timeout of 1s (routes.a)."},
    };

    CHECK_REFUSALS("library", refusals);
}

TEST(what_nobody_enforces_in_the_mode_is_refused)
{
    static const struct refusal refusals[] = {
        {"\"routes\": {\"a\": {" BUY_ROUTE ", \"retries\": {\"perTryTimeout\": \"100ms\"}}}",
         "routes.a.retries.perTryTimeout is set, expected it left out: nobody enforces it in mode "
         "proxyless."},
        {"\"routes\": {\"a\": {" BUY_ROUTE ", \"retries\": {\"attempts\": 5}}}",
         "routes.a.retries.attempts is 5, expected at most 4 in mode proxyless."},
        {"\"destinations\": {\"shop\": {\"outlierDetection\": {\"interval\": \"1s\"}}}",
         "destinations.shop.outlierDetection.interval is set, expected it left out: nobody "
         "enforces "
         "it in mode proxyless."},
        {"\"defaults\": {\"destination\": {\"retryBudget\": {\"percent\": 20}}}",
         "defaults.destination.retryBudget.percent is set, expected it left out: nobody enforces "
         "it "
         "in mode proxyless."},
        {"\"destinations\": {\"shop\": {\"loadBalancer\": \"LEAST_REQUEST\"}}",
         "destinations.shop.loadBalancer is \"LEAST_REQUEST\", expected ROUND_ROBIN in mode "
         "proxyless."},
    };

    CHECK_REFUSALS("proxyless", refusals);
    struct mesh__policy *policy = policy_with(
        "proxyless", "\"destinations\": {\"shop\": {\"loadBalancer\": \"ROUND_ROBIN\"}}");

    CHECK_TEXT(error, "");
    mesh__policy_release(policy);
}

TEST(a_file_that_is_not_there_is_named)
{
    const struct mesh__policy_options missing = {.file = "/does/not/exist", .peers = peers};
    const struct mesh__policy_options folder = {.file = "/tmp", .peers = peers};

    CHECK(mesh__policy_read(&missing, error, sizeof(error)) == NULL);
    CHECK_TEXT(error, "/does/not/exist cannot be read: No such file or directory.");
    CHECK(mesh__policy_read(&folder, error, sizeof(error)) == NULL);
    CHECK_TEXT(error, "/tmp cannot be read: Is a directory.");
}

TEST_MAIN(NULL, NULL)
