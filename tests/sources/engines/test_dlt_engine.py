"""The dlt engine against a real DuckDB file, with a connector that says what the test wants."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime

import duckdb
import pytest

from portal.failures import TerminalError, TransientError
from portal.warehouse import get_warehouse
from sources.connectors.base import GONE, Page, StreamSpec, SyncMode
from sources.engines.base import TerminalSyncError, TransientSyncError
from sources.engines.dlt_engine import DltEngine
from sources.engines.locks import only_one
from tests.sources.engines.fakes import COLUMNS, row

pytestmark = pytest.mark.slow

FULL = SyncMode.FULL_REFRESH
COUNT = "select count(*), count(distinct id) from raw_fake_one.a"


def test_first_sync_makes_typed_tables(fake, sync, query):
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    fake.pages["a"] = [Page([row(1, at=at, _extra='{"x": 1}'), row(2)], cursor={"to": 2})]

    outcome = sync("a")

    assert outcome.rows == {"a": 2}
    assert outcome.has_new_data
    assert outcome.streams[0].cursor == {"to": 2}
    assert outcome.streams[0].columns["at"] == "timestamp"
    found = query("select id, name, amount, epoch(\"at\"), _extra->>'x' from raw_fake_one.a order by id")
    assert found == [("id_1", "name 1", 1, at.timestamp(), "1"), ("id_2", "name 2", 2, None, None)]
    assert query("select count(distinct _dlt_load_id) from raw_fake_one.a join raw_fake_one._dlt_loads l"
                 " on l.load_id = _dlt_load_id and l.status = 0") == [(1,)]  # fmt: skip


def test_second_sync_starts_from_the_cursor_and_merges(fake, sync, query):
    fake.pages["a"] = [Page([row(1), row(2)], cursor="one")]
    sync("a")
    fake.pages["a"] = [Page([row(2, name="changed"), row(3)], cursor="two")]

    outcome = sync("a")

    assert fake.asked[-1][1] == "one"
    assert outcome.rows == {"a": 2}
    assert query("select id, name from raw_fake_one.a order by id") == [
        ("id_1", "name 1"),
        ("id_2", "changed"),
        ("id_3", "name 3"),
    ]


def test_sync_without_news_loads_nothing(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor="one")]
    sync("a")
    loads = query("select count(*) from raw_fake_one._dlt_loads")
    fake.pages["a"] = [Page([], cursor="two")]

    outcome = sync("a")

    assert not outcome.has_new_data
    assert outcome.rows == {"a": 0}
    assert outcome.streams[0].columns["id"] == "text"
    assert query("select count(*) from raw_fake_one._dlt_loads") == loads


def test_a_stream_without_rows_still_makes_its_table(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor="one")]
    fake.pages["b"] = [Page([], cursor="one")]

    sync("a", "b")

    assert query("select count(*) from raw_fake_one.b") == [(0,)]
    fake.pages["b"] = [Page([row(1)], cursor="two")]
    assert sync("b").rows == {"b": 1}


def test_full_refresh_replaces(fake, sync, query):
    fake.pages["a"] = [Page([row(1), row(2)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(2), row(3, name="new")])]

    outcome = sync("a", mode=FULL)

    assert outcome.has_new_data
    assert query("select id from raw_fake_one.a order by id") == [("id_2",), ("id_3",)]


def test_full_refresh_with_the_same_rows_changes_nothing(fake, sync, query):
    fake.pages["a"] = [Page([row(1), row(2)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(2), row(1)])]

    assert not sync("a", mode=FULL).has_new_data

    fake.pages["a"] = [Page([row(2), row(1, name="other")])]
    assert sync("a", mode=FULL).has_new_data
    assert query("select name from raw_fake_one.a order by id") == [("other",), ("name 2",)]


def test_rows_that_came_twice_are_stored_once(fake, sync, query):
    fake.pages["a"] = [Page([row(1, name="newer"), row(2)]), Page([row(1, name="older"), row(3)])]

    sync("a", mode=FULL)

    assert query(COUNT) == [(3, 3)]
    assert query("select name from raw_fake_one.a where id = 'id_1'") == [("newer",)]


def test_merge_keeps_the_row_that_came_last(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    sync("a")
    fake.pages["a"] = [Page([row(1, name="earlier")]), Page([row(1, name="later")], cursor=2)]

    sync("a")

    assert query("select name from raw_fake_one.a") == [("later",)]


@pytest.mark.parametrize("brought", [0, 99])
def test_a_full_refresh_that_would_shrink_the_table_is_refused(fake, sync, query, brought):
    fake.pages["a"] = [Page([row(number) for number in range(200)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(number) for number in range(brought)])]

    with pytest.raises(TerminalSyncError) as failure:
        sync("a", mode=FULL)

    assert failure.value.kind == "shrunk"
    assert "“a”" in failure.value.sentence
    assert "200" in failure.value.sentence
    assert query(COUNT) == [(200, 200)]


def test_a_person_can_accept_fewer_rows(fake, sync, query):
    fake.pages["a"] = [Page([row(number) for number in range(200)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(1)])]

    sync("a", mode=FULL, accept_fewer=True)

    assert query(COUNT) == [(1, 1)]


def test_one_failing_stream_leaves_the_others_alone(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    fake.pages["b"] = [Page([row(1)]), TransientError("It hiccuped.", "detail", kind="server_error")]

    with pytest.raises(TransientSyncError) as failure:
        sync("a", "b", mode=FULL)

    assert failure.value.sentence == "Stream “b”: It hiccuped."
    by_name = {stream.name: stream for stream in failure.value.outcome.streams}
    assert by_name["a"].error is None
    assert by_name["a"].rows == 1
    assert by_name["b"].error is not None
    assert query("select count(*) from raw_fake_one.a") == [(1,)]
    assert query("select count(*) from duckdb_tables() where table_name = 'b' and schema_name = 'raw_fake_one'") == [
        (0,)
    ]


def test_a_broken_full_refresh_never_replaces(fake, sync, query):
    fake.pages["a"] = [Page([row(1), row(2)])]
    sync("a", mode=FULL)
    fake.pages["a"] = [Page([row(3)], cursor="x"), TransientError("It broke off.", kind="server_error")]

    with pytest.raises(TransientError):
        sync("a", mode=FULL)

    assert query("select id from raw_fake_one.a order by id") == [("id_1",), ("id_2",)]


def test_an_incremental_read_that_breaks_off_keeps_what_its_cursor_covers(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor="one"), TransientError("It broke off.", kind="server_error")]
    with pytest.raises(TransientError):
        sync("a")
    assert query(COUNT) == [(1, 1)]
    fake.pages["a"] = [Page([row(2)], cursor="two")]

    sync("a")

    assert fake.asked[-1][1] == "one"
    assert query(COUNT) == [(2, 2)]


def test_an_incremental_read_that_breaks_off_before_a_cursor_moves_nothing(fake, sync, query):
    fake.pages["a"] = [Page([row(1)], cursor="one")]
    sync("a")
    fake.pages["a"] = [Page([row(2)]), TransientError("It broke off.", kind="server_error")]
    with pytest.raises(TransientError):
        sync("a")
    fake.pages["a"] = [Page([row(2)], cursor="two")]

    sync("a")

    assert fake.asked[-1][1] == "one"
    assert query(COUNT) == [(2, 2)]


def test_an_unreachable_system_is_asked_once_not_per_stream(fake, sync):
    for name in ("a", "b", "c"):
        fake.pages[name] = [TransientError("Fake could not be reached.", kind="unreachable", retry_after=90)]

    with pytest.raises(TransientSyncError) as failure:
        sync("a", "b", "c")

    assert len(fake.asked) == 1
    assert failure.value.retry_after == 90
    assert [stream.error is not None for stream in failure.value.outcome.streams] == [True, True, True]


def test_secrets_stay_out_of_failures(fake, sync):
    fake.pages["a"] = [RuntimeError("no luck with sk_live_abcdefghijklmnop")]

    with pytest.raises(TerminalError) as failure:
        sync("a")

    assert "abcdefghijklmnop" not in failure.value.detail + failure.value.sentence
    assert "RuntimeError" in failure.value.detail


def test_what_an_owner_no_longer_has_is_gone(fake, sync, query):
    fake.streams = (StreamSpec("a", primary_key=("id",), columns=COLUMNS, owner_key=("name",)),)
    fake.pages["a"] = [Page([row(1, name="x"), row(2, name="x"), row(3, name="y"), row(4, name="z")], cursor=1)]
    sync("a")
    fake.pages["a"] = [Page([row(2, name="x"), {"id": "y", "name": "y", GONE: True}], cursor=2)]

    sync("a")

    assert query("select id, name from raw_fake_one.a order by id") == [("id_2", "x"), ("id_4", "z")]


def test_starting_over_replaces_what_was_there(fake, sync, query):
    fake.pages["a"] = [Page([row(1), row(2)], cursor=1)]
    sync("a")
    fake.pages["a"] = [Page([row(2), row(3)], starts_over=True), Page([], cursor=2)]

    sync("a")

    assert query("select id from raw_fake_one.a order by id") == [("id_2",), ("id_3",)]


def test_another_cursor_field_reads_from_the_beginning(fake, sync):
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    sync("a", cursor_field="at")
    fake.pages["a"] = [Page([row(1), row(2)], cursor=1)]

    sync("a", cursor_field="amount")

    assert fake.asked[-1][1] is None


def test_incremental_without_a_primary_key_is_refused(fake, sync):
    fake.streams = (StreamSpec("a", columns=COLUMNS),)
    fake.pages["a"] = [Page([row(1)], cursor=1)]

    with pytest.raises(TerminalError, match="primary key"):
        sync("a")


def test_a_row_without_its_key_is_refused(fake, sync):
    fake.pages["a"] = [Page([row(1, id=None)], cursor=1)]

    with pytest.raises(TerminalError, match="without a id"):
        sync("a")


def test_new_columns_join_the_table(fake, sync, query):
    from sources.connectors.base import Column

    fake.pages["a"] = [Page([row(1)], cursor=1)]
    sync("a")
    fake.streams = (StreamSpec("a", primary_key=("id",), columns=(*COLUMNS, Column("colour"))),)
    fake.pages["a"] = [Page([row(2, colour="red")], cursor=2)]

    sync("a")

    assert query("select id, colour from raw_fake_one.a order by id") == [("id_1", None), ("id_2", "red")]


def test_readers_never_meet_an_empty_or_half_filled_table(fake, sync):
    """DuckDB lets nobody else open the file meanwhile, so the reader sits in the same process."""
    fake.pages["a"] = [Page([row(number) for number in range(1000)])]
    sync("a", mode=FULL)
    seen: set[int] = set()
    done = threading.Event()

    def look() -> None:
        with duckdb.connect(str(get_warehouse().path)) as connection:
            while not done.is_set():
                seen.add(connection.execute("select count(*) from raw_fake_one.a").fetchone()[0])

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for size in (1500, 2000, 2500):
            fake.pages["a"] = [Page([row(number) for number in range(size)])]
            sync("a", mode=FULL)
    finally:
        done.set()
        reader.join()

    assert len(seen) > 1
    assert seen <= {1000, 1500, 2000, 2500}


def test_an_emptied_warehouse_is_filled_from_the_beginning(fake, sync, query):
    everything = lambda since: iter([Page([row(n) for n in range(since or 0, 10)], cursor=10)])  # noqa: E731
    fake.pages["a"] = everything
    sync("a")
    get_warehouse().path.unlink()

    outcome = sync("a")

    assert outcome.has_new_data
    assert query(COUNT) == [(10, 10)]


def test_a_restored_warehouse_is_caught_up_from_its_own_cursor(fake, sync, query):
    fake.pages["a"] = lambda since: iter(
        [Page([row(n) for n in range(since or 0, (since or 0) + 10)], cursor=(since or 0) + 10)]
    )
    sync("a")
    path = get_warehouse().path
    backup = path.read_bytes()
    sync("a")
    sync("a")
    assert query(COUNT) == [(30, 30)]
    path.write_bytes(backup)

    sync("a")

    assert fake.asked[-1][1] == 10
    assert query(COUNT) == [(20, 20)]


def test_a_dropped_table_is_read_again_from_the_beginning(fake, sync, query):
    for name in ("a", "b"):
        fake.pages[name] = lambda since: iter([Page([row(n) for n in range(since or 0, 10)], cursor=10)])
    sync("a", "b")
    with duckdb.connect(str(get_warehouse().path)) as connection:
        connection.execute("drop table raw_fake_one.a")

    outcome = sync("a", "b")

    assert outcome.rows == {"a": 10, "b": 0}
    assert query(COUNT) == [(10, 10)]


def test_lost_local_files_are_restored_from_the_warehouse(fake, sync, request_for):
    fake.pages["a"] = [Page([row(1)], cursor="one")]
    sync("a")
    shutil.rmtree(request_for("a").work_dir)

    sync("a")

    assert fake.asked[-1][1] == "one"


def test_a_source_is_synced_by_one_process_at_a_time(fake, sync, request_for):
    with only_one(request_for("a").work_dir, "fake-one"), pytest.raises(TransientError) as failure:
        sync("a")
    assert failure.value.kind == "source_busy"
    assert fake.asked == []


def test_reading_does_not_hold_the_warehouse(fake, sync):
    def pages(since):
        with get_warehouse().writer(timeout=0):
            yield Page([row(1)], cursor=1)

    fake.pages["a"] = pages
    assert sync("a").rows == {"a": 1}


def test_loading_waits_for_the_writer(fake, sync, monkeypatch):
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    monkeypatch.setattr("portal.warehouse.locks.WRITER_TIMEOUT", 0.05)
    taken, done = threading.Event(), threading.Event()

    def other() -> None:
        with get_warehouse().writer():
            taken.set()
            done.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    taken.wait(30)
    try:
        with pytest.raises(TransientError) as failure:
            sync("a")
    finally:
        done.set()
        thread.join()
    assert failure.value.kind == "warehouse_busy"
    assert sync("a").rows == {"a": 1}


def test_the_warehouse_file_is_free_afterwards(fake, sync):
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    sync("a")
    code = f"import duckdb; print(duckdb.connect('{get_warehouse().path}').execute('select count(*) from raw_fake_one.a').fetchone())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1,)"


def test_progress_is_told_at_the_end(fake, request_for):
    fake.pages["a"] = [Page([row(1)]), Page([row(2)], cursor=1)]
    told: list[tuple[str, int]] = []
    DltEngine().sync(request_for("a"), lambda stream, rows: told.append((stream, rows)))
    assert told[-1] == ("a", 2)


def test_a_stream_along_shares_the_requests_of_its_owner(fake, sync, query):
    fake.streams = (
        StreamSpec("a", primary_key=("id",), columns=COLUMNS),
        StreamSpec("b", primary_key=("id",), columns=COLUMNS, comes_with="a"),
    )
    fake.pages["a"] = [Page([row(1)], stream="a"), Page([row(10), row(11)], stream="b"), Page([], cursor=1)]

    outcome = sync("b", "a")

    assert [(request.name, request.along) for request, _ in fake.asked] == [("a", ("b",))]
    assert outcome.rows == {"b": 2, "a": 1}
    assert {stream.cursor for stream in outcome.streams} == {1}


def test_a_stream_that_joins_later_is_read_on_its_own_first(fake, sync):
    fake.streams = (
        StreamSpec("a", primary_key=("id",), columns=COLUMNS),
        StreamSpec("b", primary_key=("id",), columns=COLUMNS, comes_with="a"),
    )
    fake.pages["a"] = [Page([row(1)], cursor=1)]
    sync("a")
    fake.pages["b"] = [Page([row(10)], cursor=1)]
    fake.asked.clear()

    sync("a", "b")

    assert [(request.name, request.along, since) for request, since in fake.asked] == [("a", (), 1), ("b", (), None)]


def test_streams_that_would_share_a_table_are_refused(fake, sync):
    fake.streams = (
        StreamSpec("x.y", primary_key=("id",), columns=COLUMNS),
        StreamSpec("x_y", primary_key=("id",), columns=COLUMNS),
    )
    with pytest.raises(TerminalError, match="would share one table"):
        sync("x.y", "x_y")


def test_loaded_packages_leave_nothing_behind(fake, sync, request_for, query):
    for number in range(3):
        fake.pages["a"] = [Page([row(n, name=str(number)) for n in range(2000)], cursor=number)]
        sync("a")
    left = list(request_for("a").work_dir.rglob("*.parquet"))
    assert left == []
    assert query("select count(*) from raw_fake_one_staging.a") == [(0,)]
