#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the values.schema.json of every system's chart from values.json and mesh-policy.schema.json, which stand here.

usage: write.py [--check]      --check writes nothing and fails if one would change
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
CHARTS = HERE.parent


def schema():
    """What holds for every chart: the values, with the definitions of the policy among their own."""
    values = json.loads((HERE / "values.json").read_text())
    policy = json.loads((HERE / "mesh-policy.schema.json").read_text())
    mesh = values["properties"]["mesh"]["properties"]
    for name in ("defaults", "routes", "destinations"):
        mesh[name] = policy["properties"][name]
    for name in ("defaultRoute", "route"):  # what stands beside attempts 0: the templates have a sentence for it
        retries = policy["$defs"][name]["properties"]["retries"]
        del retries["if"], retries["then"]
    assert not values["$defs"].keys() & policy["$defs"].keys()
    values["$defs"] |= policy["$defs"]
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main():
    text = schema()
    stale = [path for path in sorted(CHARTS.glob("*/values.yaml"))
             if not (schema_path := path.with_name("values.schema.json")).exists() or schema_path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.with_name('values.schema.json').relative_to(CHARTS.parent)} is not what helm/schema/write.py writes")
        sys.exit(1 if stale else 0)
    for path in stale:
        path.with_name("values.schema.json").write_text(text)


if __name__ == "__main__":
    main()
