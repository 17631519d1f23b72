"""Children are stopped by their id, and never outlive who started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from portal.supervise import Supervisor

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
PARENT = """
import sys, signal
from pathlib import Path
from portal.supervise import Supervisor
child = Supervisor(Path(sys.argv[1])).start("child", [sys.executable, "-c", "import signal; signal.pause()"], {})
print(child.process.pid, flush=True)
signal.pause()
"""


def wait_for(condition, seconds: float = 10) -> None:
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("the condition did not come true in time")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_stop_ends_also_a_child_that_does_not_listen(tmp_path):
    supervisor = Supervisor(tmp_path)
    child = supervisor.start("stubborn", [sys.executable, "-c", STUBBORN], os.environ)
    supervisor.wait_until(child, lambda: "up" in child.log.read_text(), 20)
    supervisor.stop(timeout=0.2)
    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_ends_early_is_told_with_the_end_of_its_log(tmp_path):
    supervisor = Supervisor(tmp_path)
    child = supervisor.start("short", [sys.executable, "-c", "print('no port left'); raise SystemExit(7)"], os.environ)
    with pytest.raises(RuntimeError, match=r"(?s)short ended with exit code 7.*no port left"):
        supervisor.wait_until(child, lambda: False, 20)
    assert supervisor.ended() is child
    supervisor.stop()


def test_children_die_with_a_supervisor_that_was_killed(tmp_path, settings):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(settings.BASE_DIR)},
    )
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not is_alive(pid))
