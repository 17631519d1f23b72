"""What the Slack door says, held against Slack's own description, its SDKs' samples and recorded answers."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from tests.sandbox.specs import FIXTURES, complaints, recordings


def _plain(node: Any) -> Any:
    """Slack's dialect: a list under ``items`` of something that is no array means "one of these"."""
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if not isinstance(node, dict):
        return node
    found = {key: _plain(value) for key, value in node.items() if key not in {"examples", "example"}}
    if isinstance(found.get("items"), list):
        return {"anyOf": found["items"]}
    return found


@cache
def _spec() -> dict[str, Any]:
    return json.loads((FIXTURES / "slack/web-api.openapi2.subset.json").read_text())


@cache
def described(method: str, status: str = "200") -> Draft202012Validator:
    answer = _spec()["paths"][f"/{method}"]["get"]["responses"][status]["schema"]
    return Draft202012Validator({"definitions": _plain(_spec()["definitions"]), **_plain(answer)})


@cache
def object_of(name: str) -> Draft202012Validator:
    definitions = _plain(_spec()["definitions"])
    return Draft202012Validator({"definitions": definitions, "$ref": f"#/definitions/{name}"})


@cache
def sample(method: str) -> dict[str, Any]:
    """Every field the SDK's authors have seen in real answers."""
    return json.loads((FIXTURES / f"slack/sdk/{method}.json").read_text())


@pytest.fixture
def ask(sandbox):
    def call(method: str, **params: Any) -> Any:
        door = sandbox.slack
        headers = {"Authorization": f"Bearer {door.token}"}
        answer = requests.post(f"{door.base_url}/api/{method}", data=params, headers=headers, timeout=10)
        assert answer.status_code == 200
        return answer.json()

    return call


@pytest.mark.parametrize("method", ["auth.test", "conversations.list", "users.list"])
def test_lists_are_what_slack_describes(ask, method):
    body = ask(method)
    assert body["ok"]
    assert complaints(described(method), body) == []


def test_messages_and_replies_are_what_slack_describes(ask, sandbox):
    known = set(sample("conversations.history")["messages"][0])
    properties = set(_spec()["definitions"]["objs_message"]["properties"])
    seen: set[str] = set()
    for channel in sandbox.company.team.channels.values():
        messages = ask("conversations.history", channel=channel.id, limit=999)["messages"]
        for parent in [message for message in messages if message.get("reply_count")][:3]:
            messages += ask("conversations.replies", channel=channel.id, ts=parent["ts"])["messages"][1:]
        for message in messages:
            assert set(message) <= known
            # younger than the description: `edited`
            described_part = {key: value for key, value in message.items() if key in properties}
            assert complaints(object_of("objs_message"), described_part) == []
            seen |= set(message)
    assert {"reactions", "thread_ts", "parent_user_id", "reply_count", "edited", "files"} <= seen


def test_channels_and_people_have_no_field_that_slack_has_not(ask):
    channels, members = ask("conversations.list")["channels"], ask("users.list")["members"]
    assert set(channels[0]) <= set(sample("conversations.list")["channels"][0]) | {"parent_conversation"}
    assert set(members[0]) <= set(sample("users.list")["members"][0])
    assert set(members[0]["profile"]) <= set(sample("users.list")["members"][0]["profile"])
    written = sample("web_response_conversations_list")["channels"][0]
    assert set(written) <= set(channels[0])


def test_recorded_channels_and_people_have_the_same_kinds_of_values(ask):
    recorded = {
        name: item
        for exchange in recordings("slack")
        for name in ("channels", "members")
        for item in exchange["response"]["body"].get(name) or ()
        if item.get("is_channel") or name == "members"
    }
    for name, ours in (
        ("channels", ask("conversations.list")["channels"][0]),
        ("members", ask("users.list")["members"][0]),
    ):
        for key in ours.keys() & recorded[name].keys():
            if ours[key] is not None and recorded[name][key] is not None:
                assert type(ours[key]) is type(recorded[name][key]), key


def test_refusals_are_what_slack_describes_and_recorded(ask, sandbox):
    body = ask("conversations.history", channel="C0NOWHERE")
    assert body == {"ok": False, "error": "channel_not_found"}
    assert complaints(described("conversations.history", "default"), body) == []
    refused = requests.post(f"{sandbox.slack.base_url}/api/auth.test", timeout=10)
    recorded = [each["response"] for each in recordings("slack") if each["response"]["body"].get("error")]
    assert (refused.status_code, refused.json()) == (recorded[0]["status"], recorded[0]["body"])


def test_pages_are_followed_by_their_cursors_forward_and_back(ask, sandbox):
    channel = max(sandbox.company.team.channels.values(), key=lambda each: len(each.messages))
    every = [message.ts for message in channel.messages]
    for params, expected in (({}, every[::-1]), ({"latest": every[-1]}, every[-2::-1])):
        found, cursor = [], ""
        while True:
            body = ask("conversations.history", channel=channel.id, limit=7, cursor=cursor, **params)
            found += [message["ts"] for message in body["messages"]]
            cursor = body.get("response_metadata", {}).get("next_cursor", "")
            assert bool(cursor) == body["has_more"]
            if not cursor:
                break
        assert found == expected
    # with `oldest` alone: the page nearest to it first, each page newest first
    body = ask("conversations.history", channel=channel.id, limit=3, oldest=every[0])
    assert [message["ts"] for message in body["messages"]] == every[3:0:-1]
    body = ask("conversations.history", channel=channel.id, limit=3, oldest=every[0], inclusive="true")
    assert [message["ts"] for message in body["messages"]] == every[2::-1]
    assert ask("users.list", cursor="nonsense")["error"] == "invalid_cursor"


def test_too_many_calls_of_one_method_are_told_how_long_to_wait(sandbox):
    door, before = sandbox.slack, sandbox.slack.calls_per_minute
    door.calls_per_minute = 2
    for calls in door._calls.values():
        calls.clear()
    try:
        headers = {"Authorization": f"Bearer {door.token}"}

        def get(method: str) -> requests.Response:
            return requests.get(
                f"{door.base_url}/api/{method}", params={"channel": "C0GENERAL"}, headers=headers, timeout=10
            )

        assert [get("conversations.history").status_code for _ in range(3)] == [200, 200, 429]
        refused = get("conversations.history")
        assert refused.json() == {"ok": False, "error": "ratelimited"}
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert get("conversations.replies").status_code == 200
    finally:
        door.calls_per_minute = before
