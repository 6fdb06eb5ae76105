# SPDX-License-Identifier: Apache-2.0
"""The broker loses what it has stored, under load: each loss is noticed and made good, and nothing happens twice."""
import os
import pathlib
import shutil
import subprocess

import pytest
from nats.js.api import StorageType, StreamConfig

import servers
from books import wait_until_right
from broker import with_jetstream
from cluster import SERVICES, eventually
from load import Load

ORDERS = int(os.environ.get("CMESH_LOSS_ORDERS", "80"))
STOCK = 1000000
RESCUERS = ("order", "payment", "delivery")  # whose events somebody else waits for
STORE = pathlib.Path(os.environ["TEST_NATS_DIR"])


# ---- ways to lose: what stands before `yield` is done before there is anything to lose ---------

def remove_data(_):
    """rm -rf while it is down."""
    yield
    servers.stop_nats()
    shutil.rmtree(STORE)
    servers.start_nats()


def remove_data_of_a_running_broker(load):
    """It goes on as if nothing had happened, until it is started again."""
    yield
    subprocess.run(["rm", "-rf", STORE], check=False)  # it may put something new into a folder meanwhile
    load.wait_for_more(ORDERS // 4)
    servers.stop_nats()
    servers.start_nats()


def delete_stream(_):
    yield
    with_jetstream(lambda js: js.delete_stream("fashion"))


def make_stream_anew(_):
    """By somebody else, with bounds of their own."""
    async def anew(js):
        await js.delete_stream("fashion")
        # The broker removes its files after it has answered, and those of the new one with them.
        eventually(lambda: not (STORE / "jetstream/$G/streams/fashion").exists())
        await js.add_stream(StreamConfig(name="fashion", subjects=["fashion.*.*.*"], storage=StorageType.FILE,
                                         duplicate_window=120, max_age=3 * 86400))

    yield
    with_jetstream(anew)


def purge_stream(_):
    yield
    with_jetstream(lambda js: js.purge_stream("fashion"))


def restore_old_copy(_):
    servers.stop_nats()
    copy = STORE.with_name("old-copy")
    shutil.copytree(STORE, copy)
    servers.start_nats()
    yield
    servers.stop_nats()
    shutil.rmtree(STORE)
    copy.rename(STORE)
    servers.start_nats()


# ---- the test ----------------------------------------------------------------------------------

def last_stored(service):
    """The id of the last event of it in the stream."""
    message = with_jetstream(lambda js: js.get_last_msg("fashion", f"fashion.*.{service}.*"))
    return message.headers["Nats-Msg-Id"].split("/")[0]


def wait_until_more_is_stored(cluster, load, services):
    """Until the stream has an event of each of them that nobody has emitted yet."""
    old = {row[0] for s in services for row in cluster.query(f"select event_id::text from fashion_{s}.outbox")}
    load.wait_for_more(ORDERS // 4)
    eventually(lambda: not old & {last_stored(s) for s in services}, 20, "new events are stored")


def rescues(cluster, service):
    return cluster[service].metric("mesh_relay_rescues_total")


def handled_as_noted(cluster):
    """Has every service handled as many events as it has noted that it had? None of them was started again."""
    for service in SERVICES:
        ((noted,),) = cluster.query(f"select count(*) from fashion_{service}.inbox")
        assert cluster[service].metric("mesh_consumer_handled_total") == noted, service
    return True


@pytest.mark.parametrize("lose", [remove_data, remove_data_of_a_running_broker, delete_stream, make_stream_anew, purge_stream,
                                  restore_old_copy])
def test_a_broker_that_loses_its_data_under_load_loses_no_event(cluster, store, lose):
    products = [store.register(stock=STOCK) for _ in range(4)]
    before = {s: rescues(cluster, s) for s in RESCUERS}
    with Load(store, products) as load:
        load.wait_for_more(ORDERS)
        loss = lose(load)
        next(loss)
        # What the broker loses has been read by nobody: first what delivery tells, then what it is told.
        with cluster["customercenter"].paused():
            wait_until_more_is_stored(cluster, load, RESCUERS)
            load.cancels = False  # delivery would have to answer
            with cluster["delivery"].paused():
                wait_until_more_is_stored(cluster, load, ("order", "payment"))
                next(loss, None)
                eventually(lambda: rescues(cluster, "order") > before["order"], 20, "the loss is noticed")
        load.cancels = True
        load.wait_for_more(ORDERS)
    wait_until_right(cluster, store, products, STOCK, load.result(), 60)
    assert {s for s in RESCUERS if rescues(cluster, s) <= before[s]} == set()
    eventually(lambda: handled_as_noted(cluster))
