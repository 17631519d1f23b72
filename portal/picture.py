"""The picture of a lineage: lanes from the source on the left to the dashboard on the right, boxes, and lines between them.

Plain numbers in and out; `templates/datasets/_lineage.html` draws them. The same lanes are lists on narrow screens.

    box      160 × 52 in a lane of 184, a row of 60
    lines    from the right edge of a box to the left edge of what reads it; inside a lane they bow out to the right
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LANE, ROW, HEAD = 184, 60, 28
BOX_WIDTH, BOX_HEIGHT = 160, 52
# Characters of a name that fit into a box.
LINE_CHARACTERS, LINES = 19, 2


@dataclass(frozen=True)
class Box:
    """One thing. `reads`: names of what it reads directly, for those who do not see the lines."""

    key: str
    name: str
    address: str
    badge: str
    sentence: str
    reads: tuple[str, ...] = ()
    is_here: bool = False


@dataclass(frozen=True)
class Lane:
    title: str
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Placed:
    """A box with its left upper corner; `lines`: its name, broken."""

    box: Box
    x: int
    y: int
    lines: tuple[str, ...]

    @property
    def dot(self) -> tuple[int, int]:
        """Where the dot of its state is."""
        return self.x + 13, self.y + BOX_HEIGHT - 11


@dataclass(frozen=True)
class Line:
    path: str
    is_near: bool


@dataclass(frozen=True)
class Picture:
    width: int = 0
    height: int = 0
    lanes: list[tuple[str, int, list[Placed]]] = field(default_factory=list)  # title, x, boxes
    lines: list[Line] = field(default_factory=list)


def draw(lanes: Sequence[Lane], reads: Mapping[str, Sequence[str]]) -> Picture:
    """Place the boxes of these lanes (empty ones fall away) and connect them; `reads`: key → keys it reads."""
    lanes = [lane for lane in lanes if lane.boxes]
    height = max((len(lane.boxes) for lane in lanes), default=0)
    rows: dict[str, int] = {}
    column: dict[str, int] = {}
    placed_lanes = []
    for number, lane in enumerate(lanes):
        ordered = _in_order(lane.boxes, rows, reads)
        rows |= _rows(ordered, rows, reads, height)
        column |= {box.key: number for box in lane.boxes}
        placed = [
            Placed(
                box,
                number * LANE + (LANE - BOX_WIDTH) // 2,
                HEAD + rows[box.key] * ROW + (ROW - BOX_HEIGHT) // 2,
                broken(box.name),
            )
            for box in ordered
        ]
        placed_lanes.append((lane.title, number * LANE + (LANE - BOX_WIDTH) // 2, placed))
    at = {one.box.key: one for _, _, boxes in placed_lanes for one in boxes}
    lines = [
        Line(_path(at[parent], at[key], column[parent] == column[key]), at[parent].box.is_here or at[key].box.is_here)
        for key in at
        for parent in reads.get(key, ())
        if parent in at
    ]
    # The lines of what one looks at are drawn last, above the others.
    lines.sort(key=lambda line: line.is_near)
    return Picture(len(lanes) * LANE, HEAD + height * ROW, placed_lanes, lines)


def _in_order(boxes: Sequence[Box], rows: Mapping[str, int], reads: Mapping[str, Sequence[str]]) -> list[Box]:
    """Beside what they read; inside a lane, what is read comes before what reads it."""
    here = {box.key: box for box in boxes}
    depth: dict[str, int] = {}

    def depth_of(key: str) -> int:
        if key not in depth:
            depth[key] = 0  # a loop ends here
            depth[key] = max((1 + depth_of(parent) for parent in reads.get(key, ()) if parent in here), default=0)
        return depth[key]

    return sorted(boxes, key=lambda box: (depth_of(box.key), _middle(box.key, rows, reads), box.name))


def _middle(key: str, rows: Mapping[str, int], reads: Mapping[str, Sequence[str]]) -> float:
    """The mean row of what it reads in the lanes before."""
    found = [rows[parent] for parent in reads.get(key, ()) if parent in rows]
    return sum(found) / len(found) if found else 0.0


def _rows(
    boxes: Sequence[Box], rows: Mapping[str, int], reads: Mapping[str, Sequence[str]], height: int
) -> dict[str, int]:
    """A row each, as near to what it reads as the order allows."""
    found: list[int] = []
    for box in boxes:
        wanted = round(_middle(box.key, rows, reads))
        found.append(max(wanted, found[-1] + 1) if found else wanted)
    last = height - 1
    for index in range(len(found) - 1, -1, -1):
        found[index] = min(found[index], last)
        last = found[index] - 1
    return {box.key: row for box, row in zip(boxes, found, strict=True)}


def _path(parent: Placed, child: Placed, is_same_lane: bool) -> str:
    x1, y1 = parent.x + BOX_WIDTH, parent.y + BOX_HEIGHT // 2
    y2 = child.y + BOX_HEIGHT // 2
    if is_same_lane:
        bow = x1 + min(10 + abs(y2 - y1) // ROW, 22)
        return f"M{x1} {y1}C{bow} {y1} {bow} {y2} {x1} {y2}"
    x2 = child.x
    half = max((x2 - x1) // 2, 12)
    return f"M{x1} {y1}C{x1 + half} {y1} {x2 - half} {y2} {x2} {y2}"


def broken(name: str) -> tuple[str, ...]:
    """A name in at most two lines, broken where it has an underscore or a space; what does not fit ends in "…"."""
    lines: list[str] = [""]
    for part in _parts(name):
        if lines[-1] and len(lines[-1]) + len(part) > LINE_CHARACTERS:
            lines.append("")
        lines[-1] += part
    kept = [line.strip() for line in lines[:LINES]]
    if len(lines) > LINES:
        kept[-1] += "…"
    return tuple(line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS - 1]}…" for line in kept)


def _parts(name: str) -> list[str]:
    """ "stg_stripe__invoices" → "stg_", "stripe__", "invoices" """
    parts: list[str] = []
    for character in name:
        if parts and (parts[-1][-1] not in "_ " or character in "_ "):
            parts[-1] += character
        else:
            parts.append(character)
    return parts
