"""The source pages in a real browser: what scripts do, on a desk and on a phone, and that nothing comes from elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from sources import offers, probes
from sources.models import Probe, Reread, SchemaChange, Source, Stream
from tests.chromium import started
from tests.factories import SourceFactory, StaffFactory, StreamFactory, synced
from tests.sources.conftest import COMPANY_FILE
from tests.sources.systems import LABELS, ORDERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("systems", "sent"),
]

PASSWORD = "correct horse battery"


class Visit:
    """A logged-in browser window; remembers what went wrong in it and what it fetched."""

    def __init__(self, browser: Any, base: str, username: str, **context: Any) -> None:
        self.page = browser.new_context(base_url=base, **context).new_page()
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self._requested(base, request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", self._answered)
        self.page.set_default_timeout(10_000)
        self.page.goto("/admin/login/?next=/admin/")
        self.page.fill("input[name=username]", username)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.press("input[name=password]", "Enter")
        self.page.wait_for_url("**/admin/")

    def _requested(self, base: str, url: str) -> None:
        if not url.startswith((base, "data:", "blob:")):
            self.foreign.append(url)

    def _answered(self, answer: Any) -> None:
        if answer.status >= 400 and not answer.url.endswith("/favicon.ico"):
            self.errors.append(f"{answer.status} {answer.url}")


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator[Any]:
    with started() as browser:
        yield browser


@pytest.fixture
def visit(live_server, chromium) -> Iterator[Any]:
    user = StaffFactory(password=PASSWORD)
    visits: list[Visit] = []

    def start(**context: Any) -> Any:
        visits.append(Visit(chromium, live_server.url, user.username, **context))
        return visits[-1].page

    yield start
    for seen in visits:
        seen.page.context.close()
    for seen in visits:
        assert seen.foreign == []
        assert seen.errors == []


def answer_probe() -> None:
    """Be the worker for the newest probe."""

    def work() -> None:
        probe = Probe.objects.latest("pk")
        assert Probe.objects.claim(probe.pk) == 1
        probes.perform(Probe.objects.get(pk=probe.pk))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


@pytest.fixture
def source() -> Source:
    source = SourceFactory(
        slug="shop",
        name="Shop",
        connector="shop",
        config={"shop": "acme", "plan": "s"},
        secrets={"api_key": "key_123456"},
    )
    for spec in (ORDERS, LABELS):
        StreamFactory(
            source=source, name=spec.name, label=spec.label, offered=offers.to_plain(spec), **offers.suggested(spec)
        )
    return source


def test_a_colleague_adds_a_source_with_a_test_before_saving(visit, engine):
    page = visit()
    page.goto("/admin/sources/source/add/")
    page.get_by_role("link", name="Depot").click()
    page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("text=Not tested yet")
    page.get_by_label("Host").fill("db.example.com")
    page.get_by_label("Password").fill("pass_0123456789")
    page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.wait_for_selector("[data-probe=succeeded]")
    page.get_by_role("checkbox", name="Orders").check()
    page.get_by_label("How often").select_option("weekdays")
    page.get_by_label("Time of day").fill("07:30")
    page.wait_for_selector("#schedule-preview >> text=Weekdays at 07:30")
    assert page.locator("#schedule-preview time").count() == 5
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/sources/source/")
    saved = Source.objects.get()
    assert (saved.schedule, dict(saved.secrets)) == ("30 7 * * 1-5", {"password": "pass_0123456789"})
    assert set(saved.streams.values_list("name", "is_enabled")) == {("orders", True), ("labels", False)}


def test_what_a_system_needs_unfolds_with_the_keyboard_and_the_whole_card_leads_on(visit):
    page = visit()
    page.goto("/admin/sources/source/add/")
    needs = page.locator(".src-card", has_text="Shop").locator("details")
    page.get_by_role("link", name="Shop").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert needs.get_by_text("Orders: Read").is_visible()
    assert needs.get_by_text("Open the shop's settings and make a key.").is_visible()
    page.locator(".src-card", has_text="Depot").click(position={"x": 150, "y": 10})
    page.wait_for_url("**/add/?connector=depot")


def test_own_code_is_picked_and_filled_in_like_every_other_source(visit, pipelines, engine):
    shutil.copy(COMPANY_FILE, pipelines)
    (pipelines / "broken.py").write_text("import dlt\n\n@dlt.source\ndef broken(:\n    pass\n")
    page = visit(viewport={"width": 390, "height": 844})
    page.goto("/admin/sources/source/add/")
    assert page.get_by_text("broken.py, line 4").is_visible()
    assert page.get_by_role("link", name="Broken").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("link", name="Slack activity").click()
    page.wait_for_url("**connector=slack_activity")
    assert page.get_by_text("slack_activity.py, line 21: last_ts.last_value moves on").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Slack token").fill("xoxb-0123456789")
    page.get_by_role("button", name="Test connection").click()
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.wait_for_selector("[data-probe=succeeded]")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/admin/sources/source/")
    saved = Source.objects.get()
    assert (saved.connector, saved.engine, dict(saved.secrets)) == (
        "slack_activity",
        "code",
        {"slack_token": "xoxb-0123456789"},
    )
    assert list(saved.streams.values_list("name", "is_enabled")) == [("messages", True)]


def test_only_what_a_choice_needs_is_shown(visit, source):
    page = visit()
    page.goto(reverse("admin:sources_source_change", args=[source.pk]))
    shown = {
        "minutes": "Minutes in between",
        "hours": "Hours in between",
        "daily": "Time of day",
        "cron": "Cron expression",
    }
    for kind, label in shown.items():
        page.get_by_label("How often").select_option(kind)
        for other in shown.values():
            assert page.get_by_label(other).is_visible() == (other == label), (kind, other)
    orders = page.locator("[data-stream]", has_text="Orders")
    assert orders.get_by_label("Goes by").is_visible()
    orders.get_by_label("What is read").select_option("full_refresh")
    assert not orders.get_by_label("Goes by").is_visible()
    page.locator("[data-all-promises]").select_option("15")
    assert page.locator("[data-promise]").evaluate_all("all => all.map(one => one.value)") == ["15", "15"]
    page.get_by_role("button", name="Read none").click()
    assert page.locator("[data-read]:checked").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_source_page_fits_a_phone(visit, source, scheme):
    page = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for address in (
        "/admin/sources/source/",
        "/admin/sources/source/add/",
        "/admin/sources/source/add/?connector=shop",
        reverse("admin:sources_source_change", args=[source.pk]),
        reverse("admin:sources_source_history", args=[source.pk]),
        reverse("admin:sources_source_delete", args=[source.pk]),
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_without_javascript_save_and_test_does_the_same(visit, source, engine):
    page = visit(java_script_enabled=False)
    page.goto(reverse("admin:sources_source_change", args=[source.pk]))
    page.fill("#id_name", "Shop without scripts")
    page.click("button[name=_test]")
    page.wait_for_selector("[data-probe=waiting]")
    answer_probe()
    page.click("#probe noscript a")
    page.wait_for_selector("[data-probe=succeeded]")
    source.refresh_from_db()
    assert source.name == "Shop without scripts"


def test_the_form_can_be_walked_with_the_keyboard(visit, source):
    page = visit()
    page.goto(reverse("admin:sources_source_change", args=[source.pk]))
    page.focus("#id_name")
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    wanted = ["id_owner", "id_is_enabled", "id_setting_api_key", "id_setting_shop", "id_setting_plan"]
    positions = [seen.index(name) for name in wanted]
    assert positions == sorted(positions)
    assert any("Test connection" in name for name in seen)


@pytest.fixture
def orders(source) -> Stream:
    """A stream that was read, with a change of its columns that waits for a person."""
    stream = source.streams.get(name="orders")
    stream.cursor_value, stream.table_rows = "2026-03-02T08:00:00Z", 12_345
    stream.cursor_moved_at = timezone.now() - timedelta(minutes=7)
    stream.save()
    synced(stream, rows=17)
    SchemaChange.objects.create(stream=stream, kind="vanished", column="amount", old_type="bigint", decision="held")
    SchemaChange.objects.create(
        stream=stream, kind="added", column="tax", new_type="bigint", decision="taken", loaded_at=timezone.now()
    )
    return stream


@pytest.mark.parametrize(
    "context",
    [{}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}, {"java_script_enabled": False}],
    ids=["desk", "dark phone", "without scripts"],
)
def test_a_stream_is_read_again_after_asking(visit, orders, context):
    page = visit(**context)
    page.goto(f"/admin/sources/source/{orders.source.pk}/change/")
    page.get_by_role("link", name="State, read again: Orders").click()

    page.get_by_label("From", exact=True).fill("2026-02-01")
    if "viewport" in context:
        assert page.evaluate("document.documentElement.scrollWidth") <= context["viewport"]["width"]
    page.get_by_role("button", name="Backfill…").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Rows are merged by id; nothing is deleted.")
    page.get_by_role("button", name="Yes, read it again from that day").press("Enter")
    page.wait_for_selector("text=It is to be read again from 1 February 2026")
    assert Reread.objects.open().get().stream == orders

    page.goto(orders.source.get_absolute_url())
    page.get_by_role("button", name="Agree and load Orders").press("Enter")
    page.wait_for_selector("text=Agreed. Orders is loaded with the next sync.")
    assert not SchemaChange.objects.undecided().exists()
