# SPDX-License-Identifier: Apache-2.0
"""What the charts render: kinds and fields that Kubernetes and Istio know, the house rules, and nothing that does not fit together."""
import base64
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest
import yaml

from charts import CI, EMBEDDED, FASHION, ROOT, SERVICES, containers, find, mode_of, objects, overlay, pods, rendered, run_service, template

COMMON = ROOT / "helm/mesh-common"
ISTIO_KINDS = {"VirtualService", "DestinationRule", "PeerAuthentication", "AuthorizationPolicy", "Sidecar", "Telemetry"}


def kubeconform(text):
    return subprocess.run([os.environ["KUBECONFORM"], "-strict", "-summary", "-output", "json", "-kubernetes-version", "1.36.3", "-schema-location",
                           os.environ["SCHEMAS"] + "/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"],
                          input=text, capture_output=True, text=True, check=False)


def test_kubernetes_and_istio_know_every_field(text):
    process = kubeconform(text)
    assert process.returncode == 0, process.stdout
    summary = json.loads(process.stdout)["summary"]
    assert summary["valid"] == len(objects(text)) and not summary["skipped"]


# Legal texts that YAML takes for something else.
NO_TEXT = {
    "mesh": {"mode": "istio", "routes": {"null": {"service": "payment", "grpcService": "fashion.payment.v1.PaymentService", "methods": ["GetPayment"],
                                                  "fault": {"delay": {"fixedDelay": "1s"}, "header": {"exact": "0x10"}}}}},
    "image": {"registry": "1", "tag": "1", "pullSecrets": {"123": {}}},
    "defaults": {"priorityClassName": "123", "image": {"tag": "2"}, "nodeSelector": {"a": "true"}, "podAnnotations": {"a": "1"}},
    "services": {"true": {"settings": {"Y": "no", "NULL": "null"}, "exposed": False, "volumes": {"off": {"mountPath": "/1", "size": "1", "storageClass": "123"}}},
                 "order": {"calls": ["product", "payment", "delivery", "true"], "exposed": True}},
    "nats": {"embedded": {"storage": {"storageClass": "123"}}},
    "postgres": {"embedded": {"storage": {"storageClass": "123", "size": "1"}}, "cnpg": {"storage": {"storageClass": "123", "size": "1"}}},
    "istio": {"namespace": "123", "trustDomain": "1", "principals": {"a": "*/ns/a/sa/b"}},
    "gateway": {"parents": {"123": {"namespace": "123", "sectionName": "1", "principal": "*/ns/a/sa/c", "peer": {"podSelector": {"matchLabels": {"a": "1"}}}}},
                "hostnames": {"a": "*.1"}},
    "networkPolicy": {"clients": {"a": {"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "true"]}]}}}},
    "clusterDomain": "1", "tests": {"image": {"tag": "1"}, "calls": {"123": {"service": "true", "method": "grpc.health.v1.Health/Check", "data": "null"}}},
}
EXTERNAL = {"postgres": {"external": {"existingSecret": "123"}}, "nats": {"external": {"existingSecret": "0x1", "caKey": "1e3"}},
            "services": {"order": {"database": {"existingSecret": "1.0", "key": "null", "sessionKey": "1"}}}}


@pytest.mark.parametrize("stores", [EMBEDDED, EXTERNAL, {"postgres": {"mode": "cnpg"}, "nats": {"mode": "embedded"}}], ids=["embedded", "external", "cnpg"])
def test_text_of_the_values_stays_text(stores):
    text = rendered(overlay(NO_TEXT, stores), release="on", namespace="123")
    process = kubeconform(text)
    assert process.returncode == 0, process.stdout
    things = objects(text)
    assert {thing["metadata"]["namespace"] for thing in things} == {"123"}
    principals = find(things, "AuthorizationPolicy", "on-order")["spec"]["rules"][0]["from"][0]["source"]["principals"]
    assert principals[-2:] == ["*/ns/a/sa/b", "*/ns/a/sa/c"]


def test_the_schemas_refuse_what_an_api_server_would_drop(text):
    for wrong in (text.replace("terminationGracePeriodSeconds:", "terminationGracePeriodSecond:", 1), text.replace("appProtocol: grpc", "appProtocol: null", 1)):
        assert wrong != text
        process = kubeconform(wrong)
        assert process.returncode == 1, process.stdout


def test_passwords_are_only_referred_to(text):
    lines = [line for line in text.splitlines() if re.search("password", line, re.I)]
    assert all("secretKeyRef" in line for line in lines), lines


def test_every_pod_keeps_the_house_rules(things):
    for name, _, _, pod in pods(things):
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 1000, name
        assert pod["securityContext"]["fsGroup"] > 1000, f"{name} could not write to its volumes"
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False, name
        assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume), name
        for container in containers(pod):
            rules = container["securityContext"]
            assert rules["readOnlyRootFilesystem"] and not rules["allowPrivilegeEscalation"] and rules["capabilities"] == {"drop": ["ALL"]}, name
            assert {"memory", "ephemeral-storage"} <= container["resources"]["limits"].keys() and "cpu" not in container["resources"]["limits"]
            assert container["resources"]["requests"].keys() >= {"cpu", "memory", "ephemeral-storage"}
            assert not container["image"].endswith(":latest") and ":" in container["image"]


def test_no_list_has_the_same_key_twice(things):
    for name, _, _, pod in pods(things):
        assert len({volume["name"] for volume in pod["volumes"]}) == len(pod["volumes"])
        for container in containers(pod):
            for key in ("env", "ports", "volumeMounts"):
                names = [item.get("mountPath") or item["name"] for item in container.get(key, [])]
                assert len(names) == len(set(names)), f"{name}: {names}"
    named = [(thing["kind"], thing["metadata"]["name"]) for thing in things]
    assert len(named) == len(set(named))


def test_everything_that_is_referred_to_is_there(things):
    there = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
    # Of others: what the user names, and what CloudNativePG makes for its clusters.
    given = {"fashion-databases", "fashion-broker"} | {f"{name}-app" for kind, name in there if kind == "Cluster"}
    for name, kind, _, pod in pods(things):
        wanted = {("ServiceAccount", pod["serviceAccountName"])} if "serviceAccountName" in pod else set()
        for volume in pod["volumes"]:
            wanted |= {("ConfigMap", volume["configMap"]["name"])} if "configMap" in volume else set()
            wanted |= {("Secret", volume["secret"]["secretName"])} if "secret" in volume else set()
            assert volume["name"] in {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        for container in containers(pod):
            wanted |= {("ConfigMap", item["configMapRef"]["name"]) for item in container.get("envFrom", [])}
            wanted |= {("Secret", item["valueFrom"]["secretKeyRef"]["name"]) for item in container.get("env", []) if "valueFrom" in item}
        missing = {(kind, thing) for kind, thing in wanted - there if thing not in given}
        assert not missing, name
        if kind == "Job":  # it runs before the release's own objects are there
            assert all(thing in given for _, thing in wanted), name


def test_every_selector_finds_its_pods_and_no_others(things):
    labels = {name: labels for name, kind, labels, _ in pods(things) if kind in ("Deployment", "StatefulSet")}
    labels["fashion-client"] = find(things, "Pod", "fashion-connect")["metadata"]["labels"]
    everyone = [labels for _, _, labels, _ in pods(things)]
    for thing in things:
        name, spec = thing["metadata"]["name"].removesuffix("-endpoints"), thing.get("spec", {})
        selector = {"Service": lambda: spec["selector"], "Deployment": lambda: spec["selector"]["matchLabels"],
                    "StatefulSet": lambda: spec["selector"]["matchLabels"], "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
                    "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"], "AuthorizationPolicy": lambda: spec["selector"]["matchLabels"],
                    "Sidecar": lambda: spec["workloadSelector"]["labels"]}.get(thing["kind"])
        if selector:
            assert [pod for pod in everyone if selector().items() <= pod.items()] == [labels[name]], f"{thing['kind']} {name}"


def test_a_service_is_given_variables_that_it_knows_and_all_that_it_needs(things):
    for service in SERVICES:
        known = set(re.findall(r"^  ([A-Z][A-Z0-9_]+) ", run_service(service, "--help", check=True).stdout, re.M))
        container = find(things, "Deployment", f"fashion-{service}")["spec"]["template"]["spec"]["containers"][0]
        given = {item["name"] for item in container["env"]} - {"GRPC_XDS_BOOTSTRAP"}
        for item in container.get("envFrom", []):
            given |= find(things, "ConfigMap", item["configMapRef"]["name"])["data"].keys()
        assert given <= known, service
        assert {name for name in known if name.startswith("MESH_PEER_")} | {"DATABASE_URL", "NATS_URL"} <= given, service


def test_only_the_modes_with_istio_render_its_kinds(things):
    assert {thing["kind"] for thing in things} & ISTIO_KINDS == {
        "library": set(), "istio": ISTIO_KINDS, "proxyless": {"VirtualService", "DestinationRule"}}[mode_of(things)]


def test_a_policy_change_changes_no_pod():
    def without_policy(things):
        return [thing for thing in things if thing["kind"] not in ("ConfigMap", "Secret")]
    assert without_policy(objects(rendered(EMBEDDED))) == without_policy(objects(rendered(overlay(EMBEDDED, {"mesh": {"routes": {"pay": {"timeout": "400ms"}}}}))))


def test_a_service_is_at_most_15_lines_of_values():
    text = (FASHION / "values.yaml").read_text()
    block = re.search(r"^services:\n((?:  .*\n)+)", text, re.M)[1]
    assert max(len(part.splitlines()) for part in re.split(r"(?m)^(?=  [a-z])", block)) <= 15


def test_the_library_chart_knows_no_system():
    words = re.compile("|".join(("fashion", "customercenter", "payment", "reserve", r"\bproduct\b")), re.I)
    for path in sorted((COMMON / "templates").iterdir()):
        assert not words.search(path.read_text()), path.name


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """The chart of another system, with methods of all kinds."""
    chart = tmp_path_factory.mktemp("system") / "acme"
    for folder in ("templates", "charts", "files"):
        (chart / folder).mkdir(parents=True)
    (chart / "charts/mesh-common").symlink_to(COMMON)
    (chart / "templates/all.yaml").write_text('{{ include "mesh.all" . }}\n')
    (chart / "values.schema.json").write_text((FASHION / "values.schema.json").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "acme", "version": "0.1.0", "appVersion": "7", "dependencies": [
        {"name": "mesh-common", "version": "0.1.0", "repository": "file://../mesh-common"}]}))
    (chart / "files/methods.json").write_text(json.dumps({"acme.v1.Hello": {
        "Greet": {"idempotency": "IDEMPOTENCY_UNKNOWN", "kind": "UNARY"}, "Ask": {"idempotency": "NO_SIDE_EFFECTS", "kind": "UNARY"},
        "Send": {"idempotency": "IDEMPOTENT", "kind": "CLIENT_STREAMING"}, "Chat": {"idempotency": "IDEMPOTENT", "kind": "BIDI_STREAMING"}}}))
    own = yaml.safe_load((FASHION / "values.yaml").read_text())
    own |= {"mesh": {"mode": "istio", "defaults": {"route": {"timeout": "1s", "retries": {"perTryTimeout": "300ms"}}}}, "services": {
        "hello": {"grpcServices": ["acme.v1.Hello"]}, "front-door": {"calls": ["hello"], "database": {"enabled": False}, "events": False}},
        "tests": {"image": {}, "calls": {"hello": {"service": "hello", "method": "acme.v1.Hello/Greet"}}}}
    (chart / "values.yaml").write_text(yaml.safe_dump(own))
    return chart


def test_another_system_is_values_on_the_same_library(acme):
    things = objects(rendered(EMBEDDED, chart=acme))
    rules = {rule["match"][0]["uri"].get("exact"): rule for rule in find(things, "VirtualService", "fashion-hello")["spec"]["http"]}
    assert rules["/acme.v1.Hello/Ask"]["retries"]["attempts"] == 2 and rules["/acme.v1.Hello/Ask"]["retries"]["perTryTimeout"] == "300ms"
    for method in ("Greet", "Send", "Chat"):
        assert rules[f"/acme.v1.Hello/{method}"]["retries"] == {"attempts": 0}
        assert ("timeout" in rules[f"/acme.v1.Hello/{method}"]) == (method == "Greet")
    env = find(things, "Deployment", "fashion-front-door")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {item["name"] for item in env} & {"DATABASE_URL", "NATS_URL", "MESH_PEER_HELLO"} == {"MESH_PEER_HELLO"}


def renamed(chart, folder, **said):
    """A copy of the chart whose Chart.yaml says something else."""
    copy = shutil.copytree(chart, folder / "renamed", symlinks=True)
    (copy / "Chart.yaml").write_text(yaml.safe_dump(yaml.safe_load((copy / "Chart.yaml").read_text()) | said))
    return copy


def test_versions_with_a_plus_are_labels_without(acme, tmp_path):
    text = rendered(EMBEDDED, chart=renamed(acme, tmp_path, version="0.1.0+b1", appVersion="7.0.0+b2"))
    labels = find(objects(text), "Deployment", "fashion-hello")["metadata"]["labels"]
    assert labels["helm.sh/chart"] == "acme-0.1.0_b1" and labels["app.kubernetes.io/version"] == "7.0.0_b2"


@pytest.mark.parametrize("name", ["my-shop", "my.shop", "2shops"])
def test_a_system_is_named_so_that_schemas_can_be(acme, tmp_path, name):
    process = template(EMBEDDED, chart=renamed(acme, tmp_path, name=name))
    script = subprocess.run([ROOT / "services/create_system", name, "hello"], capture_output=True, text=True, check=False)
    assert script.returncode == 2 and not script.stdout and f'"{name}" is no name' in script.stderr
    assert process.returncode != 0 and f'the chart is named "{name}", which is the system\'s name, expected small letters and digits' in process.stderr


@pytest.mark.parametrize("method, retries, says", [
    ("Greet", {"attempts": 1}, "mesh.routes.x.retries is set, expected none for Greet: its .proto marks it neither IDEMPOTENT nor NO_SIDE_EFFECTS"),
    ("Greet", {"backoff": "10ms"}, "mesh.routes.x.retries is set, expected none for Greet"),
    ("Send", {"attempts": 1}, "mesh.routes.x.retries is set, expected none for Send, whose caller streams"),
    ("Chat", {"retryOn": ["reset", "unavailable"]}, "mesh.routes.x.retries is set, expected none for Chat, whose caller streams")])
def test_retries_are_refused_for_a_method_that_may_not_be_repeated(acme, method, retries, says):
    route = {"service": "hello", "grpcService": "acme.v1.Hello", "methods": [method], "retries": retries}
    for mode in ("library", "istio", "proxyless"):
        process = template(overlay(EMBEDDED, {"mesh": {"mode": mode, "defaults": {"route": {"retries": None}}, "routes": {"x": route}}}), chart=acme)
        assert process.returncode != 0 and says in process.stderr


def test_the_schema_is_closed_and_says_what_each_value_is():
    schema = json.loads((FASHION / "values.schema.json").read_text())
    def walk(node, place):
        if isinstance(node, dict):
            for name, member in node.get("properties", {}).items():
                if isinstance(member, dict) and place != "defaults":
                    target = schema["$defs"][member["$ref"].rsplit("/", 1)[1]] if member.get("$ref", "").startswith("#/$defs/") else {}
                    assert "description" in member or "description" in target or set(member) <= {"required", "properties"}, f"{place}.{name}"
            if node.get("type") == "object":
                assert "additionalProperties" in node or node.get("maxProperties") == 0, place
                assert node.get("additionalProperties") not in (True, {}), place
            # Helm blames another place for what they refuse, or does not say what it is.
            assert not node.keys() & {"propertyNames", "unevaluatedProperties"}, place
            for name, member in node.items():
                walk(member, name if place == "properties" or not place else f"{place}.{name}")
    walk(schema, "")


@pytest.mark.parametrize("chart", [FASHION, COMMON], ids=lambda path: path.name)
def test_lint_has_nothing_to_say(chart):
    arguments = [f"--values={path}" for path in CI[:1]] if chart == FASHION else []
    process = subprocess.run([os.environ["HELM"], "lint", "--strict", str(chart), *arguments], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr


def test_lint_has_nothing_to_say_of_any_values():
    for path in CI:
        process = subprocess.run([os.environ["HELM"], "lint", "--strict", str(FASHION), "--values", str(path)], capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr


def test_a_package_has_all_that_it_needs(tmp_path):
    subprocess.run([os.environ["HELM"], "package", str(FASHION), "--destination", str(tmp_path)], capture_output=True, check=True)
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        names = package.getnames()
        package.extractall(tmp_path)
    assert "fashion/charts/mesh-common/files/fields.json" in names and not [name for name in names if "/ci/" in name or name.endswith("_test.yaml")]
    def without_chance(text):
        return [thing for thing in objects(text) if thing["kind"] != "Secret"]
    assert without_chance(rendered(EMBEDDED, chart=tmp_path / "fashion")) == without_chance(rendered(EMBEDDED))


def test_the_versions_agree():
    chart, own = yaml.safe_load((FASHION / "Chart.yaml").read_text()), yaml.safe_load((FASHION / "values.yaml").read_text())
    assert chart["appVersion"] == own["image"]["tag"] == re.search(r"project\(cmesh VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    lock, common = yaml.safe_load((FASHION / "Chart.lock").read_text()), yaml.safe_load((COMMON / "Chart.yaml").read_text())
    assert common["version"] == chart["dependencies"][0]["version"] == lock["dependencies"][0]["version"]


def test_a_secret_is_the_same_for_the_database_and_for_its_service():
    things = objects(rendered(EMBEDDED))
    made = find(things, "Secret", "fashion-postgres")["data"]
    assert made.keys() == {"superuser", *SERVICES} and len(set(made.values())) == len(SERVICES) + 1
    for service in SERVICES:
        url = base64.b64decode(find(things, "Secret", f"fashion-{service}-database")["data"]["url"]).decode()
        secret = base64.b64decode(made[service]).decode()
        assert url == f"postgresql://fashion_{service}:{secret}@fashion-postgres.shop.svc.cluster.local:5432/fashion"


def test_the_readme_is_what_helm_docs_writes_and_every_value_is_in_it(tmp_path):
    chart = tmp_path / "fashion"
    chart.mkdir()
    for name in ("Chart.yaml", "values.yaml", "README.md.gotmpl"):
        (chart / name).write_text((FASHION / name).read_text())
    subprocess.run([os.environ["HELM_DOCS"], "-c", str(chart)], capture_output=True, check=True)
    assert (chart / "README.md").read_text() == (FASHION / "README.md").read_text(), "helm-docs -c helm/fashion"
    assert not re.findall(r"^.*\|  \|$", (FASHION / "README.md").read_text(), re.M)
