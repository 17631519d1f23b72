"""The pages of datasets: what there is, how it is, where it comes from and what is built from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from metrics import datasets
from metrics.models import Build, Dataset
from portal.datasets import State, look
from quality import dbt_checks
from quality.models import Outcome
from sources.models import Source, Stream
from tests import factories as make
from tests.portal.views.test_status import text_of
from tests.projects import READS, built, project, rule_doc, rule_ran, with_nodes

pytestmark = pytest.mark.django_db

RULES = [rule_doc(f"{relation.partition('.')[2]}_is_right", relation) for relation in READS if "raw" not in relation]


@dataclass
class World:
    source: Source
    stream: Stream
    build: Build


@pytest.fixture
def world() -> World:
    """Stripe is connected and read five minutes ago, everything is built, checked and published; nobody has GitHub."""
    source = make.SourceFactory(slug="stripe", name="Stripe (billing)")
    stream = make.StreamFactory(source=source, name="invoices", freshness_minutes=60, table_rows=1204)
    make.synced(stream)
    build = a_build()
    make.PublicationFactory(build=build, finished_at=timezone.now() + timedelta(seconds=1))
    return World(source, stream, build)


def a_build(**status: str) -> Build:
    """A build that dbt ended like this; every rule passes."""
    build = make.BuildFactory()
    outcome = with_nodes(built(**status), *[rule_ran(rule, "pass", 0) for rule in RULES])
    datasets.record(build, outcome, project(*RULES))
    for node in outcome.nodes:
        make.BuildNodeFactory(
            build=build,
            unique_id=node.unique_id,
            name=node.name,
            resource_type=node.resource_type,
            relation=node.relation or "",
            status=node.status,
            rows=node.rows,
        )
    dbt_checks.record(build, project(*RULES))
    return build


def state(name: str) -> State:
    return look(timezone.now()).states[name]


def page_of(client, name: str) -> str:
    return text_of(client.get(reverse("dataset", args=[name])))


# --- states -------------------------------------------------------------------------------------------------------------
def test_what_is_built_from_fresh_data_with_every_check_passed_is_good(world):
    assert state("mart_finance.mrr").badge == "built"
    assert state("raw_stripe.invoices") == State("fresh", "Read 5 minutes ago.")


def test_what_no_source_brings_is_not_connected(world):
    assert state("raw_github.pulls").badge == "not_connected"


def test_a_stream_that_is_not_read_is_said(world):
    world.source.streams.update(is_enabled=False)
    assert state("raw_stripe.invoices").badge == "not_read"


def test_what_is_built_from_late_data_is_late_and_says_from_which(world):
    world.source.streams.update(freshness_minutes=1)
    assert state("raw_stripe.invoices").badge == "late"
    late = state("mart_finance.plan")
    assert late.badge == "late"
    assert late.sentence.endswith("but raw_stripe.invoices is late or cannot be read.")
    assert state("mart_engineering.pull_requests").badge != "late"


def test_a_failing_critical_check_is_worse_than_being_late(world):
    world.source.streams.update(freshness_minutes=1)
    make.CheckResultFactory(check_row__dataset="mart_finance.mrr", outcome=Outcome.FAIL)
    assert state("mart_finance.mrr") == State("check_fails", "1 critical check does not hold.")


@pytest.mark.parametrize(
    ("severity", "outcome", "badge"),
    [("warn", "warn", "check_warns"), ("warn", "error", "check_warns"), ("critical", "error", "check_fails")],
)
def test_checks_that_warn_warn(world, severity, outcome, badge):
    make.CheckResultFactory(check_row__dataset="mart_finance.mrr", check_row__severity=severity, outcome=outcome)
    assert state("mart_finance.mrr").badge == badge


def test_what_nobody_has_looked_at_is_not_green(world):
    make.CheckFactory(dataset="mart_finance.mrr")
    assert state("mart_finance.mrr").badge == "not_all_checked"
    make.DatasetFactory(name="mart_finance.alone")
    assert state("mart_finance.alone").badge == "not_checked"


def test_what_failed_and_what_stands_below_it(world):
    a_build(int_mrr="error", mrr="skipped", plan="skipped")
    assert state("intermediate.int_mrr").badge == "not_built"
    below = state("mart_finance.plan")
    assert below.badge == "left_as_it_was"
    assert below.sentence.startswith("It builds on intermediate.int_mrr, which could not be built.")
    assert state("mart_engineering.pull_requests").badge == "built"


def test_what_is_held_says_why_and_as_of_when_people_see_it(world):
    make.PublicationFactory(held=True)
    Dataset.objects.update(built_at=timezone.now() + timedelta(minutes=1))
    held = state("mart_finance.mrr")
    assert held.badge == "held"
    assert "because MRR is plausible" in held.sentence
    assert "People see those of" in held.sentence


def test_a_dashboard_is_as_bad_as_the_worst_it_shows(world):
    seen = look(timezone.now())
    exposure = seen.graph.exposures["executive_dashboard"]
    assert seen.of_exposure(exposure).badge == "built"
    make.CheckResultFactory(check_row__dataset="mart_finance.plan", outcome=Outcome.FAIL)
    found = look(timezone.now()).of_exposure(exposure)
    assert (found.badge, found.sentence) == ("check_fails", "mart_finance.plan: 1 critical check does not hold.")


# --- the list -----------------------------------------------------------------------------------------------------------
def test_the_list_has_every_dataset_in_its_layer(world, reader):
    page = reader.get(reverse("datasets"))
    layers = {layer.key: [row.dataset.name for row in layer.rows] for layer in page.context["layers"]}
    assert layers["raw"] == ["raw_github.pulls", "raw_stripe.invoices"]
    assert layers["mart"] == ["mart_engineering.pull_requests", "mart_finance.mrr", "mart_finance.plan"]
    assert set(layers) == {"raw", "staging", "intermediate", "mart"}
    assert "Dashboard: Executive" in text_of(page)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("pull", {"raw_github.pulls", "staging.stg_pulls", "mart_engineering.pull_requests"}),
        ("THING mrr", {"intermediate.int_mrr", "mart_finance.mrr"}),
        ("amount plan", {"mart_finance.plan"}),
        ("nothing like it", set()),
    ],
)
def test_names_descriptions_and_columns_are_searched(world, reader, words, names):
    page = reader.get(reverse("datasets"), {"q": words})
    assert {row.dataset.name for layer in page.context["layers"] for row in layer.rows} == names
    if not names:
        assert "No dataset is about “nothing like it”." in text_of(page)


def test_the_list_can_be_narrowed_to_what_needs_attention(world, reader):
    page = reader.get(reverse("datasets"), {"show": "attention"})
    assert "Nothing needs attention." in text_of(page)
    make.CheckResultFactory(check_row__dataset="mart_finance.plan", outcome=Outcome.FAIL)
    page = reader.get(reverse("datasets"), {"show": "attention"})
    assert [row.dataset.name for layer in page.context["layers"] for row in layer.rows] == ["mart_finance.plan"]
    assert [row.exposure.name for row in page.context["shown"]] == ["executive_dashboard"]


def test_before_the_first_build_the_list_says_so(reader):
    assert "Datasets are known after the first build." in text_of(reader.get(reverse("datasets")))


# --- a dataset ----------------------------------------------------------------------------------------------------------
def test_a_page_tells_what_it_is_when_it_was_built_and_what_was_checked(world, reader):
    page = page_of(reader, "mart_finance.mrr")
    assert "One row a thing of mrr." in page
    assert "One row is one thing · finance answers for it" in page
    assert "Which thing it is." in page
    assert "MRR is right" in page
    assert "It comes from Stripe (billing)." in page
    assert "1 table is built from it; 1 is a mart. People see it in Dashboard: Executive" in page


def test_the_person_on_call_sees_what_is_affected_by_a_late_stream(world, reader):
    page = page_of(reader, "raw_stripe.invoices")
    assert "4 tables are built from it; 2 are marts. People see it in Dashboard: Executive" in page
    assert "at most 1 hour old" in page
    assert "1,204" in page


def test_the_picture_leads_from_the_source_to_the_dashboard(world, reader):
    answer = reader.get(reverse("dataset", args=["mart_finance.mrr"]))
    lanes = [(title, [one.box.name for one in boxes]) for title, _, boxes in answer.context["picture"].lanes]
    assert lanes == [
        ("Sources", ["Stripe (billing)"]),
        ("Raw tables", ["invoices"]),
        ("Staging", ["stg_invoices"]),
        ("Intermediate", ["int_mrr"]),
        ("Marts", ["mrr", "plan"]),
        ("Dashboards", ["Dashboard: Executive"]),
    ]
    html = answer.content.decode()
    assert 'aria-label="stg_invoices: built. Reads invoices."' in html
    assert 'href="/datasets/raw_stripe.invoices/"' in html


def test_what_failed_shows_dbts_words_to_engineers(world, reader):
    a_build(int_mrr="error", mrr="skipped", plan="skipped")
    page = page_of(reader, "intermediate.int_mrr")
    assert "The last build could not make it." in page
    assert "Binder Error: no such column" in page


def test_where_a_dashboard_comes_from(world, reader):
    page = text_of(reader.get(reverse("shown", args=["executive_dashboard"])))
    assert "It comes from Stripe (billing)." in page
    assert "Open the dashboard" in page
    assert "pull_requests" not in page


def test_only_who_may_see_checks_is_led_to_them(world, reader, staff):
    assert "/admin/quality/check/" not in reader.get(reverse("dataset", args=["mart_finance.mrr"])).content.decode()
    assert "/admin/quality/check/" in staff.get(reverse("dataset", args=["mart_finance.mrr"])).content.decode()


def test_what_does_not_exist_is_not_found(world, reader):
    for route in ("dataset", "shown"):
        assert reader.get(reverse(route, args=["nothing.here"])).status_code == 404


# --- ways there ---------------------------------------------------------------------------------------------------------
def test_other_pages_lead_there(world, staff):
    check = make.CheckFactory(dataset="mart_finance.mrr")
    incident = make.IncidentFactory(kind="check", check_row=check)
    way = reverse("dataset", args=["mart_finance.mrr"])
    for address in (
        reverse("source", args=["stripe"]),
        reverse("build", args=[world.build.pk]),
        reverse("incident", args=[incident.pk]),
        reverse("admin:quality_check_change", args=[check.pk]),
    ):
        assert way in staff.get(address).content.decode(), address
    raw = reverse("dataset", args=["raw_stripe.invoices"])
    assert raw in staff.get(reverse("source", args=["stripe"])).content.decode()
    assert raw in staff.get(reverse("admin:sources_source_stream", args=[world.stream.pk])).content.decode()


# --- cost ---------------------------------------------------------------------------------------------------------------
def test_the_number_of_queries_does_not_grow(world, reader):
    addresses = [
        reverse("datasets"),
        reverse("dataset", args=["mart_finance.mrr"]),
        reverse("shown", args=["executive_dashboard"]),
    ]

    def asked(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert reader.get(address).status_code == 200
        return len(captured)

    before = [asked(address) for address in addresses]
    mart = Dataset.objects.get(name="mart_finance.mrr")
    for number in range(20):
        source = make.SourceFactory(streams=2)
        for stream in source.streams.all():
            make.synced(stream)
            row = make.DatasetFactory(name=f"raw_{number}.{stream.name}", layer="raw", source=source, stream=stream)
            mart.reads.add(row)
        exposure = make.ExposureFactory()
        exposure.reads.add(mart)
        make.CheckResultFactory(check_row__dataset="mart_finance.mrr")
    assert [asked(address) for address in addresses] == before
    assert max(before) <= 14
