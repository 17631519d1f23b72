"""A BigQuery on this machine for tests: its own process on a free port of 127.0.0.1, stopped by the id that began it.

It cannot show what Google bills, nor Google's limits and speed; what is sent about those is tested where it is sent.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-bigquery"
SERVE = Path(__file__).with_name("serve.py")
PROJECT = "test-project"
START_SECONDS = 90.0
STOP_SECONDS = 15.0

# Google's client asks for nothing over the network with these; a service account's key would make it.
CREDENTIALS = {
    "type": "authorized_user",
    "client_id": "x",
    "client_secret": "x",
    "refresh_token": "x",
    "token": "emulator",
    "expiry": "2099-01-01T00:00:00.000000Z",
    "quota_project_id": PROJECT,
}


class Emulator:
    """`with Emulator(folder) as emulator`: ready when it is entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What Google's clients (ours, dbt's, Soda's, dlt's) read to come here."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(self.folder / "credentials.json"),
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            # It takes no compressed rows from dlt.
            "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
        }

    def __enter__(self) -> Emulator:
        if not (ENVIRONMENT / ".installed").exists():
            raise RuntimeError("The BigQuery emulator is not installed. Run bin/bigquery-emulator (make test does).")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "credentials.json").write_text(json.dumps(CREDENTIALS))
        command = [str(ENVIRONMENT / "bin" / "python"), "-P", str(SERVE), "serve"]
        command += ["--host", "127.0.0.1", "--grpc-port", "0"]
        command += ["--project", PROJECT, "--data-dir", str(self.folder / "data")]
        # It is born listening: of a port that is free for a moment only, its own gRPC server may come first.
        with (self.folder / "emulator.log").open("wb") as log, socket.create_server(("127.0.0.1", 0)) as listening:
            # The server takes a socket that it is given for one of files, and would let every answer wait 40 ms for an
            # acknowledgement.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.port = listening.getsockname()[1]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={
                    **os.environ,
                    "HOME": str(ENVIRONMENT / "home"),
                    "EMULATOR_SOCKET": str(listening.fileno()),
                },
                pass_fds=[listening.fileno()],
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait_until_ready(self) -> None:
        """Whoever connects waits in line until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self.folder / "emulator.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"The BigQuery emulator did not start. Its log ends with:\n{log}")
            try:
                with urllib.request.urlopen(f"{self.url}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5):
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)


@contextmanager
def as_google_answers(environment: Mapping[str, str]) -> Iterator[None]:
    """The environment for Google's clients, and two answers of the emulator that differ from Google's put right."""
    from google.cloud.bigquery import QueryJob

    destination = QueryJob.destination

    def told(self: QueryJob) -> object:
        # The emulator leaves out where a CREATE TABLE … AS went; dbt reads it.
        return destination.fget(self) or self.ddl_target_table

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(QueryJob, "destination", property(told))
        yield
