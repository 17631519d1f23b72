"""Engines by name. Dotted paths, so that the web process imports none of them."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from sources.connectors import CONNECTORS, find_connector
from sources.engines.base import Engine

ENGINES: dict[str, str] = {
    "dlt": "sources.engines.dlt_engine.DltEngine",
    "code": "sources.engines.own_code.engine.OwnCodeEngine",
}


def engine_for(connector: str) -> str:
    """The name of the engine that reads sources of that connector: own code has one of its own."""
    return "code" if connector not in CONNECTORS and find_connector(connector) else "dlt"


# Those that understand `StreamRequest.again`: a stream of theirs can be reset and backfilled.
CAN_REREAD = frozenset({"dlt"})


@cache
def get_engine(name: str) -> Engine:
    return import_string(ENGINES[name])()
