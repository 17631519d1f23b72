"""The charts of the executive dashboard."""

from __future__ import annotations

from metrics.dashboards import executive, figures, words
from metrics.dashboards.choices import Choices
from metrics.dashboards.dash_app import draws, make
from metrics.dashboards.figures import Figure
from metrics.dashboards.published import Published
from metrics.manifest import ProjectDoc
from portal import text

app = make("executive", ["mrr", "movers"])


@draws(app, "mrr")
def mrr_against_plan(published: Published, choices: Choices) -> Figure:
    board = executive.read(published, choices, ProjectDoc())
    section = board.section("mrr")
    if section is None or section.table is None:
        return figures.nothing()
    rows = list(section.table.rows)[::-1]
    months, currency = [row["month"] for row in rows], words.currency_of(rows)
    mrr = [float(row["mrr"]) for row in rows]
    hover = [f"{figures.month_words(row)}: MRR {text.money(row['mrr'], currency)}" for row in rows]
    is_open = rows[-1].get("is_complete") is False
    traces = figures.line(months, mrr, colour="new", hover=hover, is_to_date=is_open)
    ends = [figures.End(months[-1], mrr[-1], "MRR", text.money(mrr[-1], currency), "new")]
    planned = [(row["month"], float(row["plan_mrr"])) for row in rows if row.get("plan_mrr") is not None]
    if planned:
        days, plan = [day for day, _ in planned], [value for _, value in planned]
        hover = [f"{day:%B %Y}: plan {text.money(value, currency)}" for day, value in planned]
        traces += figures.line(days, plan, colour="plan", hover=hover, dash="dash")
        ends.append(figures.End(days[-1], plan[-1], "Plan", text.money(plan[-1], currency), "plan"))
    yaxis = figures.money_axis(0.0, max([*mrr, *(value for _, value in planned)]), currency)
    dots, labels = figures.ends(ends, yaxis["range"])
    return figures.figure(
        [*traces, *dots],
        xaxis=figures.time_axis(months),
        yaxis=yaxis,
        annotations=labels,
        margin=figures.ROOM_FOR_NAMES,
        hovermode="closest",
    )


@draws(app, "movers")
def biggest_movements(published: Published, choices: Choices) -> Figure:
    board = executive.read(published, choices, ProjectDoc())
    section = board.section("movers")
    if section is None or section.table is None:
        return figures.nothing()
    rows = list(section.table.rows)
    currency, values = words.currency_of(rows), [float(row["change"]) for row in rows]
    return figures.figure(
        figures.bars(
            [row["customer"] for row in rows],
            values,
            colours=[row["main"] for row in rows],
            said=[f"{text.money(row['change'], currency, signed=True)} {row['movements']}" for row in rows],
        ),
        **figures.bars_axes(values, values, share=0.45, showticklabels=False),
    )
