"""Asking Slack's Web API: one pace for each method, and answers that say `"ok": false` with HTTP 200.

Slack counts calls per method and workspace, in tiers; a method's tier decides its pace here.
https://docs.slack.dev/apis/web-api/rate-limits
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import requests

from portal.failures import TerminalError, TransientError
from sources.connectors.base import RateLimit
from sources.connectors.http import TRIES, ApiClient

TIERS = {
    "conversations.list": 2,
    "users.list": 2,
    "conversations.history": 3,
    "conversations.replies": 3,
    "auth.test": 4,
}
# Calls a minute in tiers 2, 3 and 4, as parts of tier 3's 50.
SHARES = {2: 0.4, 3: 1.0, 4: 2.0}
PAGE = 200  # Slack recommends no more
WAIT_UNTOLD = 30.0  # seconds, when "ratelimited" comes without a Retry-After

PASSING = {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "rollup_error"}  # fmt: skip
RENEW = "Open the app under api.slack.com/apps, copy its token from “OAuth & Permissions” and paste it here."
UNAUTHORIZED = {
    "not_authed": "Slack got no token from us. Paste one in the settings of this source.",
    "invalid_auth": f"Slack did not accept the token: it is mistyped, or belongs to another workspace. {RENEW}",
    "token_revoked": "The token was revoked: the app was removed from the workspace, or somebody took its access away. "
    f"Install the app again. {RENEW}",
    "token_expired": f"The token has expired. {RENEW}",
    "account_inactive": "The token belongs to a person or workspace that no longer exists in Slack. "
    f"Install the app again. {RENEW}",
    "org_login_required": "The workspace is being moved to an Enterprise organization. Install the app there again.",
    "team_access_not_granted": "The app has no access to this workspace. Ask an administrator of Slack to allow it.",
}
# One channel's trouble, not the source's.
CHANNEL = {
    "not_in_channel": "the app is not in it",
    "channel_not_found": "Slack does not show it to the app, or it was deleted",
    "is_archived": "it is archived",
}
OTHER = {
    "access_denied": "Slack refused: the token is not allowed to read this. Ask an administrator of the workspace.",
    "no_permission": "Slack refused: the token is not allowed to read this. Ask an administrator of the workspace.",
    "ekm_access_denied": "The workspace's administrators have stopped access to its messages for now (key management).",
    "enterprise_is_restricted": "The token is restricted by the Enterprise organization. Ask an administrator of Slack.",
    "thread_not_found": "The thread is not there any more.",
}
LOST_PLACE = {"invalid_cursor", "cursor_expired"}


class SlackApi:
    """Slack with one token. `calls_per_minute`: what the token may do in tier 3; the other tiers follow."""

    def __init__(self, base_url: str, token: str, calls_per_minute: int, *, tries: int = TRIES) -> None:
        self._clients = {
            method: ApiClient(
                "Slack",
                base_url,
                {"Authorization": f"Bearer {token}"},
                unauthorized=UNAUTHORIZED["invalid_auth"],
                tries=tries,
                limits=(RateLimit(max(1, round(calls_per_minute * SHARES[tier])), 60.0, f"calls of {method}"),),
                judge=judge,
            )
            for method, tier in TIERS.items()
        }

    def __enter__(self) -> SlackApi:
        return self

    def __exit__(self, *details: object) -> None:
        for client in self._clients.values():
            client.__exit__(*details)

    def call(self, method: str, **arguments: Any) -> Any:
        """The body of a good answer. Raises `TransientError` or `TerminalError`, whose kind is Slack's code for what
        concerns one channel or thread only."""
        form = {name: str(value) for name, value in arguments.items() if value not in ("", None)}
        return self._clients[method].post(method, form=form).body

    def pages(self, method: str, inside: str, **arguments: Any) -> Iterator[list[dict[str, Any]]]:
        """What is under `inside` in each page."""
        cursor = ""
        while True:
            body = self.call(method, limit=PAGE, cursor=cursor, **arguments)
            yield body.get(inside) or []
            following = str((body.get("response_metadata") or {}).get("next_cursor") or "")
            if not following:
                return
            if following == cursor:
                raise TransientError(
                    "Slack sent us round in circles while paging.", f"{method}: the cursor {cursor} leads to itself"
                )
            cursor = following


def judge(body: Any, response: requests.Response) -> float | None:
    """What `"ok": false` means: seconds to wait, or a failure. A body that says neither is one too."""
    method = response.url.partition("?")[0].rsplit("/", 1)[-1]
    if not isinstance(body, Mapping) or "ok" not in body:
        raise TransientError("Slack sent an answer that is not one of its own.", f"{method}: {response.text[:500]}")
    if body["ok"]:
        return None
    code = str(body.get("error") or "unknown")
    detail = f"{method}: {code} (needed: {body.get('needed', '-')}; provided: {body.get('provided', '-')})"
    if code in {"ratelimited", "rate_limited"}:
        told = response.headers.get("Retry-After", "")
        return float(told) if told.isdigit() else WAIT_UNTOLD
    if code in PASSING:
        raise TransientError(f"Slack could not answer just now ({code}).", detail, kind="server_error")
    if code in LOST_PLACE:
        raise TransientError("Slack lost our place while paging. The next sync goes on.", detail, kind="server_error")
    if code in UNAUTHORIZED:
        raise TerminalError(UNAUTHORIZED[code], detail, kind="unauthorized")
    if code == "missing_scope":
        needed = str(body.get("needed") or "another scope").replace(",", ", ")
        raise TerminalError(
            f"The app lacks the permission {needed}. Open it under api.slack.com/apps, add {needed} under "
            "“OAuth & Permissions › Bot Token Scopes”, and install the app again.",
            detail,
            kind="forbidden",
        )
    if code in CHANNEL:
        raise TerminalError(f"A channel cannot be read: {CHANNEL[code]}.", detail, kind=code)
    if code in OTHER:
        kind = code if code == "thread_not_found" else "forbidden"
        raise TerminalError(OTHER[code], detail, kind=kind)
    raise TerminalError(f"Slack refused the request ({code}).", detail, kind="refused")
