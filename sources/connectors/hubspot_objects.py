"""Contacts, companies, deals and tickets: everything once, then what changed.

First read: the list of archived objects, then that of the others, 100 a page (in this order, so that what is deleted
meanwhile is noticed by the next read). After that: what the search finds changed since
the newest change we know, each of it fetched as it is now, and what was archived since.

The search hands out at most 10,000 results, and its pages shift while objects change. So no page is ever turned: the
next question begins at the last change of the answer before. When one millisecond holds more objects than an answer
(an import, a bulk edit), they are taken by their ids. The search may know of a change a little later than it happened;
the next read looks back `OVERLAP` and skips what it has seen.

The cursor, in milliseconds of HubSpot's clock: {"updated": the newest change, "seen": {id: when it changed} in the
overlap before it, "archived" and "archived_seen": the same of deletions, "checked_at": when (our clock, seconds)}; while
a first read is under way also {"left": {"archived": which list, "after": where its next page begins}}.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from portal.failures import TransientError
from sources.connectors.base import GONE, Page, StreamRequest
from sources.connectors.hubspot_client import HubSpotClient, checked, lacks
from sources.connectors.hubspot_streams import KINDS, OMIT, SPECS, asked_for, moment_of, readable, stays
from sources.connectors.shape import Shape

PAGE, WITH_HISTORY, SEARCH_PAGE = 100, 50, 200  # HubSpot's largest
OVERLAP = 600_000  # milliseconds: a change may be found a little after its time
SEEN_AT_MOST = 2000
ARCHIVED_REACH = 85 * 86400  # seconds; HubSpot shows what was deleted for 90 days
LONGEST_QUERY = 8_000  # characters of property names that an address may hold
BEGINNING = {"archived": True, "after": ""}

Found = list[tuple[str, int]]  # ids and when they were changed


class ObjectReader:
    """One read of one kind of object, and of the stage history if it was asked for."""

    def __init__(self, client: HubSpotClient, request: StreamRequest, *, forbidden: str = "") -> None:
        self.client = client
        spec = SPECS[request.name]
        self.kind = KINDS[spec.comes_with or spec.name]
        self.wanted = (request.name, *request.along)
        self.with_history = "deal_stage_history" in self.wanted
        self.shape = Shape(SPECS[self.kind.name], omit=OMIT)
        self.history_shape = Shape(SPECS["deal_stage_history"], omit=("sourceId",))
        self.forbidden = forbidden or lacks(SPECS[self.kind.name].label.lower(), self.kind.scope)
        self._names: list[str] = []

    def pages(self, since: Any) -> Iterator[Page]:
        if since is None:
            yield from self._everything(self.anchor(), BEGINNING, starts_over=False)
        elif time.time() - since["checked_at"] > ARCHIVED_REACH:
            yield from self._everything(self.anchor(), BEGINNING, starts_over=True)
        elif since.get("left"):
            known = {key: value for key, value in since.items() if key != "left"}
            yield from self._everything(known, since["left"], starts_over=False)
        else:
            yield from self._changes(since)

    # Everything -------------------------------------------------------------------------------------------------

    def anchor(self) -> dict[str, Any]:
        """Where changes will be taken up after a first read: at the newest one that the search knew before it began."""
        newest = self._search([], self.kind.modified, descending=True, limit=1)
        updated = newest[0][1] if newest else 0
        seen: dict[str, int] = {}
        for found in self.modified(max(0, updated - OVERLAP)) if newest else ():
            seen.update(found)
            if len(seen) >= SEEN_AT_MOST:
                break
        return {
            "updated": updated,
            "seen": recent(seen, updated),
            "archived": 0,
            "archived_seen": {},
            "checked_at": time.time(),
        }

    def _everything(self, known: dict[str, Any], left: Mapping[str, Any], *, starts_over: bool) -> Iterator[Page]:
        for archived in (True, False):
            if archived and not left["archived"]:
                continue
            after = left["after"] if archived == left["archived"] else ""
            for items, following in self._list(archived=archived, after=after):
                yield from self._rows(items, starts_over=starts_over, is_first=True)
                if archived:
                    known = _with_archived(known, items)
                if following or archived:
                    rest = {"archived": archived and bool(following), "after": following}
                    yield Page([], cursor={**known, "left": rest}, starts_over=starts_over)
        yield Page([], cursor=known, starts_over=starts_over)

    def _list(self, *, archived: bool, after: str = "") -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Pages of whole objects, and where the next page begins ("": there is none)."""
        names = ",".join(self.properties)
        fits = len(names) <= LONGEST_QUERY
        params: dict[str, Any] = {"limit": PAGE, "archived": "true" if archived else "false"}
        if fits:
            params["properties"] = names
            if self.with_history:
                params |= {"propertiesWithHistory": "dealstage", "limit": WITH_HISTORY}
        for items, following in listed(self.client, self.kind.name, params, forbidden=self.forbidden, after=after):
            yield items if fits else self._whole([item["id"] for item in items], archived=archived), following

    @property
    def properties(self) -> list[str]:
        if not self._names:
            answer = self.client.get(f"crm/v3/properties/{self.kind.name}", forbidden=self.forbidden)
            assert answer is not None
            self._names = asked_for(self.kind.name, answer.body["results"])
        return self._names

    def _whole(self, ids: list[str], *, archived: bool = False) -> list[dict[str, Any]]:
        """The objects as they are now; those that are not there any more are left out."""
        size = WITH_HISTORY if self.with_history else PAGE
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), size):
            question: dict[str, Any] = {
                "inputs": [{"id": each} for each in ids[start : start + size]],
                "properties": self.properties,
            }
            if self.with_history:
                question["propertiesWithHistory"] = ["dealstage"]
            path = f"crm/v3/objects/{self.kind.name}/batch/read?archived={'true' if archived else 'false'}"
            found += checked(self.client.post(path, question, forbidden=self.forbidden))
        return found

    # Changes ----------------------------------------------------------------------------------------------------

    def _changes(self, since: Mapping[str, Any]) -> Iterator[Page]:
        known = dict(since)
        seen = dict(known["seen"])
        for found in self.modified(max(0, known["updated"] - OVERLAP)):
            new = [item_id for item_id, changed in found if seen.get(item_id) != changed]
            if new:
                yield from self._rows(self._whole(new))
            seen.update(found)
            known["updated"] = max([known["updated"], *(changed for _, changed in found)])
            known["seen"] = seen = recent(seen, known["updated"])
            yield Page([], cursor=dict(known))
        began = time.time()
        for items, _ in self._archived_since(known["archived"] - OVERLAP, known["archived_seen"]):
            yield from self._rows(items)
            known = _with_archived(known, items)
        yield Page([], cursor={**known, "checked_at": began})

    def _archived_since(self, floor: int, seen: Mapping[str, int]) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """The archived list has no filter: all of it is looked at, and only what is new fetched as a whole."""
        params = {"limit": PAGE, "archived": "true"}
        for items, following in listed(self.client, self.kind.name, params, forbidden=self.forbidden):
            new = [
                item["id"]
                for item in items
                if (at := moment_of(item["archivedAt"])) > floor and seen.get(item["id"]) != at
            ]
            if new:
                yield self._whole(new, archived=True), following

    def modified(self, floor: int) -> Iterator[Found]:
        """Ids and times of everything that was changed at `floor` or after, oldest first; some come twice."""
        begin = floor
        while True:
            found = self._search([_where(self.kind.modified, "GTE", begin)], self.kind.modified)
            yield found
            if len(found) < SEARCH_PAGE:
                return
            last = max(changed for _, changed in found)
            if last > begin:
                begin = last
            else:
                yield from self._of_one_moment(begin)
                begin += 1

    def _of_one_moment(self, moment: int) -> Iterator[Found]:
        last = 0
        while True:
            filters = [_where(self.kind.modified, "EQ", moment), _where("hs_object_id", "GT", last)]
            found = self._search(filters, "hs_object_id")
            yield found
            if len(found) < SEARCH_PAGE:
                return
            last = max(int(item_id) for item_id, _ in found)

    def _search(
        self, filters: list[dict[str, str]], sort: str, *, descending: bool = False, limit: int = SEARCH_PAGE
    ) -> Found:
        question: dict[str, Any] = {
            "sorts": [{"propertyName": sort, "direction": "DESCENDING" if descending else "ASCENDING"}],
            # whole objects are fetched by id: a question is too long for all their properties
            "properties": [self.kind.modified],
            "limit": limit,
        }
        if filters:
            question["filterGroups"] = [{"filters": filters}]
        answer = self.client.search(self.kind.name, question, forbidden=self.forbidden)
        return [
            (item["id"], moment_of(item["properties"].get(self.kind.modified) or item["updatedAt"]))
            for item in answer.body["results"]
        ]

    # Rows -------------------------------------------------------------------------------------------------------

    def _rows(
        self, items: Iterable[Mapping[str, Any]], *, starts_over: bool = False, is_first: bool = False
    ) -> Iterator[Page]:
        """Pages of the objects and of their history. `is_first`: nothing is kept yet that could have to go."""
        items = list(items)
        if not items:
            return
        merged = [(former, item["id"]) for item in items for former in _merged(item)]
        if self.kind.name in self.wanted:
            rows = [self.shape.row(readable(self.kind.name, item), merged_into_id=None) for item in items]
            rows += [self.shape.row({"id": former, "archived": True}, merged_into_id=kept) for former, kept in merged]
            yield Page(rows, stream=self.kind.name, starts_over=starts_over)
        if self.with_history:
            rows = []
            for item in items:
                history = (item.get("propertiesWithHistory") or {}).get("dealstage") or []
                inner = [self.history_shape.row(stay, deal_id=item["id"]) for stay in stays(history)]
                rows += inner if inner or is_first else [_gone(item["id"])]
            rows += [] if is_first else [_gone(former) for former, _ in merged]
            yield Page(rows, stream="deal_stage_history", starts_over=starts_over)


def listed(
    client: HubSpotClient, kind: str, params: Mapping[str, Any], *, forbidden: str, after: str = ""
) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Pages of GET /crm/v3/objects/{kind} from `after` on, and where the next begins ("": there is none).

    HubSpot answers a mark that it does not know with the first page again. Where an earlier sync left off that only means
    reading it once more; in the middle it would never end.
    """
    is_first = True
    while True:
        answer = client.get(
            f"crm/v3/objects/{kind}", {**params, "after": after} if after else params, forbidden=forbidden
        )
        assert answer is not None
        items = answer.body["results"]
        if not is_first and after.isdigit() and any(int(item["id"]) < int(after) for item in items):
            raise TransientError(
                f"HubSpot began its list of {kind} anew in the middle of it.",
                f"GET crm/v3/objects/{kind}: after={after} brought {items[0]['id']}",
                kind="paging",
            )
        is_first = False
        following = ((answer.body.get("paging") or {}).get("next") or {}).get("after") or ""
        yield items, following
        if not following or not items:
            return
        after = following


def cursor_from(since: Mapping[str, Any], moment: int) -> dict[str, Any] | None:
    """The cursor, reaching back to a moment (milliseconds). None while a first read is under way: it brings everything."""
    return None if since.get("left") else {**since, "updated": min(moment, since["updated"]), "seen": {}}


def _where(name: str, operator: str, value: int) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _merged(item: Mapping[str, Any]) -> list[str]:
    """The ids of records that have become part of this one."""
    text = (item.get("properties") or {}).get("hs_merged_object_ids") or ""
    return [each for each in text.split(";") if each and each != item["id"]]


def _gone(deal_id: str) -> dict[str, Any]:
    return {"deal_id": deal_id, "position": 0, "stage_id": "", "entered_at": datetime.fromtimestamp(0, UTC), GONE: True}


def _with_archived(known: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    times = {item["id"]: moment_of(item["archivedAt"]) for item in items}
    newest = max([known["archived"], *times.values()])
    return {**known, "archived": newest, "archived_seen": recent({**known["archived_seen"], **times}, newest)}


def recent(seen: Mapping[str, int], newest: int) -> dict[str, int]:
    """What lies in the overlap: the next read will meet it again and needs not act on it."""
    kept = sorted((item for item in seen.items() if item[1] >= newest - OVERLAP), key=lambda item: item[1])
    return dict(kept[-SEEN_AT_MOST:])
