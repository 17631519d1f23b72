"""Raw tables that grow, in BigQuery: by the month of what tells new rows, sorted by their key; merges go on as before."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sources.connectors import CONNECTORS, get_connector
from sources.connectors.base import Column, Page, StreamSpec, SyncMode
from tests.sources.engines.fakes import row
from tests.warehouses.emulator import PROJECT
from tests.warehouses.places import PLACES


@pytest.mark.slow
def test_a_growing_table_is_parted_and_a_row_that_moves_is_there_once(
    fake: Any, sync: Any, request: pytest.FixtureRequest, settings: Any
) -> None:
    place = PLACES["bigquery"](settings, request)
    from google.cloud import bigquery

    parts = StreamSpec(
        "parts", primary_key=("id", "weight"), cursor_fields=("id",), columns=(Column("id"), Column("weight", "double"))
    )
    fake.streams = (*fake.streams, parts)
    january, march = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)
    fake.pages = {
        "a": [Page([row(1, at=january), row(2, at=january), row(3)], cursor=1)],
        "parts": [Page([], cursor=1)],
    }
    sync("a", "parts")
    fake.pages = {
        "a": [Page([row(2, at=march), row(4, at=march)], cursor=2)],
        "parts": [Page([{"id": "x", "weight": 0.5}])],
    }
    sync("a", "parts")
    fake.pages = {"b": [Page([row(1, at=january)])]}
    sync("b", mode=SyncMode.FULL_REFRESH)

    found = place.run("select id, `at` from raw_fake_one.a order by id")
    assert found == [("id_1", january), ("id_2", march), ("id_3", None), ("id_4", march)]
    laid_out = {}
    for name in ("a", "b", "parts"):
        table = bigquery.Client().get_table(f"{PROJECT}.raw_fake_one.{name}")
        by = table.time_partitioning
        laid_out[name] = (by and (by.field, by.type_), table.clustering_fields)
        assert not table.require_partition_filter
    assert laid_out == {"a": (("at", "MONTH"), ["id"]), "b": (None, None), "parts": (None, ["id"])}


def test_what_a_stream_grows_by_is_a_moment_of_its_own() -> None:
    told = [
        (spec, next((column for column in spec.columns if column.name == spec.grows_by), None))
        for name in CONNECTORS
        for spec in get_connector(name).streams
        if spec.grows_by
    ]
    assert {column.type for _, column in told if column is not None} == {"timestamp"}
    assert [spec.name for spec, column in told if column is None] == []
