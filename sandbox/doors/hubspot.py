"""The HubSpot API: CRM objects by list, batch and search, properties, owners, pipelines, associations; read only."""

from __future__ import annotations

import json
import secrets
import threading
import time
import uuid
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.company import Company
from sandbox.doors import hubspot_objects as objects
from sandbox.doors.base import Door, reply
from sandbox.doors.hubspot_search import MAX_BODY, MAX_RESULTS, Refused, search
from sandbox.faults import Fault
from sandbox.timeline import DAY

KEPT_DAYS = 90  # an archived record can be seen and brought back for so long
MAX_LIST, MAX_WITH_HISTORY, MAX_BATCH, MAX_ASSOCIATIONS = 100, 50, 100, 1000
_OWNERS = "crm.objects.owners.read"
ALL_SCOPES = frozenset({*(kind[2] for kind in objects.KINDS.values()), _OWNERS})
_NOT_FOUND = (
    '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>\n<title>Error 404 Not Found'
    "</title>\n</head>\n<body><h2>HTTP ERROR 404</h2>\n<p>Resource not found</p>\n</body>\n</html>\n"
)


class Window:
    """So many calls in so many seconds, counted as they come in; None: as many as anybody likes."""

    def __init__(self, calls: int | None, seconds: float) -> None:
        self.calls, self.seconds = calls, seconds
        self._lock = threading.Lock()
        self._seen: deque[float] = deque()

    def admits(self) -> bool:
        with self._lock:
            now = time.monotonic()
            while self._seen and self._seen[0] <= now - self.seconds:
                self._seen.popleft()
            if self.calls is not None and len(self._seen) >= self.calls:
                return False
            self._seen.append(now)
            return True

    @property
    def left(self) -> int:
        return max(0, (self.calls or 0) - len(self._seen))


class HubspotDoor(Door):
    """``access_token`` opens everything; ``restrict`` makes tokens that open a part; ``expire`` ends one.

    ``burst`` and ``searches`` are the limits of a private app; set their ``calls`` to None to lift them.
    ``most_results`` is how far a search can be paged; ``search_lag`` (seconds) how long a change stays out of it.
    """

    service = "hubspot"

    def __init__(self, company: Company, access_token: str) -> None:
        super().__init__()
        self._company = company
        self.access_token = access_token
        self._scopes: dict[str, frozenset[str]] = {}
        self._expired: set[str] = set()
        self.burst, self.searches = Window(100, 10.0), Window(5, 1.0)
        self.most_results, self.search_lag = MAX_RESULTS, 0

    def endpoint(self) -> dict[str, Any]:
        return {"base_url": self.base_url, "access_token": self.access_token}

    def restrict(self, *scopes: str) -> str:
        """The token of another private app, which was given only these scopes."""
        token = f"pat-na1-{uuid.uuid4()}"
        self._scopes[token] = frozenset(scopes)
        return token

    def expire(self, token: str) -> None:
        """From now on this token is answered as one that has run out."""
        self._expired.add(token)

    # -- answers ---------------------------------------------------------------------------------------------------

    def respond(self, request: Request) -> Response:
        text = request.get_data(as_text=True)  # also: the connection is used again, nothing may stay unread
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if token in self._expired:
            return self._expired_token()
        if token != self.access_token and token not in self._scopes:
            return self._error(
                401,
                "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
                "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
                category="INVALID_AUTHENTICATION",
            )
        is_search = request.path.endswith("/search")
        if not self.burst.admits():
            return self._too_fast("TEN_SECONDLY_ROLLING")
        if is_search and not self.searches.admits():
            return self._too_fast("SECONDLY")
        try:
            question = json.loads(text) if text else {}
            parts = request.path.strip("/").split("/")
            with self._company.lock:
                found = self._find(request, parts, question, self._scopes.get(token, ALL_SCOPES), len(text))
        except Refused as error:
            return self._error(400, str(error), category="VALIDATION_ERROR")
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            return self._error(400, f"Invalid input JSON: {type(error).__name__} {error}", category="VALIDATION_ERROR")
        if isinstance(found, Response):
            return found
        # a search does not say how much of the ten seconds is left
        return self._reply(found, 207 if "errors" in found else 200, counts=not is_search)

    def _find(
        self, request: Request, parts: list[str], question: dict[str, Any], scopes: frozenset[str], size: int
    ) -> Any:
        match request.method, *parts:
            case "GET", "account-info", "v3", "details":
                return _ACCOUNT
            case "GET", "crm", "v3", "owners":
                return self._missing_scope(_OWNERS) if _OWNERS not in scopes else self._owners(request)
            case "GET", "crm", "v3", "pipelines", ("deals" | "tickets") as kind:
                return self._scoped(kind, scopes) or {"results": objects.pipelines(kind, self._company.start)}
            case "GET", "crm", "v3", "properties", kind if kind in objects.KINDS:
                listed = [objects.definition(each) for each in objects.PROPERTIES[kind].values()]
                return self._scoped(kind, scopes) or {"results": listed}
            case "GET", "crm", "v3", "objects", kind if kind in objects.KINDS:
                return self._scoped(kind, scopes) or self._list(request, kind)
            case "GET", "crm", "v3", "objects", kind, identifier if kind in objects.KINDS:
                return self._scoped(kind, scopes) or self._one(request, kind, identifier)
            case "POST", "crm", "v3", "objects", kind, "batch", "read" if kind in objects.KINDS:
                return self._scoped(kind, scopes) or self._batch(request, kind, question)
            case "POST", "crm", "v3", "objects", kind, "search" if kind in objects.KINDS:
                return self._scoped(kind, scopes) or self._search(kind, question, size)
            case "POST", "crm", "v4", "associations", source, target, "batch", "read":
                return self._scoped(source, scopes) or self._associations(source, target, question)
            case "GET", "crm", "v4", "objects", source, identifier, "associations", target:
                return self._scoped(_plural(source), scopes) or self._associations_of(
                    _plural(source), identifier, _plural(target)
                )
        return self._not_found()

    def _scoped(self, kind: str, scopes: frozenset[str]) -> Response | None:
        if kind not in objects.KINDS:
            return self._not_found()
        scope = objects.KINDS[kind][2]
        return None if scope in scopes else self._missing_scope(scope)

    # -- objects ---------------------------------------------------------------------------------------------------

    def _list(self, request: Request, kind: str) -> dict[str, Any]:
        with_history = _names(request, "propertiesWithHistory") or []
        most = MAX_WITH_HISTORY if with_history else MAX_LIST
        limit = _number(request, "limit", 10)
        if not 0 < limit <= most:
            raise Refused(f"limit must be between 1 and {most}, was {limit}.")
        archived = request.args.get("archived") == "true"
        linked = _names(request, "associations") or []
        found: list[dict[str, Any]] = []
        following = None
        for record in self._from(kind, request.args.get("after", ""), archived=archived):
            if len(found) == limit:
                following = found[-1]["id"]
                break
            drawn = objects.draw(kind, record, _names(request, "properties"), with_history)
            if inner := {target: links for target in linked if (links := self._linked(kind, record, target))}:
                drawn["associations"] = inner
            found.append(drawn)
        body: dict[str, Any] = {"results": found}
        if following is not None:
            after = str(int(following) + 1)
            link = f"https://api.hubapi.com/crm/objects/v3/{kind}?offset_param=after&limit={limit}&after={after}"
            body["paging"] = {"next": {"after": after, "link": link}}
        return body

    def _from(self, kind: str, after: str, *, archived: bool) -> Iterator[Any]:
        order, records = self._company.sales.crm.order[kind], self._company.sales.crm.records(kind)
        # an `after` that is no number begins at the beginning, as recorded
        for number in order[bisect_left(order, int(after)) if after.isdigit() else 0 :]:
            record = records.get(number)
            if record is not None and self._is_seen(record, archived=archived):
                yield record

    def _is_seen(self, record: Any, *, archived: bool) -> bool:
        if record.archived_at is None or not archived:
            return (record.archived_at is not None) == archived
        return bool(record.archived_at > self._company.now - KEPT_DAYS * DAY)

    def _linked(self, kind: str, record: Any, target: str) -> dict[str, Any] | None:
        if (kind, target) not in objects.ASSOCIATION_TYPES:
            raise Refused(f"{target} are not associated with {kind}.")
        name = f"{objects.KINDS[kind][0]}_to_{objects.KINDS[target][0]}"
        found = [{"id": str(other.id), "type": name} for other in self._company.sales.crm.associated(record, target)]
        return {"results": found} if found else None

    def _record(self, kind: str, identifier: str, *, archived: bool) -> Any:
        crm = self._company.sales.crm
        number = int(identifier) if identifier.isdigit() else 0
        if kind == "contacts":
            number = crm.merged_into.get(number, number)  # a merged contact is answered as the one that stayed
        record = crm.records(kind).get(number)
        return record if record is not None and self._is_seen(record, archived=archived) else None

    def _one(self, request: Request, kind: str, identifier: str) -> Any:
        record = self._record(kind, identifier, archived=request.args.get("archived") == "true")
        if record is None:
            return self._not_found()
        history = _names(request, "propertiesWithHistory") or []
        return objects.draw(kind, record, _names(request, "properties"), history)

    def _batch(self, request: Request, kind: str, question: dict[str, Any]) -> dict[str, Any]:
        asked = [str(each["id"]) for each in question["inputs"]]
        most = MAX_WITH_HISTORY if question.get("propertiesWithHistory") else MAX_BATCH
        if len(asked) > most:
            raise Refused(f"The maximum number of inputs is {most}, was {len(asked)}.")
        archived = request.args.get("archived") == "true"
        results, missing = [], []
        for identifier in asked:
            record = self._record(kind, identifier, archived=archived)
            if record is None:
                missing.append(identifier)
            else:
                history = question.get("propertiesWithHistory") or []
                results.append(objects.draw(kind, record, question.get("properties"), history))
        body = self._complete(results)
        if missing:
            body["numErrors"] = 1
            body["errors"] = [
                {
                    "status": "error",
                    "category": "OBJECT_NOT_FOUND",
                    "message": "Could not get some objects, they may be deleted or not exist. Check that ids are valid.",
                    "context": {"ids": missing},
                }
            ]
        return body

    def _search(self, kind: str, question: dict[str, Any], size: int) -> dict[str, Any]:
        if size > MAX_BODY:
            raise Refused(f"The request is too long: at most {MAX_BODY} characters, was {size}.")
        newest = self._company.now - self.search_lag
        indexed = (
            record
            for record in self._company.sales.crm.records(kind).values()
            if record.archived_at is None and (not self.search_lag or record.updated_at <= newest)
        )
        page, total, after = search(kind, indexed, question, most=self.most_results)
        body: dict[str, Any] = {
            "total": total,
            "results": [objects.draw(kind, record, question.get("properties")) for record in page],
        }
        if after is not None:
            body["paging"] = {"next": {"after": after}}
        return body

    # -- the rest --------------------------------------------------------------------------------------------------

    def _owners(self, request: Request) -> dict[str, Any]:
        archived = request.args.get("archived") == "true"
        limit, after = _number(request, "limit", 100), request.args.get("after", "")
        listed = [each for each in self._company.sales.crm.owners.values() if each.archived == archived]
        start = int(after) if after.isdigit() else 0
        body: dict[str, Any] = {"results": [objects.owner(each) for each in listed[start : start + limit]]}
        if start + limit < len(listed):
            body["paging"] = {"next": {"after": str(start + limit), "link": "https://api.hubapi.com/crm/v3/owners/"}}
        return body

    def _associations(self, source: str, target: str, question: dict[str, Any]) -> dict[str, Any]:
        if (source, target) not in objects.ASSOCIATION_TYPES:
            raise Refused(f"{target} are not associated with {source}.")
        asked = [str(each["id"]) for each in question["inputs"]]
        if len(asked) > MAX_ASSOCIATIONS:
            raise Refused(f"The maximum number of inputs is {MAX_ASSOCIATIONS}, was {len(asked)}.")
        results, errors = [], []
        for identifier in asked:
            record = self._record(source, identifier, archived=False)
            found = self._to(source, record, target) if record is not None else []
            if found:
                results.append({"from": {"id": identifier}, "to": found})
            else:
                one, other = objects.KINDS[source][0], objects.KINDS[target][0]
                errors.append(
                    {
                        "status": "error",
                        "category": "OBJECT_NOT_FOUND",
                        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                        "message": f"No {other} is associated with {one} {identifier}.",
                        "context": {"fromObjectId": [identifier], "fromObjectType": [one], "toObjectType": [other]},
                    }
                )
        body = self._complete(results)
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return body

    def _associations_of(self, source: str, identifier: str, target: str) -> Any:
        record = self._record(source, identifier, archived=False)
        if record is None or (source, target) not in objects.ASSOCIATION_TYPES:
            return self._not_found()
        return {"results": self._to(source, record, target)}

    def _to(self, source: str, record: Any, target: str) -> list[dict[str, Any]]:
        return [
            {
                "toObjectId": other.id,
                "associationTypes": objects.association_types(source, target),
            }
            for other in self._company.sales.crm.associated(record, target)
        ]

    def _complete(self, results: list[dict[str, Any]]) -> dict[str, Any]:
        now = objects.stamp(self._company.now)
        return {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}

    # -- errors ----------------------------------------------------------------------------------------------------

    def _missing_scope(self, scope: str) -> Response:
        return self._error(
            403,
            "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
            "https://developers.hubspot.com/scopes.",
            category="MISSING_SCOPES",
            errors=[
                {
                    "message": "One or more of the following scopes are required.",
                    "context": {"requiredGranularScopes": [scope]},
                }
            ],
            links={"scopes": "https://developers.hubspot.com/scopes"},
        )

    def _expired_token(self) -> Response:
        return self._error(
            401,
            "The OAuth token used to make this call expired 3 second(s) ago.",
            category="EXPIRED_AUTHENTICATION",
        )

    def _too_fast(self, policy: str, headers: dict[str, str] | None = None) -> Response:
        return self._error(
            429,
            f"You have reached your {policy.lower()} limit.",
            headers=headers,
            errorType="RATE_LIMIT",
            policyName=policy,
            groupName="publicapi:private-apps-api-calls",
        )

    def _not_found(self) -> Response:
        return Response(_NOT_FOUND, 404, content_type="text/html;charset=utf-8")

    def refuse(self, request: Request, fault: Fault) -> Response:
        request.get_data()  # the connection is used again
        extra = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after is not None else {}
        match fault.kind:
            case "429" | "secondary_rate_limit":
                return self._too_fast("TEN_SECONDLY_ROLLING", extra)
            case "rate_limit":
                return self._too_fast("DAILY", extra)
            case "expired_token":
                return self._expired_token()
            case "forbidden":
                kind = next((name for name in objects.KINDS if name in request.path), None)
                return self._missing_scope(objects.KINDS[kind][2] if kind else _OWNERS)
        return self._error(int(fault.kind), "internal error", headers=extra, category="INTERNAL_ERROR")

    def _error(self, status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
        body = {"status": "error", "message": message, "correlationId": str(uuid.uuid4()), **more}
        return self._reply(body, status, headers=headers)

    def _reply(
        self, body: Any, status: int = 200, *, headers: dict[str, str] | None = None, counts: bool = True
    ) -> Response:
        told = {"X-HubSpot-Correlation-Id": secrets.token_hex(8), "X-HubSpot-RateLimit-Daily": "250000"}
        if counts and self.burst.calls is not None:
            told |= {
                "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
                "X-HubSpot-RateLimit-Max": str(self.burst.calls),
                "X-HubSpot-RateLimit-Remaining": str(self.burst.left),
            }
        return reply(body, status, {**told, **(headers or {})})


_ACCOUNT = {
    "portalId": objects.PORTAL_ID,
    "accountType": "STANDARD",
    "timeZone": "America/New_York",
    "companyCurrency": "USD",
    "additionalCurrencies": ["EUR", "GBP"],
    "utcOffset": "-05:00",
    "utcOffsetMilliseconds": -18_000_000,
    "uiDomain": "app.hubspot.com",
    "dataHostingLocation": "na1",
}


def _names(request: Request, parameter: str) -> list[str] | None:
    """Names after one another with commas, or in several parameters; None when it was not given."""
    given = request.args.getlist(parameter)
    return [name for each in given for name in each.split(",") if name] if given else None


def _number(request: Request, parameter: str, default: int) -> int:
    text = request.args.get(parameter)
    if text is None:
        return default
    if not text.isdigit():
        raise Refused(f"{parameter} must be a number, was {text}.")
    return int(text)


def _plural(kind: str) -> str:
    """The v4 API takes ``Deal`` as well as ``deals``."""
    known = {name: plural for plural, (name, *_) in objects.KINDS.items()}
    return known.get(kind.lower(), kind.lower())
