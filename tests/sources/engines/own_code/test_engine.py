"""A company's own code against a real DuckDB file: its dispositions, its state, and what is left out when it fails."""

from __future__ import annotations

import shutil
from dataclasses import replace

import duckdb
import pytest

from portal.failures import PortalError
from portal.warehouse import get_warehouse
from sources.engines.base import TerminalSyncError
from sources.engines.own_code.engine import OwnCodeEngine
from tests.sources.engines.own_code.slack import TOKEN

pytestmark = pytest.mark.slow


def test_the_company_s_file_loads_unchanged_and_goes_on_where_it_was(slack_activity, slack, sync, query):
    slack.say("C0GENERAL", "1700000001.000100", "1700000002.000100", reactions=[{"name": "tada"}])
    slack.say("C0PRODUCT", "1700000003.000100", reply_count=4)

    first = sync("slack_activity", "messages")

    assert first.rows == {"messages": 3}
    assert first.has_new_data
    assert first.streams[0].cursor == "1700000003.000100"
    assert first.streams[0].columns["reaction_count"] == "bigint"
    slack.say("C0GENERAL", "1700000004.000100")
    asked = len(slack.requests)
    assert sync("slack_activity", "messages").rows == {"messages": 1}
    assert slack.requests[asked]["oldest"] == "1700000003.000100"
    assert query("select ts, channel, reaction_count, thread_reply_count from raw_slack_activity.messages order by ts") == [
        ("1700000001.000100", "C0GENERAL", 1, 0),
        ("1700000002.000100", "C0GENERAL", 1, 0),
        ("1700000003.000100", "C0PRODUCT", 0, 4),
        ("1700000004.000100", "C0GENERAL", 0, 0),
    ]  # fmt: skip


def test_a_test_of_it_says_what_came(slack_activity, slack):
    slack.say("C0GENERAL", "1700000001.000100")

    assert OwnCodeEngine().check("slack_activity", {"slack_token": TOKEN}) == (
        "slack_activity.py runs: messages sent 1 row on a first look. Nothing was loaded."
    )


@pytest.mark.parametrize(
    ("answers", "sentence", "kind"),
    [
        (
            lambda channel, number: (429, {"ok": False, "error": "ratelimited"}) if channel == "C0PRODUCT" else None,
            "slack_activity.py, line 19: slack.com answered a request with HTTP 429, and the code went on as if nothing was "
            "missing. Nothing was loaded, so that no rows are lost.",
            "rate_limited",
        ),
        (
            lambda channel, number: (200, {"ok": False, "error": "channel_not_found"}),
            "slack_activity.py, line 19: slack.com answered 3 requests with “channel_not_found”, and the code went on as if "
            "nothing was missing. Nothing was loaded, so that no rows are lost.",
            "refused",
        ),
    ],
)
def test_a_refusal_that_the_code_ignores_is_no_empty_channel(
    slack_activity, slack, sync, query, answers, sentence, kind
):
    slack.say("C0GENERAL", "1700000001.000100")
    slack.say("C0PRODUCT", "1700000002.000100")
    slack.answers = answers

    with pytest.raises(PortalError) as failure:
        sync("slack_activity", "messages")

    assert (failure.value.sentence, failure.value.kind) == (sentence, kind)
    assert failure.value.is_transient == (kind == "rate_limited")
    slack.answers = lambda channel, number: None
    assert sync("slack_activity", "messages").rows == {"messages": 2}
    assert query("select ts from raw_slack_activity.messages order by ts") == [
        ("1700000001.000100",),
        ("1700000002.000100",),
    ]


def test_a_person_may_say_that_refusals_are_expected(slack_activity, slack, sync):
    slack.say("C0GENERAL", "1700000001.000100")
    slack.answers = lambda channel, number: (403, {}) if channel == "C0PRODUCT" else None

    assert sync("slack_activity", "messages", portal_ignore_refusals=True).rows == {"messages": 1}


SHOP = """
@dlt.source
def shop(size: int = dlt.config.value):
    @dlt.resource(primary_key="id", write_disposition="merge")
    def orders(at=dlt.sources.incremental("at", initial_value=0)):
        yield [{"id": n, "at": n, "lines": [{"sku": f"{n}-{m}"} for m in range(2)]} for n in range(at.start_value, size)]

    @dlt.resource(write_disposition="append")
    def visits(at=dlt.sources.incremental("at", initial_value=-1, range_start="open")):
        yield [{"at": n, "pages": [{"path": "/"}]} for n in range(at.start_value + 1, size)]

    @dlt.resource(write_disposition="replace")
    def prices():
        yield [{"sku": n} for n in range(size)]

    @dlt.transformer(data_from=prices, write_disposition="replace")
    def tags(rows):
        yield [{"sku": row["sku"], "tag": "new"} for row in rows]

    return orders, visits, prices, tags
"""
COUNTS = (
    "select (select count(*) from raw_shop.orders), (select count(*) from raw_shop.orders__lines),"
    " (select count(*) from raw_shop.visits), (select count(*) from raw_shop.visits__pages),"
    " (select count(*) from raw_shop.prices), (select count(*) from raw_shop.tags)"
)


def test_the_code_decides_how_rows_are_written(drop, sync, query):
    drop("shop", SHOP)

    first = sync("shop", "orders", "visits", "prices", "tags", size=3)
    second = sync("shop", "orders", "visits", "prices", "tags", size=5)

    assert first.rows == {"orders": 9, "visits": 6, "prices": 3, "tags": 3}  # nested rows count to their stream
    assert second.rows == {"orders": 6, "visits": 4, "prices": 5, "tags": 5}
    assert query(COUNTS) == [(5, 10, 5, 5, 5, 5)]


def test_only_the_streams_that_are_ticked_are_extracted(drop, sync, query):
    drop("shop", SHOP)

    assert sync("shop", "visits", size=3).rows == {"visits": 6}
    assert query("select table_name from duckdb_tables() where schema_name = 'raw_shop' and table_name not like '_dlt%'"
                 " order by 1") == [("visits",), ("visits__pages",)]  # fmt: skip


def test_a_resource_that_is_gone_is_said_and_the_others_are_read(drop, sync, query):
    drop("shop", SHOP)

    with pytest.raises(TerminalSyncError) as failure:
        sync("shop", "visits", "returns", size=3)

    assert failure.value.sentence == (
        "Stream “returns”: shop.py has no such resource any more. Switch the stream off, or put it back."
    )
    assert failure.value.outcome.rows == {"visits": 6, "returns": 0}


def test_a_replaced_table_that_would_lose_its_rows_is_kept_until_a_person_accepts(drop, sync, query):
    drop("shop", SHOP)
    sync("shop", "visits", "prices", size=3)

    with pytest.raises(TerminalSyncError) as failure:
        sync("shop", "visits", "prices", size=0)

    assert failure.value.kind == "shrunk"
    assert query("select count(*) from raw_shop.prices") == [(3,)]
    sync("shop", "prices", size=0, accept_fewer=True)
    assert query("select count(*) from raw_shop.prices") == [(0,)]


def test_a_table_that_somebody_dropped_is_read_from_the_beginning(drop, sync, query):
    drop("shop", SHOP)
    sync("shop", "orders", "visits", size=3)
    with duckdb.connect(str(get_warehouse().path)) as connection:
        connection.execute("drop table raw_shop.visits")

    sync("shop", "orders", "visits", size=4)

    assert query("select count(*), (select count(*) from raw_shop.orders) from raw_shop.visits") == [(4, 4)]


def test_an_emptied_warehouse_is_filled_from_the_beginning(drop, sync, query):
    drop("shop", SHOP)
    sync("shop", "visits", size=3)
    get_warehouse().path.unlink()

    sync("shop", "visits", size=4)

    assert query("select count(*) from raw_shop.visits") == [(4,)]


def test_a_lost_folder_is_made_anew_from_the_warehouse(drop, sync, query, tmp_path):
    drop("shop", SHOP)
    sync("shop", "visits", size=3)
    shutil.rmtree(tmp_path / "work")

    assert sync("shop", "visits", size=4).rows == {"visits": 2}
    assert query("select count(*) from raw_shop.visits") == [(4,)]


def test_edited_code_counts_from_the_next_run_on(drop, sync, query):
    drop("shop", "@dlt.resource\ndef rows(): yield {'version': 1}")
    sync("shop", "rows")
    drop("shop", "@dlt.resource\ndef rows(): yield {'version': 2}")

    sync("shop", "rows")

    assert query("select version from raw_shop.rows order by 1") == [(1,), (2,)]


def test_helpers_arrow_tables_and_two_sources_in_one_file(drop, sync, query):
    drop("_numbers", "def numbers(): return [1, 2, 3]")
    drop(
        "shop",
        """
        import pyarrow
        from _numbers import numbers
        @dlt.source
        def one():
            @dlt.resource
            def table(): yield pyarrow.table({"n": numbers()})
            return table
        @dlt.source
        def two():
            @dlt.resource
            def rows(): yield [{"n": n} for n in numbers()]
            return rows
        """,
    )

    assert sync("shop", "table", "rows").rows == {"table": 3, "rows": 3}
    sync("shop", "table", "rows")
    assert query("select (select count(*) from raw_shop.table), (select count(*) from raw_shop.rows)") == [(6, 6)]


def test_a_secret_is_nowhere_but_in_the_pipe(drop, sync, query, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTAL_KEY", "the portal's own")
    drop(
        "shop",
        """
        import os, sys
        @dlt.resource
        def rows(token=dlt.secrets.value, zone=dlt.config.value):
            arguments = open("/proc/self/cmdline").read() + open(f"/proc/{os.getppid()}/cmdline").read()
            yield {"in_arguments": token in arguments, "in_environment": token in str(os.environ),
                   "portal_key": "PORTAL_KEY" in os.environ, "length": len(token), "zone": zone,
                   "input": sys.stdin.read(), "folder": os.listdir(".")}
        """,
    )
    token = "sesame-open-0123456789"

    sync("shop", "rows", token=token, zone="eu")

    assert query(
        "select in_arguments, in_environment, portal_key, length, zone, input from raw_shop.rows"
    ) == [(False, False, False, len(token), "eu", "")]  # fmt: skip
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
    assert holding == []


def test_what_the_code_offers_is_found_by_running_it(drop):
    drop(
        "shop",
        """
        @dlt.source
        def shop():
            for name in ("red", "blue"):
                yield dlt.resource([{"id": 1}], name=name, primary_key="id", write_disposition="merge")
            yield dlt.resource([1], name="hidden", selected=False)
        """,
    )

    found = OwnCodeEngine().discover("shop", {})

    assert [(spec.name, spec.primary_key, spec.description) for spec in found] == [
        ("red", ("id",), "Rows are merged by their key."),
        ("blue", ("id",), "Rows are merged by their key."),
    ]
    assert OwnCodeEngine().check("shop", {}) == (
        "shop.py runs: red sent 1 row, blue sent 1 row on a first look. Nothing was loaded."
    )


def test_a_new_column_is_told_and_held_where_that_is_the_policy(drop, request_for, query):
    request = request_for("shop", "rows")
    held = replace(request, streams=(replace(request.streams[0], holds_changes=True),))
    drop("shop", "@dlt.resource\ndef rows(): yield {'a': 1}")
    first = OwnCodeEngine().sync(held, lambda stream, rows: None)
    drop("shop", "@dlt.resource\ndef rows(): yield {'a': 2, 'b': 'new'}")

    with pytest.raises(TerminalSyncError) as failure:
        OwnCodeEngine().sync(held, lambda stream, rows: None)

    assert (first.streams[0].changes, first.streams[0].table_rows) == ([], 1)
    assert failure.value.kind == "held"
    assert [(change.words, change.is_held) for change in failure.value.outcome.streams[0].changes] == [
        ("column “b” was added", True)
    ]
    assert query("select a from raw_shop.rows") == [(1,)]
    free = OwnCodeEngine().sync(request, lambda stream, rows: None).streams[0]
    assert ([change.words for change in free.changes], free.table_rows) == (["column “b” was added"], 2)
