"""Which dashboards there are. The numbers are imported at once; Dash only when a chart is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from metrics.dashboards import executive, mrr, retention
from metrics.dashboards.choices import Choices
from metrics.dashboards.published import Published
from metrics.dashboards.shapes import Board
from metrics.manifest import ProjectDoc


@dataclass(frozen=True)
class Dashboard:
    """`key` is its address; `question` what it answers; `app` the dotted path of its Dash app."""

    key: str
    title: str
    question: str
    marts: tuple[str, ...]
    read: Callable[[Published, Choices, ProjectDoc], Board]
    app: str
    filters: tuple[str, ...] = ("month", "months")

    @property
    def exposure(self) -> str:
        """What the dbt project calls it."""
        return f"{self.key}_dashboard"


DASHBOARDS: Mapping[str, Dashboard] = {
    dashboard.key: dashboard
    for dashboard in (
        Dashboard(
            "executive",
            "Executive",
            "How much is it, is it growing, and what moved it?",
            executive.MARTS,
            executive.read,
            "metrics.dashboards.executive_app.app",
        ),
        Dashboard(
            "mrr",
            "MRR and waterfall",
            "What brought MRR from the start of a month to its end?",
            mrr.MARTS,
            mrr.read,
            "metrics.dashboards.mrr_app.app",
        ),
        Dashboard(
            "retention",
            "Retention and cohorts",
            "Who stays, what do they pay, and do newer customers stay longer?",
            retention.MARTS,
            retention.read,
            "metrics.dashboards.retention_app.app",
            filters=("month", "months", "by"),
        ),
    )
}
