# SPDX-License-Identifier: Apache-2.0
"""Replicas come, go, die and hang while orders are placed: every event has its effect once, in the order of its key.

CMESH_REPLICA_ORDERS=N places more orders.
"""
import os
import time

import psycopg

from books import books_are_right, events_are_right, wait_until_right
from cluster import PARTITIONS, SERVICES, eventually
from load import Known, Load

ORDERS = int(os.environ.get("CMESH_REPLICA_ORDERS", "400"))
SILENT = "customercenter"  # tells nothing, and so has no relay
READERS = ("delivery", "customercenter")
STOCK = 1000000
TAKEOVER = 5  # seconds


def test_CP_24_E2E_FS_9_one_three_one_replicas_under_load(cluster, store):
    products = [store.register(stock=STOCK) for _ in range(4)]
    part = ORDERS // 5
    with Load(store, products) as load:
        load.wait_for_more(part)
        for service in READERS:
            for _ in range(2):
                cluster.add_replica(service)
            cluster.wait_until_shared_out(service)
        load.wait_for_more(part)
        for service in READERS:  # one dies without a word
            cluster.processes[service][1].kill()
            cluster.wait_until_shared_out(service, TAKEOVER)
        load.wait_for_more(part)
        for service in READERS:
            cluster.processes[service][1].start()
            cluster.wait_until_shared_out(service)
        load.wait_for_more(part)
        for service in READERS:
            for process in cluster.processes[service][1:]:
                process.stop()
            cluster.wait_until_shared_out(service)
        load.wait_for_more(part)
    wait_until_right(cluster, store, products, STOCK, load.result(), 30)


def has_relay(process):
    return process.service == SILENT or process.metric("mesh_lease_held", lease="relay/0") == 1


def add_owner_of_relay(cluster, service):
    """A second replica that publishes and reads half of the partitions; the first one goes on answering."""
    owner = cluster.add_replica(service)
    cluster.wait_until_shared_out(service)
    cluster[service].stop()
    eventually(lambda: len(owner.partitions()) == PARTITIONS and has_relay(owner), 10, f"{service} is handed over")
    cluster[service].start()
    cluster.wait_until_shared_out(service)
    assert has_relay(owner) and len(owner.partitions()) > 0
    return owner


def all_held_without(cluster, service, hung):
    live = [p for p in cluster.processes[service] if p.popen is not None and p is not hung]
    return sum(len(p.partitions()) for p in live) == PARTITIONS and any(has_relay(p) for p in live)


def test_replicas_that_hang_are_taken_over_from_and_do_no_harm_when_they_go_on(cluster, store):
    products = [store.register(stock=STOCK) for _ in range(4)]
    owners = {service: add_owner_of_relay(cluster, service) for service in SERVICES}
    with Load(store, products) as load:
        load.wait_for_more(ORDERS // 10)
        for owner in owners.values():
            owner.pause()
        start = time.monotonic()
        eventually(lambda: all(all_held_without(cluster, s, owner) for s, owner in owners.items()), TAKEOVER, "taken over")
        print(f"taken over after {time.monotonic() - start:.1f} s")
        load.wait_for_more(ORDERS // 10)
    wait_until_right(cluster, store, products, STOCK, load.result(), 30)  # while they hang
    for service, owner in owners.items():
        owner.go_on()
        cluster.wait_until_shared_out(service)
    wait_until_right(cluster, store, products, STOCK, load.result(), 30)
    for owner in owners.values():
        owner.stop()


def replicas_of(cluster, service):
    return {row[0] for row in cluster.query(f"select id from fashion_{service}.replica")}


def batches_under_way(cluster):
    """The application names of sessions of delivery that have executed a part of a transaction and wait for a lock."""
    return [row[0] for row in cluster.query(
        "select application_name from pg_stat_activity where wait_event_type = 'Lock'"
        " and usename = 'fashion_delivery' and strpos(query, 'insert into deliveries') > 0")]


def test_a_replica_stopped_in_the_middle_of_a_batch_keeps_no_locks_and_its_late_commit_fails(cluster, store):
    product = store.register(stock=STOCK)
    before = replicas_of(cluster, "delivery")
    hung = cluster.add_replica("delivery")
    cluster.wait_until_shared_out("delivery")
    (name,) = replicas_of(cluster, "delivery") - before
    ended = cluster["delivery"].metric("mesh_replica_sessions_ended_total")
    with psycopg.connect(cluster.database_url) as admin:
        admin.execute("lock table fashion_delivery.deliveries in access exclusive mode")
        known = Known()
        for i in range(40):
            known.place(store, product, customer=f"hung-{i}")
        eventually(lambda: name in batches_under_way(cluster), 10, "it is in the middle of a batch")
        hung.pause()
    # Now its statement has been executed, and it will not send the end of its transaction.
    eventually(lambda: all_held_without(cluster, "delivery", hung), TAKEOVER, "taken over")
    eventually(lambda: books_are_right(store, [product], STOCK, known), 10, "the books are right without it")
    assert cluster["delivery"].metric("mesh_replica_sessions_ended_total") > ended
    hung.go_on()
    cluster.wait_until_shared_out("delivery")
    assert books_are_right(store, [product], STOCK, known) and events_are_right(cluster)
    hung.stop()
