"""Google's Sheets API with a service account: sign in with its key, ask for sheets and values, say plainly what is wrong.

The key signs a short request (a JWT) that Google's token address answers with an access token for an hour. Neither the
key nor the token is ever part of a message.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from portal.failures import PortalError, TerminalError
from sources.connectors.base import RateLimit
from sources.connectors.http import Answer, ApiClient, Pace, rate_limit_wait

DEFAULT_URL = "https://sheets.googleapis.com"
DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 (an address)
SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
READS = RateLimit(60, 60.0, "read requests of one service account")
QUOTA_WAIT = 15.0  # seconds; the quota is per minute, and Google does not say how long to wait
TOKEN_SECONDS = 3600
RENEWED_BEFORE = 300  # seconds

# One pace for each service account in this process: its streams and sources share the quota.
_paces: dict[str, Pace] = {}


@dataclass(frozen=True)
class ServiceKey:
    """What a service account's JSON key says; `repr` shows none of the secret part."""

    email: str
    token_uri: str
    info: Mapping[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> ServiceKey:
        """Raises `TerminalError` with a sentence that holds nothing of the key."""
        if not text.strip():
            raise _bad_key("This source has no service account key yet. Paste one in its settings.")
        try:
            info = json.loads(text)
        except json.JSONDecodeError:
            raise _bad_key(
                "The service account key is not JSON. Paste the whole file that Google gave you, from the first { to the "
                "last }."
            ) from None
        if not isinstance(info, dict) or info.get("type") != "service_account":
            kind = info.get("type") if isinstance(info, dict) else None
            about = " It is the key of a person's log-in." if kind == "authorized_user" else ""
            if isinstance(info, dict) and {"installed", "web"} & set(info):
                about = " It is an OAuth client."
            raise _bad_key(
                f"This JSON is not the key of a service account.{about} In Google Cloud, open IAM › Service accounts › Keys "
                "and add a key of the type JSON."
            )
        missing = [name for name in ("client_email", "private_key") if not isinstance(info.get(name), str)]
        if missing:
            raise _bad_key(
                f"The service account key has no {' and no '.join(missing)}. Paste the whole file that Google gave you."
            )
        return cls(info["client_email"], _token_uri(info), info)

    def assertion(self) -> str:
        """The signed request for a token."""
        from google.auth import crypt, jwt

        now = int(time.time())
        try:
            signer = crypt.RSASigner.from_service_account_info(self.info)
        except Exception:  # what it complains of may be a piece of the key
            raise _bad_key(
                "The private key in the service account key cannot be read: a part of it is missing or was changed. Paste "
                "the whole file that Google gave you."
            ) from None
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode(signer, claims).decode()


def _bad_key(sentence: str) -> TerminalError:
    return TerminalError(sentence, kind="settings")


def _token_uri(info: Mapping[str, Any]) -> str:
    """Google's own address, or one on this machine (a stand-in); nothing else is asked for a token."""
    address = str(info.get("token_uri") or DEFAULT_TOKEN_URI)
    parts = urlsplit(address)
    host = parts.hostname or ""
    is_google = parts.scheme == "https" and host.endswith((".googleapis.com", ".google.com"))
    if not is_google and not (parts.scheme == "http" and host in {"127.0.0.1", "localhost", "::1"}):
        raise _bad_key(f"The service account key wants its token from {host or 'nowhere'}, which is not Google's.")
    return address


class _GoogleClient(ApiClient):
    """Knows Google's error bodies: {"error": {"code", "message", "status"}}, or {"error", "error_description"}."""

    email = ""
    #: What a range in a 400 was called by the person who typed it.
    asked = ""

    def sign(self, token: str) -> None:
        """Use this access token from now on."""
        self._session.headers["Authorization"] = f"Bearer {token}"

    def _wait_for(self, response: requests.Response, body: Any) -> float | None:
        if response.status_code in {403, 429} and "Retry-After" not in response.headers:
            status, message = _said(response)
            if response.status_code == 429 or status == "RESOURCE_EXHAUSTED" or "quota" in message.lower():
                return QUOTA_WAIT
            return None
        return rate_limit_wait(response) if response.status_code != 200 else None

    def _refusal(self, response: requests.Response, forbidden: str) -> PortalError:
        status, message = _said(response)
        refused = super()._refusal(response, forbidden)
        detail = refused.detail
        if status in {"invalid_grant", "invalid_client", "unauthorized_client"}:
            return TerminalError(
                "Google did not accept the service account's key: it was deleted or switched off, or the clock of this "
                "machine is wrong. Make a new key in Google Cloud and paste it here.",
                detail,
                kind="unauthorized",
            )
        if response.status_code == 403 and ("has not been used" in message or "is disabled" in message):
            return TerminalError(
                "The Google Sheets API is switched off in the service account's project. Open APIs & Services in Google "
                "Cloud, search for “Google Sheets API” and press Enable.",
                detail,
                kind="forbidden",
            )
        if response.status_code == 403:
            return TerminalError(
                f"The spreadsheet is not shared with {self.email}. Open it, press Share, and let this address view it.",
                detail,
                kind="forbidden",
            )
        if response.status_code == 400 and "Unable to parse range" in message:
            name = message.partition(":")[2].strip() or self.asked
            return TerminalError(
                f"The spreadsheet has no sheet and no range called “{name}”. Check the names in the settings.",
                detail,
                kind="not_found",
            )
        return refused


def _said(response: requests.Response) -> tuple[str, str]:
    """Google's status and message."""
    try:
        body = response.json()
    except ValueError:
        return "", response.text[:500]
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, Mapping):
        return str(error.get("status", "")), str(error.get("message", ""))
    return str(error or ""), str(body.get("error_description", "")) if isinstance(body, dict) else ""


class SheetsApi:
    """One spreadsheet over REST. Use it as a context manager."""

    def __init__(self, key: ServiceKey, spreadsheet: str, base_url: str, **options: Any) -> None:
        self.key = key
        self.spreadsheet = spreadsheet
        self._options = options
        self._client = _GoogleClient(
            "Google Sheets",
            base_url,
            {},
            unauthorized="Google did not accept the access token that it gave to the service account. Try again; if it "
            "stays, make a new key in Google Cloud and paste it here.",
            **options,
        )
        self._client.email = key.email
        self._client.paces = [_paces.setdefault(key.email, Pace(READS))]
        self._renew_at = 0.0

    def __enter__(self) -> SheetsApi:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.__exit__()

    def about(self) -> dict[str, Any]:
        """The spreadsheet's title, locale, time zone and sheets with their sizes and merged areas; no values."""
        answer = self._get("", {"includeGridData": "false"}, missing_ok=True)
        if answer is None:
            raise TerminalError(
                f"Google knows no spreadsheet “{self.spreadsheet}”. Copy the whole address from the browser, and see that "
                f"it is shared with {self.key.email}.",
                kind="not_found",
            )
        return answer.body

    def values(self, ranges: Sequence[str], *, dates_as_text: bool = False) -> list[dict[str, Any]]:
        """[{"range", "values"}, …] for each range, unformatted; dates as serial numbers or as the sheet shows them."""
        options = {
            "valueRenderOption": "UNFORMATTED_VALUE",
            "dateTimeRenderOption": "FORMATTED_STRING" if dates_as_text else "SERIAL_NUMBER",
        }
        self._client.asked = ", ".join(ranges)
        if len(ranges) == 1:
            return [self._required(f"/values/{quote(ranges[0], safe='')}", options)]
        return self._required("/values:batchGet", {**options, "ranges": list(ranges)})["valueRanges"]

    def _required(self, path: str, params: Mapping[str, Any]) -> Any:
        answer = self._get(path, params)
        assert answer is not None
        return answer.body

    def _get(self, path: str, params: Mapping[str, Any], *, missing_ok: bool = False) -> Answer | None:
        address = f"v4/spreadsheets/{quote(self.spreadsheet, safe='')}{path}"
        if time.monotonic() >= self._renew_at:
            self._sign_in()
        try:
            return self._client.get(address, params, missing_ok=missing_ok)
        except TerminalError as error:
            if error.kind != "unauthorized":
                raise
        # A token may be taken back before its hour is over; a new one tells whether the key is still good.
        self._sign_in()
        return self._client.get(address, params, missing_ok=missing_ok)

    def _sign_in(self) -> None:
        form = {"grant_type": GRANT, "assertion": self.key.assertion()}
        with _GoogleClient(
            "Google",
            self.key.token_uri,
            {},
            unauthorized="Google did not accept the service account's key. Make a new one in Google Cloud.",
            **self._options,
        ) as client:
            answer = client.post(self.key.token_uri, form=form).body
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not token:
            raise TerminalError("Google gave no access token for the service account's key.", kind="unauthorized")
        seconds = float(answer.get("expires_in") or TOKEN_SECONDS)
        self._renew_at = time.monotonic() + max(seconds - RENEWED_BEFORE, 30.0)
        self._client.sign(str(token))
