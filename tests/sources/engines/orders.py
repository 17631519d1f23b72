"""Orders to a process that carries each out in a child, as a prefork worker does, and survives the child's death.

One JSON object a line on its standard input; the exit status of the child as a line on its standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
Orders = Callable[[dict[str, Any]], int]


@contextmanager
def orders_to(module: str, data_dir: Path) -> Iterator[Orders]:
    """`module` is run, and calls `serve`; give it an order, and get the exit status."""
    environment = {**os.environ, "DEMO": "true", "DATA_DIR": str(data_dir), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    with subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        orders, answers = process.stdin, process.stdout

        def give(order: dict[str, Any]) -> int:
            orders.write(json.dumps(order) + "\n")
            orders.flush()
            return int(answers.readline())

        yield give
        orders.close()


def serve(warm_up: Callable[[], None], carry_out: Callable[[dict[str, Any]], None]) -> None:
    """Carry each order out in a child, and answer with its exit status; `warm_up` is called once, before the first."""
    import django

    django.setup()
    warm_up()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                carry_out(json.loads(line))
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
