"""Soda 3.5 as a library in this process: no Cloud, no telemetry, no network, no file in anybody's home directory.

Everything here imports Soda when it is called, never before: the web process has no need of it, and the anomaly
detector (Prophet, pandas, matplotlib: 140 MB) is loaded by Soda itself when the first check with enough history asks.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from quality.soda_connections import CheckConnection
from quality.sodacl import History

# Soda keeps its log in one object for the whole process: one scan at a time.
_one_at_a_time = threading.RLock()

# Part of every metric's identity in Soda: history is found again only while it stays the same.
SCAN_NAME = "portal"


@dataclass(frozen=True)
class Point:
    """One earlier measurement of a metric (Soda's identity of it); `measured_at` carries its time zone."""

    metric: str
    value: float
    measured_at: datetime


@dataclass
class MetricHistory:
    """Answers Soda's question for earlier measurements in the place where it would ask its Cloud.

    Keep what Soda calls the metric constant and it is found again. `too_short` names the metrics that a `change …`
    check asked for in vain.
    """

    points: Sequence[Point] = ()
    now: datetime | None = None
    too_short: set[str] = field(default_factory=set)
    # Soda reads these of whatever stands in its Cloud's place.
    soda_cloud_trace_ids: dict[str, str] = field(default_factory=dict)
    host: str = "localhost"

    def get_historic_data(self, descriptor: Any) -> dict[str, Any]:
        identity = getattr(descriptor, "metric_identity", None)
        change = getattr(descriptor, "change_over_time_cfg", None)
        newest_first = self._newest_first(identity)
        if change is not None:
            look = History(
                aggregate=change.last_aggregation or "min",
                last=change.last_measurements or 1,
                same_day_last_week=bool(change.same_day_last_week),
            )
            value = looked_back(newest_first, look, self.now)
            if value is None:
                self.too_short.add(str(identity))
            return {"measurements": {"results": [] if value is None else [{"value": value}]}}
        limit = getattr(descriptor, "limit", None) or 1000
        results = [
            {
                "id": str(number),
                "identity": identity,
                "value": point.value,
                "dataTime": point.measured_at.isoformat(),
            }
            for number, point in enumerate(reversed(newest_first[:limit]))
        ]
        return {"measurements": {"results": results}, "check_results": {"results": []}}

    def _newest_first(self, identity: str | None) -> list[Point]:
        # Two checks on one metric each remember it: the same moment counts once.
        moments = {point.measured_at: point for point in self.points if point.metric == identity}
        return [moments[moment] for moment in sorted(moments, reverse=True)]

    def is_samples_disabled(self) -> bool:
        return False  # true would bring Soda's own sampler back

    def get_check_attributes_schema(self) -> list[Any]:
        return []

    def send_scan_results(self, scan: Any) -> None:
        """Nobody is sent anything."""


def looked_back(newest_first: Sequence[Point], look: History, now: datetime | None) -> float | None:
    """What a `change …` check compares with; None when there is not enough to compare with yet."""
    if look.same_day_last_week:
        day = now.date() - timedelta(days=7) if now else None
        return next((point.value for point in newest_first if point.measured_at.date() == day), None)
    values = [point.value for point in newest_first[: look.last]]
    if len(values) < look.last:
        return None
    return {"avg": lambda: sum(values) / len(values), "min": lambda: min(values), "max": lambda: max(values)}[
        look.aggregate
    ]()


def load_soda() -> Any:
    """Import `Scan` with telemetry off and without Soda's configuration file in the home directory."""
    from soda.common.config_helper import ConfigHelper

    # What Soda would read from ~/.soda/config.yml, which it creates with telemetry on when it is missing.
    ConfigHelper._ConfigHelper__config = {"send_anonymous_usage_stats": False, "user_cookie_id": ""}
    for name in ("soda", "prophet", "cmdstanpy", "matplotlib"):
        # Outcomes and errors are read from the scan; its log would repeat them, with SQL, on our stderr.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from soda.scan import Scan

    return Scan


def _row_counter() -> Any:
    """A sampler that counts failed rows and keeps none of them."""
    from soda.sampler.sample_context import SampleContext
    from soda.sampler.sample_ref import SampleRef
    from soda.sampler.sampler import Sampler

    class RowCounter(Sampler):
        def store_sample(self, sample_context: SampleContext) -> SampleRef:
            count = sample_context.sample.get_rows_count()
            return SampleRef(name="rows", schema=None, total_row_count=count, stored_row_count=0, type="counted")

    return RowCounter()


@dataclass
class ScanRun:
    """What is left of a scan: Soda's check objects by our key, and its error log."""

    checks: dict[str, Any]
    errors: list[str]


def run_scan(
    connection: CheckConnection,
    schema: str,
    sodacl: str,
    history: MetricHistory,
    now: datetime,
    *,
    qualify: bool = True,
) -> ScanRun:
    """Run one Soda scan of `sodacl`, in which every check is named by its key.

    qualify: the checks name bare tables of `schema` (what schema checks need); off, they name `schema.table`.
    """
    with _one_at_a_time:
        scan = load_soda()()
        scan.disable_telemetry()
        scan.set_scan_definition_name(SCAN_NAME)
        scan.set_data_source_name(schema)
        connection.add_to(scan, schema, qualify=qualify)
        configuration = scan._configuration
        configuration.soda_cloud = history
        configuration.sampler = _row_counter()
        configuration.samples_limit = 0
        scan._data_timestamp = now
        scan._variables["NOW"] = now.isoformat()
        # What Soda would send its Cloud; it costs a fifth of a scan and nobody reads it here.
        scan.build_scan_results = dict
        scan.add_sodacl_yaml_str(sodacl)
        scan.execute()
        return ScanRun(
            checks={check.check_cfg.name: check for check in scan._checks},
            errors=[log.message for log in scan.get_error_logs()],
        )


def parse_errors(dataset: str, sodacl: str) -> list[str]:
    """What Soda's own parser has against this SodaCL; [] when it is fine."""
    with _one_at_a_time:
        scan = load_soda()()
        scan.disable_telemetry()
        scan.set_data_source_name(dataset.partition(".")[0])
        scan.add_sodacl_yaml_str(sodacl)
        messages = []
        for log in scan.get_error_logs():
            text = log.message if log.exception is None else f"{log.message}: {log.exception}"
            messages.append(" ".join(str(text).split()))
        cfg = scan._sodacl_cfg.data_source_scan_cfgs
        if not messages and not any(
            table.partition_cfgs for source in cfg.values() for table in source.tables_cfgs.values()
        ):
            messages.append("Soda finds no check in it.")
        return messages
