"""What happened in the last thirty days, each with a picture of the object at that moment (Stripe's events)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.ids import Ids
from sandbox.timeline import DAY, Timeline

KEPT_SECONDS = 30 * DAY


@dataclass(slots=True)
class Event:
    """``picture`` is the object as compressed JSON: thousands are kept in memory."""

    id: str
    created: int
    type: str
    picture: bytes

    def data(self) -> dict[str, Any]:
        """The object as it was."""
        body: dict[str, Any] = json.loads(zlib.decompress(self.picture))
        return body


class Journal:
    """Keeps events for thirty days before the horizon of the timeline."""

    def __init__(self, timeline: Timeline, ids: Ids, draw: Callable[[Any], dict[str, Any]]) -> None:
        self._timeline = timeline
        self._ids = ids
        self._draw = draw
        self.events: dict[str, Event] = {}

    def note(self, kind: str, record: Any) -> None:
        """Write an event down unless it is so old that nobody could ask for it."""
        # the id is drawn even when the event is not kept, so that ids do not depend on when the world was looked at
        number = self._ids.stripe("evt")
        if self._timeline.now < self._timeline.horizon - KEPT_SECONDS:
            return
        picture = zlib.compress(json.dumps(self._draw(record), separators=(",", ":")).encode(), 1)
        self.events[number] = Event(number, self._timeline.now, kind, picture)

    def forget(self) -> None:
        """Drop what is older than thirty days."""
        limit = self._timeline.now - KEPT_SECONDS
        for key, event in list(self.events.items()):
            if event.created >= limit:
                break
            del self.events[key]
