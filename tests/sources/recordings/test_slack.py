"""What Slack once answered, read by the connector."""

from __future__ import annotations

import pytest

from portal.failures import TerminalError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from sources.connectors.slack_api import UNAUTHORIZED, SlackApi

TOKEN = "xoxb-recorded"


def read(given: dict[str, str], name: str) -> list[dict]:
    return [row for page in get_connector("slack").read(given, StreamRequest(name), None) for row in page.rows]


def test_two_recorded_pages_of_channels(recording):
    tape = recording("slack/recorded/conversations.list-paginated.json", "two pages of channels become rows")
    rows = read({"token": TOKEN, "base_url": f"{tape.play()}/api"}, "channels")
    assert len(rows) == 156
    general = next(row for row in rows if row["is_general"])
    assert (general["id"], general["name"], general["num_members"]) == ("C04KB5X4D", "general", 14)
    assert general["created"].isoformat() == "2015-04-28T11:57:10+00:00"
    assert not general["is_member"]


def test_a_recorded_group_message_is_a_channel(recording):
    tape = recording("slack/recorded/conversations.info.json", "a group conversation becomes a row")
    rows = read({"token": TOKEN, "base_url": f"{tape.play()}/api"}, "channels")
    (row,) = rows
    assert (row["id"], row["topic"], row["is_private"]) == ("G0K7EV5A7", "Group messaging", None)


def test_recorded_people_become_rows(recording):
    tape = recording("slack/recorded/users.info.json", "people, bots and who left become rows")
    rows = read({"token": TOKEN, "base_url": f"{tape.play()}/api"}, "users")
    expected = tape.interactions[0]["response"]["body"]["members"]
    assert len(rows) == len(expected) == 35
    for row, member in zip(rows, expected, strict=True):
        assert (row["id"], row["is_deleted"], row["real_name"]) == (
            member["id"], member["deleted"], member.get("real_name") or member["profile"].get("real_name"),
        )  # fmt: skip
    assert {row["is_bot"] for row in rows} == {True, False}


def test_recorded_pages_of_people_are_followed(recording):
    tape = recording("slack/recorded/users.list-paginated-first.json", "the cursor of each page leads to the next")
    base_url = f"{tape.play()}/api"
    pages = get_connector("slack").read({"token": TOKEN, "base_url": base_url}, StreamRequest("users"), None)
    rows = [row for _, page in zip(range(4), pages, strict=False) for row in page.rows]
    expected = [each for one in tape.interactions for each in one["response"]["body"]["members"]]
    assert [row["id"] for row in rows] == [member["id"] for member in expected]
    assert len({row["id"] for row in rows}) == 20


def test_a_recorded_refusal_is_said_in_words(recording):
    tape = recording("slack/recorded/auth.test-invalid_auth.json", "ok:false under status 200 is a refusal")
    with pytest.raises(TerminalError) as failure:
        get_connector("slack").check({"token": TOKEN, "base_url": f"{tape.play()}/api"})
    assert failure.value.kind == "unauthorized"
    assert failure.value.sentence == UNAUTHORIZED["not_authed"]


def test_a_recorded_auth_test_names_the_workspace(recording):
    tape = recording("slack/recorded/auth.test-ok.json", "the token's workspace is named")
    with SlackApi(f"{tape.play()}/api", TOKEN, 50) as api:
        assert api.call("auth.test")["team"] == "team_name"
