"""One side of a comparison in a process of its own: how long it says it took, and how much memory it and its children held.

The child prints one line of JSON at its end: {"seconds": …, "rows": …}. It times only its work, not its imports: a worker
has those behind it. Memory is the summed PSS of the process tree, looked at ten times a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY = 0.1  # seconds


@dataclass(frozen=True)
class Measured:
    """`rows` were read in `seconds`; `peak_mb` is the most that the process tree held."""

    seconds: float
    rows: int
    peak_mb: float

    @property
    def speed(self) -> float:
        return self.rows / self.seconds


def measure(module: str, *arguments: object) -> Measured:
    """Run `python -m module arguments…`; raises SystemExit with its output when it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak = [0.0]
    watching = threading.Thread(target=_watch, args=(process, peak))
    watching.start()
    out, err = process.communicate()
    watching.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{out}\n{err}")
    told = json.loads(out.strip().splitlines()[-1])
    return Measured(told["seconds"], told["rows"], peak[0])


def _watch(process: subprocess.Popen[str], peak: list[float]) -> None:
    top = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            peak[0] = max(peak[0], sum(map(_pss_mb, [top, *top.children(recursive=True)])))
        except psutil.NoSuchProcess:
            return
        try:
            process.wait(EVERY)
        except subprocess.TimeoutExpired:
            continue


def _pss_mb(process: psutil.Process) -> float:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return int(text.split("Pss:")[1].split()[0]) / 1024


def tell(seconds: float, rows: int) -> None:
    """What a side prints at its end."""
    print(json.dumps({"seconds": seconds, "rows": rows}))


def medians(sides: Sequence[Measured]) -> Measured:
    """The middle one by time, with the highest memory of all."""
    ordered = sorted(sides, key=lambda side: side.seconds)
    middle = ordered[len(ordered) // 2]
    return Measured(middle.seconds, middle.rows, max(side.peak_mb for side in sides))
