"""Engines by name. Dotted paths, so that the web process imports none of them."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from sources.engines.base import Engine

ENGINES: dict[str, str] = {"dlt": "sources.engines.dlt_engine.DltEngine"}


@cache
def get_engine(name: str) -> Engine:
    return import_string(ENGINES[name])()
