"""What every test gets: a portal that owns a temporary DATA_DIR and touches nothing outside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["tests.dbt.reading", "tests.fakes", "tests.recordings", "tests.warehouses.fixtures"]


SLOW_FILE = re.compile(r"^pytestmark = (\[\s*)?pytest\.mark\.slow", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without slow tests, files of nothing else are not even imported."""
    is_left_out = config.option.markexpr == "not slow" and collection_path.suffix == ".py"
    return True if is_left_out and SLOW_FILE.search(collection_path.read_text()) else None


@pytest.fixture(autouse=True)
def _own_data_dir(tmp_path: Path, settings) -> None:
    """Each test has a warehouse, work folders and mail folder of its own."""
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    settings.WAREHOUSE_URL = f"duckdb:///{tmp_path}/data/warehouse/warehouse.duckdb"
    settings.EMAIL_FILE_PATH = str(tmp_path / "data" / "mail")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """dbt's own unit tests are a test each among ours; how many they were is said by itself."""
    found = {
        outcome: sum("::test_dbt_unit_test[" in each.nodeid for each in terminalreporter.stats.get(outcome, []))
        for outcome in ("passed", "failed", "error")
    }
    if any(found.values()):
        terminalreporter.write_line(
            f"dbt unit tests: {', '.join(f'{n} {outcome}' for outcome, n in found.items() if n)}"
        )
