"""Keys for the demo: made on first start, kept in DATA_DIR readable by its owner only.

`python -m portal.demo_keys` prints a fresh set for a production environment file.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet


def fresh_keys() -> dict[str, str]:
    return {"SECRET_KEY": secrets.token_urlsafe(50), "SECRETS_KEY": Fernet.generate_key().decode()}


def demo_keys(data_dir: Path) -> dict[str, str]:
    """The keys kept in `data_dir`; made when there are none. Two first starts at once agree on one set."""
    path = data_dir / "demo-keys.json"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=data_dir)  # its owner's only
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            json.dump(fresh_keys(), file)
        try:
            os.link(draft, path)  # fails when another process was first; its keys count
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return json.loads(path.read_text())


if __name__ == "__main__":
    keys = fresh_keys()
    print(f"SECRET_KEY={keys['SECRET_KEY']}")
    print(f"SECRETS_KEYS={keys['SECRETS_KEY']}")
