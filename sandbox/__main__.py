"""``python -m sandbox serve`` and ``python -m sandbox truth``."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from sandbox.clock import read_world
from sandbox.company import Company
from sandbox.postgres import PostgresError
from sandbox.server import ENDPOINTS_FILE, Sandbox
from sandbox.truth import as_json, monthly
from sandbox.truth_usage import active_days, retention
from sandbox.truth_usage import as_json as usage_as_json


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A simulated SaaS company.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="open all doors until SIGTERM or Ctrl-C")
    serve.add_argument("--data-dir", type=Path, required=True, help="where the world is kept")
    serve.add_argument("--scale", type=float, help="customers, pull requests and events, times this (default 1)")
    serve.add_argument("--seed", type=int, help="another seed, another company (default 42)")
    serve.add_argument("--freeze", action="store_true", default=None, help="let time stand still")
    serve.add_argument("--no-postgres", action="store_true", help="leave the product database out")
    truth = commands.add_parser("truth", help="what the numbers of the world in a directory really are")
    truth.add_argument("--data-dir", type=Path, required=True, help="where the world is kept")
    truth.add_argument("--json", action="store_true", help="months, movements, customer days and use as JSON")
    return parser


def _truth(options: argparse.Namespace) -> int:
    """Builds the world again from what is kept; works beside a running sandbox."""
    try:
        world = read_world(options.data_dir)
    except FileNotFoundError:
        print(f"There is no world in {options.data_dir}.", file=sys.stderr)
        return 2
    company = Company(seed=world.seed, scale=world.scale, opened_at=world.opened_at)
    company.run(world.now())
    if options.json:
        json.dump({**as_json(company), "usage": usage_as_json(company)}, sys.stdout)
        print()
        return 0
    for row in monthly(company):
        print(
            f"{row.month}  {row.currency}  MRR {row.mrr:>12,}  new {row.new_mrr:>10,}  churned {row.churned_mrr:>10,}"
        )
    print()
    for each in retention(company):
        told = "keeps customers" if each.is_driver else "changes nothing"
        print(
            f"{each.feature:<13} {told}; after 90 days {each.stays_with:.1%} with it are still there, "
            f"{each.stays_without:.1%} without"
        )
    for day in active_days(company)[-1:]:
        print(f"{day.date}  active users: {day.dau} today, {day.wau} in 7 days, {day.mau} in 30 days")
    return 0


def _serve(options: argparse.Namespace) -> int:
    stopping = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        sandbox = Sandbox.start(
            options.data_dir,
            seed=options.seed,
            scale=options.scale,
            freeze=options.freeze,
            postgres=not options.no_postgres,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except PostgresError as error:
        print(error, file=sys.stderr)
        return 1
    with sandbox:
        print(f"The sandbox is open; addresses and keys are in {options.data_dir / ENDPOINTS_FILE}.", flush=True)
        stopping.wait()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code (0 fine, 2 bad arguments)."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = _parser().parse_args(arguments)
    return {"serve": _serve, "truth": _truth}[options.command](options)


if __name__ == "__main__":
    sys.exit(main())
