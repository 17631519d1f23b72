"""Mixpanel: the raw event export, profiles and cohorts of an old project, whose times are those of its own wall clock."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.faults import Fault
from sandbox.features import FEATURES
from sandbox.product import User
from sandbox.timeline import DAY, day_of, utc
from sandbox.uses import mix

PROJECT_ID = 2_195_193
USERNAME = "data-portal.5f3a1c.mp-service-account"
TIMEZONE = "America/Los_Angeles"
PAGE_SIZE = 1000
#: Requests an hour. Mixpanel allows 60 exports and 60 queries; here there is more room, and a test may take it away.
HOURLY_LIMIT = 3_000
_MAX_LIMIT = 100_000
_SESSIONS = 20
#: Events that are sent in one piece.
_CHUNK = 500
_PLACES = (
    ("San Francisco", "California", "US"),
    ("New York", "New York", "US"),
    ("Austin", "Texas", "US"),
    ("Berlin", "Land Berlin", "DE"),
    ("Paris", "Île-de-France", "FR"),
    ("London", "England", "GB"),
)
_BROWSERS = ("Chrome", "Chrome", "Safari", "Firefox", "Microsoft Edge")
_SYSTEMS = ("Mac OS X", "Windows", "Windows", "Linux", "iOS", "Android")
_WITHIN = {"Weekly active users": 7, "Monthly active users": 30}


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class MixpanelDoor(Door):
    """``secret`` opens everything together with the username; ``limit`` is how many requests it has an hour.

    A day in the future is an empty day here, not an error: the world's time may stand still while the client's runs.
    """

    service = "mixpanel"

    def __init__(self, company: Company, secret: str) -> None:
        super().__init__()
        self._company = company
        self._product = company.product
        self.secret = secret
        self.zone = ZoneInfo(TIMEZONE)
        self.limit = HOURLY_LIMIT
        self._lock = threading.Lock()
        self._used, self._resets_at = 0, 0.0
        self._sessions: dict[str, list[int]] = {}

    def endpoint(self) -> dict[str, Any]:
        return {
            "username": USERNAME,
            "secret": self.secret,
            "project_id": str(PROJECT_ID),
            "region": "us",
            "timezone": TIMEZONE,
            "time_basis": "project",
            "start_date": day_of(self._company.start).isoformat(),
            "base_url": self.base_url,
            "query_base_url": self.base_url,
        }

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        known: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/api/2.0/export"): self._export,
            ("POST", "/api/query/engage"): self._engage,
            ("POST", "/api/query/cohorts/list"): self._cohorts,
        }
        given = request.authorization
        if given is None or (given.username, given.password) != (USERNAME, self.secret):
            return self._error(401, "Invalid service account credentials")
        answer = known.get((request.method, request.path))
        if answer is None:
            return self._error(404, "Not Found")
        try:
            if request.args.get("project_id", "") == "":
                raise _Refused(400, "project_id is a required parameter when using a service account")
            if request.args["project_id"] != str(PROJECT_ID):
                raise _Refused(403, "Service account does not have access to this project")
            if not self._spend():
                return self._too_fast()
            return answer(request)
        except _Refused as error:
            return self._error(error.status, error.message)

    def _export(self, request: Request) -> Response:
        start, end = self._day(request, "from_date"), self._day(request, "to_date")
        if end < start:
            raise _Refused(400, "to_date cannot be before from_date")
        limit = self._number(request.args.get("limit"), "limit", _MAX_LIMIT)
        wanted = self._wanted(request.args.get("event"))
        factor = 1000 if request.args.get("time_in_ms") == "true" else 1
        lines = self._lines(self._midnight(start), self._midnight(end + dt.timedelta(days=1)), limit, wanted, factor)
        return Response(lines, content_type="text/plain; charset=utf-8")

    def _lines(self, start: int, end: int, limit: int | None, wanted: set[str] | None, factor: int) -> Iterator[bytes]:
        # the log only grows, so nothing has to stand still while the answer is under way
        uses, now, left = self._product.uses, self._company.now, limit
        some: list[bytes] = []
        for index in uses.between(start, end):
            name = FEATURES[uses.features[index]].event
            if wanted is not None and name not in wanted:
                continue
            for received in uses.deliveries(index):
                if received > now:
                    continue
                if left is not None:
                    if left == 0:
                        break
                    left -= 1
                event = {"event": name, "properties": self._properties(index, received, factor)}
                some.append(json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
            if len(some) >= _CHUNK:
                yield b"".join(some)
                some = []
        yield b"".join(some)

    def _properties(self, index: int, received: int, factor: int) -> dict[str, Any]:
        uses = self._product.uses
        moment, user = uses.moments[index], self._product.users[uses.users[index]]
        bits = mix(user.id)
        city, region, country = _PLACES[bits % len(_PLACES)]
        return {
            "time": self._wall_clock(moment) * factor,
            "distinct_id": str(user.id),
            "$browser": _BROWSERS[(bits >> 8) % len(_BROWSERS)],
            "$city": city,
            "$device_id": f"{bits:016x}",
            "$insert_id": f"{uses.bits(index):016x}",
            "$os": _SYSTEMS[(bits >> 16) % len(_SYSTEMS)],
            "$region": region,
            "$user_id": str(user.id),
            "mp_country_code": country,
            "mp_lib": "web",
            "mp_processing_time_ms": received * 1000 + uses.bits(index) % 1000,
            "workspace_id": user.workspace.id,
            **uses.properties(index),
        }

    def _engage(self, request: Request) -> Response:
        form = request.form
        for unknown in form.keys() - {"session_id", "page"}:
            raise _Refused(400, f"The sandbox does not know the parameter {unknown}")
        number = self._number(form.get("page"), "page") or 0
        session = form.get("session_id", "")
        with self._company.lock:
            if number == 0:
                session = f"{self._company.now}-{mix(len(self._sessions) + self._company.now):016X}"[:32]
                self._sessions[session] = [user.id for user in self._product.users.values() if not user.deleted_at]
                for old in list(self._sessions)[:-_SESSIONS]:
                    del self._sessions[old]
            if session not in self._sessions:
                raise _Refused(400, "request for page in uncached query for params")
            ids = self._sessions[session]
            found = ids[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]
            results = [self._profile(self._product.users[each]) for each in found]
        body = {"page": number, "page_size": PAGE_SIZE, "session_id": session, "status": "ok", "total": len(ids)}
        return reply({**body, "results": results})

    def _profile(self, user: User) -> dict[str, Any]:
        first, _, last = user.name.partition(" ")
        city, region, country = _PLACES[mix(user.id) % len(_PLACES)]
        properties = {
            "$email": user.email,
            "$name": user.name,
            "$first_name": first,
            "$last_name": last,
            "$created": utc(user.created_at).strftime("%Y-%m-%dT%H:%M:%S"),
            "$last_seen": utc(user.last_seen_at or user.created_at).strftime("%Y-%m-%dT%H:%M:%S"),
            "$city": city,
            "$region": region,
            "$country_code": country,
            "workspace_id": user.workspace.id,
            "role": user.role,
        }
        return {"$distinct_id": user.id, "$properties": properties}

    def _cohorts(self, request: Request) -> Response:
        with self._company.lock:
            now = self._company.now
            seen = [user.last_seen_at or 0 for user in self._product.users.values()]
            cohorts: list[tuple[str, str, int]] = [
                (name, f"Seen in the last {days} days", sum(moment > now - days * DAY for moment in seen))
                for name, days in _WITHIN.items()
            ]
            for name in ("automations", "exports"):
                count = sum(
                    len(workspace.users) for workspace in self._product.workspaces.values() if name in workspace.adopted
                )
                cohorts.append((f"Workspaces with {name}", f"Users of workspaces that have adopted {name}", count))
        created = utc(self._company.start + 40 * DAY).strftime("%Y-%m-%d %H:%M:%S")
        return reply(
            [
                {
                    "count": count,
                    "is_visible": 1,
                    "description": description,
                    "created": created,
                    "project_id": PROJECT_ID,
                    "id": 1000 * number,
                    "name": name,
                }
                for number, (name, description, count) in enumerate(cohorts, 1)
            ]
        )

    # -- reading what was asked ------------------------------------------------------------------------------------

    def _day(self, request: Request, name: str) -> dt.date:
        try:
            return dt.date.fromisoformat(request.args.get(name, ""))
        except ValueError:
            raise _Refused(400, f"{name} must be a date in the format YYYY-MM-DD") from None

    def _number(self, text: str | None, name: str, most: int | None = None) -> int | None:
        if text is None:
            return None
        if not text.isdigit() or (most is not None and not 0 < int(text) <= most):
            raise _Refused(400, f"{name} is not a number that is allowed here")
        return int(text)

    def _wanted(self, text: str | None) -> set[str] | None:
        if text is None:
            return None
        try:
            return set(json.loads(text))
        except (ValueError, TypeError):
            raise _Refused(400, "event must be a JSON array of names") from None

    def _midnight(self, day: dt.date) -> int:
        return int(dt.datetime.combine(day, dt.time(), self.zone).timestamp())

    def _wall_clock(self, moment: int) -> int:
        """The seconds that an old project exports: its own clock, read as if it were UTC."""
        offset = dt.datetime.fromtimestamp(moment, self.zone).utcoffset()
        assert offset is not None
        return moment + int(offset.total_seconds())

    # -- limits and errors -----------------------------------------------------------------------------------------

    def _spend(self) -> bool:
        with self._lock:
            # the hour of the limit is real time: clients wait in real time
            if time.time() >= self._resets_at:
                self._used, self._resets_at = 0, time.time() + 3600
            self._used += 1
            return self._used <= self.limit

    def _too_fast(self, headers: dict[str, str] | None = None) -> Response:
        body = {
            "code": 429,
            "error": "Project exceeded rate limits. Please retry the request with exponential backoff.",
            "status": "Too Many Requests",
        }
        return reply(body, 429, headers)

    def refuse(self, request: Request, fault: Fault) -> Response:
        extra = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        if fault.kind in {"429", "rate_limit", "secondary_rate_limit"}:
            return self._too_fast(extra)
        if fault.kind == "expired_token":
            return self._error(401, "Invalid service account credentials")
        if fault.kind == "forbidden":
            return self._error(403, "Service account does not have access to this project")
        return self._error(int(fault.kind), "Internal Server Error", extra)

    def cut_short(self, response: Response) -> None:
        """Mixpanel gives up in the middle of an export, says so in its last line, and ends the answer as if all were well."""
        if response.mimetype != "text/plain":
            return super().cut_short(response)
        lines = response.get_data().splitlines(keepends=True)
        response.set_data(b"".join(lines[: len(lines) // 2]) + b"export terminated early\n")
        return None

    def _error(self, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
        return reply({"error": message, "status": "error"}, status, headers)
