"""The portal's own engine on one stream. `CONNECTOR SETTINGS_JSON_FILE STREAM KEY FOLDER [full_refresh]`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import django

from bench.meter import tell

django.setup()

from django.conf import settings  # noqa: E402

from sources.connectors.base import StreamRequest, SyncMode  # noqa: E402
from sources.engines import get_engine  # noqa: E402
from sources.engines.base import SyncRequest  # noqa: E402

connector, file, stream, key, folder = sys.argv[1:6]
settings.WAREHOUSE_URL = f"duckdb:///{folder}/warehouse.duckdb"
engine = get_engine("dlt")
engine.warm_up()
request = SyncRequest(
    source="bench",
    connector=connector,
    settings=json.loads(Path(file).read_text()),
    streams=(StreamRequest(stream, SyncMode.FULL_REFRESH, primary_key=(key,)),),
    dataset="raw_bench",
    work_dir=Path(folder) / "work",
)
began = time.perf_counter()
outcome = engine.sync(request, lambda stream, rows: None)
seconds = time.perf_counter() - began
tell(seconds, outcome.rows[stream])
