# SPDX-License-Identifier: Apache-2.0
"""A release of the store on the cluster that the kubeconfig names, by kubectl and Helm.

KUBE_REGISTRY is where its nodes find the images, KUBE_ADDRESS a node's address for ports of nodes. (README.md)
"""
import contextlib
import csv
import functools
import json
import os
import re
import socket
import subprocess
import time

from charts import FASHION, overlay
from cluster import SERVICES, eventually

RELEASE = "fashion"
READY_S = 180
EVERYBODY = {"tests": {"ipBlock": {"cidr": "0.0.0.0/0"}}}  # calls of the tests come through a node


def run(*command, given=None, check=True, timeout=READY_S + 60):
    """The ended command."""
    process = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout)
    assert not check or process.returncode == 0, f"{' '.join(map(str, command))}\n{process.stdout}{process.stderr}"
    return process


def kubectl(*arguments, **how):
    return run("kubectl", *arguments, **how).stdout


def helm(*arguments, **how):
    return run(os.environ["HELM"], *arguments, **how)


@functools.cache
def node_address():
    """Of any node: each leads to every Service with a port of nodes."""
    if os.environ.get("KUBE_ADDRESS"):
        return os.environ["KUBE_ADDRESS"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    return next(a["address"] for a in nodes[0]["status"]["addresses"] if a["type"] == "InternalIP")


def make_namespace(name):
    """New; one that an earlier run left is gone first."""
    kubectl("delete", "namespace", name, "--ignore-not-found", "--wait")
    kubectl("create", "namespace", name)
    eventually(lambda: kubectl("get", "serviceaccount", "default", "-n", name, "--ignore-not-found"), 30, "a service account")


class Shop:
    """The release, and what the books ask of a cluster."""

    processes = SERVICES

    def __init__(self, namespace, values):
        self.namespace = namespace
        self.values = overlay({"image": {"registry": os.environ.get("KUBE_REGISTRY", "cmesh.local")},
                               "networkPolicy": {"clients": EVERYBODY}}, values)
        self.ports = {}

    # ---- Helm
    def helm(self, verb, *arguments, **how):
        return helm(verb, RELEASE, *arguments, "--namespace", self.namespace, **how)

    def deploy(self, verb, change=None, seconds=READY_S, **how):
        """Installs or upgrades, with everything that was changed before; the ended Helm."""
        self.values = overlay(self.values, change or {})
        return self.helm(verb, str(FASHION), "--values", "-", "--wait", "--timeout", f"{seconds}s", given=json.dumps(self.values), timeout=seconds + 60, **how)

    def upgrade(self, change):
        self.deploy("upgrade", change)
        self.wait_until_settled()

    @contextlib.contextmanager
    def changed(self, change):
        """For a while."""
        before = self.values
        self.upgrade(change)
        try:
            yield
        finally:
            self.values = before
            self.upgrade({})

    def roll(self, what):
        """New pods for every service."""
        self.upgrade({"defaults": {"podAnnotations": {"cmesh.test/roll": what}}})

    # ---- what is there
    def kubectl(self, *arguments, **how):
        return kubectl("--namespace", self.namespace, *arguments, **how)

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def pods(self, *services):
        """Pods of these services, or of the whole release."""
        names = f",app.kubernetes.io/name in ({', '.join(f'{RELEASE}-{s}' for s in services)})" if services else ""
        return self.get("pods", "-l", f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component!=test{names}")["items"]

    def identities(self, *services):
        return {pod["metadata"]["uid"] for pod in self.pods(*services)}

    def restarts(self):
        return sum(status["restartCount"] for pod in self.pods() for status in pod["status"].get("containerStatuses", []))

    def is_settled(self):
        """As many pods as are wanted, all of them ready, and none that is on its way out."""
        wanted = sum(thing["spec"]["replicas"] for thing in self.get("deployments,statefulsets")["items"])
        pods = self.pods()
        return len(pods) == wanted and not any("deletionTimestamp" in p["metadata"] for p in pods) and all(map(is_ready, pods))

    def wait_until_settled(self):
        eventually(self.is_settled, READY_S, "all pods are ready, and old ones gone")

    def delete_pods(self, service):
        """And waits for those that come instead."""
        self.kubectl("delete", "pod", "-l", f"app.kubernetes.io/name={RELEASE}-{service}", "--wait")
        self.wait_until_settled()

    def http(self, pod, path):
        """From the port of a pod for monitoring, through the API server."""
        return kubectl("get", "--raw", f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}:9091/proxy{path}")

    def metric(self, pod, name, **labels):
        """The sum of all samples of that name that have these labels."""
        lines = [line for line in self.http(pod, "/metrics").splitlines() if re.match(rf"{name}[{{ ]", line)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(f'{k}="{v}"' in line for k, v in labels.items()))

    # ---- what the books ask
    def address(self, service):
        """A way in from outside, by a Service of the tests' own."""
        if service not in self.ports:
            name = f"test-{service}"
            spec = {"type": "NodePort", "selector": {"app.kubernetes.io/name": f"{RELEASE}-{service}", "app.kubernetes.io/instance": RELEASE},
                    "ports": [{"name": "grpc", "port": 9090, "appProtocol": "grpc"}]}
            thing = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
            self.kubectl("apply", "-f", "-", given=json.dumps(thing))
            self.ports[service] = self.get("service", name)["spec"]["ports"][0]["nodePort"]
            eventually(lambda: can_connect(node_address(), self.ports[service]), 30, f"the way in to {service}")
        return f"{node_address()}:{self.ports[service]}"

    def close(self):
        """The ways in."""
        for service in self.ports:
            self.kubectl("delete", "service", f"test-{service}")
        self.ports = {}

    def query(self, sql):
        """As an administrator; every value comes as a text."""
        out = self.kubectl("exec", f"{RELEASE}-postgres-0", "--", "psql", "-X", "--csv", "-t", "-c", sql, "fashion")
        return [tuple(row) for row in csv.reader(out.splitlines())]


def can_connect(host, port):
    try:
        socket.create_connection((host, port), 1).close()
    except OSError:
        return False
    return True


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
