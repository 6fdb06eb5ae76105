/* SPDX-License-Identifier: Apache-2.0 */
/* A policy.json: whatever it holds, it is refused with one sentence or can be shown in full. */
#include "core/text.h"
#include "fuzz.h"
#include "mesh/main.h"
#include "policy/policy.h"

static const struct mesh_method methods[] = {
    {.path = "/shop.v1.Shop/Buy", .name = "Buy", .idempotency = MESH_IDEMPOTENT},
    {.path = "/shop.v1.Shop/Look", .name = "Look", .idempotency = MESH_NO_SIDE_EFFECTS},
    {.path = "/shop.v1.Shop/Count", .name = "Count"},
    {.path = "/shop.v1.Shop/Watch",
     .name = "Watch",
     .kind = MESH_SERVER_STREAMING,
     .idempotency = MESH_NO_SIDE_EFFECTS}};
static const struct mesh_service_type shop = {
    .name = "shop.v1.Shop", .methods = methods, .n_methods = sizeof(methods) / sizeof(methods[0])};
static const struct mesh_service_type *const types[] = {&shop, NULL};
static const struct mesh_peer peers[] = {{.name = "shop", .timeout_ms = 500, .types = types}, {0}};

static void check(const struct mesh__policy *policy, size_t i)
{
    const struct mesh__method_policy *method =
        mesh__policy_method(mesh__policy_destination(policy, 0), &methods[i]);
    const struct mesh__route_values *values = &method->values;

    MUST(values->timeout_ms >= 0 && values->attempts >= 0 && values->attempts <= 10);
    MUST(values->timeout_ms == 0 ||
         (values->attempts + 1) * values->per_try_timeout_ms <= values->timeout_ms);
    MUST(values->attempts == 0 || methods[i].idempotency != MESH_IDEMPOTENCY_UNKNOWN);
    MUST(values->hedging_delay_ms == 0 || methods[i].idempotency == MESH_NO_SIDE_EFFECTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mesh__policy_options options = {.file = "policy.json", .peers = peers};
    struct mesh__text text = {0};
    char error[1024] = "";
    char *bytes = fuzz_text(data, size);
    struct mesh__policy *policy = mesh__policy_new(&options, bytes, size, error, sizeof(error));

    free(bytes);
    if (policy == NULL) {
        MUST(strncmp(error, "policy.json: ", 13) == 0);
        return 0;
    }
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        check(policy, i);
    }
    mesh__policy_json(policy, &text);
    mesh__policy_print(policy, &text);
    free(text.bytes);
    mesh__policy_release(policy);
    return 0;
}
