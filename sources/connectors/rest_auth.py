"""How a REST source gets in: a class for each way, and a client that uses it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import requests

from portal.failures import TerminalError
from portal.redact import secrets_hidden
from sources.connectors.addresses import ALLOWED_HOSTS, Guard
from sources.connectors.base import RateLimit
from sources.connectors.http import TRIES, ApiClient

EARLY = 30.0  # seconds before its end a token is renewed
UNTOLD_LIFETIME = 600.0  # of a token that does not say how long it lives
MAX_ANSWER = 256 * 2**20  # bytes; a page is held in memory


class NoAuth:
    """Nothing. Also the base of the others: what they add to each request."""

    def __init__(self, settings: Mapping[str, Any], guard: Guard, tries: int) -> None:
        self.settings = settings
        self.guard = guard
        self.tries = tries

    def headers(self) -> dict[str, str]:
        return {}

    def params(self) -> dict[str, str]:
        return {}

    def renew(self) -> bool:
        """Get a new token after a 401; False when there is none to get."""
        return False

    def _needed(self, name: str, label: str) -> str:
        value = str(self.settings.get(name) or "").strip()
        if not value:
            raise TerminalError(f"The {label} is missing. Enter it in the source's settings.", kind="settings")
        return value


class Bearer(NoAuth):
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._needed('token', 'token')}"}


class KeyInHeader(NoAuth):
    def headers(self) -> dict[str, str]:
        return {str(self.settings.get("key_name") or "X-API-Key"): self._needed("api_key", "API key")}


class KeyInQuery(NoAuth):
    def params(self) -> dict[str, str]:
        return {str(self.settings.get("key_name") or "api_key"): self._needed("api_key", "API key")}


class Basic(NoAuth):
    def headers(self) -> dict[str, str]:
        # Some APIs take a key as the user name and nothing else.
        pair = f"{self._needed('username', 'user name')}:{self.settings.get('password') or ''}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


class ClientCredentials(NoAuth):
    """OAuth2 client credentials (RFC 6749, 4.4): a token for an ID and a secret, kept as long as it lives."""

    def __init__(self, settings: Mapping[str, Any], guard: Guard, tries: int) -> None:
        super().__init__(settings, guard, tries)
        self._token = ""
        self._ends_at = 0.0
        self.hidden = ExitStack()

    def headers(self) -> dict[str, str]:
        if not self._token or time.monotonic() >= self._ends_at - EARLY:
            self._fetch()
        return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        self._fetch()
        return True

    def _fetch(self) -> None:
        url = self._needed("token_url", "token address")
        client_id, secret = self._needed("client_id", "client ID"), self._needed("client_secret", "client secret")
        form = {"grant_type": "client_credentials"}
        if scope := str(self.settings.get("scope") or "").strip():
            form["scope"] = scope
        headers = {}
        if self.settings.get("client_auth") == "body":
            form |= {"client_id": client_id, "client_secret": secret}
        else:
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            self.hidden.enter_context(secrets_hidden([headers["Authorization"].removeprefix("Basic ")]))
        wrong = "The token address did not accept the client ID and secret. Check both, and how they are sent."
        host = urlsplit(url).hostname or "the token address"
        with ApiClient(host, url, headers, unauthorized=wrong, guard=self.guard, tries=self.tries) as client:
            try:
                answer = client.post(url, form=form).body
            except TerminalError as error:
                # RFC 6749 says 400 for a wrong client too.
                if error.kind != "refused":
                    raise
                raise TerminalError(wrong, error.detail, kind="unauthorized") from error
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise TerminalError(
                "The token address answered without an access token. Is it the right address?",
                f"Keys of the answer: {', '.join(list(answer)[:10]) if isinstance(answer, dict) else type(answer)}",
                kind="unauthorized",
            )
        self.hidden.enter_context(secrets_hidden([token]))
        self._token = token
        self._ends_at = time.monotonic() + _lifetime(answer.get("expires_in"))


def _lifetime(told: Any) -> float:
    try:
        return max(float(told), EARLY + 1)
    except (TypeError, ValueError):
        return UNTOLD_LIFETIME


AUTHS: dict[str, type[NoAuth]] = {
    "none": NoAuth,
    "bearer": Bearer,
    "header": KeyInHeader,
    "query": KeyInQuery,
    "basic": Basic,
    "oauth2": ClientCredentials,
}


class RestClient(ApiClient):
    """An `ApiClient` for an API that nobody has described to us."""

    def __init__(self, auth: NoAuth, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.auth = auth

    def _send(self, method: str, url: str, arguments: Mapping[str, Any]) -> requests.Response:
        response = super()._send(method, *self._with_key(url, arguments))
        if response.status_code == 401 and self.auth.renew():
            response = super()._send(method, *self._with_key(url, arguments))
        return response

    def _with_key(self, url: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        params = self.auth.params()
        if params:
            # The address of a next page may repeat the key that we sent.
            parts = urlsplit(url)
            query = [(name, value) for name, value in parse_qsl(parts.query, True) if name not in params]
            url = urlunsplit((*parts[:3], urlencode(query), ""))
        return url, {
            **arguments,
            "params": {**(arguments.get("params") or {}), **params},
            "headers": {**(arguments.get("headers") or {}), **self.auth.headers()},
        }

    def _body(self, response: requests.Response) -> Any:
        start = response.content[:200].lstrip().lower()
        if "html" in response.headers.get("Content-Type", "") or start.startswith((b"<!doctype html", b"<html")):
            raise TerminalError(
                f"{self.system} sent a web page where data was expected. The address is probably that of a page for "
                "people, or a log-in page came first: check the base URL, the path and the log-in.",
                f"{response.url}: {response.text[:300]}",
                kind="not_json",
            )
        if len(response.content) > MAX_ANSWER:
            raise TerminalError(
                f"{self.system} sent more than {MAX_ANSWER // 2**20} MB in one answer. Ask for smaller pages.",
                response.url,
                kind="too_large",
            )
        return super()._body(response)


@contextmanager
def rest_client(settings: Mapping[str, Any], *, tries: int = TRIES) -> Iterator[RestClient]:
    """A client for the API of these settings; what is secret stays hidden as long as it is open."""
    guard = Guard(settings.get(ALLOWED_HOSTS) or ())
    base_url = str(settings.get("base_url") or "")
    guard.check_url(base_url)
    host = urlsplit(base_url).hostname or base_url
    auth = AUTHS[settings.get("auth") or "none"](settings, guard, tries)
    secrets = [str(settings.get(name) or "") for name in ("token", "api_key", "password", "client_secret")]
    if isinstance(auth, Basic):
        secrets.append(auth.headers()["Authorization"].removeprefix("Basic "))
    with ExitStack() as stack:
        stack.enter_context(secrets_hidden(secrets))
        if isinstance(auth, ClientCredentials):
            stack.enter_context(auth.hidden)
        per_minute = settings.get("calls_per_minute")
        yield stack.enter_context(
            RestClient(
                auth,
                host,
                base_url,
                _fixed_headers(settings.get("headers") or ()),
                unauthorized=f"{host} did not accept the log-in (401). Check the kind of log-in and what you entered.",
                guard=guard,
                tries=tries,
                limits=(RateLimit(int(per_minute), 60.0),) if per_minute else (),
            )
        )


def _fixed_headers(lines: Any) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
