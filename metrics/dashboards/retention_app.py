"""The charts of the retention dashboard."""

from __future__ import annotations

from typing import Any

from metrics.dashboards import figures, retention, words
from metrics.dashboards.choices import Choices
from metrics.dashboards.dash_app import draws, make
from metrics.dashboards.figures import Figure
from metrics.dashboards.published import Published, Row
from metrics.manifest import ProjectDoc
from portal import text

app = make("retention", ["revenue", "churn", "ages"])


def _rows(published: Published, choices: Choices, key: str) -> list[Row]:
    section = retention.read(published, choices, ProjectDoc()).section(key)
    return list(section.table.rows) if section and section.table and section.has_chart else []


@draws(app, "revenue")
def nrr_and_grr(published: Published, choices: Choices) -> Figure:
    """Months that are over. The axis does not begin at zero, and the page says so."""
    rows = [
        row
        for row in _rows(published, choices, "revenue")[::-1]
        if row.get("is_complete") is not False and row.get("nrr") is not None and row.get("grr") is not None
    ]
    if not rows:
        return figures.nothing()
    months = [row["month"] for row in rows]
    lowest = min(float(row["grr"]) for row in rows)
    highest = max(float(row["nrr"]) for row in rows)
    bounds = [lowest - 0.015, max(highest, 1.0) + 0.015]
    traces, ends = [], []
    for key, name, colour in (("nrr", "NRR", "expansion"), ("grr", "GRR", "contraction")):
        values = [float(row[key]) for row in rows]
        hover = [f"{row['month']:%B %Y}: {name} {text.percent(row[key])}" for row in rows]
        traces += figures.line(months, values, colour=colour, hover=hover)
        ends.append(figures.End(months[-1], values[-1], name, text.percent(values[-1]), colour))
    dots, labels = figures.ends(ends, bounds)
    return figures.figure(
        [*traces, *dots],
        xaxis=figures.time_axis(months),
        yaxis=figures.axis(grid=True, tickformat=".0%", nticks=6, range=bounds, zeroline=False),
        shapes=[_all_kept()],
        annotations=labels,
        margin=figures.ROOM_FOR_NAMES,
        hovermode="closest",
    )


def _all_kept() -> dict[str, Any]:
    """The line at 100%."""
    line = {"color": figures.COLOURS["fx"], "width": 1.5}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line, "layer": "below"}


@draws(app, "churn")
def customers_lost(published: Published, choices: Choices) -> Figure:
    rows = _rows(published, choices, "churn")[::-1]
    if not rows:
        return figures.nothing()
    hover = [
        f"{figures.month_words(row)}: {text.percent(row.get('customer_churn'))} "
        f"({text.number(row.get('lost_customers'))} of {text.number(row.get('start_customers'))})"
        for row in rows
    ]
    months = [row["month"] for row in rows]
    trace = figures.month_bars(
        months,
        [words.number(row.get("customer_churn")) for row in rows],
        colour="churn",
        hover=hover,
        is_to_date=rows[-1].get("is_complete") is False,
    )
    return figures.figure(
        [trace],
        xaxis=figures.time_axis(months, is_bars=True),
        yaxis=figures.axis(grid=True, tickformat=".1~%", rangemode="tozero", nticks=4),
    )


@draws(app, "ages")
def kept_by_age(published: Published, choices: Choices) -> Figure:
    rows = [row for row in retention.well_known(_rows(published, choices, "ages")) if row["retention"] is not None]
    if not rows:
        return figures.nothing()
    ages = [int(row["months_since"]) for row in rows]
    kept = [float(row["retention"]) for row in rows]
    marked = [(age, value) for age, value in zip(ages, kept, strict=True) if age in (3, 12, 24) or age == ages[-1]]
    # Two labels next to each other would be read as one.
    marked = [one for i, one in enumerate(marked) if i == len(marked) - 1 or marked[i + 1][0] - one[0] >= 3]
    return figures.figure(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "x": ages,
                "y": kept,
                "line": {"color": figures.COLOURS["new"], "width": 2.5},
                "cliponaxis": False,
                "text": [
                    f"After {text.plural(age, 'month')}: {text.percent(value)} of {text.plural(row['cohorts'], 'cohort')}"
                    for age, value, row in zip(ages, kept, rows, strict=True)
                ],
                "hovertemplate": "%{text}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [age for age, _ in marked],
                "y": [value for _, value in marked],
                "text": [text.percent(value, 0) for _, value in marked],
                "textposition": ["top center"] * (len(marked) - 1) + ["middle right"],
                "textfont": {"color": figures.INK, "size": figures.LABEL_SIZE + 1},
                "marker": {"size": 8, "color": figures.COLOURS["new"]},
                "cliponaxis": False,
                "hoverinfo": "skip",
            },
        ],
        xaxis=figures.axis(
            range=[0, ages[-1]], zeroline=False, dtick=6 if ages[-1] > 8 else 1, ticksuffix=" mo", tickangle=0
        ),
        yaxis=figures.axis(grid=True, tickformat=".0%", rangemode="tozero", nticks=5),
        margin={"l": 8, "r": 44, "t": 26, "b": 8},
    )
