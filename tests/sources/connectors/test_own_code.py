"""A company's own code as connectors: read without being run, seen without a restart, and never in anybody's way."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from portal.failures import TerminalError
from sources.connectors import all_connectors, fields_of, find_connector, get_connector
from sources.connectors.base import FieldKind, SyncMode
from sources.connectors.own_code_reading import read
from sources.engines import engine_for
from tests.sources.conftest import COMPANY_FILE


def own(pipelines):
    return [connector for connector in all_connectors() if getattr(connector, "path", None)]


def test_the_company_s_file_appears_unchanged_with_its_secret_and_its_stream(pipelines):
    shutil.copy(COMPANY_FILE, pipelines)

    connector = get_connector("slack_activity")

    assert connector.label == "Slack activity"
    assert connector.summary == "Slack channel activity: message volume, reactions, active users per channel."
    secrets = [field for field in connector.fields if field.kind is FieldKind.SECRET]
    assert [(field.name, field.label, field.required) for field in secrets] == [("slack_token", "Slack token", True)]
    (stream,) = connector.streams
    assert (stream.name, stream.primary_key, stream.cursor_fields) == ("messages", ("ts",), ("ts",))
    assert stream.sync_modes == (SyncMode.INCREMENTAL,)
    assert engine_for("slack_activity") == "code"
    assert [each.name for each in own(pipelines)] == ["slack_activity"]


def test_its_loop_is_warned_of(pipelines):
    shutil.copy(COMPANY_FILE, pipelines)

    (hint,) = get_connector("slack_activity").hints

    assert hint.startswith("slack_activity.py, line 21: last_ts.last_value moves on with every row")


def test_the_shape_of_real_code_is_read():
    found = read(
        '''
"""The module."""
from typing import Optional
import dlt as d
from dlt import resource, secrets, sources as s

@d.source(name="x")
def shop(key: str = d.secrets.value, pages: int = d.config.value, names: list[str] | None = d.config.value,
         hook: Optional[str] = d.secrets.value, deep: bool = d.config.value, size=100):
    """Orders of a shop.

    More of it.
    """
    region = d.config["shop.region"], secrets.get("other_key"), d.config.get("zone")

    @resource(name="all_orders", primary_key=["shop", "id"], write_disposition={"disposition": "merge", "strategy": "scd2"})
    def orders(since=s.incremental(cursor_path="at")):
        yield 1

    @d.transformer(data_from=orders, write_disposition="replace")
    def lines(order):
        """Lines of an order."""
        yield 2

    return orders(), lines
''',
        "shop.py",
    )

    assert found.problem == ""
    assert found.summary == "Orders of a shop."
    assert {field.name: (field.kind, field.required) for field in found.fields} == {
        "key": (FieldKind.SECRET, True),
        "pages": (FieldKind.INTEGER, True),
        "names": (FieldKind.LIST, False),
        "hook": (FieldKind.SECRET, False),
        "deep": (FieldKind.BOOLEAN, False),
        "shop.region": (FieldKind.TEXT, True),
        "other_key": (FieldKind.SECRET, False),
        "zone": (FieldKind.TEXT, False),
    }
    assert [(spec.name, spec.primary_key, spec.cursor_fields, spec.sync_modes) for spec in found.streams] == [
        ("all_orders", ("shop", "id"), ("at",), (SyncMode.INCREMENTAL,)),
        ("lines", (), (), (SyncMode.FULL_REFRESH,)),
    ]
    assert found.streams[1].description == "Lines of an order. Replaced every time."


@pytest.mark.parametrize(
    "body",
    [
        "    for n in range(3):\n        yield dlt.resource([1], name=f'r{n}')",
        "    return rest_api({})",
        "    yield from rest_api_resources({})",
        "    @dlt.resource(name=f'a{1}')\n    def rows(): yield 1\n    return rows",
    ],
)
def test_streams_that_only_running_tells_are_left_open(body):
    assert read(f"import dlt\n@dlt.source\ndef x():\n{body}\n", "x.py").streams == ()


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import dlt\n@dlt.source\ndef x(:\n", "x.py, line 3: "),
        ("a = 1\n", "x.py has no function decorated with @dlt.source or @dlt.resource"),
        ("import dlt\n@dlt.source\ndef x(channel):\n  return []\n", "x.py, line 3: x() wants “channel”"),
        ("a\0b", "x.py"),
        ("(" * 5000 + ")" * 5000, "x.py"),
        ("if 1:\n\tx\n        y", "x.py, line 3: "),
    ],
)
def test_what_keeps_it_from_running_is_said_with_its_line(code, problem):
    assert read(code, "x.py").problem.startswith(problem)


def test_nothing_of_it_is_run_for_a_page(pipelines, tmp_path):
    (pipelines / "loud.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nimport dlt\n@dlt.resource\ndef x(): yield 1"
    )

    assert [connector.name for connector in own(pipelines)] == ["loud"]
    assert not (tmp_path / "ran").exists()


def test_files_are_seen_as_they_come_change_and_go(pipelines):
    assert find_connector("shop") is None
    (pipelines / "shop.py").write_text("import dlt\n@dlt.resource\ndef x(): yield dlt.secrets['one']")
    assert [field.name for field in fields_of("shop")][:1] == ["one"]
    (pipelines / "shop.py").write_text("import dlt\n@dlt.resource\ndef x(): yield dlt.secrets['two']")
    assert [field.name for field in fields_of("shop")][:1] == ["two"]
    (pipelines / "shop.py").unlink()
    assert find_connector("shop") is None
    with pytest.raises(TerminalError, match="There is no connector called “shop”"):
        get_connector("shop")


def test_a_file_never_takes_the_place_of_a_connector_of_the_portal(pipelines):
    (pipelines / "stripe.py").write_text("import dlt\n@dlt.resource\ndef x(): yield 1")
    (pipelines / "Sales-2024.py").write_text("import dlt\n@dlt.resource\ndef x(): yield 1")
    (pipelines / "_helper.py").write_text("")

    problems = {connector.path.name: connector.problem for connector in own(pipelines)}

    assert problems == {
        "stripe.py": "stripe.py: the portal itself has a connector called “stripe”. Give the file another name.",
        "Sales-2024.py": "Sales-2024.py: name the file with lower-case letters, digits and “_”, at most 40 of them.",
    }
    assert not hasattr(get_connector("stripe"), "path")
    assert engine_for("stripe") == "dlt"


@pytest.mark.parametrize("name", ["../secrets", "a/b", "", "_helper", "Shop", ".hidden"])
def test_no_name_leads_out_of_the_folder(pipelines, name):
    (pipelines.parent / "secrets.py").write_text("import dlt")
    (pipelines / "_helper.py").write_text("import dlt")

    assert find_connector(name) is None


def test_looking_at_own_code_imports_no_dlt(pipelines):
    shutil.copy(COMPANY_FILE, pipelines)
    script = (
        "import sys; from django.conf import settings;"
        f"settings.configure(PIPELINES_DIR={str(pipelines)!r});"
        "from sources.connectors import get_connector; from sources.engines import engine_for;"
        "assert get_connector('slack_activity').streams; assert engine_for('slack_activity') == 'code';"
        "assert 'dlt' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
