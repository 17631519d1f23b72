"""A server that costs nothing: pages of charges in Stripe's shape, made once and handed out as bytes.

`python -m bench.api_server OBJECTS` prints its address; what is measured is then the reader, not the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 100
NEWEST = 1_780_000_000


@contextmanager
def serving(objects: int) -> Iterator[str]:
    """The server in a process of its own; yields its base URL."""
    command = [sys.executable, "-m", "bench.api_server", str(objects)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def charge(number: int) -> dict[str, Any]:
    return {
        "id": f"ch_{number:020d}",
        "object": "charge",
        "amount": number % 90_000,
        "amount_refunded": 0,
        "billing_details": {"address": {"city": "Porto", "country": "PT"}, "email": f"a{number}@example.com"},
        "captured": True,
        "created": NEWEST - number * 60,
        "currency": "usd",
        "customer": f"cus_{number % 5_000:014d}",
        "description": f"Subscription update {number}",
        "failure_code": None,
        "invoice": f"in_{number:020d}",
        "livemode": False,
        "metadata": {"order": str(number)},
        "outcome": {"network_status": "approved_by_network", "risk_level": "normal", "type": "authorized"},
        "paid": True,
        "payment_intent": f"pi_{number:020d}",
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
        "refunded": False,
        "status": "succeeded",
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    objects = 0
    # One page in bytes; only the numbers in it differ, and they are as wide as their place.
    pages: dict[int, bytes] = {}

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        body = b'{"object":"list","data":[],"has_more":false}'
        if parts.path == "/v1/charges":
            after = query.get("starting_after", ["ch_-1"])[0]
            body = self.page(int(after.removeprefix("ch_")) + 1)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, first: int) -> bytes:
        if first not in self.pages:
            last = min(first + PAGE, self.objects)
            listed = {
                "object": "list",
                "url": "/v1/charges",
                "has_more": last < self.objects,
                "data": [charge(number) for number in range(first, last)],
            }
            self.pages[first] = json.dumps(listed, separators=(",", ":")).encode()
        return self.pages[first]


def main(objects: int) -> None:
    _Handler.objects = objects
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    handler: Any = _Handler
    if objects <= 500_000:  # made beforehand, so that making them costs nobody anything
        for first in range(0, objects, PAGE):
            handler.page(handler, first)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
