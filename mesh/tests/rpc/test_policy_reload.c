/* SPDX-License-Identifier: Apache-2.0 */
/* Every value of a destination is in force once its file has changed. */
#include "governed.h"
#include "rpc/breaker.h"
#include "rpc/client_call.h"
#include "rpc/ejection.h"
#include "rpc/endpoint_choice.h"
#include "rpc/retry_budget.h"
#include "test.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

/* What those who enforce the policy were told last. */
static struct {
    struct mesh__breaker_settings breaker;
    struct mesh__ejection_settings ejection;
    struct mesh__retry_budget_settings budget;
    int64_t balancer, requests, pending, workers;
} told;

/* The linker has the names. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
void __real_mesh__breaker_set(struct mesh__breaker *breaker,
                              const struct mesh__breaker_settings *settings);
void __wrap_mesh__breaker_set(struct mesh__breaker *breaker,
                              const struct mesh__breaker_settings *settings);
void __real_mesh__ejection_set(struct mesh__ejection *ejection,
                               const struct mesh__ejection_settings *settings);
void __wrap_mesh__ejection_set(struct mesh__ejection *ejection,
                               const struct mesh__ejection_settings *settings);
void __real_mesh__retry_budget_set(struct mesh__retry_budget *budget,
                                   const struct mesh__retry_budget_settings *settings);
void __wrap_mesh__retry_budget_set(struct mesh__retry_budget *budget,
                                   const struct mesh__retry_budget_settings *settings);
struct mesh__endpoint *__real_mesh__endpoint_choose(const struct mesh__endpoint_choice *choice,
                                                    bool *ret_panic);
struct mesh__endpoint *__wrap_mesh__endpoint_choose(const struct mesh__endpoint_choice *choice,
                                                    bool *ret_panic);

void __wrap_mesh__breaker_set(struct mesh__breaker *breaker,
                              const struct mesh__breaker_settings *settings)
{
    told.breaker = *settings;
    __real_mesh__breaker_set(breaker, settings);
}

void __wrap_mesh__ejection_set(struct mesh__ejection *ejection,
                               const struct mesh__ejection_settings *settings)
{
    told.ejection = *settings;
    __real_mesh__ejection_set(ejection, settings);
}

void __wrap_mesh__retry_budget_set(struct mesh__retry_budget *budget,
                                   const struct mesh__retry_budget_settings *settings)
{
    told.budget = *settings;
    __real_mesh__retry_budget_set(budget, settings);
}

struct mesh__endpoint *__wrap_mesh__endpoint_choose(const struct mesh__endpoint_choice *choice,
                                                    bool *ret_panic)
{
    told.balancer = choice->balancer;
    return __real_mesh__endpoint_choose(choice, ret_panic);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* Each is another number, so that none can pass for another. */
static const struct {
    const char *destination;
    const int64_t *told;
    int64_t value;
} rows[] = {
    {"'loadBalancer':'ROUND_ROBIN'", &told.balancer, MESH__ROUND_ROBIN},
    {"'connectionPool':{'http':{'http2MaxRequests':61}}", &told.requests, 61},
    {"'connectionPool':{'http':{'http1MaxPendingRequests':62}}", &told.pending, 62},
    {"'workerLimit':63", &told.workers, 63},
    {"'outlierDetection':{'consecutive5xxErrors':64}", &told.ejection.consecutive_5xx, 64},
    {"'outlierDetection':{'consecutiveGatewayErrors':65}",
     &told.ejection.consecutive_gateway_errors, 65},
    {"'outlierDetection':{'interval':'166ms'}", &told.ejection.interval_ms, 166},
    {"'outlierDetection':{'baseEjectionTime':'67ms'}", &told.ejection.base_ms, 67},
    {"'outlierDetection':{'maxEjectionPercent':68}", &told.ejection.max_percent, 68},
    {"'outlierDetection':{'minHealthPercent':69}", &told.ejection.min_health_percent, 69},
    {"'retryBudget':{'percent':70}", &told.budget.percent, 70},
    {"'retryBudget':{'minRetryConcurrency':71}", &told.budget.min_concurrency, 71},
    {"'circuitBreaker':{'consecutiveFailures':72}", &told.breaker.consecutive_failures, 72},
    {"'circuitBreaker':{'failureRatePercent':73}", &told.breaker.failure_rate_percent, 73},
    {"'circuitBreaker':{'slowCallRatePercent':74}", &told.breaker.slow_call_rate_percent, 74},
    {"'circuitBreaker':{'slowCallDuration':'75ms'}", &told.breaker.slow_call_ms, 75},
    {"'circuitBreaker':{'window':'1076ms'}", &told.breaker.window_ms, 1076},
    {"'circuitBreaker':{'minimumCalls':77}", &told.breaker.minimum_calls, 77},
    {"'circuitBreaker':{'openDuration':'78ms'}", &told.breaker.open_ms, 78},
    {"'circuitBreaker':{'halfOpenCalls':79}", &told.breaker.half_open_calls, 79},
};

#define N_ROWS (sizeof rows / sizeof rows[0])

static_assert(N_ROWS == MESH__N_DESTINATION_VALUES, "one row for each value");

static struct governed governed;

static void call(void)
{
    CHECK_INT(governed_call(&governed, "Buy"), MESH_OK);
    told.requests = governed.client->requests.max;
    told.pending = governed.client->pending.max;
    told.workers = governed.client->workers.max;
}

TEST(a_change_of_any_value_reaches_who_enforces_it_and_so_does_its_end)
{
    char folder[] = "/tmp/mesh-policy-XXXXXX";
    char file[64];
    struct actor actor;

    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(file, sizeof file, "%s/policy.json", folder);
    actor_start(&actor, ACTS({0}), 0);
    governed_start(&governed,
                   &(struct governed_options){.target = actor_target(&actor), .file = file});
    call();
    for (size_t i = 0; i < N_ROWS; i++) {
        CHECK(*rows[i].told != rows[i].value);
        governed_change(&governed, NULL, rows[i].destination);
        call();
        CHECK_INT(*rows[i].told, rows[i].value);
        governed_change(&governed, NULL, NULL);
        call();
        CHECK(*rows[i].told != rows[i].value);
    }
    governed_done(&governed);
    actor_stop(&actor);
    CHECK(rmdir(folder) == 0);
}

TEST_MAIN(NULL, NULL)
