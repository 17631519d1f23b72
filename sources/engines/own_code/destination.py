"""dlt's DuckDB for packages that a company's own code made: its dispositions as they are, in transactions.

Parquet where the code asks for nothing else: with dlt's default, INSERT statements, the same rows take many times longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import PreparedTableSchema
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb

from sources.engines.dlt_duckdb import MergeJob


class OwnCodeDuckDbClient(DuckDbClient):
    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[Any]:
        return [MergeJob.from_table_chain(table_chain, self.sql_client)]


class OwnCodeDuckDb(duckdb):
    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        capabilities.supports_transactions = True
        capabilities.preferred_loader_file_format = "parquet"
        return capabilities

    @property
    def client_class(self) -> type[OwnCodeDuckDbClient]:
        return OwnCodeDuckDbClient


def destination(connection: Any) -> OwnCodeDuckDb:
    """An open DuckDB connection, or ":memory:" for whoever only makes packages."""
    return OwnCodeDuckDb(connection, destination_name="duckdb", replace_strategy="insert-from-staging")
