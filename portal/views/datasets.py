"""Datasets: what there is and how it is; and of each, where it comes from and what is built from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from metrics.dashboards.registry import DASHBOARDS
from metrics.models import Dataset, Exposure
from portal.datasets import ATTENTION, Catalogue, State, look
from portal.picture import Box, Lane, Picture, draw
from portal.text import listed, plural
from portal.views.access import may
from quality.freshness import worst
from quality.models import Check, Incident
from sources.models import Source

FILTERS = {"all": "All", "attention": "Need attention"}
Layer = Dataset.Layer
# The lanes of a picture. Seeds and snapshots stand where raw tables do: with what is read.
_LANES = (
    ("Raw tables", (Layer.RAW, Layer.SEED)),
    ("Staging", (Layer.STAGING, Layer.SNAPSHOT)),
    ("Intermediate", (Layer.INTERMEDIATE,)),
    ("Marts", (Layer.MART,)),
)


@dataclass(frozen=True)
class Row:
    """A dataset with what is known of it right now. `at`: when it was read (a raw table) or built."""

    dataset: Dataset
    state: State
    checks: str
    rows: int | None
    at: datetime | None

    @property
    def needs_words(self) -> bool:
        return self.state.badge in ATTENTION or self.state.badge == "left_out"


@dataclass(frozen=True)
class ShownRow:
    """Something that shows datasets. `address`: of the dashboard itself, when it is one of the portal's."""

    exposure: Exposure
    state: State
    reads: list[Dataset]
    address: str


@dataclass(frozen=True)
class Layered:
    """`is_open`: unfolded from the start."""

    key: str
    title: str
    note: str
    rows: list[Row]
    is_open: bool

    @property
    def attention(self) -> int:
        return sum(row.state.badge in ATTENTION for row in self.rows)


_NOTES = {
    Layer.RAW: "What sources bring, as they bring it.",
    Layer.SEED: "Small tables that are kept in the dbt project.",
    Layer.SNAPSHOT: "How something was at earlier moments.",
    Layer.STAGING: "Raw tables, renamed and typed, nothing else.",
    Layer.INTERMEDIATE: "One step of a computation each.",
    Layer.MART: "What is checked, published and shown.",
}


# --- all of them --------------------------------------------------------------------------------------------------------
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    words = request.GET.get("q", "").strip()
    chosen = request.GET.get("show", "all")
    chosen = chosen if chosen in FILTERS else "all"
    seen = look(timezone.now())
    rows = [_row(seen, dataset) for dataset in seen.graph.datasets.values() if _is_about(dataset, words)]
    shown = [_shown(seen, exposure) for exposure in seen.graph.exposures.values() if _says(exposure, words)]
    is_narrowed = bool(words) or chosen == "attention"
    if chosen == "attention":
        rows = [row for row in rows if row.state.badge in ATTENTION]
        shown = [row for row in shown if row.state.badge in ATTENTION]
    layers = [
        Layered(layer.value, str(layer.label), _NOTES[layer], found, is_narrowed or layer == Layer.MART)
        for layer in Layer
        if (found := [row for row in rows if row.dataset.layer == layer])
    ]
    context = {
        "now": seen.now,
        "words": words,
        "filters": FILTERS,
        "chosen": chosen,
        "layers": layers,
        "shown": shown,
        "is_empty": not seen.graph.datasets,
        "found": len(rows) + len(shown),
    }
    return render(request, "datasets/index.html", context)


def _is_about(dataset: Dataset, words: str) -> bool:
    """Whether every word is in its name, its description or its columns."""
    text = " ".join([dataset.name, dataset.description, dataset.owner, *(column["name"] for column in dataset.columns)])
    return all(word in text.lower() for word in words.lower().split())


def _says(exposure: Exposure, words: str) -> bool:
    text = f"{exposure.label} {exposure.description} {exposure.owner}".lower()
    return all(word in text for word in words.lower().split())


def _row(seen: Catalogue, dataset: Dataset) -> Row:
    rows, at = dataset.rows, dataset.built_at
    if dataset.layer == Layer.RAW:
        rows = dataset.stream.table_rows if dataset.stream else None
        freshness = seen.freshness.get(dataset.stream_id or 0)
        at = freshness.last_ok_at if freshness else None
    return Row(dataset, seen.states[dataset.name], seen.checks_in_words(dataset.name), rows, at)


def _shown(seen: Catalogue, exposure: Exposure) -> ShownRow:
    reads = [seen.graph.datasets[name] for name in sorted(seen.graph.shows.get(exposure.name, ()))]
    return ShownRow(exposure, seen.of_exposure(exposure), reads, dashboard_address(exposure))


def dashboard_address(exposure: Exposure) -> str:
    """The page of the dashboard that it describes; empty for what is not in the portal."""
    found = (one.key for one in DASHBOARDS.values() if one.exposure == exposure.name)
    return next((reverse("dashboard", args=[key]) for key in found), "")


# --- one of them --------------------------------------------------------------------------------------------------------
@require_safe
def page(request: HttpRequest, name: str) -> HttpResponse:
    seen = look(timezone.now())
    dataset = seen.graph.datasets.get(name)
    if dataset is None:
        raise Http404
    above, below = seen.graph.upstream([name]), seen.graph.downstream([name])
    checks = Check.objects.filter(dataset=name).select_related("owner").with_latest()
    context = {
        "now": seen.now,
        "row": _row(seen, dataset),
        "dataset": dataset,
        "origin": _origin(seen, {name, *above}),
        "use": _use(seen, below),
        "seen_in": [_shown(seen, exposure) for exposure in seen.graph.shown_in({name, *below})],
        "picture": picture(seen, {name, *above, *below}, {name, *below}, here=name),
        "reads": [seen.graph.datasets[one] for one in sorted(seen.graph.reads.get(name, ()))],
        "read_by": [seen.graph.datasets[one] for one in sorted(seen.graph.read_by.get(name, ()))],
        "shown_in": [_shown(seen, exposure) for exposure in seen.graph.shown_in([name])],
        "checks": sorted(checks, key=_worst_first),
        "incidents": Incident.objects.open().filter(check_row__dataset=name).defer("detail"),
        "may_edit_checks": may(request, "quality.view_check"),
    }
    return render(request, "datasets/page.html", context)


@require_safe
def shown(request: HttpRequest, name: str) -> HttpResponse:
    """Where a dashboard comes from."""
    seen = look(timezone.now())
    exposure = seen.graph.exposures.get(name)
    if exposure is None:
        raise Http404
    reads = set(seen.graph.shows.get(name, ()))
    everything = reads | seen.graph.upstream(reads)
    context = {
        "now": seen.now,
        "row": _shown(seen, exposure),
        "exposure": exposure,
        "origin": _origin(seen, everything),
        "picture": picture(seen, everything, reads, here=name),
        "rows": [_row(seen, seen.graph.datasets[one]) for one in sorted(reads)],
    }
    return render(request, "datasets/shown.html", context)


_OUTCOMES = ("fail", "error", "warn", "skipped", None, "learning", "pass")


def _worst_first(check: Any) -> tuple[int, str]:
    return (_OUTCOMES.index(check.latest_outcome), check.name)


def _origin(seen: Catalogue, names: Collection[str]) -> str:
    """In a sentence: from which sources."""
    raw = [dataset for name in names if (dataset := seen.graph.datasets[name]).layer == Layer.RAW]
    sources = sorted({dataset.source.name for dataset in raw if dataset.source})
    missing = sum(dataset.source is None for dataset in raw)
    if not raw:
        return ""
    if not sources:
        return f"It is made from {plural(len(raw), 'raw table')} that no connected source brings."
    also = f"; {plural(missing, 'raw table belongs', 'raw tables belong')} to no connected source" if missing else ""
    return f"It comes from {listed(sources, most=8)}{also}."


def _use(seen: Catalogue, below: Collection[str]) -> str:
    """In a sentence: what is affected when it is late or wrong."""
    marts = sum(seen.graph.datasets[one].layer == Layer.MART for one in below)
    if not below:
        return "No other table is built from it."
    return f"{plural(len(below), 'table is', 'tables are')} built from it; {plural(marts, 'is a mart', 'are marts')}."


# --- the picture --------------------------------------------------------------------------------------------------------
def picture(seen: Catalogue, names: Collection[str], shown_of: Collection[str], *, here: str) -> Picture:
    """Everything in `names`, their sources on the left; on the right what shows one of `shown_of`."""
    graph = seen.graph
    datasets = [graph.datasets[name] for name in graph.datasets if name in names]
    exposures = [one for one in graph.shown_in(shown_of) if here not in graph.exposures or one.name == here]
    reads: dict[str, list[str]] = {one.name: list(graph.reads.get(one.name, ())) for one in datasets}
    for dataset in datasets:
        if dataset.source:
            reads[dataset.name] = [f"source:{dataset.source.slug}"]
    for exposure in exposures:
        reads[f"shown:{exposure.name}"] = [one for one in graph.shows[exposure.name] if one in names]
    lanes = [Lane("Sources", _source_boxes(seen, datasets))]
    for title, layers in _LANES:
        boxes = [_box(seen, one, names, here) for one in datasets if one.layer in layers]
        lanes.append(Lane(title, sorted(boxes, key=lambda box: box.key)))
    lanes.append(Lane("Dashboards", [_exposure_box(seen, one, reads, here) for one in exposures]))
    return draw(lanes, reads)


def _source_boxes(seen: Catalogue, datasets: Iterable[Dataset]) -> list[Box]:
    states: dict[Source, set[str]] = {}
    for dataset in datasets:
        if dataset.source:
            freshness = seen.freshness.get(dataset.stream_id or 0)
            states.setdefault(dataset.source, set()).update([freshness.state] if freshness else [])
    return [
        Box(
            f"source:{source.slug}",
            source.name,
            source.get_absolute_url(),
            worst(found) if source.is_enabled else "off",
            "",
        )
        for source, found in sorted(states.items(), key=lambda item: item[0].name)
    ]


def _box(seen: Catalogue, dataset: Dataset, names: Collection[str], here: str) -> Box:
    state = seen.states[dataset.name]
    reads = tuple(sorted(one.partition(".")[2] for one in seen.graph.reads.get(dataset.name, ()) if one in names))
    return Box(
        dataset.name,
        dataset.name.partition(".")[2],
        dataset.get_absolute_url(),
        state.badge,
        state.sentence,
        (dataset.source.name,) if dataset.source else reads,
        dataset.name == here,
    )


def _exposure_box(seen: Catalogue, exposure: Exposure, reads: dict[str, list[str]], here: str) -> Box:
    state = seen.of_exposure(exposure)
    return Box(
        f"shown:{exposure.name}",
        exposure.label,
        reverse("shown", args=[exposure.name]),
        state.badge,
        state.sentence,
        tuple(sorted(one.partition(".")[2] for one in reads[f"shown:{exposure.name}"])),
        exposure.name == here,
    )
