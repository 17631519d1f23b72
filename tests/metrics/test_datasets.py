"""What builds leave behind about datasets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import datasets
from metrics.manifest import ProjectDoc
from metrics.models import Dataset, Exposure
from tests.factories import BuildFactory, SourceFactory, StreamFactory
from tests.projects import READS, built, dataset, project, rule_doc, rule_ran, with_nodes

pytestmark = pytest.mark.django_db


def row(name: str) -> Dataset:
    return Dataset.objects.get(name=name)


def test_every_relation_of_the_project_is_a_row_with_what_it_reads():
    source = SourceFactory(slug="stripe")
    stream = StreamFactory(source=source, name="invoices")
    build = BuildFactory()
    datasets.record(build, built(), project())

    assert set(Dataset.objects.values_list("name", flat=True)) == set(READS)
    for name, parents in READS.items():
        assert set(row(name).reads.values_list("name", flat=True)) == set(parents), name
    raw, mart = row("raw_stripe.invoices"), row("mart_finance.mrr")
    assert (raw.layer, raw.source, raw.stream) == ("raw", source, stream)
    assert (row("raw_github.pulls").source, row("raw_github.pulls").stream) == (None, None)
    assert (mart.layer, mart.grain, mart.owner, mart.columns[0]) == (
        "mart",
        "thing",
        "finance",
        {"name": "id", "description": "Which thing it is."},
    )
    assert (mart.outcome, mart.rows, mart.seconds, mart.built_by, mart.tried_by) == ("built", 7, 0.5, build, build)
    assert (row("staging.stg_invoices").is_view, row("staging.stg_invoices").rows) == (True, None)
    exposure = Exposure.objects.get()
    assert exposure.label == "Dashboard: Executive"
    assert set(exposure.reads.values_list("name", flat=True)) == {"mart_finance.mrr", "mart_finance.plan"}


def test_what_the_project_no_longer_has_goes_and_new_edges_come():
    datasets.record(BuildFactory(), built(), project())
    changed = project(without=("mart_finance.plan",))
    moved = {**changed.datasets, "mart_finance.mrr": dataset("mart_finance.mrr", upstream=("staging.stg_invoices",))}
    datasets.record(BuildFactory(), built(), ProjectDoc(moved, ()))
    assert not Dataset.objects.filter(name="mart_finance.plan").exists()
    assert [parent.name for parent in row("mart_finance.mrr").reads.all()] == ["staging.stg_invoices"]
    assert not Exposure.objects.exists()


def test_a_project_that_nobody_could_read_changes_nothing():
    datasets.record(BuildFactory(), built(), project())
    datasets.record(BuildFactory(), built(mrr="error"), ProjectDoc())
    assert Dataset.objects.count() == len(READS)
    assert row("mart_finance.mrr").outcome == "built"


def test_what_failed_and_what_was_left_as_it_was_keep_when_they_were_last_built():
    good, bad = BuildFactory(), BuildFactory()
    datasets.record(good, built(), project())
    before = row("mart_finance.mrr").built_at
    datasets.record(bad, built(int_mrr="error", mrr="skipped", plan="skipped"), project())

    broken, below = row("intermediate.int_mrr"), row("mart_finance.plan")
    assert (broken.outcome, broken.reason) == ("failed", "Binder Error: no such column")
    assert (below.outcome, below.reason) == ("skipped", "It builds on intermediate.int_mrr, which could not be built.")
    mrr = row("mart_finance.mrr")
    assert (mrr.built_at, mrr.built_by, mrr.rows, mrr.tried_by) == (before, good, 7, bad)
    assert row("mart_engineering.pull_requests").built_by == bad


def test_what_stands_below_a_rule_that_does_not_hold_says_so():
    rule = rule_doc("int_mrr_is_right", "intermediate.int_mrr")
    outcome = with_nodes(built(mrr="skipped", plan="skipped"), rule_ran(rule, "fail", 2))
    datasets.record(BuildFactory(), outcome, project(rule))
    assert row("mart_finance.mrr").reason == "It builds on intermediate.int_mrr, where a rule does not hold."


def test_what_lacks_a_raw_table_is_left_out_with_the_reason():
    outcome = built()
    outcome = replace(
        outcome,
        nodes=[node for node in outcome.nodes if node.name != "pull_requests"],
        unbuilt={"model.p.pull_requests": "needs raw_github.pulls, which no source has brought in yet."},
    )
    datasets.record(BuildFactory(), outcome, project())
    left_out = row("mart_engineering.pull_requests")
    assert (left_out.outcome, left_out.built_at) == ("left_out", None)
    assert left_out.reason == "It needs raw_github.pulls, which no source has brought in yet."


def test_a_build_of_a_part_leaves_the_rest_as_it_was():
    first, second = BuildFactory(), BuildFactory()
    datasets.record(first, built(), project())
    part = built()
    part.nodes = [node for node in part.nodes if node.name == "pull_requests"]
    datasets.record(second, part, project())
    assert row("mart_finance.mrr").built_by == first
    assert row("mart_engineering.pull_requests").built_by == second


def test_an_everyday_build_asks_few_questions():
    datasets.record(BuildFactory(), built(), project())
    build = BuildFactory()
    with CaptureQueriesContext(connection) as asked:
        datasets.record(build, built(), project())
    assert len(asked) <= 12
