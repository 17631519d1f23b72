"""The dbt project, parsed once and kept warm: a build costs its SQL, not seconds of start-up.

    parsed(...)   the manifest, parsed again only when a file of the project changed
    invoke(...)   one dbt command in this process, with everything dbt leaves behind cleaned up

dbt keeps its state in module globals, so one command runs at a time in a process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metrics.dbt_targets import Target, target_of
from metrics.manifest import FILE_NAME
from portal.failures import TerminalError

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

PROJECT_DIR = Path(__file__).resolve().parent.parent / "dbt"

# A portal has one project and one warehouse; whoever compares warehouses has three.
MANIFESTS_KEPT = 3

_lock = threading.RLock()
_manifests: dict[tuple[str, str, str], tuple[str, Manifest]] = {}


@dataclass(frozen=True)
class Location:
    """Where dbt builds and where it may leave files. `warehouse_url`: what WAREHOUSE_URL says."""

    warehouse_url: str = field(repr=False)
    work_dir: Path
    project_dir: Path = field(default_factory=lambda: PROJECT_DIR)

    @property
    def target(self) -> Target:
        return target_of(self.warehouse_url)

    @property
    def environment(self) -> dict[str, str]:
        """What profiles.yml reads, and dbt's silence towards the network."""
        target = self.target
        return {
            **target.environment,
            "DBT_TARGET": target.name,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
        }

    @property
    def environment_for_parsing(self) -> dict[str, str]:
        """The same wherever DuckDB's file lies: its folder is not in the manifest, yet for another one dbt reads all again."""
        environment = self.environment
        if path := environment.get("DBT_DUCKDB_PATH"):
            environment["DBT_DUCKDB_PATH"] = Path(path).name
        return environment

    @property
    def arguments(self) -> list[str]:
        return [
            "--project-dir",
            str(self.project_dir),
            "--profiles-dir",
            str(self.project_dir),
            "--target-path",
            str(self.work_dir / "target"),
            "--log-path",
            str(self.work_dir / "logs"),
            "--log-level",
            "none",
            "--log-level-file",
            "none",  # formatting two thousand debug events costs a tenth of a warm build
            "--no-print",
            "--no-version-check",
            "--no-use-colors",
        ]

    @property
    def manifest_path(self) -> Path:
        """For pages: complete whenever it is there. One in `target` is of dbt in a shell, which writes it bit by bit."""
        return self.work_dir / FILE_NAME


def fingerprint(project_dir: Path) -> str:
    """Changes when a file of the project does."""
    entries = []
    for folder, folders, files in os.walk(project_dir):
        folders[:] = sorted(set(folders) - {"target", "logs", "dbt_packages", "__pycache__"})
        for name in sorted(files):
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                stat = os.stat(path)
                entries.append(f"{path}:{stat.st_mtime_ns}:{stat.st_size}")
    return hashlib.sha256("\n".join(entries).encode()).hexdigest()


def parsed(location: Location) -> Manifest:
    """The manifest of the project as its files are now; also written to `location.manifest_path` for pages.

    Raises `TerminalError` with dbt's message when the project cannot be parsed.
    """
    with _lock:
        target = location.target
        key = (str(location.project_dir), target.name, target.database)
        current = fingerprint(location.project_dir)
        known = _manifests.get(key)
        if known and known[0] == current:
            if not location.manifest_path.exists():
                _show(known[1], location)
            return known[1]
        result = invoke(["parse", "--no-write-json"], location, environment=location.environment_for_parsing)
        if not result.success or result.result is None:
            raise TerminalError(
                "The dbt project could not be read, so nothing was built. An engineer has to mend the file named below.",
                str(result.exception),
                kind="dbt_parse",
            )
        manifest: Any = result.result
        _manifests.pop(key, None)
        if len(_manifests) >= MANIFESTS_KEPT:
            del _manifests[next(iter(_manifests))]  # the oldest: each is megabytes
        _manifests[key] = (current, manifest)
        _show(manifest, location)
        return manifest


def _show(manifest: Manifest, location: Location) -> None:
    """Put the manifest where pages read it, in one step: they may read at any moment, and other processes write too."""
    location.work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=location.work_dir) as folder:
        written = Path(folder) / FILE_NAME
        manifest.write(str(written))
        written.replace(location.manifest_path)


def invoke(
    command: list[str],
    location: Location,
    manifest: Manifest | None = None,
    *,
    at_the_end: Iterable[Callable[[Any], None]] = (),
    environment: Mapping[str, str] | None = None,
) -> dbtRunnerResult:
    """Run one dbt command in this process. What stopped it from outside (a time limit, Ctrl-C) is raised again.

    `at_the_end`: called with the open DuckDB connection (on servers not at all) when dbt has come to an end by itself.
    Whatever happens, no thread of dbt and no connection to the warehouse is left when this returns: the file
    belongs to the next process.
    """
    from dbt.cli.main import dbtRunner

    from metrics import dbt_warm

    with _lock, _environment(location.environment if environment is None else environment), _unheard():
        location.work_dir.mkdir(parents=True, exist_ok=True)
        dbt_warm.prepare()
        _stop_threads_when_interrupted()
        try:
            result = dbtRunner(manifest=manifest).invoke([*command, *location.arguments])
            if result.result is not None and (connection := _free_connection()):
                for callback in at_the_end:
                    callback(connection)
        finally:
            _close_connections()
    if isinstance(result.exception, _Interrupted):
        raise result.exception.reason
    if isinstance(result.exception, KeyboardInterrupt | SystemExit):
        raise result.exception
    return result


class _Interrupted(SystemExit):
    """Carries an exception through dbt on the way it takes for Ctrl-C: queries cancelled, threads joined."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(1)
        self.reason = reason


@functools.cache
def _stop_threads_when_interrupted() -> None:
    """dbt joins its threads for KeyboardInterrupt and SystemExit only.

    A Celery time limit is another exception: dbt would return while its threads go on writing.
    """
    from dbt.exceptions import FailFastError
    from dbt.task.runnable import GraphRunnableTask

    original = GraphRunnableTask.run_queue

    def run_queue(self: GraphRunnableTask, pool: Any) -> None:
        try:
            original(self, pool)
        except FailFastError:
            raise
        except Exception as error:
            raise _Interrupted(error) from error

    GraphRunnableTask.run_queue = run_queue  # type: ignore[method-assign]


def _free_connection() -> Any:
    """dbt-duckdb's connection to the file, with nothing of dbt under way on it; None where dbt used another database."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import cleanup_connections

    with contextlib.suppress(Exception):
        cleanup_connections()
    environment = DuckDBConnectionManager._ENV
    return environment.conn if environment else None


def _close_connections() -> None:
    """dbt-duckdb keeps the database open (and its file locked) until the process ends."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import cleanup_connections

    with contextlib.suppress(Exception):
        cleanup_connections()
    with DuckDBConnectionManager._LOCK:
        environment = DuckDBConnectionManager._ENV
        DuckDBConnectionManager._ENV = None
    if environment is not None:
        environment.close()


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """dbt puts a message together for each of its thousands of events, and here nobody listens: a fifth of a warm build.

    What went wrong is in the results and exceptions. Whoever runs dbt in a shell hears everything.
    """
    from dbt_common.events import base_types, event_manager_client
    from dbt_common.events.event_manager import EventManager

    class Unheard(EventManager):
        def fire_event(self, *_: Any, **__: Any) -> None:
            pass

    manager, put_together = event_manager_client.get_event_manager(), base_types.ParseDict
    event_manager_client.ctx_set_event_manager(Unheard())
    base_types.ParseDict = lambda values, message, *_, **__: message
    try:
        yield
    finally:
        base_types.ParseDict = put_together
        event_manager_client.ctx_set_event_manager(manager)


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
