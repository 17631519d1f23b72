"""How an API hands out more rows than fit in one answer: a class for each way, and a table of their names.

A paginator says what to ask first and, after each answer, what to ask next; None when that was all. A page that has
fewer rows than asked for is not the end (many APIs cap the size); an empty one is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import orjson

from portal.failures import TerminalError
from sources.connectors.http import Answer
from sources.connectors.rest_endpoints import Endpoint
from sources.connectors.rest_paths import MISSING, at, lists_of_objects


@dataclass(frozen=True)
class Ask:
    """The next request: parameters to add, or a whole address that carries everything itself."""

    params: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    may_be_missing: bool = False  # a 404 then means that there are no more pages


class Paginator(Protocol):
    def first(self) -> Ask: ...

    def next(self, answer: Answer, records: list[Any]) -> Ask | None: ...


class Single:
    """Everything comes in one answer."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.size = {endpoint.size_param: str(endpoint.size)} if endpoint.size_param else {}

    def first(self) -> Ask:
        return Ask()

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        return None


class LinkHeader(Single):
    """`Link: <https://…>; rel="next"`."""

    def first(self) -> Ask:
        return Ask(self.size)

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        return self._follow(answer, answer.next_url) if answer.next_url else None

    def _follow(self, answer: Answer, link: Any) -> Ask:
        """The linked page, on the same host only: the key is for that one."""
        if not isinstance(link, str):
            raise TerminalError(
                f"The endpoint “{self.endpoint.name}” has no address at “{self.endpoint.paging_path}” but something "
                "else. Check the path under “More than one page”.",
                f"{type(link).__name__}",
                kind="paging",
            )
        url = urljoin(answer.url, link)
        if _host(url) != _host(answer.url):
            raise TerminalError(
                f"The endpoint “{self.endpoint.name}” says that its next page is on another host "
                f"({urlsplit(url).hostname}). The key is not taken there.",
                f"{answer.url} → {url}",
                kind="redirect",
            )
        return Ask(url=url)


class NextUrl(LinkHeader):
    """The address of the next page is in the answer."""

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        link = at(answer.body, self.endpoint.paging_path)
        return None if link is MISSING or not link else self._follow(answer, link)


class Cursor(Single):
    """The answer holds a mark; sent back, the next page comes. `has_more`: where the answer says that there is one."""

    def first(self) -> Ask:
        return Ask(self.size)

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        if self.endpoint.has_more and at(answer.body, self.endpoint.has_more) in (False, None, MISSING):
            return None
        mark = at(answer.body, self.endpoint.paging_path)
        if mark is MISSING or mark is None or mark is False or mark == "":
            return None
        if isinstance(mark, (dict, list)):
            raise TerminalError(
                f"The endpoint “{self.endpoint.name}” has no mark at “{self.endpoint.paging_path}” but something nested. "
                "Check the path under “More than one page”.",
                kind="paging",
            )
        return Ask({**self.size, self.endpoint.paging_param: str(mark)})


class PageNumber(Single):
    """page=1, page=2, … until a page is empty, or is not there any more (404, as Django's REST framework says it)."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.number = endpoint.first_page

    def first(self) -> Ask:
        return Ask({**self.size, self.endpoint.paging_param: str(self.number)})

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        if not records:
            return None
        self.number += 1
        return Ask({**self.size, self.endpoint.paging_param: str(self.number)}, may_be_missing=True)


class Offset(Single):
    """offset=0, offset=100, … by as many rows as really came, until none come."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.offset = 0

    def first(self) -> Ask:
        return Ask({**self.size, self.endpoint.paging_param: "0"})

    def next(self, answer: Answer, records: list[Any]) -> Ask | None:
        if not records:
            return None
        self.offset += len(records)
        return Ask({**self.size, self.endpoint.paging_param: str(self.offset)})


PAGINATORS: dict[str, type[Single]] = {
    "none": Single,
    "link": LinkHeader,
    "next_url": NextUrl,
    "cursor": Cursor,
    "page": PageNumber,
    "offset": Offset,
}


@dataclass(frozen=True)
class RecordPage:
    records: list[dict[str, Any]]
    answer: Answer
    has_next: bool


def pages(client: Any, endpoint: Endpoint, params: Mapping[str, str]) -> Iterator[RecordPage]:
    """Every page of an endpoint. Raises `TerminalError` when a page comes twice: the API does not turn pages for us."""
    paginator = PAGINATORS[endpoint.paging](endpoint)
    seen: set[bytes] = set()
    ask: Ask | None = paginator.first()
    while ask is not None:
        query = None if ask.url else {**dict(endpoint.params), **params, **ask.params}
        answer = client.get(ask.url or endpoint.path, query, missing_ok=ask.may_be_missing)
        if answer is None:
            return
        records = records_in(answer.body, endpoint)
        if records:
            page = hashlib.blake2b(orjson.dumps(records), digest_size=16).digest()
            if page in seen:
                raise _same_page_again(endpoint)
            seen.add(page)
        following = paginator.next(answer, records)
        if following is not None and following == ask:
            raise _same_page_again(endpoint)
        yield RecordPage(records, answer, following is not None)
        ask = following


def records_in(body: Any, endpoint: Endpoint) -> list[dict[str, Any]]:
    """The rows of an answer; raises `TerminalError` that says where rows could be instead."""
    found = at(body, endpoint.records)
    if found is None:
        return []
    where = f"at “{endpoint.records}”" if endpoint.records else "at the top of the answer"
    if isinstance(found, list):
        if all(isinstance(item, dict) for item in found):
            return found
        raise TerminalError(
            f"The endpoint “{endpoint.name}” has a list {where}, but not one of objects with fields.", kind="records"
        )
    candidates = lists_of_objects(body)
    hint = (
        " ".join(f"There is a list of {count} objects at “{path}”." for path, count in candidates[:3])
        or "There is no list of objects anywhere in the answer."
    )
    what = "has nothing" if found is MISSING else "has no list"
    raise TerminalError(
        f"The endpoint “{endpoint.name}” {what} {where}. {hint}",
        f"The answer holds: {', '.join(list(body)[:20]) if isinstance(body, dict) else type(body).__name__}",
        kind="records",
    )


def _same_page_again(endpoint: Endpoint) -> TerminalError:
    how = {
        "page": f"it seems to ignore “{endpoint.paging_param}”, or gives its last page over and over",
        "offset": f"it seems to ignore “{endpoint.paging_param}”",
        "cursor": f"it seems to ignore “{endpoint.paging_param}”",
    }.get(endpoint.paging, "the address of its next page leads back")
    return TerminalError(
        f"The endpoint “{endpoint.name}” sent the same page twice: {how}. Nothing was loaded from it, so that no row is "
        "missing or doubled. Check “More than one page”.",
        kind="paging",
    )


def _host(url: str) -> tuple[str | None, int | None]:
    """Host and port; the usual ports are one, since APIs behind a proxy often write http:// where they mean https://."""
    parts = urlsplit(url)
    return parts.hostname, None if parts.port in {80, 443} else parts.port
