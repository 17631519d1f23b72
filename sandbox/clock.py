"""The world's clock and what has to be kept on disk to come back to the same world."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DEFAULT_SEED = 42


def draw_rsa_key() -> str:
    """A new private key as the text of a PEM file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


#: How each key and password looks; drawn once a world.
SECRETS: dict[str, Callable[[], str]] = {
    "stripe": lambda: f"sk_test_{secrets.token_hex(16)}",
    "github": lambda: f"ghp_{secrets.token_hex(18)}",
    "hubspot": lambda: f"pat-na1-{uuid.uuid4()}",
    "intercom": lambda: f"dG9r{secrets.token_hex(26)}",
    "slack": lambda: f"xoxb-{secrets.randbelow(10**12):012d}-{secrets.token_hex(12)}",
    "mixpanel": lambda: secrets.token_urlsafe(24),
    "google_sheets": draw_rsa_key,
    "postgres": lambda: secrets.token_urlsafe(18),
    "postgres_portal": lambda: secrets.token_urlsafe(18),
}
_FILE = "world.json"


@dataclass(slots=True)
class World:
    """The kept part of a world; everything else follows from it.

    ``opened_at``: when it was first looked at. ``ahead``: seconds by which it was pushed forward. ``frozen_at``: the
    moment at which time stands still, or None while it runs. Keys and passwords are drawn once.
    """

    seed: int
    scale: float
    opened_at: int
    ahead: int = 0
    frozen_at: int | None = None
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def now(self) -> int:
        """The moment the world should have reached."""
        return (self.frozen_at if self.frozen_at is not None else int(time.time())) + self.ahead


def open_world(
    data_dir: Path, *, seed: int | None, scale: float | None, freeze: bool | None, now: int | None = None
) -> World:
    """Read the world kept in a directory, or begin one there.

    ``now`` sets the moment a new world opens at (default: real time). Raises ValueError when the directory holds a world
    of another seed or scale.
    """
    path = data_dir / _FILE
    if path.exists():
        world = read_world(data_dir)
        for name, wanted, kept in (("seed", seed, world.seed), ("scale", scale, world.scale)):
            if wanted is not None and wanted != kept:
                raise ValueError(f"{data_dir} holds a world of {name} {kept}, not {wanted}; use another directory.")
        if freeze is True and world.frozen_at is None:
            world.frozen_at = int(time.time())
        elif freeze is False and world.frozen_at is not None:
            # the world must not go back in time when the clock runs again
            world.ahead = max(0, world.now() - int(time.time()))
            world.frozen_at = None
    else:
        moment = int(time.time()) if now is None else now
        world = World(DEFAULT_SEED if seed is None else seed, 1.0 if scale is None else scale, moment)
        world.frozen_at = moment if freeze or now is not None else None
    for name, draw in SECRETS.items():  # a world that is older than a door gets its key now
        world.secrets.setdefault(name, draw())
    save_world(data_dir, world)
    return world


def read_world(data_dir: Path) -> World:
    """The world kept in a directory. Raises FileNotFoundError when there is none."""
    return World(**json.loads((data_dir / _FILE).read_text()))


def save_world(data_dir: Path, world: World) -> None:
    """Keep the world."""
    write_json(data_dir / _FILE, asdict(world))


def write_json(path: Path, body: Any) -> None:
    """Write a file that only its owner may read, in one step: a reader sees the old or the new, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(body, file, indent=2)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
