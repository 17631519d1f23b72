"""What GitHub once answered, read by the connector."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.failures import TerminalError
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from sources.connectors.github import _Reader
from sources.connectors.http import ApiClient

OURS = ("state", "sort", "direction", "per_page", "since", "page")
TOKEN = "github_pat_recorded"


def client(base_url: str) -> ApiClient:
    return ApiClient("GitHub", base_url, {}, unauthorized="GitHub did not accept the token.", tries=2)


def rows_of(pieces: list) -> list[dict]:
    return [row for rows, _, _ in pieces for row in rows]


def test_an_organization_of_two_pages_becomes_rows(recording):
    tape = recording("github/recorded/hub4j-org-repos-pages-01-02.json", "200 repositories in two pages")
    tape.end_here()
    settings = {"token": TOKEN, "base_url": tape.play(ignore=("sort", "direction")), "organization": "jenkinsci"}

    pages = list(get_connector("github").read(settings, StreamRequest("repositories"), None))

    recorded = {item["id"]: item for each in tape.interactions for item in each["response"]["body"]}
    rows = {row["id"]: row for page in pages for row in page.rows}
    assert rows.keys() == recorded.keys()
    assert len(rows) == 200
    for number, row in rows.items():
        assert (row["full_name"], row["private"]) == (recorded[number]["full_name"], recorded[number]["private"])
        assert row["created_at"] == datetime.fromisoformat(recorded[number]["created_at"])


def test_issues_of_four_pages_become_rows(recording):
    tape = recording("github/recorded/hub4j-issues-closed-pages-01-04.json", "four pages of issues by Link header")
    tape.end_here()
    reader = _Reader(client(tape.play(ignore=OURS[:-1])), StreamRequest("issues"))

    known = {"updated": "2000-01-01T00:00:00Z", "seen": {}}
    rows = rows_of(list(reader.repository({"full_name": "hub4j/github-api"}, known)))

    recorded = {item["id"]: item for each in tape.interactions for item in each["response"]["body"]}
    assert {row["id"] for row in rows} == recorded.keys()
    assert sum(row["is_pull_request"] for row in rows) == sum("pull_request" in item for item in recorded.values()) > 0
    assert {row["user_login"] for row in rows} == {item["user"]["login"] for item in recorded.values()}


def test_open_pull_requests_become_rows(recording):
    tape = recording("github/recorded/hub4j-pulls-list.json", "open pull requests with their branches")
    lists = [each for each in tape.interactions if each["request"]["url"].endswith("/pulls?state=open")]
    tape.interactions = lists[-1:]
    reader = _Reader(client(tape.play(ignore=OURS)), StreamRequest("pulls"))

    known = {"updated": "2000-01-01T00:00:00Z", "seen": {}}
    rows = rows_of(list(reader.repository({"full_name": "hub4j-test-org/github-api"}, known)))

    recorded = lists[-1]["response"]["body"]
    assert [(r["number"], r["base_ref"], r["head_ref"], r["merged_at"]) for r in rows] == [
        (item["number"], item["base"]["ref"], item["head"]["ref"], None) for item in recorded
    ]
    assert recorded


def test_reviews_of_a_pull_request_become_rows(recording):
    tape = recording("github/recorded/hub4j-pull-reviews.json", "a draft review without a time, then a submitted one")
    tape.interactions = [
        each
        for each in tape.interactions
        if each["request"]["method"] == "GET" and each["request"]["url"].endswith("/pulls/482/reviews")
    ]
    reader = _Reader(client(tape.play(ignore=OURS)), StreamRequest("pulls", along=("reviews",)))
    reader.wanted = ("reviews",)

    for each in tape.interactions:
        rows = rows_of(list(reader._rows("hub4j-test-org/github-api", [{"id": 1, "number": 482}], is_first=True)))
        assert [(row["id"], row["state"], row["user_login"]) for row in rows] == [
            (item["id"], item["state"], item["user"]["login"]) for item in each["response"]["body"]
        ]


def test_a_wrong_token_is_a_sentence(recording):
    tape = recording("github/recorded/hub4j-401-bad-credentials.json", "401 becomes a sentence about the token")

    with pytest.raises(TerminalError, match="did not accept the token") as failure:
        client(tape.play()).get("rate_limit")
    assert failure.value.kind == "unauthorized"


@pytest.mark.parametrize("kind", ["primary", "secondary"])
def test_a_rate_limit_is_waited_for(recording, pauses, kind):
    tape = recording(f"github/recorded/hub4j-{kind}-rate-limit-403.json", f"the {kind} limit: wait, then go on")
    path = tape.interactions[-1]["request"]["url"].removeprefix("https://api.github.com/")

    answer = client(tape.play()).get(path)

    assert answer is not None
    assert answer.body == tape.interactions[-1]["response"]["body"]
    assert len(pauses) == 1
    # The primary limit was to end at a moment that has passed since it was recorded.
    assert pauses[0] >= (60 if kind == "secondary" else 1)


def test_commits_become_rows(recording):
    tape = recording("github/recorded/hub4j-commits-query.json", "a page of commits with authors and times")
    recorded = tape.interactions[0]["response"]["body"]
    reader = _Reader(client(tape.play()), StreamRequest("commits"))

    rows = reader._commit_rows("jenkinsci/jenkins", recorded)

    assert [row["sha"] for row in rows] == [item["sha"] for item in recorded]
    assert all(row["committed_at"].tzinfo is UTC for row in rows)
    assert {row["author_name"] for row in rows} == {item["commit"]["author"]["name"] for item in recorded}
