"""The work of the child: import the company's file, fill in what it asks for, and let dlt extract and normalize it.

The code decides what its rows are, how they are written and what it remembers: nothing of that is changed here. The
packages stay in dlt's folder; loading them is the worker's part, so no code of a company ever holds the warehouse.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Mapping
from inspect import isfunction, signature
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from sources.engines.own_code.mistakes import StreamsError, resource_in
from sources.engines.own_code.refusals import Watch

LOOKED_AT = 10  # items of each resource that a test pulls


def do(order: Mapping[str, Any], say: Any) -> None:
    """Carry out `order["action"]`: check, discover or extract."""
    import dlt  # quiet and private by the environment that process.py made

    path = Path(order["path"])
    watch = Watch(path)
    watch.install()
    _provide(order["settings"])
    module = _imported(path)
    sources = _sources(dlt, module)
    if order["action"] == "discover":
        say({"answer": [_plain(resource) for resource in _resources(sources).values()]})
        return
    if order["action"] == "check":
        answer = _looked(sources)
    else:
        pipeline = _extracted(dlt, sources, order, say)
    if not order["ignore_refusals"]:
        watch.raise_if_any()
    if order["action"] != "check":
        answer = _normalized(pipeline, order["streams"])
    say({"answer": answer})


def _provide(settings: Mapping[str, Any]) -> None:
    """Make the form's values the first place dlt looks for secrets and settings."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.providers.dictionary import DictionaryProvider
    from dlt.common.configuration.specs import PluggableRunContext

    provider = DictionaryProvider()
    for name, value in settings.items():
        *sections, key = name.split(".")
        provider.set_value(key, value, None, *sections)
    Container()[PluggableRunContext].providers.providers.insert(0, provider)


def _imported(path: Path) -> ModuleType:
    # Last, so that a file called json.py is nobody's json; files beginning with “_” can be imported from here.
    sys.path.append(str(path.parent))
    sys.dont_write_bytecode = True
    # dlt names its sections after the last part; the first keeps the file out of the way of libraries.
    name = f"pipelines.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _sources(dlt: Any, module: ModuleType) -> list[Any]:
    """Every source of the module, evaluated; without one, its resources together are the source."""
    from dlt.extract import DltResource
    from dlt.extract.decorators import DltSourceFactoryWrapper

    own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    factories = [each for each in own if isinstance(each, DltSourceFactoryWrapper)]
    if factories:
        return [factory() for factory in dict.fromkeys(factories)]
    resources = [each for each in vars(module).values() if isinstance(each, DltResource)]
    if not resources:
        raise TypeError("it defines no @dlt.source and no @dlt.resource, so there is nothing to read")
    section = module.__name__.rpartition(".")[2]
    return [dlt.source(lambda: resources, name=section, section=section)()]


def _resources(sources: list[Any]) -> dict[str, Any]:
    """What the sources hand out, by name."""
    found: dict[str, Any] = {}
    for source in sources:
        for name, resource in source.resources.selected.items():
            if name in found:
                raise ValueError(f"two of its sources have a resource called “{name}”; rename one of them")
            found[name] = resource
    return found


def _plain(resource: Any) -> dict[str, Any]:
    hints = resource.compute_table_schema() if not callable(resource.write_disposition) else {}
    keys = [name for name, column in hints.get("columns", {}).items() if column.get("primary_key")]
    incremental = getattr(resource.incremental, "incremental", resource.incremental)
    cursor = getattr(incremental, "cursor_path", "") or _declared_cursor(resource)
    disposition = hints.get("write_disposition", "append")
    gen = resource._pipe.gen
    text = ((gen.__doc__ if isfunction(gen) else "") or "").strip().partition("\n\n")[0]
    return {
        "name": resource.name,
        "description": " ".join(text.split()),
        "disposition": str(disposition),
        "primary_key": keys,
        "cursor": str(cursor),
    }


def _declared_cursor(resource: Any) -> str:
    """The cursor in the parameters' defaults: dlt binds it only once the resource runs."""
    gen = resource._pipe.gen
    if not callable(gen):
        return ""
    defaults = [parameter.default for parameter in signature(gen).parameters.values()]
    return next((each.cursor_path for each in defaults if type(each).__name__ == "Incremental"), "")


def _looked(sources: list[Any]) -> dict[str, int]:
    rows = {}
    for name, resource in _resources(sources).items():
        try:
            rows[name] = sum(_weigh(item) for item in islice(iter(resource), LOOKED_AT))
        except Exception as error:
            raise StreamsError([name]) from error
    return rows


def _weigh(item: Any) -> int:
    if isinstance(item, list):
        return len(item)
    return getattr(item, "num_rows", 1)


def _extracted(dlt: Any, sources: list[Any], order: Mapping[str, Any], say: Any) -> Any:
    resources = _resources(sources)
    wanted = order["streams"]
    if gone := [name for name in wanted if name not in resources]:
        file = Path(order["path"]).name
        raise StreamsError(gone, f"{file} has no such resource any more. Switch the stream off, or put it back.")
    parts = [source.with_resources(*(name for name in source.resources if name in wanted)) for source in sources]
    parts = [part for part in parts if part.resources.selected]
    pipeline = _pipeline(dlt, order["pipeline"], say)
    try:
        pipeline.extract(parts)
    except Exception as error:
        streams = _that_fail_with(error, resources, wanted)
        raise StreamsError(streams) from error
    return pipeline


def _normalized(pipeline: Any, wanted: list[str]) -> dict[str, Any]:
    pipeline.normalize()
    trace = pipeline.last_trace.last_normalize_info if pipeline.last_trace else None
    return _told(pipeline, dict(trace.row_counts) if trace else {}, wanted)


def _pipeline(dlt: Any, place: Mapping[str, str], say: Any) -> Any:
    from dlt.common.runtime.collector import NULL_COLLECTOR

    from sources.engines.own_code.destination import for_packages

    class Progress(type(NULL_COLLECTOR)):  # type: ignore[misc]
        """dlt's own way of telling how far it is."""

        def __init__(self) -> None:
            super().__init__()
            self.rows: dict[str, int] = {}
            self.told_at: dict[str, float] = {}

        def update(self, name: str, inc: int = 1, *args: Any, **options: Any) -> None:
            if self.step.startswith("Extract") and not name.startswith("_dlt") and name != "Resources":
                self.rows[name] = self.rows.get(name, 0) + inc
                if time.monotonic() - self.told_at.get(name, 0.0) >= 1.0:
                    self.told_at[name] = time.monotonic()
                    say({"progress": [name, self.rows[name]]})

    return dlt.pipeline(
        place["name"],
        pipelines_dir=place["folder"],
        destination=for_packages(place["warehouse"]),
        dataset_name=place["dataset"],
        progress=Progress(),
    )


def _that_fail_with(error: BaseException, resources: Mapping[str, Any], wanted: list[str]) -> list[str]:
    """The streams that cannot be read because of `error`: the one it happened in and those that feed on it."""
    current: BaseException | None = error
    while current is not None:
        if name := resource_in(current):
            return [each for each in wanted if name in _ancestry(resources[each])]
        current = current.__cause__ or current.__context__
    return []


def _ancestry(resource: Any) -> list[str]:
    names, pipe = [], resource._pipe
    while pipe is not None:
        names.append(pipe.name)
        pipe = pipe.parent
    return names


def _told(pipeline: Any, counts: Mapping[str, int], wanted: list[str]) -> dict[str, Any]:
    """Per stream: rows, nested tables' included; the tables they are in; columns and the cursor of its own table."""
    told: dict[str, Any] = {
        name: {"rows": 0, "tables": {}, "columns": {}, "cursor": None, "disposition": ""} for name in wanted
    }
    for schema_name in pipeline.schemas:
        schema = pipeline.schemas[schema_name]
        own_name = schema.naming.normalize_identifier
        state = pipeline.state.get("sources", {}).get(schema_name, {}).get("resources", {})
        for table in schema.data_tables(seen_data_only=True):
            root = table
            while root.get("parent"):
                root = schema.tables[root["parent"]]
            stream = told.get(root.get("resource", ""))
            if stream is None:
                continue
            rows = counts.get(table["name"], 0)
            stream["rows"] += rows
            stream["tables"][table["name"]] = rows
            # A resource may fill several tables; the one of its own name speaks for it.
            if root is table and (not stream["columns"] or table["name"] == own_name(root["resource"])):
                columns = table["columns"].items()
                stream["columns"] = {name: kind for name, column in columns if (kind := column.get("data_type"))}
                stream["root"] = table["name"]
                stream["disposition"] = table.get("write_disposition", "append")
                stream["cursor"] = _cursor(state.get(root["resource"], {}))
    return told


def _cursor(state: Mapping[str, Any]) -> Any:
    for kept in state.get("incremental", {}).values():
        value = kept.get("last_value")
        return value if value is None or isinstance(value, str | int | float | bool) else str(value)
    return None
