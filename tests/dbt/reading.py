"""dbt reads our project once in a run of tests: other processes, other folders and copies begin with what it kept of that.

It is dbt's own partial parsing, as in a portal that is started again: what differs from what was read is read again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from metrics import dbt_project

#: Folders whose slow tests build.
BUILDING = {"dbt", "e2e", "metrics"}


@pytest.fixture(scope="session")
def project_was_read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    folder /= "dbt-read"
    folder.mkdir(exist_ok=True)
    kept = folder / "target" / "partial_parse.msgpack"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            location = dbt_project.Location(f"duckdb:///{folder}/warehouse.duckdb", folder)
            assert dbt_project.invoke(["parse"], location, environment=location.environment_for_parsing).success
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_PARTIAL_PARSE_FILE_PATH", str(kept))
        yield


@pytest.fixture(autouse=True)
def _read_once(request: pytest.FixtureRequest) -> None:
    if BUILDING & {*request.path.parts} and request.node.get_closest_marker("slow"):
        request.getfixturevalue("project_was_read")
