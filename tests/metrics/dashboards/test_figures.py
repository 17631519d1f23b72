"""Figures: valid for Plotly, honest axes, one colour a movement in light and dark."""

from __future__ import annotations

import json
import re
from datetime import date
from importlib import import_module

import pytest
from django.conf import settings

from metrics.dashboards import figures
from metrics.dashboards.choices import read_query
from metrics.dashboards.dash_app import update
from metrics.dashboards.registry import DASHBOARDS
from tests.metrics.dashboards.published import publish

pytestmark = pytest.mark.slow

CHARTS = [
    ("executive", "mrr"),
    ("executive", "movers"),
    ("mrr", "waterfall"),
    ("mrr", "months"),
    ("retention", "revenue"),
    ("retention", "churn"),
    ("retention", "ages"),
]


def figure_of(key: str, chart: str, search: str = "", location: str = "a.duckdb") -> dict:
    asked = {"output": f"graph-{chart}.figure", "inputs": [{"id": "url", "property": "search", "value": search}]}
    answer = update(key, f"/dashboards/{key}/dash/", asked, location)
    return json.loads(answer)["response"][f"graph-{chart}"]["figure"]


@pytest.mark.parametrize(("key", "chart"), CHARTS)
@pytest.mark.parametrize("search", ["", "?months=12&month=2026-02&by=customers"])
def test_plotly_accepts_every_figure(key, chart, search):
    from plotly.graph_objects import Figure

    publish("a.duckdb")
    found = figure_of(key, chart, search)
    assert found["data"]
    Figure(found)  # validates each property
    assert found["layout"]["showlegend"] is False


@pytest.mark.parametrize(("key", "chart"), CHARTS)
def test_without_its_marts_a_chart_is_empty(key, chart):
    publish("a.duckdb", without=DASHBOARDS[key].marts)
    assert figure_of(key, chart)["data"] == []


def test_every_colour_has_a_counterpart_in_the_stylesheet():
    css = (settings.BASE_DIR / "static" / "portal" / "dashboards.css").read_text()
    for name, colour in figures.COLOURS.items():
        for attribute in ("fill", "stroke"):
            rule = f'.plot [style*="{attribute}: {colour}"] {{ {attribute}: var(--movement-{name}) !important; }}'
            assert rule in css
        assert re.search(rf"--movement-{name}: light-dark\({re.escape(colour)}, #\w+\);", css)


@pytest.mark.parametrize(
    ("lowest", "highest"), [(3.0, 24_590.0), (-1800.0, 0.0), (-20.0, 300.0), (0.0, 0.0), (5.0, 5.0)]
)
def test_an_axis_of_money_has_a_zero_and_reaches_every_value(lowest, highest):
    found = figures.money_axis(lowest, highest, "usd")
    assert 0 in found["tickvals"]
    assert found["range"][0] <= min(lowest, 0)
    assert found["range"][1] >= max(highest, 0)
    assert found["range"][0] < found["range"][1]
    assert len(found["tickvals"]) <= 7


def test_money_on_an_axis_has_its_sign_before_the_currency():
    assert figures.short_money(-1500, "usd") == "−$1.5k"
    assert figures.short_money(25_000, "eur") == "€25k"
    assert figures.short_money(25_000, "chf") == "25k CHF"


def test_names_of_lines_that_end_close_together_are_kept_apart():
    near = [figures.End(date(2026, 11, 1), value, "x", "y", "new") for value in (100.0, 101.0)]
    _, labels = figures.ends(near, [0, 400])
    assert labels[1]["yshift"] - labels[0]["yshift"] >= figures.NAME_PIXELS - 1
    far = [figures.End(date(2026, 11, 1), value, "x", "y", "new") for value in (100.0, 300.0)]
    assert [label["yshift"] for label in figures.ends(far, [0, 400])[1]] == [0, 0]


def test_bars_of_the_waterfall_begin_where_the_step_before_ended():
    publish("a.duckdb")
    bars = figure_of("mrr", "waterfall")["data"][0]
    reached = 0.0
    for base, value in list(zip(bars["base"], bars["x"], strict=True))[:-1]:
        assert base == pytest.approx(reached, abs=0.01)
        reached = base + value
    assert bars["base"][-1] == 0
    assert bars["x"][-1] == pytest.approx(reached, abs=0.01)


def test_a_click_on_a_month_leads_to_it_and_keeps_the_rest():
    publish("a.duckdb")
    asked = {
        "output": "go.href",
        "inputs": [{"id": "graph-months", "property": "clickData", "value": {"points": [{"x": "2026-03-01"}]}}],
        "state": [{"id": "url", "property": "search", "value": "?months=12"}],
    }
    answer = json.loads(update("mrr", "/dashboards/mrr/dash/", asked, "a.duckdb"))
    assert answer["response"]["go"]["href"] == "?month=2026-03&months=12"
    asked["inputs"][0]["value"] = {"points": [{"x": "=evil"}]}
    assert update("mrr", "/dashboards/mrr/dash/", asked, "a.duckdb") is None


@pytest.mark.parametrize("key", DASHBOARDS)
def test_every_chart_of_a_page_is_drawn_by_its_app(key):
    publish("a.duckdb")
    from metrics.dashboards.published import Published
    from metrics.manifest import ProjectDoc

    module, _, name = DASHBOARDS[key].app.rpartition(".")
    app = getattr(import_module(module), name)
    drawn = {child.id for child in app.layout.children if child.id.startswith("chart-")}
    board = DASHBOARDS[key].read(Published("a.duckdb"), read_query(""), ProjectDoc())
    assert drawn == {f"chart-{section.key}" for section in board.sections if section.has_chart}
