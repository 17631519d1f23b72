"""How the GitHub door behaves: tokens, pages, filters, limits."""

from __future__ import annotations

import requests

REPO = "/repos/tidewater/app"


def every(github, path, **params):
    answer = github.get(path, params={"per_page": 100, **params})
    rows = []
    while True:
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        if "next" not in answer.links:
            return rows
        answer = github.session.get(answer.links["next"]["url"], timeout=20)


def test_a_wrong_token_is_refused(sandbox):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = requests.get(f"{sandbox.github.base_url}/user", headers=headers, timeout=10)
        assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_both_ways_of_sending_a_token_work(sandbox):
    for scheme in ("Bearer", "token"):
        headers = {"Authorization": f"{scheme} {sandbox.github.token}"}
        assert requests.get(f"{sandbox.github.base_url}/user", headers=headers, timeout=10).status_code == 200


def test_links_lead_through_all_pages_once(github, sandbox):
    rows = every(github, f"{REPO}/pulls", state="all", per_page=7)
    numbers = [row["number"] for row in rows]
    assert sorted(numbers) == sorted(sandbox.company.engineering.repositories["app"].pulls)
    assert len(set(numbers)) == len(numbers)
    created = [row["created_at"] for row in rows]
    assert created == sorted(created, reverse=True)


def test_first_and_last_pages_have_no_link_beyond_the_end(github):
    first = github.get(f"{REPO}/pulls", params={"state": "all", "per_page": 10})
    assert set(first.links) == {"next", "last"}
    last = github.session.get(first.links["last"]["url"], timeout=10)
    assert set(last.links) == {"prev", "first"}


def test_states_and_sorting_are_respected(github):
    everything = every(github, f"{REPO}/pulls", state="all")
    still_open = every(github, f"{REPO}/pulls")
    closed = every(github, f"{REPO}/pulls", state="closed")
    assert {row["state"] for row in still_open} == {"open"}
    assert {row["state"] for row in closed} == {"closed"}
    assert len(still_open) + len(closed) == len(everything)
    updated = [r["updated_at"] for r in every(github, f"{REPO}/pulls", state="all", sort="updated", direction="desc")]
    assert updated == sorted(updated, reverse=True)
    rising = [r["updated_at"] for r in every(github, f"{REPO}/pulls", state="all", sort="updated")]
    assert rising == sorted(updated)


def test_pulls_come_in_every_kind(github):
    rows = [row for repo in ("app", "web") for row in every(github, f"/repos/tidewater/{repo}/pulls", state="all")]
    assert any(row["merged_at"] for row in rows)
    assert any(row["closed_at"] and not row["merged_at"] for row in rows)
    assert any(row["state"] == "open" for row in rows)
    assert all(row["created_at"] <= (row["merged_at"] or "9") for row in rows)


def test_issues_hold_the_pulls_too_and_know_since(github):
    rows = every(github, f"{REPO}/issues", state="all")
    pulls = every(github, f"{REPO}/pulls", state="all")
    assert {r["number"] for r in rows if "pull_request" in r} == {r["number"] for r in pulls}
    assert any("pull_request" not in row for row in rows)
    middle = sorted(row["updated_at"] for row in rows)[len(rows) // 2]
    since = every(github, f"{REPO}/issues", state="all", since=middle)
    assert {r["number"] for r in since} == {r["number"] for r in rows if r["updated_at"] >= middle}


def test_commits_of_the_default_branch_know_since_and_until(github):
    rows = every(github, f"{REPO}/commits")
    dates = [row["commit"]["committer"]["date"] for row in rows]
    assert dates == sorted(dates, reverse=True)
    middle = dates[len(dates) // 2]
    assert {r["sha"] for r in every(github, f"{REPO}/commits", since=middle)} == {
        r["sha"] for r in rows if r["commit"]["committer"]["date"] >= middle
    }
    assert {r["sha"] for r in every(github, f"{REPO}/commits", until=middle)} == {
        r["sha"] for r in rows if r["commit"]["committer"]["date"] <= middle
    }


def test_a_merged_pull_lands_on_the_default_branch(github):
    shas = {row["sha"] for row in every(github, f"{REPO}/commits")}
    merged = [row for row in every(github, f"{REPO}/pulls", state="closed") if row["merged_at"]]
    assert merged
    assert {row["merge_commit_sha"] for row in merged} <= shas


def test_the_work_of_a_pull_begins_before_it_is_opened(github):
    for pull in every(github, f"{REPO}/pulls", state="closed")[:15]:
        commits = every(github, f"{REPO}/pulls/{pull['number']}/commits")
        assert commits[0]["commit"]["author"]["date"] <= pull["created_at"]
        reviews = every(github, f"{REPO}/pulls/{pull['number']}/reviews")
        assert all(review["submitted_at"] >= pull["created_at"] for review in reviews)


def test_unknown_things_are_not_found(github):
    for path in ("/orgs/somebody", "/repos/tidewater/nothing", f"{REPO}/pulls/99999", "/horses"):
        answer = github.get(path)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


def test_the_hourly_limit_is_counted_and_enforced(github, sandbox, monkeypatch):
    before = int(github.get("/user").headers["X-RateLimit-Remaining"])
    after = int(github.get("/user").headers["X-RateLimit-Remaining"])
    assert after == before - 1
    assert github.json("/rate_limit")["resources"]["core"]["remaining"] == after
    monkeypatch.setattr(sandbox.github, "limit", github.json("/rate_limit")["rate"]["used"])
    refused = github.get("/user")
    assert refused.status_code == 403
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.json()["message"].startswith("API rate limit exceeded")


def test_nothing_new_costs_nothing(github):
    first = github.get("/user")
    again = github.get("/user", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["X-RateLimit-Remaining"] == first.headers["X-RateLimit-Remaining"]
