"""What every warehouse has to keep, whichever it is: DuckDB, a real PostgreSQL, and BigQuery's emulator."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from typing import Any

import pytest

from portal.failures import TerminalError, TransientError
from tests.warehouses.places import PLACES, Place

pytestmark = pytest.mark.slow


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    made = PLACES[request.param](settings, request)
    write(made, 1)
    return made


def write(place: Place, number: int) -> None:
    """Two marts that always say the same number, and a raw table that must never be published."""
    for schema in ("mart_finance", "mart_sales", "raw_stripe"):
        place.write(f"{schema}.numbers", f"select {number} as n, '100% of mart_x.y?' as words")


class TestContract:
    def test_candidates_are_named_as_everybody_says_them(self, place: Place) -> None:
        place.warehouse.publish("00000001")
        assert place.warehouse.tables() == {"mart_finance.numbers", "mart_sales.numbers", "raw_stripe.numbers"}
        assert place.warehouse.tables(schema_prefix="raw_") == {"raw_stripe.numbers"}

    def test_tables_are_found_by_a_column(self, place: Place) -> None:
        place.warehouse.publish("00000001")
        assert place.warehouse.tables_with("n", schema_prefix="raw_") == {"raw_stripe.numbers"}
        assert place.warehouse.tables_with("nothing") == set()

    def test_a_version_holds_the_marts_and_nothing_else(self, place: Place) -> None:
        location = place.warehouse.publish("00000001")
        assert place.warehouse.columns(location) == {
            "mart_finance.numbers": ("n", "words"),
            "mart_sales.numbers": ("n", "words"),
        }

    def test_a_published_version_never_changes(self, place: Place) -> None:
        location = place.warehouse.publish("00000001")
        write(place, 2)
        assert place.warehouse.query(location, "select max(n) from mart_finance.numbers").rows == [(1,)]
        newer = place.warehouse.publish("00000002")
        assert place.warehouse.query(location, "select max(n) from mart_finance.numbers").rows == [(1,)]
        assert place.warehouse.query(newer, "select max(n) from mart_finance.numbers").rows == [(2,)]

    def test_two_versions_are_compared_in_one_question(self, place: Place) -> None:
        earlier = place.warehouse.publish("00000001")
        write(place, 2)
        later = place.warehouse.publish("00000002")
        sql = (
            "select earlier.n, later.n from before_mart_finance.numbers as earlier"
            " full outer join mart_finance.numbers as later on earlier.words = later.words where later.n >= ?"
        )
        assert place.warehouse.query(later, sql, [2], before=earlier).rows == [(1, 2)]
        with pytest.raises(TerminalError, match="cannot be found"):
            place.warehouse.query(later, sql, [2], before=f"never{earlier}")
        with pytest.raises(TerminalError):
            place.warehouse.query(later, sql, [2])

    def test_a_version_may_be_published_again_after_it_broke_off(self, place: Place) -> None:
        place.warehouse.publish("00000001")
        write(place, 2)
        location = place.warehouse.publish("00000001")
        assert place.warehouse.query(location, "select n from mart_sales.numbers").rows == [(2,)]

    def test_a_mart_that_is_no_more_is_not_in_the_next_version(self, place: Place) -> None:
        place.warehouse.publish("00000001")
        place.run(f"drop table {'' if place.warehouse.scheme == 'duckdb' else 'candidate_'}mart_sales.numbers")
        location = place.warehouse.publish("00000002")
        assert list(place.warehouse.columns(location)) == ["mart_finance.numbers"]

    def test_a_mart_can_be_kept_as_an_earlier_version_has_it(self, place: Place) -> None:
        first = place.warehouse.publish("00000001")
        write(place, 2)
        second = place.warehouse.publish("00000002", kept={"mart_sales.numbers"}, kept_from=first)
        ask = "select f.n, s.n from mart_finance.numbers as f cross join mart_sales.numbers as s"
        assert place.warehouse.query(second, ask).rows == [(2, 1)]
        write(place, 3)
        third = place.warehouse.publish("00000003", kept={"mart_sales.numbers"}, kept_from=second)
        assert place.warehouse.query(third, ask).rows == [(3, 1)]
        assert place.warehouse.query(first, ask).rows == [(1, 1)]

    def test_what_is_kept_and_was_never_published_is_not_in_the_version(self, place: Place) -> None:
        first = place.warehouse.publish("00000001", kept={"mart_sales.numbers"})
        assert list(place.warehouse.columns(first)) == ["mart_finance.numbers"]
        second = place.warehouse.publish("00000002", kept={"mart_sales.numbers"}, kept_from=first)
        assert list(place.warehouse.columns(second)) == ["mart_finance.numbers"]

    def test_only_kept_versions_stay(self, place: Place) -> None:
        locations = [place.warehouse.publish(f"{number:08d}") for number in range(3)]
        assert place.warehouse.discard_unpublished(locations[1:]) == [locations[0]]
        assert place.warehouse.discard_unpublished(locations[1:]) == []
        with pytest.raises(TerminalError, match="cannot be found"):
            place.warehouse.query(locations[0], "select n from mart_finance.numbers")
        assert place.warehouse.query(locations[1], "select n from mart_finance.numbers").rows == [(1,)]

    @pytest.mark.parametrize(
        "sql",
        [
            "drop table mart_finance.numbers",
            "delete from mart_finance.numbers where true",
            "create table mart_finance.mine as select 1 as n",
            "select 1; drop table mart_finance.numbers",
        ],
    )
    def test_a_page_cannot_write(self, place: Place, sql: str) -> None:
        location = place.warehouse.publish("00000001")
        with pytest.raises(TerminalError):
            place.warehouse.query(location, sql)
        assert place.warehouse.query(location, "select n from mart_finance.numbers").rows == [(1,)]

    def test_parameters_are_values_and_never_sql(self, place: Place) -> None:
        location = place.warehouse.publish("00000001")
        sql = "select words, n from mart_finance.numbers -- ?\nwhere words = ? and n = ? and words like '%mart_x.y?'"
        found = place.warehouse.query(location, sql, ["100% of mart_x.y?", 1])
        assert (found.columns, found.rows) == (("words", "n"), [("100% of mart_x.y?", 1)])
        assert place.warehouse.query(location, sql, ["' or '1' = '1", 1]).rows == []

    def test_values_come_as_plain_python(self, place: Place) -> None:
        place.write(
            "mart_finance.values",
            "select cast('2026-03-01' as date) as d, cast('2026-03-01 10:30:00' as timestamp) as t, true as b,"
            " cast(10.5 as numeric) as m, cast(null as date) as nothing",
        )
        location = place.warehouse.publish("00000001")
        rows = place.warehouse.query(
            location,
            "select d, t, b, m, nothing from mart_finance.values where d = ? and t >= ? and b = ?",
            [dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 10), True],
        ).rows
        assert rows == [(dt.date(2026, 3, 1), dt.datetime(2026, 3, 1, 10, 30), True, Decimal("10.5"), None)]

    def test_no_more_rows_come_than_were_asked_for(self, place: Place) -> None:
        place.write("mart_finance.many", " union all ".join(f"select {number} as n" for number in range(20)))
        location = place.warehouse.publish("00000001")
        found = place.warehouse.query(location, "select n from mart_finance.many order by n", limit=3)
        assert found.rows == [(0,), (1,), (2,)]

    def test_a_question_that_is_wrong_is_said_so(self, place: Place) -> None:
        location = place.warehouse.publish("00000001")
        with pytest.raises(TerminalError, match="could not be read"):
            place.warehouse.query(location, "select nonsense from mart_finance.numbers")

    def test_the_right_to_write_nests_in_one_thread_and_excludes_the_others(self, place: Place) -> None:
        refused: list[TransientError] = []

        def other() -> None:
            try:
                with place.warehouse.writer(timeout=0.05):
                    pass
            except TransientError as error:
                refused.append(error)

        with place.warehouse.writer(), place.warehouse.writer():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert refused[0].kind == "warehouse_busy"
        with place.warehouse.writer(timeout=5):
            pass


# What people's tools read beside the portal -----------------------------------------------------------------------
@pytest.fixture(params=["postgresql", "bigquery"])
def shared(request: pytest.FixtureRequest, settings: Any) -> Place:
    made = PLACES[request.param](settings, request)
    write(made, 1)
    return made


def test_a_stable_name_shows_the_newest_version_and_never_a_candidate(shared: Place) -> None:
    shared.warehouse.publish("00000001")
    write(shared, 2)
    assert shared.run("select n from mart_finance.numbers") == [(1,)]
    shared.warehouse.publish("00000002")
    assert shared.run("select n from mart_finance.numbers") == [(2,)]


def test_a_stable_name_follows_columns_and_tables_that_change(shared: Place) -> None:
    shared.warehouse.publish("00000001")
    shared.write("mart_finance.numbers", "select 'seven' as n")
    shared.run("drop table candidate_mart_sales.numbers")
    shared.write("mart_sales.deals", "select 1 as deal")
    shared.warehouse.publish("00000002")
    assert shared.run("select * from mart_finance.numbers") == [("seven",)]
    assert shared.run("select * from mart_sales.deals") == [(1,)]
    with pytest.raises(Exception, match="numbers"):
        shared.run("select * from mart_sales.numbers")


def test_what_stable_names_show_is_never_discarded(shared: Place) -> None:
    locations = [shared.warehouse.publish(f"{number:08d}") for number in range(2)]
    assert shared.warehouse.discard_unpublished([]) == [locations[0]]
    assert shared.run("select n from mart_finance.numbers") == [(1,)]
