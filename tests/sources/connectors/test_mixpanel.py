"""Mixpanel: against the sandbox's real HTTP, official examples played back over HTTP, and what an export can do wrong."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from werkzeug import Request, Response

from portal.failures import TerminalError, TransientError
from portal.redact import redact
from sandbox.features import FEATURES
from sources.connectors import get_connector, mixpanel, mixpanel_copies
from sources.connectors.base import StreamRequest, SyncMode
from sources.connectors.mixpanel_times import Times

pytestmark = pytest.mark.slow

KEY = ("event", "distinct_id", "reported_time", "insert_id")
PACIFIC = "America/Los_Angeles"


def settings(sandbox: Any, **changes: Any) -> dict[str, Any]:
    return {**sandbox.endpoints()["mixpanel"], **changes}


def alone(url: str, **changes: Any) -> dict[str, Any]:
    """Settings of a project that only a test has."""
    given = {"username": "u.mp-service-account", "secret": "top secret", "project_id": "1", "start_date": "2020-10-13"}
    return {**given, "base_url": url, "query_base_url": url, **changes}


def pages(given: dict[str, Any], since: Any = None, name: str = "events") -> list[Any]:
    mode = SyncMode.INCREMENTAL if name == "events" else SyncMode.FULL_REFRESH
    return list(get_connector("mixpanel").read(given, StreamRequest(name, mode), since))


def read(given: dict[str, Any], since: Any = None, name: str = "events") -> tuple[list[dict[str, Any]], Any]:
    found = pages(given, since, name)
    cursors = [page.cursor for page in found if page.cursor is not None]
    return [row for page in found for row in page.rows], cursors[-1] if cursors else since


def keyed(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in KEY): row for row in rows}


def line(event: str = "opened", **properties: Any) -> str:
    return json.dumps({"event": event, "properties": properties}) + "\n"


@pytest.fixture(autouse=True)
def _hurried(pauses):
    """Pacing is counted, not waited for."""


@pytest.fixture
def export(httpserver, monkeypatch):
    """Serves bodies one after the other as exports, the last one for good; what was asked is kept in `asked`."""
    monkeypatch.setattr(mixpanel, "_now", lambda: datetime(2020, 10, 20, 12, tzinfo=UTC))
    bodies: list[str] = []
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Response:
        asked.append(dict(request.args))
        return Response(bodies.pop(0) if len(bodies) > 1 else bodies[0], content_type="text/plain")

    httpserver.expect_request("/api/2.0/export").respond_with_handler(answer)

    def serve(*given: str) -> str:
        bodies[:] = given
        return httpserver.url_for("").rstrip("/")

    serve.asked = asked
    return serve


# The world --------------------------------------------------------------------------------------------------------------


def delivered(sandbox: Any) -> dict[str, tuple[str, str, datetime]]:
    """What the world says has reached Mixpanel by now: insert id → event, user, moment."""
    uses, found = sandbox.company.product.uses, {}
    for index in range(len(uses)):
        if uses.deliveries(index)[0] <= sandbox.now:
            moment = datetime.fromtimestamp(uses.moments[index], UTC)
            event = FEATURES[uses.features[index]].event
            found[f"{uses.bits(index):016x}"] = (event, str(uses.users[index]), moment)
    return found


def told(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str, datetime]]:
    return {row["insert_id"]: (row["event"], row["distinct_id"], row["time"]) for row in rows}


def test_every_event_arrives_at_its_true_moment_and_project_day(sandbox):
    rows, cursor = read(settings(sandbox))
    truth = delivered(sandbox)
    assert told(rows) == truth
    days = Counter(row["local_date"].isoformat() for row in rows)
    assert cursor["day"] == max(days)
    assert all(row["reported_time"] != int(row["time"].timestamp()) for row in rows)
    offsets = {int(row["time"].timestamp()) - row["reported_time"] for row in rows}
    assert offsets == {7 * 3600, 8 * 3600}
    assert all(json.loads(row["_extra"])["workspace_id"] for row in rows)


def test_an_event_that_was_delivered_twice_comes_once_as_it_was_delivered_last(sandbox):
    rows, _ = read(settings(sandbox))
    assert len(keyed(rows)) == len(rows) == len(delivered(sandbox))
    uses = sandbox.company.product.uses
    received = {row["insert_id"]: int(row["received_at"].timestamp()) for row in rows}
    twice = [uses.deliveries(index) for index in range(len(uses)) if len(uses.deliveries(index)) == 2]
    latest = {
        f"{uses.bits(index):016x}": max(moment for moment in uses.deliveries(index) if moment <= sandbox.now)
        for index in range(len(uses))
        if uses.deliveries(index)[0] <= sandbox.now
    }
    assert twice
    assert received == latest


@pytest.mark.parametrize("bits", [27, 3])
def test_copies_are_found_among_however_many_events(export, monkeypatch, bits):
    monkeypatch.setattr(mixpanel_copies, "BITS", bits)
    lines = [
        line(
            time=1602611311 + n, **{"$insert_id": f"id{n}", "mp_processing_time_ms": 1602611400000 + copy, "copy": copy}
        )
        for copy in (2, 1, 3)
        for n in range(40)
    ]
    rows, _ = read(alone(export("".join(lines))))
    assert {row["insert_id"]: json.loads(row["_extra"])["copy"] for row in rows} == {f"id{n}": 3 for n in range(40)}
    assert len(rows) == 40


def test_two_reads_make_the_same_table_as_one_and_late_events_are_caught(sandbox):
    given = settings(sandbox)
    before, cursor = read(given)
    assert read(given, cursor) == ([], cursor)
    sandbox.advance(days=8)  # over the day on which the clocks change

    rows, cursor = read(given, cursor)

    late = [row for row in rows if row["received_at"].date() > row["time"].date() and row["time"] < before[-1]["time"]]
    assert late
    both = keyed(before) | keyed(rows)
    whole = keyed(read(given)[0])
    assert both.keys() == whole.keys()
    assert told(list(both.values())) == delivered(sandbox)
    assert len(rows) < len(whole) / 2


def test_only_days_that_changed_are_handed_out_again(sandbox):
    given = settings(sandbox)
    _, cursor = read(given)
    sandbox.advance(hours=20)
    rows, later = read(given, cursor)
    changed = {day for day, mark in later["seen"].items() if cursor["seen"].get(day) != mark}
    assert {datetime.fromtimestamp(row["reported_time"], UTC).date().isoformat() for row in rows} == changed
    assert changed < later["seen"].keys()


def test_without_days_to_read_again_only_the_last_day_is(sandbox):
    given = settings(sandbox, late_days=0)
    _, cursor = read(given)
    assert list(cursor["seen"]) == [cursor["day"]]
    sandbox.mixpanel.forget_requests()
    read(given, cursor)
    assert sandbox.mixpanel.requests[0].query["from_date"] == [cursor["day"]]


def test_a_first_read_stays_below_the_hourly_limit_of_exports(sandbox):
    sandbox.mixpanel.forget_requests()
    read(settings(sandbox, start_date="2015-01-01"))
    asked = [seen.query for seen in sandbox.mixpanel.requests]
    assert 40 < len(asked) <= 50
    for earlier, later in pairwise(asked):
        gap = date.fromisoformat(later["from_date"][0]) - date.fromisoformat(earlier["to_date"][0])
        assert gap.days == 1


def test_exports_are_paced_to_three_a_second(sandbox, pauses):
    read(settings(sandbox))
    assert pauses  # some waits, each no longer than the second that the limit is about
    assert all(0 < pause <= 1 for pause in pauses)


def test_profiles_come_page_by_page_and_all_of_them(sandbox, monkeypatch):
    monkeypatch.setattr("sandbox.doors.mixpanel.PAGE_SIZE", 150)
    rows, _ = read(settings(sandbox), name="profiles")
    users = [user for user in sandbox.company.product.users.values() if not user.deleted_at]
    assert {row["distinct_id"]: row["email"] for row in rows} == {str(user.id): user.email for user in users}
    assert len(rows) == len(users) > 150
    assert {json.loads(row["_extra"])["$properties"]["role"] for row in rows} == {"owner", "member"}


def test_cohorts_are_read(sandbox):
    rows, _ = read(settings(sandbox), name="cohorts")
    assert len({row["id"] for row in rows}) == len(rows) == 4
    assert all(row["count"] >= 0 and row["name"] for row in rows)


def test_a_connection_is_tested_on_both_addresses(sandbox):
    sandbox.mixpanel.forget_requests()
    assert get_connector("mixpanel").check(settings(sandbox)).startswith("Connected to Mixpanel.")
    assert {seen.path for seen in sandbox.mixpanel.requests} == {"/api/2.0/export", "/api/query/cohorts/list"}


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"secret": "wrong"}, "unauthorized", "did not accept the service account"),
        ({"project_id": "99"}, "forbidden", "no access to this project"),
    ],
)
def test_a_wrong_account_or_project_is_said_in_words(sandbox, changes, kind, words):
    for ask in (get_connector("mixpanel").check, pages):
        with pytest.raises(TerminalError, match=words) as failure:
            ask(settings(sandbox, **changes))
        assert failure.value.kind == kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"username": " "}, "no service account username"),
        ({"secret": ""}, "no service account secret"),
        ({"project_id": "my project"}, "project ID .* has to be a number"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"time_basis": "lunar"}, "when the project was made"),
        ({"start_date": "last year"}, "“Read from” has to be a day"),
        ({"late_days": -1}, "“Days to read again”"),
        ({"late_days": "many"}, "“Days to read again”"),
        ({"region": "moon", "base_url": ""}, "Choose the region"),
    ],
)
def test_a_bad_setting_is_named(sandbox, changes, words):
    with pytest.raises(TerminalError, match=words) as failure:
        pages(settings(sandbox, **changes))
    assert failure.value.kind == "settings"


def test_each_region_has_its_own_hosts(monkeypatch):
    hosts = []
    monkeypatch.setattr(mixpanel, "ApiClient", lambda system, url, *_, **__: hosts.append(url))
    for region in ("us", "eu", "in"):
        for host, field in ((1, "base_url"), (2, "query_base_url")):
            mixpanel._client({"username": "u", "secret": "s", "region": region}, host, field)
    assert hosts == [
        *("https://data.mixpanel.com", "https://mixpanel.com"),
        *("https://data-eu.mixpanel.com", "https://eu.mixpanel.com"),
        *("https://data-in.mixpanel.com", "https://in.mixpanel.com"),
    ]


def test_neither_the_secret_nor_its_encoded_form_is_ever_shown(httpserver):
    pair = base64.b64encode(b"u.mp-service-account:top secret").decode()
    httpserver.expect_request("/api/2.0/export").respond_with_data(f"top secret {pair}", status=400)
    with pytest.raises(TerminalError) as failure:
        pages(alone(httpserver.url_for("")))
    shown = f"{failure.value.sentence} {failure.value.detail} {redact(failure.value.detail)}"
    assert "top secret" not in shown
    assert pair not in shown


# What an export can do --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (line(time=1602611311) + "export terminated early\n", "broke off in the middle"),
        (line(time=1602611311) + '{"event": "opened", "prope', "broke off in the middle"),
        (line(time=1602611311) + '{"error": "timeout"}\n', "something in the middle of the events"),
        (line(time=1602611311) + "[]\n", "something in the middle of the events"),
    ],
)
def test_an_export_that_ends_too_early_hands_out_nothing_of_its_days(export, body, words):
    found: list[Any] = []
    with pytest.raises(TransientError, match=words):
        found.extend(get_connector("mixpanel").read(alone(export(body)), StreamRequest("events"), None))
    assert found == []


def test_an_export_that_breaks_off_is_asked_for_again(export):
    good = line(time=1602611311, **{"$insert_id": "a"}) + line(time=1602611312, **{"$insert_id": "b"})
    rows, _ = read(alone(export(good[:-20], good)))
    assert [row["insert_id"] for row in rows] == ["a", "b"]
    assert len(export.asked) == 2


def test_no_event_at_all_is_fine_and_days_that_stay_empty_are_asked_for_again(export):
    rows, cursor = read(alone(export("")))
    assert (rows, cursor) == ([], {"day": "", "seen": {}})
    rows, cursor = read(alone(export(line(time=1602611311))), cursor)
    assert (len(rows), cursor["day"]) == (1, "2020-10-13")
    assert [each["from_date"] for each in export.asked] == ["2020-10-13"] * 2
    assert {each["to_date"] for each in export.asked} == {"2020-10-20"}


@pytest.mark.parametrize("time", [None, "yesterday", True, 10**18])
def test_an_event_without_a_sound_time_stops_the_read(export, time):
    with pytest.raises(TerminalError, match="“events” sent an event") as failure:
        read(alone(export(line(time=time))))
    assert failure.value.kind == "shape"


def test_an_event_without_an_insert_id_has_a_steady_one_of_ours(export):
    same, other = line(time=1602611311, a=1), line(time=1602611311, a=2)
    rows, _ = read(alone(export(same + same + other)))
    assert len(rows) == len(keyed(rows)) == 2
    assert keyed(rows).keys() == keyed(read(alone(export(other + same)))[0]).keys()


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "did not accept the question"), (402, "does not include the export"), (403, "no access to this project")],
)
def test_refusals_are_sentences(httpserver, status, words):
    httpserver.expect_request("/api/2.0/export").respond_with_json({"error": "no"}, status=status)
    with pytest.raises(TerminalError, match=words) as failure:
        pages(alone(httpserver.url_for("")))
    assert '"error"' in failure.value.detail


def test_too_fast_is_waited_out_and_then_said(httpserver, pauses):
    httpserver.expect_request("/api/2.0/export").respond_with_json(
        {"error": "Project exceeded rate limits."}, status=429
    )
    with pytest.raises(TransientError, match="rate limit") as failure:
        pages(alone(httpserver.url_for("")))
    assert failure.value.kind == "rate_limited"
    assert pauses


def test_fewer_profiles_than_were_promised_are_an_error(httpserver):
    bodies = [
        {"page": 0, "session_id": "s", "status": "ok", "total": 3, "results": [{"$distinct_id": 1, "$properties": {}}]},
        {"page": 1, "session_id": "s", "status": "ok", "results": []},
    ]
    for body in bodies:
        httpserver.expect_ordered_request("/api/query/engage", method="POST").respond_with_json(body)
    with pytest.raises(TransientError, match="1 of 3 profiles"):
        pages(alone(httpserver.url_for("")), name="profiles")


# Times ------------------------------------------------------------------------------------------------------------------


def test_the_hour_that_comes_twice_is_told_by_when_the_event_was_received():
    times = Times(PACIFIC, "project")
    wall = datetime(2025, 11, 2, 1, 30, tzinfo=UTC).timestamp()  # 01:30 by the wall clock, twice
    first, second = datetime(2025, 11, 2, 8, 30, tzinfo=UTC), datetime(2025, 11, 2, 9, 30, tzinfo=UTC)
    assert times.moment(wall, first.timestamp() + 3) == first
    assert times.moment(wall, second.timestamp() + 3) == second
    assert times.moment(wall, None) == first
    assert times.local_date(second) == date(2025, 11, 2)


def test_real_utc_needs_no_conversion_and_the_local_day_is_the_projects():
    times = Times(PACIFIC, "utc")
    moment = times.moment(1602611311, None)
    assert moment == datetime(2020, 10, 13, 17, 48, 31, tzinfo=UTC)
    assert times.local_date(datetime(2020, 10, 14, 3, tzinfo=UTC)) == date(2020, 10, 13)
    assert times.today(datetime(2020, 10, 14, 3, tzinfo=UTC)) == date(2020, 10, 14)
    assert Times(PACIFIC, "project").today(datetime(2020, 10, 14, 3, tzinfo=UTC)) == date(2020, 10, 13)


@pytest.mark.parametrize(
    "changes", [{"time_basis": "utc"}, {"timezone": "Europe/Berlin"}, {"timezone": "America/New_York"}]
)
def test_settings_that_would_shift_every_time_are_refused_before_a_row_gets_out(sandbox, changes):
    found: list[Any] = []
    with pytest.raises(TerminalError, match=r"hours off.*Check the project's time zone") as failure:
        found.extend(get_connector("mixpanel").read(settings(sandbox, **changes), StreamRequest("events"), None))
    assert failure.value.kind == "settings"
    assert found == []


# Official examples ------------------------------------------------------------------------------------------------------


def test_the_official_export_example_becomes_rows(recording, monkeypatch):
    monkeypatch.setattr(mixpanel, "_now", lambda: datetime(2020, 10, 15, 20, tzinfo=UTC))
    tape = recording("mixpanel/examples/export.json", "an export becomes rows in the project's time zone")
    given = alone(tape.play(), time_basis="project", timezone="America/New_York")
    rows, cursor = read(given)
    assert [(row["event"], row["insert_id"][:6], row["distinct_id"]) for row in rows] == [
        ("Signed up", "hpuDqc", ""),
        ("Signed up", "jajceb", ""),
    ]
    # the project's clock was four hours behind UTC: with that, Mixpanel received the events within seconds
    assert rows[0]["time"] == datetime(2020, 10, 13, 21, 48, 31, tzinfo=UTC)
    assert [(row["received_at"] - row["time"]).total_seconds() < 1 for row in rows] == [True, True]
    assert cursor["day"] == "2020-10-15"


def test_the_official_profile_example_becomes_a_row(recording):
    tape = recording("mixpanel/examples/engage.json", "a page of profiles becomes rows")
    rows, _ = read(alone(tape.play()), name="profiles")
    assert [(row["distinct_id"], row["first_name"], row["created"]) for row in rows] == [
        ("4", "Example", "2008-12-12T11:20:47")
    ]


def test_the_official_cohort_example_becomes_rows(recording):
    tape = recording("mixpanel/examples/cohorts.json", "a list of cohorts becomes rows")
    rows, _ = read(alone(tape.play()), name="cohorts")
    assert [(row["id"], row["name"], row["count"], row["is_visible"]) for row in rows] == [
        (1000, "Cohort One", 150, 1),
        (2000, "Cohort Two", 25, 0),
    ]
