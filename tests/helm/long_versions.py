# SPDX-License-Identifier: Apache-2.0
"""What the long run asks of the charts: kube-score's opinion, and Helm 3."""
import json
import os
import subprocess

import pytest
import yaml

from charts import FASHION, objects, rendered

CI = sorted((FASHION / "ci").glob("*-values.yaml"))
# What kube-score calls critical and stays, with the reason. (kinds, check): None for all kinds.
REASONS = {
    (None, "container-image-pull-policy"): "tags never move, `latest` is refused, and a digest can be given",
    (None, "container-resources:cpu limit"): "a service that is throttled misses its deadlines; nodes share by the requests",
    (("Job",), "pod-networkpolicy"): "a hook that runs before the release's own objects are there",
}


def values(path):
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_helm_3_renders_the_same_objects_as_helm_4(path):
    def without_chance(text):
        return [thing for thing in objects(text) if thing["kind"] != "Secret"]
    assert without_chance(rendered(values(path), helm=os.environ["HELM3"])) == without_chance(rendered(values(path)))


def reason_for(kind, check, comment):
    name = check["id"]
    if name == "container-resources" and comment["summary"] == "CPU limit is not set":
        name += ":cpu limit"
    return next((why for (kinds, known), why in REASONS.items() if known == name and (kinds is None or kind in kinds)), None)


@pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)
def test_what_kube_score_calls_critical_has_a_reason(path):
    process = subprocess.run([os.environ["KUBE_SCORE"], "score", "--kubernetes-version", "v1.36", "--output-format", "json", "-"],
                             input=rendered(values(path)), capture_output=True, text=True, check=False)
    scored = json.loads(process.stdout)
    assert len(scored) > 20
    unexplained = [(thing["object_name"], check["check"]["id"], comment["path"], comment["summary"])
                   for thing in scored for check in thing["checks"] if check["grade"] == 1 and not check["skipped"]
                   for comment in check["comments"] or [{"path": "", "summary": ""}] if not reason_for(thing["type_meta"]["kind"], check["check"], comment)]
    assert not unexplained
