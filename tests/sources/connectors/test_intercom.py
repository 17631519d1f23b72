"""Intercom: against the sandbox's real HTTP."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import pytest

from portal.failures import TerminalError, TransientError
from sandbox.support import Part
from sources.connectors import get_connector, http, intercom
from sources.connectors.base import StreamRequest
from sources.connectors.intercom import DAY, OVERLAP, REGIONS
from sources.connectors.intercom_streams import PARTS, SPECS, STREAMS

pytestmark = pytest.mark.slow

TOKEN = "dG9rOjAxMjM0NTY3ODlhYmNkZWY="


def settings(sandbox: Any, **changes: Any) -> dict[str, Any]:
    return {**sandbox.intercom.endpoint(), **changes}


def read(given: dict[str, Any], name: str, since: Any = None, *along: str) -> tuple[dict[str, list[Any]], Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = since
    for page in get_connector("intercom").read(given, StreamRequest(name, along=along), since):
        rows[page.stream or name] += page.rows
        cursor = cursor if page.cursor is None else page.cursor
    return rows, cursor


def keyed(name: str, rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[key] for key in SPECS[name].primary_key): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.parametrize("name", ["contacts", "conversations"])
def test_two_reads_make_the_same_table_as_one(sandbox, name):
    given = settings(sandbox)
    before, cursor = read(given, name)
    assert before[name]
    assert not any(read(given, name, cursor)[0].values())
    table = keyed(name, before[name])
    came = 0
    for _ in range(3):
        sandbox.advance(days=7, hours=5)
        news, cursor = read(given, name, cursor)
        came += len(news[name])
        table |= keyed(name, news[name])
    assert came  # a week of so small a company may pass without a conversation

    everything, _ = read(given, name)

    whole = keyed(name, everything[name])
    gone = table.keys() - whole.keys()  # users whose workspace ended: they go when everything is read again
    assert {key: row for key, row in table.items() if key not in gone} == whole
    assert len(news[name]) < len(everything[name])
    assert not any(read(given, name, cursor)[0].values())


def test_parts_come_only_for_conversations_that_changed(sandbox):
    given = settings(sandbox)
    first, cursor = read(given, "conversations", None, PARTS)
    conversations = sandbox.company.support.conversations
    assert len(keyed(PARTS, first[PARTS])) == sum(len(each.parts) for each in conversations.values())
    assert all(row["has_all_parts"] for row in first["conversations"])
    sandbox.advance(days=4)
    sandbox.intercom.forget_requests()

    news, _ = read(given, "conversations", cursor, PARTS)

    assert sandbox.intercom.count("/conversations/1") == len(news["conversations"]) < len(conversations) / 2
    everything, _ = read(given, "conversations", None, PARTS)
    for name in ("conversations", PARTS):
        assert keyed(name, first[name]) | keyed(name, news[name]) == keyed(name, everything[name])


def test_parts_alone_are_read_through_their_conversations(sandbox):
    rows, _ = read(settings(sandbox), PARTS)
    together, _ = read(settings(sandbox), "conversations", None, PARTS)
    assert set(rows) == {PARTS}
    assert rows[PARTS] == together[PARTS]


def test_whether_all_parts_came_is_unknown_without_asking_for_them(sandbox):
    rows, _ = read(settings(sandbox), "conversations")
    assert {row["has_all_parts"] for row in rows["conversations"]} == {None}
    assert sandbox.intercom.count("/conversations/1") == 0
    assert sum(row["part_count"] for row in rows["conversations"]) > 0


def test_a_conversation_of_more_than_500_parts_says_that_some_are_missing(sandbox):
    conversation = next(iter(sandbox.company.support.conversations.values()))
    kept = list(conversation.parts)
    conversation.parts += [Part(900_000 + n, "note", sandbox.now, None, "open", f"{n}") for n in range(510)]
    try:
        rows, _ = read(settings(sandbox), "conversations", None, PARTS)
    finally:
        conversation.parts = kept
    (row,) = [row for row in rows["conversations"] if not row["has_all_parts"]]
    assert (row["id"], row["part_count"]) == (str(conversation.id), len(kept) + 510)
    ours = [part for part in rows[PARTS] if part["conversation_id"] == row["id"]]
    assert len(ours) == 500
    assert ours[-1]["body"] == "<p>509</p>"
    # what was read before stays: the stream has no owner whose missing rows would go
    assert SPECS[PARTS].owner_key == ()


def test_a_conversation_that_vanishes_while_it_is_read_is_marked(sandbox):
    number = next(iter(sandbox.company.support.conversations))
    found = sandbox.intercom._conversation

    sandbox.intercom._conversation = lambda request, **values: found(
        request, number=0 if values["number"] == number else values["number"]
    )
    try:
        rows, _ = read(settings(sandbox), "conversations", None, PARTS)
    finally:
        del sandbox.intercom._conversation
    assert [row["id"] for row in rows["conversations"] if row["is_deleted"]] == [str(number)]
    assert len(rows["conversations"]) == len(sandbox.company.support.conversations)


def test_contacts_that_were_deleted_go_when_all_are_read_again(sandbox):
    given = settings(sandbox)
    rows, cursor = read(given, "contacts")
    user = next(user for user in sandbox.company.product.users.values() if user.deleted_at is None)
    pages = []
    user.deleted_at = sandbox.now
    try:
        later = {**cursor, "whole_at": time.time() - 8 * DAY}
        pages = list(get_connector("intercom").read(given, StreamRequest("contacts"), later))
        never = list(
            get_connector("intercom").read({**given, "contacts_again_days": 0}, StreamRequest("contacts"), later)
        )
    finally:
        user.deleted_at = None
    assert all(page.starts_over for page in pages)
    left = {row["external_id"] for page in pages for row in page.rows}
    assert {row["external_id"] for row in rows["contacts"]} - left == {str(user.id)}
    assert not any(page.starts_over for page in never)
    assert pages[-1].cursor["whole_at"] > cursor["whole_at"]


def test_a_contact_search_compares_days_and_nothing_is_lost_by_that(sandbox):
    given = settings(sandbox)
    _, cursor = read(given, "contacts")
    newest = max(sandbox.company.product.users.values(), key=lambda user: user.updated_at)
    at = newest.updated_at
    # late on the same day as the newest change: a plain “> cursor” would begin tomorrow
    newest.updated_at = max(cursor["updated"], at) + 1
    sandbox.intercom._order = (None, [])
    try:
        rows, _ = read(given, "contacts", cursor)
    finally:
        newest.updated_at = at
        sandbox.intercom._order = (None, [])
    assert [row["external_id"] for row in rows["contacts"]] == [str(newest.id)]


def test_a_contact_that_shows_up_some_minutes_late_is_read(sandbox):
    given = settings(sandbox)
    _, cursor = read(given, "contacts")
    key, at = max(cursor["seen"].items(), key=lambda each: each[1])
    late = {**cursor, "seen": {other: seen for other, seen in cursor["seen"].items() if other != key}}
    assert at >= cursor["updated"] - OVERLAP
    rows, _ = read(given, "contacts", late)
    assert [row["id"] for row in rows["contacts"]] == [key]


def test_a_first_read_goes_on_where_it_broke_off(sandbox, pauses, monkeypatch):
    monkeypatch.setattr(intercom, "PAGE", 20)
    given = settings(sandbox)
    sandbox.intercom.faults.add("500", count=None, after=60, path="/conversations/1")
    rows: dict[str, list[Any]] = defaultdict(list)
    cursor = None
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in get_connector("intercom").read(given, StreamRequest("conversations", along=(PARTS,)), None):
            rows[page.stream] += page.rows
            cursor = page.cursor or cursor
    assert cursor
    sandbox.intercom.faults.clear()

    rest, _ = read(given, "conversations", cursor, PARTS)

    everything, _ = read(given, "conversations", None, PARTS)
    for name in ("conversations", PARTS):
        assert keyed(name, rows[name]) | keyed(name, rest[name]) == keyed(name, everything[name])
    assert len(rest["conversations"]) < len(everything["conversations"])


@pytest.mark.parametrize("name", ["contacts", "conversations"])
def test_a_backfill_brings_all_that_changed_since_then(sandbox, name):
    given = settings(sandbox)
    first, cursor = read(given, name)
    moment = sorted(row["updated_at"] for row in first[name])[len(first[name]) // 2]

    back = get_connector("intercom").cursor_from(StreamRequest(name), moment, cursor)
    again, later = read(given, name, back)

    expected = {row["id"] for row in first[name] if row["updated_at"].timestamp() >= moment.timestamp() - OVERLAP}
    assert {row["id"] for row in again[name]} == expected
    assert later["updated"] == cursor["updated"]
    assert get_connector("intercom").cursor_from(StreamRequest(name), moment, {**cursor, "after": 5}) is None


def test_companies_are_scrolled_through(sandbox):
    rows, _ = read(settings(sandbox), "companies")
    workspaces = sandbox.company.product.workspaces
    assert len(keyed("companies", rows["companies"])) == len(workspaces) > 0
    assert {row["company_id"] for row in rows["companies"]} == {each.id for each in workspaces.values()}
    assert read(settings(sandbox), "companies")[0] == rows


@pytest.mark.parametrize("kind", ["truncate", "500", "reset"])
def test_a_scroll_that_lost_an_answer_is_not_asked_again(sandbox, pauses, kind):
    # asked again, Intercom would hand out the next hundred, and a hundred would be missing
    sandbox.intercom.faults.add(kind, after=1, path="/companies/scroll")
    try:
        with pytest.raises(TransientError) as failure:
            read(settings(sandbox), "companies")
    finally:
        sandbox.intercom.end_scroll()
    assert (failure.value.kind, failure.value.retry_after) == ("scroll", 60)
    assert pauses == []
    assert len(read(settings(sandbox), "companies")[0]["companies"]) == len(sandbox.company.product.workspaces)


def test_another_programs_scroll_is_waited_for(sandbox):
    pages = get_connector("intercom").read(settings(sandbox), StreamRequest("companies"), None)
    next(pages)
    try:
        with pytest.raises(TransientError) as failure:
            read(settings(sandbox), "companies")
    finally:
        pages.close()
        sandbox.intercom.end_scroll()
    assert (failure.value.kind, failure.value.retry_after) == ("scroll", 60)


def test_small_lists_are_whole(sandbox):
    given, support = settings(sandbox), sandbox.company.support
    admins, teams, tags = (read(given, name)[0][name] for name in ("admins", "teams", "tags"))
    assert [row["id"] for row in admins] == [str(admin.id) for admin in support.admins]
    assert [row["name"] for row in teams] == ["Customer support"]
    assert {row["name"] for row in tags} == {conversation.topic for conversation in support.conversations.values()}


def test_rows_say_what_is_true_of_first_responses_closes_and_ratings(sandbox):
    rows, _ = read(settings(sandbox), "conversations", None, PARTS)
    cases = {case.conversation_id: case for case in sandbox.company.support.cases.values()}
    admin_comments: dict[str, list[float]] = defaultdict(list)
    closes: dict[str, list[float]] = defaultdict(list)
    for part in rows[PARTS]:
        if part["part_type"] == "comment" and part["author_type"] == "admin":
            admin_comments[part["conversation_id"]].append(part["created_at"].timestamp())
        elif part["part_type"] == "close":
            closes[part["conversation_id"]].append(part["created_at"].timestamp())
    assert len(rows["conversations"]) == len(cases)
    for row in rows["conversations"]:
        case, began = cases[row["id"]], row["created_at"].timestamp()
        first = min(admin_comments[row["id"]], default=None)
        assert row["time_to_admin_reply"] == case.first_response_seconds == (first and first - began)
        assert row["time_to_first_close"] == case.first_close_seconds
        assert row["time_to_last_close"] == case.last_close_seconds
        assert (max(closes[row["id"]]) - began if closes[row["id"]] else None) == case.last_close_seconds
        assert (row["rating"], row["count_reopens"]) == (case.rating, case.reopens)
    assert sum(row["rating"] is not None for row in rows["conversations"]) > 10


# Refusals ---------------------------------------------------------------------------------------------------------


def test_check_names_the_workspace(sandbox):
    sentence = get_connector("intercom").check(settings(sandbox))
    assert sentence == "Connected to Intercom, workspace “Tidewater”. The token may read everything that is needed."
    assert sandbox.intercom.count("scroll") == 0


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"access_token": TOKEN}, "unauthorized", "the chosen region (United States)"),
        ({"access_token": ""}, "settings", "no access token yet"),
        ({"region": "mars"}, "settings", "no region “mars”"),
    ],
)
def test_wrong_settings_are_said_in_words(sandbox, changes, kind, words):
    with pytest.raises(TerminalError) as failure:
        get_connector("intercom").check(settings(sandbox, **changes))
    assert failure.value.kind == kind
    assert words in failure.value.sentence
    assert TOKEN not in failure.value.detail


def test_check_names_every_missing_permission(sandbox):
    sandbox.intercom.faults.add("forbidden", count=None, path="/conversations")
    sandbox.intercom.faults.add("forbidden", count=None, path="/tags")
    with pytest.raises(TerminalError) as failure:
        get_connector("intercom").check(settings(sandbox))
    assert "lacks the permission: Read conversations; Read tags." in failure.value.sentence


@pytest.mark.parametrize("spec", STREAMS, ids=lambda spec: spec.name)
def test_a_missing_permission_names_the_stream(sandbox, spec):
    sandbox.intercom.faults.add("forbidden", count=None)
    with pytest.raises(TerminalError) as failure:
        read(settings(sandbox), spec.name)
    assert failure.value.kind == "forbidden"
    assert f"switch on “{spec.permission}”" in failure.value.sentence


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "truncate"])
def test_hiccups_heal_by_themselves(sandbox, pauses, kind):
    sandbox.intercom.faults.add(kind, count=2, after=1, retry_after=1)
    rows, _ = read(settings(sandbox), "conversations", None, PARTS)
    assert len(rows["conversations"]) == len(sandbox.company.support.conversations)
    assert sandbox.intercom.faults.waiting() == []
    assert len(pauses) == 2


def test_a_limit_that_is_spent_is_waited_out_as_intercom_says(sandbox, pauses, monkeypatch):
    sandbox.intercom.limit = 1
    sandbox.intercom._resets_at = 0.0

    def pass_time(seconds: float) -> None:
        pauses.append(seconds)
        sandbox.intercom._resets_at = 0.0

    monkeypatch.setattr(http, "sleep", pass_time)
    try:
        rows, _ = read(settings(sandbox), "contacts")
    finally:
        sandbox.intercom.limit = 20_000
    assert rows["contacts"]
    assert pauses
    assert all(1 <= pause <= 12 for pause in pauses)


def test_an_expired_token_needs_a_person(sandbox):
    sandbox.intercom.faults.add("expired_token")
    with pytest.raises(TerminalError) as failure:
        read(settings(sandbox), "contacts")
    assert failure.value.kind == "unauthorized"


def test_every_region_has_an_address_and_the_version_is_pinned(httpserver):
    assert {address for _, address in REGIONS.values()} == {
        "https://api.intercom.io", "https://api.eu.intercom.io", "https://api.au.intercom.io",
    }  # fmt: skip
    httpserver.expect_request("/tags", headers={"Intercom-Version": "2.14"}).respond_with_json({"data": []})
    assert read({"access_token": TOKEN, "base_url": httpserver.url_for("/")}, "tags")[0] == {"tags": []}
