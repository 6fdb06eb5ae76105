/* SPDX-License-Identifier: Apache-2.0 */
/* GetOrder and ListOrders. */
#include "order_test.h"

#include <stdio.h>

static enum mesh_status get(struct mesh_ctx *ctx, const char *order_id,
                            Order__GetOrderResponse *ret_response)
{
    Order__GetOrderRequest request = ORDER__GET_ORDER_REQUEST__INIT;

    order__get_order_response__init(ret_response);
    request.order_id = order_id;
    return rpc_get_order(ctx, &service, &request, ret_response);
}

TEST(an_order_is_found_in_every_status)
{
    begin();
    for (int status = STATUS(RECEIVED); status <= N_STATUSES; status++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        struct order *order = given(ctx, (Order__OrderStatus)status);
        Order__GetOrderResponse response;

        CHECK_INT(get(ctx, order->order_id, &response), MESH_OK);
        CHECK_TEXT(response.order->order_id, order->order_id);
        CHECK_INT(response.order->status, status);
        CHECK_INT(response.order->total_krw, status == STATUS(RECEIVED) ? 0 : 100000);
        CHECK_INT(response.order->payment_id[0] != '\0',
                  status >= STATUS(PLACED) && status <= STATUS(CANCELLED));
        CHECK_TEXT(response.order->reject_reason,
                   status == STATUS(REJECTED) ? "PAYMENT_DECLINED" : "");
        CHECK_INT(response.order->pay_before != NULL, status == STATUS(PAYMENT_PENDING));
    }
}

TEST(an_unknown_order_is_not_found)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__GetOrderResponse response;

    begin();
    CHECK_INT(get(ctx, mesh_new_id(ctx), &response), MESH_NOT_FOUND);
    CHECK(response.order == NULL);
}

static enum mesh_status list(struct mesh_ctx *ctx, int32_t page_size, const char *token,
                             const char *customer_id, Order__ListOrdersResponse *ret_response)
{
    Order__ListOrdersRequest request = ORDER__LIST_ORDERS_REQUEST__INIT;

    order__list_orders_response__init(ret_response);
    request.page_size = page_size;
    request.page_token = token;
    request.customer_id = customer_id;
    return rpc_list_orders(ctx, &service, &request, ret_response);
}

/* n orders, of customers c0, c1 and c2 in turn. */
static void given_orders(int n)
{
    begin();
    for (int i = 0; i < n; i++) {
        cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
        Order__PlaceOrderRequest *request = request_of(ctx);

        request->customer_id = mesh_printf(ctx, "c%d", i % 3);
        CHECK_INT(try_place(ctx, request), MESH_OK);
    }
}

/* Reads all pages; every order is there once, newest first, and of that customer. */
static void check_pages(int32_t page_size, const char *customer_id, int n_wanted)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__ListOrdersResponse response;
    const char *token = "";
    const char *last = "g"; /* beyond every id */
    int n = 0;

    do {
        CHECK_INT(list(ctx, page_size, token, customer_id, &response), MESH_OK);
        CHECK(response.n_orders > 0 && response.n_orders <= (size_t)page_size);
        for (size_t i = 0; i < response.n_orders; i++) {
            CHECK(strcmp(response.orders[i]->order_id, last) < 0);
            last = response.orders[i]->order_id;
            CHECK(customer_id[0] == '\0' ||
                  strcmp(response.orders[i]->customer_id, customer_id) == 0);
            n++;
        }
        token = response.next_page_token;
        CHECK(token[0] == '\0' || response.n_orders == (size_t)page_size);
    } while (token[0] != '\0');
    CHECK_INT(n, n_wanted);
}

TEST(pages_show_every_order_once_newest_first)
{
    given_orders(12);
    check_pages(5, "", 12);
    check_pages(4, "", 12); /* the last page is full */
    check_pages(1, "", 12);
    check_pages(200, "", 12);
}

TEST(a_customer_sees_its_own_orders)
{
    given_orders(12);
    check_pages(3, "c1", 4);
    check_pages(2, "c2", 4);
    check_pages(10, "c0", 4);
}

TEST(an_order_that_comes_between_two_pages_changes_nothing_on_the_later_one)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__ListOrdersResponse first;
    Order__ListOrdersResponse second;

    given_orders(4);
    CHECK_INT(list(ctx, 2, "", "", &first), MESH_OK);
    CHECK_INT(try_place(ctx, request_of(ctx)), MESH_OK);
    CHECK_INT(list(ctx, 2, first.next_page_token, "", &second), MESH_OK);
    CHECK_INT(second.n_orders, 2);
    CHECK(strcmp(second.orders[0]->order_id, first.orders[1]->order_id) < 0);
    CHECK_TEXT(second.next_page_token, "");
}

TEST(a_page_holds_50_orders_unless_asked_and_200_at_most)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__ListOrdersResponse response;

    given_orders(201);
    CHECK_INT(list(ctx, 0, "", "", &response), MESH_OK);
    CHECK_INT(response.n_orders, 50);
    CHECK_INT(list(ctx, 1000, "", "", &response), MESH_OK);
    CHECK_INT(response.n_orders, 200);
    CHECK(response.next_page_token[0] != '\0');
}

TEST(without_orders_the_page_is_empty_and_the_last)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__ListOrdersResponse response;

    given_orders(3);
    CHECK_INT(list(ctx, 0, "", "nobody", &response), MESH_OK);
    CHECK_INT(response.n_orders, 0);
    CHECK_TEXT(response.next_page_token, "");
}

TEST(a_token_that_is_none_is_refused)
{
    cleanup_ctx struct mesh_ctx *ctx = fixture_ctx();
    Order__ListOrdersResponse response;

    begin();
    CHECK_INT(list(ctx, 0, "' or true --", "", &response), MESH_INVALID_ARGUMENT);
}

TEST_MAIN(setup, teardown)
