"""Loading into BigQuery: Parquet by load jobs. Tables that grow are parted by months and sorted by their key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlt.destinations.adapters import bigquery_adapter
from dlt.destinations.impl.bigquery.bigquery import BigQueryClient
from dlt.destinations.impl.bigquery.bigquery_adapter import PartitionTransformation
from dlt.destinations.impl.bigquery.factory import bigquery

from portal.failures import TerminalError
from portal.warehouse.bigquery import BigQueryWarehouse
from sources.engines.backends_server import BATCH_ROWS, AddsLoadId, ServerBackend
from sources.engines.fitting import Fitted, size_of

# What a table can be parted by. Months, as for the metrics: one job may write to 4,000 partitions only.
_BY_MONTH = {"timestamp": "TIMESTAMP_TRUNC({column_name}, MONTH)", "date": "DATE_TRUNC({column_name}, MONTH)"}
_SORTABLE = {"text", "bigint", "bool", "timestamp", "date", "decimal"}
_SORTED_BY = 4  # columns; Google allows no more


class PortalBigQueryClient(AddsLoadId, BigQueryClient):
    pass


class PortalBigQuery(bigquery):
    @property
    def client_class(self) -> type[BigQueryClient]:
        return PortalBigQueryClient


class BigQueryBackend(ServerBackend):
    def __init__(self, warehouse: BigQueryWarehouse) -> None:
        self.warehouse = warehouse

    def destination(self, connection: Any) -> Any:
        address = self.warehouse.address
        return PortalBigQuery(location=address.location, project_id=address.project, destination_name="bigquery")

    @contextmanager
    def connected(self) -> Iterator[Any]:
        yield self.warehouse  # its client asks over HTTP, there is nothing to hold open

    def rows(self, connection: Any, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.warehouse.execute(statement, parameters)

    def named(self, dataset: str, table: str) -> str:
        return f"`{self.warehouse.address.project}.{dataset}.{table}`"

    def column_named(self, name: str) -> str:
        return f"`{name}`"

    def tables(self, connection: Any, dataset: str) -> dict[str, int]:
        return dict.fromkeys(self.warehouse.tables_of(dataset), 0)

    def columns(self, connection: Any, dataset: str, table: str) -> list[str]:
        return list(self.warehouse.columns_of(f"{dataset}.{table}"))

    def laid_out(self, resource: Any, load: Any) -> Any:
        """Counts when dlt makes the table; one that is there stays as it is until it is dropped."""
        kinds = {column.name: column.data_type for column in load.columns}
        month = _BY_MONTH.get(kinds.get(load.grows_by, ""))
        cluster = [name for name in load.key if kinds.get(name) in _SORTABLE][:_SORTED_BY]
        if not load.grows_by or not (month or cluster):
            return resource
        partition = PartitionTransformation(month, load.grows_by) if month else None
        return bigquery_adapter(resource, partition=partition, cluster=cluster or None)  # type: ignore[arg-type]

    def types(self, connection: Any, dataset: str, table: str) -> dict[str, str]:
        known = {
            "STRING": "text",
            "INTEGER": "bigint",
            "INT64": "bigint",
            "FLOAT": "double",
            "FLOAT64": "double",
            "BOOLEAN": "bool",
            "BOOL": "bool",
            "TIMESTAMP": "timestamp",
            "DATE": "date",
        }
        found = {}
        for field in self.warehouse.fields_of(f"{dataset}.{table}"):
            if field.field_type in ("NUMERIC", "BIGNUMERIC"):
                found[field.name] = f"decimal({field.precision or 38},{field.scale or 9})"
            elif field.field_type in known:
                found[field.name] = known[field.field_type]
        return found

    def widen(self, connection: Any, dataset: str, table: str, changes: Sequence[Fitted]) -> None:
        """One statement a column: each loses nothing, so it does no harm when the next one fails."""
        for each in changes:
            if not _is_coerced(each.old or "", each.word):
                raise TerminalError(
                    f"Column “{each.column.name}” was {each.old} and comes as {each.comes_as} now. BigQuery does not turn "
                    f"a column of {each.old} into one of {each.word}, so nothing was loaded and the table is as it was. "
                    "If it is right, an engineer drops the table: the next sync makes it anew, and so does the next "
                    "build with what stands on it.",
                    f"{each.old} → {each.word}",
                    kind="columns",
                )
        for each in changes:
            self.rows(
                connection,
                f"alter table {self.named(dataset, table)} alter column `{each.column.name}`"
                f" set data type {_sql_type(each.word)}",
            )

    def fetch(
        self, connection: Any, dataset: str, table: str, columns: Sequence[str], keys: Path | None, key: Sequence[str]
    ) -> Iterator[Sequence[tuple[Any, ...]]]:
        found = ", ".join(f"t.`{name}`" for name in columns)
        statement = f"select {found} from {self.named(dataset, table)} as t"
        if keys is None:
            yield from self.warehouse.stream(statement, BATCH_ROWS)
            return
        place = f"{dataset}_staging._portal_keys_{table}"
        self.warehouse.upload(keys, place)
        try:
            same = " and ".join(f"t.`{name}` = k.`{name}`" for name in key)
            statement += f" inner join `{self.warehouse.address.project}.{place}` as k on {same}"
            yield from self.warehouse.stream(statement, BATCH_ROWS)
        finally:
            self.warehouse.drop(place)


def _is_coerced(old: str, new: str) -> bool:
    """Whether ALTER COLUMN … SET DATA TYPE does it: INT64 → NUMERIC → BIGNUMERIC, and INT64 → FLOAT64."""
    return size_of(new) is not None or (old, new) == ("bigint", "double")


def _sql_type(word: str) -> str:
    size = size_of(word)
    if size is None:
        return {"double": "FLOAT64"}[word]
    precision, scale = size
    fits = scale <= 9 and precision - scale <= 29
    return f"{'NUMERIC' if fits else 'BIGNUMERIC'}({precision}, {scale})"
