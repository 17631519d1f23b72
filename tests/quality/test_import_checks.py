"""`manage.py import_checks` and `export_checks`: all or nothing, said with file and line, the same twice is nothing."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from quality import incidents
from quality.models import Check, Incident, Severity

pytestmark = pytest.mark.django_db

BRIEF = Path(__file__).parent.parent / "fixtures" / "brief" / "stripe_checks.yaml"


def import_checks(*files: Path, dry_run: bool = False) -> str:
    out = StringIO()
    call_command("import_checks", *map(str, files), dry_run=dry_run, stdout=out, no_color=True)
    return out.getvalue()


def refused(*files: Path) -> list[str]:
    err = StringIO()
    with pytest.raises(CommandError, match="nothing was changed") as caught:
        call_command("import_checks", *map(str, files), stderr=err, no_color=True)
    assert caught.value.returncode == 2
    return err.getvalue().splitlines()


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "checks.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def section(*items: str) -> str:
    return "checks for raw_stripe.invoices:\n" + "".join(f"  - {item}\n" for item in items)


# --- the company's file -----------------------------------------------------------------------------------------------
def test_the_companys_file_is_imported_as_it_stands():
    said = import_checks(BRIEF)

    assert said.endswith("12 created, 0 updated, 0 unchanged, 0 removed.\n")
    checks = {check.name: check for check in Check.objects.all()}
    assert len(checks) == 12
    assert {name: (check.dataset, check.severity, check.definition) for name, check in checks.items()} == {
        "Subscription data is fresh": ("raw_stripe.subscriptions", "critical", "freshness(created) < 3h"),
        "Every subscription has a customer": (
            "raw_stripe.subscriptions",
            "critical",
            "missing_count(customer_id) = 0",
        ),
        "Every subscription has a status": ("raw_stripe.subscriptions", "critical", "missing_count(status) = 0"),
        "All subscription statuses are valid": (
            "raw_stripe.subscriptions",
            "critical",
            "invalid_count(status) = 0:\n  valid values: [active, past_due, canceled, trialing, paused]",
        ),
        "Subscriptions table is not empty": ("raw_stripe.subscriptions", "critical", "row_count > 0"),
        "No unusual changes in subscription volume": (
            "raw_stripe.subscriptions",
            "warn",
            "anomaly detection for row_count",
        ),
        "The newest created is less than 3 h old": ("raw_stripe.invoices", "critical", "freshness(created) < 3h"),
        "Every row has an amount_paid": ("raw_stripe.invoices", "critical", "missing_count(amount_paid) = 0"),
        "Only expected currencies": (
            "raw_stripe.invoices",
            "critical",
            "invalid_count(currency) = 0:\n  valid values: [usd, eur, gbp]",
        ),
        "No negative invoice amounts": (
            "raw_stripe.invoices",
            "critical",
            "failed rows:\n  fail condition: amount_paid < 0",
        ),
        "MRR is in expected range ($150K-$250K)": (
            "mart_finance.mrr_monthly",
            "critical",
            "avg(mrr) between 150000 and 250000",
        ),
        "No sudden MRR spikes or drops": ("mart_finance.mrr_monthly", "critical", "anomaly detection for sum(mrr)"),
    }
    negative = checks["No negative invoice amounts"]
    assert negative.written_as == (
        '- failed_count(amount_paid) = 0:\n    fail condition: amount_paid < 0\n    name: "No negative invoice amounts"'
    )
    assert negative.origin == "tests/fixtures/brief/stripe_checks.yaml:23"
    assert "read as: failed rows with fail condition: amount_paid < 0" in said
    assert "only warns, never holds a publication" in said


def test_importing_again_changes_nothing():
    import_checks(BRIEF)
    history = Check.history.count()
    assert import_checks(BRIEF).endswith("0 created, 0 updated, 12 unchanged, 0 removed.\n")
    assert Check.history.count() == history


def test_a_dry_run_says_the_same_and_changes_nothing():
    said = import_checks(BRIEF, dry_run=True)
    assert "12 created, 0 updated, 0 unchanged, 0 removed. Nothing was changed (dry run)." in said
    assert not Check.objects.exists()


def test_what_is_exported_can_be_imported_and_changes_nothing(tmp_path):
    import_checks(BRIEF)
    before = list(Check.objects.values("dataset", "name", "definition", "severity", "is_enabled"))
    exported = tmp_path / "exported.yaml"
    call_command("export_checks", str(exported), stdout=StringIO())
    assert import_checks(exported).endswith("0 created, 0 updated, 12 unchanged, 0 removed.\n")
    assert list(Check.objects.values("dataset", "name", "definition", "severity", "is_enabled")) == before


def test_export_to_standard_output_of_one_dataset():
    import_checks(BRIEF)
    out = StringIO()
    call_command("export_checks", "--dataset", "raw_stripe.invoices", stdout=out)
    assert out.getvalue().startswith("checks for raw_stripe.invoices:\n  - missing_count(amount_paid) = 0:\n")
    assert "mrr" not in out.getvalue()


# --- changes ----------------------------------------------------------------------------------------------------------
def test_a_changed_check_is_updated_and_one_that_is_gone_is_switched_off_with_its_incident(file):
    path = file(section("row_count > 0:\n      name: a", "missing_count(id) = 0:\n      name: b"))
    import_checks(path)
    gone = Check.objects.get(name="b")
    incidents.report(kind="check", fingerprint=f"check:{gone.pk}", title="b", sentence="x", check_row=gone)

    file(section("row_count > 10:\n      name: a\n      severity: warn"))
    said = import_checks(path)

    assert "definition: row_count > 0 → row_count > 10" in said
    assert "severity: critical → warn" in said
    assert said.endswith("0 created, 1 updated, 0 unchanged, 1 removed.\n")
    gone.refresh_from_db()
    assert not gone.is_enabled
    assert "switched off" in Incident.objects.get().resolution

    file(section("row_count > 10:\n      name: a\n      severity: warn", "missing_count(id) = 0:\n      name: b"))
    assert "is checked again" in import_checks(path)
    gone.refresh_from_db()
    assert gone.is_enabled


def test_a_check_that_was_switched_off_by_hand_stays_off(file):
    path = file(section("row_count > 0"))
    import_checks(path)
    Check.objects.update(is_enabled=False)
    assert "is switched off" in import_checks(path)
    assert not Check.objects.get().is_enabled


def test_checks_of_other_files_and_of_people_are_left_alone(file):
    Check.objects.create(dataset="raw_stripe.invoices", name="by hand", definition="row_count > 5")
    import_checks(file(section("row_count > 0"), "one.yaml"))
    import_checks(file(section("row_count > 1"), "two.yaml"))
    assert Check.objects.enabled().count() == 3


def test_line_numbers_move_without_a_change(file):
    path = file(section("row_count > 0"))
    import_checks(path)
    file("# a comment\n\n" + section("row_count > 0"))
    assert "0 updated, 1 unchanged" in import_checks(path)
    assert Check.objects.get().origin.endswith(":4")


# --- the dialect ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("item", "definition"),
    [
        ("values in (c) must be in [1, 2]", "invalid_count(c) = 0:\n  valid values: [1, 2]"),
        ("failed_count(c) < 5:\n      fail condition: c < 0", "failed rows:\n  fail condition: c < 0\n  fail: when >= 5"),
        ("anomaly score for row_count < default", "anomaly detection for row_count"),
        ("freshness using created < 1d", "freshness(created) < 1d"),
        ("row_count:\n      warn: when < 10\n      fail: when < 5", "row_count:\n  warn: when < 10\n  fail: when < 5"),
        ("row_count > 0:\n      attributes: {severity: warn, team: data}", "row_count > 0:\n  attributes:\n    team: data"),
        ("schema:\n      fail:\n        when required column missing: [id]", "schema:\n  fail:\n    when required column missing: [id]"),
        ("missing_count(d) = 0", "missing_count(d) = 0"),
        ("change avg last 7 percent for row_count < 20", "change avg last 7 percent for row_count < 20"),
        ("values in (a) must exist in raw_x.b (c)", "values in (a) must exist in raw_x.b (c)"),
    ],
)  # fmt: skip
def test_what_people_write_becomes_what_soda_carries_out(file, item, definition):
    import_checks(file(section(item)))
    assert Check.objects.get().definition == definition


def test_severity_is_read_from_both_places(file):
    import_checks(
        file(section("row_count > 0:\n      severity: warn", "row_count > 1:\n      attributes: {severity: warn}"))
    )
    assert set(Check.objects.values_list("severity", flat=True)) == {Severity.WARN}


def test_two_unnamed_checks_that_sound_alike_are_told_apart(file):
    import_checks(
        file(section("missing_count(a) = 0:\n      filter: b = 1", "missing_count(a) = 0:\n      filter: b = 2"))
    )
    assert Check.objects.count() == 2


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("checks for raw_stripe.invoices\n  - row_count > 0\n", 1, "no YAML|Nothing to import"),
        ("checks for raw_stripe.invoices:\n  - row_count > 0\n - x\n", 3, "no YAML"),
        ("checks for a.b:\n  - row_count > 0\nchecks for a.b:\n  - row_count > 1\n", 3, "no YAML: found duplicate key"),
        ("", 1, "Nothing to import"),
        ("- row_count > 0\n", 1, "Nothing to import"),
        ("checks for invoices:\n  - row_count > 0\n", 1, "“invoices” is no dataset"),
        ("checks for a.b [daily]:\n  - row_count > 0\n", 1, "is no dataset"),
        ("\nfilter a.b [daily]:\n  where: x\n", 2, "cannot be imported"),
        ("something:\n  - row_count > 0\n", 1, "is not known"),
        ("checks for a.b:\n  row_count > 0: {}\n", 1, "holds no list of checks"),
        (section("row_cout > 0"), 2, "“row_cout” is nothing that can be measured. Did you mean “row_count”?"),
        (section("row_count > 0", "row_count >< 3"), 3, "Soda cannot read this check"),
        (section("row_count > 0:\n      severty: warn"), 3, "“severty” is no setting .* Did you mean “severity”?"),
        (section("row_count > 0:\n      severity: high"), 3, "The severity is “warn” or “critical”, not “high”"),
        (section("row_count > 0:\n      name: 5"), 3, "A name is text"),
        (section("missing_count = 0"), 2, "needs a column"),
        (section("row_count"), 2, "No threshold specified"),
        (section("invalid_count(a) = 0"), 2, "needs to know what is valid"),
        (section("failed_count(a) = 0"), 2, "needs a “fail condition”"),
        (section("failed rows:\n      name: x"), 2, "Soda cannot read this check"),
        (section("values in (a) must be in [a, b"), 2, ""),
        (section("values in (a) must be in []"), 2, "empty"),
        (section("row_count > ${LIMIT}"), 2, "Variables"),
        (section("group by:\n      query: select 1"), 2, "cannot be carried out"),
        (section("x > 3:\n      x sql_file: other.sql"), 3, "Write the SQL into the check"),
        (section("schema:\n      fail:\n        when foo: [a]"), 2, "Soda cannot read this check"),
        (section("row_count > 0", "row_count > 0"), 3, "A second check .* the first is at .*:2"),
        (section("row_count > 0:\n      name: a", "row_count > 5:\n      name: a"), 4, "is called “a”"),
        (section("[1, 2]"), 2, "A check is one line"),
    ],
)
def test_bad_input_is_refused_with_file_and_line_and_changes_nothing(file, text, line, words):
    good = file(section("row_count > 99"), "good.yaml")
    bad = file(text, "bad.yaml")
    problems = refused(good, bad)
    assert any(problem.startswith(f"{bad}:{line}: ") for problem in problems), problems
    import re

    assert any(re.search(words, problem) for problem in problems), problems
    assert not Check.objects.exists()


def test_every_problem_is_named_at_once(file):
    assert len(refused(file(section("row_cout > 0", "row_count > 0", "sum = 3")))) == 2


def test_a_file_that_is_not_there_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "nope.yaml")[0]


def test_one_name_in_two_files_is_refused(file):
    problems = refused(file(section("row_count > 0"), "one.yaml"), file(section("row_count > 0"), "two.yaml"))
    assert len(problems) == 1
    assert "one.yaml:2" in problems[0]
