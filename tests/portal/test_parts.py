"""A failed dbt model keeps what stands below it from publishing, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import pytest
from django.urls import reverse
from django.utils import timezone

from metrics.dbt_types import MODEL_FAILED, BuildOutcome
from metrics.models import MetricSwitches
from portal import pipeline
from portal.failures import TerminalError
from portal.models import Publication
from portal.overview import look
from portal.trust import trust
from portal.verdict import judge
from portal.warehouse import get_warehouse
from quality.models import Incident
from sources.models import SyncRun
from sources.syncs import request_sync
from tests.factories import CheckFactory, SourceFactory, StreamFactory
from tests.portal.test_pipeline import follow
from tests.portal.views.test_status import text_of
from tests.projects import built, project, rule_doc, rule_ran, with_nodes

pytestmark = pytest.mark.django_db(transaction=True)

MARTS = ("mart_finance.mrr", "mart_finance.plan", "mart_engineering.pull_requests")
SENTENCE = "The dbt model intermediate.int_mrr could not be built."


@pytest.fixture
def source():
    source = SourceFactory(slug="stripe", name="Stripe")
    StreamFactory(source=source, name="invoices", freshness_minutes=60)
    return source


@pytest.fixture(autouse=True)
def documented(monkeypatch):
    monkeypatch.setattr("metrics.builds.documentation", lambda: project(rule_doc()))


def fill(number: int) -> None:
    """What dbt would have made of the candidates."""
    warehouse = get_warehouse()
    warehouse.path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(warehouse.path)) as connection:
        for mart in (*MARTS, "raw_stripe.invoices"):
            connection.execute(f"create schema if not exists {mart.partition('.')[0]}")
            connection.execute(f"create or replace table {mart} as select {number} as n")


def shown() -> dict[str, Any]:
    """Mart → its number in what people see; None: it is not there."""
    publication = Publication.objects.current()
    assert publication is not None
    there = get_warehouse().columns(publication.location)
    ask = get_warehouse().query
    return {
        mart: ask(publication.location, f"select n from {mart}").rows[0][0] if mart in there else None for mart in MARTS
    }


def broken(test_status: str = "skipped", **status: str) -> BuildOutcome:
    words = status or {"int_mrr": "error", "mrr": "skipped", "plan": "skipped"}
    outcome = with_nodes(built(**words), rule_ran(rule_doc(), test_status))
    return replace(outcome, error=TerminalError(SENTENCE, "Binder Error", kind=MODEL_FAILED))


def good() -> BuildOutcome:
    return with_nodes(built(), rule_ran(rule_doc(), "pass", 0))


def run(source, engine, dbt, outcome: BuildOutcome, number: int) -> Publication:
    """New data that dbt makes this of; the publication that came of it."""
    fill(number)
    engine.script = [{"invoices": 1}]
    dbt.script = [outcome]
    follow(pipeline.sync(request_sync(source).pk))
    return Publication.objects.latest("pk")


def test_what_stands_below_stays_and_the_rest_is_published(source, engine, dbt, sent):
    first = run(source, engine, dbt, good(), 1)
    second = run(source, engine, dbt, broken(), 2)

    assert second.outcome == Publication.Outcome.PUBLISHED
    assert shown() == {"mart_finance.mrr": 1, "mart_finance.plan": 1, "mart_engineering.pull_requests": 2}
    assert second.kept == {
        "mart_finance.mrr": {
            "because": "It builds on intermediate.int_mrr, which could not be built.",
            "publication": first.pk,
        },
        "mart_finance.plan": {
            "because": "It builds on intermediate.int_mrr, which could not be built.",
            "publication": first.pk,
        },
    }
    assert Incident.objects.open().get().sentence == SENTENCE
    assert SyncRun.objects.filter(awaits_build=True).exists(), "the next build takes the same news along"


def test_the_next_good_build_shows_everything_again(source, engine, dbt, sent):
    run(source, engine, dbt, good(), 1)
    run(source, engine, dbt, broken(), 2)
    third = run(source, engine, dbt, good(), 3)
    assert third.kept == {}
    assert set(shown().values()) == {3}
    assert not Incident.objects.open().exists()


def test_what_is_kept_twice_remembers_the_version_it_is_from(source, engine, dbt, sent):
    first = run(source, engine, dbt, good(), 1)
    run(source, engine, dbt, broken(), 2)
    third = run(source, engine, dbt, broken(), 3)
    assert third.kept["mart_finance.mrr"]["publication"] == first.pk
    assert shown() == {"mart_finance.mrr": 1, "mart_finance.plan": 1, "mart_engineering.pull_requests": 3}


def test_before_anything_was_published_what_could_not_be_built_is_not_there(source, engine, dbt, sent):
    publication = run(source, engine, dbt, broken(), 1)
    assert shown() == {"mart_finance.mrr": None, "mart_finance.plan": None, "mart_engineering.pull_requests": 1}
    assert publication.kept["mart_finance.mrr"]["publication"] is None


def test_nothing_is_published_in_part_while_a_critical_check_fails(source, engine, dbt, sent):
    run(source, engine, dbt, good(), 1)
    CheckFactory(dataset="mart_engineering.pull_requests", name="There are enough", definition="row_count > 100")
    second = run(source, engine, dbt, broken(), 2)
    assert second.outcome == Publication.Outcome.HELD
    assert any("There are enough" in reason for reason in second.reasons)
    assert set(shown().values()) == {1}


def test_a_mart_whose_critical_check_was_not_looked_at_is_kept_too(source, engine, dbt, sent, admin_client):
    run(source, engine, dbt, good(), 1)
    second = run(source, engine, dbt, broken(plan="error"), 2)
    assert {mart: told["because"] for mart, told in second.kept.items()} == {
        "mart_finance.mrr": "A critical check of it could not be looked at.",
        "mart_finance.plan": "It could not be built.",
    }
    assert shown() == {"mart_finance.mrr": 1, "mart_finance.plan": 1, "mart_engineering.pull_requests": 2}
    page = text_of(admin_client.get(reverse("dataset", args=["mart_finance.mrr"])))
    assert "People see it as it was published before. A critical check of it could not be looked at." in page


def test_numbers_by_other_definitions_are_never_mixed(source, engine, dbt, sent):
    run(source, engine, dbt, good(), 1)
    MetricSwitches.objects.create(pk=1, reporting_currency="eur")
    second = run(source, engine, dbt, broken(), 2)
    assert second.outcome == Publication.Outcome.HELD
    assert "never mixed" in second.reasons[0]
    assert set(shown().values()) == {1}


def test_a_graph_that_nobody_knows_publishes_nothing(source, engine, dbt, sent, monkeypatch):
    run(source, engine, dbt, good(), 1)
    strange = broken(int_mrr="error")
    strange.nodes = [
        replace(node, relation="mart_x.unknown") if node.name == "int_mrr" else node for node in strange.nodes
    ]
    second = run(source, engine, dbt, strange, 2)
    assert second.outcome == Publication.Outcome.HELD
    assert "mart_x.unknown is not known" in second.reasons[0]


def test_when_every_mart_stands_below_it_the_publication_is_held(source, engine, dbt, sent):
    run(source, engine, dbt, good(), 1)
    words = {"stg_pulls": "error", "pull_requests": "skipped", "int_mrr": "error", "mrr": "skipped", "plan": "skipped"}
    second = run(source, engine, dbt, broken(**words), 2)
    assert second.outcome == Publication.Outcome.HELD
    assert second.reasons == [SENTENCE]


# --- what people read ---------------------------------------------------------------------------------------------------
def test_pages_say_which_marts_are_older_since_when_and_why(source, engine, dbt, sent, admin_client):
    run(source, engine, dbt, good(), 1)
    second = run(source, engine, dbt, broken(), 2)
    seen = look(timezone.now())

    mixed = trust(seen, ("mart_finance.mrr", "mart_engineering.pull_requests"))
    assert mixed.worst.tone == "bad"
    assert mixed.worst.sentence.startswith("mart_finance.mrr is kept as published ")
    assert "because it builds on intermediate.int_mrr, which could not be built." in mixed.worst.sentence
    assert mixed.worst.sentence.endswith("The rest of this page is newer, so that numbers may differ.")
    assert mixed.as_of == SyncRun.objects.earliest("pk").started_at, "as old as the oldest of it"
    untouched = trust(seen, ("mart_engineering.pull_requests",))
    assert not [finding for finding in untouched.findings if finding.tone == "bad"]
    assert not [finding for finding in untouched.findings if "waiting" in finding.sentence]

    assert judge(seen).sentence.startswith(
        "mart_finance.mrr and mart_finance.plan are kept as published before because it builds on intermediate.int_mrr"
    )
    page = text_of(admin_client.get(reverse("build", args=[second.build_id])))
    assert "Published in part" in page
    assert "People see these as they were published before" in page
    page = text_of(admin_client.get(reverse("dataset", args=["mart_finance.plan"])))
    assert "Left as it was" in page
