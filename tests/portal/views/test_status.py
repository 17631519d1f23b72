"""The status page: one sentence, the numbers, what is wrong, and a constant number of queries."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from metrics.models import Build
from portal.models import Beacon
from tests import factories as make
from tests import scenarios

QUERIES_LIMIT = 12


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def queries_of_the_page(client) -> int:
    client.get("/")  # headline numbers are read once a publication
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/").status_code == 200
    return len(captured)


def test_the_number_of_queries_does_not_grow_with_the_portal(reader):
    scenarios.troubled()
    few = queries_of_the_page(reader)
    for source in make.SourceFactory.create_batch(12, streams=6):
        for stream in source.streams.all():
            make.synced(stream, timedelta(hours=9))
        scenarios.running_run(source)
        make.IncidentFactory(source=source)
    assert queries_of_the_page(reader) == few <= QUERIES_LIMIT


def test_staff_cost_no_more_queries_than_others(reader, staff):
    scenarios.troubled()
    assert queries_of_the_page(staff) <= queries_of_the_page(reader) <= QUERIES_LIMIT


def test_an_empty_portal_says_how_to_begin(staff):
    scenarios.empty()
    page = text_of(staff.get("/"))
    assert "No source is connected yet." in page
    assert "Add the first one" in page
    assert "Nothing is published yet, so there are no numbers to show." in page


def test_a_colleague_is_not_sent_to_a_form_that_is_closed_to_them(reader):
    scenarios.empty()
    page = text_of(reader.get("/"))
    assert "Add the first one" not in page
    assert "Somebody of your data team adds the first one." in page


def test_everything_fresh_and_published(reader):
    scenarios.healthy()
    page = text_of(reader.get("/"))
    assert "Everything is fresh and published 12 minutes ago." in page
    assert "3 fresh" in page
    assert "Scheduler and workers are at work" in page


def test_the_numbers_come_from_the_published_marts(reader):
    scenarios.healthy()
    page = text_of(reader.get("/"))
    assert "$172,800" in page
    assert "+$1,600 (+0.9%) against the end of" in page
    assert "Contraction −$900" in page
    assert "Exchange rates" not in page


def test_numbers_that_cannot_be_read_are_said_not_zeroed(reader, settings):
    portal = scenarios.healthy()
    (settings.DATA_DIR / "warehouse" / "published" / portal.publication.location).unlink()
    page = text_of(reader.get("/"))
    assert "The headline numbers cannot be shown. The published data cannot be found on this machine." in page
    assert "$0" not in page


def test_a_held_publication_says_since_when_and_why(reader):
    scenarios.troubled()
    page = text_of(reader.get("/"))
    assert re.search(r"Held since (yesterday )?\d\d:\d\d because “Average MRR is plausible” does not hold", page)
    assert "There is 1 more reason. The numbers are from" in page
    assert "MRR adds up (mart_finance.mrr_events): 3 rows break it." in page
    assert "1 source is failing: Stripe (billing)." in page
    assert "1 source is late: Product database." in page
    assert "1 source has never been synced: GitHub (engineering)." in page


def test_what_needs_attention_comes_first(reader):
    scenarios.troubled()
    html = reader.get("/").content.decode()
    assert re.findall(r'id="source-(\w+)"', html) == ["stripe", "postgres", "github"]


def test_an_unfolded_source_shows_its_streams(reader):
    scenarios.healthy()
    assert "invoice_lines" not in text_of(reader.get("/"))
    assert "invoice_lines" in text_of(reader.get("/?open=stripe"))


@pytest.mark.parametrize("part", ["beat", "worker"])
def test_silence_behind_the_pages_is_said(reader, part):
    scenarios.healthy()
    Beacon.objects.filter(name=part).update(seen_at=timezone.now() - timedelta(minutes=7))
    page = text_of(reader.get("/"))
    assert "no sign of life for 7 minutes" in page
    assert "Everything is fresh" not in page


def test_parts_that_were_never_seen_are_said(reader):
    scenarios.healthy()
    Beacon.objects.all().delete()
    assert "The workers have never given a sign of life" in text_of(reader.get("/"))


def test_rows_that_wait_long_to_be_published_are_said(reader):
    portal = scenarios.healthy()
    make.SyncRunFactory(
        source=portal.sources["stripe"], awaits_build=True, finished_at=timezone.now() - timedelta(minutes=40)
    )
    assert "New data has been waiting to be published since" in text_of(reader.get("/"))


def test_a_stage_under_way_is_shown(reader):
    scenarios.healthy()
    Build.objects.create()
    assert "Build under way since" in text_of(reader.get("/"))


def test_a_source_without_promises_is_not_called_fresh(reader):
    portal = scenarios.healthy()
    for source in portal.sources.values():
        source.streams.update(freshness_minutes=None)
    page = text_of(reader.get("/"))
    assert "no stream has a freshness promise, so nobody can say how fresh it is" in page
    assert "3 unknown" in page


def test_a_source_that_is_off_is_not_called_fresh(reader):
    portal = scenarios.healthy()
    stripe = portal.sources["stripe"]
    stripe.is_enabled = False
    stripe.save()
    page = text_of(reader.get("/"))
    assert "Switched off" in page
    assert "Everything that was promised is fresh" in page


def test_a_refresh_that_would_show_the_same_says_nothing(reader):
    scenarios.troubled()
    html = reader.get("/").content.decode()
    address = re.search(r'hx-get="(/live/[^"]+)"', html)[1]
    assert reader.get(address).status_code == 204
    make.IncidentFactory(title="Something else broke")
    answer = reader.get(address)
    assert answer.status_code == 200
    assert "Something else broke" in answer.content.decode()
    assert "<html" not in answer.content.decode()
