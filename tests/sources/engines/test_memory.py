"""Rows are streamed: ten times the rows do not take ten times the memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


def weigh(folder: Path, rows: int) -> int:
    """Megabytes at most, of a process of its own."""
    folder.mkdir()
    environment = {
        **os.environ,
        "DEMO": "true",
        "DATA_DIR": str(folder / "data"),
        "DJANGO_SETTINGS_MODULE": "portal.settings",
    }
    command = [sys.executable, "-m", "tests.sources.engines.weigh", str(folder), str(rows), "dicts"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_ten_times_the_rows_take_little_more_memory(tmp_path):
    little = weigh(tmp_path / "little", 20_000)
    much = weigh(tmp_path / "much", 200_000)
    # What grows is what DuckDB may keep in memory, which has a limit; the rows themselves would be over 200 MB.
    assert much - little < 190, (little, much)
