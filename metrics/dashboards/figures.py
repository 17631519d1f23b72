"""Plotly figures as plain dictionaries, and the one palette of all dashboards.

Colours are Okabe and Ito's, darkened where they would be too faint on white. In the browser `dashboards.css` gives each of
them its counterpart for a dark ground, and texts and grids the page's own colours: a figure need not know the theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from metrics.dashboards import words
from portal import charts, text

Figure = dict[str, Any]

# The same movement has the same colour everywhere.
COLOURS = {
    "new": "rgb(0, 114, 178)",
    "expansion": "rgb(0, 158, 115)",
    "reactivation": "rgb(58, 155, 217)",
    "contraction": "rgb(201, 133, 0)",
    "churn": "rgb(213, 94, 0)",
    "fx": "rgb(124, 130, 126)",
    "level": "rgb(84, 96, 92)",
    "plan": "rgb(184, 87, 143)",
}
INK = "rgb(25, 28, 26)"
SOFT = "rgb(87, 93, 89)"
CLEAR = "rgba(0, 0, 0, 0)"
LABEL_SIZE = 12
# The page's own; Plotly has to know it to measure its labels.
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif'
# How much of a chart's height, in pixels, lines have; two names need so much between them.
PLOT_PIXELS, NAME_PIXELS = 240, 34
ROOM_FOR_NAMES = {"l": 8, "r": 76, "t": 26, "b": 8}


def figure(traces: list[dict[str, Any]], **layout: Any) -> Figure:
    """No legend, no tool bar, no zoom; as wide as the page leaves it."""
    return {
        "data": traces,
        "layout": {
            "autosize": True,
            "showlegend": False,
            "dragmode": False,
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "font": {"color": SOFT, "size": LABEL_SIZE, "family": FONT},
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "hoverlabel": {"font": {"size": 13, "family": FONT}},
            "bargap": 0.3,
            **layout,
        },
    }


def nothing() -> Figure:
    """The section says in words why; the chart stays empty."""
    return figure([], xaxis={"visible": False}, yaxis={"visible": False})


def axis(*, grid: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "fixedrange": True,
        "automargin": True,
        "showgrid": grid,
        "gridcolor": "rgb(227, 227, 220)",
        "zerolinecolor": "rgb(140, 145, 140)",
        "zeroline": True,
        "ticks": "",
        "title": None,
        **more,
    }


def money_axis(lowest: float, highest: float, currency: str, *, steps: int = 4, **more: Any) -> dict[str, Any]:
    """From zero, whatever the values are; its marks are round amounts."""
    low, high = min(lowest, 0.0), max(highest, 0.0)
    step = charts.ceiling((high - low) / steps or 1.0)
    marks = [number * step for number in range(round(low / step), round(high / step) + 1)]
    bottom, top = min(low, marks[0]), max(high, marks[-1])
    return axis(
        grid=True,
        range=[bottom, top if top > bottom else 1.0],
        tickvals=marks,
        ticktext=[short_money(mark, currency) for mark in marks],
        **more,
    )


def short_money(value: float, currency: str) -> str:
    """ "$25k", "−$1.5k", "25k CHF"."""
    sign, symbol = text.MINUS if value < 0 else "", text.SYMBOLS.get(currency)
    amount = text.compact(abs(value))
    return f"{sign}{symbol}{amount}" if symbol else f"{sign}{amount} {currency.upper()}"


def time_axis(months: Sequence[date], *, is_bars: bool = False, **more: Any) -> dict[str, Any]:
    """From the first to the last month, with half a bar of room for bars (`is_bars`); a few months are named."""
    room = timedelta(days=16 if is_bars else 0)
    bounds = [(months[0] - room).isoformat(), (months[-1] + room).isoformat()]
    return axis(type="date", range=bounds, tickformat="%b\n%Y", nticks=6, zeroline=False, **more)


def line(
    months: Sequence[date],
    values: Sequence[float | None],
    *,
    colour: str,
    hover: Sequence[str],
    dash: str = "solid",
    is_to_date: bool = False,
) -> list[dict[str, Any]]:
    """A line; `ends` names it. The step to a month that is not over is dotted."""
    xs, ys = [month.isoformat() for month in months], list(values)
    style = {"color": COLOURS[colour], "width": 2.5, "dash": dash}
    common = {"type": "scatter", "mode": "lines", "cliponaxis": False, "connectgaps": False}
    whole = slice(0, len(xs) - 1) if is_to_date and len(xs) > 1 else slice(0, len(xs))
    traces = [
        {
            **common,
            "x": xs[whole],
            "y": ys[whole],
            "line": style,
            "text": list(hover)[whole],
            "hovertemplate": "%{text}<extra></extra>",
        }
    ]
    if is_to_date and len(xs) > 1:
        dotted = {**style, "dash": "dot"}
        traces.append(
            {
                **common,
                "x": xs[-2:],
                "y": ys[-2:],
                "line": dotted,
                "text": list(hover)[-2:],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    return traces


@dataclass(frozen=True)
class End:
    """Where a line ends and what it is called there."""

    month: date
    value: float
    name: str
    words: str
    colour: str


def ends(found: Sequence[End], axis_range: Sequence[float]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(dots, labels): the names of up to two lines at their ends instead of in a legend, kept apart from each other."""
    scale = PLOT_PIXELS / (axis_range[1] - axis_range[0])
    shifts = [0.0] * len(found)
    if len(found) == 2 and found[0].month == found[1].month:
        missing = NAME_PIXELS - abs(found[0].value - found[1].value) * scale
        if missing > 0:
            upper = 0 if found[0].value >= found[1].value else 1
            shifts[upper], shifts[1 - upper] = missing / 2, -missing / 2
    labels = [
        {
            "x": end.month.isoformat(),
            "y": end.value,
            "text": f"{end.name}<br><b>{end.words}</b>",
            "showarrow": False,
            "align": "left",
            "xanchor": "left",
            "xshift": 9,
            "yanchor": "middle",
            "yshift": shift,
            "font": {"color": INK, "size": LABEL_SIZE},
        }
        for end, shift in zip(found, shifts, strict=True)
    ]
    return [_dot(end) for end in found], labels


def _dot(end: End) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [end.month.isoformat()],
        "y": [end.value],
        "marker": {"size": 8, "color": COLOURS[end.colour]},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def bars(
    labels: Sequence[str],
    values: Sequence[float],
    *,
    colours: Sequence[str],
    said: Sequence[str],
    base: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Horizontal bars, the first at the top; `base` is where each begins (zero when left out). What a bar is worth stands
    to its right, also when it goes to the left: there it would meet the names on a narrow page."""
    begins = list(base) if base is not None else [0.0] * len(values)
    rights = [max(begin, begin + value) for begin, value in zip(begins, values, strict=True)]
    return [
        {
            "type": "bar",
            "orientation": "h",
            "y": list(labels),
            "x": list(values),
            "base": begins,
            "marker": {"color": [COLOURS[colour] for colour in colours]},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "text",
            "y": list(labels),
            "x": rights,
            "text": [f" {words_there}" for words_there in said],
            "textposition": "middle right",
            "textfont": {"color": INK, "size": LABEL_SIZE},
            "cliponaxis": False,
            "hoverinfo": "skip",
        },
    ]


def bars_axes(lefts: Sequence[float], rights: Sequence[float], *, share: float, **more: Any) -> dict[str, Any]:
    """Axes for `bars`: zero is always there, and to the right there is room for words (`share` of the whole width)."""
    low, high = min([*lefts, 0.0]), max([*rights, 0.0])
    reach = high - low or 1.0
    return {
        "xaxis": axis(range=[low - reach * 0.02, high + reach * share / (1 - share)], **more),
        "yaxis": axis(zeroline=False, autorange="reversed", ticksuffix="  "),
    }


def month_bars(
    months: Sequence[date],
    values: Sequence[float | None],
    *,
    colour: str,
    hover: Sequence[str],
    axis_number: int = 1,
    is_to_date: bool = False,
) -> dict[str, Any]:
    """Vertical bars from zero, one a month; the one of a month that is not over is paler."""
    suffix = "" if axis_number == 1 else str(axis_number)
    opacity = [1.0] * len(months)
    if is_to_date and opacity:
        opacity[-1] = 0.5
    return {
        "type": "bar",
        "x": [month.isoformat() for month in months],
        "y": list(values),
        "marker": {"color": COLOURS[colour], "opacity": opacity},
        "text": list(hover),
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "xaxis": "x",
        "yaxis": f"y{suffix}",
    }


def month_words(row: dict[str, Any]) -> str:
    return words.month(row["month"], is_complete=row.get("is_complete"))
