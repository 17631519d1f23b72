"""dlt's destinations for packages that a company's own code made: its dispositions as they are, in transactions.

On DuckDB Parquet where the code asks for nothing else: with dlt's default, INSERT statements, the same rows take many
times longer. On servers what dlt prefers there, since Parquet cannot bring every value of its.
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


def destination(backend: Any, connection: Any) -> Any:
    """For whoever loads. `connection` None is enough to read the local state."""
    from sources.engines.backends import DuckDBBackend

    if isinstance(backend, DuckDBBackend):
        return _duckdb(connection if connection is not None else ":memory:")
    return backend.destination(connection)


def for_packages(scheme: str) -> Any:
    """For whoever only makes packages: it knows no address and no key, but names and types as that warehouse has them."""
    # The same classes as above: dlt remembers which one a pipeline was made for.
    if scheme == "postgresql":
        from sources.engines.backends_postgres import PortalPostgres

        return PortalPostgres(destination_name="postgres")
    if scheme == "bigquery":
        from sources.engines.backends_bigquery import PortalBigQuery

        return PortalBigQuery(destination_name="bigquery")
    return _duckdb(":memory:")


def _duckdb(connection: Any) -> OwnCodeDuckDb:
    return OwnCodeDuckDb(connection, destination_name="duckdb", replace_strategy="insert-from-staging")
