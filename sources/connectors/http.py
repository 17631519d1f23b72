"""Asking an HTTP API politely: wait when told to, try again what may pass, and say plainly what cannot.

| what comes back                  | what happens                                                                       |
|----------------------------------|------------------------------------------------------------------------------------|
| 429, or 403 that means "slow"    | wait as long as asked, then again; longer than `LONGEST_WAIT`: `TransientError`     |
| 5xx, 409, reset, timeout, cut off | again, `TRIES` times in all, waiting longer each time with jitter; `TransientError` |
| 401                              | `TerminalError` with the connector's sentence about the key                         |
| 403                              | `TerminalError` with the caller's sentence about the missing permission             |
| a redirect to another host, or   | `TerminalError`; the key is never sent anywhere but to the host it is for           |
| from https to http               |                                                                                     |
"""

from __future__ import annotations

import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urljoin, urlsplit, urlunsplit

import orjson
import requests
from requests.adapters import HTTPAdapter

from portal.failures import PortalError, TerminalError, TransientError
from sources.connectors.addresses import Guard, current_guard
from sources.connectors.base import RateLimit
from sources.connectors.guarded_http import GuardedAdapter

TRIES = 5
FIRST_PAUSE = 0.5  # seconds before the second try; doubles
LONGEST_PAUSE = 15.0
LONGEST_WAIT = 60.0  # asked to wait longer than this: let go of the worker and come back later
SECONDARY_LIMIT_WAIT = 60.0  # GitHub: "wait at least one minute" when no header says how long
RATE_LIMIT_TRIES = 8
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 90.0
MAX_REDIRECTS = 5
EXCERPT = 500
# 207: an answer to many questions at once, some of which have none (HubSpot's batches); the body says which.
GOOD = frozenset({200, 207})

sleep = time.sleep


# Looks at an answer with status 200 whose body may say that it went wrong all the same (Slack's `"ok": false`): returns
# the seconds to wait before asking again, None when all is well, or raises a `PortalError`.
Judge = Callable[[Any, requests.Response], float | None]


@dataclass(frozen=True)
class Answer:
    """A good answer: the JSON body, the headers (case-insensitive), and the address that gave it."""

    body: Any
    headers: Mapping[str, str]
    next_url: str = ""
    url: str = ""


class ApiClient:
    """One session with one API. Use it as a context manager so that its connections are closed.

    `limits`: how fast it may be asked; the client waits by itself before it would ask faster. `judge`: see `Judge`.
    `sentences`: what a refusal with that status means here, for people.
    `guard`: where it may connect to; without one, the guard of the sync or test that is under way.
    """

    def __init__(
        self,
        system: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        unauthorized: str,
        tries: int = TRIES,
        limits: Sequence[RateLimit] = (),
        judge: Judge | None = None,
        sentences: Mapping[int, str] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.system = system
        self.sentences = dict(sentences or {})
        self.judge = judge
        self.paces = [Pace(limit) for limit in limits]
        self.base_url = base_url.rstrip("/")
        self.unauthorized = unauthorized
        self.tries = tries
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise TerminalError(
                "The API base URL must be a full web address such as https://api.example.com.", kind="settings"
            )
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "data-portal", **headers})
        self._session.trust_env = True  # company proxies; a .netrc entry must not replace the key
        self._session.auth = _keep_headers
        guard = guard or current_guard()
        if guard:
            guard.check_url(self.base_url)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, GuardedAdapter(guard) if guard else HTTPAdapter(max_retries=0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def get(
        self, path: str, params: Any = None, *, forbidden: str = "", missing_ok: bool = False, empty_ok: bool = False
    ) -> Answer | None:
        """The answer to GET `path` (relative to the base URL, or a full address on the same host).

        `forbidden`: the sentence for a 403. None when it is missing (404, 410) and `missing_ok`, or when the
        system says that there is nothing yet (GitHub's 409 for an empty repository) and `empty_ok`.
        Raises `TransientError` or `TerminalError`.
        """
        found = self._ask(
            "GET", path, {"params": params}, forbidden=forbidden, missing_ok=missing_ok, empty_ok=empty_ok
        )
        return None if found is None else self._answer(*found)

    def post(
        self, path: str, body: Any = None, *, form: Mapping[str, str] | None = None, forbidden: str = ""
    ) -> Answer:
        """The answer to POST `path` with a JSON body or a form. Only for questions: it may be asked more than once."""
        arguments = {"data": dict(form)} if form is not None else {"json": body}
        found = self._ask("POST", path, arguments, forbidden=forbidden)
        assert found is not None
        return self._answer(*found)

    def lines(self, path: str, params: Any = None, *, forbidden: str = "") -> Iterator[Any]:
        """The JSON values of an answer that holds one a line, as they arrive; memory stays flat.

        Raises `TransientError` when it breaks off in the middle: what was handed out so far is then not all there is.
        """
        found = self._ask("GET", path, {"params": params, "stream": True}, forbidden=forbidden)
        assert found is not None
        response, _ = found
        read = 0
        with response:
            try:
                for line in response.iter_lines(chunk_size=65_536):
                    read += 1
                    if line:
                        yield orjson.loads(line)
            except (orjson.JSONDecodeError, requests.exceptions.RequestException) as error:
                raise TransientError(
                    f"{self.system} broke off in the middle of an answer.",
                    f"GET {response.url}: line {read}: {type(error).__name__}: {error}",
                    kind="unreachable",
                ) from error

    def _ask(
        self,
        method: str,
        path: str,
        arguments: Mapping[str, Any],
        *,
        forbidden: str = "",
        missing_ok: bool = False,
        empty_ok: bool = False,
    ) -> tuple[requests.Response, Any] | None:
        """A good response and its body, after as many tries as it takes; None when it is missing and that is fine."""
        url = self._own(path)
        failures = limited = 0
        while True:
            try:
                response = self._send(method, url, arguments)
                body = None if arguments.get("stream") or response.status_code not in GOOD else self._body(response)
                wait = self._wait_for(response, body)
            except TransientError as error:
                failures += 1
                if failures >= self.tries:
                    raise
                self._pause(failures, error)
                continue
            if wait is not None:
                limited += 1
                self._wait_as_told(response, wait, limited)
                continue
            status = response.status_code
            if status in GOOD:
                return response, body
            if (status in {404, 410} and missing_ok) or (status == 409 and empty_ok):
                return None
            if status < 500 and status not in {408, 409, 425}:
                raise self._refusal(response, forbidden)
            broken = self._broken(f"answered with an error of its own (HTTP {status})", response)
            failures += 1
            if failures >= self.tries:
                raise broken
            self._pause(failures, broken)

    def _body(self, response: requests.Response) -> Any:
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError as error:
            raise self._broken("sent an answer that is not JSON", response, error) from error

    def _wait_for(self, response: requests.Response, body: Any) -> float | None:
        """Seconds to wait when this answer means "too fast"; raises when the body of a good status says it is bad."""
        if response.status_code not in GOOD:
            return rate_limit_wait(response)
        return self.judge(body, response) if self.judge and body is not None else None

    def _answer(self, response: requests.Response, body: Any) -> Answer:
        return Answer(body, response.headers, self._next(response), response.url)

    def pages(self, path: str, params: Any = None, **kwargs: Any) -> Iterator[Answer]:
        """Every page, by `Link: <…>; rel="next"` headers."""
        answer = self.get(path, params, **kwargs)
        while answer is not None:
            yield answer
            answer = self.get(answer.next_url, **kwargs) if answer.next_url else None

    def _own(self, path: str) -> str:
        """`path` as an address on the base URL's own host, whatever host it names."""
        if not path.startswith(("http://", "https://")):
            return f"{self.base_url}/{path.lstrip('/')}"
        base, link = urlsplit(self.base_url), urlsplit(path)
        return urlunsplit((base.scheme, base.netloc, link.path, link.query, ""))

    def _next(self, response: requests.Response) -> str:
        return response.links.get("next", {}).get("url", "")

    def _send(self, method: str, url: str, arguments: Mapping[str, Any]) -> requests.Response:
        host = urlsplit(self.base_url).netloc
        try:
            for _ in range(MAX_REDIRECTS):
                for pace in self.paces:
                    pace.wait()
                response = self._session.request(
                    method, url, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT), allow_redirects=False, **arguments
                )
                if response.status_code not in {301, 302, 303, 307, 308}:
                    return response
                target = urljoin(response.url, response.headers.get("Location", ""))
                is_less_safe = url.startswith("https:") and not target.startswith("https:")
                if urlsplit(target).netloc != host or is_less_safe:
                    raise TerminalError(
                        f"{self.system} sent us on to another address, and the key is not taken there. "
                        "Check the API base URL.",
                        f"{response.status_code} from {response.url} to {target}",
                        kind="redirect",
                    )
                url, arguments = target, {**arguments, "params": None}
                if response.status_code not in {307, 308}:
                    method, arguments = "GET", {"stream": arguments.get("stream", False)}
            raise TerminalError(
                f"{self.system} sent us round in circles. Check the API base URL.", f"Last: {url}", kind="redirect"
            )
        except requests.exceptions.SSLError as error:
            raise TerminalError(
                f"The secure connection to {self.system} could not be verified. Check the API base URL, or ask whoever "
                "runs the network about its certificate.",
                str(error),
                kind="tls",
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as error:
            raise TerminalError(
                f"The settings for {self.system} hold characters that cannot be sent. Type them in again.",
                type(error).__name__,
                kind="settings",
            ) from error
        except requests.exceptions.RequestException as error:
            raise TransientError(
                f"{self.system} could not be reached, or the connection broke off.",
                f"{method} {url}: {type(error).__name__}: {error}",
                kind="unreachable",
            ) from error

    def _broken(self, what: str, response: requests.Response, error: Exception | None = None) -> TransientError:
        return TransientError(
            f"{self.system} {what}.",
            f"{response.request.method} {response.url}: HTTP {response.status_code} {error or ''}\n{_excerpt(response)}",
            kind="server_error",
        )

    def _pause(self, failures: int, _: TransientError) -> None:
        longest = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
        sleep(random.uniform(longest / 2, longest))  # noqa: S311 (jitter, no secret)

    def _wait_as_told(self, response: requests.Response, wait: float, limited: int) -> None:
        if wait > LONGEST_WAIT or limited >= RATE_LIMIT_TRIES:
            minutes = max(1, round(wait / 60))
            raise TransientError(
                f"{self.system} asks us to wait {f'{minutes} min' if wait > 90 else f'{wait:.0f} s'} because of its "
                "rate limit. The sync goes on after that.",
                f"{response.request.method} {response.url}: HTTP {response.status_code}\n{_excerpt(response)}",
                kind="rate_limited",
                retry_after=wait,
            )
        # A little more than asked for, so that many workers do not come back in the same instant.
        sleep(wait + random.uniform(0, 0.1 + wait / 20))  # noqa: S311

    def _refusal(self, response: requests.Response, forbidden: str) -> PortalError:
        status = response.status_code
        detail = f"{response.request.method} {response.url}: HTTP {status}\n{_excerpt(response)}"
        if status == 401:
            return TerminalError(self.unauthorized, detail, kind="unauthorized")
        if status == 403:
            sentence = forbidden or f"The key is not allowed to read this from {self.system}."
            return TerminalError(sentence, detail, kind="forbidden")
        if status == 404:
            sentence = f"{self.system} does not know what we asked for. Check the names in the settings."
            return TerminalError(sentence, detail, kind="not_found")
        sentence = self.sentences.get(status, f"{self.system} refused the request (HTTP {status}).")
        return TerminalError(sentence, detail, kind="refused")


class Pace:
    """Keeps below one limit: before a call that would be one too many, waits until the oldest has aged out."""

    def __init__(self, limit: RateLimit) -> None:
        self.seconds = limit.seconds
        self._calls: deque[float] = deque(maxlen=limit.calls)

    def wait(self) -> None:
        if len(self._calls) == self._calls.maxlen:
            left = self._calls[0] + self.seconds - time.monotonic()
            if left > 0:
                sleep(left)
        self._calls.append(time.monotonic())


def rate_limit_wait(response: requests.Response) -> float | None:
    """Seconds to wait when this answer means "too fast", None when it means something else.

    https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
    """
    if response.status_code not in {403, 429}:
        return None
    headers = response.headers
    if "Retry-After" in headers:
        return _seconds(headers["Retry-After"], _now(headers))
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(1.0, int(headers["x-ratelimit-reset"]) - _now(headers))
    if response.status_code == 403:
        slow = re.search(r"secondary rate limit|abuse detection", response.text[:2000], re.IGNORECASE)
        return SECONDARY_LIMIT_WAIT if slow else None
    return 2.0  # 429 without a word about how long (Stripe)


def _now(headers: Mapping[str, str]) -> float:
    """The other side's clock where it tells, so that ours may be wrong."""
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC).timestamp()


def _seconds(retry_after: str, now: float) -> float:
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (TypeError, ValueError):
        return 1.0


def _excerpt(response: requests.Response) -> str:
    try:
        return response.text[:EXCERPT]
    except (RuntimeError, requests.exceptions.RequestException):
        return ""


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An `auth` that changes nothing: with one set, requests leaves ~/.netrc alone."""
    return request
