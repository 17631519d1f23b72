"""What the Intercom door says, held against Intercom's own description and its examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.sandbox.conftest import Client
from tests.sandbox.specs import _components, _plain, complaints, recordings, schema_validator, spec


@pytest.fixture
def intercom(sandbox) -> Client:
    return Client(sandbox.intercom.base_url, sandbox.intercom.token)


def described(method: str, path: str) -> Draft202012Validator:
    answer = spec("intercom")["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator({"components": _components("intercom"), **_plain(answer)})


def search(
    intercom: Client, path: str, after: int, order: str = "ascending", field: str = "created_at", **pagination: Any
) -> Any:
    body = {
        "query": {"field": field, "operator": ">", "value": after},
        "sort": {"field": field, "order": order},
        "pagination": {"per_page": 150, **pagination},
    }
    answer = intercom.session.post(intercom.base_url + path, json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", ["/me", "/admins", "/teams", "/tags", "/companies", "/companies/scroll"])
def test_lists_are_what_intercom_describes(intercom, sandbox, path):
    sandbox.intercom.end_scroll()
    body = intercom.json(path)
    assert complaints(described("get", path), body) == []


@pytest.mark.parametrize("path", ["/contacts/search", "/conversations/search"])
def test_searches_are_what_intercom_describes(intercom, path):
    body = search(intercom, path, 0)
    assert body["total_count"] > 0
    assert complaints(described("post", path), body) == []


def test_conversations_with_their_parts_are_what_intercom_describes(intercom, sandbox):
    check = schema_validator("intercom", "conversation")
    properties = set(spec("intercom")["components"]["schemas"]["conversation"]["properties"]) | {"type"}
    kinds = set()
    for number in list(sandbox.company.support.conversations)[:120]:
        body = intercom.json(f"/conversations/{number}")
        assert complaints(check, body) == []
        assert set(body) <= properties
        kinds |= {part["part_type"] for part in body["conversation_parts"]["conversation_parts"]}
    assert {"assignment", "comment", "close"} <= kinds


def test_our_objects_have_no_field_that_the_examples_have_not(intercom, sandbox):
    answers = {
        exchange["request"]["url"].partition(".io")[2]: exchange["response"]["body"]
        for exchange in recordings("intercom")
    }
    contact = search(intercom, "/contacts/search", 0)["data"][0]
    example = answers["/contacts/search"]["data"][0] if answers["/contacts/search"]["data"] else {}
    described_contact = set(spec("intercom")["components"]["schemas"]["contact"]["properties"])
    assert set(contact) <= described_contact | set(example)
    company = intercom.json("/companies")["data"][0]
    assert set(company) <= set(spec("intercom")["components"]["schemas"]["company"]["properties"]) | {"type"}


def test_refusals_look_like_the_examples(intercom, sandbox):
    refused = Client(sandbox.intercom.base_url, "wrong").get("/admins")
    (example,) = [each["response"] for each in recordings("intercom") if each["response"]["status"] == 401]
    assert refused.status_code == 401
    assert {**refused.json(), "request_id": ""} == {**example["body"], "request_id": ""}
    assert complaints(schema_validator("intercom", "error"), refused.json()) == []
    missing = intercom.get("/conversations/1")
    assert (missing.status_code, missing.json()["errors"][0]["code"]) == (404, "not_found")


@pytest.mark.parametrize("order", ["ascending", "descending"])
@pytest.mark.parametrize(("path", "inside"), [("/contacts/search", "data"), ("/conversations/search", "conversations")])
def test_pages_of_a_search_follow_one_another(intercom, path, inside, order):
    found: list[dict[str, Any]] = []
    place: dict[str, Any] = {}
    pages = 0
    while True:
        body = search(intercom, path, 0, order, per_page=40, **place)
        found += body[inside]
        pages += 1
        assert (body["pages"]["page"], len(body[inside])) == (
            pages,
            min(40, body["total_count"] - len(found) + len(body[inside])),
        )
        following = body["pages"].get("next")
        if following is None:
            break
        place = {"starting_after": following["starting_after"]}
    assert len({item["id"] for item in found}) == len(found) == body["total_count"]
    created = [item["created_at"] for item in found]
    assert created == sorted(created, reverse=order == "descending")


def test_contacts_are_searched_by_the_day_and_conversations_by_the_second(intercom):
    contact = search(intercom, "/contacts/search", 0)["data"][0]
    found = search(intercom, "/contacts/search", contact["created_at"] - 1)["data"]
    assert contact["id"] not in {each["id"] for each in found}
    assert all(each["created_at"] // 86_400 > contact["created_at"] // 86_400 for each in found)
    conversation = search(intercom, "/conversations/search", 0)["conversations"][0]
    found = search(intercom, "/conversations/search", conversation["created_at"] - 1)["conversations"]
    assert conversation["id"] in {each["id"] for each in found}


def test_only_one_scroll_is_open_at_a_time(intercom, sandbox):
    sandbox.intercom.end_scroll()
    first = intercom.json("/companies/scroll")
    refused = intercom.get("/companies/scroll")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "scroll_exists")
    count, body = len(first["data"]), first
    while body["data"]:
        body = intercom.json("/companies/scroll", scroll_param=first["scroll_param"])
        count += len(body["data"])
    assert count == len(sandbox.company.product.workspaces)
    assert intercom.get("/companies/scroll", params={"scroll_param": first["scroll_param"]}).status_code == 404


def test_a_spent_limit_is_refused_until_its_ten_seconds_are_over(intercom, sandbox):
    door = sandbox.intercom
    door.limit, door._resets_at = 2, 0.0
    try:
        answers = [intercom.get("/tags") for _ in range(3)]
    finally:
        door.limit = 20_000
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert json.loads(answers[2].text)["errors"][0]["code"] == "rate_limit_exceeded"


def test_an_expired_token_is_refused(fresh):
    door = fresh(seed=3, now=1_773_653_400).intercom
    client = Client(door.base_url, door.token)
    assert client.get("/me").status_code == 200
    door.expire(door.token)
    assert client.get("/me").status_code == 401
