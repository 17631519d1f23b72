from __future__ import annotations

import json

import pytest

from sources import offers
from sources.connectors.base import StreamSpec, SyncMode
from tests.factories import SourceFactory, StreamFactory
from tests.sources.systems import LABELS, NOTES, ORDERS


def test_a_spec_survives_as_plain_data():
    for spec in (ORDERS, LABELS, NOTES):
        data = json.loads(json.dumps(offers.to_plain(spec)))
        assert offers.to_plain(offers.from_plain(data)) == offers.to_plain(spec)


def test_only_sound_modes_are_possible():
    assert offers.possible_modes(ORDERS) == [SyncMode.INCREMENTAL, SyncMode.FULL_REFRESH]
    assert offers.possible_modes(LABELS) == [SyncMode.FULL_REFRESH]
    assert offers.possible_modes(StreamSpec("plain", primary_key=("id",))) == [SyncMode.FULL_REFRESH]


def test_a_declared_key_is_the_only_choice_and_without_one_a_column_may_be_chosen():
    assert offers.possible_keys(ORDERS) == [("id",)]
    assert offers.possible_keys(NOTES) == [(), ("number",), ("written_at",)]


def test_without_a_declared_key_everything_is_read_each_time_until_somebody_knows_better():
    assert offers.suggested(NOTES)["sync_mode"] == SyncMode.FULL_REFRESH
    assert offers.suggested(ORDERS) == {
        "sync_mode": "incremental",
        "cursor_field": "updated_at",
        "primary_key": ["id"],
    }


@pytest.mark.django_db
def test_new_streams_come_switched_off():
    source = SourceFactory()
    applied = offers.apply(source, [ORDERS, LABELS])
    assert applied.new == ["orders", "labels"]
    assert not source.streams.filter(is_enabled=True).exists()
    orders = source.streams.get(name="orders")
    assert (orders.label, orders.cursor_field, orders.primary_key) == ("Orders", "updated_at", ["id"])
    assert "Nothing of it is read until you tick it" in applied.sentence()


@pytest.mark.django_db
def test_what_people_chose_stays_when_a_source_is_looked_at_again():
    source = SourceFactory()
    StreamFactory(
        source=source,
        name="orders",
        sync_mode="full_refresh",
        cursor_field="created_at",
        primary_key=["id"],
        freshness_minutes=15,
    )
    applied = offers.apply(source, [ORDERS])
    orders = source.streams.get(name="orders")
    assert (orders.sync_mode, orders.cursor_field, orders.freshness_minutes) == ("full_refresh", "created_at", 15)
    assert orders.is_enabled
    assert orders.offered["cursor_fields"] == ["updated_at", "created_at"]
    assert applied.sentence() == "The streams are the ones you know."


@pytest.mark.django_db
def test_what_was_left_open_is_filled_with_the_suggestion():
    source = SourceFactory()
    StreamFactory(source=source, name="orders", cursor_field="", primary_key=[])
    offers.apply(source, [ORDERS])
    orders = source.streams.get(name="orders")
    assert (orders.cursor_field, orders.primary_key) == ("updated_at", ["id"])


@pytest.mark.django_db
def test_a_vanished_stream_is_marked_and_kept_and_may_come_back():
    source = SourceFactory()
    StreamFactory(source=source, name="orders")
    gone = offers.apply(source, [LABELS])
    assert gone.gone == ["orders"]
    assert "No longer offered: orders." in gone.sentence()
    assert source.streams.get(name="orders").is_offered is False
    assert offers.apply(source, [LABELS]).gone == []  # said once
    back = offers.apply(source, [ORDERS, LABELS])
    assert back.back == ["orders"]
    assert source.streams.get(name="orders").is_offered is True
