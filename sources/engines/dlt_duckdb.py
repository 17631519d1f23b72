"""dlt's DuckDB destination with four habits changed.

- Each table is replaced or merged in one transaction, so no reader meets it empty or half done.
- `_dlt_load_id` is added while a Parquet file is copied in: our files are written before the load has an id.
- Replacing a table drops rows that came twice with one primary key (a page that shifted while it was read).
- Merging by owner and by primary key deletes in two statements: joined by OR, DuckDB would compare every pair of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import HasFollowupJobs, LoadJob, PreparedTableSchema, RunnableLoadJob
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb
from dlt.destinations.sql_jobs import SqlMergeFollowupJob, SqlStagingReplaceFollowupJob

LOAD_ID = "_dlt_load_id"


class CopyJob(RunnableLoadJob, HasFollowupJobs):
    """Copies one Parquet file into its table."""

    def __init__(self, file_path: str) -> None:
        super().__init__(file_path)
        self._job_client: Any = None  # set by the loader in the thread that runs the job

    def run(self) -> None:
        client = self._job_client.sql_client
        table = client.make_qualified_table_name(self.load_table_name)
        path = self._file_path.replace("'", "''")
        client.execute_sql(
            f"INSERT INTO {table} BY NAME SELECT *, '{self._load_id}' AS {LOAD_ID} FROM read_parquet('{path}')"
        )


class ReplaceJob(SqlStagingReplaceFollowupJob):
    @classmethod
    def generate_sql(cls, table_chain: Sequence[PreparedTableSchema], sql_client: Any) -> list[str]:
        statements: list[str] = []
        for table in table_chain:
            target, staged = sql_client.get_qualified_table_names(table["name"])
            columns = [sql_client.escape_column_name(name) for name in table["columns"]]
            key = [sql_client.escape_column_name(name) for name, c in table["columns"].items() if c.get("primary_key")]
            names = ", ".join(columns)
            rows = f"SELECT {names} FROM {staged}"
            if key:
                # The first that came is kept; it is the newest where a source lists newest first.
                rows += f" QUALIFY row_number() OVER (PARTITION BY {', '.join(key)} ORDER BY rowid) = 1"
            statements += [f"DELETE FROM {target}", f"INSERT INTO {target}({names}) {rows}"]
        return statements


class MergeJob(SqlMergeFollowupJob):
    @classmethod
    def gen_key_table_clauses(
        cls,
        root_table_name: str,
        staging_root_table_name: str,
        primary_keys: Sequence[str],
        merge_keys: Sequence[str],
        for_delete: bool,
        source_filter: str | None = None,
    ) -> list[str]:
        clauses = []
        for keys in (merge_keys, primary_keys):
            if keys:
                clauses += super().gen_key_table_clauses(
                    root_table_name, staging_root_table_name, keys, [], for_delete, source_filter
                )
        return clauses

    @classmethod
    def default_order_by(cls) -> str:
        # Of two rows with one key the one that came last is the newer.
        return "rowid DESC"


class PortalDuckDbClient(DuckDbClient):
    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        if file_path.endswith(".parquet") and LOAD_ID in table["columns"]:
            return CopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def _create_replace_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[Any]:
        return [ReplaceJob.from_table_chain(table_chain, self.sql_client)]

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[Any]:
        return [MergeJob.from_table_chain(table_chain, self.sql_client)]


class PortalDuckDb(duckdb):
    """The destination; give it an open DuckDB connection, which stays yours to close."""

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        capabilities = super()._raw_capabilities()
        # dlt 1.31 leaves this unset for DuckDB and then runs DELETE and INSERT one after the other, each on its own.
        capabilities.supports_transactions = True
        return capabilities

    @property
    def client_class(self) -> type[PortalDuckDbClient]:
        return PortalDuckDbClient
