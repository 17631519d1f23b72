"""Dash's endpoints: real callbacks, log-in, CSRF, and requests that make no sense."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from metrics.dashboards.registry import DASHBOARDS
from portal.models import Publication
from tests import factories as make
from tests.metrics.dashboards.test_figures import CHARTS
from tests.portal.views.dashboards import with_dashboards

pytestmark = pytest.mark.slow

QUERIES_LIMIT = 3  # session, user, publication


def asked(chart: str, search: str = "") -> dict:
    return {
        "output": f"graph-{chart}.figure",
        "outputs": {"id": f"graph-{chart}", "property": "figure"},
        "inputs": [{"id": "url", "property": "search", "value": search}],
        "changedPropIds": ["url.search"],
        "state": [],
    }


def address(key: str, publication: int | None = None) -> str:
    return reverse("dash_update", args=[key, publication or Publication.objects.current().pk])


def post(client, key: str, body: object, publication: int | None = None):
    said = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.post(address(key, publication), said, content_type="application/json")


@pytest.mark.parametrize(("key", "chart"), CHARTS)
def test_every_callback_draws(reader, key, chart):
    with_dashboards()
    answer = post(reader, key, asked(chart))
    assert answer.status_code == 200
    assert answer.json()["response"][f"graph-{chart}"]["figure"]["data"]


def test_a_callback_follows_the_address(reader):
    with_dashboards()
    few, many = (
        post(reader, "retention", asked("churn", search)).json()["response"]["graph-churn"]["figure"]["data"][0]["x"]
        for search in ("?months=12", "")
    )
    assert len(few) == 12
    assert len(many) == 24


def test_every_callback_the_browser_is_told_of_can_be_called(reader):
    with_dashboards()
    pk = Publication.objects.current().pk
    for key in DASHBOARDS:
        layout = reader.get(reverse("dash_layout", args=[key, pk])).json()
        known = set(re.findall(r'"id": ?"([\w-]+)"', json.dumps(layout)))
        for callback in reader.get(reverse("dash_dependencies", args=[key, pk])).json():
            assert callback["output"].split(".")[0] in known
            assert {one["id"] for one in [*callback["inputs"], *callback["state"]]} <= known


@pytest.mark.django_db
def test_nobody_reads_through_callbacks_without_logging_in(client):
    with_dashboards()
    pk = Publication.objects.current().pk
    assert post(client, "mrr", asked("months")).status_code == 302
    for name in ("dash_layout", "dash_dependencies"):
        assert client.get(reverse(name, args=["mrr", pk])).status_code == 302


def test_a_callback_needs_the_csrf_token_that_the_page_names(db):
    with_dashboards()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make.UserFactory())
    html = client.get("/dashboards/mrr/").content.decode()
    config = json.loads(re.search(r'id="_dash-config"[^>]*>(.*?)</script>', html)[1])
    assert post(client, "mrr", asked("months")).status_code == 403
    token = client.cookies[config["csrf_token_name"]].value
    answer = client.post(
        address("mrr"),
        json.dumps(asked("months")),
        content_type="application/json",
        headers={config["csrf_header_name"]: token},
    )
    assert answer.status_code == 200


def test_the_page_tells_dash_nothing_it_need_not_know(reader):
    with_dashboards()
    html = reader.get("/dashboards/mrr/").content.decode()
    config = re.search(r'id="_dash-config"[^>]*>(.*?)</script>', html)[1]
    assert "plotly.com" not in config
    assert "python_version" not in config
    assert json.loads(config)["requests_pathname_prefix"] == address("mrr").removesuffix("_dash-update-component")
    # Nothing that runs is written into the page itself.
    assert not [
        one for one in re.findall(r"<script([^>]*)>", html) if "src=" not in one and "application/json" not in one
    ]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "nonsense",
        b"\xff\xfe",
        "[]",
        "{}",
        '{"output": "graph-months.figure"}',
        '{"output": "nothing.figure"}',
        '{"output": ["a"]}',
        '{"output": "graph-months.figure", "inputs": [{"id": "url", "property": "href", "value": "?"}]}',
        '{"output": "graph-months.figure", "inputs": [[{"id": "url", "property": "search"}]]}',
        '{"output": "graph-months.figure", "inputs": 3}',
        '{"output": "graph-months.figure", "inputs": [{"id": 1}]}',
    ],
)
def test_nonsense_is_refused_and_breaks_nothing(reader, body):
    with_dashboards()
    assert post(reader, "mrr", body).status_code in (204, 400)


@pytest.mark.parametrize("search", [None, 7, ["a"], {}, "?month=last&months=many"])
def test_a_choice_that_makes_no_sense_draws_the_default(reader, search):
    with_dashboards()
    assert post(reader, "mrr", asked("months", search)).json() == post(reader, "mrr", asked("months")).json()


@pytest.mark.parametrize("click", [None, 7, [], {"points": []}, {"points": [3]}, {"points": [{"x": ["a"]}]}])
def test_a_click_on_nothing_changes_nothing(reader, click):
    with_dashboards()
    body = {
        "output": "go.href",
        "inputs": [{"id": "graph-months", "property": "clickData", "value": click}],
        "state": [{"id": "url", "property": "search", "value": ""}],
    }
    assert post(reader, "mrr", body).status_code == 204


def test_a_mistake_of_ours_is_not_called_nonsense_of_the_reader(reader, monkeypatch):
    with_dashboards()
    monkeypatch.setattr("metrics.dashboards.mrr.read", lambda *_: {}["gone"])
    reader.raise_request_exception = False
    assert post(reader, "mrr", asked("months")).status_code == 500


def test_what_is_not_there_is_not_found(reader):
    with_dashboards()
    held = make.PublicationFactory(held=True)
    for key, publication in (("nothing", None), ("mrr", 4711), ("mrr", held.pk)):
        assert post(reader, key, asked("months"), publication).status_code == 404
    assert reader.get("/dashboards/nothing/dash/1/_dash-layout").status_code == 404


def test_a_version_that_cannot_be_read_any_more_is_said(reader):
    with_dashboards()
    gone = make.PublicationFactory(location="gone.duckdb")
    answer = post(reader, "mrr", asked("months"), gone.pk)
    assert answer.status_code == 503
    assert "cannot be found on this machine" in answer.content.decode()


def test_charts_show_the_version_of_their_page_after_a_newer_one_came(reader):
    portal = with_dashboards()
    before = post(reader, "mrr", asked("months")).json()
    make.PublicationFactory(location="newer.duckdb")
    assert post(reader, "mrr", asked("months"), portal.publication.pk).json() == before


def test_a_callback_costs_few_queries_and_writes_nothing(reader):
    with_dashboards()
    post(reader, "mrr", asked("months"))
    with CaptureQueriesContext(connection) as captured:
        post(reader, "mrr", asked("months"))
    said = [query["sql"] for query in captured if query["sql"].startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]
    assert all(sql.startswith("SELECT") for sql in said)
    # One more to find the address of the publication in this test.
    assert len(said) <= QUERIES_LIMIT + 1


def test_scripts_are_kept_by_the_browser_and_come_from_here(reader):
    with_dashboards()
    html = reader.get("/dashboards/mrr/").content.decode()
    address = next(one for one in re.findall(r'src="([^"]+)"', html) if "dash_renderer" in one)
    answer = reader.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/static/dash/component/dash/dash-renderer/build/")
    assert "immutable" in answer["Cache-Control"]


def test_a_path_that_leaves_the_packages_leads_nowhere_else(reader):
    answer = reader.get("/dashboards/mrr/dash/_dash-component-suites/https://evil.example/x.js")
    assert answer.status_code in (302, 404)
    assert answer.headers.get("Location", "/static/").startswith("/static/")
