"""The sandbox as a whole: the same world after a restart, a clock that moves or stands, and a clean end."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing

import pytest
import requests

from sandbox import truth
from sandbox.server import ENDPOINTS_FILE, Sandbox
from tests.sandbox.conftest import MONDAY, Client

pytestmark = pytest.mark.slow  # a company is simulated for it


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)
    return found


def test_a_restart_continues_the_same_world_on_the_same_ports(fresh):
    first = fresh(now=MONDAY)
    first.advance(hours=30)
    before = (first.endpoints(), first.now, truth.movements(first.company), list(first.company.ledger.charges))
    first.stop()
    again = fresh()
    assert (again.endpoints(), again.now, truth.movements(again.company), list(again.company.ledger.charges)) == before


def test_pushing_the_clock_in_steps_or_at_once_leads_to_the_same_world(fresh):
    steps, leap = fresh("steps", now=MONDAY), fresh("leap", now=MONDAY)
    for _ in range(8):
        steps.advance(hours=6)
    assert leap.advance(days=2) == steps.now == MONDAY + 2 * 86400
    assert list(steps.company.ledger.invoices) == list(leap.company.ledger.invoices)
    assert list(steps.company.journal.events) == list(leap.company.journal.events)


def test_new_and_changed_objects_appear_when_the_clock_moves(fresh):
    sandbox = fresh(now=MONDAY)
    client = Client(sandbox.stripe.base_url, sandbox.stripe.api_key)
    newest = client.json("/v1/subscriptions", limit=1)["data"][0]
    answer = requests.post(f"{sandbox.github.base_url}/_sandbox/advance?hours=3", timeout=20)
    assert answer.json() == {"now": MONDAY + 3 * 3600}
    later = client.json("/v1/subscriptions", limit=1)["data"][0]
    assert later["created"] > newest["created"]
    changed = client.all("/v1/events", **{"created[gt]": MONDAY})
    assert changed
    with pytest.raises(ValueError, match="back in time"):
        sandbox.advance(hours=-1)


def test_the_running_clock_follows_real_time(fresh):
    sandbox = fresh(tick_seconds=0.05)
    began = sandbox.now
    wait_for(lambda: sandbox.now > began)
    assert abs(sandbox.now - time.time()) < 5


def test_a_frozen_clock_stands_still_and_can_run_again_without_going_back(fresh):
    frozen = fresh(freeze=True)
    frozen.advance(hours=5)
    moment = frozen.now
    frozen.stop()
    assert fresh().now == moment
    running = fresh(freeze=False, tick_seconds=0.05)
    assert running.now >= moment
    began = running.now
    wait_for(lambda: running.now > began)


def test_the_data_behind_the_freshness_checks_is_always_young(fresh):
    sandbox = fresh(now=MONDAY)
    client = Client(sandbox.stripe.base_url, sandbox.stripe.api_key)
    for _ in range(12):
        sandbox.advance(hours=1.7)
        for name in ("subscriptions", "invoices"):
            assert sandbox.now - client.json(f"/v1/{name}", limit=1)["data"][0]["created"] < 3 * 3600


def test_another_seed_or_scale_is_not_laid_over_a_world(fresh):
    fresh(now=MONDAY).stop()
    for options in ({"seed": 1}, {"scale": 0.2}):
        with pytest.raises(ValueError, match="use another directory"):
            fresh(**options)


def test_the_endpoints_file_is_private_and_there_only_while_it_runs(fresh, tmp_path):
    sandbox = fresh(now=MONDAY)
    path = tmp_path / "world" / ENDPOINTS_FILE
    told = json.loads(path.read_text())
    assert told == sandbox.endpoints()
    assert set(told["stripe"]) == {"base_url", "api_key"}
    assert set(told["github"]) == {"base_url", "token", "organization"}
    assert set(told["google_sheets"]) == {"base_url", "service_account_key", "spreadsheet"}
    for name in (ENDPOINTS_FILE, "world.json"):
        assert stat.S_IMODE((tmp_path / "world" / name).stat().st_mode) == 0o600
    sandbox.stop()
    assert not path.exists()


def test_a_port_that_was_taken_meanwhile_is_replaced(fresh):
    first = fresh(now=MONDAY)
    port = int(first.stripe.base_url.rsplit(":", 1)[1])
    first.stop()
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        again = fresh()
        assert not again.stripe.base_url.endswith(f":{port}")
        assert Client(again.stripe.base_url, again.stripe.api_key).json("/v1/account")


def test_doors_listen_on_loopback_only(fresh):
    sandbox = fresh(now=MONDAY)
    assert all(door.base_url.startswith("http://127.0.0.1:") for door in sandbox.doors)


def test_unknown_controls_are_refused(fresh):
    sandbox = fresh(now=MONDAY)
    base = sandbox.stripe.base_url
    assert requests.get(f"{base}/_sandbox/status", timeout=10).json() == {
        "now": MONDAY,
        "opened_at": MONDAY,
        "frozen": True,
        "seed": 42,
        "scale": 0.1,
    }
    assert requests.get(f"{base}/_sandbox/weather", timeout=10).status_code == 404
    assert requests.post(f"{base}/_sandbox/advance?hours=-2", timeout=10).status_code == 400
    assert requests.post(f"{base}/_sandbox/advance?hours=soon", timeout=10).status_code == 400


def test_a_start_that_fails_leaves_nothing_open(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("sandbox.server.write_json", lambda path, body: opened.append(body) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Sandbox.start(tmp_path, scale=0.1, postgres=False, now=MONDAY)
    with pytest.raises(requests.ConnectionError):
        requests.get(opened[0]["stripe"]["base_url"], timeout=5)


def serve(directory, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", "serve", "--data-dir", str(directory), "--scale", "0.1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(tmp_path, how):
    process = serve(tmp_path, "--freeze", "--no-postgres")
    try:
        path = tmp_path / ENDPOINTS_FILE
        wait_for(path.exists)
        stripe = json.loads(path.read_text())["stripe"]
        assert Client(stripe["base_url"], stripe["api_key"]).json("/v1/customers")["data"]
        process.send_signal(how)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert not path.exists()
    assert stripe["api_key"] not in output


@pytest.mark.slow
def test_the_command_says_what_is_wrong(tmp_path):
    Sandbox.start(tmp_path, seed=9, scale=0.1, postgres=False, now=MONDAY).stop()
    process = serve(tmp_path, "--seed", "8", "--no-postgres")
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "holds a world of seed 9" in output
