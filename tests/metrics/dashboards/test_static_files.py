"""Dash's scripts come from this portal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dash.fingerprint import check_fingerprint
from django.contrib.staticfiles import finders

from metrics.dashboards.dash_app import scripts
from metrics.dashboards.registry import DASHBOARDS
from metrics.dashboards.static_files import DashFinder

pytestmark = pytest.mark.slow

LAZY = ["dash/dcc/async-graph.js", "plotly/package_data/plotly.min.js"]


@pytest.mark.parametrize("key", DASHBOARDS)
def test_every_script_of_a_page_is_found(key):
    found = [address.split("_dash-component-suites/")[1] for address in scripts(key, f"/dashboards/{key}/dash/")]
    assert found
    for path in [*found, *LAZY]:
        folder, _, name = path.rpartition("/")
        plain, _ = check_fingerprint(name)
        assert finders.find(f"dash/component/{folder}/{plain}"), path


def test_only_scripts_are_handed_out():
    listed = [name for name, _ in DashFinder().list(None)]
    assert 5 < len(listed) < 20
    assert all(name.endswith(".js") for name in listed)
    assert finders.find("dash/component/dash/dcc/../dash.py") is None


def test_the_chunks_that_draw_are_where_they_are_looked_for():
    core = Path(finders.find("dash/component/dash/dcc/dash_core_components.js")).read_text()
    assert re.search(r"async-graph", core)
