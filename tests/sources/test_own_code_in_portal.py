"""The company's own file from the folder to rows: by the pages of the admin and the code that workers run."""

from __future__ import annotations

import shutil

import duckdb
import pytest
from django.urls import reverse

from portal.runs import RunStatus
from portal.warehouse import get_warehouse
from sources import probes, syncs
from sources.models import Attempt, Probe, Source, SyncRun
from tests.factories import SourceFactory, StreamFactory
from tests.sources.conftest import COMPANY_FILE
from tests.sources.engines.own_code.slack import TOKEN
from tests.sources.pages import form_of, posted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sent")]

ADD = "/admin/sources/source/add/"
FORM = f"{ADD}?connector=slack_activity"


def perform(source: Source) -> SyncRun:
    run = syncs.request_sync(source)
    assert run is not None
    assert SyncRun.objects.claim(run.pk) == 1
    run.refresh_from_db()
    syncs.perform(run)
    run.refresh_from_db()
    return run


def rows(sql: str) -> list[tuple]:
    with duckdb.connect(str(get_warehouse().path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_dropped_file_is_on_the_page_at_the_next_look(staff, pipelines):
    assert "slack_activity" not in staff.get(ADD).content.decode()
    shutil.copy(COMPANY_FILE, pipelines)

    html = staff.get(ADD).content.decode()

    assert "?connector=slack_activity" in html
    assert "Slack channel activity: message volume, reactions, active users per channel." in html
    assert "slack_activity.py, line 21: last_ts.last_value moves on with every row" in html
    form = form_of(staff.get(FORM))
    token = next(field for field in form.inputs if field.get("name") == "setting_slack_token")
    assert token["type"] == "password"
    assert form.data["slug"] == "slack-activity"
    assert form.data["streams-0-name"] == "messages"


def test_a_file_that_cannot_run_says_so_and_cannot_be_chosen(staff, pipelines):
    (pipelines / "broken.py").write_text("import dlt\n\n@dlt.source\ndef broken(:\n    pass\n")

    html = staff.get(ADD).content.decode()

    assert "broken.py, line 4: " in html
    assert "?connector=broken" not in html
    assert "?connector=stripe" in html


def test_a_saved_source_whose_file_breaks_keeps_everything(staff, pipelines):
    shutil.copy(COMPANY_FILE, pipelines)
    staff.post(FORM, posted(staff.get(FORM), setting_slack_token=TOKEN))
    source = Source.objects.get()
    (pipelines / "slack_activity.py").write_text("def (")
    change = reverse("admin:sources_source_change", args=[source.pk])

    page = staff.get(change)
    assert "slack_activity.py, line 1: " in page.content.decode()
    staff.post(change, posted(page, name="Slack, mended soon"))
    run = perform(source)

    source.refresh_from_db()
    assert (source.name, dict(source.secrets), source.engine) == ("Slack, mended soon", {"slack_token": TOKEN}, "code")
    assert (run.status, run.failure_kind) == (RunStatus.FAILED, "code")
    assert run.failure_sentence.startswith("slack_activity.py, line 1: ")
    (pipelines / "slack_activity.py").unlink()
    assert perform(source).failure_sentence == "slack_activity.py is no longer in the folder for own code."
    assert "There is no connector called" in staff.get(change).content.decode()


@pytest.mark.slow
def test_from_the_folder_to_rows_by_the_pages_alone(staff, pipelines, slack, caplog, settings):
    shutil.copy(COMPANY_FILE, pipelines)
    slack.say("C0GENERAL", "1700000001.000100", "1700000002.000100")

    staff.post(
        "/admin/sources/source/probe/?connector=slack_activity",
        posted(staff.get(FORM), setting_slack_token=TOKEN),
    )
    probe = Probe.objects.get()
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get())
    probe.refresh_from_db()
    assert probe.sentence == "slack_activity.py runs: messages sent 2 rows on a first look. Nothing was loaded."
    assert [stream["name"] for stream in probe.streams] == ["messages"]
    answer = staff.post(FORM, posted(staff.get(FORM), setting_slack_token=TOKEN, schedule_kind="hours"))
    assert answer.status_code == 302
    source = Source.objects.get()
    assert source.periodic_task is not None
    assert list(source.streams.values_list("name", "is_enabled", "primary_key")) == [("messages", True, ["ts"])]

    first = perform(source)
    slack.say("C0GENERAL", "1700000003.000100")
    second = perform(source)

    assert (first.status, first.has_new_data) == (second.status, second.has_new_data) == (RunStatus.SUCCEEDED, True)
    assert list(Attempt.objects.order_by("pk").values_list("rows", flat=True)) == [{"messages": 2}, {"messages": 1}]
    assert rows("select count(*) from raw_slack_activity.messages") == [(3,)]
    stream = source.streams.get()
    assert (stream.cursor_value, stream.columns["channel"]) == ("1700000003.000100", "text")
    for address in (source.get_absolute_url(), reverse("run", args=[second.pk]), "/"):
        html = staff.get(address).content.decode()
        assert "Slack activity" in html
        assert TOKEN not in html
    assert TOKEN not in caplog.text
    kept = [path for path in settings.DATA_DIR.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []


@pytest.mark.slow
def test_a_refusal_is_tried_again_and_heals_while_another_source_goes_on(staff, pipelines, slack):
    shutil.copy(COMPANY_FILE, pipelines)
    (pipelines / "other.py").write_text("import dlt\n@dlt.resource\ndef rows(): yield {'a': 1}\n")
    source = SourceFactory(slug="slack", connector="slack_activity", engine="code", secrets={"slack_token": TOKEN})
    other = SourceFactory(slug="other", connector="other", engine="code")
    StreamFactory(source=source, name="messages")
    StreamFactory(source=other, name="rows")
    slack.say("C0PRODUCT", "1700000001.000100")
    slack.answers = lambda channel, number: (429, {"ok": False}) if channel == "C0PRODUCT" else None

    run = perform(source)
    assert perform(other).status == RunStatus.SUCCEEDED

    assert run.status == RunStatus.QUEUED
    assert run.failure_sentence.startswith("slack_activity.py, line 19: slack.com answered a request with HTTP 429")
    assert "HTTP 429" in staff.get(reverse("run", args=[run.pk])).content.decode()
    slack.answers = lambda channel, number: None
    SyncRun.objects.filter(pk=run.pk).update(not_before=None)
    assert SyncRun.objects.claim(run.pk) == 1
    run.refresh_from_db()
    syncs.perform(run)
    run.refresh_from_db()
    assert (run.status, run.failure_sentence) == (RunStatus.SUCCEEDED, "")
    assert rows("select ts from raw_slack.messages") == [("1700000001.000100",)]
    assert rows("select a from raw_other.rows") == [(1,)]
