#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An order by grpcurl alone: list, describe and calls by reflection, health, rich errors.
set -euo pipefail
g() { "$GRPCURL" -plaintext -max-time 10 "$@"; }
fail() { echo "FAILED: $*"; exit 1; }
has() { grep -qF -- "$2" <<<"$1" || fail "no $2 in: $1"; }
uuid() { cat /proc/sys/kernel/random/uuid; }

has "$(g "$ADDRESS_ORDER" list)" fashion.order.v1.OrderService
has "$(g "$ADDRESS_ORDER" list)" grpc.health.v1.Health
has "$(g "$ADDRESS_ORDER" list fashion.order.v1.OrderService)" fashion.order.v1.OrderService.PlaceOrder
has "$(g "$ADDRESS_ORDER" describe fashion.order.v1.OrderService)" 'rpc PlaceOrder ( .fashion.order.v1.PlaceOrderRequest )'
has "$(g "$ADDRESS_ORDER" describe fashion.order.v1.PlaceOrderRequest)" 'optional int64 expected_total_krw = 6'
has "$(g "$ADDRESS_ORDER" describe fashion.order.v1.OrderService.PlaceOrder)" 'idempotency_level = IDEMPOTENT'
has "$(g -d '{"service": "fashion.order.v1.OrderService"}' "$ADDRESS_ORDER" grpc.health.v1.Health/Check)" SERVING

request=$(uuid)
article='"code": "9000", "size": "S"'
registered=$(g -d "{\"request_id\": \"$request\", $article, \"name\": \"Shirt\", \"unit_price_krw\": 50000, \"stock\": 10}" \
    "$ADDRESS_PRODUCT" fashion.product.v1.ProductService/RegisterProduct)
has "$registered" '"stock": "10"'
[ "$registered" = "$(g -d "{\"request_id\": \"$request\", $article, \"name\": \"Shirt\", \"unit_price_krw\": 50000, \"stock\": 10}" \
    "$ADDRESS_PRODUCT" fashion.product.v1.ProductService/RegisterProduct)" ] || fail "a repeat answers something else"

place() { # REQUEST_ID QUANTITY
    g -format-error -d "{\"request_id\": \"$1\", \"customer_id\": \"c-1\", \"product_code\": \"9000\", \"size\": \"S\", \"quantity\": $2}" \
        "$ADDRESS_ORDER" fashion.order.v1.OrderService/PlaceOrder 2>&1
}
placed=$(place "$(uuid)" 2)
has "$placed" ORDER_STATUS_PLACED
order_id=$(sed -n 's/.*"orderId": "\([^"]*\)".*/\1/p' <<<"$placed")

refused=$(place "$(uuid)" 1000) && fail "1000 of 10 were sold"
has "$refused" '"code": 9'
has "$refused" INSUFFICIENT_STOCK
invalid=$(place not-a-uuid 0) && fail "an invalid request was taken"
has "$invalid" '"code": 3'
has "$invalid" request_id
has "$invalid" quantity

for _ in $(seq 100); do
    row=$(g -d "{\"order_id\": \"$order_id\"}" "$ADDRESS_CUSTOMERCENTER" fashion.customercenter.v1.DashboardService/GetDashboard 2>&1) || true
    grep -q ORDER_STATUS_SHIPPED <<<"$row" && grep -q PAYMENT_STATUS_PAID <<<"$row" && break
    sleep 0.05
done
has "$row" ORDER_STATUS_SHIPPED
has "$row" PAYMENT_STATUS_PAID
has "$row" '"deliveryId"'
has "$(g -d "{\"order_id\": \"$order_id\"}" "$ADDRESS_PAYMENT" fashion.payment.v1.PaymentService/GetPayment)" '"amountKrw": "100000"'
missing=$(g -d "{\"order_id\": \"$(uuid)\"}" "$ADDRESS_ORDER" fashion.order.v1.OrderService/GetOrder 2>&1) && fail "an unknown order was found"
has "$missing" NotFound
unknown=$(g -d '{}' "$ADDRESS_ORDER" fashion.order.v1.OrderService/Nothing 2>&1) && fail "an unknown method answered"
echo "an order by grpcurl: fine"
