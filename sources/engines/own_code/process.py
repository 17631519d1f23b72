"""The child as the worker sees it: started with a clean environment, told what to do, listened to, stopped with all of it.

Secrets go through a pipe, never by argument or environment. What the child prints is kept (its beginning and its end)
for the detail of a failure. When it is done, or its time is up, its whole process group is killed; when this process
dies first, the child's guard does that (`child.py`).
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from portal.failures import PortalError, TerminalError, TransientError
from portal.redact import redact

# What of the worker's environment the code may see: how to reach the network and how to speak, no key of the portal.
_PASSED_ON = re.compile(
    r"\A(?:PATH|LANG|LC_\w+|TZ|LD_LIBRARY_PATH|VIRTUAL_ENV|SSL_CERT_(?:FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|(?:HTTPS?|ALL|NO)_PROXY|https?_proxy|all_proxy|no_proxy)\Z"
)
_QUIET = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "WARNING",
    "EXTRACT__WORKERS": "2",
    # Arrow tables get the load's id too: by it, rows of a load that never ended are found and removed.
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
_HEAD, _TAIL = 2_000, 6_000  # characters of what it printed
_ROOT = Path(__file__).resolve().parents[3]
_HANG_GRACE = 2.0  # seconds a child that is to be stopped has for saying where it is


class OwnCodeError(Exception):
    """The child's own account of a failure; `streams` are those it belongs to, [] for all."""

    def __init__(self, failure: PortalError, streams: list[str]) -> None:
        super().__init__(failure.sentence)
        self.failure = failure
        self.streams = streams


def run(order: Mapping[str, Any], home: Path, time_limit: float, progress: Callable[[str, int], None]) -> Any:
    """Have a child carry out `order` with `home` as its private folder; returns its answer, raises `OwnCodeError`."""
    return _Child(order, home, time_limit).run(progress)


class _Child:
    def __init__(self, order: Mapping[str, Any], home: Path, time_limit: float) -> None:
        self.stack = home / "stack"
        self.order = {**order, "memory_mb": settings.PIPELINE_MEMORY_MB, "stack": str(self.stack)}
        self.file = Path(order["path"])
        self.home = home
        self.time_limit = time_limit
        self.printed = _Printed()

    def run(self, progress: Callable[[str, int], None]) -> Any:
        heard_from, say_to = os.pipe()
        try:
            process = self._start(say_to)
        finally:
            os.close(say_to)
        assert process.stdin is not None
        assert process.stdout is not None
        listener = threading.Thread(target=self.printed.take, args=(process.stdout,), daemon=True)
        listener.start()
        try:
            with suppress(BrokenPipeError):  # it ended already; its exit code is what counts
                process.stdin.write(json.dumps(self.order).encode() + b"\n")
            answer = self._listen(heard_from, process, progress)
        finally:
            os.close(heard_from)
            self._end(process)
            listener.join(5)
        if answer is None:
            raise self._without_a_word(process.returncode)
        if "error" in answer:
            raise self._told(answer["error"])
        return answer["answer"]

    def _start(self, say_to: int) -> subprocess.Popen[bytes]:
        for name in ("tmp", "work"):
            (self.home / name).mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if _PASSED_ON.match(name)} | _QUIET
        environment |= {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "DLT_DATA_DIR": str(self.home / "dlt"),
            "PYTHONPATH": str(_ROOT),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "sources.engines.own_code.child", str(say_to)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.home / "work",
            env=environment,
            pass_fds=(say_to,),
            start_new_session=True,
            bufsize=0,
        )

    def _listen(
        self, heard_from: int, process: subprocess.Popen[bytes], progress: Callable[[str, int], None]
    ) -> dict[str, Any] | None:
        """The child's last word; None when it went without one."""
        until = time.monotonic() + self.time_limit
        waiting = b""
        while True:
            left = until - time.monotonic()
            if left <= 0 or not select.select([heard_from], [], [], min(left, 60.0))[0]:
                if time.monotonic() < until:
                    continue
                raise self._too_slow(process)
            part = os.read(heard_from, 65_536)
            if not part:
                return None
            *lines, waiting = (waiting + part).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if "progress" not in message:
                    return message
                progress(*message["progress"])

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        """Nothing of the child stays. Its guard is not waited for before, so that the group's number stays its own."""
        assert process.stdin is not None
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            # A child that has said its last word ends by itself; the kill is for what it may have started.
            deadline = time.monotonic() + _HANG_GRACE
            while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, ChildProcessError):
            pass
        process.stdin.close()
        process.wait()

    # Failures ---------------------------------------------------------------------------------------------------

    def _told(self, told: Mapping[str, Any]) -> OwnCodeError:
        detail = self._with_printed(told["detail"])
        failure: PortalError
        if told["is_transient"]:
            failure = TransientError(told["sentence"], detail, kind=told["kind"], retry_after=told["retry_after"])
        else:
            failure = TerminalError(told["sentence"], detail, kind=told["kind"])
        return OwnCodeError(failure, list(told["streams"]))

    def _too_slow(self, process: subprocess.Popen[bytes]) -> OwnCodeError:
        """Ask it where it is (it dumps its stack), then give up on it."""
        where = self.file.name
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + _HANG_GRACE
        while time.monotonic() < deadline and not (place := self._place()):
            time.sleep(0.02)
        if place := self._place():
            where = place
        limit = f"{self.time_limit / 60:.0f} minutes" if self.time_limit >= 120 else f"{self.time_limit:.0f} seconds"
        sentence = f"{where}: it was still at work after {limit}, so it was stopped. Nothing of it was loaded."
        return OwnCodeError(TerminalError(sentence, self._with_printed(""), kind="time_limit"), [])

    def _without_a_word(self, code: int) -> OwnCodeError:
        where = self._place() or self.file.name
        # The guard passes a signal on as 128 + its number, as a shell does.
        number = -code if code < 0 else code - 128
        detail = self._with_printed(f"Exit code {code}.")
        if number == signal.SIGKILL:
            return OwnCodeError(
                TransientError(f"{where}: it was killed, perhaps for want of memory.", detail, kind="killed"), []
            )
        if number > 0 and (name := _signal_name(number)):
            return OwnCodeError(TerminalError(f"{where}: it crashed ({name}).", detail, kind="code"), [])
        sentence = f"{where}: it ended its process (exit code {code}) before it was done."
        return OwnCodeError(TerminalError(sentence, detail, kind="code"), [])

    def _place(self) -> str:
        """Where in the company's file it was when it dumped its stack; the innermost call comes first."""
        dump = self.stack.read_text(errors="replace") if self.stack.exists() else ""
        found = re.search(rf'File "{re.escape(str(self.file))}", line (\d+)', dump)
        return f"{self.file.name}, line {found[1]}" if found else ""

    def _with_printed(self, detail: str) -> str:
        printed = redact(self.printed.text()).strip()
        return "\n\n".join(filter(None, (detail, f"What it printed:\n{printed}" if printed else "")))


class _Printed:
    """The beginning and the end of what the child printed, however much that is."""

    def __init__(self) -> None:
        self.head = self.tail = ""
        self.left_out = False

    def take(self, pipe: Any) -> None:
        with pipe:
            while part := pipe.read(65_536):
                text = part.decode(errors="replace")
                room = _HEAD - len(self.head)
                self.head += text[:room]
                self.left_out |= len(self.tail) + len(text[room:]) > _TAIL
                self.tail = (self.tail + text[room:])[-_TAIL:]

    def text(self) -> str:
        return self.head + ("\n[…]\n" if self.left_out else "") + self.tail


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""
