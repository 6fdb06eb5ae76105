# SPDX-License-Identifier: Apache-2.0
"""What the chart renders of each of its own examples."""
import pytest
import yaml

from charts import CI, objects, rendered


@pytest.fixture(scope="session", params=CI, ids=lambda path: path.stem)
def text(request):
    return rendered(yaml.safe_load(request.param.read_text()))


@pytest.fixture(scope="session")
def things(text):
    return objects(text)
