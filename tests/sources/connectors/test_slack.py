"""Slack: against the sandbox's real HTTP."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug import Response

from portal.failures import TerminalError, TransientError
from sources.connectors import get_connector
from sources.connectors.base import GONE, StreamRequest, SyncMode
from sources.connectors.slack_api import OTHER, TIERS, UNAUTHORIZED
from sources.connectors.slack_reader import _day
from sources.connectors.slack_streams import SPECS

TOKEN = "xoxb-000000000000-0123456789abcdefghijkl"
ALONG = ("replies", "reactions")


def settings(sandbox: Any, **changes: Any) -> dict[str, Any]:
    return {**sandbox.slack.endpoint(), **changes}


def read(given: dict[str, Any], name: str, since: Any = None, *along: str) -> tuple[dict[str, list[Any]], Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = since
    for page in get_connector("slack").read(given, StreamRequest(name, along=along), since):
        rows[page.stream or name] += page.rows
        cursor = cursor if page.cursor is None else page.cursor
    return rows, cursor


def merged(name: str, *loads: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """What the warehouse holds after these loads: an owner's rows are replaced together."""
    spec, table = SPECS[name], {}
    for rows in loads:
        owners = {tuple(row[key] for key in spec.owner_key) for row in rows}
        table = {key: row for key, row in table.items() if tuple(row[each] for each in spec.owner_key) not in owners}
        table |= {tuple(row[key] for key in spec.primary_key): row for row in rows if not row.get(GONE)}
    return table


def truth(sandbox: Any) -> dict[str, int]:
    messages = [message for channel in sandbox.company.team.channels.values() for message in channel.messages]
    everything = [*messages, *(reply for message in messages for reply in message.replies)]
    return {
        "messages": len(messages),
        "replies": len(everything) - len(messages),
        "reactions": sum(len(message.reactions) for message in everything),
    }


def test_everything_arrives_once(sandbox):
    rows, _ = read(settings(sandbox), "messages", None, *ALONG)
    expected = truth(sandbox)
    for name in ("messages", *ALONG):
        assert len(merged(name, rows[name])) == len(rows[name]) == expected[name] > 0, name
    given = sum(
        len(users)
        for channel in sandbox.company.team.channels.values()
        for message in channel.messages
        for each in (message, *message.replies)
        for users in each.reactions.values()
    )
    assert sum(row["count"] for row in rows["reactions"]) == given
    assert sum(row["reaction_count"] for row in rows["messages"] + rows["replies"]) == given
    assert sum(row["reply_count"] or 0 for row in rows["messages"]) == expected["replies"]
    assert {row["ts"] for row in rows["messages"] if row["reply_count"]} == {
        row["thread_ts"] for row in rows["replies"]
    }


def test_what_people_wrote_is_kept_only_when_asked_for(sandbox):
    without, _ = read(settings(sandbox), "messages", None, "replies")
    kept, _ = read(settings(sandbox, keep_text=True), "messages", None, "replies")
    for name in ("messages", "replies"):
        assert [row["text_length"] for row in without[name]] == [len(row["text"]) for row in kept[name]]
        assert all(row["text"] is None for row in without[name])
    words = str(without)
    assert not any(row["text"] in words for row in kept["messages"] if row["text_length"] > 12)
    assert "notes.pdf" not in words
    assert "notes.pdf" in str(kept["messages"])


def test_two_reads_make_the_same_tables_as_one(sandbox):
    given = settings(sandbox)
    before, cursor = read(given, "messages", None, *ALONG)
    assert not any(read(given, "messages", cursor, *ALONG)[0].values())
    for _ in range(3):
        sandbox.advance(days=2)
        news, cursor = read(given, "messages", cursor, *ALONG)
        assert news["messages"]
        before = {name: list(merged(name, before[name], news[name]).values()) for name in before}

    everything, _ = read(given, "messages", None, *ALONG)

    for name in ("messages", *ALONG):
        assert merged(name, before[name]) == merged(name, everything[name]), name
    assert len(news["messages"]) < len(everything["messages"]) / 4


def test_edits_deletions_reactions_and_late_replies_are_noticed(sandbox):
    given = settings(sandbox, days_back=3)
    team = sandbox.company.team
    channel = team.channels["C0ENGINEERING"]
    rows, cursor = read(given, "messages", None, *ALONG)
    last_day = max(row["day"] for row in rows["messages"] if row["channel_id"] == channel.id)
    ours = {row["ts"] for row in rows["messages"] if row["day"] == last_day}
    edited = next(message for message in channel.messages if message.ts in ours)
    kept = list(channel.messages)
    thread = next(message for message in reversed(kept) if message.replies)
    reactions = {name: list(users) for name, users in edited.reactions.items()}
    try:
        edited.edited_ts = f"{sandbox.now}.000100"
        edited.reactions.setdefault("eyes", []).append("U0STRANGER")
        old = thread.replies.pop()
        news, later = read(given, "messages", cursor, *ALONG)
        assert {row["ts"]: row["edited_ts"] for row in news["messages"]}[edited.ts] == edited.edited_ts
        assert {row["message_ts"] for row in news["reactions"] if row["name"] == "eyes"} >= {edited.ts}
        assert {row["day"] for row in news["messages"]} <= {last_day, *_days(rows, thread)}

        channel.messages = [message for message in kept if message.ts not in ours]
        news, _ = read(given, "messages", later, *ALONG)
        (gone,) = [row for row in news["messages"] if row.get(GONE)]
        assert (gone["channel_id"], gone["day"]) == (channel.id, last_day)
        assert str(last_day) in {row["found_in"] for row in news["reactions"] if row.get(GONE)}
    finally:
        channel.messages = kept
        edited.edited_ts = None
        edited.reactions = reactions
        thread.replies.append(old)
    assert not any(read(given, "messages", cursor, *ALONG)[0].values())


def _days(rows: dict[str, list[Any]], message: Any) -> set[Any]:
    return {row["day"] for row in rows["messages"] if row["ts"] == message.ts}


def test_a_late_reply_to_a_thread_that_is_still_warm_is_noticed(sandbox):
    from sandbox.team import Message

    given = settings(sandbox, days_back=2)
    team = sandbox.company.team
    channel = team.channels["C0PRODUCT"]
    _, cursor = read(given, "messages", None, *ALONG)
    known_to = float(max(known["newest"] for known in cursor.values()))
    long_ago = float(cursor[channel.id]["newest"]) - 5 * 86_400
    parent = next(m for m in reversed(channel.messages) if not m.replies and float(m.ts) < long_ago)
    first = Message(f"{known_to - 3_600:.6f}", team.members[0], "Late, but here.", parent.ts)
    second = Message(f"{known_to - 60:.6f}", team.members[1], "Later still.", parent.ts)
    try:
        parent.replies.append(first)
        _, cursor = read(given, "messages", None, *ALONG)
        parent.replies.append(second)
        news, _ = read(given, "messages", cursor, *ALONG)
    finally:
        parent.replies.clear()
    assert [row["ts"] for row in news["replies"]] == [first.ts, second.ts]
    assert news["messages"] == []


def test_a_first_read_goes_on_where_it_broke_off(sandbox, pauses):
    given = settings(sandbox)
    sandbox.slack.faults.add("500", count=None, after=60, path="/conversations.replies")
    loaded: dict[str, list[Any]] = defaultdict(list)
    cursor = None
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in get_connector("slack").read(given, StreamRequest("messages", along=ALONG), None):
            loaded[page.stream] += page.rows
            cursor = page.cursor or cursor
    assert cursor
    sandbox.slack.faults.clear()

    rest, cursor = read(given, "messages", cursor, *ALONG)

    everything, _ = read(given, "messages", None, *ALONG)
    for name in ("messages", *ALONG):
        assert merged(name, loaded[name], rest[name]) == merged(name, everything[name]), name
    assert len(rest["messages"]) < len(everything["messages"])
    assert not any(read(given, "messages", cursor, *ALONG)[0].values())


@pytest.mark.parametrize("name", ALONG)
def test_parts_alone_are_read_through_their_messages(sandbox, name):
    alone, _ = read(settings(sandbox), name)
    together, _ = read(settings(sandbox), "messages", None, *ALONG)
    assert set(alone) == {name}
    assert merged(name, alone[name]) == merged(name, together[name])


def test_channels_and_users_are_whole(sandbox):
    channels, _ = read(settings(sandbox), "channels")
    users, _ = read(settings(sandbox), "users")
    assert {row["id"] for row in channels["channels"]} == set(sandbox.company.team.channels)
    assert len({row["id"] for row in users["users"]}) == 40
    assert all(row["email"].endswith("@tidewater.example") for row in users["users"])
    assert not any(spec.cursor_fields for spec in SPECS.values() if spec.sync_modes == (SyncMode.FULL_REFRESH,))


def test_a_backfill_brings_every_day_since_then_and_says_which_are_empty(sandbox):
    given = settings(sandbox)
    first, cursor = read(given, "messages", None, *ALONG)
    channel = sandbox.company.team.channels["C0ENGINEERING"]
    days = sorted({row["day"] for row in first["messages"] if row["channel_id"] == channel.id})
    since, emptied = days[-40], days[-20]
    request = StreamRequest("messages", along=ALONG)
    back = get_connector("slack").cursor_from(request, datetime.combine(since, time(11), UTC), cursor)
    kept = channel.messages
    channel.messages = [message for message in kept if f"{emptied:%Y-%m-%d}" != _day(message.ts)]
    try:
        again, cursor = read(given, "messages", back, *ALONG)
        everything, _ = read(given, "messages", None, *ALONG)
        assert not any(read(given, "messages", cursor, *ALONG)[0].values())
    finally:
        channel.messages = kept
    came = [row for row in again["messages"] if not row.get(GONE)]
    assert sorted(row["ts"] for row in came) == sorted(r["ts"] for r in everything["messages"] if r["day"] >= since)
    assert {(channel.id, emptied)} <= {(r["channel_id"], r["day"]) for r in again["messages"] if r.get(GONE)}
    assert merged("messages", first["messages"], again["messages"]) == merged("messages", everything["messages"])


# Channels that cannot be read -------------------------------------------------------------------------------------


@pytest.fixture
def uninvited(sandbox):
    sandbox.slack.joined.discard("C0PRODUCT")
    yield sandbox
    sandbox.slack.joined.add("C0PRODUCT")


def pieces(given: dict[str, Any], since: Any = None) -> tuple[list[dict[str, Any]], Any, TerminalError]:
    rows, cursor = [], since
    with pytest.raises(TerminalError) as failure:  # noqa: PT012 (what came before the failure counts)
        for page in get_connector("slack").read(given, StreamRequest("messages"), since):
            rows += page.rows
            cursor = page.cursor or cursor
    return rows, cursor, failure.value


def test_a_channel_without_the_app_is_named_after_all_others_were_read(uninvited):
    rows, cursor, failure = pieces(settings(uninvited))
    channels = {row["channel_id"] for row in rows}
    assert channels == set(uninvited.company.team.channels) - {"C0PRODUCT"}
    assert set(cursor) == channels
    assert failure.kind == "skipped_channels"
    assert "1 channel could not be read: #product (the app is not in it). The others were." in failure.sentence
    assert "/invite" in failure.sentence

    uninvited.slack.joined.add("C0PRODUCT")
    rows, _ = read(settings(uninvited), "messages", cursor)
    assert {row["channel_id"] for row in rows["messages"]} == {"C0PRODUCT"}


def test_check_says_which_channels_the_app_is_not_in(uninvited):
    sentence = get_connector("slack").check(settings(uninvited))
    assert "The app is in 5 of 6 channels; not in #product." in sentence


def test_joined_only_leaves_out_what_the_app_never_was_in_and_reports_what_it_lost(uninvited):
    given = settings(uninvited, joined_only=True)
    _, cursor = read(given, "messages")
    assert "C0PRODUCT" not in cursor
    uninvited.slack.joined.add("C0PRODUCT")
    _, cursor = read(given, "messages", cursor)
    uninvited.slack.joined.discard("C0PRODUCT")
    _, _, failure = pieces(given, cursor)
    assert "#product" in failure.sentence


def test_named_channels_only(sandbox):
    rows, _ = read(settings(sandbox, channels=["#general", "C0PRODUCT"]), "messages")
    assert {row["channel_id"] for row in rows["messages"]} == {"C0GENERAL", "C0PRODUCT"}
    with pytest.raises(TerminalError) as failure:
        read(settings(sandbox, channels=["generall"]), "messages")
    assert "no channel “generall”" in failure.value.sentence


# Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"token": TOKEN}, "unauthorized", "did not accept the token"),
        ({"token": ""}, "settings", "no token yet"),
        ({"channels": ["nothing"]}, "not_found", "no channel “nothing”"),
    ],
)
def test_wrong_settings_are_said_in_words(sandbox, changes, kind, words):
    with pytest.raises(TerminalError) as failure:
        get_connector("slack").check(settings(sandbox, **changes))
    assert failure.value.kind == kind
    assert words in failure.value.sentence
    assert TOKEN not in failure.value.detail


@pytest.mark.parametrize("scope", ["channels:read", "channels:history", "users:read"])
def test_a_missing_scope_is_named(sandbox, scope):
    sandbox.slack.scopes.discard(scope)
    try:
        with pytest.raises(TerminalError) as failure:
            get_connector("slack").check(settings(sandbox))
    finally:
        sandbox.slack.scopes.add(scope)
    assert failure.value.kind == "forbidden"
    assert f"lacks the permission {scope}." in failure.value.sentence


@pytest.mark.parametrize("code", [*UNAUTHORIZED, *OTHER, "something_new"])
def test_every_error_under_status_200_is_a_failure_with_a_sentence(httpserver, code):
    httpserver.expect_request("/api/users.list").respond_with_json({"ok": False, "error": code})
    with pytest.raises(TerminalError) as failure:
        read({"token": TOKEN, "base_url": httpserver.url_for("/api")}, "users")
    assert failure.value.sentence.endswith(".")
    assert code in failure.value.detail


@pytest.mark.parametrize("body", [[], {}, {"channels": []}])
def test_an_answer_that_is_not_slacks_is_no_empty_list(httpserver, pauses, body):
    httpserver.expect_request("/api/conversations.list").respond_with_json(body)
    with pytest.raises(TransientError):
        read({"token": TOKEN, "base_url": httpserver.url_for("/api")}, "channels")


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "truncate"])
def test_hiccups_heal_by_themselves(sandbox, pauses, kind):
    sandbox.slack.faults.add(kind, count=2, after=1, retry_after=1)
    rows, _ = read(settings(sandbox), "messages")
    assert len(rows["messages"]) == truth(sandbox)["messages"]
    assert sandbox.slack.faults.waiting() == []
    assert len(pauses) == 2


def test_an_expired_token_and_a_lost_permission_need_a_person(sandbox):
    for kind, expected in (("expired_token", "unauthorized"), ("forbidden", "forbidden")):
        sandbox.slack.faults.add(kind)
        with pytest.raises(TerminalError) as failure:
            read(settings(sandbox), "messages")
        assert failure.value.kind == expected


def test_a_long_wait_lets_go_of_the_worker(sandbox):
    sandbox.slack.faults.add("429", retry_after=600)
    with pytest.raises(TransientError) as failure:
        read(settings(sandbox), "users")
    assert (failure.value.kind, failure.value.retry_after) == ("rate_limited", 600)


def test_calls_keep_the_pace_of_their_tier(sandbox, pauses):
    # 3 a minute in tier 3 and 1 in tier 2, each method for itself: history is asked once a channel
    given = settings(sandbox, calls_per_minute=3)
    get_connector("slack").check(given)
    assert pauses == []
    read(given, "messages")
    assert len(pauses) == len(sandbox.company.team.channels) - 3
    assert all(0 < pause <= 60 for pause in pauses)


def test_tiers_are_slacks_own():
    tiers = json.loads((Path(__file__).parents[2] / "fixtures/slack/rate_limit_tiers.json").read_text())
    for method, tier in TIERS.items():
        assert tiers[method] in {f"Tier{tier}", "SpecialTier_auth_test"}, method


# Pages that come twice or in another order ------------------------------------------------------------------------


def test_repeated_and_shuffled_pages_change_nothing(httpserver):
    def said(ts: str) -> dict[str, Any]:
        return {"type": "message", "user": "U1", "text": "a", "ts": ts}

    newer, older = [said("1772400000.000200")], [said("1772100000.000100"), said("1772000000.000100")]
    for pages in ([newer, older], [newer, newer, older, older], [older, newer]):
        channels = {"ok": True, "channels": [{"id": "C1", "name": "a", "is_member": True}]}
        answers = [{"ok": True, "messages": page, "response_metadata": {"next_cursor": "x" * left}}
                   for left, page in zip(range(len(pages) - 1, -1, -1), pages, strict=True)]  # fmt: skip
        httpserver.clear()
        httpserver.expect_request("/api/conversations.list").respond_with_json(channels)
        httpserver.expect_request("/api/conversations.history").respond_with_handler(
            lambda _, answers=iter(answers): Response(json.dumps(next(answers)))
        )
        rows, cursor = read({"token": TOKEN, "base_url": httpserver.url_for("/api")}, "messages")
        assert sorted(row["ts"] for row in rows["messages"]) == sorted(each["ts"] for each in newer + older)
        assert cursor["C1"]["newest"] == "1772400000.000200"


# The company's own file -------------------------------------------------------------------------------------------


def test_the_door_answers_a_plain_get_as_slack_does(sandbox):
    door, channel = sandbox.slack, sandbox.company.team.channels["C0GENERAL"]
    asked = {"channel": channel.id, "oldest": "0", "limit": 200}
    headers = {"Authorization": f"Bearer {door.token}"}
    answer = requests.get(f"{door.base_url}/api/conversations.history", params=asked, headers=headers, timeout=10)
    messages = answer.json()["messages"]
    assert [message["ts"] for message in messages] == [each.ts for each in reversed(channel.messages[-200:])]
