#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run as a user sees it: start, second start, an order, kill -9 of whatever it started, Ctrl-C at a terminal, state kept,
# --fresh, --stop.
set -euo pipefail
cd "$(dirname "$0")/../.."
CMESH_STATE=$(mktemp -d "/tmp/cmesh run.XXXXXX")
chmod 755 "$CMESH_STATE"
# HTTP ports stay below those that the kernel gives to clients.
CMESH_PORT_BASE=$(python3 -c 'import random; print(random.randrange(10000, 20000, 400))')
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
nothing_runs() { ! pgrep -f "$CMESH_STATE" >/dev/null || fail "$1 there is still: $(pgrep -af "$CMESH_STATE")"; }
killed() { # NAME: it is started again, and orders go through
    kill -9 "$(cat "$CMESH_STATE/$1.pid")"
    wait_for "$1 has ended; starting it again"
    for _ in $(seq 100); do place >/dev/null 2>&1 && break; sleep 0.1; done
    place | grep -q ORDER_STATUS_PLACED || fail "no order after $1 was killed"
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
for name in order postgres nats; do
    killed "$name"
done
kill -STOP "$(cat "$CMESH_STATE/payment.pid")"
place | grep -q ORDER_STATUS_PAYMENT_PENDING || fail "payment is stopped, and the order is not pending"
stop # a stopped service too
nothing_runs "after a stop"

start # state is kept, and the catalogue is not registered twice
[ "$(articles)" = 6 ] || fail "after a restart there are $(articles) articles"
"$grpcurl" -plaintext "$order" fashion.order.v1.OrderService/ListOrders | grep -q ORDER_STATUS || fail "the orders are gone"
kill -9 "$run" # what a killed ./run leaves is ended by --stop
wait "$run" 2>/dev/null || true
./run --stop | grep -q Stopped || fail "--stop said nothing"
nothing_runs "after --stop"

# At a terminal the kernel sends SIGINT to everything in the foreground: services must not see it, a second signal ends them at once.
rm -f "$CMESH_STATE"/log/*
mkfifo "$CMESH_STATE/keys"
# exec: a shell in between would itself end of the signal.
env --default-signal script -qefc "exec ./run" "$CMESH_STATE/screen" <"$CMESH_STATE/keys" >"$out" 2>&1 &
run=$!
exec 8>"$CMESH_STATE/keys"
wait_for "Ctrl-C stops everything"
printf '\003' >&8
sleep 0.1
printf '\003' >&8 # an impatient user changes nothing
wait "$run" || fail "./run ended with $? after Ctrl-C"
exec 8>&-
for name in product payment delivery customercenter order; do
    [ "$(grep -c '"message":"stopped"' "$CMESH_STATE/log/$name.log")" = 1 ] || fail "$name did not stop in order"
done
nothing_runs "after Ctrl-C"

start --fresh
"$grpcurl" -plaintext "$order" fashion.order.v1.OrderService/ListOrders | grep -q ORDER_STATUS && fail "--fresh kept orders"
[ "$(articles)" = 6 ] || fail "--fresh has no catalogue"
stop
echo "./run: fine"
