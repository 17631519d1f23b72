"""The spreadsheet behind Google's API: signing in, ranges, errors, the quota; held against recorded answers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests
from google.auth import crypt, jwt

from sandbox.clock import draw_rsa_key
from sandbox.doors.google_sheets import GRANT, SPREADSHEET_ID
from tests.sandbox.specs import recordings

SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"


def assertion(door: Any, *, private_key: str = "", **claims: Any) -> str:
    key = door.key()
    now = int(time.time())
    signer = crypt.RSASigner.from_string(private_key or key["private_key"], key["private_key_id"])
    said = {
        "iss": key["client_email"],
        "aud": key["token_uri"],
        "scope": SCOPE,
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    return jwt.encode(signer, said).decode()


def ask_for_token(door: Any, signed: str) -> requests.Response:
    return requests.post(door.token_uri, data={"grant_type": GRANT, "assertion": signed}, timeout=20)


@pytest.fixture
def door(sandbox) -> Any:
    return sandbox.google_sheets


@pytest.fixture
def get(door) -> Any:
    token = ask_for_token(door, assertion(door)).json()["access_token"]

    def ask(path: str = "", sheet: str = SPREADSHEET_ID, **params: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{door.base_url}/v4/spreadsheets/{sheet}{path}", params, headers=headers, timeout=20)

    return ask


def test_a_signed_request_gets_a_token(door):
    answer = ask_for_token(door, assertion(door))
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "expires_in", "token_type"}


@pytest.mark.parametrize(
    ("claims", "error", "text"),
    [
        ({"private_key": draw_rsa_key()}, "invalid_grant", "Invalid JWT Signature."),
        ({"iss": "somebody@else.example"}, "invalid_grant", "account not found"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant", "short-lived token"),
        ({"iat": 1_000_000, "exp": 1_003_600}, "invalid_grant", "short-lived token"),
        ({"scope": "https://www.googleapis.com/auth/gmail.readonly"}, "invalid_scope", "Invalid OAuth scope"),
    ],
)
def test_a_request_that_is_not_right_gets_none(door, claims, error, text):
    answer = ask_for_token(door, assertion(door, **claims))
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert text in answer.json()["error_description"]


def test_nonsense_gets_no_token(door):
    assert ask_for_token(door, "not.a.token").json()["error"] == "invalid_grant"
    assert requests.post(door.token_uri, data={"grant_type": "password"}, timeout=20).status_code == 400


def test_without_a_token_nothing_is_shown(door, get):
    assert requests.get(f"{door.base_url}/v4/spreadsheets/{SPREADSHEET_ID}", timeout=20).status_code == 401
    door.expire_tokens()
    assert get().json()["error"]["status"] == "UNAUTHENTICATED"


def shape(value: Any) -> Any:
    """The keys and kinds of a value, whatever it says; of a list the first element's."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(inner) for inner in value[:1]] if isinstance(value, list) else type(value).__name__


def test_the_description_of_the_spreadsheet_has_the_recorded_shape(get):
    recorded = next(
        each["response"]["body"]
        for each in recordings("google-sheets")
        if "?includeGridData=false" in each["request"]["url"] and each["response"]["status"] == 200
    )
    answer = get(includeGridData="false").json()
    for sheet in answer["sheets"]:
        sheet.pop("merges", None)
    assert shape(answer) == shape(recorded)


@pytest.mark.parametrize("verb", ["/values/", "/values:batchGet"])
def test_values_have_the_recorded_shape(get, verb):
    recorded = next(
        each["response"]["body"]
        for each in recordings("google-sheets")
        if verb in each["request"]["url"] and each["request"]["method"] == "GET" and "values" in json.dumps(each)
        and "values" in json.dumps(each["response"]["body"])
    )  # fmt: skip
    answer = get("/values/Plan").json() if verb == "/values/" else get(verb, ranges=["Plan", "People"]).json()
    assert _kinds(answer) == _kinds(recorded)


def _kinds(answer: Any) -> Any:
    found = shape(answer)
    for each in (found, *found.get("valueRanges", [])):
        if "values" in each:
            each["values"] = type(each["values"]).__name__
    return found


def test_errors_are_the_recorded_ones(get):
    recorded = next(each["response"] for each in recordings("google-sheets") if each["response"]["status"] == 404)
    answer = get(sheet="nothing-of-ours")
    assert (answer.status_code, answer.json()) == (404, recorded["body"])
    answer = get("/values/Nowhere!A1:B2")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "Unable to parse range: Nowhere!A1:B2")


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("Plan", "Plan!A1:Z1000"),
        ("plan!B3:C4", "Plan!B3:C4"),
        ("'Budget rates'", "'Budget rates'!A1:J100"),
        ("Plan!A:B", "Plan!A1:B1000"),
        ("Plan!B3", "Plan!B3:B3"),
        ("Plan!A3:Z99999", "Plan!A3:Z1000"),
    ],
)
def test_a_range_is_spelled_out_as_google_does(get, name, spelled):
    assert get(f"/values/{name}").json()["range"] == spelled


def test_values_are_rendered_as_asked(get):
    path = "/values/Plan!B4:C4"
    assert get(path).json()["values"][0][0] == "Mar 2024"
    assert get(path, valueRenderOption="UNFORMATTED_VALUE").json()["values"][0][0] == 45352
    spelled = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "FORMATTED_STRING"}
    assert get(path, **spelled).json()["values"][0][0] == "Mar 2024"


def test_what_is_empty_at_the_end_is_left_out(get):
    rows = get("/values/Plan").json()["values"]
    assert rows[0] == ["Tidewater – financial plan"]
    assert all(row == [] or row[-1] != "" for row in rows)
    assert "values" not in get("/values/Plan!A500:B600").json()


def test_the_sixty_first_read_of_a_minute_is_refused(door, get):
    answers = [get("/values/People!A1").status_code for _ in range(61)]
    assert answers == [200] * 60 + [429]
    error = get().json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert "Read requests per minute per user" in error["message"]


def test_a_spreadsheet_that_is_not_shared_is_refused(door, get, monkeypatch):
    monkeypatch.setattr(door, "is_shared", False)
    assert (get().status_code, get().json()["error"]["status"]) == (403, "PERMISSION_DENIED")
