"""What the Dash apps of all dashboards share.

The address of the page is the only state: a chart reads what the reader has chosen from it, and from which published
version the page was made (`location`, given to each callback by the view), so that chart and table never differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from dash import Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate
from django.utils.module_loading import import_string
from django_plotly_dash import DjangoDash
from django_plotly_dash.dash_wrapper import WrappedDash

from metrics.dashboards.choices import Choices, read_query
from metrics.dashboards.figures import Figure, nothing
from metrics.dashboards.published import Published
from metrics.dashboards.registry import DASHBOARDS

QUIET: Any = {"displayModeBar": False, "responsive": True, "doubleClick": False, "scrollZoom": False}
Draw = Callable[[Published, Choices], Figure]


def make(name: str, charts: Sequence[str]) -> DjangoDash:
    """An app with one empty graph a chart. The page moves each into its section."""
    app = DjangoDash(name, serve_locally=True, suppress_callback_exceptions=True)
    app.layout = html.Div(
        [
            dcc.Location(id="url", refresh=False),
            # A page of its own is where a click leads; `url` would first draw this page's charts once more.
            dcc.Location(id="go", refresh=True),
            *(
                html.Div(
                    dcc.Graph(id=f"graph-{chart}", figure=nothing(), config=QUIET, responsive=True),
                    id=f"chart-{chart}",
                    className="chart-frame",
                )
                for chart in charts
            ),
        ]
    )
    return app


def draws(app: DjangoDash, chart: str) -> Callable[[Draw], Draw]:
    """The decorated function draws `chart` for what is chosen in the address."""

    def decorate(draw: Draw) -> Draw:
        def callback(search: object, location: str = "") -> Figure:
            return draw(Published(location), _chosen(search))

        app.callback(Output(f"graph-{chart}", "figure"), Input("url", "search"))(callback)
        return draw

    return decorate


def leads_to_month(app: DjangoDash, chart: str) -> None:
    """A click on a bar of `chart` shows that month; the same is in the month's own field, for keyboards."""

    def callback(click: object, search: object) -> str:
        picked = read_query(f"month={_clicked(click)[:7]}").month
        if picked is None:
            raise PreventUpdate
        return f"?{_chosen(search).query(month=picked)}"

    app.callback(
        Output("go", "href"),
        Input(f"graph-{chart}", "clickData"),
        State("url", "search"),
        prevent_initial_call=True,
    )(callback)


def _chosen(search: object) -> Choices:
    return read_query(search if isinstance(search, str) else "")


def _clicked(click: object) -> str:
    """Where on the time axis it was clicked; empty when nothing says so. It comes from outside, so it may be anything."""
    points = click.get("points") if isinstance(click, dict) else None
    first = points[0] if isinstance(points, list) and points else None
    return str(first.get("x", "")) if isinstance(first, dict) else ""


@cache
def instance(name: str, prefix: str) -> WrappedDash:
    """The Dash app of a dashboard, made once: making one costs more than a callback."""
    app: DjangoDash = import_string(DASHBOARDS[name].app)
    return app.form_dash_instance(ndid=name, base_pathname=prefix)


def scripts(name: str, prefix: str) -> list[str]:
    """Addresses of the scripts that draw, in their order; the table component, which nobody uses here, is left out."""
    found = re.findall(r'src="([^"]+)"', instance(name, prefix)._generate_scripts_html())
    return [address for address in found if "/dash_table/" not in address]


def page_config(name: str, prefix: str, requests_prefix: str, csrf_cookie: str) -> dict[str, Any]:
    """What Dash's renderer reads from the page. It asks `requests_prefix`, shows no tools and phones nobody."""
    config = instance(name, prefix)._config()
    for telling in ("python_version", "dash_version_url", "plotly_cloud_installed", "ddk_version"):
        config.pop(telling, None)
    return {
        **config,
        "requests_pathname_prefix": requests_prefix,
        "disable_version_check": True,
        "ui": False,
        "update_title": "",
        "csrf_token_name": csrf_cookie,
        "csrf_header_name": "X-CSRFToken",
    }


def layout(name: str, prefix: str) -> str:
    app = instance(name, prefix)
    with app.app_context():
        return str(app.augment_initial_layout(app.locate_endpoint_function("dash-layout")())[0])


def dependencies(name: str, prefix: str) -> bytes:
    app = instance(name, prefix)
    with app.app_context():
        return bytes(app.locate_endpoint_function("dash-dependencies")().data)


def update(name: str, prefix: str, asked: dict[str, Any], location: str) -> str | None:
    """The answer of one callback as JSON; None when it has nothing to change. Raises `ValueError` for nonsense."""
    app = instance(name, prefix)
    output = asked.get("output")
    callback = app.callback_map.get(output) if isinstance(output, str) else None
    if callback is None:
        raise ValueError("unknown output")
    for kind in ("inputs", "state"):
        if [_named(one) for one in _list(asked.get(kind))] != [(one["id"], one["property"]) for one in callback[kind]]:
            raise ValueError(f"these are not the {kind} of {output}")
    try:
        return str(app.dispatch_with_args(asked, {"location": location}))
    except PreventUpdate:
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(value: Any) -> tuple[Any, Any]:
    return (value.get("id"), value.get("property")) if isinstance(value, dict) else (None, None)
