"""A company of about 10,000 rows a source and an empty portal to pull it into, both thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def prepare_environment() -> Path:
    """A DATA_DIR of its own for this process and its children; to be called before Django is set up."""
    data_dir = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    for name in ("DATABASE_URL", "REDIS_URL", "WAREHOUSE_URL", "EMAIL_URL"):
        os.environ.pop(name, None)
    os.environ.update(
        DATA_DIR=str(data_dir),
        DLT_DATA_DIR=str(data_dir / "dlt"),
        DEMO="true",
        LOG_LEVEL="ERROR",
        DJANGO_SETTINGS_MODULE="portal.settings",
        PYTHONPATH=str(Path(__file__).resolve().parent.parent),
    )
    return data_dir


@contextmanager
def company(data_dir: Path, scale: float) -> Iterator[Any]:
    """The sandbox in a process of its own, as a vendor's API would be; its time stands still. Yields its endpoints."""
    import json
    import subprocess
    import sys
    import time

    folder = data_dir / "sandbox"
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--data-dir", str(folder), "--scale", f"{scale:g}", "--freeze"]
    )
    try:
        endpoints = folder / "endpoints.json"
        while not endpoints.exists():
            if process.poll() is not None:
                raise SystemExit("The sandbox did not start.")
            time.sleep(0.1)
        yield json.loads(endpoints.read_text())
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data_dir, ignore_errors=True)
