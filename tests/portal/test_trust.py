"""Whether numbers can be trusted: held, failing, late, waiting, or fine; unknown is never fine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from portal.models import Publication
from portal.overview import look
from portal.trust import Trust, trust
from sources.models import SyncRun
from tests import factories as make
from tests import scenarios
from tests.portal.views.dashboards import MARTS, held, with_dashboards

pytestmark = pytest.mark.django_db


def judged() -> Trust:
    return trust(look(timezone.now()), MARTS)


def test_nothing_published_is_said():
    found = judged()
    assert found.worst.tone == "quiet"
    assert found.worst.sentence == "Nothing is published yet."
    assert found.as_of is None


def test_fresh_and_checked_names_the_sources_that_feed_it():
    with_dashboards()
    found = judged()
    assert [finding.tone for finding in found.findings] == ["good"]
    assert found.worst.sentence == "Fresh and checked: Stripe (billing)."


def test_data_is_as_of_the_last_sync_before_the_build_and_not_as_of_the_page():
    portal = with_dashboards()
    newer = make.SyncRunFactory(source=portal.sources["stripe"])
    assert newer.finished_at > Publication.objects.current().build.started_at
    assert judged().as_of == SyncRun.objects.get(pk=portal.run.pk).started_at


def test_the_oldest_source_says_how_old_the_numbers_are():
    portal = with_dashboards()
    build = Publication.objects.current().build
    build.feeds = {"raw_stripe": MARTS, "raw_github": MARTS}
    build.save()
    github = SyncRun.objects.filter(source=portal.sources["github"]).latest("started_at")
    assert judged().as_of == github.started_at


def test_held_says_since_when_and_why_with_a_way_there():
    portal = held()
    worst = judged().worst
    assert worst.tone == "bad"
    assert worst.sentence.startswith("Held since ")
    assert "98,000 is not between 150,000 and 250,000 (and 1 more). You see the last good numbers." in worst.sentence
    assert worst.link == ("What holds it", portal.build.get_absolute_url())


def test_a_failing_source_is_said_with_its_reason():
    held()
    failing = next(finding for finding in judged().findings if "is failing" in finding.sentence)
    assert "Stripe refused the key" in failing.sentence
    assert failing.link == ("Stripe (billing)", "/sources/stripe/")


def test_sources_that_do_not_feed_it_do_not_matter():
    portal = with_dashboards()
    scenarios._synced(portal.sources["github"], timedelta(minutes=1), is_ok=False)
    assert judged().worst.tone == "good"


def test_a_late_source_is_a_warning():
    portal = with_dashboards()
    portal.sources["stripe"].streams.update(freshness_minutes=5)
    worst = judged().worst
    assert worst.tone == "warn"
    assert worst.sentence.startswith("Stripe (billing) is later than promised: ")


def test_a_source_that_promises_nothing_is_not_called_fresh():
    portal = with_dashboards()
    portal.sources["stripe"].streams.update(freshness_minutes=None)
    worst = judged().worst
    assert worst.tone == "quiet"
    assert "not promised for every stream" in worst.sentence


def test_numbers_from_nobody_knows_where_are_not_called_fresh():
    with_dashboards()
    Publication.objects.current().build.__class__.objects.update(feeds={})
    found = judged()
    assert found.worst.tone == "quiet"
    assert "not known which sources" in found.worst.sentence
    assert found.as_of is None


def test_newer_data_that_waits_is_a_warning():
    portal = with_dashboards()
    make.SyncRunFactory(
        source=portal.sources["stripe"], awaits_build=True, finished_at=timezone.now() - timedelta(minutes=50)
    )
    assert "has been waiting to be published" in judged().worst.sentence
