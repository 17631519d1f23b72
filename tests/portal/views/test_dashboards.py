"""Pages of dashboards: numbers and tables without script, in every state of the portal."""

from __future__ import annotations

import csv
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from metrics.dashboards.registry import DASHBOARDS
from tests import factories as make
from tests import scenarios
from tests.metrics.dashboards.published import publish
from tests.portal.views.dashboards import MARTS, documented, held, with_dashboards
from tests.portal.views.test_status import text_of

pytestmark = pytest.mark.slow

QUERIES_LIMIT = 12
KEYS = pytest.mark.parametrize("key", DASHBOARDS)


def page(client, key: str, query: str = "") -> str:
    answer = client.get(reverse("dashboard", args=[key]) + query)
    assert answer.status_code == 200
    return text_of(answer)


def queries(client, address: str) -> int:
    client.get(address)  # numbers are read once a publication
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/dashboards/", "/dashboards/executive/", "/dashboards/executive/mrr.csv"])
def test_nobody_sees_numbers_without_logging_in(client, address):
    with_dashboards()
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("login"))


def test_an_unknown_dashboard_or_section_is_not_found(reader):
    with_dashboards()
    assert reader.get("/dashboards/nothing/").status_code == 404
    assert reader.get("/dashboards/executive/nothing.csv").status_code == 404


def test_the_overview_leads_to_every_dashboard_with_its_first_number(reader):
    with_dashboards()
    html = reader.get("/dashboards/").content.decode()
    for dashboard in DASHBOARDS.values():
        assert reverse("dashboard", args=[dashboard.key]) in html
        assert dashboard.question.replace("'", "&#x27;") in html
    assert "MRR, November 2026 to date" in html


@KEYS
def test_numbers_tables_and_sentences_are_there_before_any_script(reader, key):
    with_dashboards()
    html = reader.get(reverse("dashboard", args=[key])).content.decode()
    assert 'class="tile__value"' in html
    for slot in re.findall(r'data-chart="(\w+)"', html):
        assert f'id="{slot}-finding"' in html
    assert html.count("<table") >= 2
    assert "Fresh and checked: Stripe (billing)." in html


@KEYS
def test_each_number_is_defined_in_dbts_words(reader, key):
    with_dashboards()
    documented()
    words = page(reader, key)
    assert "No description was found" not in words
    assert "mean" in words
    assert page(reader, key).count("What is this?") >= 8


@KEYS
def test_a_portal_without_anything_says_so(reader, staff, key):
    scenarios.empty()
    assert "Nothing is published yet, so there are no numbers to show." in page(reader, key)
    assert "Connect a source" not in page(reader, key)
    assert "Connect a source" in page(staff, key)


@KEYS
def test_published_data_without_the_marts_says_what_is_missing(reader, key):
    with_dashboards(without=MARTS)
    assert "connect Stripe" in page(reader, key)
    assert "_dash-config" not in reader.get(reverse("dashboard", args=[key])).content.decode()


@KEYS
@pytest.mark.parametrize("mart", MARTS)
def test_each_mart_may_be_missing_alone(reader, key, mart):
    with_dashboards(without=[mart])
    assert page(reader, key)


@KEYS
def test_held_numbers_say_since_when_and_why(reader, key):
    portal = held()
    html = reader.get(reverse("dashboard", args=[key])).content.decode()
    assert "Held since " in html
    assert "98,000 is not between 150,000 and 250,000" in html
    assert f'href="{portal.build.get_absolute_url()}"' in html
    assert "trust--bad" in html
    assert "trust--good" not in html


def test_numbers_that_cannot_be_read_are_said(reader, settings):
    with_dashboards()
    settings.WAREHOUSE_URL = f"duckdb:///{settings.DATA_DIR}/elsewhere/warehouse.duckdb"
    words = page(reader, "executive")
    assert "These numbers cannot be shown. The published data cannot be found on this machine." in words


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?month=2026-13", "“2026-13” is not a month (write 2026-10), so you see the latest."),
        ("?month=2019-01", "There are no numbers for January 2019, so you see November 2026."),
        ("?months=many", "“many” is not a number of months (use 12 or 24 or all), so you see 24."),
        ("?month=<script>", "is not a month"),
    ],
)
@KEYS
def test_a_filter_that_makes_no_sense_is_said(reader, key, query, words):
    with_dashboards()
    html = reader.get(reverse("dashboard", args=[key]) + query).content.decode()
    assert words in html
    assert 'role="alert"' in html
    assert "<script>" not in html.replace("<script>", "", 0).split("<main", 1)[1].split('id="react')[0]


def test_the_address_keeps_what_is_chosen(reader):
    with_dashboards()
    html = reader.get("/dashboards/retention/?month=2026-03&by=customers").content.decode()
    assert '<option value="2026-03" selected>March 2026</option>' in html
    assert 'href="?month=2026-03&amp;months=12&amp;by=customers"' in html
    assert "retention/cohorts.csv?month=2026-03&amp;by=customers" in html
    assert "Cohort by cohort: Customers" in html


def test_the_latest_month_is_no_choice_so_that_the_address_stays_current(reader):
    with_dashboards()
    html = reader.get("/dashboards/mrr/").content.decode()
    assert '<option value="" selected>November 2026</option>' in html
    assert 'href="?months=12"' in html


def test_the_number_of_queries_does_not_grow_with_the_portal(reader):
    with_dashboards()
    few = {key: queries(reader, reverse("dashboard", args=[key])) for key in DASHBOARDS}
    index = queries(reader, reverse("dashboards"))
    for source in make.SourceFactory.create_batch(8, streams=4):
        make.IncidentFactory(source=source)
        scenarios.running_run(source)
    assert {key: queries(reader, reverse("dashboard", args=[key])) for key in DASHBOARDS} == few
    assert queries(reader, reverse("dashboards")) == index <= QUERIES_LIMIT
    assert max(few.values()) <= QUERIES_LIMIT


# --- CSV ----------------------------------------------------------------------------------------------------------------
def rows_of(answer) -> list[dict[str, str]]:
    return list(csv.DictReader(b"".join(answer.streaming_content).decode().splitlines()))


def test_a_csv_has_the_filters_of_the_page(reader):
    with_dashboards()
    answer = reader.get("/dashboards/mrr/months.csv?month=2026-03&months=12")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="mrr-months-2026-03.csv"'
    rows = rows_of(answer)
    assert len(rows) == 12
    assert rows[0]["month"] == "2026-03-01"
    moved = ("start_mrr", "new_mrr", "expansion_mrr", "reactivated_mrr", "contraction_mrr", "churned_mrr", "fx_mrr")
    assert sum(float(rows[0][name]) for name in moved) == pytest.approx(float(rows[0]["mrr"]))


@KEYS
def test_every_table_of_a_page_can_be_had_as_csv(reader, key):
    with_dashboards()
    html = reader.get(reverse("dashboard", args=[key])).content.decode()
    addresses = re.findall(r'href="(/dashboards/[\w/]+\.csv[^"]*)"', html)
    assert addresses
    for address in addresses:
        assert rows_of(reader.get(address.replace("&amp;", "&")))


def test_a_csv_that_would_answer_another_question_is_refused(reader):
    with_dashboards()
    answer = reader.get("/dashboards/mrr/months.csv?month=2019-01")
    assert answer.status_code == 400
    assert "There are no numbers for January 2019" in answer.content.decode()


def test_names_of_customers_never_become_formulas(reader):
    portal = with_dashboards()
    assert portal.publication
    publish("evil.duckdb", names="=HYPERLINK({:04d})")
    portal.publication.location = "evil.duckdb"
    portal.publication.save()
    found = {row["customer"] for row in rows_of(reader.get("/dashboards/executive/movers.csv"))}
    assert found
    assert all(name.startswith("'=") for name in found)


def test_a_csv_of_a_section_that_is_missing_is_not_found(reader):
    with_dashboards(without=["mart_finance.mrr_waterfall"])
    assert reader.get("/dashboards/mrr/waterfall.csv").status_code == 404
