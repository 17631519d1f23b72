"""Memory of the portal at rest: web, workers and scheduler together, as summed PSS (shared pages counted once).

The demo is started on a directory of its own, left alone for half a minute after its first pipeline, and measured;
broker, sandbox and the demo's own supervisor are shown beside it. Exit code 1 above 780 MB.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from bench.world import prepare_environment

LIMIT_MB = 780
PARTS = {"workers": "manage.py workers", "web": "gunicorn", "sandbox": "-m sandbox", "broker": "valkey-server"}


def pss_mb(process: psutil.Process) -> float:
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return int(text.split("Pss:")[1].split()[0]) / 1024


def part_of(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    return next((name for name, text in PARTS.items() if text in command), "others")


def main() -> int:
    data_dir = prepare_environment()
    log = data_dir / "demo.log"
    with log.open("w") as output:
        demo = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--port", "0"], stdout=output, stderr=output, env=dict(os.environ)
        )
    try:
        while "Everything runs" not in log.read_text():
            if demo.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.5)
        time.sleep(30)
        sums: dict[str, float] = {}
        for process in psutil.Process(demo.pid).children(recursive=True):
            sums[part_of(process)] = sums.get(part_of(process), 0) + pss_mb(process)
        for name, size in sorted(sums.items(), key=lambda item: -item[1]):
            print(f"{name:<8} {size:6.0f} MB")
        total = sums["workers"] + sums["web"]
        print(f"web, workers and scheduler {total:.0f} MB (at most {LIMIT_MB})")
        return 0 if total <= LIMIT_MB else 1
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(60)


if __name__ == "__main__":
    sys.exit(main())
