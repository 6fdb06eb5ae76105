#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run as a user sees it: start, second start, an order, kill -9 of a service, stop, state kept, --fresh, --stop.
set -euo pipefail
cd "$(dirname "$0")/../.."
CMESH_STATE=$(mktemp -d /tmp/cmesh-run.XXXXXX)
chmod 755 "$CMESH_STATE"
CMESH_PORT_BASE=$(python3 -c 'import random; print(random.randrange(20000, 30000, 400))')
export CMESH_STATE CMESH_PORT_BASE
grpcurl=${GRPCURL:-$(ls "${XDG_CACHE_HOME:-$HOME/.cache}"/cmesh/tools/*/grpcurl | head -1)}
product=127.0.0.1:$((CMESH_PORT_BASE + 1))
order=127.0.0.1:$((CMESH_PORT_BASE + 2))
out=$CMESH_STATE/out
end() {
    local code=$?
    ./run --stop >/dev/null 2>&1 || true
    [ $code = 0 ] || cat "$out"
    rm -rf "$CMESH_STATE"
    exit $code
}
trap end EXIT
fail() { echo "FAILED: $*"; exit 1; }
wait_for() { # TEXT: in what ./run prints
    for _ in $(seq 3000); do
        grep -qF -- "$1" "$out" && return 0
        kill -0 "$run" 2>/dev/null || fail "./run ended before it said: $1"
        sleep 0.1
    done
    fail "./run did not say: $1"
}
start() { ./run "$@" >"$out" 2>&1 & run=$!; wait_for "Ctrl-C stops everything"; grep -F "Serving after" "$out"; }
stop() { kill -TERM "$run"; wait "$run" || fail "./run ended with $?"; }
articles() { "$grpcurl" -plaintext "$product" fashion.product.v1.ProductService/ListProducts | grep -c '"productId"'; }
place() {
    "$grpcurl" -plaintext -d "{\"request_id\": \"$(cat /proc/sys/kernel/random/uuid)\", \"customer_id\": \"c-1\", \"product_code\": \"4000\", \"size\": \"S\", \"quantity\": 1}" \
        "$order" fashion.order.v1.OrderService/PlaceOrder
}

start
second=$(./run 2>&1) && fail "a second ./run started"
[ "$(wc -l <<<"$second")" = 1 ] && grep -q "is running here already" <<<"$second" || fail "a second ./run said: $second"
[ "$(articles)" = 6 ] || fail "the sample catalogue has $(articles) articles"
place | grep -q ORDER_STATUS_PLACED || fail "no order"
kill -9 "$(cat "$CMESH_STATE/order.pid")"
wait_for "order has ended; starting it again"
for _ in $(seq 100); do place >/dev/null 2>&1 && break; sleep 0.1; done
place | grep -q ORDER_STATUS_PLACED || fail "no order after the kill"
stop
pgrep -f "$CMESH_STATE" >/dev/null && fail "something is still running: $(pgrep -af "$CMESH_STATE")"

start # state is kept, and the catalogue is not registered twice
[ "$(articles)" = 6 ] || fail "after a restart there are $(articles) articles"
"$grpcurl" -plaintext "$order" fashion.order.v1.OrderService/ListOrders | grep -q ORDER_STATUS || fail "the orders are gone"
kill -9 "$run" # what a killed ./run leaves is ended by --stop
wait "$run" 2>/dev/null || true
./run --stop | grep -q Stopped || fail "--stop said nothing"
pgrep -f "$CMESH_STATE" >/dev/null && fail "after --stop there is still: $(pgrep -af "$CMESH_STATE")"

start --fresh
"$grpcurl" -plaintext "$order" fashion.order.v1.OrderService/ListOrders | grep -q ORDER_STATUS && fail "--fresh kept orders"
[ "$(articles)" = 6 ] || fail "--fresh has no catalogue"
stop
echo "./run: fine"
