# SPDX-License-Identifier: Apache-2.0
"""The broker loses what it has stored, under load: each loss is noticed and made good, and nothing happens twice."""
import asyncio
import os
import pathlib
import shutil

import nats
import pytest
from nats.js.api import StorageType, StreamConfig

import servers
from books import wait_until_right
from cluster import eventually
from load import Load

ORDERS = int(os.environ.get("CMESH_LOSS_ORDERS", "80"))
STOCK = 1000000
STORE = pathlib.Path(os.environ["TEST_NATS_DIR"])


def with_jetstream(action):
    async def run():
        client = await nats.connect(os.environ["TEST_NATS_URL"])
        try:
            return await action(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())


def remove_data(load):
    """rm -rf while it is down."""
    servers.stop_nats()
    shutil.rmtree(STORE)
    servers.start_nats()


def delete_stream(load):
    with_jetstream(lambda js: js.delete_stream("fashion"))


def make_stream_anew(load):
    """By somebody else, with bounds of their own."""
    async def anew(js):
        await js.delete_stream("fashion")
        # The broker removes its files after it has answered, and those of the new one with them.
        eventually(lambda: not (STORE / "jetstream/$G/streams/fashion").exists())
        await js.add_stream(StreamConfig(name="fashion", subjects=["fashion.*.*.*"], storage=StorageType.FILE,
                                         duplicate_window=120, max_age=3 * 86400))

    with_jetstream(anew)


def purge_stream(load):
    with_jetstream(lambda js: js.purge_stream("fashion"))


def restore_old_copy(load):
    servers.stop_nats()
    copy = STORE.with_name("old-copy")
    shutil.copytree(STORE, copy)
    servers.start_nats()
    load.wait_for_more(ORDERS // 2)
    servers.stop_nats()
    shutil.rmtree(STORE)
    copy.rename(STORE)
    servers.start_nats()


@pytest.mark.parametrize("lose", [remove_data, delete_stream, make_stream_anew, purge_stream, restore_old_copy])
def test_a_broker_that_loses_its_data_under_load_loses_no_event(cluster, store, lose):
    products = [store.register(stock=STOCK) for _ in range(4)]
    with Load(store, products) as load:
        load.wait_for_more(ORDERS)
        lose(load)
        load.wait_for_more(ORDERS)
    wait_until_right(cluster, store, products, STOCK, load.result(), 60)
