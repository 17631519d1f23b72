"""GitHub: against the sandbox's real HTTP, and recorded answers replayed over HTTP."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug import Request, Response

from portal.failures import TerminalError, TransientError
from sources.connectors import get_connector
from sources.connectors.base import GONE, StreamRequest

RECORDED = Path(__file__).parents[2] / "fixtures" / "github" / "recorded"
TOKEN = "github_pat_0123456789abcdefghijkl"


def settings(sandbox: Any, **changes: Any) -> dict[str, Any]:
    organization = sandbox.endpoints()["github"]["organization"]
    return {"token": sandbox.github.token, "base_url": sandbox.github.base_url, "organization": organization, **changes}


def read(given: dict[str, Any], name: str, since: Any = None, *along: str) -> tuple[dict[str, list[Any]], Any]:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    cursor = since
    for page in get_connector("github").read(given, StreamRequest(name, along=along), since):
        rows[page.stream or name] += page.rows
        cursor = cursor if page.cursor is None else page.cursor
    return rows, cursor


def keyed(rows: list[dict[str, Any]], *key: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    found = {tuple(row[name] for name in key): row for row in rows}
    assert len(found) == len(rows)
    return found


ALL = [
    ("repositories", ("id",)),
    ("pulls", ("id",)),
    ("issues", ("id",)),
    ("commits", ("repository", "sha")),
]


@pytest.mark.parametrize(("name", "key"), ALL)
def test_two_reads_make_the_same_table_as_one(sandbox, name, key):
    given = settings(sandbox)
    before, cursor = read(given, name)
    assert before[name]
    assert not any(read(given, name, cursor)[0].values())
    sandbox.advance(days=6)

    rows, cursor = read(given, name, cursor)

    everything, _ = read(given, name)
    assert keyed(before[name], *key) | keyed(rows[name], *key) == keyed(everything[name], *key)
    assert len(rows[name]) < len(everything[name])
    assert not any(read(given, name, cursor)[0].values())


def test_reviews_and_commits_come_only_for_pulls_that_changed(sandbox):
    given = settings(sandbox)
    first, cursor = read(given, "pulls", None, "reviews", "pull_commits")
    assert first["reviews"]
    assert first["pull_commits"]
    sandbox.advance(days=6)
    sandbox.github.forget_requests()

    rows, _ = read(given, "pulls", cursor, "reviews", "pull_commits")

    touched = {(row["repository"], row["number"]) for row in rows["pulls"]}
    assert sandbox.github.count("/reviews") == len(touched)
    assert {(row["repository"], row["pull_number"]) for row in rows["reviews"]} <= touched
    everything, _ = read(given, "pulls", None, "reviews", "pull_commits")
    for part, key in (("reviews", ("id",)), ("pull_commits", ("repository", "pull_number", "sha"))):
        kept = [row for row in first[part] if (row["repository"], row["pull_number"]) not in touched]
        new = [row for row in rows[part] if not row.get(GONE)]
        assert keyed(kept + new, *key) == keyed(everything[part], *key)


def test_reviews_alone_are_read_through_their_pulls(sandbox):
    rows, _ = read(settings(sandbox), "reviews")
    together, _ = read(settings(sandbox), "pulls", None, "reviews")
    assert set(rows) == {"reviews"}
    assert rows["reviews"] == together["reviews"]


def test_a_first_read_goes_on_where_it_broke_off(sandbox, pauses):
    given = settings(sandbox)
    sandbox.github.faults.add("500", count=None, after=30, path="/repos/")
    rows, cursor = [], None
    pages = get_connector("github").read(given, StreamRequest("pulls", along=("reviews",)), None)
    with pytest.raises(TransientError):  # noqa: PT012 (what came before the failure counts)
        for page in pages:
            rows += page.rows if page.stream == "pulls" else []
            cursor = page.cursor or cursor
    assert cursor
    sandbox.github.faults.clear()

    rest, _ = read(given, "pulls", cursor, "reviews")

    everything, _ = read(given, "pulls")
    assert keyed(rows, "id") | {(row["id"],): row for row in rest["pulls"]} == keyed(everything["pulls"], "id")
    assert len(rest["pulls"]) < len(everything["pulls"])


def test_repositories_by_name(sandbox):
    organization = sandbox.endpoints()["github"]["organization"]
    (name, *_) = sandbox.company.engineering.repositories
    rows, _ = read(settings(sandbox, repositories=[name]), "repositories")
    assert [row["full_name"] for row in rows["repositories"]] == [f"{organization}/{name}"]
    rows, _ = read(settings(sandbox, organization="", repositories=[f"{organization}/{name}"]), "repositories")
    assert len(rows["repositories"]) == 1


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"token": TOKEN}, "unauthorized", "did not accept the token"),
        ({"token": ""}, "settings", "no token yet"),
        ({"organization": "nobody"}, "not_found", "no organization “nobody”"),
        ({"repositories": ["nothing"]}, "not_found", "no repository “tidewater/nothing”"),
        ({"organization": ""}, "settings", "Name an organization"),
    ],
)
def test_wrong_settings_are_said_in_words(sandbox, changes, kind, words):
    with pytest.raises(TerminalError) as failure:
        get_connector("github").check(settings(sandbox, **changes))
    assert failure.value.kind == kind
    assert words in failure.value.sentence
    assert TOKEN not in failure.value.detail


def test_check_counts_what_it_sees(sandbox):
    sentence = get_connector("github").check(settings(sandbox))
    assert (
        sentence
        == f"Connected to GitHub. The token can read {len(sandbox.company.engineering.repositories)} repositories."
    )


def test_a_missing_permission_names_the_stream(sandbox):
    sandbox.github.faults.add("forbidden", count=None, path="/issues")
    with pytest.raises(TerminalError) as failure:
        get_connector("github").check(settings(sandbox))
    assert "not allowed to read issues" in failure.value.sentence
    assert "Read-only on “Issues”" in failure.value.sentence


@pytest.mark.parametrize("kind", ["rate_limit", "secondary_rate_limit", "500", "reset", "truncate"])
def test_hiccups_heal_by_themselves(sandbox, pauses, kind):
    sandbox.github.faults.add(kind, count=2, after=1, retry_after=1)
    rows, _ = read(settings(sandbox), "commits")
    assert rows["commits"]
    assert sandbox.github.faults.waiting() == []
    assert len(pauses) == 2


def test_an_empty_repository_is_no_failure(httpserver):
    httpserver.expect_request("/repos/acme/new").respond_with_json({"id": 1, "full_name": "acme/new"})
    httpserver.expect_request("/repos/acme/new/commits").respond_with_json(
        {"message": "Git Repository is empty."}, status=409
    )
    given = {"token": TOKEN, "base_url": httpserver.url_for("/"), "repositories": ["acme/new"]}
    rows, cursor = read(given, "commits")
    assert rows["commits"] == []
    assert read(given, "commits", cursor)[0]["commits"] == []


def test_a_repository_without_issues_is_no_failure(httpserver):
    httpserver.expect_request("/repos/acme/mirror").respond_with_json({"id": 1, "full_name": "acme/mirror"})
    httpserver.expect_request("/repos/acme/mirror/issues").respond_with_json({"message": "Gone"}, status=410)
    given = {"token": TOKEN, "base_url": httpserver.url_for("/"), "repositories": ["acme/mirror"]}
    rows, cursor = read(given, "issues")
    assert rows["issues"] == []
    assert read(given, "issues", cursor)[0]["issues"] == []


def test_a_rewritten_history_is_read_again(httpserver):
    commit = {"sha": "new", "commit": {"message": "m", "author": {"name": "A"}, "committer": {}}}
    httpserver.expect_request("/repos/acme/app").respond_with_json({"id": 1, "full_name": "acme/app"})
    httpserver.expect_request("/repos/acme/app/commits").respond_with_json([commit])
    httpserver.expect_request("/repos/acme/app/compare/old...new").respond_with_json({}, status=404)
    given = {"token": TOKEN, "base_url": httpserver.url_for("/"), "repositories": ["acme/app"]}
    rows, cursor = read(given, "commits", {"acme/app": {"head": "old"}})
    assert [row["sha"] for row in rows["commits"]] == ["new"]
    assert cursor == {"acme/app": {"head": "new"}}


def test_a_pull_without_reviews_takes_its_old_ones_away(httpserver):
    pull = {"id": 5, "number": 3, "updated_at": "2026-03-02T10:00:00Z", "state": "open"}
    httpserver.expect_request("/repos/acme/app").respond_with_json({"id": 1, "full_name": "acme/app"})
    httpserver.expect_request("/repos/acme/app/pulls").respond_with_json([pull])
    httpserver.expect_request("/repos/acme/app/pulls/3/reviews").respond_with_json([])
    given = {"token": TOKEN, "base_url": httpserver.url_for("/"), "repositories": ["acme/app"]}
    since = {"acme/app": {"updated": "2026-03-01T10:00:00Z", "seen": {}}}
    rows, _ = read(given, "pulls", since, "reviews")
    (row,) = rows["reviews"]
    assert (row["repository"], row["pull_number"], row[GONE]) == ("acme/app", 3, True)


# Recorded answers, replayed over HTTP -----------------------------------------------------------------------------


@pytest.fixture
def replay(httpserver):
    """Serves the recorded answers of these files at their own paths; `rename` maps a path prefix to another."""

    def run(*files: str, rename: tuple[str, str] = ("", "")) -> dict[str, Any]:
        answers: dict[tuple[str, str], list[Any]] = {}
        for name in files:
            for each in json.loads((RECORDED / name).read_text())["interactions"]:
                if each["request"]["method"] != "GET":
                    continue
                address = urlsplit(each["request"]["url"])
                path = address.path.replace(*rename) if rename[0] else address.path
                page = dict(part.split("=") for part in address.query.split("&") if part).get("page", "1")
                answers.setdefault((path, page), []).append(each["response"])

        def answer(request: Request) -> Response:
            found = answers.get((request.path, request.args.get("page", "1")))
            if not found and re.fullmatch("/repos/[^/]+/[^/]+", request.path):  # the repository itself was not recorded
                return Response(json.dumps({"id": 1, "full_name": request.path.removeprefix("/repos/")}))
            if not found:
                return Response("[]", content_type="application/json")
            given = found.pop(0) if len(found) > 1 else found[0]
            skip = {"content-length", "transfer-encoding", "content-encoding", "connection"}
            headers = {name: value for name, value in given["headers"].items() if name.lower() not in skip}
            return Response(json.dumps(given["body"]), status=given["status"], headers=headers)

        httpserver.expect_request("/", method="GET").respond_with_json({})
        httpserver.expect_request(re.compile("^/.+")).respond_with_handler(answer)
        return {"token": TOKEN, "base_url": httpserver.url_for("/").rstrip("/")}

    return run


def test_recorded_pages_of_an_organization_are_followed(replay):
    given = replay("hub4j-org-repos-pages-01-02.json")
    rows, _ = read({**given, "organization": "jenkinsci"}, "repositories")
    assert len(rows["repositories"]) >= 100
    assert all(row["id"] and row["full_name"].startswith("jenkinsci/") for row in rows["repositories"])
    assert all(row["private"] is False and row["created_at"] is not None for row in rows["repositories"])


def test_recorded_pages_of_issues_are_followed(replay):
    given = replay("octokit-paginate-issues.json")
    name = "octokit-fixture-org/tmp-scenario-paginate-issues-20220719043836917-izyoe"
    rows, cursor = read({**given, "repositories": [name]}, "issues")
    assert len(keyed(rows["issues"], "id")) == 13
    assert all(row["is_pull_request"] is False and row["user_login"] for row in rows["issues"])
    assert "after" not in cursor[name]


def test_recorded_reviews_and_commits_become_whole_rows():
    from sources.connectors.github_streams import OMIT, SPECS
    from sources.connectors.shape import Shape

    def bodies(name: str, part: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for each in json.loads((RECORDED / name).read_text())["interactions"]:
            body = each["response"]["body"]
            path, _, _ = each["request"]["url"].partition("?")
            if path.endswith(part) and isinstance(body, list):
                found += body
        return found

    for name, part, stream, filled in (
        ("hub4j-commits-query.json", "/commits", "commits", ("sha", "message", "authored_at", "committed_at")),
        ("hub4j-pull-reviews.json", "/reviews", "reviews", ("id", "user_login", "state")),
        ("hub4j-pulls-list.json", "/pulls", "pulls", ("id", "number", "title", "base_ref", "head_ref", "created_at")),
        ("hub4j-issues-closed-pages-01-04.json", "/issues", "issues", ("id", "number", "title", "closed_at")),
    ):
        items = bodies(name, part)
        assert items, name
        shape = Shape(SPECS[stream], omit=OMIT[stream])
        for item in items:
            row = shape.row(item, repository="a/b", pull_number=1, is_pull_request="pull_request" in item)
            assert set(row) == {column.name for column in SPECS[stream].columns}
            assert all(row[column] is not None for column in filled), row["_extra"]


def test_recorded_refusals_are_told_apart(replay, pauses):
    given = replay("hub4j-401-bad-credentials.json", rename=("/rate_limit", "/repos/a/b"))
    with pytest.raises(TerminalError) as failure:
        read({**given, "repositories": ["a/b"]}, "repositories")
    assert failure.value.kind == "unauthorized"


@pytest.mark.parametrize("name", ["hub4j-primary-rate-limit-403.json", "hub4j-secondary-rate-limit-403.json"])
def test_recorded_rate_limits_are_waited_for(replay, pauses, name):
    repository = next(
        urlsplit(each["request"]["url"]).path.removeprefix("/repos/")
        for each in json.loads((RECORDED / name).read_text())["interactions"]
        if "/repos/" in each["request"]["url"]
    )
    given = replay(name)
    rows, _ = read({**given, "repositories": [repository]}, "repositories")
    assert len(rows["repositories"]) == 1
    assert len(pauses) == 1
