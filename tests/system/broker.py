# SPDX-License-Identifier: Apache-2.0
"""The test's broker as somebody else's client sees it."""
import asyncio
import os

import nats


def with_jetstream(action):
    """What the coroutine `action` makes of a JetStream context."""
    async def run():
        client = await nats.connect(os.environ["TEST_NATS_URL"])
        try:
            return await action(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(run())
