"""What the GitHub door says, held against GitHub's own description and against recorded answers."""

from __future__ import annotations

import pytest

from tests.sandbox.specs import complaints, recordings, schema_validator, validator

REPO = "/repos/tidewater/app"


def pages(github, path, **params):
    answer = github.get(path, params={"per_page": 100, **params})
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = answer.links.get("next")
        if following is None:
            return
        answer = github.session.get(following["url"], timeout=20)


@pytest.mark.parametrize(
    ("path", "described", "params"),
    [
        ("/orgs/tidewater/repos", "/orgs/{org}/repos", {}),
        ("/user/repos", "/user/repos", {}),
        (REPO, "/repos/{owner}/{repo}", {}),
        (f"{REPO}/pulls", "/repos/{owner}/{repo}/pulls", {"state": "all"}),
        (f"{REPO}/issues", "/repos/{owner}/{repo}/issues", {"state": "all"}),
        (f"{REPO}/commits", "/repos/{owner}/{repo}/commits", {}),
        ("/user", "/user", {}),
        ("/rate_limit", "/rate_limit", {}),
    ],
)
def test_answers_are_what_github_describes(github, path, described, params):
    check = validator("github", described)
    count = 0
    for page in pages(github, path, **params):
        assert complaints(check, page) == []
        count += len(page)
    assert count > 0


def test_pull_details_are_what_github_describes(github):
    merged = [pull for page in pages(github, f"{REPO}/pulls", state="closed") for pull in page if pull["merged_at"]]
    here = f"{REPO}/pulls/{merged[0]['number']}"
    for path, described in (("", ""), ("/reviews", "/reviews"), ("/commits", "/commits")):
        body = github.json(here + path)
        assert body
        assert complaints(validator("github", "/repos/{owner}/{repo}/pulls/{pull_number}" + described), body) == []


def first(url_part: str, kind: type = list):
    """The first recorded answer to a GET whose address has this part."""
    return next(
        exchange["response"]
        for exchange in recordings("github")
        if exchange["request"]["method"] == "GET"
        and url_part in exchange["request"]["url"]
        and exchange["response"]["status"] == 200
        and isinstance(exchange["response"]["body"], kind)
        and exchange["response"]["body"]
    )


@pytest.mark.parametrize(
    ("mine", "params", "recorded", "newer"),
    [
        (f"{REPO}/pulls", {"state": "all"}, "/pulls?state=open", {"auto_merge", "active_lock_reason", "draft"}),
        (
            f"{REPO}/issues",
            {"state": "closed"},
            "/issues?state=closed",
            {"active_lock_reason", "timeline_url", "performed_via_github_app", "state_reason", "draft"},
        ),
        (f"{REPO}/commits", {}, "/commits?since", set()),
        (
            "/orgs/tidewater/repos",
            {},
            "/orgs/jenkinsci/repos",
            {"allow_forking", "is_template", "topics", "visibility"},
        ),
    ],
)
def test_objects_have_the_fields_of_recorded_ones(github, mine, params, recorded, newer):
    # ``newer``: fields that GitHub added after the recording and that its description has
    mine_keys = set().union(*(set(row) for row in github.json(mine, per_page=100, **params)))
    recorded_keys = set().union(*(set(row) for row in first(recorded)["body"]))
    assert mine_keys - newer == recorded_keys - newer


def test_reviews_have_the_fields_of_recorded_ones(github):
    body = first("/reviews")["body"]
    for pull in github.json(f"{REPO}/pulls", state="closed", per_page=20):
        for review in github.json(f"{REPO}/pulls/{pull['number']}/reviews"):
            # the recorded one was a draft, which has not been submitted
            assert set(review) == set(body[0]) | {"submitted_at"}


def test_limit_headers_are_those_of_recorded_answers(github):
    recorded = {
        name.lower()
        for exchange in recordings("github")
        if exchange["response"]["status"] == 200
        for name in exchange["response"]["headers"]
        if name.lower().startswith("x-ratelimit")
    }
    mine = github.get("/user").headers
    assert recorded <= {name.lower() for name in mine}


@pytest.mark.parametrize("status", [401, 403])
def test_errors_are_what_github_describes(github, sandbox, status):
    kinds = {401: ["expired_token"], 403: ["rate_limit", "secondary_rate_limit", "forbidden"]}[status]
    for kind in kinds:
        sandbox.github.faults.add(kind)
        answer = github.get("/user")
        assert answer.status_code == status
        assert complaints(schema_validator("github", "basic-error"), answer.json()) == []
