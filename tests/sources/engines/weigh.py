"""Sync many rows in a process of its own and tell how much memory that took at most.

python -m tests.sources.engines.weigh FOLDER ROWS KIND    (KIND: dicts, arrow)    prints megabytes
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 1000


def pages(rows: int, kind: str) -> Iterator[Any]:
    import pyarrow as pa

    from sources.connectors.base import Page
    from tests.sources.engines.fakes import row

    for begin in range(0, rows, PAGE):
        made = [row(n, _extra='{"text": "' + str(n) * 20 + '"}') for n in range(begin, begin + PAGE)]
        yield Page(pa.Table.from_pylist(made).cast(_schema()) if kind == "arrow" else made)
    yield Page([] if kind == "dicts" else _schema().empty_table(), cursor=rows)


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        {
            "id": pa.string(),
            "name": pa.string(),
            "amount": pa.int64(),
            "at": pa.timestamp("us", "UTC"),
            "_extra": pa.string(),
        }
    )


def main(folder: Path, rows: int, kind: str) -> None:
    import django

    django.setup()
    from django.conf import settings

    from sources import connectors
    from sources.connectors.base import StreamRequest
    from sources.engines.base import SyncRequest
    from sources.engines.dlt_engine import DltEngine

    settings.WAREHOUSE_URL = f"duckdb:///{folder}/warehouse.duckdb"
    connectors.CONNECTORS["fake"] = "tests.sources.engines.fakes.FakeConnector"
    fake: Any = connectors.get_connector("fake")
    fake.pages = {"a": lambda since: pages(rows, kind)}
    request = SyncRequest(
        source="fake",
        connector="fake",
        settings={},
        streams=(StreamRequest("a", primary_key=("id",)),),
        dataset="raw_fake",
        work_dir=folder / "work",
    )
    outcome = DltEngine().sync(request, lambda stream, count: None)
    assert outcome.rows == {"a": rows}
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
