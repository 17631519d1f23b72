"""BigQuery as the warehouse: what is sent to Google about limits and places, which no emulator can show."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions

from portal.failures import TerminalError, TransientError
from portal.warehouse.bigquery import BigQueryWarehouse
from tests.warehouses.emulator import PROJECT

VERSION = "v00000007"


class NoRows:
    schema = (SimpleNamespace(name="n"),)

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class FakeClient:
    """Remembers what it was asked; a dry run answers as it is told."""

    def __init__(self, **dry: Any) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.dry = SimpleNamespace(
            statement_type="SELECT",
            referenced_tables=[SimpleNamespace(dataset_id=f"{VERSION}__mart_finance")],
            total_bytes_processed=10**6,
        )
        vars(self.dry).update(dry)

    def query(self, text: str, job_config: Any, **_: Any) -> Any:
        self.sent.append((text, job_config))
        if job_config.dry_run:
            return self.dry
        return SimpleNamespace(result=lambda **_: NoRows())


@pytest.fixture
def warehouse() -> BigQueryWarehouse:
    return BigQueryWarehouse("bigquery://acme/europe-west3?maximum_gb=2")


def with_client(monkeypatch: Any, warehouse: BigQueryWarehouse, **dry: Any) -> FakeClient:
    client = FakeClient(**dry)
    monkeypatch.setattr(warehouse, "_client", lambda: client)
    return client


def test_a_question_carries_its_limits(warehouse: BigQueryWarehouse, monkeypatch: Any) -> None:
    client = with_client(monkeypatch, warehouse)
    warehouse.query(VERSION, "select n from mart_finance.numbers where day > ?", ["2026-01-01"], timeout=7)
    (dry_text, dry), (text, config) = client.sent
    assert text == dry_text == f"select n from {VERSION}__mart_finance.numbers where day > ?"
    assert dry.dry_run
    assert (config.maximum_bytes_billed, int(config.job_timeout_ms)) == (2_000_000_000, 7000)
    assert [(each.type_, each.value) for each in config.query_parameters] == [("STRING", "2026-01-01")]


def test_what_would_read_too_much_is_refused_before_it_costs(warehouse: BigQueryWarehouse, monkeypatch: Any) -> None:
    client = with_client(monkeypatch, warehouse, total_bytes_processed=3_000_000_000)
    with pytest.raises(TerminalError, match="would read more") as caught:
        warehouse.query(VERSION, "select n from mart_finance.numbers")
    assert "3.0 GB" in caught.value.detail
    assert len(client.sent) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "found"), [(0, []), (5, [[(1,), (2,)], [(3,), (4,)], [(5,)]])])
def test_rows_arrive_some_at_a_time_and_no_rows_as_nothing(bigquery_emulator: Any, rows: int, found: Any) -> None:
    warehouse = BigQueryWarehouse(f"bigquery://{PROJECT}/EU")
    statement = f"select n from unnest(generate_array(1, 9)) as n where n <= {rows} order by n"
    assert list(warehouse.stream(statement, 2)) == found


@pytest.mark.parametrize(
    "dry",
    [
        {"statement_type": "SCRIPT"},
        {"statement_type": "DELETE"},
        {"referenced_tables": [SimpleNamespace(dataset_id="raw_stripe")]},
        {"referenced_tables": [SimpleNamespace(dataset_id="v00000008__mart_finance")]},
    ],
)
def test_only_the_version_that_was_asked_for_is_read(
    warehouse: BigQueryWarehouse, monkeypatch: Any, dry: dict[str, Any]
) -> None:
    client = with_client(monkeypatch, warehouse, **dry)
    with pytest.raises(TerminalError, match="Only what is published"):
        warehouse.query(VERSION, "select n from mart_finance.numbers")
    assert len(client.sent) == 1


def test_a_project_and_a_location_are_told_to_google(warehouse: BigQueryWarehouse, monkeypatch: Any) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr("google.cloud.bigquery.Client", lambda **options: made.append(options) or FakeClient())
    warehouse._client()
    warehouse._client()
    assert made == [{"project": "acme", "location": "europe-west3"}]


def test_a_portal_that_google_does_not_know_says_what_to_set(warehouse: BigQueryWarehouse, monkeypatch: Any) -> None:
    from google.auth.exceptions import DefaultCredentialsError

    def refuse(**_: Any) -> None:
        raise DefaultCredentialsError("no credentials")

    monkeypatch.setattr("google.cloud.bigquery.Client", refuse)
    with pytest.raises(TerminalError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        warehouse.tables()


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (exceptions.ServiceUnavailable("busy"), TransientError),
        (exceptions.TooManyRequests("slow down"), TransientError),
        (exceptions.Forbidden("no"), TerminalError),
        (exceptions.BadRequest("what?"), TerminalError),
    ],
)
def test_what_google_answers_is_worth_another_attempt_or_not(
    warehouse: BigQueryWarehouse, monkeypatch: Any, answer: Exception, kind: type[Exception]
) -> None:
    def refuse() -> None:
        raise answer

    monkeypatch.setattr(warehouse, "_client", lambda: SimpleNamespace(list_datasets=refuse))
    with pytest.raises(kind):
        warehouse.tables()
