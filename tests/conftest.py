"""What every test gets: a portal that owns a temporary DATA_DIR and touches nothing outside it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

_DATA_DIR = tempfile.mkdtemp(prefix="portal-tests-")
os.environ.update(
    DATA_DIR=_DATA_DIR,
    DEMO="true",
    LOG_LEVEL="WARNING",
    DJANGO_SETTINGS_MODULE="portal.settings",
)
for name in ("DATABASE_URL", "REDIS_URL", "WAREHOUSE_URL", "EMAIL_URL", "PORTAL_URL"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings) -> None:
    """Each test has a warehouse, work folders and mail folder of its own."""
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    settings.WAREHOUSE_URL = f"duckdb:///{tmp_path}/data/warehouse/warehouse.duckdb"
    settings.EMAIL_FILE_PATH = str(tmp_path / "data" / "mail")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return
