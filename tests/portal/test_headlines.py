"""Headline numbers: from the published marts, or a sentence."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.utils import timezone

from portal.headlines import headlines
from portal.warehouse.duckdb import DuckDBWarehouse
from tests.factories import PublicationFactory
from tests.scenarios import write_marts

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_cached():
    cache.clear()


def test_nothing_published_is_said():
    assert "Nothing is published yet" in headlines(None).problem


def test_the_latest_month_is_compared_with_the_one_before():
    write_marts("a.duckdb", months=3)
    found = headlines(PublicationFactory(location="a.duckdb"))
    assert found.problem == ""
    assert [month.mrr for month in found.months] == [Decimal(150_000), Decimal(151_600), Decimal(153_200)]
    assert found.change == Decimal(1600)
    assert round(found.change_ratio, 4) == Decimal("0.0106")
    assert found.customers_change == 4
    assert found.is_to_date


def test_a_month_that_was_over_when_it_was_published_is_not_called_to_date():
    write_marts("a.duckdb", months=3)
    publication = PublicationFactory(location="a.duckdb", finished_at=timezone.now() + timedelta(days=40))
    assert not headlines(publication).is_to_date


def test_the_mart_knows_best_whether_its_month_is_over():
    write_marts("a.duckdb", months=3, columns="*, true as is_complete")
    assert not headlines(PublicationFactory(location="a.duckdb")).is_to_date


def test_losses_are_shown_as_losses_whatever_their_sign():
    write_marts("a.duckdb", columns="* replace (abs(churned_mrr) as churned_mrr)")
    movements = {one.label: one.amount for one in headlines(PublicationFactory(location="a.duckdb")).movements}
    assert movements["Churned"] == Decimal(-2100)
    assert movements["New"] == Decimal(4100)
    assert "Exchange rates" not in movements  # nothing moved


def test_a_column_that_is_not_there_is_unknown_and_not_zero():
    write_marts("a.duckdb", columns="month, mrr, new_mrr")
    found = headlines(PublicationFactory(location="a.duckdb"))
    assert found.latest.customers is None
    assert found.customers_change is None
    assert [one.label for one in found.movements] == ["New"]


def test_a_single_month_is_compared_with_nothing():
    write_marts("a.duckdb", months=1)
    found = headlines(PublicationFactory(location="a.duckdb"))
    assert found.change is None
    assert found.change_ratio is None


def test_marts_without_mrr_are_said():
    path = write_marts("a.duckdb")
    path.rename(path.with_name("b.duckdb"))
    import duckdb

    with duckdb.connect(str(path.with_name("b.duckdb"))) as connection:
        connection.execute("drop table mart_finance.mrr_monthly")
    assert "holds no MRR yet" in headlines(PublicationFactory(location="b.duckdb")).problem


def test_an_empty_table_is_said():
    write_marts("a.duckdb", months=0)
    assert headlines(PublicationFactory(location="a.duckdb")).problem == "The published MRR has no months yet."


def test_a_file_that_is_gone_is_said():
    found = headlines(PublicationFactory(location="gone.duckdb"))
    assert "cannot be found on this machine" in found.problem


def test_a_publication_is_read_once(monkeypatch):
    write_marts("a.duckdb")
    publication = PublicationFactory(location="a.duckdb")
    first = headlines(publication)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read twice")

    monkeypatch.setattr(DuckDBWarehouse, "query", never)
    assert headlines(publication) == first


def test_a_newer_publication_is_read_anew():
    write_marts("a.duckdb", mrr_from=100_000)
    write_marts("b.duckdb", mrr_from=200_000)
    old = headlines(PublicationFactory(location="a.duckdb"))
    new = headlines(PublicationFactory(location="b.duckdb"))
    assert new.latest.mrr - old.latest.mrr == Decimal(100_000)
