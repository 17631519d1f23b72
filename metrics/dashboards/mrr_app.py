"""The charts of the MRR dashboard."""

from __future__ import annotations

from collections.abc import Sequence

from metrics.dashboards import figures, mrr, words
from metrics.dashboards.choices import Choices
from metrics.dashboards.dash_app import draws, leads_to_month, make
from metrics.dashboards.figures import Figure
from metrics.dashboards.published import Published, Row
from metrics.manifest import ProjectDoc
from portal import text

app = make("mrr", ["waterfall", "months"])


@draws(app, "waterfall")
def waterfall(published: Published, choices: Choices) -> Figure:
    """Zero is the MRR at the start, so that bars begin where they should and a movement of 1% is still seen."""
    board = mrr.read(published, choices, ProjectDoc())
    section = board.section("waterfall")
    if section is None or section.table is None:
        return figures.nothing()
    rows = list(section.table.rows)
    currency = words.currency_of(rows)
    levels = {row["step"]: float(row["amount"]) for row in rows if row["step"] in ("start", "end")}
    start = levels.get("start", 0.0)
    steps = [row for row in rows if row["moved"] is not None and (row["step"] != "fx" or row["moved"])]
    net = levels.get("end", start) - start
    names = [row["label"] for row in steps] + ["Net change"]
    values = [float(row["moved"]) for row in steps] + [net]
    bases = [float(row["bar_from"]) - start for row in steps] + [0.0]
    edges = [(base, base + value) for base, value in zip(bases, values, strict=True)]
    return figures.figure(
        figures.bars(
            names,
            values,
            base=bases,
            colours=[*(row["step"] for row in steps), "level"],
            said=[text.money(value, currency, signed=True) for value in values],
        ),
        **figures.bars_axes(
            [min(edge) for edge in edges],
            [max(edge) for edge in edges],
            share=0.25,
            tickvals=[0],
            ticktext=[f"{text.money(start, currency)}<br>at the start"],
        ),
    )


@draws(app, "months")
def months(published: Published, choices: Choices) -> Figure:
    """MRR, then each movement, below each other and on the same months. Movements share one scale."""
    board = mrr.read(published, choices, ProjectDoc())
    section = board.section("months")
    if section is None or section.table is None:
        return figures.nothing()
    rows = list(section.table.rows)[::-1]
    days, currency = [row["month"] for row in rows], words.currency_of(rows)
    is_open = rows[-1].get("is_complete") is False
    panels = [
        ("level", "MRR at the end of the month", "mrr"),
        *((key, label, column) for key, (column, label) in words.MOVEMENTS.items() if _matters(rows, key, column)),
    ]
    moved = [float(row[column] or 0) for row in rows for _, _, column in panels[1:]] or [0.0]
    traces, layout, titles = [], {}, []
    height, gap = 1 / len(panels), 0.05
    for number, (key, label, column) in enumerate(panels, start=1):
        values = [words.number(row.get(column)) for row in rows]
        hover = [
            f"{figures.month_words(row)}: {label} {text.money(row.get(column), currency, signed=number > 1)}"
            for row in rows
        ]
        traces.append(figures.month_bars(days, values, colour=key, hover=hover, axis_number=number, is_to_date=is_open))
        top = 1 - (number - 1) * height
        low, high = _scale(moved if number > 1 else values, values)
        layout["yaxis" if number == 1 else f"yaxis{number}"] = figures.money_axis(
            low, high, currency, steps=2, domain=[max(top - height, 0.0), top - gap]
        )
        titles.append(
            {
                "xref": "paper",
                "yref": "paper",
                "x": 0,
                "y": top - gap,
                "text": label,
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 2,
                "font": {"color": figures.INK, "size": figures.LABEL_SIZE},
            }
        )
    return figures.figure(
        traces,
        xaxis=figures.time_axis(days, is_bars=True, anchor=f"y{len(panels)}" if len(panels) > 1 else "y"),
        annotations=titles,
        bargap=0.2,
        clickmode="event",
        **layout,
    )


def _matters(rows: Sequence[Row], key: str, column: str) -> bool:
    """Whether a movement gets a panel. Exchange rates mostly move next to nothing; then only the table has them."""
    reach = max(
        (abs(row[other] or 0) for row in rows for other, _ in words.MOVEMENTS.values() if other in row), default=0
    )
    least = reach / 50 if key == "fx" else 0
    return any(abs(row.get(column) or 0) > least for row in rows)


def _scale(comparable: Sequence[float | None], values: Sequence[float | None]) -> tuple[float, float]:
    """Movements are comparable: the same money is the same height, in panels that go up and in those that go down."""
    reach = max(abs(value or 0.0) for value in comparable)
    return -reach if min(value or 0.0 for value in values) < 0 else 0.0, reach if max(
        value or 0.0 for value in values
    ) > 0 else 0.0


leads_to_month(app, "months")
