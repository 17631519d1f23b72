"""The factories make rows that the models accept."""

from __future__ import annotations

import inspect

import pytest
from factory.django import DjangoModelFactory

from tests import factories

FACTORIES = [
    value
    for _, value in inspect.getmembers(factories, inspect.isclass)
    if issubclass(value, DjangoModelFactory) and value._meta.model is not None and not value._meta.abstract
]


@pytest.mark.django_db
@pytest.mark.parametrize("made", FACTORIES, ids=lambda value: value.__name__)
def test_every_factory_makes_a_valid_row(made):
    row = made()
    # What is empty is empty on purpose; that a form would call it blank is no matter here.
    empty = [field.name for field in row._meta.fields if not getattr(row, field.attname)]
    row.full_clean(exclude=empty)
    assert row.pk is not None
    assert str(row)


@pytest.mark.django_db
def test_a_source_comes_with_as_many_streams_as_asked_for():
    source = factories.SourceFactory(streams=3, streams__freshness_minutes=15)
    assert [stream.freshness_minutes for stream in source.streams.all()] == [15, 15, 15]
