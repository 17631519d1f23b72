"""What a check found, as plain data: the adapters that find it know no Django."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CheckReport:
    """What one check found.

    outcome: pass, warn, fail, error, learning or skipped. value: the number compared (seconds for freshness), None if
    none. metric, measured: what to remember as history (None: nothing was measured). extra: the detector's bounds.
    """

    key: str
    outcome: str
    sentence: str
    detail: str = ""
    value: float | None = None
    metric: str = ""
    measured: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)
