"""Intercom over its REST API: who writes in, what about, and how they are answered.

Contacts and conversations are searched. First in the order they were created, which never shifts while it is read; then
newest change first, until what is known. Intercom compares times in a contact search by the calendar day of the
workspace, so a search begins two days early and what is older is dropped here. Parts are only in each conversation
itself, so every conversation that changed is fetched once.

The cursor: {"updated": newest change seen (Intercom's clock), "seen": what was read in the overlap before it,
"whole_at": when everything was last read (our clock)}; while a first read is under way also {"after": when the last
object handed out was created}.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError
from portal.redact import secrets_hidden
from sources.connectors.base import FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec
from sources.connectors.http import Answer, ApiClient
from sources.connectors.intercom_streams import OMIT, PARTS, SEARCHES, SPECS, STREAMS, WHOLE
from sources.connectors.shape import Shape

# The shapes this connector reads; Intercom keeps serving them whatever the workspace's own version is.
VERSION = "2.14"
PAGE = 150  # Intercom's largest
DAY = 86_400
OVERLAP = 900  # seconds: a new contact may be missing from a search for some minutes
SEEN_AT_MOST = 2_000
CHECK_TRIES = 2
CONTACTS_AGAIN = 7
REGIONS = {
    "us": ("United States", "https://api.intercom.io"),
    "eu": ("Europe", "https://api.eu.intercom.io"),
    "au": ("Australia", "https://api.au.intercom.io"),
}


class IntercomConnector:
    name = "intercom"
    label = "Intercom"
    summary = "Contacts, companies and conversations with their replies, ratings and response times."
    fields = (
        FormField(
            "access_token",
            "Access token",
            "The token of an app of your own in Intercom's developer hub. It is stored encrypted and never shown again.",
            FieldKind.SECRET,
        ),
        FormField(
            "region",
            "Region",
            "Where Intercom keeps your workspace's data: Settings › General in Intercom says it.",
            FieldKind.CHOICE,
            required=False,
            default="us",
            choices=tuple((key, label) for key, (label, _) in REGIONS.items()),
        ),
        FormField(
            "contacts_again_days",
            "Read all contacts again after (days)",
            "Intercom does not tell who was deleted or merged. After so many days all contacts are read again and who "
            "is gone goes here too. 0: never.",
            FieldKind.INTEGER,
            required=False,
            default=CONTACTS_AGAIN,
        ),
        FormField(
            "base_url",
            "API base URL",
            "Leave this empty, unless your company reaches Intercom through a proxy. It replaces the region's address.",
            FieldKind.URL,
            required=False,
            is_advanced=True,
        ),
    )
    permissions = (
        "Read and list users and companies",
        "Read conversations",
        "Read tags",
        "Read admins (colleagues and teams)",
    )
    setup_help = (
        "In Intercom, open Settings › Integrations › Developer hub and press “New app” (for internal use). Under "
        "Configure › Authentication leave on only Read and list users and companies, Read conversations, Read tags and "
        "Read admins, then copy the access token and paste it here. Choose the region your workspace is hosted in."
    )
    # No pacing by the clock: Intercom says with each answer how much of its ten seconds is left.
    rate_limits = (RateLimit(10_000, 60, "calls of one app, counted in parts of 10 seconds"),)
    streams: tuple[StreamSpec, ...] = STREAMS
    reads_back = "everything changed"

    def check(self, settings: Mapping[str, Any]) -> str:
        with secrets_hidden([settings.get("access_token", "")]), _client(settings, tries=CHECK_TRIES) as client:
            me = _get(client, "me").body
            missing: dict[str, str] = {}
            for name, ask in _probes(client).items():
                try:
                    ask()
                except TerminalError as error:
                    if error.kind != "forbidden":
                        raise
                    missing[SPECS[name].permission] = error.detail
            if missing:
                raise TerminalError(
                    f"The token works, but it lacks the permission: {'; '.join(missing)}. In Intercom, open the app in "
                    "the Developer hub, Configure › Authentication, and switch it on.",
                    "\n".join(missing.values()),
                    kind="forbidden",
                )
        name = (me.get("app") or {}).get("name") or "the workspace"
        return f"Connected to Intercom, workspace “{name}”. The token may read everything that is needed."

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return list(STREAMS)

    def cursor_from(self, stream: StreamRequest, moment: datetime, since: Any) -> Any:
        # While a first read is under way, that one brings everything.
        if "after" in since:
            return None
        return {**since, "updated": min(since["updated"], int(moment.timestamp())), "seen": {}}

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        if stream.name not in SPECS:
            raise TerminalError(f"Intercom has no stream called “{stream.name}”.", kind="stream")
        with secrets_hidden([settings.get("access_token", "")]), _client(settings) as client:
            if stream.name in WHOLE:
                place = WHOLE[stream.name]
                items = _get(client, place.path, forbidden=_forbidden(stream.name)).body[place.inside]
                yield Page(_distinct(stream.name, items, set()))
            elif stream.name == "companies":
                with _client(settings, tries=1) as once:
                    yield from _companies(client, once)
            else:
                yield from _Searched(client, stream, settings).pages(since)


class _Searched:
    """One read of contacts, or of conversations and their parts."""

    def __init__(self, client: ApiClient, request: StreamRequest, settings: Mapping[str, Any]) -> None:
        self.client = client
        self.wanted = (request.name, *request.along)
        self.name = SPECS[request.name].comes_with or request.name
        self.place = SEARCHES[self.name]
        self.shapes = {name: Shape(SPECS[name], omit=OMIT[name]) for name in {*self.wanted, self.name}}
        self.forbidden = _forbidden(self.name)
        again = settings.get("contacts_again_days")
        days = CONTACTS_AGAIN if again is None or again == "" else int(again)
        self.again_after = days * DAY if self.name == "contacts" and days > 0 else None

    def pages(self, since: Any) -> Iterator[Page]:
        if since is None or "after" in since:
            yield from self._everything(since or self._anchor(), starts_over=False)
        elif self.again_after is not None and time.time() - since["whole_at"] > self.again_after:
            yield from self._everything(self._anchor(), starts_over=True)
        else:
            yield from self._changes(since)

    # Everything -----------------------------------------------------------------------------------------------------

    def _anchor(self) -> dict[str, Any]:
        """Where changes go on from once everything was read: the newest change there is now."""
        newest = self._ask("updated_at", 0, "descending", per_page=1).body[self.place.inside]
        return {"updated": newest[0]["updated_at"] if newest else 0, "seen": {}, "whole_at": time.time(), "after": 0}

    def _everything(self, known: dict[str, Any], *, starts_over: bool) -> Iterator[Page]:
        seen: set[str] = set()
        edge, go_on_from = known["updated"] - OVERLAP, known["after"]
        for items in self._found("created_at", go_on_from, "ascending"):
            new = [item for item in items if item["id"] not in seen and item["created_at"] >= go_on_from]
            new = list({item["id"]: item for item in new}.values())
            seen.update(item["id"] for item in new)
            if not new:
                continue
            for page in self._rows(new):
                page.starts_over = starts_over
                yield page
            recent = {item["id"]: item["updated_at"] for item in new if item["updated_at"] >= edge}
            known = {**known, "seen": {**known["seen"], **recent}, "after": max(item["created_at"] for item in new)}
            yield Page([], cursor=known, starts_over=starts_over)
        cursor = {"updated": known["updated"], "seen": _newest(known["seen"]), "whole_at": known["whole_at"]}
        yield Page([], cursor=cursor, starts_over=starts_over)

    # Changes --------------------------------------------------------------------------------------------------------

    def _changes(self, known: Mapping[str, Any]) -> Iterator[Page]:
        back_to = known["updated"] - OVERLAP
        seen: dict[str, int] = {}
        newest = known["updated"]
        for items in self._found("updated_at", back_to, "descending"):
            recent = [item for item in items if item["updated_at"] >= back_to]
            new = {
                item["id"]: item
                for item in recent
                if item["id"] not in seen and known["seen"].get(item["id"]) != item["updated_at"]
            }
            yield from self._rows(list(new.values()))
            for item in recent:
                seen.setdefault(item["id"], item["updated_at"])
            newest = max([newest, *(item["updated_at"] for item in recent)])
            if items and len(recent) == 0:
                break
        edge = newest - OVERLAP
        recent_ones = _newest({key: at for key, at in seen.items() if at >= edge})
        yield Page([], cursor={"updated": newest, "seen": recent_ones, "whole_at": known["whole_at"]})

    # Both -----------------------------------------------------------------------------------------------------------

    def _found(self, field: str, after: int, order: str) -> Iterator[list[dict[str, Any]]]:
        """Pages of what has `field` later than two days before `after`, in that order."""
        place = ""
        while True:
            body = self._ask(field, max(0, after - 2 * DAY), order, starting_after=place).body
            yield body[self.place.inside]
            following = ((body.get("pages") or {}).get("next") or {}).get("starting_after")
            if not following:
                return
            if following == place:
                raise TransientError(
                    "Intercom sent us round in circles while paging.", f"{self.place.path}: starting_after={place}"
                )
            place = following

    def _ask(self, field: str, after: int, order: str, *, per_page: int = 0, starting_after: str = "") -> Answer:
        pagination: dict[str, Any] = {"per_page": per_page or PAGE}
        if starting_after:
            pagination["starting_after"] = starting_after
        body = {
            "query": {"field": field, "operator": ">", "value": after},
            "sort": {"field": field, "order": order},
            "pagination": pagination,
        }
        return self.client.post(self.place.path, body, forbidden=self.forbidden)

    def _rows(self, items: list[dict[str, Any]]) -> Iterator[Page]:
        if not items:
            return
        if self.name == "contacts":
            yield Page([self.shapes["contacts"].row(item, **_lists(item)) for item in items], stream="contacts")
            return
        whole = [self._whole(item) if PARTS in self.wanted else item for item in items]
        if "conversations" in self.wanted:
            rows = [self.shapes["conversations"].row(item, **_derived(item)) for item in whole]
            yield Page(rows, stream="conversations")
        if PARTS in self.wanted:
            rows = [
                self.shapes[PARTS].row(part, conversation_id=item["id"])
                for item in whole
                for part in (item.get(PARTS) or {}).get(PARTS) or ()
            ]
            yield Page(rows, stream=PARTS)

    def _whole(self, item: dict[str, Any]) -> dict[str, Any]:
        """A conversation with its parts; what was deleted meanwhile as the search last saw it."""
        answer = self.client.get(f"conversations/{item['id']}", forbidden=self.forbidden, missing_ok=True)
        return {**item, "is_deleted": True} if answer is None else answer.body


def _companies(client: ApiClient, once: ApiClient) -> Iterator[Page]:
    """All companies, by scrolling: lists end at 10,000. Only one scroll may be open in a workspace at a time.

    It moves on with every call: one whose answer was lost must not be asked again (`once`), a page would be missing.
    """
    seen: set[str] = set()
    place = ""
    while True:
        try:
            params = {"scroll_param": place} if place else {}
            body = _get(once if place else client, "companies/scroll", params, forbidden=_forbidden("companies")).body
        except PortalError as error:
            is_lost = place and error.kind in {"not_found", "refused", "server_error", "unreachable"}
            if not is_lost and "scroll_exists" not in error.detail:
                raise
            raise TransientError(
                "The list of companies broke off, or another program is going through it: Intercom lets one at a time. "
                "It begins again after a minute.",
                error.detail,
                kind="scroll",
                retry_after=60,
            ) from error
        items = (body or {}).get("data") or []
        if not items:
            return
        yield Page(_distinct("companies", items, seen))
        place = body.get("scroll_param") or ""
        if not place:
            return


def _distinct(name: str, items: Iterable[dict[str, Any]], seen: set[str]) -> list[dict[str, Any]]:
    """The rows of what was not seen yet."""
    shape = Shape(SPECS[name], omit=OMIT[name])
    rows = []
    for item in items:
        if item["id"] not in seen:
            seen.add(item["id"])
            rows.append(shape.row(item, **(_lists(item) if name == "companies" else {})))
    return rows


def _lists(item: Mapping[str, Any]) -> dict[str, Any]:
    """Ids out of the lists inside an object: `{"data": [...]}`, or `{"tags": [...]}` inside a company."""
    found = {}
    for column, name in (("company_ids", "companies"), ("tag_ids", "tags"), ("segment_ids", "segments")):
        inside = item.get(name) or {}
        found[column] = [each["id"] for each in inside.get("data", inside.get(name)) or ()]
    return found


def _derived(item: Mapping[str, Any]) -> dict[str, Any]:
    parts = item.get(PARTS)
    return {
        "contact_ids": [each["id"] for each in (item.get("contacts") or {}).get("contacts") or ()],
        "tags": [each["name"] for each in (item.get("tags") or {}).get("tags") or ()],
        "is_deleted": bool(item.get("is_deleted")),
        # Unknown as long as nobody wants the parts.
        "has_all_parts": None if parts is None else parts["total_count"] <= len(parts[PARTS]),
    }


def _newest(seen: Mapping[str, int]) -> dict[str, int]:
    """What the next read will meet again in its overlap and needs not take."""
    kept = sorted(seen.items(), key=lambda each: each[1])[-SEEN_AT_MOST:]
    return dict(kept)


def _probes(client: ApiClient) -> dict[str, Any]:
    """The smallest question about each kind of object. No scroll: an open one would stand in a sync's way."""

    def search(name: str) -> Any:
        query = {"field": "updated_at", "operator": ">", "value": 0}
        return lambda: client.post(SEARCHES[name].path, {"query": query, "pagination": {"per_page": 1}})

    return {
        **{name: search(name) for name in SEARCHES},
        "companies": lambda: client.get("companies", {"per_page": 1}),
        **{name: (lambda path=place.path: client.get(path)) for name, place in WHOLE.items()},
    }


def _get(client: ApiClient, path: str, params: Any = None, *, forbidden: str = "") -> Answer:
    answer = client.get(path, params, forbidden=forbidden)
    assert answer is not None
    return answer


def _forbidden(name: str) -> str:
    return (
        f"The token is not allowed to read {SPECS[name].label.lower()}. In Intercom, open the app in the Developer hub, "
        f"Configure › Authentication, and switch on “{SPECS[name].permission}”. If it is on, ask whether the "
        "workspace's plan is active and includes the API."
    )


def _client(settings: Mapping[str, Any], **options: Any) -> ApiClient:
    token = str(settings.get("access_token") or "").strip()
    if not token:
        raise TerminalError("The Intercom source has no access token yet. Paste one in its settings.", kind="settings")
    region = str(settings.get("region") or "us")
    if region not in REGIONS:
        raise TerminalError(f"Intercom has no region “{region}”. Choose one under “Region”.", kind="settings")
    label, address = REGIONS[region]
    return ApiClient(
        "Intercom",
        str(settings.get("base_url") or address),
        {"Authorization": f"Bearer {token}", "Intercom-Version": VERSION},
        unauthorized="Intercom did not accept the token: it is mistyped, was revoked, or its workspace is not hosted in "
        f"the chosen region ({label}). Copy it from the app in the Developer hub, Configure › Authentication.",
        **options,
    )
