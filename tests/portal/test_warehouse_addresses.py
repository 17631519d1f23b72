"""What WAREHOUSE_URL may say, and what it never gives away."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from portal.warehouse.addresses import BigQueryAddress, PostgresAddress, duckdb_path


def test_a_password_may_hold_what_an_address_has_to_escape():
    address = PostgresAddress.of("postgresql://portal:p%40ss%2Fword%3A@db.example:5433/ware%20house?sslmode=require")
    assert (address.host, address.port, address.user, address.database) == (
        "db.example",
        5433,
        "portal",
        "ware house",
    )
    assert address.password == "p@ss/word:"
    assert address.parameters["sslmode"] == "require"


def test_an_address_can_be_told_again_as_it_was():
    url = "postgresql://portal:p%40ss%2Fword%3A%20100%25@db.example:5433/ware%20house?sslmode=require"
    assert PostgresAddress.of(url).url == url


def test_a_password_is_in_no_text():
    address = PostgresAddress.of("postgresql://portal:hunter22@db.example/warehouse")
    assert "hunter22" not in repr(address) + address.without_secrets
    assert address.port == 5432


@pytest.mark.parametrize("url", ["postgresql://db.example/warehouse", "postgresql://portal:x@db.example/"])
def test_an_address_that_lacks_something_is_refused_without_repeating_it(url):
    with pytest.raises(ImproperlyConfigured, match="postgresql://user:password@host:port/database"):
        PostgresAddress.of(url)


def test_bigquery_has_a_project_a_location_and_a_limit():
    address = BigQueryAddress.of("bigquery://acme-data/europe-west3?maximum_gb=2.5")
    assert (address.project, address.location, address.maximum_bytes) == ("acme-data", "europe-west3", 2_500_000_000)
    assert BigQueryAddress.of("bigquery://acme-data").location == "EU"


@pytest.mark.parametrize("url", ["bigquery:///EU", "bigquery://acme/EU?maximum_gb=lots"])
def test_an_address_of_bigquery_that_cannot_be_read_is_refused(url):
    with pytest.raises(ImproperlyConfigured):
        BigQueryAddress.of(url)


def test_duckdb_has_an_absolute_path_or_one_from_here():
    assert duckdb_path("duckdb:////var/data/w.duckdb") == Path("/var/data/w.duckdb")
    assert duckdb_path("duckdb:///data/w.duckdb") == Path.cwd() / "data" / "w.duckdb"
