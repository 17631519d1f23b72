"""The Intercom REST API: searches, the scroll through companies, conversations with their parts, and its limits."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.doors.intercom_objects import IntercomWriter
from sandbox.faults import Fault
from sandbox.timeline import DAY

VERSIONS = ("2.14", "2.13", "2.12", "2.11", "2.10")
#: Calls in ten seconds; more than Intercom's 1,666, so that nobody waits for a company that does not exist.
LIMIT, WINDOW = 20_000, 10
SCROLL_SECONDS = 60.0
_LARGEST, _LARGEST_COMPANIES = 150, 100
_TIMES = {"created_at", "updated_at", "last_seen_at", "signed_up_at"}


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class IntercomDoor(Door):
    """``token`` opens everything; ``limit`` is how many calls it has in ten seconds, and is enforced."""

    service = "intercom"
    _map = Map(
        [
            Rule("/me", endpoint="me"),
            Rule("/admins", endpoint="admins"),
            Rule("/teams", endpoint="teams"),
            Rule("/tags", endpoint="tags"),
            Rule("/contacts/search", endpoint="search_contacts", methods=["POST"]),
            Rule("/contacts/<id_>", endpoint="contact"),
            Rule("/conversations/search", endpoint="search_conversations", methods=["POST"]),
            Rule("/conversations/<int:number>", endpoint="conversation"),
            Rule("/companies", endpoint="companies"),
            Rule("/companies/scroll", endpoint="scroll"),
        ]
    )

    def __init__(self, company: Company, token: str) -> None:
        super().__init__()
        self._company = company
        self._support = company.support
        self._product = company.product
        self._write = IntercomWriter(company.support, company.seed)
        self.token = token
        self.limit = LIMIT
        self._expired: set[str] = set()
        self._lock = threading.Lock()
        self._used, self._resets_at = 0, 0.0
        #: The one scroll that may be open: its name, how far it is, when it was last used.
        self._open_scroll: tuple[str, int, float] | None = None
        self._order: tuple[Any, list[tuple[int, int, Any]]] = (None, [])

    def endpoint(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "access_token": self.token, "region": "us"}

    def expire(self, token: str) -> None:
        """From now on this token is answered with 401."""
        self._expired.add(token)

    def forget_requests(self) -> None:
        """Begin counting again; a scroll that somebody left open is over."""
        super().forget_requests()
        self.end_scroll()

    def end_scroll(self) -> None:
        """As if a minute had passed since the scroll was last used."""
        self._open_scroll = None

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token != self.token or token in self._expired:
            return self._error(401, "unauthorized", "Access Token Invalid")
        if request.headers.get("Intercom-Version", VERSIONS[0]) not in VERSIONS:
            return self._error(400, "intercom_version_invalid", "The requested version could not be found")
        if not self._spend():
            return self._too_fast()
        try:
            endpoint, values = self._map.bind("").match(request.path, request.method)
            with self._company.lock:
                body = getattr(self, f"_{endpoint}")(request, **values)
        except _Refused as error:
            return self._error(error.status, error.code, error.message)
        except HTTPException:
            return self._error(404, "not_found", "Resource Not Found")
        return reply(body, headers=self._limits())

    def _me(self, request: Request) -> Any:
        return self._write.me(self._company.start)

    def _admins(self, request: Request) -> Any:
        return {"type": "admin.list", "admins": [self._write.admin(admin) for admin in self._support.admins]}

    def _teams(self, request: Request) -> Any:
        return {"type": "team.list", "teams": [self._write.team()]}

    def _tags(self, request: Request) -> Any:
        return {"type": "list", "data": self._write.tags()}

    def _contact(self, request: Request, id_: str) -> Any:
        for user in self._product.users.values():
            if user.deleted_at is None and self._write.contact_id(user) == id_:
                return self._write.contact(user)
        raise _Refused(404, "not_found", "User Not Found")

    def _search_contacts(self, request: Request) -> Any:
        def order(field: str) -> list[tuple[int, int, Any]]:
            # thousands of contacts are put in order once for all pages of a search
            key = (self._company.now, field, len(self._product.users), len(self._support.conversations))
            if self._order[0] != key:
                users = self._product.users.values()
                if field == "updated_at":
                    found = [(self._write.updated_at(user), user.id, user) for user in users]
                else:
                    found = [(user.created_at, user.id, user) for user in users]
                self._order = (key, sorted(found, key=lambda each: each[:2]))
            return [each for each in self._order[1] if each[2].deleted_at is None]

        page = self._search(request, order, by_day=True)
        return {"type": "list", "data": [self._write.contact(user) for user in page.pop("records")], **page}

    def _search_conversations(self, request: Request) -> Any:
        def order(field: str) -> list[tuple[int, int, Any]]:
            records = self._support.conversations.values()
            return sorted(((getattr(each, field), each.id, each) for each in records), key=lambda each: each[:2])

        page = self._search(request, order, by_day=False)
        drawn = [self._write.conversation(each) for each in page.pop("records")]
        return {"type": "conversation.list", "conversations": drawn, **page}

    def _conversation(self, request: Request, number: int) -> Any:
        conversation = self._support.conversations.get(number)
        if conversation is None:
            raise _Refused(404, "not_found", "Resource Not Found")
        return self._write.whole_conversation(conversation)

    def _companies(self, request: Request) -> Any:
        records = list(self._product.workspaces.values())
        size = min(_LARGEST_COMPANIES, _number(request, "per_page", 15))
        number = max(1, _number(request, "page", 1))
        total = -(-len(records) // size)
        if number * size > 10_000:
            raise _Refused(400, "page_limit", "page limit reached, please use scroll API")
        page = records[(number - 1) * size : number * size]
        pages = {"type": "pages", "next": None, "page": number, "per_page": size, "total_pages": total}
        data = [self._write.company(workspace) for workspace in page]
        return {"type": "list", "data": data, "pages": pages, "total_count": len(records)}

    def _scroll(self, request: Request) -> Any:
        given, now = request.args.get("scroll_param"), time.monotonic()
        scroll = self._open_scroll
        if scroll is not None and now - scroll[2] > SCROLL_SECONDS:
            scroll = self._open_scroll = None
        if given is None:
            if scroll is not None:
                raise _Refused(400, "scroll_exists", "scroll already exists for this workspace")
            digest = hashlib.blake2b(f"{self._company.seed}:{now}".encode(), digest_size=16).digest()
            scroll = (str(uuid.UUID(bytes=digest, version=4)), 0, now)
        elif scroll is None or scroll[0] != given:
            raise _Refused(404, "not_found", "scroll parameter not found")
        name, place, _ = scroll
        records = list(self._product.workspaces.values())[place : place + _LARGEST_COMPANIES]
        # it moves on with every call, whether or not the answer arrives
        self._open_scroll = (name, place + len(records), now) if records else None
        data = [self._write.company(workspace) for workspace in records]
        return {"type": "list", "data": data, "pages": None, "total_count": None, "scroll_param": name}

    # -- searching -------------------------------------------------------------------------------------------------

    def _search(
        self, request: Request, order: Callable[[str], list[tuple[int, int, Any]]], *, by_day: bool
    ) -> dict[str, Any]:
        """One page of a search: its ``records``, ``total_count`` and ``pages``."""
        try:
            asked = request.get_json()
        except BadRequest:
            raise _Refused(400, "bad_request", "JSON could not be read") from None
        query, sort, pagination = (asked.get(name) or {} for name in ("query", "sort", "pagination"))
        field, low, high = _bounds(query, by_day=by_day)
        by = sort.get("field", "updated_at" if field == "updated_at" else "created_at")
        if by not in {"created_at", "updated_at"}:
            raise _Refused(400, "bad_request", f"Cannot sort by {by}")
        found = order(by)
        if field == by:
            keys = [value for value, *_ in found]
            found = found[bisect_right(keys, low) : bisect_left(keys, high)]
        else:
            found = [each for each in found if low < getattr(each[2], field) < high]
        total = len(found)
        is_descending = sort.get("order", "descending") == "descending"
        place = pagination.get("starting_after")
        if place:
            edge = _read_place(place)
            keys_of = [each[:2] for each in found]
            found = found[: bisect_left(keys_of, edge)] if is_descending else found[bisect_right(keys_of, edge) :]
        size = min(_LARGEST, max(1, int(pagination.get("per_page", 50))))
        if is_descending:
            page, rest = list(reversed(found[-size:])), len(found) - size
        else:
            page, rest = found[:size], len(found) - size
        total_pages = -(-total // size)
        pages: dict[str, Any] = {"type": "pages", "page": 1, "per_page": size, "total_pages": total_pages}
        if rest > 0:
            pages["page"] = total_pages - -(-(rest + size) // size) + 1
            pages["next"] = {"page": pages["page"] + 1, "starting_after": _write_place(page[-1][:2])}
        elif total_pages:
            pages["page"] = total_pages
        return {"records": [record for *_, record in page], "total_count": total, "pages": pages}

    # -- limits and errors -----------------------------------------------------------------------------------------

    def _spend(self) -> bool:
        with self._lock:
            # the ten seconds are real time: clients wait in real time
            if time.time() >= self._resets_at:
                self._used, self._resets_at = 0, time.time() + WINDOW
            self._used += 1
            return self._used <= self.limit

    def _limits(self) -> dict[str, str]:
        with self._lock:
            left = max(0, self.limit - self._used)
            return {
                "X-RateLimit-Limit": str(self.limit),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset": str(int(self._resets_at)),
                "Intercom-Version": VERSIONS[0],
            }

    def _too_fast(self, wait: float | None = None) -> Response:
        headers = self._limits()
        if wait is not None:
            headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time() + wait))}
        text = f"Exceeded rate limit of {self.limit} in {WINDOW}_seconds"
        return self._error(429, "rate_limit_exceeded", text, headers=headers)

    def refuse(self, request: Request, fault: Fault) -> Response:
        match fault.kind:
            case "429" | "rate_limit" | "secondary_rate_limit":
                return self._too_fast(fault.retry_after or 1)
            case "expired_token":
                return self._error(401, "token_expired", "Access Token Expired")
            case "forbidden":
                return self._error(403, "token_unauthorized", "The token is not authorized for this action")
        codes = {"500": "server_error", "502": "bad_gateway", "503": "service_unavailable", "504": "server_timeout"}
        return self._error(int(fault.kind), codes.get(fault.kind, "server_error"), "Something went wrong")

    def _error(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> Response:
        digest = hashlib.blake2b(f"{code}:{time.time_ns()}".encode(), digest_size=16).digest()
        body = {
            "type": "error.list",
            "request_id": str(uuid.UUID(bytes=digest, version=4)),
            "errors": [{"code": code, "message": message}],
        }
        return reply(body, status, headers or {})


def _bounds(query: dict[str, Any], *, by_day: bool) -> tuple[str, float, float]:
    """The field that is asked about, and between which values it lies, both excluded."""
    filters = _filters(query)
    fields = {each.get("field") for each in filters}
    if len(fields) != 1 or not fields <= _TIMES:
        raise _Refused(400, "bad_request", "Only searches by one time field can be answered here")
    low, high = float("-inf"), float("inf")
    for each in filters:
        value, operator = each.get("value"), each.get("operator")
        if isinstance(value, bool) or not isinstance(value, int):
            raise _Refused(400, "data_invalid", f"{each.get('field')} has to be a number")
        if by_day:
            # "matched by calendar day": > begins with the day after the one that was named
            value -= value % DAY
        match operator:
            case ">":
                low = max(low, value + DAY - 1 if by_day and value > 0 else value)
            case "<":
                high = min(high, value)
            case "=":
                low, high = max(low, value - 1), min(high, value + (DAY if by_day else 1))
            case _:
                raise _Refused(400, "data_invalid", f"{operator} is not a valid operator for a date")
    (field,) = fields
    return str(field), low, high


def _filters(query: dict[str, Any]) -> list[dict[str, Any]]:
    if query.get("operator") == "AND" and isinstance(query.get("value"), list):
        return list(query["value"])
    if not query.get("field"):
        raise _Refused(400, "bad_request", "query is missing")
    return [query]


def _write_place(edge: Iterable[int]) -> str:
    return base64.b64encode(json.dumps(list(edge)).encode()).decode()


def _read_place(text: str) -> tuple[int, int]:
    try:
        value, number = json.loads(base64.b64decode(text, validate=True))
        return int(value), int(number)
    except (ValueError, TypeError):
        raise _Refused(400, "bad_request", "starting_after is not a cursor of ours") from None


def _number(request: Request, name: str, usual: int) -> int:
    text = request.args.get(name, str(usual))
    if not text.isdigit() or int(text) < 1:
        raise _Refused(400, "parameter_invalid", f"{name} has to be a number above 0")
    return int(text)
