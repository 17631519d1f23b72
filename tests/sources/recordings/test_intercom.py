"""What Intercom once answered, and its official examples, read by the connector."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from portal.failures import TerminalError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from sources.connectors.intercom_streams import PARTS

TOKEN = "recorded"


def read(given: dict[str, Any], name: str, *along: str) -> tuple[dict[str, list[Any]], Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = None
    for page in get_connector("intercom").read(given, StreamRequest(name, along=along), None):
        rows[page.stream or name] += page.rows
        cursor = page.cursor or cursor
    return rows, cursor


EXAMPLES = "intercom/recorded/examples.json"
RECORDS = "intercom/recorded/airbyte-records.json"


def of(tape: Any) -> dict[str, Any]:
    return {"access_token": TOKEN, "base_url": tape.play()}


def test_the_official_examples_satisfy_check(recording):
    sentence = get_connector("intercom").check(of(recording(EXAMPLES, "every kind of object may be read")))
    assert "workspace “MyApp 1”" in sentence


def test_the_official_contact_becomes_a_row(recording):
    rows, cursor = read(of(recording(EXAMPLES, "a contact becomes a row")), "contacts")
    (row,) = rows["contacts"]
    assert (row["id"], row["external_id"], row["role"], row["name"]) == (
        "6762f0d01bb69f9f2193bb7d", "70", "user", "Joe Bloggs",
    )  # fmt: skip
    assert row["created_at"].isoformat() == "2024-12-18T15:57:04+00:00"
    assert (row["company_ids"], row["company_count"], row["tag_count"]) == ("[]", 0, 0)
    assert cursor["updated"] == 1734537424


def test_the_official_conversation_and_its_parts_become_rows(recording):
    rows, _ = read(of(recording(EXAMPLES, "a conversation and its parts become rows")), "conversations", PARTS)
    (row,) = rows["conversations"]
    assert (row["id"], row["state"], row["source_body"], row["tags"]) == (
        "503", "closed", "<p>this is the message body</p>", '["Test tag"]',
    )  # fmt: skip
    assert (row["admin_assignee_id"], row["contact_id"], row["part_count"], row["has_all_parts"]) == (
        "991267715", "6762f1261bb69f9f2193bba7", 4, True,
    )  # fmt: skip
    assert [(part["id"], part["part_type"], part["author_type"]) for part in rows[PARTS]] == [
        ("1", "comment", "admin"),
        ("2", "custom_action_started", "admin"),
        ("3", "conversation_attribute_updated_by_admin", "bot"),
        ("4", "custom_action_finished", "admin"),
    ]
    assert rows[PARTS][0]["assigned_to_id"] == "1a2b3c"
    assert "Jira Create Issue" in rows[PARTS][1]["_extra"]


@pytest.mark.parametrize(
    ("name", "what", "column", "values"),
    [
        ("companies", "a scroll is followed to its empty end", "name", ["IntercomQATest1"]),
        ("admins", "colleagues become rows", "email", ["admin7@email.com"]),
        ("tags", "tags become rows", "name", ["Manual tag 1"]),
        ("teams", "no team is no row", "name", []),
    ],
)
def test_the_other_official_examples_become_rows(recording, name, what, column, values):
    rows, _ = read(of(recording(EXAMPLES, what)), name)
    assert [row[column] for row in rows[name]] == values


def test_a_workspace_without_contacts_is_no_failure(recording):
    tape = recording("intercom/recorded/examples-empty.json", "no contact is no row and no failure")
    rows, cursor = read(of(tape), "contacts")
    assert not any(rows.values())
    assert cursor["updated"] == 0


def test_the_official_refusals_are_said_in_words(recording):
    with pytest.raises(TerminalError) as failure:
        get_connector("intercom").check(of(recording("intercom/recorded/examples-unauthorized.json", "a bad token")))
    assert failure.value.kind == "unauthorized"


def test_a_plan_without_the_api_is_said_in_words(recording):
    tape = recording("intercom/recorded/examples-plan-restricted.json", "a plan that has ended")
    with pytest.raises(TerminalError) as failure:
        read(of(tape), "conversations")
    assert failure.value.kind == "forbidden"
    assert "plan is active" in failure.value.sentence
    assert "api_plan_restricted" in failure.value.detail


def test_real_conversations_become_rows(recording):
    rows, _ = read(of(recording(RECORDS, "real conversations with their statistics become rows")), "conversations")
    answered, automated = rows["conversations"]
    assert (answered["id"], answered["state"], answered["source_author_type"]) == ("1", "open", "lead")
    assert answered["time_to_admin_reply"] == 4317957
    assert answered["first_admin_reply_at"].isoformat() == "2021-07-07T10:35:31+00:00"
    assert (answered["part_count"], answered["has_all_parts"]) == (7, None)
    assert (automated["source_delivered_as"], automated["time_to_admin_reply"]) == ("automated", None)


def test_real_contacts_companies_and_colleagues_become_rows(recording):
    given = of(recording(RECORDS, "real contacts, companies, colleagues, teams and tags become rows"))
    contacts = read(given, "contacts")[0]["contacts"]
    assert [(row["external_id"], row["tag_ids"]) for row in contacts] == [
        ("20033080", '["7800292"]'),
        ("20037835", '["7800292"]'),
    ]
    # a time in the future is what the workspace says
    assert contacts[0]["signed_up_at"].year == 2043
    companies = read(given, "companies")[0]["companies"]
    assert [(row["name"], row["size"], row["industry"]) for row in companies] == [
        ("Test Company 8", 49, "Manufacturing"),
        ("Test Company 7", 23, "Production"),
    ]
    assert [row["name"] for row in read(given, "admins")[0]["admins"]] == ["Airbyte Team"]
    assert [row["id"] for row in read(given, "teams")[0]["teams"]] == ["5077733", "6407164"]
    assert len(read(given, "tags")[0]["tags"]) == 2
