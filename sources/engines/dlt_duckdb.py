"""dlt's DuckDB destination with five habits changed.

- Each table is replaced or merged in one transaction, so no reader meets it empty or half done.
- `_dlt_load_id` is added while a Parquet file is copied in: our files are written before the load has an id.
- A table is replaced straight from its files: no copy of it in a staging dataset, which would cost as much again.
- Replacing a table gives its columns the types that come, in the same transaction.
- Merging by owner and by primary key deletes in two statements: joined by OR, DuckDB would compare every pair of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    LoadJob,
    PreparedTableSchema,
    RunnableLoadJob,
)
from dlt.common.storages.load_package import LoadJobInfo, ParsedLoadJobFileName
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.factory import duckdb
from dlt.destinations.sql_jobs import SqlFollowupJob, SqlMergeFollowupJob

LOAD_ID = "_dlt_load_id"


class CopyJob(RunnableLoadJob, HasFollowupJobs):
    """Copies one Parquet file into its table."""

    def __init__(self, file_path: str) -> None:
        super().__init__(file_path)
        self._job_client: Any = None  # set by the loader in the thread that runs the job

    def run(self) -> None:
        client = self._job_client.sql_client
        table = client.make_qualified_table_name(self.load_table_name)
        client.execute_sql("SET preserve_insertion_order = true")  # of two rows with one key the last one counts
        client.execute_sql(f"INSERT INTO {table} BY NAME {_rows_of([self._file_path], self._load_id)}")


class WaitingJob(RunnableLoadJob, HasFollowupJobs):
    """One file of a table that is replaced: it waits for its siblings, and `ReplaceJob` takes them all at once."""

    def run(self) -> None:
        pass


class ReplaceJob(SqlFollowupJob):
    """Replaces a table by the rows of its files: straight from them, without a copy of the table in between."""

    @classmethod
    def of(
        cls, table: PreparedTableSchema, files: Sequence[str], load_id: str, sql_client: Any, types: Mapping[str, str]
    ) -> Any:
        """`types`: SQL types the columns shall have. Changed first in the transaction: later DuckDB refuses."""
        target = sql_client.make_qualified_table_name(str(table["name"]))
        retyping = "".join(f"{each};\n" for each in _retyping(str(table["name"]), target, sql_client, types))
        job = cls(ParsedLoadJobFileName(str(table["name"]), ParsedLoadJobFileName.new_file_id(), 0, "sql").file_name())
        job._save_text_file(
            # Nobody asks for an order of these rows, and without one all threads read at once: half the time.
            f"SET preserve_insertion_order = false;\n{retyping}DELETE FROM {target};\n"
            f"INSERT INTO {target} BY NAME {_rows_of(files, load_id)};"
        )
        return job


def _retyping(table: str, target: str, sql_client: Any, types: Mapping[str, str]) -> list[str]:
    """All rows of the table go, so a column may take whatever type comes."""
    with sql_client:  # a session of its own, beside that of the job under way
        there = dict(
            sql_client.execute_sql(
                "SELECT column_name, data_type FROM duckdb_columns()"
                " WHERE database_name = current_database() AND schema_name = %s AND table_name = %s",
                sql_client.dataset_name,
                table,
            )
        )
    statements = []
    for name, kind in types.items():
        if there.get(name, kind) != kind:
            column = f"ALTER TABLE {target} ALTER {sql_client.escape_column_name(name)}"
            # Part of a key: for a moment its rows, which go anyway, have no value.
            statements += [f"{column} DROP NOT NULL", f"{column} SET DATA TYPE {kind} USING NULL"]
    return statements


def _rows_of(files: Sequence[str], load_id: str) -> str:
    quoted = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"SELECT *, '{load_id}' AS {LOAD_ID} FROM read_parquet([{quoted}])"


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
    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:
        if _is_replaced(self.prepare_load_table(table_name)):
            return False
        return super().should_load_data_to_staging_dataset(table_name)

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        if file_path.endswith(".parquet") and LOAD_ID in table["columns"]:
            return WaitingJob(file_path) if _is_replaced(table) else CopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],
        completed_table_chain_jobs: Sequence[LoadJobInfo] | None = None,
    ) -> list[FollowupJobRequest]:
        table = table_chain[0]
        if not _is_replaced(table):
            return super().create_table_chain_completed_followup_jobs(table_chain, completed_table_chain_jobs)
        files = [job.file_path for job in completed_table_chain_jobs or () if job.file_path.endswith(".parquet")]
        load_id = Path(files[0]).parent.parent.name  # the package's folder
        types = {name: self.type_mapper.to_destination_type(column, table) for name, column in table["columns"].items()}
        return [ReplaceJob.of(table, files, load_id, self.sql_client, types)]

    def _create_merge_followup_jobs(self, table_chain: Sequence[PreparedTableSchema]) -> list[Any]:
        return [MergeJob.from_table_chain(table_chain, self.sql_client)]


def _is_replaced(table: PreparedTableSchema) -> bool:
    """One of ours (dlt's own tables have no load id column of that kind) that is replaced as a whole."""
    return table["write_disposition"] == "replace" and LOAD_ID in table["columns"]


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
