#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ./run as a user sees it: start, second start, an order, kill -9 of whatever it started, Ctrl-C at a terminal, state kept,
# moved or removed, --fresh, --stop, a foreign environment, passwords, a small disk.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d "/tmp/cmesh run.XXXXXX")
chmod 755 "$work"
CMESH_STATE="$work/a+b (c)\$x [d]"
mkdir "$CMESH_STATE"
# HTTP ports stay below those that the kernel gives to clients.
CMESH_PORT_BASE=$(python3 -c 'import random; print(random.randrange(10000, 20000, 400))')
export CMESH_STATE CMESH_PORT_BASE
grpcurl=${GRPCURL:-$(ls "${XDG_CACHE_HOME:-$HOME/.cache}"/cmesh/tools/*/grpcurl | head -1)}
product=127.0.0.1:$((CMESH_PORT_BASE + 1))
order=127.0.0.1:$((CMESH_PORT_BASE + 2))
out=$work/out
end() {
    local code=$?
    ./run --stop >/dev/null 2>&1 || true
    [ $code = 0 ] || cat "$out"
    mountpoint -q "$CMESH_STATE" && umount "$CMESH_STATE"
    rm -rf "$work"
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
remove_state() { until rm -rf "$CMESH_STATE" 2>/dev/null; do :; done; } # what runs makes new files meanwhile
nothing_runs() { # by what writes into our folder, even if it was moved or removed
    local there
    there=$(find /proc/[0-9]*/fd/[12] -maxdepth 0 -printf '%l %p\n' 2>/dev/null | grep -F -- "$work/" | grep -vF "$out") || return 0
    fail "$1 there is still: $there"
}
killed() { # NAME: it is started again, and orders go through
    kill -9 "$(cat "$CMESH_STATE/$1.pid")"
    wait_for "$1 has ended; starting it again"
    for _ in $(seq 100); do place >/dev/null 2>&1 && break; sleep 0.1; done
    place | grep -q ORDER_STATUS_PLACED || fail "no order after $1 was killed"
}
start() { : >"$out"; ./run "$@" >"$out" 2>&1 & run=$!; wait_for "Ctrl-C stops everything"; grep -F "Serving after" "$out"; }
stop() { kill -TERM "$run"; wait "$run" || fail "./run ended with $?"; }
articles() { "$grpcurl" -plaintext "$product" fashion.product.v1.ProductService/ListProducts | grep -c '"productId"'; }
place() {
    "$grpcurl" -plaintext -d "{\"request_id\": \"$(cat /proc/sys/kernel/random/uuid)\", \"customer_id\": \"c-1\", \"product_code\": \"4000\", \"size\": \"S\", \"quantity\": 1}" \
        "$order" fashion.order.v1.OrderService/PlaceOrder
}

# What is in the caller's environment is for nobody here.
export PGHOST=nowhere.invalid PGPORT=1 PGUSER=nobody PGDATABASE=none PGSSLMODE=require PGOPTIONS=--nonsense \
    DATABASE_SESSION_URL=postgresql://nobody@nowhere.invalid/none DATABASE_PREPARE=nonsense NATS_URL=nats://nowhere.invalid \
    MESH_WORKERS=none MESH_STREAM_MAX_BYTES=none http_proxy=http://127.0.0.1:1 ORDER_NONSENSE=1
start
unset "${!PG@}" "${!DATABASE@}" "${!MESH@}" NATS_URL http_proxy ORDER_NONSENSE
second=$(./run 2>&1) && fail "a second ./run started"
[ "$(wc -l <<<"$second")" = 1 ] && grep -q "is running here already" <<<"$second" || fail "a second ./run said: $second"
[ "$(articles)" = 6 ] || fail "the sample catalogue has $(articles) articles"
place | grep -q ORDER_STATUS_PLACED || fail "no order"
for name in order postgres nats; do
    killed "$name"
done
grep -q Killed "$out" && fail "bash tells of the kill itself"

# Only who may read the passwords comes into the databases.
sql() { psql -X -w -h 127.0.0.1 -p $((CMESH_PORT_BASE + 352)) -Atc "$2" -U "$1" fashion 2>&1; }
sql postgres "select 1" && fail "the superuser needs no password"
sql fashion_order "select 1" && fail "a service needs no password"
hint=$(grep -o 'PGPASSFILE=.* psql .*' "$out") || fail "no hint how to look into the databases"
[ "$(bash -c "$hint -Atc 'select 6 * 7'" 2>&1)" = 42 ] || fail "$hint does not work: $(bash -c "$hint -c 'select 1'" 2>&1)"
[ -z "$(find "$CMESH_STATE/passwords" -type f ! -perm 600)" ] || fail "others may read the passwords"
[ -n "$(find "$CMESH_STATE/passwords" -name order.url)" ] || fail "the order service has no password"

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

start # whoever moves the logs away does not keep it from stopping
mv "$CMESH_STATE/log" "$work/moved"
stop
nothing_runs "without logs"
start
mv "$CMESH_STATE/log" "$work/moved2"
kill -9 "$run"
wait "$run" 2>/dev/null || true
./run --stop | grep -q Stopped || fail "--stop said nothing"
nothing_runs "after --stop without logs"

start # nor does who removes the folder
remove_state
wait "$run" && fail "./run without its folder ended well"
grep -q "is gone" "$out" || fail "./run did not say that its folder is gone"
nothing_runs "without a folder"
start
kill -STOP "$run" # so that it does not see that the folder is gone
remove_state
./run --stop | grep -q Stopped || fail "--stop said nothing"
nothing_runs "after --stop without a folder"
wait "$run" || true
start
kill -9 "$run"
wait "$run" 2>/dev/null || true
remove_state
./run --stop | grep -q Stopped || fail "--stop said nothing"
nothing_runs "after kill -9 and --stop without a folder"

# A number that is another's by now is not ours to kill.
mkdir -p "$CMESH_STATE"
sleep 1000 &
stranger=$!
echo $stranger >"$CMESH_STATE/order.pid"
echo "$(cat /proc/sys/kernel/random/boot_id) 1" >"$CMESH_STATE/order.born"
./run --stop >/dev/null || fail "--stop failed"
kill $stranger || fail "--stop killed a stranger"
wait $stranger || true

# Killed in the middle of initdb, it begins anew.
./run >"$out" 2>&1 &
run=$!
for _ in $(seq 3000); do [ -e "$CMESH_STATE/postgres/data.new/PG_VERSION" ] && break; sleep 0.02; done
kill -9 "$run"
wait "$run" 2>/dev/null || true
[ ! -e "$CMESH_STATE/postgres/data" ] || fail "initdb was too quick to be killed"
start
place | grep -q ORDER_STATUS_PLACED || fail "no order after half an initdb"
stop

said=$(CMESH_STATE=/proc/nothing ./run 2>&1) && fail "there is state in /proc"
grep -q "no state can be kept in /proc/nothing" <<<"$said" || fail "./run said: $said"

start --fresh
"$grpcurl" -plaintext "$order" fashion.order.v1.OrderService/ListOrders | grep -q ORDER_STATUS && fail "--fresh kept orders"
[ "$(articles)" = 6 ] || fail "--fresh has no catalogue"
stop

# A small disk: JetStream promises no more than it could store.
rm -rf "$CMESH_STATE"
mkdir "$CMESH_STATE"
if mount -t tmpfs -o size=300m,mode=755 tmpfs "$CMESH_STATE" 2>/dev/null; then
    start
    place | grep -q ORDER_STATUS_PLACED || fail "no order with a small disk"
    stop
else
    echo "no mount here: a small disk is not tried"
fi

# With next to nothing in the environment.
env -i PATH="$PATH" HOME="$HOME" CMESH_STATE="$CMESH_STATE" CMESH_PORT_BASE="$CMESH_PORT_BASE" ./run >"$out" 2>&1 &
run=$!
wait_for "Ctrl-C stops everything"
stop
nothing_runs "at the end"
echo "./run: fine"
