"""A company's own dlt code as connectors: each file in `PIPELINES_DIR` is one, found again at every look.

Whether the file changed is told by its size and times, so a file that is dropped in, edited or taken away while the
portal runs is seen at once, and nothing is executed for it. Running it is the work of `sources/engines/own_code/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings

from portal.failures import TerminalError
from sources.connectors.base import FieldKind, FormField, Page, RateLimit, StreamRequest, StreamSpec
from sources.connectors.own_code_reading import Reading, read

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_LARGEST = 1_000_000  # bytes; no code that somebody wrote is longer

# Settings of the run, not of the code; their names cannot be meant by a `dlt.config` key.
TIME_LIMIT = "portal_time_limit_minutes"
IGNORE_REFUSALS = "portal_ignore_refusals"
RUN_FIELDS = (
    FormField(
        TIME_LIMIT,
        "Time limit (minutes)",
        "A run that takes longer is stopped, and nothing of it is loaded.",
        FieldKind.INTEGER,
        required=False,
        default=60,
        is_advanced=True,
    ),
    FormField(
        IGNORE_REFUSALS,
        "Load also when requests were refused",
        "Usually nothing is loaded when the other system refused a request (401, 403, 429, 5xx, or “ok”: false) and the "
        "code went on all the same: rows would be missing and nobody would know. Tick this when the code expects it.",
        FieldKind.BOOLEAN,
        required=False,
        is_advanced=True,
    ),
)


class OwnCodeConnector:
    """One file. What it offers is what reading the file tells; `problem` says what keeps it from running."""

    permissions: tuple[str, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path = path
        self.name = path.stem
        self.label = path.stem.replace("_", " ").strip().capitalize()
        self.problem = reading.problem
        self.problem_detail = reading.detail
        self.summary = reading.summary
        self.fields = (*reading.fields, *RUN_FIELDS)
        self.streams: tuple[StreamSpec, ...] = reading.streams
        self.hints = reading.hints
        self.setup_help = f"Your company's own code, in {path.name}. What it asks for is entered here."

    def check(self, settings: Mapping[str, Any]) -> str:
        self._refuse()

    def discover(self, settings: Mapping[str, Any]) -> list[StreamSpec]:
        self._refuse()

    def read(self, settings: Mapping[str, Any], stream: StreamRequest, since: Any) -> Iterator[Page]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TerminalError(
            f"{self.path.name} decides by itself how its rows are read and loaded: it needs the engine for own code.",
            kind="engine",
        )


def folder() -> Path:
    return Path(settings.PIPELINES_DIR)


def find(name: str) -> OwnCodeConnector | None:
    """The connector made of `<name>.py`; None when there is no such file."""
    if not _NAME.match(name):
        return None
    path = folder() / f"{name}.py"
    return _connector(path) if path.is_file() else None


def find_all(taken: Mapping[str, Any]) -> list[OwnCodeConnector]:
    """A connector for every file in the folder, also for those that cannot run; `taken`: names of other connectors."""
    found = []
    for path in sorted(folder().glob("*.py")):
        if path.name.startswith(("_", ".")) or not path.is_file():
            continue
        if path.stem in taken:
            problem = (
                f"{path.name}: the portal itself has a connector called “{path.stem}”. Give the file another name."
            )
            found.append(OwnCodeConnector(path, Reading(problem=problem)))
        elif not _NAME.match(path.stem):
            problem = f"{path.name}: name the file with lower-case letters, digits and “_”, at most 40 of them."
            found.append(OwnCodeConnector(path, Reading(problem=problem)))
        else:
            found.append(_connector(path))
    return found


def _connector(path: Path) -> OwnCodeConnector:
    try:
        stat = path.stat()
        return OwnCodeConnector(path, _reading(path, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size))
    except (OSError, UnicodeDecodeError) as error:
        return OwnCodeConnector(path, Reading(problem=f"{path.name} cannot be read: {error}."))


@lru_cache(maxsize=256)
def _reading(path: Path, modified: int, changed: int, size: int) -> Reading:
    if size > _LARGEST:
        return Reading(problem=f"{path.name} is too large to be code ({size:,} bytes).")
    return read(path.read_text(encoding="utf-8"), path.name)
