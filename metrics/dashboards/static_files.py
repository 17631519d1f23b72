"""Finds the scripts of Dash and Plotly inside their packages, so that nothing is loaded from elsewhere.

django-plotly-dash has a finder too; it imports Dash, lists thousands of files, and stumbles when it is asked for all of
them without a pattern, as WhiteNoise does. This one knows the few files that the charts load, and imports nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage

PREFIX = "dash/component"
# (package, folder below it, which files): those of `dash_app.scripts`, and what they load when they draw.
FOLDERS = (
    ("dash", "deps", r"(polyfill|react|react-dom|prop-types)@[\d.]+\.min\.js"),
    ("dash", "dash-renderer/build", r"dash_renderer\.min\.js"),
    ("dash", "dcc", r"(dash_core_components(-shared)?|async-(graph|plotlyjs))\.js"),
    ("dash", "html", r"dash_html_components\.min\.js"),
    ("plotly", "package_data", r"plotly\.min\.js"),
)


class DashFinder(BaseFinder):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._storages = [
            (storage, re.compile(pattern))
            for package, folder, pattern in FOLDERS
            if (storage := _storage(package, folder)) is not None
        ]
        super().__init__(*args, **kwargs)

    def check(self, **kwargs: Any) -> list[Any]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """django.contrib.staticfiles calls the second argument `find_all`, and before Django 5.2 `all`."""
        found = [storage.path(name) for name, storage in self.list(None) if f"{storage.prefix}/{name}" == path]  # type: ignore[attr-defined]
        if find_all or kwargs.get("all"):
            return found
        return found[0] if found else []

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        for storage, pattern in self._storages:
            for name in sorted(storage.listdir("")[1]):
                if pattern.fullmatch(name):
                    yield name, storage


def _storage(package: str, folder: str) -> FileSystemStorage | None:
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        return None
    storage = FileSystemStorage(location=Path(places[0]) / folder)
    storage.prefix = f"{PREFIX}/{package}/{folder}"  # type: ignore[attr-defined]
    return storage
