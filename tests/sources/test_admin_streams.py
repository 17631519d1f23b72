"""The page of one stream: it says how far it is read, asks before it reads again, and lets only the right people."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from sources.models import Reread, SchemaChange, SyncRun
from tests.factories import SourceFactory, StreamFactory, SyncRunFactory, synced
from tests.portal.views.test_status import text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

CURSOR = {"event_at": 1_795_615_500, "seen": [], "checked_at": 1_795_615_500.0}


@pytest.fixture
def stream():
    source = SourceFactory(slug="stripe", name="Stripe", connector="stripe")
    return StreamFactory(
        source=source, name="invoices", label="Invoices", cursor_value=CURSOR, table_rows=12_345, cursor_field="created"
    )


def address(name: str, stream) -> str:
    return reverse(f"admin:sources_source_{name}", args=[stream.pk])


def test_it_says_how_far_the_stream_is_read(staff, stream):
    synced(stream, rows=17)
    page = text_of(staff.get(address("stream", stream)))

    assert "Read up to 25 November 2026, 14:05 UTC" in page
    assert "12,345" in page
    assert "17 rows" in page
    assert "event_at&quot;: 1795615500" in staff.get(address("stream", stream)).content.decode()


def test_a_backfill_is_confirmed_in_words_before_it_begins(staff, stream):
    page = text_of(staff.get(address("reread", stream), {"since": "2026-03-01"}))

    assert "Invoices will be read again from 1 March 2026. raw_stripe.invoices has 12,345 rows now, read up to" in page
    assert "everything created (by created) on that day or later. Rows are merged by id; nothing is deleted." in page
    assert "It begins at once." in page
    assert not Reread.objects.exists()

    answer = staff.post(address("reread", stream), {"since": "2026-03-01"}, follow=True)

    wish = Reread.objects.get()
    assert (str(wish.since), wish.asked_by) == ("2026-03-01", staff.user)
    assert SyncRun.objects.get().streams == ["invoices"]
    assert "It is to be read again from 1 March 2026" in text_of(answer)
    assert stream.source.history.first().history_change_reason == "Stream invoices: read again from 1 March 2026."


def test_a_reset_says_that_old_rows_stay_until_the_new_ones_are_there(staff, stream):
    SyncRunFactory(source=stream.source, running=True)
    page = text_of(staff.get(address("reread", stream)))

    assert "Invoices will be read again from the beginning." in page
    assert "The old rows stay until everything has been read" in page
    assert "this begins as soon as that is through" in page

    staff.post(address("reread", stream))
    assert Reread.objects.get().since is None
    assert SyncRun.objects.count() == 1  # the wish waits for the run that is active


@pytest.mark.parametrize(
    ("since", "sentence"),
    [("", "Say from which day on."), ("2999-01-01", "This day has not come yet."), ("soon", "Write the day as")],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_wrong_day_is_named(staff, stream, since, sentence, method):
    answer = getattr(staff, method)(address("reread", stream), {"since": since})

    assert answer.status_code == 400
    assert sentence in text_of(answer)
    assert not Reread.objects.exists()


def test_a_wish_can_be_withdrawn(staff, stream):
    staff.post(address("reread", stream))
    page = text_of(staff.post(address("withdraw", stream), follow=True))

    assert not Reread.objects.open().exists()
    assert "Withdrawn." in page
    assert "From the beginning, asked for" in page


def test_a_second_wish_is_not_taken(staff, stream):
    staff.post(address("reread", stream))
    page = text_of(staff.post(address("reread", stream), {"since": "2026-03-01"}, follow=True))

    assert "cannot be read again like that right now" in page
    assert Reread.objects.count() == 1


def test_what_the_connector_cannot_is_not_offered(staff, stream):
    stream.cursor_value = {**CURSOR, "after": "in_1"}
    stream.save()
    page = text_of(staff.get(address("stream", stream)))

    assert "This connector cannot begin at a day." in page
    assert "(backfill)" not in page


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sync_mode": "full_refresh"}, "Every sync reads all of it"),
        ({"cursor_value": None}, "It has not been read yet"),
    ],
)
def test_a_stream_without_a_place_to_go_back_to_says_why(staff, stream, values, sentence):
    type(stream).objects.filter(pk=stream.pk).update(**values)

    assert sentence in text_of(staff.get(address("stream", stream)))


def test_the_policy_is_kept_and_noted(staff, stream):
    page = text_of(staff.post(address("policy", stream), {"schema_policy": "hold"}, follow=True))

    stream.refresh_from_db()
    assert stream.schema_policy == "hold"
    assert "When the columns of Invoices change: Load nothing until I agree." in page
    reason = stream.source.history.first().history_change_reason
    assert reason == "Stream invoices, when its columns change: Load nothing until I agree."
    assert staff.post(address("policy", stream), {"schema_policy": "shrug"}).status_code == 400


def test_agreeing_starts_the_sync_of_what_was_held(staff, stream):
    change = SchemaChange.objects.create(stream=stream, kind="vanished", column="amount", decision="held")
    assert "I agree to these changes" in text_of(staff.get(address("stream", stream)))

    page = text_of(staff.post(address("agree", stream), follow=True))

    change.refresh_from_db()
    assert (change.decision, change.decided_by) == ("agreed", staff.user)
    assert "Agreed. Invoices is loaded now." in page
    assert SyncRun.objects.get().streams == ["invoices"]
    assert "agreed to changed columns" in stream.source.history.first().history_change_reason
    assert "nothing to decide any more" in text_of(staff.post(address("agree", stream), follow=True))


def test_agreeing_on_the_source_page_leads_back_there(staff, stream):
    SchemaChange.objects.create(stream=stream, kind="added", column="tax", decision="warned", loaded_at=timezone.now())
    answer = staff.post(address("agree", stream), {"from": "source"})

    assert answer.url == stream.source.get_absolute_url()
    assert not SyncRun.objects.exists()


@pytest.mark.parametrize("name", ["stream", "reread", "withdraw", "policy", "agree"])
def test_others_may_not(colleague, client, stream, name):
    method = "get" if name == "stream" else "post"
    assert getattr(colleague, method)(address(name, stream)).status_code == 403
    assert getattr(client, method)(address(name, stream)).status_code == 302
    assert not Reread.objects.exists()


@pytest.mark.parametrize("name", ["withdraw", "policy", "agree"])
def test_looking_changes_nothing(staff, stream, name):
    assert staff.get(address(name, stream)).status_code == 405


def test_the_page_asks_few_queries(staff, stream, django_assert_max_num_queries):
    for _ in range(5):
        SchemaChange.objects.create(
            stream=stream, kind="added", column="tax", decision="seen", decided_by=staff.user, loaded_at=timezone.now()
        )
        Reread.objects.create(stream=stream, done_at=timezone.now(), rows=1, asked_by=staff.user)
    with django_assert_max_num_queries(9):
        staff.get(address("stream", stream))


def test_the_form_of_the_source_leads_to_each_stream(staff, stream):
    page = staff.get(reverse("admin:sources_source_change", args=[stream.source.pk])).content.decode()

    assert address("stream", stream) in page
