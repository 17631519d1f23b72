"""Helpers of the quality tests: a real warehouse file, checks, a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from portal.warehouse import get_warehouse


@pytest.fixture
def warehouse_sql(_own_data_dir: None) -> Callable[..., None]:
    """Run SQL statements on this test's warehouse file, as a worker would."""

    def run(*statements: str) -> None:
        import duckdb

        warehouse = get_warehouse()
        with warehouse.writer(), duckdb.connect(str(warehouse.path)) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for statement in statements:
                connection.execute(statement)

    return run


class Mailbox:
    """An SMTP server on a free port of this machine: keeps what it accepts, refuses whom it is told to refuse."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refused: dict[str, str] = {}
        self.answer_to_data = ""

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        from email import message_from_bytes, policy

        if self.answer_to_data:
            return self.answer_to_data
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(message)
        return "250 OK"


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    """A real mail server, and settings that point to it. `mailbox.stop()` takes it down."""
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = port
    settings.PORTAL_URL = "https://portal.example.com"
    with ExitStack() as stack:
        stack.callback(controller.stop)
        box.stop = stack.close
        yield box
