"""The right to write, as a file that one process at a time may lock. The kernel frees it when that process dies."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.failures import TransientError

# How long a writer waits for the one before it: a build or a load takes seconds to minutes.
WRITER_TIMEOUT = 1800.0


def busy(timeout: float, what: str) -> TransientError:
    return TransientError(
        "The warehouse was busy with other work for too long.",
        f"Waited {timeout:.0f} s for the lock of {what}.",
        kind="warehouse_busy",
    )


class FileLock:
    """Nests in one thread, excludes other threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = threading.local()

    @contextmanager
    def hold(self, timeout: float | None = None) -> Iterator[None]:
        if getattr(self._held, "depth", 0):
            self._held.depth += 1
            try:
                yield
            finally:
                self._held.depth -= 1
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(descriptor, WRITER_TIMEOUT if timeout is None else timeout)
            self._held.depth = 1
            try:
                yield
            finally:
                self._held.depth = 0
        finally:
            os.close(descriptor)  # closing is what frees the lock

    def _lock(self, descriptor: int, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = 0.005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise busy(timeout, self.path.name) from None
                time.sleep(pause)
                pause = min(pause * 2, 0.25)
