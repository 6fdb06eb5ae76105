/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/fields.h"

#include "core/parse.h"
#include "core/text.h"
#include "mesh/status.h"
#include "policy/duration.h"
#include "policy/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define HOUR_MS 3600000
#define MILLION 1000000
#define TEXT_MAX 128

#define RETRY_ON                                                                                   \
    "connect-failure|refused-stream|reset|cancelled|deadline-exceeded|internal|resource-exhausted" \
    "|unavailable|reset-before-request"

static const struct mesh__field route_fields[] = {
    {.path = "timeout",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .standard = 2000,
     .zero = "none",
     .istio = "none",
     .meaning = "Longest time of a call, all attempts and pauses together."},
    {.path = "retries.attempts",
     .kind = MESH__FIELD_WHOLE,
     .max = 10,
     .standard = 2,
     .proxyless_max = 4,
     .meaning = "How often a call is tried again after its first attempt."},
    {.path = "retries.perTryTimeout",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .zero = "none",
     .not_proxyless = true,
     .meaning = "Longest time of one attempt; what it cuts is a reset."},
    {.path = "retries.retryOn",
     .kind = MESH__FIELD_SET,
     .standard = MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_REFUSED_STREAM | MESH__RETRY_RESET |
                 MESH__RETRY_CANCELLED | MESH__RETRY_UNAVAILABLE,
     .choices = RETRY_ON,
     .istio = "connect-failure, refused-stream, unavailable, cancelled",
     .meaning = "Failures that are tried again."},
    {.path = "retries.backoff",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = 10000,
     .standard = 25,
     .meaning = "Base of the pause before a retry: doubled each time, at most tenfold, full "
                "jitter."},
    {.path = "hedging.delay",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .zero = "no hedging",
     .istio = "(not there)",
     .meaning = "How long an attempt may stay without an answer before another one is started.",
     .required = true,
     .route_only = true},
    {.path = "hedging.maxAttempts",
     .kind = MESH__FIELD_WHOLE,
     .min = 2,
     .max = 5,
     .standard = 2,
     .istio = "(not there)",
     .meaning = "Attempts at the same time, with the first.",
     .route_only = true},
    {.path = "fault.delay.fixedDelay",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .zero = "no delay",
     .meaning = "An attempt waits so long before it is sent.",
     .required = true,
     .route_only = true},
    {.path = "fault.delay.percentage.value",
     .kind = MESH__FIELD_PERCENTAGE,
     .max = 100,
     .standard = MILLION,
     .meaning = "Attempts that are delayed, of a hundred.",
     .route_only = true},
    {.path = "fault.abort.grpcStatus",
     .kind = MESH__FIELD_STATUS,
     .zero = "no abort",
     .meaning = "An attempt ends with this code and is not sent.",
     .required = true,
     .route_only = true},
    {.path = "fault.abort.percentage.value",
     .kind = MESH__FIELD_PERCENTAGE,
     .max = 100,
     .standard = MILLION,
     .meaning = "Attempts that are aborted, of a hundred.",
     .route_only = true},
    {.path = "fault.header.exact",
     .kind = MESH__FIELD_TEXT,
     .zero = "every call",
     .istio = "(match of the route)",
     .meaning = "Faults are only for calls that carry x-mesh-fault with this value.",
     .required = true,
     .route_only = true},
};

static const struct mesh__field destination_fields[] = {
    {.path = "loadBalancer",
     .kind = MESH__FIELD_CHOICE,
     .standard = MESH__LEAST_REQUEST,
     .choices = "LEAST_REQUEST|ROUND_ROBIN",
     .proxyless_only = "ROUND_ROBIN",
     .meaning = "How an attempt finds its endpoint."},
    {.path = "connectionPool.http.http2MaxRequests",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1000000,
     .standard = 1024,
     .istio = "4294967295",
     .meaning = "Attempts in flight; more are refused."},
    {.path = "connectionPool.http.http1MaxPendingRequests",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1000000,
     .standard = 1024,
     .istio = "4294967295",
     .meaning = "Calls that wait for an endpoint; more are refused."},
    {.path = "workerLimit",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1024,
     .zero = "half of the workers",
     .istio = "(not there)",
     .meaning = "Workers that may wait for this destination; more calls are refused."},
    {.path = "outlierDetection.consecutive5xxErrors",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1000,
     .standard = 5,
     .zero = "off",
     .not_proxyless = true,
     .meaning = "Errors in a row that eject an endpoint: UNKNOWN, INTERNAL, DATA_LOSS, "
                "UNIMPLEMENTED, or of the transport."},
    {.path = "outlierDetection.consecutiveGatewayErrors",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1000,
     .standard = 5,
     .zero = "off",
     .istio = "off",
     .not_proxyless = true,
     .meaning = "The same for UNAVAILABLE, DEADLINE_EXCEEDED, or errors of the transport."},
    {.path = "outlierDetection.interval",
     .kind = MESH__FIELD_DURATION,
     .min = 100,
     .max = HOUR_MS,
     .standard = 10000,
     .not_proxyless = true,
     .meaning = "Time between two looks at who may come back."},
    {.path = "outlierDetection.baseEjectionTime",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .standard = 30000,
     .not_proxyless = true,
     .meaning = "Length of the first ejection; each further one is longer by as much."},
    {.path = "outlierDetection.maxEjectionPercent",
     .kind = MESH__FIELD_WHOLE,
     .max = 100,
     .standard = 50,
     .istio = "10",
     .not_proxyless = true,
     .meaning = "Endpoints that may be ejected at the same time, of a hundred."},
    {.path = "outlierDetection.minHealthPercent",
     .kind = MESH__FIELD_WHOLE,
     .max = 100,
     .not_proxyless = true,
     .meaning = "With fewer endpoints left than this, of a hundred, all are used."},
    {.path = "retryBudget.percent",
     .kind = MESH__FIELD_WHOLE,
     .max = 100,
     .standard = 20,
     .not_proxyless = true,
     .meaning = "Retries and hedges in flight for a hundred live calls."},
    {.path = "retryBudget.minRetryConcurrency",
     .kind = MESH__FIELD_WHOLE,
     .max = 1000,
     .standard = 3,
     .not_proxyless = true,
     .meaning = "Retries and hedges in flight that are always allowed."},
    {.path = "circuitBreaker.consecutiveFailures",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 1000,
     .standard = 5,
     .zero = "off",
     .istio = "(not there)",
     .meaning = "Failed calls of a method in a row that open its breaker."},
    {.path = "circuitBreaker.failureRatePercent",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 100,
     .standard = 50,
     .zero = "off",
     .istio = "(not there)",
     .meaning = "Failed calls of a hundred in the window that open it."},
    {.path = "circuitBreaker.slowCallRatePercent",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 100,
     .standard = 50,
     .zero = "off",
     .istio = "(not there)",
     .meaning = "Slow calls of a hundred in the window that open it."},
    {.path = "circuitBreaker.slowCallDuration",
     .kind = MESH__FIELD_DURATION,
     .min = 1,
     .max = HOUR_MS,
     .zero = "no call is slow",
     .istio = "(not there)",
     .meaning = "A call that takes longer is slow."},
    {.path = "circuitBreaker.window",
     .kind = MESH__FIELD_DURATION,
     .min = 1000,
     .max = 600000,
     .standard = 10000,
     .istio = "(not there)",
     .meaning = "Time that the rates are taken over."},
    {.path = "circuitBreaker.minimumCalls",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 100000,
     .standard = 20,
     .istio = "(not there)",
     .meaning = "With fewer calls in the window no rate opens it."},
    {.path = "circuitBreaker.openDuration",
     .kind = MESH__FIELD_DURATION,
     .min = 10,
     .max = 600000,
     .standard = 1000,
     .istio = "(not there)",
     .meaning = "Time that it stays open before it lets probes through."},
    {.path = "circuitBreaker.halfOpenCalls",
     .kind = MESH__FIELD_WHOLE,
     .min = 1,
     .max = 100,
     .standard = 3,
     .istio = "(not there)",
     .meaning = "Probes that must succeed to close it."},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

const struct mesh__fields mesh__route_fields = {route_fields, COUNT(route_fields)};
const struct mesh__fields mesh__destination_fields = {destination_fields,
                                                      COUNT(destination_fields)};

/* A value is found by its place in the table. */
static_assert(sizeof(const char *) == sizeof(int64_t), "a text is as large as a number");
static_assert(COUNT(route_fields) == MESH__N_ROUTE_VALUES, "one row for each value");
static_assert(COUNT(destination_fields) == MESH__N_DESTINATION_VALUES, "one row for each value");

int64_t mesh__field_get(const void *values, size_t i)
{
    int64_t value;

    memcpy(&value, (const char *)values + i * sizeof(value), sizeof(value));
    return value;
}

void mesh__field_set(void *values, size_t i, int64_t value)
{
    memcpy((char *)values + i * sizeof(value), &value, sizeof(value));
}

const char *mesh__field_member(const struct mesh__field *field, const char *prefix)
{
    size_t size = strlen(prefix);

    if (size == 0) {
        return field->path;
    }
    return strncmp(field->path, prefix, size) == 0 && field->path[size] == '.'
               ? field->path + size + 1
               : NULL;
}

/* ---- from a file ---------------------------------------------------------------------------- */

static bool parse_duration(const struct mesh__json *json, int64_t *ret_value)
{
    return json->kind == MESH__JSON_STRING && mesh__duration_parse(json->text, ret_value);
}

/* "2.0" and "1e3" are whole numbers, too: what renders a file may write large ones so. */
static bool parse_whole(const struct mesh__json *json, int64_t *ret_value)
{
    if (json->kind != MESH__JSON_NUMBER || fabs(json->number) > INT32_MAX ||
        json->number != trunc(json->number)) {
        return false;
    }
    *ret_value = (int64_t)json->number;
    return true;
}

static bool parse_percentage(const struct mesh__field *field, const struct mesh__json *json,
                             int64_t *ret_value)
{
    if (json->kind != MESH__JSON_NUMBER || json->number < (double)field->min ||
        json->number > (double)field->max) {
        return false;
    }
    *ret_value = (int64_t)lround(json->number * (MILLION / 100.0));
    return true;
}

static bool parse_choice(const struct mesh__field *field, const struct mesh__json *json,
                         int64_t *ret_value)
{
    int choice =
        json->kind == MESH__JSON_STRING ? mesh__find_choice(field->choices, json->text) : -1;

    *ret_value = choice;
    return choice >= 0;
}

/* The alias is the last word. */
static int64_t bits_of(int choice)
{
    int64_t bit = INT64_C(1) << choice;

    return bit <= MESH__RETRY_UNAVAILABLE
               ? bit
               : MESH__RETRY_CONNECT_FAILURE | MESH__RETRY_REFUSED_STREAM;
}

static bool parse_set(const struct mesh__field *field, const struct mesh__json *json,
                      int64_t *ret_value)
{
    int64_t seen = 0;
    int64_t value = 0;

    if (json->kind != MESH__JSON_ARRAY || json->first == NULL) {
        return false;
    }
    for (const struct mesh__json *word = json->first; word != NULL; word = word->next) {
        int64_t choice;

        if (!parse_choice(field, word, &choice) || (seen & INT64_C(1) << choice) != 0) {
            return false;
        }
        seen |= INT64_C(1) << choice;
        value |= bits_of((int)choice);
    }
    *ret_value = value;
    return true;
}

static bool parse_status(const struct mesh__json *json, int64_t *ret_value)
{
    if (json->kind != MESH__JSON_STRING) {
        return false;
    }
    for (int64_t i = MESH_CANCELLED; i <= MESH_UNAUTHENTICATED; i++) {
        if (strcmp(mesh_status_name((enum mesh_status)i), json->text) == 0) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

/* What a header can carry, and JSON without escapes. */
static bool parse_text(const struct mesh__json *json, int64_t *ret_value)
{
    size_t size = json->kind == MESH__JSON_STRING ? strlen(json->text) : 0;

    for (size_t i = 0; i < size; i++) {
        if (json->text[i] <= ' ' || json->text[i] > '~' || strchr("\"\\", json->text[i]) != NULL) {
            return false;
        }
    }
    if (size == 0 || size > TEXT_MAX) {
        return false;
    }
    memcpy(ret_value, &json->text, sizeof(json->text));
    return true;
}

bool mesh__field_parse(const struct mesh__field *field, const struct mesh__json *json,
                       int64_t *ret_value)
{
    int64_t value = 0;

    switch (field->kind) {
    case MESH__FIELD_DURATION:
    case MESH__FIELD_WHOLE:
        if (!(field->kind == MESH__FIELD_WHOLE ? parse_whole(json, &value)
                                               : parse_duration(json, &value)) ||
            value > field->max || (value < field->min && (value != 0 || field->zero == NULL))) {
            return false;
        }
        *ret_value = value;
        return true;
    case MESH__FIELD_PERCENTAGE:
        return parse_percentage(field, json, ret_value);
    case MESH__FIELD_CHOICE:
        return parse_choice(field, json, ret_value);
    case MESH__FIELD_SET:
        return parse_set(field, json, ret_value);
    case MESH__FIELD_STATUS:
        return parse_status(json, ret_value);
    case MESH__FIELD_TEXT:
        return parse_text(json, ret_value);
    }
    return false;
}

/* ---- to people ------------------------------------------------------------------------------ */

void mesh__field_expected(const struct mesh__field *field, char *ret_text, size_t size)
{
    char min[MESH__DURATION_SIZE];
    char max[MESH__DURATION_SIZE];
    char choices[256];

    switch (field->kind) {
    case MESH__FIELD_DURATION:
        (void)snprintf(ret_text, size, "a duration from %s to %s%s",
                       mesh__duration_print(field->min, min), mesh__duration_print(field->max, max),
                       field->zero != NULL ? ", or \"0s\"" : "");
        break;
    case MESH__FIELD_WHOLE:
        (void)snprintf(ret_text, size, "a whole number from %" PRId64 " to %" PRId64,
                       field->zero != NULL ? 0 : field->min, field->max);
        break;
    case MESH__FIELD_PERCENTAGE:
        (void)snprintf(ret_text, size, "a number from %" PRId64 " to %" PRId64, field->min,
                       field->max);
        break;
    case MESH__FIELD_CHOICE:
        mesh__list_choices(field->choices, choices, sizeof(choices));
        (void)snprintf(ret_text, size, "%s", choices);
        break;
    case MESH__FIELD_SET:
        mesh__list_choices(field->choices, choices, sizeof(choices));
        (void)snprintf(ret_text, size, "an array of %s, each once", choices);
        break;
    case MESH__FIELD_STATUS:
        (void)snprintf(ret_text, size, "the name of a gRPC code such as UNAVAILABLE");
        break;
    case MESH__FIELD_TEXT:
        (void)snprintf(ret_text, size,
                       "a text of 1 to %d visible characters of ASCII without \" and \\", TEXT_MAX);
        break;
    }
}

static void print_choice(const char *choices, int64_t which, struct mesh__text *text)
{
    for (int64_t i = 0; i < which; i++) {
        choices += strcspn(choices, "|") + 1;
    }
    mesh__text_add(text, choices, strcspn(choices, "|"));
}

static void print_set(const char *choices, int64_t bits, struct mesh__text *text)
{
    const char *before = "";

    for (int i = 0; INT64_C(1) << i <= MESH__RETRY_UNAVAILABLE; i++) {
        if ((bits & INT64_C(1) << i) != 0) {
            mesh__text_adds(text, before);
            print_choice(choices, i, text);
            before = ", ";
        }
    }
}

void mesh__field_print(const struct mesh__field *field, int64_t value, bool meaning,
                       struct mesh__text *text)
{
    char duration[MESH__DURATION_SIZE];

    if (value == 0 && field->zero != NULL && meaning) {
        mesh__text_adds(text, field->zero);
        return;
    }
    switch (field->kind) {
    case MESH__FIELD_DURATION:
        mesh__text_adds(text, mesh__duration_print(value, duration));
        break;
    case MESH__FIELD_WHOLE:
        mesh__text_printf(text, "%" PRId64, value);
        break;
    case MESH__FIELD_PERCENTAGE:
        mesh__text_printf(text, "%g", (double)value / (MILLION / 100.0));
        break;
    case MESH__FIELD_CHOICE:
        print_choice(field->choices, value, text);
        break;
    case MESH__FIELD_SET:
        print_set(field->choices, value, text);
        break;
    case MESH__FIELD_STATUS:
        mesh__text_adds(text, mesh_status_name((enum mesh_status)value));
        break;
    case MESH__FIELD_TEXT:
        mesh__text_adds(text, (const char *)(intptr_t)value);
        break;
    }
}
