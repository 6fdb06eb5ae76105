# SPDX-License-Identifier: Apache-2.0
"""What the charts render is what a real API server takes: no pod runs for it.

CRDS names files with the kinds of others, which come into the cluster if they are not there yet, and go again.
"""
import os

import pytest
import yaml

from charts import APIS, EMBEDDED, FASHION, objects, rendered
from cluster import eventually
from kube import kubectl, run

CI = sorted((FASHION / "ci").glob("*-values.yaml"))


def crds():
    for path in os.environ["CRDS"].split(":"):
        with open(path, encoding="utf-8") as file:
            yield from (thing for thing in yaml.safe_load_all(file) if thing)


@pytest.fixture(scope="module", autouse=True)
def kinds():
    known = set(kubectl("get", "crds", "-o", "name").split())
    added = [crd for crd in crds() if f"customresourcedefinition.apiextensions.k8s.io/{crd['metadata']['name']}" not in known]
    text = yaml.safe_dump_all(added)
    if added:
        kubectl("apply", "--server-side", "-f", "-", given=text)
        kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", "-", given=text)
    eventually(lambda: set(APIS) <= set(kubectl("api-versions").split()), 30, "the kinds of others are served")
    yield
    if added:
        kubectl("delete", "--wait=false", "-f", "-", given=text)


@pytest.fixture(scope="module", autouse=True)
def account(namespace):
    """A pod is refused without its account, and a dry run keeps none."""
    kubectl("create", "--save-config", "serviceaccount", "fashion-client", "--namespace", namespace)


def strictly(text, namespace):
    """What the API server says of it, without keeping it."""
    return run("kubectl", "apply", "--namespace", namespace, "--dry-run=server", "--validate=strict", "-f", "-", given=text, check=False)


@pytest.fixture(scope="module", params=CI, ids=lambda path: path.stem)
def text(request, namespace):
    return rendered(yaml.safe_load(request.param.read_text()), "--namespace", namespace)


def test_the_api_server_takes_every_object(text, namespace):
    process = strictly(text, namespace)
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("(server dry run)") == len(objects(text))
    assert "Warning" not in process.stderr


def test_the_api_server_refuses_a_field_that_it_does_not_know(text, namespace):
    process = strictly(text.replace("terminationGracePeriodSeconds:", "terminationGracePeriodSecond:", 1), namespace)
    assert process.returncode != 0 and 'unknown field "spec.template.spec.terminationGracePeriodSecond"' in process.stderr


@pytest.mark.parametrize("right, wrong, sentence", [
    ("  retries:", "  retrys:", "retrys"),
    ('timeout: "500ms"', 'timeout: "0.5ms"', "spec.http"),
    ("mode: STRICT", "mode: STRICTLY", "spec.mtls.mode"),
    ("kind: VirtualService", "kind: VirtualServices", "VirtualServices"),
])
def test_the_api_server_refuses_what_istio_would_not_take(namespace, right, wrong, sentence):
    text = rendered(yaml.safe_load((FASHION / "ci/istio-values.yaml").read_text()), "--namespace", namespace)
    assert right in text
    process = strictly(text.replace(right, wrong, 1), namespace)
    assert process.returncode != 0 and sentence in process.stderr, process.stderr


def test_the_api_server_takes_volumes_limits_and_everything_that_is_off_by_default(namespace):
    values = EMBEDDED | {"services": {"delivery": {
        "volumes": {"papers": {"mountPath": "/papers", "size": "1Gi", "accessMode": "ReadWriteMany"}}, "priorityClassName": "system-node-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"}, "autoscaling": {"enabled": True, "minReplicas": 2}}},
        "networkPolicy": {"clients": {"edge": {"namespaceSelector": {"matchLabels": {"edge": "true"}}}},
                          "monitoring": {"prometheus": {"podSelector": {"matchLabels": {"app": "prometheus"}}}}},
        "image": {"pullSecrets": {"registry": {}}}}
    process = strictly(rendered(values, "--namespace", namespace), namespace)
    assert process.returncode == 0, process.stderr
