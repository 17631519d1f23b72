"""What a company's own code does wrong reaches the page with file and line, and costs nobody else anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from portal.failures import TerminalError, TransientError
from sources.engines.base import TerminalSyncError
from sources.engines.own_code.engine import OwnCodeEngine
from tests.sources.engines.own_code.slack import TOKEN

pytestmark = pytest.mark.slow

MISTAKES = {
    "an import of what is not there": (
        """
        import no_such_library
        @dlt.resource
        def rows(): yield {"a": 1}
        """,
        "bad.py, line 3: ModuleNotFoundError: No module named 'no_such_library'.",
    ),
    "an error of syntax": (
        """
        @dlt.resource
        def rows(:
        """,
        "bad.py, line 4: ",
    ),
    "an exception in the middle": (
        """
        @dlt.resource
        def rows():
            yield {"a": 1}
            yield {"a": {}["missing"]}
        """,
        "bad.py, line 6: KeyError: 'missing'.",
    ),
    "an end of the process": (
        """
        import sys
        @dlt.resource
        def rows():
            yield {"a": 1}
            sys.exit(0)
        """,
        "bad.py, line 7: it ended the process by itself (sys.exit).",
    ),
    "an end without a word": (
        """
        import os
        @dlt.resource
        def rows():
            yield {"a": 1}
            os._exit(7)
        """,
        "bad.py: it ended its process (exit code 7) before it was done.",
    ),
    "a crash": (
        """
        import ctypes
        @dlt.resource
        def rows():
            yield {"a": ctypes.string_at(0)}
        """,
        "bad.py, line 6: it crashed (SIGSEGV).",
    ),
    "a row that is none": (
        """
        @dlt.resource
        def rows():
            yield {"a": object()}
        """,
        "bad.py, in “rows” (from line 4): TypeError: ",
    ),
    "a secret that is not filled in": (
        """
        @dlt.resource
        def rows():
            yield {"a": dlt.secrets["shop_key"]}
        """,
        "bad.py, line 5: it asks for “shop_key”, which is not filled in.",
    ),
    "more memory than there is": (
        """
        @dlt.resource
        def rows():
            yield {"a": len(bytearray(8_000_000_000))}
        """,
        "bad.py, line 5: it wanted more memory than a run may have",
    ),
    "nothing to read": (
        """
        def rows(): yield {"a": 1}
        """,
        "bad.py has no function decorated with @dlt.source or @dlt.resource",
    ),
    "a refusal it raises": (
        """
        import requests
        @dlt.resource
        def rows():
            response = requests.Response()
            response.status_code, response.url = 403, "https://api.example.com/x?token=s3cret-in-url"
            response.raise_for_status()
            yield {"a": 1}
        """,
        "bad.py, line 8: api.example.com refused the log-in or a permission is missing (HTTP 403).",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_says_file_and_line(drop, sync, query, mistake):
    code, sentence = MISTAKES[mistake]
    drop("bad", code)

    with pytest.raises(TerminalError) as failure:
        sync("bad", "rows")

    said = failure.value.sentence.removeprefix("Stream “rows”: ")
    assert said.startswith(sentence)
    assert "own_code" not in failure.value.detail  # their traceback, not ours
    assert "s3cret" not in failure.value.detail


@pytest.mark.parametrize(
    ("code", "sentence", "kind"),
    [
        (
            'requests.get("http://127.0.0.1:1/")',
            "bad.py, line 6: 127.0.0.1 could not be reached (ConnectionError).",
            "unreachable",
        ),
        (
            "response = requests.Response(); response.status_code = 429; response.url = 'https://api.example.com/';"
            " response.headers['Retry-After'] = '7'; response.raise_for_status()",
            "bad.py, line 6: api.example.com asked to slow down (HTTP 429).",
            "rate_limited",
        ),
    ],
)
def test_what_may_pass_is_transient(drop, sync, code, sentence, kind):
    drop("bad", f"import requests\n@dlt.resource\ndef rows():\n    yield 1\n    {code}\n")

    with pytest.raises(TransientError) as failure:
        sync("bad", "rows")

    assert failure.value.sentence.removeprefix("Stream “rows”: ") == sentence
    assert failure.value.kind == kind
    assert failure.value.retry_after == (7 if kind == "rate_limited" else None)


def test_code_that_never_ends_is_stopped_where_it_is_and_what_it_printed_is_kept_short(drop, request_for, monkeypatch):
    drop(
        "bad",
        """
        print("beginning")
        @dlt.resource
        def rows():
            yield {"a": 1}
            while True:
                print(dlt.secrets["slack_token"], "and so on" * 100)
        """,
    )
    monkeypatch.setattr("sources.engines.own_code.engine.DEFAULT_LIMIT", 0.25)  # minutes

    with pytest.raises(TerminalError) as failure:
        OwnCodeEngine().sync(request_for("bad", "rows"), lambda stream, rows: None)

    assert failure.value.kind == "time_limit"
    assert "it was still at work after 15 seconds, so it was stopped" in failure.value.sentence
    assert failure.value.sentence.startswith(("bad.py, line 7: ", "bad.py, line 8: "))
    assert "beginning" in failure.value.detail
    assert TOKEN not in failure.value.detail
    assert len(failure.value.detail) < 10_000


def test_a_resource_that_fails_leaves_its_siblings_alone(drop, sync, query):
    drop(
        "shop",
        """
        @dlt.source
        def shop():
            @dlt.resource
            def good(): yield [{"a": 1}, {"a": 2}]
            @dlt.resource
            def bad():
                yield {"a": 1}
                raise ValueError("no")
            @dlt.transformer(data_from=bad)
            def after_bad(row): yield row
            return good, bad, after_bad
        """,
    )

    with pytest.raises(TerminalSyncError) as failure:
        sync("shop", "good", "bad", "after_bad")

    outcome = failure.value.outcome
    assert outcome.rows == {"good": 2, "bad": 0, "after_bad": 0}
    assert outcome.has_new_data
    assert failure.value.sentence == "Stream “bad”: shop.py, line 10: ValueError: no. (one other stream failed too.)"
    assert query("select count(*) from raw_shop.good") == [(2,)]
    assert query("select count(*) from duckdb_tables() where table_name = 'bad'") == [(0,)]


def test_all_that_the_code_started_ends_with_it(drop, request_for, tmp_path):
    drop(
        "bad",
        f"""
        import subprocess
        @dlt.resource
        def rows():
            child = subprocess.Popen(["sleep", "600"])
            open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
            yield {{"a": 1}}
        """,
    )

    OwnCodeEngine().sync(request_for("bad", "rows"), lambda stream, rows: None)

    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_killed_child_may_be_tried_again(drop, sync):
    drop(
        "bad",
        """
        import os, signal
        @dlt.resource
        def rows():
            yield {"a": 1}
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )

    with pytest.raises(TransientError, match="it was killed") as failure:
        sync("bad", "rows")

    assert failure.value.kind == "killed"


def is_alive(pid: int) -> bool:
    """Whether that process runs; one that ended and that nobody has collected does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
