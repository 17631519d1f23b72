"""Which target of dbt/profiles.yml a warehouse is, and what that profile reads from the environment.

A password travels in a variable that starts with DBT_ENV_SECRET_: dbt keeps it out of manifests, logs and messages.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from portal.failures import TerminalError
from portal.warehouse.addresses import BigQueryAddress, PostgresAddress, duckdb_path


@dataclass(frozen=True)
class Target:
    """`database`: the first part of relations' names in a manifest. `identity`: the address, and which warehouse it is
    (one that was made anew holds nothing that was built before)."""

    name: str
    database: str
    identity: str
    environment: dict[str, str] = field(repr=False)


def target_of(warehouse_url: str) -> Target:
    scheme = warehouse_url.partition(":")[0]
    if scheme not in _TARGETS:
        raise TerminalError(
            f"The metrics cannot be built in a warehouse of the kind “{scheme}”.",
            f"metrics.dbt_targets knows {', '.join(sorted(_TARGETS))}.",
            kind="dbt_warehouse",
        )
    return _TARGETS[scheme](warehouse_url)


def _duckdb(url: str) -> Target:
    path = duckdb_path(url)
    identity = url
    with contextlib.suppress(FileNotFoundError):
        identity = f"{url}#{os.stat(path).st_ino}"
    return Target("duckdb", path.stem, identity, {"DBT_DUCKDB_PATH": str(path)})


def _postgres(url: str) -> Target:
    address = PostgresAddress.of(url)
    return Target(
        "postgres",
        address.database,
        address.without_secrets,
        {
            "DBT_POSTGRES_HOST": address.host,
            "DBT_POSTGRES_PORT": str(address.port),
            "DBT_POSTGRES_USER": address.user,
            "DBT_ENV_SECRET_POSTGRES_PASSWORD": address.password,
            "DBT_POSTGRES_DATABASE": address.database,
            "DBT_POSTGRES_SSLMODE": dict(address.options).get("sslmode", "prefer"),
        },
    )


def _bigquery(url: str) -> Target:
    address = BigQueryAddress.of(url)
    return Target(
        "bigquery",
        address.project,
        address.without_secrets,
        {
            "DBT_BIGQUERY_PROJECT": address.project,
            "DBT_BIGQUERY_LOCATION": address.location,
            "DBT_BIGQUERY_MAXIMUM_BYTES": str(address.maximum_bytes),
        },
    )


_TARGETS: dict[str, Callable[[str], Target]] = {"duckdb": _duckdb, "postgresql": _postgres, "bigquery": _bigquery}
