"""The build page: nodes, checks, publication."""

from __future__ import annotations

from django.urls import reverse

from tests import factories as make
from tests import scenarios
from tests.portal.views.test_status import text_of


def page_of(client, build) -> str:
    return text_of(client.get(reverse("build", args=[build.pk])))


def test_a_good_build_shows_models_rules_checks_and_what_was_left_out(reader):
    portal = scenarios.healthy()
    page = page_of(reader, portal.build)
    assert "int_mrr_by_customer" in page
    assert "4 checks passed" in page
    assert "MRR adds up" in page
    assert "no source called github has been synced" in page
    assert "Published for everybody." in page


def test_a_scan_that_found_failures_is_not_shown_as_good(reader):
    portal = scenarios.troubled()
    page = page_of(reader, portal.build)
    assert page.count("Found failures") == 2  # a check of dbt in the build, one of Soda in the scan
    assert "3 rows break it." in page
    assert "1 failed, 1 still learning" in page
    assert "98,000 is not between 150,000 and 250,000." in page
    assert "Measured 98,000" in page


def test_what_went_wrong_comes_first(reader):
    build = make.BuildFactory()
    make.BuildNodeFactory(build=build, name="fine")
    make.BuildNodeFactory(build=build, name="broken", status="error", message="Binder Error: no such column")
    html = reader.get(reverse("build", args=[build.pk])).content.decode()
    assert html.index("broken") < html.index("fine")
    assert "Binder Error" in html


def test_a_build_that_broke_off_shows_sentence_and_detail(reader):
    build = make.BuildFactory(failed=True, failure_sentence="dbt could not be started.", failure_detail="exit code 2")
    page = page_of(reader, build)
    assert "Build failed. dbt could not be started." in page
    assert "exit code 2" in page
    assert "dbt built nothing." in page


def test_a_build_under_way_refreshes_itself(reader):
    build = make.BuildFactory(running=True)
    html = reader.get(reverse("build", args=[build.pk])).content.decode()
    assert 'hx-trigger="every 2s"' in html
    assert "dbt has not finished yet." in text_of(reader.get(reverse("build", args=[build.pk])))


def test_a_word_of_dbt_that_nobody_knows_is_not_shown_as_good(reader):
    build = make.BuildFactory()
    make.BuildNodeFactory(build=build, status="partial success")
    html = reader.get(reverse("build", args=[build.pk])).content.decode()
    assert 'badge badge--quiet"><svg' in html
    assert "Partial success" in html
