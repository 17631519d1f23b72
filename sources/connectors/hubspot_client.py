"""HubSpot's API as a client: paced below its limits, and its refusals in words."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
import requests

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.base import RateLimit
from sources.connectors.http import TRIES, Answer, ApiClient, Pace

RATE_LIMITS = (
    RateLimit(100, 10.0, "requests of one private app"),
    RateLimit(5, 1.0, "searches of one account"),
)
# Below the limits, so that something is left for whoever else uses the app.
PACE, SEARCH_PACE = RateLimit(90, 10.0), RateLimit(4, 1.0)
DAILY_WAIT = 3600.0  # seconds; the day begins anew at midnight of the account's time zone

EDIT_THE_APP = "In HubSpot, open Settings › Integrations › Private Apps and edit the app"


class HubSpotClient(ApiClient):
    """`ApiClient` for one access token."""

    def __init__(self, token: str, base_url: str, *, tries: int = TRIES) -> None:
        super().__init__(
            "HubSpot",
            base_url,
            {"Authorization": f"Bearer {token}"},
            unauthorized="HubSpot did not accept the access token: it is mistyped, was rotated, or its private app was "
            "deleted. In HubSpot, open Settings › Integrations › Private Apps, show the app's token and paste it here.",
            tries=tries,
        )
        every, searches = _paces(hashlib.sha256(token.encode()).hexdigest())
        self.paces = [every]
        self._searches = searches

    def search(self, kind: str, question: Mapping[str, Any], *, forbidden: str) -> Answer:
        """The answer to POST /crm/v3/objects/{kind}/search."""
        self._searches.wait()
        return self.post(f"crm/v3/objects/{kind}/search", question, forbidden=forbidden)

    def _wait_for(self, response: requests.Response, body: Any) -> float | None:
        if response.status_code == 429:
            policy = _said(response).get("policyName")
            if policy == "DAILY":
                return DAILY_WAIT
            if policy == "SECONDLY" and "Retry-After" not in response.headers:
                return 1.0
        return super()._wait_for(response, body)

    def _wait_as_told(self, response: requests.Response, wait: float, limited: int) -> None:
        if _said(response).get("policyName") == "DAILY":
            raise TransientError(
                "Today's requests to HubSpot are used up; all apps of the account share them. They begin anew at "
                "midnight in the account's time zone, and the sync goes on then.",
                f"{response.request.method} {response.url}: HTTP 429 {response.text[:300]}",
                kind="rate_limited",
                retry_after=wait,
            )
        super()._wait_as_told(response, wait, limited)

    def _refusal(self, response: requests.Response, forbidden: str) -> PortalError:
        said = _said(response)
        if response.status_code == 403:
            scopes = missing_scopes(said)
            if said.get("category") != "MISSING_SCOPES":
                forbidden = (
                    f"HubSpot does not let the private app read this: {said.get('message') or 'no reason given'}"
                )
                forbidden = forbidden.rstrip(".") + "."
            elif scopes and not any(scope in forbidden for scope in scopes):
                # HubSpot asks for another scope than its documentation says
                forbidden = lacks("this", " or ".join(scopes[:3]))
        return super()._refusal(response, forbidden)


def lacks(what: str, scope: str) -> str:
    """The sentence for a missing scope."""
    return f"The private app may not read {what}: it lacks the scope {scope}. {EDIT_THE_APP}, tick it and save."


def missing_scopes(said: Mapping[str, Any]) -> list[str]:
    """The scopes that a 403 names; one of them would do."""
    contexts = [each.get("context") or {} for each in said.get("errors") or []]
    return [scope for context in contexts for key in _SCOPES for scope in context.get(key) or []]


_SCOPES = ("requiredGranularScopes", "requiredScopes")


def checked(answer: Answer) -> list[dict[str, Any]]:
    """The results of a batch; what is not there (any more) is left out, anything else that went wrong is raised."""
    errors = [each for each in answer.body.get("errors") or [] if each.get("category") != "OBJECT_NOT_FOUND"]
    if errors:
        raise TransientError(
            "HubSpot answered only a part of what was asked.",
            orjson.dumps(errors[:3]).decode()[:1000],
            kind="server_error",
        )
    return answer.body["results"]


def client_of(settings: Mapping[str, Any], **options: Any) -> HubSpotClient:
    """A client for a source's settings. Raises `TerminalError` when there is no token."""
    token = str(settings.get("access_token") or "").strip()
    if not token:
        raise TerminalError("The HubSpot source has no access token yet. Paste one in its settings.", kind="settings")
    return HubSpotClient(token, str(settings.get("base_url") or "https://api.hubapi.com"), **options)


@lru_cache(maxsize=32)
def _paces(token: str) -> tuple[Pace, Pace]:
    """The limits are the app's, whatever stream is read; `token` is a digest."""
    return Pace(PACE), Pace(SEARCH_PACE)


def _said(response: requests.Response) -> Mapping[str, Any]:
    try:
        said = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
