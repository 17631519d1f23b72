"""`manage.py pipeline` on real input, from the first load to a held publication and back."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUESTION = Path(__file__).resolve().parents[1] / "fixtures" / "brief" / "mrr_waterfall.sql"

OPEN_INCIDENTS = "select count(*) from quality_incident where resolved_at is null"


@pytest.fixture(scope="module")
def first(portal):
    """The first pipeline of an empty portal: (exit code, report)."""
    return portal.pipeline()


def test_the_first_pipeline_loads_builds_checks_and_publishes(first):
    code, report = first
    assert code == 0, report
    assert {sync["status"] for sync in report["syncs"]} == {"succeeded"}
    by_source = {sync["source"]: sync["rows"] for sync in report["syncs"]}
    assert by_source["stripe"]["subscriptions"] > 0
    assert by_source["stripe"]["invoice_lines"] >= by_source["stripe"]["invoices"] > 0
    assert by_source["github"]["pulls"] > 0
    assert by_source["postgres"]["events"] > 0
    assert by_source["hubspot"]["deal_stage_history"] > by_source["hubspot"]["deals"] > 0
    assert report["build"]["status"] == "succeeded"
    assert report["build"]["models"] > 10
    assert report["scan"]["errored"] == report["scan"]["failed"] == 0
    assert report["scan"]["passed"] > 5
    assert report["publication"] == {"status": "published", "reasons": []}


def test_the_company_s_own_question_runs_unchanged_on_what_was_published(first, portal):
    rows = portal.published(QUESTION.read_text())
    assert len(rows) > 12
    ((mrr, fx),) = portal.published(
        "select (select mrr from mart_finance.mrr_monthly order by month desc limit 1),"
        " (select sum(fx_mrr) from mart_finance.mrr_monthly)"
    )
    assert rows[-1][-1] + fx == mrr, "every movement ever, and what exchange rates did, add up to the MRR of today"


def test_what_was_loaded_equals_what_the_company_has(first, portal, company):
    import duckdb
    import psycopg

    endpoint = company.endpoints()["postgres"]
    with psycopg.connect(
        host=endpoint["host"],
        port=endpoint["port"],
        dbname=endpoint["database"],
        user=endpoint["user"],
        password=endpoint["password"],
    ) as source:
        expected = {
            table: source.execute(f"select count(*), count(distinct id) from {table}").fetchone()
            for table in ("users", "workspaces", "events")
        }
    with duckdb.connect(str(portal.data_dir / "warehouse" / "warehouse.duckdb"), read_only=True) as warehouse:
        for table, counts in expected.items():
            loaded = warehouse.execute(f"select count(*), count(distinct id) from raw_postgres.{table}").fetchone()
            assert loaded == counts, table


def test_the_second_run_loads_only_what_is_new(first, portal, company):
    code, report = portal.pipeline()
    assert code == 0
    assert all(rows == 0 for sync in report["syncs"] if sync["source"] == "stripe" for rows in sync["rows"].values())
    assert report["build"]["status"] in {"skipped", "succeeded"}

    company.advance(hours=0.2)
    with company.postgres.connect() as database:
        database.execute(
            "insert into events (id, user_id, workspace_id, name, properties, created_at)"
            " select 9000000000, user_id, workspace_id, 'exported', '{}', now() from events limit 1"
        )
        database.execute("update users set role = 'admin', updated_at = now() where id = (select min(id) from users)")
    code, report = portal.pipeline()
    assert code == 0, report
    first_rows = {sync["source"]: sum(sync["rows"].values()) for sync in first[1]["syncs"]}
    for sync in report["syncs"]:
        assert sum(sync["rows"].values()) < first_rows[sync["source"]] / 4, sync
    product = next(sync["rows"] for sync in report["syncs"] if sync["source"] == "postgres")
    assert product["events"] >= 1
    assert product["users"] >= 1
    assert report["build"]["status"] == "succeeded"


def test_a_wrong_token_is_one_incident_one_mail_and_a_sentence(first, portal, company, mailbox):
    portal.shell(
        "from sources.models import Source\n"
        "source = Source.objects.get(slug='stripe'); source.secrets = {'api_key': 'sk_test_wrongwrongwrong'}; source.save()"
    )
    mailbox.messages.clear()
    for _ in range(2):
        code, report = portal.pipeline("--source", "stripe")
        assert code == 1
        assert report["syncs"][0]["status"] == "failed"
        assert "key" in report["syncs"][0]["sentence"]
    incidents = portal.rows(
        "select occurrences, sentence, detail from quality_incident where fingerprint = 'sync:stripe'"
    )
    assert [occurrences for occurrences, _, _ in incidents] == [2]
    assert "wrongwrong" not in str(incidents)
    (mail,) = mailbox.messages
    assert mail["To"] == "demo@example.com"
    assert "Stripe" in mail["Subject"]
    text = mail.get_body(("plain",)).get_content()
    html = mail.get_body(("html",)).get_content()
    assert report["syncs"][0]["sentence"][:30] in text.replace("\n", " ")
    assert "/incidents/" in text
    assert "mart_finance.mrr_monthly" in text, "what is built from it"
    assert "pull_requests" not in text, "and nothing else"
    assert "/incidents/" in html
    assert "wrongwrong" not in text + html

    mailbox.messages.clear()
    portal.shell(
        "from sources.models import Source\n"
        f"source = Source.objects.get(slug='stripe'); source.secrets = {{'api_key': '{company.stripe.api_key}'}}; source.save()"
    )
    code, _ = portal.pipeline("--source", "stripe")
    assert code == 0
    assert [mail["To"] for mail in mailbox.messages] == ["demo@example.com"], "the all-clear"
    assert portal.one(OPEN_INCIDENTS) == 0


def test_a_broken_check_holds_the_publication_and_mending_it_publishes(first, portal, company):
    before = portal.published("select count(*), sum(mrr) from mart_finance.mrr_monthly")
    portal.shell(
        "from quality.models import Check\n"
        "Check.objects.create(dataset='raw_stripe.customers', name='There are a million customers',"
        " definition='row_count > 1000000', severity='critical')"
    )
    company.advance(hours=0.2)
    code, report = portal.pipeline()
    assert code == 3, report
    assert report["publication"]["status"] == "held"
    assert any("million" in reason for reason in report["publication"]["reasons"])
    assert portal.published("select count(*), sum(mrr) from mart_finance.mrr_monthly") == before

    portal.shell(
        "from quality.models import Check\n"
        "check = Check.objects.get(name='There are a million customers'); check.definition = 'row_count > 1'; check.save()"
    )
    code, report = portal.pipeline()
    assert code == 0, report
    assert report["publication"]["status"] == "published"


def test_bad_arguments_end_with_2(portal):
    for arguments in (("--source", "nobody"), (), ("--all", "--source", "stripe")):
        done = portal.manage("pipeline", *arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_passing_trouble_heals_within_the_run(first, portal, company):
    company.stripe.faults.add("reset", count=12)
    company.advance(hours=0.2)
    code, report = portal.pipeline("--source", "stripe")
    assert code == 0, report
    assert portal.one(OPEN_INCIDENTS) == 0
