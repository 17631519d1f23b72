"""One sync of a source at a time, whichever process it runs in. The kernel frees the lock when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portal.failures import TransientError


@contextmanager
def only_one(work_dir: Path, source: str) -> Iterator[None]:
    """Raises `TransientError` (kind "source_busy") at once when another sync of this source is under way."""
    work_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TransientError(
                "Another sync of this source is still at work.", f"{source}: {work_dir / '.lock'}", kind="source_busy"
            ) from None
        yield
    finally:
        os.close(descriptor)
