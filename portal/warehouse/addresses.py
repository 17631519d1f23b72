"""What a `WAREHOUSE_URL` says.

duckdb:////absolute/path or duckdb:///relative/path
postgresql://user:password@host:port/database?sslmode=require
bigquery://project/location?maximum_gb=100     (location: EU, US, europe-west3 …; who we are: Google's own settings)
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from django.core.exceptions import ImproperlyConfigured

# A question that would read more than this is refused by BigQuery before it costs anything.
MAXIMUM_GB = 100.0


@dataclass(frozen=True)
class PostgresAddress:
    """`options`: what else libpq is told (sslmode, sslrootcert, …)."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str) -> PostgresAddress:
        parts = urlsplit(url)
        database = unquote(parts.path.lstrip("/"))
        if not parts.hostname or not parts.username or not database:
            raise ImproperlyConfigured("WAREHOUSE_URL for PostgreSQL is postgresql://user:password@host:port/database.")
        return cls(
            host=parts.hostname,
            port=parts.port or 5432,
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            database=database,
            options=tuple(parse_qsl(parts.query)),
        )

    @property
    def without_secrets(self) -> str:
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def url(self) -> str:
        """The whole address, with its password: for a library that takes nothing else."""
        user, password, database = (quote(part, safe="") for part in (self.user, self.password, self.database))
        options = f"?{urlencode(self.options)}" if self.options else ""
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}{options}"

    @property
    def parameters(self) -> dict[str, str | int]:
        """Keyword arguments of libpq."""
        return {
            **dict(self.options),
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
        }


@dataclass(frozen=True)
class BigQueryAddress:
    """`maximum_bytes`: what one question may read at most."""

    project: str
    location: str
    maximum_bytes: int

    @classmethod
    def of(cls, url: str) -> BigQueryAddress:
        parts = urlsplit(url)
        if not parts.netloc:
            raise ImproperlyConfigured("WAREHOUSE_URL for BigQuery is bigquery://project/location (EU, US, …).")
        options = dict(parse_qsl(parts.query))
        try:
            maximum = float(options.get("maximum_gb", MAXIMUM_GB))
        except ValueError:
            raise ImproperlyConfigured("maximum_gb in WAREHOUSE_URL is a number of gigabytes.") from None
        return cls(parts.netloc, parts.path.strip("/") or "EU", int(maximum * 10**9))

    @property
    def without_secrets(self) -> str:
        return f"bigquery://{self.project}/{self.location}"


def duckdb_path(url: str) -> Path:
    return Path(os.path.abspath(url.removeprefix("duckdb:///")))
