"""The log of all feature uses in the order of time, kept in a few bytes each; what else an event says is drawn from its
number when somebody asks.

Two systems show the same uses: the product database at once, Mixpanel when the device has delivered them.
"""

from __future__ import annotations

import json
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from sandbox.features import FEATURES
from sandbox.timeline import DAY, HOUR, utc

#: So many in a thousand uses were made on a device without a network and are delivered later, at most this much later.
_LATE_IN_1000 = 30
MOST_LATE = 4 * DAY
#: So many in a thousand were delivered twice, because the answer to the first delivery was lost.
_TWICE_IN_1000 = 5
_MASK = (1 << 64) - 1


def mix(number: int) -> int:
    """A number of 64 well-mixed bits (splitmix64): always the same for the same number."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class UseLog:
    """Grows at its end only, so what was read once may be read again without holding the world still."""

    def __init__(self, seed: int) -> None:
        self._salt = zlib.crc32(f"uses:{seed}".encode()) << 32
        self.moments = array("q")
        self.users = array("l")
        self.features = array("b")

    def __len__(self) -> int:
        return len(self.moments)

    def add(self, moment: int, user: int, feature: int) -> None:
        """Note that a user used a feature (its place in ``FEATURES``); moments never go back."""
        self.users.append(user)
        self.features.append(feature)
        self.moments.append(moment)

    def bits(self, index: int) -> int:
        """What chance gave this use beside who, what and when."""
        return mix(self._salt + index)

    def between(self, start: int, end: int) -> range:
        """The uses from ``start`` up to but without ``end``."""
        return range(bisect_left(self.moments, start), bisect_left(self.moments, end))

    def properties(self, index: int) -> dict[str, Any]:
        """What the product writes about this use."""
        bits = self.bits(index)
        found: dict[str, Any] = {"project": 1 + bits % 40, "duration_ms": 20 + (bits >> 8) % 3981}
        if (bits >> 24) % 10 == 0:
            found["note"] = "Größe geändert – «ok»"
        return found

    def deliveries(self, index: int) -> tuple[int, ...]:
        """When Mixpanel received this use: seconds after it was made, some hours or days; now and then twice."""
        bits = self.bits(index)
        moment = self.moments[index]
        if (bits >> 32) % 1000 < _LATE_IN_1000:
            first = moment + HOUR + (bits >> 42) % (MOST_LATE - 3 * HOUR)
        else:
            first = moment + 1 + (bits >> 42) % 20
        return (first, first + 5 + bits % HOUR) if (bits >> 52) % 1000 < _TWICE_IN_1000 else (first,)


class EventRows:
    """The rows of the table ``events`` for a stretch of the log; each is drawn when it is read."""

    def __init__(self, log: UseLog, users: dict[int, Any], start: int, end: int) -> None:
        self._log, self._users = log, users
        self.start, self.end = start, end

    def __len__(self) -> int:
        return self.end - self.start

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        log = self._log
        for index in range(self.start, self.end):
            user = log.users[index]
            yield (
                index + 1,
                user,
                self._users[user].workspace.id,
                FEATURES[log.features[index]].event,
                json.dumps(log.properties(index), ensure_ascii=False),
                utc(log.moments[index]),
            )
