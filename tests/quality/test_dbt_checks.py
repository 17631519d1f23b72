"""Data tests of the dbt project as checks: rows, results, incidents, the gate."""

from __future__ import annotations

from importlib import import_module
from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command

from metrics.builds import _write
from metrics.manifest import DataTestDoc, ProjectDoc
from metrics.models import Build
from quality import dbt_checks, results, scans
from quality.models import Check, CheckResult, Incident, Notification, Outcome
from tests.factories import BuildFactory, CheckFactory, IncidentFactory, ScanFactory, UserFactory
from tests.projects import built, project, rule_doc, rule_ran, with_nodes

pytestmark = pytest.mark.django_db

RULE = rule_doc()


def ran(status: str, rows: int | None = None, rule: DataTestDoc = RULE, project_doc: ProjectDoc | None = None) -> Build:
    """A build whose only test ended like this, recorded."""
    build = BuildFactory(running=True)
    _write(build, [], [], [], with_nodes(built(), rule_ran(rule, status, rows, "Got 2 results")))
    dbt_checks.record(build, project_doc or project(rule))
    return build


# --- which checks there are -------------------------------------------------------------------------------------------
def test_each_test_of_the_project_is_a_check_with_its_severity_and_owner():
    owner = UserFactory(username="finance")
    warns = rule_doc("rates_are_real", only_warns=True, owner="nobody@example.com")
    dbt_checks.follow(project(RULE, warns))
    critical, warning = Check.objects.order_by("name")
    assert (critical.name, critical.dataset, critical.severity, critical.owner) == (
        "MRR adds up",
        "mart_finance.mrr",
        "critical",
        owner,
    )
    assert (critical.definition, critical.origin) == (
        "select 1 where false",
        "the dbt project, tests/mrr_adds_up.sql",
    )
    assert (warning.severity, warning.owner) == ("warn", None)


@pytest.mark.parametrize(
    ("kind", "arguments", "promise"),
    [
        ("not_null", {"column_name": "mrr"}, "Every row has a mrr"),
        ("primary_key", {"column_name": "invoice_id"}, "Every row has an invoice_id of its own"),
        ("unique_together", {"columns": ["month", "step"]}, "No two rows agree in month and step"),
        ("accepted_values", {"column_name": "step", "values": ["new", 2]}, "step is one of new, 2"),
        (
            "relationships",
            {"column_name": "deal_id", "to": "ref('deals')", "field": "id"},
            "Every deal_id is in deals",
        ),
        ("share_between", {"column_name": "grr", "least": 0, "most": 1}, "grr is between 0 and 1"),
        ("made_by_the_company", {"column_name": "x"}, "MRR adds up"),
    ],
)
def test_a_check_of_a_known_kind_is_a_sentence(kind, arguments, promise):
    assert dbt_checks.promise(rule_doc(kind=kind, arguments=arguments)) == promise


def test_a_description_in_the_project_says_it_better():
    assert dbt_checks.promise(rule_doc(description="Nothing is lost.", kind="not_null")) == "Nothing is lost."


def test_what_changed_in_the_project_changes_here_and_keeps_who_was_chosen():
    dbt_checks.follow(project(RULE))
    chosen = UserFactory()
    Check.objects.update(owner=chosen)
    dbt_checks.follow(project(rule_doc(only_warns=True)))
    check = Check.objects.get()
    assert (check.severity, check.owner) == ("warn", chosen)
    assert check.history.count() == 2
    dbt_checks.follow(project(rule_doc(only_warns=True)))
    assert check.history.count() == 2, "nothing new, nothing written"


def test_a_check_may_say_the_same_as_one_of_soda():
    CheckFactory(dataset="mart_finance.mrr", name="MRR adds up")
    dbt_checks.follow(project(RULE))
    assert Check.objects.filter(name="MRR adds up").count() == 2


def test_a_test_that_left_the_project_is_switched_off_and_its_incident_says_so():
    ran("fail", 2)
    ran("pass", 0, rule=rule_doc("another"), project_doc=project(rule_doc("another")))
    gone = Check.objects.get(dbt_test=RULE.unique_id)
    assert (gone.is_enabled, gone.origin) == (False, "removed from the dbt project, tests/mrr_adds_up.sql")
    assert Incident.objects.get().resolution == (
        "The check was removed from the dbt project, tests/mrr_adds_up.sql and is switched off. "
        "Nobody confirmed that the data is right."
    )
    assert results.standing_holds() == []

    dbt_checks.follow(project(RULE))
    gone.refresh_from_db()
    assert gone.is_enabled, "it came back"


def test_one_that_a_person_switched_off_stays_off_and_builds_are_told():
    dbt_checks.follow(project(RULE))
    Check.objects.update(is_enabled=False)
    dbt_checks.follow(project(rule_doc(only_warns=True)))
    assert not Check.objects.get().is_enabled
    assert dbt_checks.switched_off() == {RULE.unique_id}


def test_a_project_that_nobody_could_read_switches_nothing_off():
    dbt_checks.follow(project(RULE))
    dbt_checks.follow(ProjectDoc())
    assert Check.objects.get().is_enabled


# --- what builds find -------------------------------------------------------------------------------------------------
def test_a_failing_test_is_a_result_an_incident_a_mail_and_a_hold_until_it_passes():
    person = UserFactory(username="finance", email="finance@example.com")
    build = ran("fail", 2)
    result = CheckResult.objects.get()
    assert (result.outcome, result.value, result.sentence) == (Outcome.FAIL, 2, "2 rows break it.")
    assert (result.build, result.scan) == (build, None)
    assert "Got 2 results" in result.detail
    incident = Incident.objects.get()
    assert (incident.fingerprint, incident.title) == (f"check:{result.check_row.pk}", "Check failed: MRR adds up")
    assert incident.path == build.get_absolute_url()
    assert Notification.objects.get().recipient == person.email
    assert results.standing_holds() == ["MRR adds up (mart_finance.mrr): 2 rows break it."]

    ran("pass", 0)
    incident.refresh_from_db()
    assert incident.resolution == "The check passes again. No row breaks it."
    assert results.standing_holds() == []


def test_a_warning_is_told_and_does_not_hold():
    ran("warn", 1, rule=rule_doc("rates_are_real", only_warns=True))
    assert CheckResult.objects.get().outcome == Outcome.WARN
    assert Incident.objects.get().title == "Check warns: Rates are real"
    assert results.standing_holds() == []


def test_a_test_that_could_not_be_run_holds():
    ran("error")
    assert CheckResult.objects.get().outcome == Outcome.ERROR
    assert results.standing_holds() == ["MRR adds up (mart_finance.mrr): It could not be looked at."]


def test_a_word_of_dbt_that_nobody_knows_is_never_green():
    ran("partial success")
    assert CheckResult.objects.get().outcome == Outcome.ERROR
    assert CheckResult.objects.get().sentence == "dbt says “partial success”."


def test_what_was_skipped_has_no_outcome_and_takes_no_failure_back():
    ran("pass", 0)
    ran("skipped")
    check = Check.objects.with_latest().get()
    assert check.latest_outcome == Outcome.SKIPPED
    assert check.latest_sentence == "mart_finance.mrr was not built, so it was not looked at."
    assert results.standing_holds() == []
    assert not Incident.objects.exists()

    ran("fail", 2)
    ran("skipped")
    assert len(results.standing_holds()) == 1, "nobody has seen it hold since it failed"
    assert Incident.objects.open().count() == 1


def test_a_test_that_the_manifest_does_not_name_counts_as_critical():
    ran("fail", 3, rule=RULE, project_doc=ProjectDoc())
    check = Check.objects.get()
    assert (check.name, check.dataset, check.severity) == ("MRR adds up", "mart_finance.mrr", "critical")
    assert len(results.standing_holds()) == 1


# --- Soda leaves them alone -------------------------------------------------------------------------------------------
def test_soda_neither_carries_them_out_nor_waits_for_them():
    dbt_checks.follow(project(RULE))
    assert scans.waiting_datasets() == []
    assert scans.perform(ScanFactory()).checks == 0


def test_they_are_neither_exported_nor_switched_off_by_an_import(tmp_path):
    file = tmp_path / "checks.yaml"
    file.write_text("checks for mart_finance.mrr:\n  - row_count > 0:\n      name: MRR adds up\n")
    dbt_checks.follow(project(RULE))
    before = Check.objects.values().get()
    call_command("import_checks", str(file), stdout=StringIO())
    assert Check.objects.of_dbt().values().get() == before
    out = StringIO()
    call_command("export_checks", stdout=out, stderr=StringIO())
    assert "select 1" not in out.getvalue()
    assert "row_count > 0" in out.getvalue()


def test_incidents_of_the_old_kind_do_not_stay_open_after_an_upgrade():
    old = IncidentFactory(kind="build", fingerprint="dbt:test.p.mrr_adds_up")
    other = IncidentFactory(kind="build", fingerprint="build")
    import_module("quality.migrations.0004_close_incidents_of_dbt_tests").close(apps, None)
    old.refresh_from_db()
    other.refresh_from_db()
    assert "Nobody confirmed that the data is right" in old.resolution
    assert (old.state, other.state) == ("resolved", "open")
    assert not Notification.objects.exists(), "it is no all-clear"
