# SPDX-License-Identifier: Apache-2.0
"""Renders the store's chart, and takes apart what comes of it."""
import json
import os
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FASHION = ROOT / "helm/fashion"
SERVICES = ("customercenter", "delivery", "order", "payment", "product")
APIS = ("networking.istio.io/v1", "security.istio.io/v1", "telemetry.istio.io/v1", "monitoring.coreos.com/v1", "postgresql.cnpg.io/v1",
        "gateway.networking.k8s.io/v1")
EMBEDDED = {"postgres": {"mode": "embedded"}, "nats": {"mode": "embedded"}}
CI = sorted((FASHION / "ci").glob("*-values.yaml"))
METHODS = json.loads((FASHION / "files/methods.json").read_text())


def overlay(under, over):
    """Both, and what `over` says wins; null stays, as it takes away what the chart says."""
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return under | {key: overlay(under.get(key), value) for key, value in over.items()}


def template(values, *arguments, apis=APIS, chart=FASHION, helm=None, release="fashion", namespace="shop"):
    """The ended `helm template`."""
    command = [helm or os.environ["HELM"], "template", release, str(chart), "--kube-version", "1.36.0", "--namespace", namespace,
               "--values", "-", *arguments]
    for api in apis:
        command += ["--api-versions", api]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, check=False)


def rendered(values, *arguments, **how):
    """The text of all objects."""
    process = template(values, *arguments, **how)
    assert process.returncode == 0, process.stderr
    return process.stdout


def objects(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def find(things, kind, name):
    found = [thing for thing in things if thing["kind"] == kind and thing["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


def pods(things):
    """(name, kind, labels, spec) of everything that runs."""
    for thing in things:
        if thing["kind"] in ("Deployment", "StatefulSet", "Job"):
            pod = thing["spec"]["template"]
            yield thing["metadata"]["name"], thing["kind"], pod["metadata"]["labels"], pod["spec"]
        if thing["kind"] == "Pod":
            yield thing["metadata"]["name"], "Pod", thing["metadata"]["labels"], thing["spec"]


def containers(pod):
    return pod.get("initContainers", []) + pod["containers"]


def policy_of(things):
    return find(things, "ConfigMap", "fashion-policy")["data"]["policy.json"]


def mode_of(things):
    return json.loads(policy_of(things))["mode"]


def run_service(service, *arguments, check=False):
    """A command of the service's program, that has ended."""
    binary = pathlib.Path(os.environ["CMESH_BUILD"]) / f"services/fashion/{service}/fashion-{service}"
    return subprocess.run([binary, *arguments], capture_output=True, text=True, check=check)


def check_policy(service, path):
    """What the service's own parser says of the file: its exit code, and what it has printed."""
    process = run_service(service, "policy", "check", path)
    return process.returncode, process.stdout + process.stderr
