#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# E2E-FS once more, by grpcurl alone: steps 1 to 5 and 7 to 12 (step 6 needs the breaker). Run by with_store.py
# with ORDER_PAY_WINDOW_MS=3000 ORDER_PAY_RETRY_MS=300.
set -euo pipefail
uuid() { cat /proc/sys/kernel/random/uuid; }
fail() { echo "FAILED: $*"; exit 1; }
# call SERVICE METHOD JSON: a call of a service's only gRPC service; what it prints is left in $out.
declare -A full=([product]=fashion.product.v1.ProductService [order]=fashion.order.v1.OrderService
    [payment]=fashion.payment.v1.PaymentService [delivery]=fashion.delivery.v1.DeliveryService
    [customercenter]=fashion.customercenter.v1.DashboardService)
call() {
    local address=ADDRESS_${1^^}
    out=$("$GRPCURL" -plaintext -max-time 10 -emit-defaults -d "$3" "${!address}" "${full[$1]}/$2" 2>&1)
}
has() { grep -qF -- "$1" <<<"$out"; }
# shows SERVICE METHOD JSON TEXT...: at once
shows() {
    call "$1" "$2" "$3" || fail "$2: $out"
    local text
    for text in "${@:4}"; do has "$text" || fail "$2 shows no $text: $out"; done
}
# eventually SERVICE METHOD JSON TEXT...: within 8 s
eventually() {
    local i text missing
    for i in $(seq 160); do
        missing=
        call "$1" "$2" "$3" || missing=$out
        for text in "${@:4}"; do has "$text" || missing=$text; done
        [ -z "$missing" ] && return 0
        sleep 0.05
    done
    fail "$2 never showed $missing: $out"
}
refused() { # CODE SERVICE METHOD JSON [TEXT]
    call "$2" "$3" "$4" && fail "$3 was not refused: $out"
    has "Code: $1" || fail "$3 is not $1: $out"
    [ -z "${5:-}" ] || has "$5" || fail "$3 shows no $5: $out"
}
field() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" <<<"$out" | head -1; }
place() { # QUANTITY: the order's id is left in $order
    call order PlaceOrder "{\"request_id\": \"$(uuid)\", \"customer_id\": \"c-1\", \"product_code\": \"4000\", \"size\": \"S\", \"quantity\": $1}" ||
        return 1
    order=$(field orderId)
}
of() { echo "{\"order_id\": \"$1\"}"; }
started=()
end() { [ ${#started[@]} = 0 ] || { kill -TERM "${started[@]}" 2>/dev/null || true; wait; }; }
trap end EXIT
stop() { # SERVICE: the process that with_store.py started
    local pid=PID_${1^^}
    kill -TERM "${!pid}"
    while [ -d "/proc/${!pid}" ] && ! grep -q '^State:.Z' "/proc/${!pid}/status" 2>/dev/null; do sleep 0.02; done
}
start() { # SERVICE
    local start=START_${1^^}
    eval "exec ${!start}" >>"${E2E_LOG:-/dev/null}" 2>&1 &
    started+=($!)
}

# 1. MD: RegisterProduct
shows product RegisterProduct "{\"request_id\": \"$(uuid)\", \"code\": \"4000\", \"name\": \"Shirt\", \"size\": \"S\", \"unit_price_krw\": 50000, \"stock\": 100}" '"stock": "100"'
product="{\"product_id\": \"$(field productId)\"}"
shows product GetProduct "$product" '"stock": "100"'

# 2. an order takes stock and money
place 2 || fail "$out"
first=$order
has ORDER_STATUS_PLACED || fail "$out"
shows product GetProduct "$product" '"stock": "98"'
shows payment GetPayment "$(of "$first")" PAYMENT_STATUS_PAID '"amountKrw": "100000"'

# 3. the delivery starts
eventually delivery GetDelivery "$(of "$first")" DELIVERY_STATUS_STARTED
delivery_id=$(field deliveryId)
eventually order GetOrder "$(of "$first")" ORDER_STATUS_SHIPPED
eventually customercenter GetDashboard "$(of "$first")" ORDER_STATUS_SHIPPED PAYMENT_STATUS_PAID '"quantity": "2"' "$delivery_id"

# 4. too much is refused
place 1000 && fail "1000 of 98 were sold"
has "Code: FailedPrecondition" || fail "$out"
shows product GetProduct "$product" '"stock": "98"'

# 5. payment is stopped: the order waits, its stock is held
stop payment
place 1 || fail "$out"
pending=$order
has ORDER_STATUS_PAYMENT_PENDING && has retryAfter || fail "$out"
shows product GetProduct "$product" '"stock": "97"'
refused NotFound delivery GetDelivery "$(of "$pending")"
eventually customercenter GetDashboard "$(of "$pending")" ORDER_STATUS_PAYMENT_PENDING

# 7. one is given up after the pay window; the others are paid when payment is back
eventually order GetOrder "$(of "$pending")" ORDER_STATUS_REJECTED PAY_WINDOW_PASSED
eventually product GetProduct "$product" '"stock": "98"'
place 1 || fail "$out"
second=$order
start payment
eventually order PayOrder "$(of "$second")" '"paymentId": "0' # PLACED, or SHIPPED already
eventually order GetOrder "$(of "$second")" ORDER_STATUS_SHIPPED
place 1 || fail "$out"
eventually order GetOrder "$(of "$order")" ORDER_STATUS_SHIPPED

# 8. delivery is stopped: orders go on
stop delivery
place 1 || fail "$out"
late=$order
has ORDER_STATUS_PLACED || fail "$out"
eventually customercenter GetDashboard "$(of "$late")" ORDER_STATUS_PLACED PAYMENT_STATUS_PAID '"deliveryId": ""'

# 9. two replicas of delivery start it once
start delivery
port=$(python3 -c 'import socket; s = [socket.socket() for _ in range(2)]; [x.bind(("127.0.0.1", 0)) for x in s]; print(*[x.getsockname()[1] for x in s])')
START_DELIVERY=$(sed "s/MESH_GRPC_LISTEN=[^ ]*/MESH_GRPC_LISTEN=127.0.0.1:${port% *}/; s/MESH_HTTP_LISTEN=[^ ]*/MESH_HTTP_LISTEN=127.0.0.1:${port#* }/" <<<"$START_DELIVERY") start delivery
eventually customercenter GetDashboard "$(of "$late")" ORDER_STATUS_SHIPPED DELIVERY_STATUS_STARTED
eventually delivery ListDeliveries '{"page_size": 200}' "$late"
[ "$(grep -c "$late" <<<"$out")" = 1 ] || fail "two deliveries of one order: $out"

# 10. the MD cancels: delivery, payment, order, stock, dashboard
shows product GetProduct "$product" '"stock": "95"'
shows delivery CancelDelivery "$(of "$first")" DELIVERY_STATUS_CANCELLED
eventually payment GetPayment "$(of "$first")" PAYMENT_STATUS_CANCELLED
eventually order GetOrder "$(of "$first")" ORDER_STATUS_CANCELLED
eventually product GetProduct "$product" '"stock": "97"'
eventually customercenter GetDashboard "$(of "$first")" ORDER_STATUS_CANCELLED PAYMENT_STATUS_CANCELLED

# 11. again: no further effect; the customer cancels another
shows delivery CancelDelivery "$(of "$first")" DELIVERY_STATUS_CANCELLED
shows order CancelOrder "$(of "$second")"
eventually order GetOrder "$(of "$second")" ORDER_STATUS_CANCELLED
eventually payment GetPayment "$(of "$second")" PAYMENT_STATUS_CANCELLED
eventually product GetProduct "$product" '"stock": "98"'

# 12. the books: two orders live, two pieces gone, each paid
shows order ListOrders '{"page_size": 200}'
[ "$(grep -cE 'ORDER_STATUS_(SHIPPED|PLACED)' <<<"$out")" = 2 ] || fail "not two live orders: $out"
for id in $(grep -E '"(orderId|status)"' <<<"$out" | paste - - | grep -E 'SHIPPED|PLACED' | sed 's/.*"orderId": "\([^"]*\)".*/\1/'); do
    shows payment GetPayment "$(of "$id")" PAYMENT_STATUS_PAID
    shows delivery GetDelivery "$(of "$id")" DELIVERY_STATUS_STARTED
done
echo "E2E-FS by grpcurl: fine"
