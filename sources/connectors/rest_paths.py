"""Paths into an answer as people write them: `data.items`, `data[0].id`, `$.paging.next`, `data[-1].id` for the last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MISSING = object()
_PATH = re.compile(r"""^\$?\.?(?:[^.\[\]|]+|\[-?\d+\])(?:\.[^.\[\]|]+|\[-?\d+\])*$""")


def is_path(text: str) -> bool:
    return text in {"", "$"} or bool(_PATH.match(text))


def steps(path: str) -> tuple[str, ...]:
    bare = path.strip().removeprefix("$").replace("[", ".").replace("]", "")
    return tuple(step for step in bare.split(".") if step)


def dotted(path: str) -> str:
    """The path as `shape.dig` reads it."""
    return ".".join(steps(path))


def at(value: Any, path: str) -> Any:
    """What is at `path`; `MISSING` when the way there ends early. The empty path is the value itself."""
    for step in steps(path):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and re.fullmatch(r"-?\d+", step) and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def lists_of_objects(value: Any, *, deep: int = 3) -> list[tuple[str, int]]:
    """Where lists of objects are in an answer: (path, how many), the longest first."""
    return sorted(_lists(value, (), deep), key=lambda found: (-found[1], found[0].count(".")))


def _lists(value: Any, path: tuple[str, ...], deep: int) -> Iterator[tuple[str, int]]:
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) for item in value):
            yield ".".join(path), len(value)
    elif isinstance(value, Mapping) and deep:
        for key, inner in value.items():
            if "." not in key:
                yield from _lists(inner, (*path, key), deep - 1)


def scalars(value: Any, *, deep: int = 3) -> Iterator[tuple[str, Any]]:
    """(path, value) of the texts and numbers in an answer that are not inside lists."""
    if isinstance(value, Mapping) and deep:
        for key, inner in value.items():
            for path, found in scalars(inner, deep=deep - 1):
                yield (f"{key}.{path}" if path else key), found
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        yield "", value
