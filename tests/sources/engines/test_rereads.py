"""Reading a stream again with the real engine: from the beginning, or since a day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.failures import TransientError
from sources.connectors.base import Again, Page, SyncMode
from sources.engines.base import TerminalSyncError, TransientSyncError
from tests.sources.engines.fakes import row

pytestmark = pytest.mark.slow

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = "select id, name from raw_fake_one.a order by id"


@pytest.fixture
def filled(fake, sync):
    """A table with two rows, read up to "one"."""
    fake.pages["a"] = [Page([row(1), row(2)], cursor="one")]
    sync("a")


def test_reset_reads_everything_and_replaces_the_table(fake, sync, query, filled):
    fake.pages["a"] = [Page([row(2, name="anew"), row(3)], cursor="two")]

    outcome = sync("a", again=Again("1")).streams[0]

    assert fake.asked[-1][1] is None
    assert (outcome.again, outcome.cursor, outcome.rows) == ("1", "two", 2)
    assert query(NAMES) == [("id_2", "anew"), ("id_3", "name 3")]


def test_a_reset_that_breaks_off_leaves_the_old_rows_and_the_cursor(fake, sync, query, filled):
    fake.pages["a"] = [Page([row(3)], cursor="half"), TransientError("Away.")]

    with pytest.raises(TransientSyncError) as failure:
        sync("a", again=Again("1"))

    outcome = failure.value.outcome.streams[0]
    assert (outcome.again, outcome.cursor) == ("", "one")
    assert query(NAMES) == [("id_1", "name 1"), ("id_2", "name 2")]


def test_a_wish_is_carried_out_once(fake, sync, filled):
    fake.pages["a"] = [Page([row(1), row(2)], cursor="two")]
    sync("a", again=Again("1"))

    # The worker died before it could say so: the wish comes again.
    outcome = sync("a", again=Again("1")).streams[0]

    assert fake.asked[-1][1] == "two"
    assert outcome.again == "1"


def test_a_second_wish_is_another_one(fake, sync, filled):
    fake.pages["a"] = [Page([row(1), row(2)], cursor="two")]
    sync("a", again=Again("1"))
    sync("a", again=Again("2"))

    assert [since for _, since in fake.asked] == [None, None, None]


def test_backfill_merges_what_is_newer_than_the_day(fake, sync, query, filled):
    fake.pages["a"] = [Page([row(2, name="mended"), row(3)], cursor="two")]

    outcome = sync("a", again=Again("1", MARCH)).streams[0]

    assert fake.asked[-1][1] == {"since": "one", "back_to": "2026-03-01"}
    assert (outcome.again, outcome.cursor) == ("1", "two")
    assert query(NAMES) == [("id_1", "name 1"), ("id_2", "mended"), ("id_3", "name 3")]


def test_after_a_backfill_without_a_cursor_the_old_one_goes_on(fake, sync, filled):
    fake.pages["a"] = [Page([row(2)])]

    outcome = sync("a", again=Again("1", MARCH)).streams[0]
    sync("a")

    assert outcome.cursor == "one"
    assert fake.asked[-1][1] == "one"


def test_a_backfill_that_breaks_off_moves_nothing(fake, sync, query, filled):
    fake.pages["a"] = [Page([row(2, name="mended")], cursor="back then"), TransientError("Away.")]

    with pytest.raises(TransientSyncError):
        sync("a", again=Again("1", MARCH))
    fake.pages["a"] = []
    sync("a")

    assert fake.asked[-1][1] == "one"
    assert query(NAMES) == [("id_1", "name 1"), ("id_2", "name 2")]


def test_a_backfill_that_finds_nothing_is_done(fake, sync, filled):
    fake.pages["a"] = [Page([], cursor="one")]

    assert sync("a", again=Again("1", MARCH)).streams[0].again == "1"


def test_a_stream_that_cannot_reach_back_says_so_and_its_sibling_goes_on(fake, sync, query, filled):
    fake.can_reach_back = False
    fake.pages["b"] = [Page([row(1)], cursor="one")]

    with pytest.raises(TerminalSyncError, match="cannot be read again from a day"):
        sync("a", "b", again=Again("1", MARCH))

    assert query("select count(*) from raw_fake_one.b") == [(1,)]


def test_a_first_read_is_all_that_a_wish_can_want(fake, sync):
    fake.pages["a"] = [Page([row(1)], cursor="one")]

    assert sync("a", again=Again("1", MARCH)).streams[0].again == "1"
    assert fake.asked[-1][1] is None


def test_a_reset_that_would_shrink_the_table_suspiciously_is_refused(fake, sync, query, filled):
    fake.pages["a"] = [Page([], cursor="two")]

    with pytest.raises(TerminalSyncError, match="more often a fault"):
        sync("a", again=Again("1"))

    assert len(query(NAMES)) == 2


def test_a_stream_that_is_read_completely_each_time_fulfils_a_wish_by_itself(fake, sync):
    fake.pages["a"] = [Page([row(1)])]
    sync("a", mode=SyncMode.FULL_REFRESH)

    assert sync("a", mode=SyncMode.FULL_REFRESH, again=Again("1")).streams[0].again == "1"
