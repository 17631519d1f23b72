"""Production refuses to start on anything unsafe; the demo makes its own keys."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from portal.demo_keys import demo_keys

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "SECRET_KEY": "s" * 50,
    "SECRETS_KEYS": Fernet.generate_key().decode(),
    "ALLOWED_HOSTS": "portal.example.com",
}


def started(tmp_path: Path, print_: str = "'ok'", **environment: str) -> subprocess.CompletedProcess[str]:
    """Import the settings in a process of their own, with nothing but this environment."""
    return python(
        tmp_path, "-c", f"from portal import settings; import json; print(json.dumps({print_}))", **environment
    )


def python(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data"), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_production_starts_when_everything_is_set(tmp_path):
    result = started(tmp_path, "[settings.DEBUG, settings.DEMO, settings.ALLOWED_HOSTS]", **GOOD)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [False, False, ["portal.example.com"]]
    assert not (tmp_path / "data" / "demo-keys.json").exists()


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("value", [None, ""])
def test_production_refuses_to_start_without(tmp_path, name, value):
    environment = {key: text for key, text in GOOD.items() if key != name}
    if value is not None:
        environment[name] = value
    result = started(tmp_path, **environment)
    assert result.returncode != 0
    assert f"Set {name}:" in result.stderr
    assert "make demo" in result.stderr


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too short"),
        ({"SECRETS_KEYS": "no-fernet-key"}, "not a Fernet key"),
        ({"SECRETS_KEYS": f"{GOOD['SECRETS_KEYS']},junk"}, "not a Fernet key"),
        ({"SECRETS_KEYS": ","}, "SECRETS_KEYS"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": ","}, "ALLOWED_HOSTS"),
    ],
)
def test_production_refuses_what_would_not_be_safe(tmp_path, changes, says):
    result = started(tmp_path, **{**GOOD, **changes})
    assert result.returncode != 0, result.stdout
    assert says in result.stderr
    for value in (GOOD["SECRETS_KEYS"], GOOD["SECRET_KEY"], "no-fernet-key"):
        assert value not in result.stderr  # a refusal is logged: no key may stand in it


def test_several_keys_are_read_newest_first(tmp_path):
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    result = started(tmp_path, "settings.SECRETS_KEYS", **{**GOOD, "SECRETS_KEYS": ",".join(keys)})
    assert json.loads(result.stdout) == keys


def test_the_demo_starts_with_nothing_set_and_keeps_its_keys(tmp_path):
    said = "[settings.SECRET_KEY, settings.SECRETS_KEYS, settings.DEBUG]"
    first = started(tmp_path, said, DEMO="1")
    assert first.returncode == 0, first.stderr
    assert started(tmp_path, said, DEMO="1").stdout == first.stdout
    key, (fernet,), debug = json.loads(first.stdout)
    assert len(key) >= 50
    assert Fernet(fernet)
    assert debug is False  # a demo shows no debug pages either


def test_demo_keys_are_for_their_owner_only(tmp_path):
    demo_keys(tmp_path / "data")
    mode = (tmp_path / "data" / "demo-keys.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_two_first_starts_at_once_agree_on_one_set_of_keys(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: json.dumps(demo_keys(tmp_path / "data")), range(8)))
    assert len(set(found)) == 1


def test_fresh_keys_for_an_environment_file_are_usable(tmp_path):
    printed = subprocess.run(
        [sys.executable, "-m", "portal.demo_keys"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    keys = dict(line.split("=", 1) for line in printed.splitlines())
    assert started(tmp_path, **{**GOOD, **keys}).returncode == 0


def test_cookies_are_secure_when_people_come_over_https(tmp_path):
    said = "[settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY]"
    https = started(tmp_path, said, **GOOD, PORTAL_URL="https://portal.example.com")
    assert json.loads(https.stdout) == [True, True, True]


def test_sqlite_is_set_up_for_readers_beside_writers(tmp_path):
    result = started(tmp_path, "settings.DATABASES['default']['OPTIONS']", **GOOD)
    options = json.loads(result.stdout)
    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


def test_the_engines_phone_nobody(tmp_path):
    said = "[__import__('os').environ[name] for name in ('OTEL_SDK_DISABLED', 'DBT_SEND_ANONYMOUS_USAGE_STATS')]"
    assert json.loads(started(tmp_path, said, **GOOD).stdout) == ["true", "false"]


@pytest.mark.parametrize(("more", "shows_where"), [([], False), (["--traceback"], True)])
def test_a_command_that_is_not_set_up_says_so_in_a_sentence(tmp_path, more, shows_where):
    result = python(tmp_path, "manage.py", "check", *more)
    assert result.returncode == 1
    assert "Set SECRET_KEY: it signs sessions" in result.stderr
    assert ("Traceback" in result.stderr) == shows_where
