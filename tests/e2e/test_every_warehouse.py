"""Sync, build, scan, publish and read, with nothing replaced, in each of the three warehouses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from portal import inline
from portal.headlines import headlines
from portal.management.commands.demo_seed import Command
from portal.models import Publication
from quality.models import Check
from sandbox import truth
from sandbox.server import Sandbox
from sources.models import Source
from tests.warehouses.places import PLACES, Place

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    return PLACES[request.param](settings, request)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path / "world", seed=7, scale=0.1, freeze=True, postgres=False) as sandbox:
        yield sandbox


def test_the_company_s_mrr_arrives_and_bad_data_is_held(place: Place, company: Sandbox, settings: Any) -> None:
    settings.DBT_VARS = {}
    owner = get_user_model().objects.create(username="dana")
    Command._source("stripe", "Stripe", "*/15 * * * *", 60, owner, company.endpoints()["stripe"])
    check = Check.objects.create(
        name="There are months", dataset="mart_finance.mrr_monthly", definition="row_count > 10", severity="critical"
    )

    report = inline.run(Source.objects.all())

    assert report.publication == {"status": "published", "reasons": []}, report.as_dict()
    assert (report.scan["passed"], report.scan["errored"]) == (1, 0)
    first = Publication.objects.latest("pk")
    shown = headlines(first)
    assert shown.problem == ""
    today = dt.datetime.fromtimestamp(company.now, dt.UTC).date()
    expected = truth.mrr_on(company.company, today, rates=_rate)
    assert shown.latest is not None
    assert shown.latest.mrr == sum(expected.values())
    assert shown.latest.customers == len(expected)

    # A critical check that fails holds what is new, and what is published stays as it is.
    check.definition = "row_count < 0"
    check.save()
    company.advance(days=2)
    report = inline.run(Source.objects.all())
    assert report.publication["status"] == "held"
    assert place.warehouse.query(first.location, "select max(mrr) from mart_finance.mrr_monthly").rows == [
        (max(month.mrr for month in shown.months),)
    ]


def _rate(currency: str, day: dt.date) -> Decimal:
    import csv

    from metrics.dbt_project import PROJECT_DIR

    if currency == "usd":
        return Decimal(1)
    with (PROJECT_DIR / "seeds" / "fx_rates.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["currency"] == currency]
    known = [(dt.date.fromisoformat(row["rate_date"]), Decimal(row["usd_rate"])) for row in rows]
    return max(pair for pair in known if pair[0] <= day)[1]
