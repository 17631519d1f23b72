"""Start processes, watch them, and stop every one of them by its id.

A child is in a session of its own (Ctrl-C reaches only the supervisor, which then stops the children in order) and
is told to end when its parent dies, however that happens.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent(sig: int = signal.SIGTERM) -> None:
    """Ask the kernel for `sig` when the parent process ends (Linux; elsewhere children are only stopped in order)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sig)


@dataclass
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Supervisor:
    """A few named processes with a log file each."""

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self.children: list[Child] = []

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Child:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log = self.log_dir / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                list(argv),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - the supervisor has no other thread
            )
        child = Child(name, process, log)
        self.children.append(child)
        return child

    def wait_until(self, child: Child, ready: Callable[[], bool], timeout: float) -> None:
        """Return when `ready()` is true; raise `RuntimeError` with the end of the log when it cannot become so."""
        deadline = time.monotonic() + timeout
        while not ready():
            if child.process.poll() is not None:
                raise RuntimeError(f"{child.name} ended with exit code {child.process.returncode}.\n{self.tail(child)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{child.name} was not ready after {timeout:.0f} s.\n{self.tail(child)}")
            time.sleep(0.05)

    @staticmethod
    def tail(child: Child, lines: int = 15) -> str:
        text = child.log.read_text(errors="replace") if child.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def ended(self) -> Child | None:
        """A child that has ended although nobody stopped it."""
        return next((child for child in self.children if child.process.poll() is not None), None)

    def stop(self, timeout: float = 20.0) -> None:
        """Stop all, the last started first: politely, then by force."""
        for child in reversed(self.children):
            if child.process.poll() is None:
                child.process.terminate()
            try:
                child.process.wait(timeout)
            except subprocess.TimeoutExpired:
                # Its whole session: a stubborn child's own children go with it.
                os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
        self.children.clear()
