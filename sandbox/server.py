"""Everything together: the company, its doors, its database, and the clock that moves them on.

with Sandbox.start(data_dir=tmp_path, freeze=True, postgres=False) as sandbox:
    requests.get(f"{sandbox.stripe.base_url}/v1/invoices", headers={"Authorization": f"Bearer {sandbox.stripe.api_key}"})
    sandbox.stripe.faults.add("429", count=2, retry_after=1)
    sandbox.advance(hours=6)
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from werkzeug.wrappers import Request, Response

from sandbox.clock import open_world, save_world, write_json
from sandbox.company import Company
from sandbox.doors.base import Door, reply
from sandbox.doors.github import GithubDoor
from sandbox.doors.google_sheets import GoogleSheetsDoor
from sandbox.doors.hubspot import HubspotDoor
from sandbox.doors.intercom import IntercomDoor
from sandbox.doors.mixpanel import MixpanelDoor
from sandbox.doors.slack import SlackDoor
from sandbox.doors.stripe import StripeDoor
from sandbox.postgres import ProductDatabase

logger = logging.getLogger(__name__)
ENDPOINTS_FILE = "endpoints.json"
#: The running world catches up with the clock this often, in seconds.
TICK_SECONDS = 10.0


class Sandbox:
    """A running sandbox. Make one with ``Sandbox.start``; it is a context manager."""

    def __init__(self, data_dir: Path, company: Company, world: Any) -> None:
        self.data_dir = data_dir
        self.company = company
        self._world = world
        self.stripe = StripeDoor(company, world.secrets["stripe"])
        self.github = GithubDoor(company, world.secrets["github"])
        self.hubspot = HubspotDoor(company, world.secrets["hubspot"])
        self.intercom = IntercomDoor(company, world.secrets["intercom"])
        self.slack = SlackDoor(company, world.secrets["slack"])
        self.mixpanel = MixpanelDoor(company, world.secrets["mixpanel"])
        self.google_sheets = GoogleSheetsDoor(company, world.secrets["google_sheets"])
        self.doors: list[Door] = [
            self.stripe,
            self.github,
            self.hubspot,
            self.intercom,
            self.slack,
            self.mixpanel,
            self.google_sheets,
        ]
        #: The product database, or None when it was left out.
        self.postgres: ProductDatabase | None = None
        self._stopping = threading.Event()
        self._ticker: threading.Thread | None = None
        self._moving = threading.Lock()

    @classmethod
    def start(
        cls,
        data_dir: Path | str,
        *,
        seed: int | None = None,
        scale: float | None = None,
        freeze: bool | None = None,
        postgres: bool = True,
        now: int | None = None,
        tick_seconds: float = TICK_SECONDS,
    ) -> Sandbox:
        """Build or continue the world in ``data_dir`` and open its doors.

        ``freeze`` lets time stand still (None: as it was). ``now`` is the opening moment of a new, frozen world in epoch
        seconds. ``postgres=False`` leaves the product database out, which starts in under a second. Raises ValueError for
        a directory that holds another world.
        """
        directory = Path(data_dir)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ENDPOINTS_FILE).unlink(missing_ok=True)
        world = open_world(directory, seed=seed, scale=scale, freeze=freeze, now=now)
        company = Company(seed=world.seed, scale=world.scale, opened_at=world.opened_at)
        company.run(world.now())
        sandbox = cls(directory, company, world)
        try:
            sandbox._open(tick_seconds, with_database=postgres)
        except BaseException:
            sandbox.stop()
            raise
        return sandbox

    def _open(self, tick_seconds: float, *, with_database: bool) -> None:
        if with_database:
            self.postgres = ProductDatabase(
                self.data_dir,
                port=self._world.ports.get("postgres", 0),
                owner_password=self._world.secrets["postgres"],
                reader_password=self._world.secrets["postgres_portal"],
            )
            self.postgres.start()
            self._world.ports["postgres"] = self.postgres.port
            self._write_product(self.postgres)
        for door in self.doors:
            door.control = self._control
            self._world.ports[door.service] = door.listen(self._world.ports.get(door.service, 0))
        save_world(self.data_dir, self._world)
        write_json(self.data_dir / ENDPOINTS_FILE, self.endpoints())
        if self._world.frozen_at is None:
            self._ticker = threading.Thread(target=self._tick, args=(tick_seconds,), name="sandbox-clock", daemon=True)
            self._ticker.start()

    def stop(self) -> None:
        """Close the doors, stop the database, take the endpoints file away."""
        self._stopping.set()
        if self._ticker is not None:
            self._ticker.join()
        for door in self.doors:
            door.close()
        if self.postgres is not None:
            self.postgres.stop()
        (self.data_dir / ENDPOINTS_FILE).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- time ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """The world's time in epoch seconds."""
        return self.company.now

    def advance(self, *, hours: float = 0, days: float = 0) -> int:
        """Push the world forward; returns its time. The same steps lead to the same world."""
        seconds = round(hours * 3600 + days * 86400)
        if seconds < 0:
            raise ValueError("The world cannot go back in time.")
        with self._moving:
            self._world.ahead += seconds
            save_world(self.data_dir, self._world)
        return self.catch_up()

    def catch_up(self) -> int:
        """Let everything happen that should have happened by now."""
        with self._moving:
            self.company.run(self._world.now())
            if self.postgres is not None:
                self._write_product(self.postgres)
            return self.company.now

    def _write_product(self, database: ProductDatabase) -> None:
        with self.company.lock:
            changes = self.company.product.take()
        try:
            database.write(changes)
        except Exception:
            # nothing is lost: it goes with the next step
            with self.company.lock:
                self.company.product.give_back(changes)
            raise

    def _tick(self, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            try:
                self.catch_up()
            except Exception:
                # one bad step must not stop the clock for good: the next one tries again
                logger.exception("The sandbox could not move on; it tries again in %s s.", seconds)

    # -- outside ---------------------------------------------------------------------------------------------------

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Addresses and keys, as in ``endpoints.json``."""
        endpoints = {door.service: door.endpoint() for door in self.doors}
        if self.postgres is not None:
            endpoints["postgres"] = self.postgres.endpoint()
        return endpoints

    def _control(self, request: Request) -> Response:
        doors = {door.service: door for door in self.doors}
        try:
            match request.method, request.path.removeprefix("/_sandbox/"):
                case "POST", "faults":
                    options = dict(request.get_json())
                    door = doors[options.pop("service")]
                    door.faults.add(options.pop("kind"), **options)
                    return reply({"waiting": door.faults.waiting()}, 201)
                case "DELETE", "faults":
                    for door in doors.values():
                        door.faults.clear()
                    return reply({"waiting": []})
                case "GET", "requests":
                    return reply(
                        {
                            name: {
                                "count": door.count(),
                                "last": [[seen.method, seen.path, seen.status] for seen in list(door.requests)[-50:]],
                            }
                            for name, door in doors.items()
                        }
                    )
                case "POST", "advance":
                    hours = float(request.args.get("hours", 0)) + 24 * float(request.args.get("days", 0))
                    return reply({"now": self.advance(hours=hours)})
                case "GET", "status":
                    return reply(
                        {
                            "now": self.now,
                            "opened_at": self.company.opened_at,
                            "frozen": self._world.frozen_at is not None,
                            "seed": self.company.seed,
                            "scale": self.company.scale,
                        }
                    )
        except (KeyError, TypeError, ValueError) as error:
            return reply({"error": f"{type(error).__name__}: {error}"}, 400)
        return reply({"error": "No such control."}, 404)
