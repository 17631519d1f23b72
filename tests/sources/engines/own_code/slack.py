"""Slack's `conversations.history` on this machine, reached under its real name by code that nobody changed.

A proxy answers CONNECT for slack.com by speaking TLS itself, with a certificate of an authority made for the test. The
code under test goes there because its environment says so (HTTPS_PROXY, REQUESTS_CA_BUNDLE), as behind a company's proxy.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "xoxb-123456789012-abcdefGHIJKL"


@dataclass
class Slack:
    """`messages` by channel; `answers` takes precedence while it returns something for (channel, count of requests)."""

    ca: Path
    port: int = 0
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: Callable[[str, int], tuple[int, dict[str, Any]] | None] = lambda channel, number: None

    def say(self, channel: str, *timestamps: str, **extra: Any) -> None:
        for ts in timestamps:
            message = {"type": "message", "ts": ts, "user": "U1", "text": f"said at {ts}", **extra}
            self.messages.setdefault(channel, []).append(message)

    def environment(self) -> dict[str, str]:
        return {"HTTPS_PROXY": f"http://127.0.0.1:{self.port}", "REQUESTS_CA_BUNDLE": str(self.ca), "NO_PROXY": ""}

    def answer(self, path: str, token: str) -> tuple[int, dict[str, Any]]:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        self.requests.append(asked)
        if special := self.answers(asked["channel"], len(self.requests)):
            return special
        if token != f"Bearer {TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}
        newer = [m for m in self.messages.get(asked["channel"], []) if float(m["ts"]) > float(asked["oldest"])]
        return 200, {"ok": True, "messages": newer, "has_more": False}


@contextmanager
def slack_under_its_own_name(folder: Path) -> Iterator[Slack]:
    slack = Slack(folder / "ca.pem")
    context = _context(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    slack.port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(slack, context, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield slack
    finally:
        listener.close()


def _serve(slack: Slack, context: ssl.SSLContext, connection: socket.socket) -> None:
    with connection:
        try:
            if not _head(connection).startswith(b"CONNECT slack.com:443 "):
                connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with context.wrap_socket(connection, server_side=True) as encrypted:
                while head := _head(encrypted):
                    lines = head.decode().split("\r\n")
                    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
                    status, body = slack.answer(lines[0].split()[1], headers.get("authorization", ""))
                    data = json.dumps(body, separators=(",", ":")).encode()
                    encrypted.sendall(
                        f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode()
                        + data
                    )
        except OSError:
            pass


def _head(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(4096)
        if not part:
            return b""
        data += part
    return data


def _context(folder: Path) -> ssl.SSLContext:
    """A server's TLS for slack.com; its authority's certificate is left in `folder`/ca.pem."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
    now = datetime.now(UTC)

    def certificate(subject: x509.Name, of: Any, *extensions: tuple[x509.ExtensionType, bool]) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(authority_key, hashes.SHA256())

    ca = certificate(authority, authority_key, (x509.BasicConstraints(ca=True, path_length=0), True))
    own = certificate(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slack.com")]),
        key,
        (x509.SubjectAlternativeName([x509.DNSName("slack.com")]), False),
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "slack.pem").write_bytes(
        own.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "slack.pem")
    return context
