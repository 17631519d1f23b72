"""What DuckDB is asked about Parquet files on their way."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.engines import files


def written(folder: Path, number: int, rows: list[dict]) -> Path:
    path = folder / f"it's.{number}.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_the_same_rows_in_any_order_have_one_fingerprint(tmp_path):
    one = written(tmp_path, 0, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    parts = [written(tmp_path, 1, [{"a": 2, "b": "y"}]), written(tmp_path, 2, [{"a": 1, "b": "x"}])]
    changed = written(tmp_path, 3, [{"a": 1, "b": "x"}, {"a": 2, "b": ""}])

    assert files.fingerprint([one]) == files.fingerprint(parts) == files.fingerprint(parts[::-1])
    assert files.fingerprint([one]) != files.fingerprint([changed])


@pytest.mark.parametrize(("key", "twins"), [(["a"], 2), (["a", "b"], 1), (["b"], 1)])
def test_twins_are_counted_by_the_whole_key(tmp_path, key, twins):
    path = written(tmp_path, 0, [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 1}, {"a": 2, "b": 3}])

    assert files.count_twins([path], key) == twins


def test_of_twins_the_first_that_came_stays_also_across_files(tmp_path):
    paths = [
        written(tmp_path, number, [{"id": 1, "seen": number}, {"id": number + 10, "seen": number}])
        for number in range(12)  # the tenth comes before the second by name
    ]
    target = tmp_path / "once.parquet"

    assert files.without_twins(paths, ["id"], target) == 13
    assert sorted(pq.read_table(target).to_pylist(), key=lambda row: row["id"])[0] == {"id": 1, "seen": 0}


@pytest.mark.slow
def test_wide_rows_are_written_without_holding_all_of_them(tmp_path):
    path, target = tmp_path / "wide.parquet", tmp_path / "once.parquet"
    rows, columns = 100_000, 60  # 64 characters each: 390 MB
    with pq.ParquetWriter(
        path, pa.schema([("id", pa.int64())] + [(f"c{n}", pa.string()) for n in range(columns)])
    ) as w:
        for begin in range(0, rows, 10_000):
            texts = pa.array([f"{n:064d}" for n in range(begin, begin + 10_000)])
            ids = pa.array(range(begin, begin + 10_000)) if begin else pa.array([0, 0, *range(2, 10_000)])
            w.write_table(pa.Table.from_arrays([ids, *[texts] * columns], schema=w.schema))

    assert files.without_twins([path], ["id"], target) == rows - 1
    assert pq.read_metadata(target).num_rows == rows - 1
