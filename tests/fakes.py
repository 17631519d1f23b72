"""A fake engine, a fake dbt and fake checks: every branch of the pipeline without the libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from metrics.dbt_types import BuildOutcome, BuildRequest, NodeOutcome
from sources.connectors.base import StreamSpec
from sources.engines.base import Progress, StreamOutcome, SyncOutcome, SyncRequest


@dataclass
class FakeEngine:
    """Answers each sync with the next thing in `script`: rows per stream, an exception to raise, or a callable."""

    name: str = "fake"
    script: list[Any] = field(default_factory=list)
    requests: list[SyncRequest] = field(default_factory=list)

    def warm_up(self) -> None:
        """Nothing to import."""

    def check(self, connector: str, settings: Mapping[str, Any]) -> str:
        return "Connected to the fake."

    def discover(self, connector: str, settings: Mapping[str, Any]) -> list[StreamSpec]:
        return [StreamSpec("invoices", primary_key=("id",), cursor_fields=("created",))]

    def sync(self, request: SyncRequest, progress: Progress) -> SyncOutcome:
        self.requests.append(request)
        answer = self.script.pop(0) if self.script else {}
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Callable):
            answer = answer(request, progress)
        streams = []
        for stream in request.streams:
            rows = answer.get(stream.name, 0)
            progress(stream.name, rows)
            streams.append(StreamOutcome(stream.name, rows=rows, cursor="2026-01-01", columns={"id": "text"}))
        return SyncOutcome(streams, has_new_data=any(answer.values()))


@dataclass
class FakeDbt:
    """Builds one mart out of whatever changed; `script` may hold outcomes or exceptions."""

    script: list[Any] = field(default_factory=list)
    requests: list[BuildRequest] = field(default_factory=list)

    def __call__(self, request: BuildRequest) -> BuildOutcome:
        self.requests.append(request)
        answer = self.script.pop(0) if self.script else good_build()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def good_build() -> BuildOutcome:
    return BuildOutcome(
        nodes=[
            NodeOutcome("model.portal.mrr", "mrr", "model", "success", "mart_finance.mrr", 0.1),
            NodeOutcome("test.portal.invariant", "invariant", "test", "pass", "mart_finance.mrr", 0.1),
        ],
        touched=["mart_finance.mrr"],
        seconds=0.2,
    )


def build_with_failing_test() -> BuildOutcome:
    return BuildOutcome(
        nodes=[
            NodeOutcome("model.portal.mrr", "mrr", "model", "success", "mart_finance.mrr", 0.1),
            NodeOutcome(
                "test.portal.invariant", "invariant", "test", "fail", "mart_finance.mrr", 0.1, 2, "Got 2 results"
            ),
        ],
        touched=["mart_finance.mrr"],
        seconds=0.2,
    )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr("sources.syncs.get_engine", lambda name: fake)
    return fake


@pytest.fixture
def dbt(monkeypatch: pytest.MonkeyPatch) -> FakeDbt:
    fake = FakeDbt()
    monkeypatch.setattr("metrics.builds.import_string", lambda path: fake)
    return fake


@dataclass
class SentMessages:
    """What `portal.dispatch` would have handed to the broker."""

    messages: list[tuple[str, tuple[int, ...], float | None]] = field(default_factory=list)

    @property
    def tasks(self) -> list[str]:
        return [task for task, _, _ in self.messages]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> SentMessages:
    box = SentMessages()
    monkeypatch.setattr(
        "portal.dispatch._send", lambda task, args, countdown: box.messages.append((task, args, countdown))
    )
    return box
