"""Geometry of the small charts that pages draw as SVG. Axes begin at zero: a flat year must look flat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 100.0, 40.0


@dataclass(frozen=True)
class Area:
    """An area chart in a box of WIDTH × HEIGHT units that the page stretches.

    `line` and `partial` are SVG path data; `partial` is the last step when its period is not over yet (drawn dashed).
    """

    line: str
    partial: str
    fill: str
    end: tuple[float, float]
    top: float


def ceiling(value: float) -> float:
    """The next round number at or above `value`: 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 × 10ⁿ."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value)


def area(values: Sequence[float], *, is_last_partial: bool = False) -> Area | None:
    """None for fewer than two values: a point is no trend. Values below zero are drawn at zero."""
    if len(values) < 2:
        return None
    top = ceiling(max(values))
    step = WIDTH / (len(values) - 1)
    points = [(round(i * step, 2), round(HEIGHT * (1 - max(value, 0) / top), 2)) for i, value in enumerate(values)]
    whole = points[:-1] if is_last_partial else points
    return Area(
        line=_path(whole),
        partial=_path(points[-2:]) if is_last_partial else "",
        fill=f"{_path(points)}L{points[-1][0]} {HEIGHT}L0 {HEIGHT}Z",
        end=points[-1],
        top=top,
    )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points)
