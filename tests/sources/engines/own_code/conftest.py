from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sources.connectors.base import StreamRequest
from sources.engines.base import SyncOutcome, SyncRequest
from sources.engines.own_code.engine import OwnCodeEngine
from tests.sources.conftest import COMPANY_FILE
from tests.sources.engines.orders import Orders, orders_to
from tests.sources.engines.own_code.slack import TOKEN


@pytest.fixture
def drop(pipelines: Path) -> Callable[..., Path]:
    """Drop code into the folder: `drop("shop", '''…''')`."""

    def write(name: str, code: str) -> Path:
        path = pipelines / f"{name}.py"
        path.write_text("import dlt\n" + textwrap.dedent(code))
        return path

    return write


@pytest.fixture
def slack_activity(pipelines: Path) -> Path:
    """The company's own file, byte for byte."""
    return Path(shutil.copy(COMPANY_FILE, pipelines))


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., SyncRequest]:
    def make(connector: str, *names: str, accept_fewer: bool = False, **settings: Any) -> SyncRequest:
        return SyncRequest(
            source=connector.replace("_", "-"),
            connector=connector,
            settings={"slack_token": TOKEN, **settings},
            streams=tuple(StreamRequest(name, accept_fewer=accept_fewer) for name in names),
            dataset=f"raw_{connector}",
            work_dir=tmp_path / "work" / connector,
        )

    return make


@pytest.fixture
def sync(request_for: Callable[..., SyncRequest]) -> Callable[..., SyncOutcome]:
    def run(connector: str, *names: str, **options: Any) -> SyncOutcome:
        return OwnCodeEngine().sync(request_for(connector, *names, **options), lambda stream, rows: None)

    return run


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orders]:
    with orders_to("tests.sources.engines.own_code.crash", tmp_path_factory.mktemp("data")) as give:
        yield give


@pytest.fixture
def run(worker: Orders, tmp_path: Path) -> Callable[..., int]:
    def order(size: int, point: str = "none", url: str = f"duckdb:///{tmp_path}/warehouse.duckdb") -> int:
        google = {name: value for name, value in os.environ.items() if name.startswith(("BIGQUERY_", "GOOGLE_"))}
        return worker({"folder": str(tmp_path), "size": size, "point": point, "url": url, "environment": google})

    return order
