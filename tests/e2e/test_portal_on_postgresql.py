"""The portal's own database on PostgreSQL instead of SQLite."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Portal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def portal_on_postgresql(tmp_path_factory, company, mailbox):
    with company.postgres.connect() as database:
        database.autocommit = True
        database.execute("create database portal")
        owner, password = database.info.user, database.info.password
    endpoint = company.endpoints()["postgres"]
    data_dir = tmp_path_factory.mktemp("portal-on-postgresql")
    portal = Portal.in_directory(data_dir, mailbox.url)
    portal.env["DATABASE_URL"] = f"postgresql://{owner}:{password}@{endpoint['host']}:{endpoint['port']}/portal"
    portal.must("migrate", "-v", "0")
    endpoints = data_dir / "endpoints.json"
    endpoints.write_text(json.dumps(company.endpoints()))
    portal.must("demo_seed", "--endpoints", str(endpoints))
    return portal


def test_a_pipeline_publishes_and_the_next_one_finds_nothing_new(portal_on_postgresql):
    code, report = portal_on_postgresql.pipeline()
    assert code == 0, report
    code, report = portal_on_postgresql.pipeline()
    assert code == 0, report
    assert report["build"]["status"] == "skipped"


def test_the_sweep_and_the_pages_questions_are_fine_with_it(portal_on_postgresql):
    said = portal_on_postgresql.shell(
        "from django.utils import timezone; from portal.sweep import sweep; sweep(timezone.now())\n"
        "from django.test import Client; from django.contrib.auth import get_user_model\n"
        "client = Client(headers={'host': 'localhost'}); client.force_login(get_user_model().objects.get())\n"
        "print([client.get(path).status_code for path in"
        " ('/', '/sources/stripe/', '/runs/1/', '/builds/1/', '/incidents/', '/mails/', '/admin/sources/source/')])"
    )
    assert "[200, 200, 200, 200, 200, 200, 200]" in said
