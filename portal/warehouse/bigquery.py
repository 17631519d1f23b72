"""A project in BigQuery as the warehouse. Its names are told in `portal.warehouse.names`; a schema is a dataset.

    raw_*, staging, intermediate, candidate_mart_*    what workers write
    v00000012__mart_*                                 a version: clones, which cost only what changes later
    mart_*                                            views of the newest version, for Metabase and other tools

BigQuery has no lock that we could hold, and no transaction over several datasets. The right to write is therefore a
lock of this portal alone: a file in DATA_DIR that its workers share. Whoever else may write into these datasets is not
kept out; give that right to the portal only. The views change one after the other, within seconds; a page of the
portal is told one version and reads all of it.

Every question of a page is first put as a dry run: it must be one SELECT over this version, within the limit of bytes.
"""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import decimal
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from portal.failures import PortalError, TerminalError, TransientError
from portal.warehouse import names
from portal.warehouse.addresses import BigQueryAddress
from portal.warehouse.base import QUERY_TIMEOUT, QueryResult, cannot_be_found, cannot_be_read, took_too_long
from portal.warehouse.locks import FileLock

# Copying one mart into a version; a clone takes seconds whatever it weighs.
PUBLISH_SECONDS = 600.0

_PARAMETER_TYPES = (
    (bool, "BOOL"),  # before int: it is one
    (int, "INT64"),
    (float, "FLOAT64"),
    (decimal.Decimal, "NUMERIC"),
    (dt.datetime, "TIMESTAMP"),  # before date: it is one
    (dt.date, "DATE"),
    (str, "STRING"),
)


class BigQueryWarehouse:
    scheme = "bigquery"

    def __init__(self, url: str) -> None:
        from django.conf import settings

        self.address = BigQueryAddress.of(url)
        self._lock = FileLock(Path(settings.DATA_DIR) / "warehouse" / f"bigquery-{self.address.project}.lock")
        self._clients: dict[int, Any] = {}

    def writer(self, timeout: float | None = None) -> AbstractContextManager[None]:
        return self._lock.hold(timeout)

    # Candidates and versions -----------------------------------------------------------------------------------

    def tables(self, *, schema_prefix: str = "") -> set[str]:
        with _foreseen():
            return {
                f"{names.spoken(dataset)}.{table.table_id}"
                for dataset in self._candidates(schema_prefix)
                for table in self._client().list_tables(dataset)
            }

    def tables_with(self, column: str, *, schema_prefix: str = "") -> set[str]:
        with _foreseen():
            return {
                f"{names.spoken(dataset)}.{table.table_id}"
                for dataset in self._candidates(schema_prefix)
                for table in self._client().list_tables(dataset)
                if any(field.name == column for field in self._client().get_table(table.reference).schema)
            }

    def _candidates(self, schema_prefix: str) -> list[str]:
        return sorted(
            dataset
            for dataset in self._datasets()
            if not names.is_published(dataset) and names.spoken(dataset).startswith(schema_prefix)
        )

    def _datasets(self) -> list[str]:
        return [dataset.dataset_id for dataset in self._client().list_datasets()]

    def publish(
        self, version: str, *, schema_prefix: str = names.MART, kept: Collection[str] = (), kept_from: str = ""
    ) -> str:
        location = names.version_of(version)
        with self.writer(), _foreseen():
            made = {dataset for dataset in self._datasets() if dataset.startswith(f"{location}__")}
            for leftover in made:  # of an attempt that broke off
                self._client().delete_dataset(leftover, delete_contents=True, not_found_ok=True)
            for dataset in self._candidates(schema_prefix):
                self._take(dataset, names.spoken(dataset), location, lambda mart: mart not in kept)
            before = [dataset for dataset in self._datasets() if kept_from and dataset.startswith(f"{kept_from}__")]
            for dataset in before:
                self._take(dataset, dataset.removeprefix(f"{kept_from}__"), location, lambda mart: mart in kept)
            self._point_views(location)
        return location

    def _take(self, dataset: str, spoken: str, location: str, is_wanted: Callable[[str], bool]) -> None:
        """Those tables of a dataset that are wanted ("mart_finance.mrr_monthly"), into the version."""
        wanted = [table for table in self._client().list_tables(dataset) if is_wanted(f"{spoken}.{table.table_id}")]
        if not wanted:
            return
        target = names.of_version(location, spoken)
        self._make(target)
        for table in wanted:
            self._copy(f"{dataset}.{table.table_id}", f"{target}.{table.table_id}", table.table_type)

    def _copy(self, source: str, target: str, kind: str) -> None:
        how = "clone" if kind == "TABLE" else "as select * from"  # a view has nothing to clone
        self._run(f"create table {self._quoted(target)} {how} {self._quoted(source)}")

    def _point_views(self, location: str) -> None:
        """Point every stable name to this version; the old ones go last, so that no name is missing meanwhile."""
        stable: set[str] = set()
        for dataset in self._datasets():
            if not dataset.startswith(f"{location}__"):
                continue
            shown = dataset.removeprefix(f"{location}__")
            self._make(shown)
            self._let_views_read(shown, dataset)
            for table in self._client().list_tables(dataset):
                view, target = f"{shown}.{table.table_id}", f"{dataset}.{table.table_id}"
                self._run(f"create or replace view {self._quoted(view)} as select * from {self._quoted(target)}")
                stable.add(view)
        for dataset in self._datasets():
            if dataset.startswith(names.MART):
                for table in self._client().list_tables(dataset):
                    if table.table_type == "VIEW" and f"{dataset}.{table.table_id}" not in stable:
                        self._client().delete_table(table.reference, not_found_ok=True)

    def _let_views_read(self, shown: str, dataset: str) -> None:
        """Whoever may read the stable dataset need not be let into each version."""
        from google.cloud.bigquery import AccessEntry

        target = self._client().get_dataset(dataset)
        views = {"dataset": {"projectId": self.address.project, "datasetId": shown}, "targetTypes": ["VIEWS"]}
        target.access_entries = [*target.access_entries, AccessEntry(None, "dataset", views)]
        self._client().update_dataset(target, ["access_entries"])

    def discard_unpublished(self, keep: Iterable[str]) -> list[str]:
        kept = set(keep)
        with _foreseen():
            kept |= self._shown()
            old = [dataset for dataset in self._datasets() if names.is_version(dataset)]
            gone = {dataset.partition("__")[0] for dataset in old} - kept
            for dataset in old:
                if dataset.partition("__")[0] in gone:
                    self._client().delete_dataset(dataset, delete_contents=True, not_found_ok=True)
        return sorted(gone)

    def _shown(self) -> set[str]:
        """The versions that stable names show; a view of what is gone would only give errors."""
        shown = set()
        for dataset in self._datasets():
            if dataset.startswith(names.MART):
                view = next(iter(self._client().list_tables(dataset, max_results=1)), None)
                text = self._client().get_table(view.reference).view_query if view is not None else ""
                shown |= {version for version in self._versions() if f"{version}__" in (text or "")}
        return shown

    def _versions(self) -> set[str]:
        return {dataset.partition("__")[0] for dataset in self._datasets() if names.is_version(dataset)}

    def columns_of(self, name: str) -> tuple[str, ...]:
        """The columns of a candidate as it is named here ("candidate_mart_finance.mrr"); () when there is none."""
        return tuple(field.name for field in self.fields_of(name))

    def fields_of(self, name: str) -> list[Any]:
        """The same as Google describes them."""
        from google.api_core.exceptions import NotFound

        with _foreseen():
            try:
                return list(self._client().get_table(f"{self.address.project}.{name}").schema)
            except NotFound:
                return []

    def tables_of(self, dataset: str) -> list[str]:
        """The tables of a dataset as it is named here; [] when there is none."""
        from google.api_core.exceptions import NotFound

        with _foreseen():
            try:
                return [table.table_id for table in self._client().list_tables(dataset) if table.table_type == "TABLE"]
            except NotFound:
                return []

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Carry out one statement on what workers write, as the writer; `?` for parameters."""
        values = [_parameter(value) for value in parameters]
        with _foreseen():
            job = self._client().query(statement, job_config=self._config(values, timeout=PUBLISH_SECONDS))
            return [tuple(row.values()) for row in job.result()]

    def stream(self, statement: str, rows: int) -> Iterator[list[tuple[Any, ...]]]:
        """The answer to a question about what workers write, so many rows at a time; of no rows, nothing."""
        with _foreseen():
            job = self._client().query(statement, job_config=self._config(timeout=PUBLISH_SECONDS))
            for page in job.result(page_size=rows).pages:
                # BigQuery may answer with a page that has no rows: as the only one, or before others.
                if batch := [tuple(row.values()) for row in page]:
                    yield batch

    def upload(self, file: Path, name: str) -> None:
        """Make a table ("dataset.table") of the rows of a Parquet file, in place of whatever is there."""
        from google.cloud.bigquery import LoadJobConfig

        with _foreseen(), file.open("rb") as stream:
            self._make(name.partition(".")[0])
            config = LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
            self._client().load_table_from_file(stream, f"{self.address.project}.{name}", job_config=config).result()

    def drop(self, name: str) -> None:
        with _foreseen():
            self._client().delete_table(f"{self.address.project}.{name}", not_found_ok=True)

    # Reading ---------------------------------------------------------------------------------------------------

    def columns(self, location: str) -> dict[str, tuple[str, ...]]:
        with _foreseen():
            client = self._client()
            return {
                f"{dataset.removeprefix(f'{location}__')}.{table.table_id}": tuple(
                    field.name for field in client.get_table(table.reference).schema
                )
                for dataset in self._datasets()
                if dataset.startswith(f"{location}__")
                for table in client.list_tables(dataset)
            }

    def query(
        self,
        location: str,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        limit: int = 10_000,
        timeout: float = QUERY_TIMEOUT,
        before: str | None = None,
    ) -> QueryResult:
        from google.api_core.exceptions import GoogleAPIError, NotFound

        text = names.with_schemas(sql, names.in_versions(location, before))
        values = [_parameter(value) for value in parameters]
        try:
            self._refuse_unless_reading(
                text, values, [version for version in (location, before) if version is not None]
            )
            job = self._client().query(text, job_config=self._config(values, timeout=timeout), timeout=timeout)
            try:
                found = job.result(max_results=limit, timeout=timeout)
            except concurrent.futures.TimeoutError as error:
                job.cancel()
                raise took_too_long(timeout) from error
            return QueryResult(
                tuple(field.name for field in found.schema),
                [tuple(_plain(value) for value in row.values()) for row in found],
            )
        except NotFound as error:
            raise cannot_be_found(str(error)) from error
        except (GoogleAPIError, ValueError) as error:
            raise cannot_be_read(error) from error

    def _refuse_unless_reading(self, text: str, values: list[Any], versions: list[str]) -> None:
        dry = self._client().query(text, job_config=self._config(values, dry_run=True))
        tables = [table.dataset_id for table in dry.referenced_tables]
        readable = tuple(f"{version}__" for version in versions)
        if dry.statement_type != "SELECT" or any(not dataset.startswith(readable) for dataset in tables):
            raise TerminalError(
                "Only what is published may be read here.",
                f"{dry.statement_type} over {', '.join(tables) or 'no table'}.",
                kind="published",
            )
        if dry.total_bytes_processed > self.address.maximum_bytes:
            raise TerminalError(
                "This question would read more than BigQuery may be asked to read at once.",
                f"{dry.total_bytes_processed / 1e9:.1f} GB; maximum_gb in WAREHOUSE_URL says "
                f"{self.address.maximum_bytes / 1e9:g}.",
                kind="published",
            )

    # Google's client -------------------------------------------------------------------------------------------

    def _client(self) -> Any:
        """One a process: it was not made to be taken through a fork."""
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import bigquery

        client = self._clients.get(os.getpid())
        if client is None:
            try:
                client = bigquery.Client(project=self.address.project, location=self.address.location)
            except DefaultCredentialsError as error:
                raise TerminalError(
                    "Google does not know who this portal is. Set GOOGLE_APPLICATION_CREDENTIALS to the file with the "
                    "key of its service account.",
                    str(error),
                    kind="warehouse_access",
                ) from error
            self._clients = {os.getpid(): client}
        return client

    def client_of(self, dataset: str, timeout: float) -> Any:
        """A client whose questions are about one dataset, within the limits."""
        from google.cloud import bigquery

        config = self._config(timeout=timeout)
        config.default_dataset = f"{self.address.project}.{dataset}"
        return bigquery.Client(
            project=self.address.project, location=self.address.location, default_query_job_config=config
        )

    def _config(self, values: Sequence[Any] = (), *, timeout: float | None = None, dry_run: bool = False) -> Any:
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(query_parameters=list(values), dry_run=dry_run)
        if dry_run:
            config.use_query_cache = False
        else:
            config.maximum_bytes_billed = self.address.maximum_bytes
        if timeout is not None:
            config.job_timeout_ms = round(timeout * 1000)
        return config

    def _run(self, statement: str) -> None:
        self._client().query(statement, job_config=self._config(timeout=PUBLISH_SECONDS)).result()

    def _make(self, name: str) -> None:
        from google.cloud.bigquery import Dataset, DatasetReference

        dataset = Dataset(DatasetReference(self.address.project, name))
        dataset.location = self.address.location
        self._client().create_dataset(dataset, exists_ok=True)

    def _quoted(self, name: str) -> str:
        return f"`{self.address.project}.{name}`"


def _parameter(value: Any) -> Any:
    from google.cloud.bigquery import ScalarQueryParameter

    for kind, name in _PARAMETER_TYPES:
        if isinstance(value, kind):
            return ScalarQueryParameter(None, name, value)
    if value is None:
        return ScalarQueryParameter(None, "STRING", None)
    raise ValueError(f"A parameter of the type {type(value).__name__} cannot be put to BigQuery.")


def _plain(value: Any) -> Any:
    """Moments as the other warehouses give them: UTC, without a zone."""
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value


@contextmanager
def _foreseen() -> Iterator[None]:
    """What Google answers, as a `PortalError`: worth another attempt, or not."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests.exceptions import RequestException

    passing = (exceptions.TooManyRequests, exceptions.ServerError, exceptions.RetryError)
    try:
        yield
    except PortalError:
        raise
    except (*passing, TransportError, RequestException) as error:
        raise TransientError("BigQuery could not be reached.", str(error), kind="warehouse") from error
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise TerminalError(
            "BigQuery does not let the portal do this. Its service account needs the roles BigQuery Data Owner and "
            "BigQuery Job User.",
            str(error),
            kind="warehouse_access",
        ) from error
    except exceptions.GoogleAPIError as error:
        raise TerminalError("BigQuery refused what the portal asked of it.", str(error), kind="warehouse") from error
