"""The child process: `python -m sources.engines.own_code.child <fd>`. Started by `process.py` only.

What to do, and the secrets with it, come as one line on standard input; answers go as JSON lines to file descriptor
<fd>. Standard input stays open as a lifeline: when it ends, the worker is dead, and the whole process group ends too.
Two processes, so that code which never returns to Python cannot keep that from being noticed.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from portal.supervise import die_with_parent

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    say_to = int(sys.argv[1])
    os.umask(0o077)
    order = _first_line()
    # A pipe that a signal writes to: the guard sleeps until the child or the worker ends.
    ended, noted = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(noted)
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _work(json.loads(order), say_to)
    os.close(say_to)
    del order
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # meant for the child: it then says where it is
    _guard(pid, ended)


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            sys.exit(1)
        line += part
    return line


def _guard(pid: int, ended: int) -> None:
    while True:
        ready, _, _ = select.select([0, ended], [], [])
        if 0 in ready and not os.read(0, 1):
            os.killpg(0, signal.SIGKILL)
        if ended in ready:
            os.read(ended, 512)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _work(order: dict[str, Any], say_to: int) -> None:
    """Do what was ordered and end; whatever the code does, the worker gets an answer or sees the exit code."""
    die_with_parent(signal.SIGKILL)
    os.set_inheritable(say_to, False)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = order["memory_mb"] * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # So that a crash, and a run that has to be stopped, say where the code was.
    stack = os.open(order["stack"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    faulthandler.enable(file=stack, all_threads=False)
    faulthandler.register(signal.SIGUSR1, file=stack, all_threads=False)
    lock = threading.Lock()

    def say(message: dict[str, Any]) -> None:
        data = (json.dumps(message) + "\n").encode()
        with lock:
            while data:
                data = data[os.write(say_to, data) :]

    try:
        from sources.engines.own_code import job

        job.do(order, say)
        code = 0
    except BaseException as error:
        from sources.engines.own_code.mistakes import describe

        say({"error": describe(error, order)})
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)  # without waiting for threads the code may have left behind


if __name__ == "__main__":
    main()
