"""Misbehaviour on demand: what a vendor's API does to a client on a bad day."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

#: Refusals. ``429 500 502 503 504``: that status with the vendor's own body. ``storm``: 429 for several requests in a
#: row (``count``, 6 unless said), on whatever path, and then all is well again. ``expired_token``: 401 as if the key had
#: run out. ``forbidden``: 403 as if a permission had been taken away. ``rate_limit`` and ``secondary_rate_limit``:
#: GitHub's two 403 (elsewhere both are a 429).
#: Broken answers. ``reset``: the connection is reset before an answer. ``truncate``: half the body, then the connection
#: ends. ``cut_short``: half the body, and nothing but the body shows it. ``slow``: the answer comes after ``seconds``.
#: Wrong answers, each with status 200. ``duplicate_page``: every object of the page twice. ``out_of_order``: the objects of
#: the page shuffled. ``changed_schema``: ``field`` of every object renamed, retyped or missing (``how``), and a new one
#: added. ``clock_skew``: the Date header and the moments in rate-limit headers are off by ``seconds`` (7 minutes unless
#: said; negative: behind).
KINDS = frozenset(
    {
        "429",
        "500",
        "502",
        "503",
        "504",
        "reset",
        "truncate",
        "slow",
        "expired_token",
        "forbidden",
        "rate_limit",
        "secondary_rate_limit",
        "storm",
        "cut_short",
        "duplicate_page",
        "out_of_order",
        "changed_schema",
        "clock_skew",
    }
)
STORM = 6
SKEW_SECONDS = 420.0
WAYS = frozenset({"rename", "retype", "drop"})


@dataclass(slots=True)
class Fault:
    """One kind of misbehaviour for the next ``count`` requests (once unless said; None: until cleared) after ``after`` good ones.

    ``path`` limits it to requests whose path contains that text. ``retry_after`` (seconds) becomes the header of the
    same name, ``seconds`` is how long a slow answer takes or how far a clock is off, ``field`` and ``how`` are for
    ``changed_schema``.
    """

    kind: str
    count: int | None = -1
    after: int = 0
    retry_after: float | None = None
    seconds: float = 0.0
    path: str = ""
    field: str = ""
    how: str = "rename"

    def __post_init__(self) -> None:
        self.kind = str(self.kind)
        if self.kind not in KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known are {', '.join(sorted(KINDS))}.")
        if self.count == -1:
            self.count = STORM if self.kind == "storm" else 1
        if not self.seconds:
            self.seconds = SKEW_SECONDS if self.kind == "clock_skew" else 1.0
        if self.how not in WAYS:
            raise ValueError(f"A field can be changed by {', '.join(sorted(WAYS))}, not {self.how!r}.")
        if self.kind == "changed_schema" and not self.field:
            raise ValueError("A changed schema needs the name of the field that changes.")
        if self.count is not None and self.count < 1:
            raise ValueError("A fault has to happen at least once.")


class Faults:
    """The faults of one service that still lie ahead; the first that fits a request is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        #: How many requests were answered with a fault so far.
        self.served = 0

    def add(self, kind: str, **options: Any) -> Fault:
        """Let something go wrong; options are the fields of ``Fault``."""
        fault = Fault(kind, **options)
        with self._lock:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._waiting.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """The faults that still lie ahead."""
        with self._lock:
            return [asdict(fault) for fault in self._waiting]

    def take(self, path: str) -> Fault | None:
        """The fault for this request, if any; it is used up."""
        with self._lock:
            for fault in self._waiting:
                if fault.path not in path:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self._waiting.remove(fault)
                self.served += 1
                return fault
        return None
