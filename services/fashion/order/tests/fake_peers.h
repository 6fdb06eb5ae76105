/* SPDX-License-Identifier: Apache-2.0 */
/* The peers of the order service, linked in place of their stubs: what they answer is up to the
 * test, what they were asked is kept. */
#ifndef FAKE_PEERS_H
#define FAKE_PEERS_H

#include "mesh/ctx.h"
#include "mesh/id.h"

enum fake_rpc { FAKE_RESERVE, FAKE_PAY, FAKE_WITHDRAW, FAKE_N };

#define FAKE_UNIT_PRICE_KRW 50000

/* Everybody answers OK; nothing was asked. */
void fake_reset(void);
/* From now on; reason may be NULL. */
void fake_answer(enum fake_rpc rpc, enum mesh_status status, const char *reason);
/* Runs hook(arg) inside the next call, after it was received and before it is answered. */
void fake_during(enum fake_rpc rpc, void (*hook)(void *arg), void *arg);
/* Product and payment lose calls and answers at random; payment decides once about its one order.
 */
void fake_at_random(uint32_t seed);

/* What a peer was asked, last of all; n is how often. A call that the real stub would not send is
 * not counted. */
struct fake_asked {
    int n;
    char order_id[MESH_UUID_SIZE];
    char product_code[65];
    char size[17];
    int64_t quantity;
    bool has_expected_total;
    int64_t expected_total_krw;
    int64_t amount_krw;
    int64_t left_ms; /* of the call's deadline */
};
struct fake_asked fake_asked(enum fake_rpc rpc);
/* The order that payment was asked for as number i, from 0; it keeps the first 256. */
const char *fake_paid_order(int i);
/* How many payments were under way together at most, of those that were started and waited for. */
int fake_most_at_once(void);

#endif
