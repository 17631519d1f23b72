"""Every page once in a real browser, at a desk and on a phone."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests import factories as make
from tests import scenarios
from tests.browser.conftest import Reader

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
]

WIDTHS = pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])


def pages(portal: scenarios.Portal) -> dict[str, str]:
    """Address → words that must be visible there."""
    assert portal.run
    assert portal.build
    assert portal.incident
    assert portal.mail
    return {
        reverse("status"): "Held since",
        reverse("source", args=["stripe"]): "It cannot be read.",
        reverse("source", args=["github"]): "It was never synced.",
        reverse("run", args=[portal.run.pk]): "Sync failed.",
        reverse("build", args=[portal.build.pk]): "Held: people keep the last good numbers.",
        reverse("datasets"): "mart_finance.mrr_monthly",
        reverse("dataset", args=["mart_finance.mrr_monthly"]): "Where it comes from, and what is built from it",
        reverse("shown", args=["mrr_dashboard"]): "Where this comes from",
        reverse("incidents"): "Stripe (billing) could not be synced",
        reverse("incident", args=[portal.incident.pk]): "What is affected",
        reverse("notifications"): "Not delivered",
        reverse("notification", args=[portal.mail.pk]): "Since 07:10 today.",
        reverse("password"): "Change password",
    }


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@WIDTHS
def test_every_page_is_readable_and_quiet(reader: Reader, width):
    for address, words in pages(scenarios.troubled()).items():
        page = reader.open(address)
        expect(page.locator("main").get_by_text(words).first).to_be_visible()
        assert overflow(page) == 0, address
        page.close()
    assert reader.complaints == []


@WIDTHS
def test_a_healthy_portal_says_so_with_its_numbers(reader: Reader, width):
    scenarios.healthy()
    page = reader.open("/")
    expect(page.get_by_text("Everything is fresh and published 12 minutes ago.")).to_be_visible()
    expect(page.get_by_role("img", name="MRR at the end of each month")).to_be_visible()
    expect(page.get_by_text("$172,800").first).to_be_visible()
    assert overflow(page) == 0
    assert reader.complaints == []


@WIDTHS
def test_an_empty_portal_says_what_to_do(reader: Reader, width):
    scenarios.empty()
    page = reader.open("/")
    expect(page.get_by_role("link", name="Add the first one")).to_be_visible()
    assert overflow(page) == 0
    assert reader.complaints == []


@WIDTHS
@pytest.mark.parametrize("scripts", [False], ids=["no-script"])
def test_the_status_page_works_without_script(reader: Reader, width, scripts):
    scenarios.troubled()
    page = reader.open("/")
    expect(page.get_by_text("Held since").first).to_be_visible()
    page.locator("#summary-stripe .source__state").click()
    page.get_by_role("link", name="All streams of Stripe (billing)").click()
    expect(page.get_by_role("heading", name="Streams")).to_be_visible()


def test_light_and_dark_are_kept_without_script(chromium, live_server):
    context = chromium.new_context(java_script_enabled=False, color_scheme="light")
    page = context.new_page()
    page.goto(f"{live_server.url}/account/login/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    context.close()


def test_unfolded_streams_stay_unfolded_when_the_page_refreshes(reader: Reader):
    portal = scenarios.healthy()
    page = reader.open("/")
    page.locator("#summary-stripe .source__state").click()
    expect(page.get_by_role("row", name="invoice_lines")).to_be_visible()
    make.IncidentFactory(title="Something new is wrong", source=portal.sources["github"])
    expect(page.get_by_role("link", name="Something new is wrong")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("row", name="invoice_lines")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("1 incident is open")
    assert reader.complaints == []


def test_a_run_shows_its_progress_and_its_end_by_itself(reader: Reader):
    portal = scenarios.healthy()
    run = scenarios.running_run(portal.sources["github"])
    page = reader.open(reverse("run", args=[run.pk]))
    expect(page.get_by_role("row", name="commits")).to_contain_text("18,400")
    attempt = run.attempts.get()
    attempt.rows = {"commits": 21_000}
    attempt.save()
    expect(page.get_by_role("row", name="commits")).to_contain_text("21,000", timeout=10_000)
    scenarios.finish_without_news(run)
    expect(page.get_by_text("Nothing new").first).to_be_visible(timeout=10_000)
    expect(page.locator("[data-live]")).to_have_count(0)
    assert reader.complaints == []


def test_sync_now_leads_to_the_run(reader: Reader):
    scenarios.healthy()
    page = reader.open(reverse("source", args=["stripe"]))
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text("A sync of Stripe (billing) is queued.")).to_be_visible()
    expect(page.get_by_role("heading", name="Sync of Stripe (billing)")).to_be_visible()
    assert reader.complaints == []


def test_a_portal_that_does_not_answer_is_said_to_be_silent(reader: Reader):
    portal = scenarios.healthy()
    run = scenarios.running_run(portal.sources["github"])
    page = reader.open(reverse("run", args=[run.pk]))
    page.route("**/live/**", lambda route: route.abort())
    expect(page.get_by_text("The portal does not answer.")).to_be_visible(timeout=10_000)
    page.unroute("**/live/**")
    expect(page.get_by_text("The portal does not answer.")).to_be_hidden(timeout=10_000)


def test_an_ended_session_leads_to_the_log_in(reader: Reader):
    portal = scenarios.healthy()
    run = scenarios.running_run(portal.sources["github"])
    page = reader.open(reverse("run", args=[run.pk]))
    reader.context.clear_cookies()
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=10_000)
    assert page.locator("header.top").count() == 0


@WIDTHS
@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_lineage_is_walked_from_the_dashboard_to_the_source(reader: Reader, width, scripts):
    scenarios.healthy()
    page = reader.open(reverse("datasets"))
    page.get_by_role("link", name="Dashboard: MRR and waterfall").click()
    expect(page.get_by_role("heading", name="Dashboard: MRR and waterfall")).to_be_visible()
    picture, lists = page.locator("svg.lineage"), page.locator(".lineage-lists")
    seen = picture if width > 960 else lists
    expect(picture).to_be_visible(visible=width > 960)
    expect(lists).to_be_visible(visible=width <= 960)
    seen.get_by_role("link", name="mrr_events").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="mart_finance.mrr_events")).to_be_visible()
    seen.get_by_role("link", name="Stripe (billing)").first.click()
    expect(page.get_by_role("heading", name="Stripe (billing)")).to_be_visible()
    page.get_by_role("row", name="charges").get_by_role("link", name="What is built from this").click()
    expect(page.get_by_role("heading", name="raw_stripe.charges")).to_be_visible()
    assert overflow(page) == 0
    assert reader.complaints == []


def test_everything_is_reached_by_keyboard(reader: Reader):
    scenarios.healthy()
    page = reader.open("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.locator("#summary-stripe").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="invoice_lines")).to_be_visible()
