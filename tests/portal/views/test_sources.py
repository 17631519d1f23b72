"""The source page, its runs, and the button that starts one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from portal.runs import Trigger
from sources.models import SchemaChange, SyncRun
from tests import factories as make
from tests import scenarios
from tests.portal.views.test_status import text_of


def page_of(client, slug: str = "stripe", query: str = "") -> str:
    return text_of(client.get(reverse("source", args=[slug]) + query))


def test_it_says_state_schedule_and_owner(reader):
    portal = scenarios.healthy()
    stripe = portal.sources["stripe"]
    stripe.owner = make.UserFactory(first_name="Ada", last_name="Byron")
    stripe.save()
    page = page_of(reader)
    assert "Ada Byron answers for it" in page
    assert "Every hour UTC" in page
    assert "at most 2 hours old" in page
    assert "raw_stripe" in page


def test_a_healed_retry_stays_visible(reader):
    scenarios.healthy()
    assert "2 attempts, healed after 40 s" in page_of(reader)


def test_schema_and_cursor_are_shown(reader):
    scenarios.healthy()
    page = page_of(reader)
    assert "4 columns" in page
    assert "amount bigint" in page
    assert "by created , up to" in page


def test_what_was_odd_in_good_rows_is_said_beside_the_stream(reader):
    source = make.SourceFactory(slug="sheet", connector="google_sheets")
    odd = "The column “Costs” shows errors of formulas in 1 cell (row 3: #REF!)."
    make.StreamFactory(
        source=source, name="plan", sync_mode="full_refresh", cursor_value={"columns": [], "notes": [odd]}
    )
    page = page_of(reader, "sheet")
    assert odd in page
    assert "Google Sheets · rows land in raw_sheet" in page


def test_what_is_built_from_it_is_named(reader):
    scenarios.healthy()
    page = page_of(reader)
    assert "mart_finance.mrr_monthly" in page
    assert "Dashboard: MRR and waterfall" in page
    assert "Not known yet" in page_of(reader, "github")


def test_one_reason_for_all_streams_is_said_once(reader):
    scenarios.troubled()
    answer = text_of(reader.get(reverse("source", args=["stripe"]) + "?runs=new"))
    assert answer.count("Stripe refused the key") == 1


@pytest.mark.parametrize(
    ("chosen", "count"), [("all", 20), ("failed", 1), ("healed", 1), ("new", 20), ("nonsense", 20)]
)
def test_runs_can_be_filtered(reader, chosen, count):
    portal = scenarios.healthy()
    make.SyncRunFactory(source=portal.sources["stripe"], failed=True)
    html = reader.get(reverse("source", args=["stripe"]) + f"?runs={chosen}").content.decode()
    assert html.count('class="run-row ') == count


def test_older_runs_are_on_the_next_page(reader):
    scenarios.healthy()
    page = page_of(reader, query="?page=2")
    assert "Page 2 of 2" in page
    assert "Newer" in page


def test_a_source_nobody_has_synced(reader):
    scenarios.troubled()
    page = page_of(reader, "github")
    assert "It was never synced." in page
    assert "Never synced" in page


def test_the_number_of_queries_does_not_grow_with_runs_and_streams(reader, django_assert_max_num_queries):
    portal = scenarios.healthy()
    make.StreamFactory.create_batch(20, source=portal.sources["stripe"])
    with django_assert_max_num_queries(20):
        reader.get(reverse("source", args=["stripe"]))


def test_staff_start_a_sync(staff):
    portal = scenarios.healthy()
    answer = staff.post(reverse("sync_now", args=["stripe"]))
    run = portal.sources["stripe"].runs.active().get()
    assert answer.headers["Location"] == run.get_absolute_url()
    assert run.trigger == Trigger.MANUAL


def test_a_second_press_shows_the_run_that_is_active(staff):
    portal = scenarios.healthy()
    run = scenarios.running_run(portal.sources["stripe"])
    answer = staff.post(reverse("sync_now", args=["stripe"]), follow=True)
    assert answer.redirect_chain[-1][0] == run.get_absolute_url()
    assert "is being synced already" in text_of(answer)
    assert SyncRun.objects.active().count() == 1


def test_others_cannot_press(reader, client):
    portal = scenarios.healthy()
    address = reverse("sync_now", args=["stripe"])
    assert "Sync now" not in page_of(reader)
    assert reader.post(address).status_code == 403
    assert client.post(address).status_code == 302
    assert not portal.sources["stripe"].runs.active().exists()


def test_staff_without_the_permission_cannot_press(client, db):
    scenarios.healthy()
    client.force_login(make.UserFactory(is_staff=True))
    assert client.post(reverse("sync_now", args=["stripe"])).status_code == 403


def test_the_permission_is_enough_for_staff(client, db):
    portal = scenarios.healthy()
    client.force_login(make.UserFactory(is_staff=True, permissions=["sources.change_source"]))
    assert client.post(reverse("sync_now", args=["stripe"])).status_code == 302
    assert portal.sources["stripe"].runs.active().exists()


def test_looking_starts_nothing(staff):
    scenarios.healthy()
    assert staff.get(reverse("sync_now", args=["stripe"])).status_code == 405


def test_the_streams_alone_unfold_on_the_status_page(reader):
    portal = scenarios.healthy()
    stream = portal.sources["stripe"].streams.first()
    scenarios.make.StreamSyncFactory(
        stream=stream, rows=77_000, finished_at=stream.syncs.first().finished_at + timedelta(minutes=1)
    )
    page = text_of(reader.get(reverse("source_streams", args=["stripe"])))
    assert "77,000" in page
    assert "invoice_lines" in page


def test_staff_accept_fewer_rows_once(staff):
    source = make.SourceFactory(slug="stripe")
    run = make.SyncRunFactory(source=source, failed=True, failure_kind="shrunk")
    page = text_of(staff.get(reverse("source", args=["stripe"])))
    assert "Are the fewer rows right?" in page
    staff.post(reverse("sync_now", args=["stripe"]), {"accept_fewer": "1"})
    accepted = source.runs.exclude(pk=run.pk).get()
    assert accepted.accept_fewer
    assert "Are the fewer rows right?" not in text_of(staff.get(reverse("source", args=["stripe"])))


def test_changed_columns_are_shown_and_whoever_may_agrees(reader, staff, db):
    source = make.SourceFactory(slug="shop", name="Shop")
    stream = make.StreamFactory(source=source, name="orders", label="Orders")
    SchemaChange.objects.create(stream=stream, kind="vanished", column="amount", decision="held")
    SchemaChange.objects.create(stream=stream, kind="added", column="tax", new_type="bigint", decision="taken")

    page = page_of(reader, "shop")
    assert "The columns of Orders changed" in page
    assert "Column “amount” vanished; it stays in the table and is empty from then on." in page
    assert "so nothing of it is loaded" in page
    assert "Column “tax” was added (bigint)." in page
    assert "Agree and load" not in page
    assert "Agree and load Orders" in page_of(staff, "shop")
    assert "State, read again" in page_of(staff, "shop")
