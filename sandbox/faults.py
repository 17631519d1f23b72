"""Misbehaviour on demand: what a vendor's API does to a client on a bad day."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Any

#: ``429 500 502 503 504``: that status with the vendor's own body. ``reset``: the connection is reset before an answer.
#: ``truncate``: half the body, then the connection ends. ``slow``: the answer comes after ``seconds``. ``expired_token``:
#: 401 as if the key had run out. ``forbidden``: 403 as if a permission had been taken away. ``rate_limit`` and
#: ``secondary_rate_limit``: GitHub's two 403 (on Stripe both are a 429).
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
    }
)


@dataclass(slots=True)
class Fault:
    """One kind of misbehaviour for the next ``count`` requests (None: until cleared) after ``after`` good ones.

    ``path`` limits it to requests whose path contains that text. ``retry_after`` (seconds) becomes the header of the
    same name, ``seconds`` is how long a slow answer takes.
    """

    kind: str
    count: int | None = 1
    after: int = 0
    retry_after: float | None = None
    seconds: float = 1.0
    path: str = ""

    def __post_init__(self) -> None:
        self.kind = str(self.kind)
        if self.kind not in KINDS:
            raise ValueError(f"Unknown fault {self.kind!r}; known are {', '.join(sorted(KINDS))}.")
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
