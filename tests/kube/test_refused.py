# SPDX-License-Identifier: Apache-2.0
"""An install that cannot come off says why, to somebody who sees nothing but what Helm prints."""
import re

import pytest

from charts import EMBEDDED
from cluster import SERVICES, eventually
from kube import Shop

EXTERNAL = {"postgres": {"external": {"existingSecret": "fashion-databases"}}, "nats": {"external": {"url": "nats://nowhere:4222"}}}
DOWN = [f"--from-literal={service}=postgresql://fashion_{service}:secret@nowhere:5432/fashion" for service in SERVICES]


@pytest.fixture
def shop(namespace, images):
    """shop(values): one that is never installed; what was made of it goes."""
    shops = []

    def made(values):
        shops.append(Shop(namespace, values))
        return shops[0]

    yield made
    shops[0].helm("uninstall", "--wait", "--ignore-not-found", "--cascade", "foreground", "--timeout", "90s")
    shops[0].kubectl("delete", "job,pvc,secret", "--all")


def refused(shop, seconds=30):
    """What `helm install --wait` prints."""
    process = shop.deploy("install", seconds=seconds, check=False)
    assert process.returncode != 0
    return process.stderr


def test_a_value_that_is_not_there_is_told_and_nothing_is_made(shop):
    shop = shop(EMBEDDED | {"services": {"order": {"replica": 3}}})
    assert "additional properties 'replica' not allowed" in refused(shop)
    assert shop.get("deployments,statefulsets,jobs,secrets")["items"] == []  # a release would be a Secret, too


def test_an_image_that_is_not_there_is_told_by_its_deployment_and_its_pod(shop):
    shop = shop(EMBEDDED | {"services": {"order": {"image": {"tag": "none"}}}})
    said = refused(shop, seconds=60)
    assert re.search(r"Deployment/\S+/fashion-order not ready", said) and said.count("not ready") == 1, said  # all that Helm hears of it
    eventually(lambda: waits_for_image(shop.pods("order")[0]), 30, "the pod says that its image is not there")
    assert not waits_for_image(shop.pods("product")[0])


def waits_for_image(pod):
    states = [status["state"] for status in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])]
    return any(state.get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff") for state in states)


def test_a_secret_that_is_not_there_is_told_by_its_name(shop):
    assert "fashion-databases" in refused(shop(EXTERNAL))


def test_a_database_that_cannot_be_reached_is_told_with_the_reason(shop):
    shop = shop(EXTERNAL)
    shop.kubectl("create", "secret", "generic", "fashion-databases", *DOWN)
    said = refused(shop, seconds=300)  # Helm's own time; all tries of a migration are over before
    assert "the database cannot be reached" in said and "nowhere" in said
