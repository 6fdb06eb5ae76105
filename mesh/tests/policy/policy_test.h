/* SPDX-License-Identifier: Apache-2.0 */
/* The peers that the tests of policies know. */
#ifndef POLICY_TEST_H
#define POLICY_TEST_H

#include "mesh/main.h"
#include "policy/policy.h"
#include "test.h"

#include <stdio.h>

enum { BUY, LOOK, COUNT_UP, WATCH, SEND, N_METHODS };

#define METHOD(called, how, level)                                                                 \
    {                                                                                              \
        .path = "/shop.v1.ShopService/" called, .name = called, .kind = how, .idempotency = level  \
    }

static const struct mesh_method shop_methods[N_METHODS] = {
    [BUY] = METHOD("Buy", MESH_UNARY, MESH_IDEMPOTENT),
    [LOOK] = METHOD("Look", MESH_UNARY, MESH_NO_SIDE_EFFECTS),
    [COUNT_UP] = METHOD("CountUp", MESH_UNARY, MESH_IDEMPOTENCY_UNKNOWN),
    [WATCH] = METHOD("Watch", MESH_SERVER_STREAMING, MESH_NO_SIDE_EFFECTS),
    [SEND] = METHOD("Send", MESH_CLIENT_STREAMING, MESH_IDEMPOTENT),
};
static const struct mesh_method bank_methods[] = {
    {.path = "/bank.v1.BankService/Pay", .name = "Pay", .idempotency = MESH_IDEMPOTENT}};
static const struct mesh_service_type shop_type = {
    .name = "shop.v1.ShopService", .methods = shop_methods, .n_methods = N_METHODS};
static const struct mesh_service_type bank_type = {
    .name = "bank.v1.BankService", .methods = bank_methods, .n_methods = 1};
static const struct mesh_service_type *const shop_types[] = {&bank_type, &shop_type, NULL};
static const struct mesh_service_type *const bank_types[] = {&bank_type, NULL};
static const struct mesh_peer peers[] = {{.name = "shop", .types = shop_types},
                                         {.name = "bank", .timeout_ms = 500, .types = bank_types},
                                         {.name = "plain"},
                                         {0}};

static char error[1024];

static inline struct mesh__policy *policy_of(const char *text)
{
    const struct mesh__policy_options options = {.file = "policy.json", .peers = peers};

    error[0] = '\0';
    return mesh__policy_new(&options, text, text != NULL ? strlen(text) : 0, error, sizeof(error));
}

/* What a file with this inside gets. */
static inline struct mesh__policy *policy_with(const char *mode, const char *inside)
{
    char text[4096];

    (void)snprintf(text, sizeof(text), "{\"schema\": \"mesh-policy/v1\", \"mode\": \"%s\"%s%s}",
                   mode, inside[0] != '\0' ? ", " : "", inside);
    return policy_of(text);
}

#endif
