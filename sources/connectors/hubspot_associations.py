"""Which records are tied to each other: whole once a day, in between those of the records that changed.

HubSpot asks for them by record (v4 batches, 1,000 at a time) and keeps no trace of one that was taken away. A tie that is
made or undone usually marks its record as changed; where it does not, and where a record is deleted, the daily reading of
everything puts it right.

The cursor: {"kinds": {kind: {"updated", "seen"} as in `hubspot_objects`}, "whole_at": when everything was read last (our
clock, seconds)}.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sources.connectors.base import GONE, Page, StreamRequest
from sources.connectors.hubspot_client import HubSpotClient, checked, lacks
from sources.connectors.hubspot_objects import OVERLAP, PAGE, Found, ObjectReader, listed, recent
from sources.connectors.hubspot_streams import KINDS, SPECS, Kind, moment_of
from sources.connectors.shape import Shape

BATCH = 1000  # records whose ties are asked for at once; HubSpot's largest
WHOLE_EVERY = 86_400  # seconds

TIED = {name: kind for name, kind in KINDS.items() if kind.tied_to}
SHAPE = Shape(SPECS["associations"])


def pages(client: HubSpotClient, since: Any) -> Iterator[Page]:
    """Pages of the stream `associations`."""
    if since is None or time.time() - since["whole_at"] > WHOLE_EVERY:
        yield from _everything(client, starts_over=since is not None)
    else:
        yield from _changes(client, since)


def _everything(client: HubSpotClient, *, starts_over: bool) -> Iterator[Page]:
    began = time.time()
    kinds: dict[str, Any] = {}
    for kind in TIED.values():
        anchor = _reader(client, kind).anchor()
        kinds[kind.name] = {"updated": anchor["updated"], "seen": anchor["seen"]}
        waiting: Found = []
        for items, following in listed(client, kind.name, {"limit": PAGE}, forbidden=_forbidden(kind)):
            waiting += [(item["id"], moment_of(item["updatedAt"])) for item in items]
            if len(waiting) >= BATCH or not following:
                for target in kind.tied_to:
                    rows = [row for _, ties in _ties(client, kind, waiting, target) for row in ties]
                    yield Page(rows, starts_over=starts_over)
                waiting = []
    yield Page([], cursor={"kinds": kinds, "whole_at": began}, starts_over=starts_over)


def _changes(client: HubSpotClient, since: Mapping[str, Any]) -> Iterator[Page]:
    kinds = dict(since["kinds"])
    for kind in TIED.values():
        updated, seen = kinds[kind.name]["updated"], dict(kinds[kind.name]["seen"])
        for found in _reader(client, kind).modified(max(0, updated - OVERLAP)):
            new = [each for each in found if seen.get(each[0]) != each[1]]
            for target in kind.tied_to if new else ():
                rows = dict(_ties(client, kind, new, target))
                gone = [_gone(kind.name, item_id, target) for item_id, _ in new if not rows.get(item_id)]
                yield Page([row for ties in rows.values() for row in ties] + gone)
            seen.update(found)
            updated = max([updated, *(changed for _, changed in found)])
            seen = recent(seen, updated)
            kinds[kind.name] = {"updated": updated, "seen": seen}
            yield Page([], cursor={**since, "kinds": dict(kinds)})


def cursor_from(since: Mapping[str, Any], moment: int) -> dict[str, Any]:
    """The cursor, reaching back to a moment (milliseconds)."""
    kinds = {name: {"updated": min(moment, kept["updated"]), "seen": {}} for name, kept in since["kinds"].items()}
    return {**since, "kinds": kinds}


def _ties(client: HubSpotClient, kind: Kind, records: Found, target: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Of each record that has any: its id, and a row for every tie to a record of the kind `target`."""
    changed = dict(records)
    if not records:
        return
    path = f"crm/v4/associations/{kind.name}/{target}/batch/read"
    question = {"inputs": [{"id": item_id} for item_id in changed]}
    for result in checked(client.post(path, question, forbidden=_forbidden(kind))):
        from_id = str(result["from"]["id"])
        ties = list(result["to"])
        following = _after(result)
        while following:
            # more than one answer holds of a single record: the rest is turned page by page
            more = client.get(
                f"crm/v4/objects/{kind.name}/{from_id}/associations/{target}",
                {"limit": 500, "after": following},
                forbidden=_forbidden(kind),
            )
            assert more is not None
            ties += more.body["results"]
            following = _after(more.body)
        yield from_id, list(tie_rows(kind.name, from_id, target, ties, changed.get(from_id)))


def tie_rows(
    kind: str, from_id: str, target: str, ties: Iterable[Mapping[str, Any]], changed: int | None
) -> Iterator[dict[str, Any]]:
    """A row for every type of every tie of one record, which was changed then (milliseconds)."""
    changed_at = None if changed is None else datetime.fromtimestamp(changed / 1000, UTC)
    for tie in ties:
        for each in tie["associationTypes"]:
            yield SHAPE.row(
                {**each, "toObjectId": tie["toObjectId"]},
                from_type=kind,
                from_id=from_id,
                to_type=target,
                from_updated_at=changed_at,
            )


def _gone(kind: str, from_id: str, target: str) -> dict[str, Any]:
    keys = {"from_type": kind, "from_id": from_id, "to_type": target, "to_id": "", "category": "", "type_id": 0}
    return {**keys, GONE: True}


def _reader(client: HubSpotClient, kind: Kind) -> ObjectReader:
    return ObjectReader(client, StreamRequest(kind.name), forbidden=_forbidden(kind))


def _forbidden(kind: Kind) -> str:
    return lacks(f"associations of {kind.name}", kind.scope)


def _after(body: Mapping[str, Any]) -> str:
    return ((body.get("paging") or {}).get("next") or {}).get("after") or ""
