"""Send the message that follows a row.

The row counts, the message only wakes a worker: when the broker does not answer, the row stays queued and the sweep
sends the message again.
"""

from __future__ import annotations

import logging

from django.db import transaction
from kombu.exceptions import OperationalError

from portal.celery import app

logger = logging.getLogger(__name__)


def send(task: str, *args: int, countdown: float | None = None) -> None:
    """Once the current transaction is committed, ask a worker to run `portal.tasks.<task>` with primary keys."""
    transaction.on_commit(lambda: _send(task, args, countdown))


def _send(task: str, args: tuple[int, ...], countdown: float | None) -> None:
    try:
        app.send_task(f"portal.tasks.{task}", args=args, countdown=countdown, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("The broker does not answer; %s%s waits for the sweep (%s).", task, args, error)
