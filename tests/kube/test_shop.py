# SPDX-License-Identifier: Apache-2.0
"""A whole shop on real nodes, from install to uninstall. Each test leaves it as the next one wants it: well.

Under load means: customers place orders and look around all the while. Afterwards the books are right: no order, event,
payment, delivery or article is lost or doubled, whatever went on.
"""
import json
import statistics
import time
from datetime import datetime

import pytest

from books import wait_until_right
from charts import EMBEDDED
from cluster import SERVICES, eventually
from conftest import version
from customers import Strict
from kube import READY_S, RELEASE, Shop, kubectl
from load import Load
from store import PAYMENT_PENDING, PLACED, SHIPPED, Store, new_id

STOCK = 1000000
SETTLED_S = 60
POLICY_S = 180  # the kubelet looks every minute or so
SOME = 60  # orders
CANNOT_SERVE = {"services": {"payment": {"settings": {"PGSSLMODE": "require"}}}}  # lives, but its database has no TLS


@pytest.fixture(scope="module")
def before(namespace):
    return everything(namespace)


@pytest.fixture(scope="module")
def shop(namespace, before, images, figures):
    shop = Shop(namespace, EMBEDDED)
    began = time.monotonic()
    shop.deploy("install")
    shop.wait_until_settled()
    figures("install to all Ready", f"{time.monotonic() - began:.1f} s")
    return shop


@pytest.fixture
def store(shop):
    with Store(shop) as store:
        yield store


@pytest.fixture
def products(store):
    return [store.register(stock=STOCK) for _ in range(4)]


@pytest.fixture
def right(shop, store, products):
    """right(load): the books are."""
    return lambda load: wait_until_right(shop, store, products, STOCK, load.result(), SETTLED_S)


def everything(namespace):
    """Names of all that is in the namespace, but for what happened in it."""
    kinds = [k for k in kubectl("api-resources", "--verbs=list", "--namespaced", "-o", "name").split() if not k.startswith("events")]
    return set(kubectl("get", ",".join(kinds), "--namespace", namespace, "-o", "name", "--ignore-not-found").split())


def order_is_placed(store, product):
    return store.get_order(store.place(product, customer=new_id()).order.order_id).status in (PLACED, SHIPPED)


# ---- install -----------------------------------------------------------------------------------

def test_an_install_makes_everything_ready_and_restarts_nothing(shop, figures):
    assert len(shop.pods()) == len(SERVICES) + 2 and shop.restarts() == 0
    for pod in shop.pods():
        figures(f"start to Ready, {name_of(pod)}", f"{seconds_to_ready(pod):.0f} s")


def name_of(pod):
    return pod["metadata"]["labels"]["app.kubernetes.io/name"].removeprefix(f"{RELEASE}-")


def seconds_to_ready(pod):
    ready = next(c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return (datetime.fromisoformat(ready) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()


def fail_helm_test(shop):
    """A payment without an id is asked for."""
    with shop.changed({"tests": {"calls": {"none": {"service": "payment", "method": "fashion.payment.v1.PaymentService/GetPayment"}}}}):
        assert shop.helm("test", "--timeout", "60s", check=False).returncode != 0


def test_helm_test_fails_if_a_call_is_not_answered_and_succeeds(shop):
    fail_helm_test(shop)
    assert "Succeeded" in shop.helm("test", "--timeout", "60s").stdout  # which takes the pod of the other one away


def test_an_order_by_grpcurl_through_the_services_of_the_release(shop):
    coat = f"coat-{new_id()}"
    grpcurl(shop, "product", "fashion.product.v1.ProductService/RegisterProduct",
            {"request_id": new_id(), "code": coat, "name": "Coat", "size": "M", "unit_price_krw": 120000, "stock": 10})
    order = grpcurl(shop, "order", "fashion.order.v1.OrderService/PlaceOrder",
                    {"request_id": new_id(), "customer_id": coat, "product_code": coat, "size": "M", "quantity": 2})["order"]
    assert (order["status"], order["totalKrw"]) == ("ORDER_STATUS_PLACED", "240000")

    def row():
        rows = grpcurl(shop, "customercenter", "fashion.customercenter.v1.DashboardService/ListDashboards", {"customer_id": coat})
        return [row["deliveryStatus"] for row in rows.get("dashboards", [])] == ["DELIVERY_STATUS_STARTED"]

    eventually(row, 30, "it is delivered")


def grpcurl(shop, service, method, request):
    """What a pod in the cluster is answered, one that may call the services."""
    name = f"grpcurl-{new_id()[:8]}"
    image = f"{shop.values['image']['registry']}/cmesh-client:{version()}"
    labels = f"app.kubernetes.io/name={RELEASE}-client,app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=test"
    shop.kubectl("run", name, "--image", image, "--labels", labels, "--restart", "Never", "--",
                 "-plaintext", "-d", json.dumps(request), f"{RELEASE}-{service}:9090", method)
    shop.kubectl("wait", f"pod/{name}", "--for", "jsonpath={.status.phase}=Succeeded", "--timeout", "60s")
    answer = shop.kubectl("logs", name)
    shop.kubectl("delete", "pod", name)
    return json.loads(answer)


# ---- what was made -----------------------------------------------------------------------------

def test_FS_O_5_CP_32_order_is_scaled_at_a_fifth_of_its_cpu_to_five_pods_at_most(shop):
    (scaler,) = shop.get("hpa")["items"]
    spec = scaler["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{RELEASE}-order"}
    assert (spec["minReplicas"], spec["maxReplicas"]) == (1, 5)
    (metric,) = spec["metrics"]
    assert metric["containerResource"] == {"container": "order", "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 20}}
    (order,) = shop.pods("order")
    (container,) = order["spec"]["containers"]
    assert container["name"] == "order" and container["resources"]["requests"]["cpu"]  # what a share is taken of
    # It found its target; whether it may act depends on a metrics server.
    eventually(lambda: any(c["type"] == "AbleToScale" and c["status"] == "True" for c in shop.get("hpa")["items"][0]["status"].get("conditions", [])),
               60, "the autoscaler has found its target")


def test_only_who_calls_is_let_in(shop):
    pods = {name_of(pod): pod["metadata"]["labels"] for pod in shop.pods()}
    policies = shop.get("networkpolicies")["items"]

    def may(caller, callee, port):
        sides = (("ingress", "from", callee, caller), ("egress", "to", caller, callee))
        return all(allows(policies, *side, pods, port) for side in sides)

    calls = {(caller, callee) for caller in pods for callee in SERVICES if may(caller, callee, 9090)}
    assert calls == {("order", peer) for peer in ("product", "payment", "delivery")}
    for store, port in (("postgres", 5432), ("nats", 4222)):
        assert {caller for caller in pods if may(caller, store, port)} == set(SERVICES)


def allows(policies, direction, side, who, other, pods, port):
    """Whether rules for `who`, of which there must be some, let it talk with `other`."""
    own = [p["spec"] for p in policies if p["spec"]["podSelector"]["matchLabels"].items() <= pods[who].items()]
    assert own and all(direction.capitalize() in spec["policyTypes"] for spec in own), who
    peers = [peer for spec in own for rule in spec.get(direction, []) if {"port": port, "protocol": "TCP"} in rule["ports"] for peer in rule[side]]
    return any(peer["podSelector"]["matchLabels"].items() <= pods[other].items() for peer in peers if "podSelector" in peer)


def test_FS_O_8_CP_36_a_value_of_the_configmap_reaches_delivery(shop, store, products):
    assert environment_of_an_order(shop, store, products[0]) == "PROD"
    others = shop.identities("order", "product", "payment", "customercenter")
    for value, told in (("STAGE", "STAGE"), (None, "LOCAL")):
        with shop.changed({"services": {"delivery": {"settings": {"SYSENV": value}}}}):
            assert environment_of_an_order(shop, store, products[0]) == told
    assert shop.identities("order", "product", "payment", "customercenter") == others


def environment_of_an_order(shop, store, product):
    order_id = store.place(product, customer=new_id()).order.order_id

    def said():
        lines = map(json.loads, shop.kubectl("logs", f"deployment/{RELEASE}-delivery", "-c", "delivery").splitlines())
        return [line["environment"] for line in lines if line.get("order_id") == order_id and "environment" in line]

    return eventually(said, 30, "delivery has told of the order")[0]


# ---- under load --------------------------------------------------------------------------------

@pytest.mark.parametrize("service", SERVICES)
def test_CP_30_a_pod_is_deleted_under_load_and_comes_again(shop, store, products, right, figures, service):
    old = shop.identities(service)
    with Load(store, products) as load:
        load.wait_for_more(SOME)
        began = time.monotonic()
        shop.delete_pods(service)
        figures(f"pod of {service} deleted to new one Ready, old one gone", f"{time.monotonic() - began:.1f} s")
        load.wait_for_more(SOME)
    assert old.isdisjoint(shop.identities(service))
    right(load)


def test_CP_30_a_process_that_hangs_is_restarted(shop, store, products, right, figures):
    (pod,) = shop.pods("customercenter")
    restarts = shop.restarts()
    with Load(store, products) as load:
        load.wait_for_more(SOME)
        began = time.monotonic()
        hang(shop, pod)
        eventually(lambda: shop.restarts() > restarts, READY_S, "it is restarted")
        figures("process hangs to restart by its liveness probe", f"{time.monotonic() - began:.0f} s")
        shop.wait_until_settled()
        load.wait_for_more(SOME)
    assert shop.pods("customercenter")[0]["metadata"]["uid"] == pod["metadata"]["uid"]
    right(load)


# A pod's name in a control group has "-" or "_", by who makes the groups.
STOP_SERVICE = r"""
for process in /proc/[0-9]*; do
    if grep -qs "fashion-customercenter" "$process/cmdline" && grep -qsE "${UID_OF_POD//-/[-_]}" "$process/cgroup"; then
        kill -STOP "${process#/proc/}" && exit 0
    fi
done
exit 1
"""


def hang(shop, pod):
    """Stops the process of a pod, from a pod that sees the processes of its node: only from there the first one of a container can be."""
    name = "hang"
    container = {"name": name, "image": f"{shop.values['image']['registry']}/cmesh-client:{version()}", "command": ["bash", "-c", STOP_SERVICE],
                 "env": [{"name": "UID_OF_POD", "value": pod["metadata"]["uid"]}], "securityContext": {"privileged": True, "runAsUser": 0}}
    spec = {"hostPID": True, "restartPolicy": "Never", "nodeName": pod["spec"]["nodeName"], "containers": [container]}
    shop.kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}))
    shop.kubectl("wait", f"pod/{name}", "--for", "jsonpath={.status.phase}=Succeeded", "--timeout", "60s")
    shop.kubectl("delete", "pod", name)


def test_FS_O_7_CP_34_no_call_fails_while_every_service_is_rolled(shop, products, right, figures):
    load = rolled_under_load(shop, products, "with")
    figures("rolled under load, with readiness", load.report())
    figures("pod start to Ready, images present, median", f"{statistics.median(map(seconds_to_ready, shop.pods(*SERVICES))):.0f} s")
    assert load.failures == {}
    right(load)


def test_CP_34_no_call_moves_to_a_version_that_cannot_serve(shop, products, right, figures):
    before = shop.values
    with Strict(shop, products) as load:
        load.wait_for_more(SOME)
        process = shop.deploy("upgrade", CANNOT_SERVE, seconds=30, check=False)
        load.wait_for_more(SOME)
        shop.values = before
        shop.upgrade({})
    figures("a version that cannot serve, with readiness", load.report())
    assert process.returncode != 0 and "fashion-payment" in process.stderr
    assert load.failures == {}
    right(load)


def test_CP_34_calls_fail_if_the_readiness_gate_is_off(shop, products, right, figures):
    with shop.changed({"defaults": {"probes": {"readiness": {"enabled": False}}}}):
        load = rolled_under_load(shop, products, "without")
        figures("rolled under load, without readiness", load.report())
        right(load)
        with Strict(shop, products) as load:
            load.wait_for_more(SOME)
            with shop.changed(CANNOT_SERVE):
                load.wait_for_more(SOME)
    figures("a version that cannot serve, without readiness", load.report())
    assert load.failures != {}
    right(load)


def rolled_under_load(shop, products, what):
    old = shop.identities(*SERVICES)
    with Strict(shop, products) as load:
        load.wait_for_more(SOME)
        shop.roll(what)
        load.wait_for_more(SOME)
    assert old.isdisjoint(shop.identities(*SERVICES))
    return load


def test_a_change_of_the_policy_reaches_running_pods(shop, store, products, figures):
    pods, restarts = shop.identities(), shop.restarts()
    assert order_is_placed(store, products[0])
    fault = {"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}}
    began = time.monotonic()
    with shop.changed({"mesh": {"routes": {"pay": {"fault": fault}}}}):
        eventually(lambda: store.place(products[0], customer=new_id()).order.status == PAYMENT_PENDING, POLICY_S, "the policy is in force")
        figures("policy change, `helm upgrade` to effect", f"{time.monotonic() - began:.0f} s")
        eventually(lambda: all(shop.metric(pod, "mesh_policy_reloads_total", result="ok") for pod in shop.pods(*SERVICES)), POLICY_S,
                   "every service has read it")
        began = time.monotonic()
    eventually(lambda: order_is_placed(store, products[0]), POLICY_S, "the old policy is in force")
    figures("policy change back, `helm upgrade` to effect", f"{time.monotonic() - began:.0f} s")
    assert (shop.identities(), shop.restarts()) == (pods, restarts)


def test_pods_take_less_memory_than_they_may(shop, figures):
    for pod in shop.pods():
        (container,) = pod["spec"]["containers"]
        used = eventually(lambda: memory_of(pod), 60, "the kubelet has looked")
        wanted, limit = (container["resources"][what]["memory"] for what in ("requests", "limits"))
        figures(f"memory, {name_of(pod)}", f"{used / 2**20:.0f} MiB, requested {wanted}, limit {limit}")
        if name_of(pod) in SERVICES:
            figures("  resident", f"{shop.metric(pod, 'process_resident_memory_bytes') / 2**20:.0f} MiB")
        assert wanted.endswith("Mi") and limit.endswith("Mi")
        assert used < int(limit.removesuffix("Mi")) * 2**20


def memory_of(pod):
    """What the kubelet counts against the limit; pages of programs that other pods run, too, are counted there."""
    stats = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary"))
    return sum(p.get("memory", {}).get("workingSetBytes", 0) for p in stats["pods"] if p["podRef"]["uid"] == pod["metadata"]["uid"])


def test_FS_O_5_order_is_scaled_from_one_to_five_and_back_under_load(shop, products, right, figures):
    shop.kubectl("delete", "hpa", f"{RELEASE}-order")  # it would have a word in it
    with Strict(shop, products) as load:
        load.wait_for_more(SOME)
        figures("order scaled from 1 to 5, to all Ready", f"{scale(shop, 5):.1f} s")
        load.wait_for_more(5 * SOME)
        served = [shop.metric(pod, "grpc_server_handled_total", grpc_method="PlaceOrder", grpc_code="OK")
                  for pod in shop.pods("order")]
        figures("order scaled from 5 to 1, to the others gone", f"{scale(shop, 1):.1f} s")
        load.wait_for_more(SOME)
    figures("order scaled from 1 to 5 to 1 under load", load.report())
    assert len(served) == 5 and all(served), served
    assert load.failures == {}
    right(load)
    shop.upgrade({})
    assert shop.get("hpa")["items"] != []


def scale(shop, replicas):
    began = time.monotonic()
    shop.kubectl("scale", f"deployment/{RELEASE}-order", f"--replicas={replicas}")
    shop.wait_until_settled()
    assert len(shop.pods("order")) == replicas
    return time.monotonic() - began


def test_an_upgrade_brings_a_migration_and_a_rollback_goes_on_with_it(shop, products, right, figures):
    def columns():
        return shop.query("select column_name from information_schema.columns where table_schema = 'fashion_order'"
                          " and table_name = 'orders' and column_name = 'note'")

    assert columns() == []
    old = shop.get("deployment", f"{RELEASE}-order")["spec"]["template"]["spec"]["containers"][0]["image"]
    with Strict(shop, products) as load:
        load.wait_for_more(SOME)
        before = shop.values
        shop.upgrade({"services": {"order": {"image": {"tag": f"{version()}-next"}}}})
        shop.values = before
        assert columns() == [("note",)]
        load.wait_for_more(SOME)
        shop.helm("rollback", "--wait", "--timeout", f"{READY_S}s")
        shop.wait_until_settled()
        load.wait_for_more(SOME)
    figures("upgrade with a migration and rollback under load", load.report())
    assert load.failures == {}
    assert {pod["spec"]["containers"][0]["image"] for pod in shop.pods("order")} == {old} and columns() == [("note",)]
    right(load)


# ---- data --------------------------------------------------------------------------------------

@pytest.mark.parametrize("server", ["postgres", "nats"])
def test_data_outlives_a_pod_of_the_stores(shop, store, products, right, server):
    pods, restarts = shop.identities(*SERVICES), shop.restarts()
    with Load(store, products) as load:
        load.wait_for_more(SOME)
        shop.delete_pods(server)
        load.wait_for_more(SOME)
    right(load)
    assert (shop.identities(*SERVICES), shop.restarts()) == (pods, restarts)


def test_an_uninstall_leaves_the_data_alone_and_an_install_finds_it(shop, store, before):
    orders = {order.order_id for order in store.all_orders()}
    fail_helm_test(shop)
    shop.close()
    shop.helm("uninstall", "--wait", "--cascade", "foreground", "--timeout", f"{READY_S}s")
    documented = {f"persistentvolumeclaim/data-{RELEASE}-{server}-0" for server in ("postgres", "nats")} | {f"pod/{RELEASE}-connect"}

    def nothing_else_is_left():
        left = everything(shop.namespace) - before
        assert left == documented, left
        return True

    eventually(nothing_else_is_left, 30)
    shop.deploy("install")
    shop.wait_until_settled()
    with Store(shop) as again:
        assert {order.order_id for order in again.all_orders()} == orders
        assert order_is_placed(again, again.register(stock=STOCK))
