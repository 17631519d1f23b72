"""Every way in which the sandbox can misbehave, against every connector that has a door there.

After the fault the rows read are those of an undisturbed read, or the read failed with a sentence and nothing wrong was
handed out. A connector joins by having a door of its own name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from portal.failures import PortalError
from sandbox.doors.base import Door
from sandbox.faults import KINDS
from sandbox.server import Sandbox
from sources.connectors import CONNECTORS, get_connector
from sources.connectors.base import GONE, StreamRequest, StreamSpec

DOORS = {door.service for door in Door.__subclasses__()}
pytestmark = pytest.mark.slow  # every fault against every stream of every connector

WITH_A_DOOR = sorted(DOORS & set(CONNECTORS))
#: What a client has to get over by itself when it lasts for a few requests.
PASSES = {"429", "500", "502", "503", "504", "reset", "slow", "storm", "secondary_rate_limit", "rate_limit", "truncate"}
#: What only a person can mend.
LASTS = {"expired_token", "forbidden"}
#: Good statuses with something wrong in them.
WRONG = {"cut_short", "duplicate_page", "out_of_order", "clock_skew"}
OPTIONS: dict[str, dict[str, Any]] = {
    "slow": {"seconds": 0.05},
    "storm": {"count": 4, "retry_after": 1},
    "429": {"retry_after": 1},
    "rate_limit": {"retry_after": 1},
    "secondary_rate_limit": {"retry_after": 1},
}

Table = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


@pytest.fixture(params=WITH_A_DOOR)
def system(request: pytest.FixtureRequest, sandbox: Sandbox, pauses: list[float]) -> System:
    return System(request.param, sandbox)


class System:
    """One connector in front of its door."""

    _undisturbed: dict[tuple[str, int], Table] = {}

    def __init__(self, name: str, sandbox: Sandbox) -> None:
        self.name = name
        self.connector = get_connector(name)
        self.door = {door.service: door for door in sandbox.doors}[name]
        self.settings = self.door.endpoint()
        self.now = sandbox.now
        specs = self.connector.streams or self.connector.discover(self.settings)
        self.specs = [spec for spec in specs if not spec.comes_with]

    def undisturbed(self) -> Table:
        if (self.name, self.now) not in self._undisturbed:
            table: Table = {}
            for _ in self.read_into(table):
                pass
            self._undisturbed[self.name, self.now] = table
        return self._undisturbed[self.name, self.now]

    def read_into(self, table: Table, specs: list[StreamSpec] | None = None) -> Iterator[str]:
        """Read every stream into `table` as the engine would merge it; yields each stream's name before its read."""
        for spec in specs or self.specs:
            yield spec.name
            rows = table.setdefault(spec.name, {})
            for page in self.connector.read(self.settings, StreamRequest(spec.name, spec.sync_modes[0]), None):
                if page.stream in ("", spec.name):
                    for row in page.rows if isinstance(page.rows, list) else page.rows.to_pylist():
                        if not row.get(GONE):
                            rows[tuple(row[name] for name in spec.primary_key)] = row


def test_every_fault_has_its_place_in_these_tests():
    assert PASSES | LASTS | WRONG | {"changed_schema"} == KINDS
    assert {"stripe", "github", "mixpanel"} <= set(WITH_A_DOOR)


@pytest.mark.parametrize("kind", sorted(PASSES | WRONG))
def test_what_passes_leaves_the_same_rows_or_is_said(system, kind):
    whole = system.undisturbed()
    found: Table = {}
    told: PortalError | None = None
    try:
        for _ in system.read_into(found):
            system.door.faults.clear()
            system.door.faults.add(kind, **{"count": 2, "after": 1, **OPTIONS.get(kind, {})})
    except PortalError as error:
        told = error
    if told is None:
        assert found == whole
    else:
        assert told.sentence.endswith(".")
        assert told.is_transient
        for stream, rows in found.items():
            assert rows.items() <= whole[stream].items(), stream
    assert system.door.faults.served


@pytest.mark.parametrize("kind", ["429", "500", "reset", "slow", "storm"])
def test_a_short_spell_is_got_over_without_help(system, kind):
    found: Table = {}
    for _ in system.read_into(found):
        system.door.faults.clear()
        system.door.faults.add(kind, **{"count": 2, **OPTIONS.get(kind, {})})
    assert found == system.undisturbed()


@pytest.mark.parametrize("kind", sorted(LASTS))
def test_what_needs_a_person_is_said_in_words_and_hands_out_nothing_wrong(system, kind):
    whole = system.undisturbed()
    found: Table = {}
    system.door.faults.add(kind, count=None, after=1)
    with pytest.raises(PortalError) as failure:
        list(system.read_into(found))
    assert not failure.value.is_transient
    assert failure.value.kind in {"unauthorized", "forbidden"}
    assert failure.value.sentence.endswith(".")
    for stream, rows in found.items():
        assert rows.items() <= whole[stream].items(), stream


@pytest.mark.parametrize("how", ["rename", "retype", "drop"])
def test_a_changed_schema_puts_no_wrong_value_anywhere_and_loses_none(system, how):
    if not system.connector.streams:
        pytest.skip("its columns are the account's own, and its own tests change them")
    whole = system.undisturbed()
    tried = 0
    for spec in system.specs:
        column = _plain_text_column(spec, whole[spec.name])
        if column is None:
            continue
        tried += 1
        name, field = column
        found: Table = {}
        system.door.faults.add("changed_schema", count=None, field=field, how=how)
        told = "."
        try:
            list(system.read_into(found, [spec]))
        except PortalError as error:
            told = error.sentence
        finally:
            system.door.faults.clear()
        assert told.endswith("."), spec.name
        rows = found.get(spec.name, {})
        assert rows.keys() <= whole[spec.name].keys()
        for key, row in rows.items():
            good = whole[spec.name][key]
            same = [each for each in row if each not in {name, "_extra"}]
            assert {each: row[each] for each in same} == {each: good[each] for each in same}
            kept = f"{row[name]} {row['_extra']}"
            assert row[name] in (None, good[name]) or how == "retype", spec.name
            assert how == "drop" or good[name] is None or _text_of(good[name]) in kept, spec.name
    assert tried


def test_every_door_shows_something_new_when_the_clock_moves_on(system, sandbox):
    if not system.connector.streams:
        pytest.skip("its rows change in place, and the sandbox's own tests look at that")
    before = dict(system.undisturbed())
    sandbox.advance(days=3)
    system.now = sandbox.now
    later = system.undisturbed()
    assert any(later[stream].keys() - before[stream].keys() for stream in later)


def _plain_text_column(spec: StreamSpec, rows: dict[tuple[Any, ...], dict[str, Any]]) -> tuple[str, str] | None:
    """A text column that is neither key nor cursor, is filled, and lies on the object itself or in its properties."""
    for column in spec.columns:
        *way, field = (column.path or column.name).split("|")[0].split(".")
        is_special = column.name in {*spec.primary_key, *spec.cursor_fields} or column.name in NEEDED.get(spec.name, ())
        is_near = not way or way in (["properties"], ["$properties"])
        if column.type == "text" and is_near and not is_special and any(row[column.name] for row in rows.values()):
            return column.name, field
    return None


#: Without these a connector cannot even ask for the rest of a stream; what happens then is shown by its own tests.
NEEDED = {"repositories": ("full_name",)}


def _text_of(value: Any) -> str:
    return str(value).replace('"', '\\"')
