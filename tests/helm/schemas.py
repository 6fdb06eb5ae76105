#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""schemas.py OUT SWAGGER CRDS...: writes the schema of each kind that Kubernetes' OpenAPI document and files with
CustomResourceDefinitions know as OUT/GROUP/KIND_VERSION.json, for kubeconform. They are closed: a field that an API
server would drop is an error, and so is a null. Rules in CEL are left out."""
import json
import pathlib
import sys

import yaml

DEFINITIONS = "#/definitions/"
META = DEFINITIONS + "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
# The document says less or something else of these than what is sent.
LOOSE = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {"type": "object"},
}
SAID = ("description", "default", "example", "nullable", "format")


def closed(node, condition=False):
    """A copy with all objects closed, in plain JSON Schema. What stands below anyOf, not and the like only adds a condition."""
    if isinstance(node, list):
        return [closed(item, condition) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"]}
    copy = {}
    for key, value in node.items():
        if key.startswith("x-kubernetes-") or key in SAID:
            continue
        if key == "properties":
            copy[key] = {name: closed(member, condition) for name, member in value.items()}
        elif isinstance(value, dict) or key in ("allOf", "anyOf", "oneOf"):
            copy[key] = closed(value, condition or key in ("allOf", "anyOf", "oneOf", "not"))
        else:
            copy[key] = value
    is_open = node.get("x-kubernetes-preserve-unknown-fields") or node.get("x-kubernetes-embedded-resource")
    if "properties" in copy and not (is_open or condition):
        copy.setdefault("additionalProperties", False)
    return copy


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(DEFINITIONS)
        node = list(node.values())
    if isinstance(node, list):
        for member in node:
            yield from references(member)


def needed(schema, definitions):
    found, todo = {}, list(references(schema))
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = definitions[name]
            todo.extend(references(definitions[name]))
    return found


def write(out, group, version, kind, schema, definitions):
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", **schema, "additionalProperties": False}
    schema["properties"] = schema["properties"] | {
        "apiVersion": {"enum": [f"{group}/{version}" if group else version]}, "kind": {"enum": [kind]},
        "metadata": {"$ref": META}}
    schema["required"] = sorted({"apiVersion", "kind", *schema.get("required", [])})
    path = out / (group or version) / f"{kind.lower()}_{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema | {"definitions": needed(schema, definitions)}))


def main(out, swagger, *crds):
    out = pathlib.Path(out)
    raw = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    definitions = {name: LOOSE.get(name) or closed(schema) for name, schema in raw.items()}
    for name, schema in raw.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        if len(kinds) == 1 and "metadata" in schema.get("properties", {}):
            write(out, kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"], definitions[name], definitions)
    for path in crds:
        for crd in yaml.safe_load_all(pathlib.Path(path).read_text()):
            for version in crd["spec"]["versions"] if crd else ():
                if version["served"]:
                    write(out, crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"],
                          closed(version["schema"]["openAPIV3Schema"]), definitions)


if __name__ == "__main__":
    main(*sys.argv[1:])
