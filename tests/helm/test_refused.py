# SPDX-License-Identifier: Apache-2.0
"""Values that must fail: each file in refused/ says in its head which sentence the user gets, what the
cluster does not know, and the name of the release."""
import pathlib
import re

import pytest
import yaml

from charts import APIS, EMBEDDED, overlay, template

REFUSED = sorted((pathlib.Path(__file__).parent / "refused").glob("*.yaml"))


def head(text, key):
    found = re.search(rf"^# {key}: (.*)$", text, re.M)
    return found and found[1]


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_wrong_values_are_refused_with_a_sentence(path):
    text = path.read_text()
    process = template(overlay(EMBEDDED, yaml.safe_load(text)), apis=[api for api in APIS if api != head(text, "without")],
                       release=head(text, "release") or "fashion")
    assert process.returncode != 0 and not process.stdout
    assert head(text, "says") in process.stderr


def test_there_are_enough_of_them():
    assert len(REFUSED) >= 25
