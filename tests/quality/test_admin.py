"""The admin of checks, incidents and mails, as a colleague without SodaCL uses it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from quality import incidents
from quality.models import Check, Incident, Notification
from tests.factories import CheckResultFactory, SourceFactory, StaffFactory, StreamFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    user = StaffFactory()
    client.force_login(user)
    return user


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def filled(**values) -> dict[str, str]:
    return {"table": "raw_stripe.invoices", "name": "", "severity": "critical", "is_enabled": "on", **values}


def add(client, **values):
    return client.post(reverse("admin:quality_check_add"), filled(**values))


def problems(response) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {name: list(errors) for name, errors in response.context["adminform"].form.errors.items()}


# --- making a check ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("answers", "name", "definition"),
    [
        ({"kind": "no_missing", "column": "customer_id"}, "Every row has a customer_id", "missing_count(customer_id) = 0"),
        ({"kind": "unique", "column": "id"}, "No two rows share the same id", "duplicate_count(id) = 0"),
        (
            {"kind": "one_of", "column": "currency", "values": "usd\r\n\r\n eur \r\nusd"},
            "Every currency is one of usd and eur",
            "invalid_count(currency) = 0:\n  valid values: [usd, eur]",
        ),
        ({"kind": "fresher", "column": "created", "age": "3", "unit": "h"}, "The newest created is less than 3 h old", "freshness(created) < 3h"),
        ({"kind": "rows_above", "rows": "0"}, "The table is not empty", "row_count > 0"),
        (
            {"kind": "between", "statistic": "avg", "column": "mrr", "low": "150000", "high": "250000"},
            "The average of mrr is between 150,000 and 250,000",
            "avg(mrr) between 150000 and 250000",
        ),
        ({"kind": "unusual", "statistic": "row_count"}, "No unusual changes in the number of rows", "anomaly detection for row_count"),
        ({"kind": "custom", "sodacl": "missing_percent(a) < 5 %"}, "The share of rows without a value of a is less than 5 %", "missing_percent(a) < 5 %"),
        (
            {"kind": "custom", "sodacl": "- values in (c) must be in [a]:\n    name: Only a"},
            "Only a",
            "invalid_count(c) = 0:\n  valid values: [a]",
        ),
    ],
)  # fmt: skip
def test_answers_make_a_check_with_a_name(client, staff, answers, name, definition):
    response = add(client, **answers)
    assert response.status_code == 302, problems(response)
    check = Check.objects.get()
    assert (check.name, check.definition, check.dataset) == (name, definition, "raw_stripe.invoices")
    # What was saved is shown again as the same answers.
    form = client.get(reverse("admin:quality_check_change", args=[check.pk])).context["adminform"].form
    assert form.initial["kind"] == answers["kind"] if "must be in" not in str(answers) else "one_of"


@pytest.mark.parametrize(
    ("answers", "field", "words"),
    [
        ({"kind": "no_missing"}, "column", "needs it"),
        ({"kind": "no_missing", "column": "a, b"}, "column", "one column"),
        ({"kind": "one_of", "column": "a", "values": " \n"}, "values", "needs it"),
        ({"kind": "fresher", "column": "a", "age": "0", "unit": "h"}, "age", "greater than or equal to 1"),
        ({"kind": "between", "statistic": "avg", "column": "a", "low": "5", "high": "1"}, "high", "no number is between"),
        ({"kind": "between", "statistic": "avg", "column": "", "low": "1", "high": "5"}, "column", "needs it"),
        ({"kind": "custom", "sodacl": ""}, "sodacl", "Write the check"),
        ({"kind": "custom", "sodacl": "row_cout > 0"}, "sodacl", "Did you mean “row_count”"),
        ({"kind": "custom", "sodacl": "a: b: c"}, "sodacl", "not readable"),
        ({"kind": "rows_above", "rows": "5", "table": "invoices"}, "table", "with a dot between"),
        ({"kind": ""}, "kind", "required"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_said_beside_its_field(client, staff, answers, field, words):
    errors = problems(add(client, **answers))
    assert any(words in error for error in errors[field]), errors
    assert not Check.objects.exists()


def test_a_column_that_the_table_does_not_have_is_refused_with_those_it_has(client, staff):
    source = SourceFactory(slug="stripe")
    StreamFactory(source=source, name="invoices", columns={"id": "text", "amount_paid": "bigint"})
    errors = problems(add(client, kind="no_missing", column="amount"))
    assert errors["column"] == ["This table has no such column. It has amount_paid and id."]
    assert add(client, kind="no_missing", column="AMOUNT_PAID").status_code == 302


def test_known_tables_and_columns_are_offered(client, staff):
    StreamFactory(source=SourceFactory(slug="stripe"), name="invoices", columns={"amount_paid": "bigint"})
    page = client.get(reverse("admin:quality_check_add")).content.decode()
    assert '<option value="raw_stripe.invoices">' in page
    assert '<option value="amount_paid">' in page


def test_one_name_twice_on_a_table_is_refused(client, staff):
    add(client, kind="rows_above", rows="0")
    assert "already" in str(problems(add(client, kind="rows_above", rows="0")))


def test_numbers_among_allowed_values_stay_numbers_when_nothing_is_touched(client, staff):
    check = Check.objects.create(
        dataset="a.b", name="x", definition="invalid_count(n) = 0:\n  valid values: [1, 2]", severity="critical"
    )
    url = reverse("admin:quality_check_change", args=[check.pk])
    form = client.get(url).context["adminform"].form
    data = {name: form.initial.get(name) or "" for name in form.fields} | {"is_enabled": "on"}
    assert client.post(url, data).status_code == 302
    check.refresh_from_db()
    assert check.definition == "invalid_count(n) = 0:\n  valid values: [1, 2]"


# --- looking at checks ------------------------------------------------------------------------------------------------
def test_the_list_shows_what_was_found_in_a_constant_number_of_queries(client, staff, django_assert_max_num_queries):
    for number in range(12):
        check = Check.objects.create(dataset="a.b", name=f"check {number}", definition="row_count > 0", owner=staff)
        CheckResultFactory(check_row=check, outcome="fail", sentence=f"Sentence {number}.")
    Check.objects.create(dataset="a.b", name="new", definition="row_count > 0")
    with django_assert_max_num_queries(12):
        page = client.get(reverse("admin:quality_check_changelist")).content.decode()
    assert "Sentence 3." in page
    assert "Never checked" in page


@pytest.mark.parametrize(("outcome", "names"), [("fail", ["bad"]), ("pass", ["good"]), ("never", ["new"]), ("", None)])
def test_the_list_can_be_narrowed_to_an_outcome(client, staff, outcome, names):
    for name, found in (("bad", "fail"), ("good", "pass")):
        check = Check.objects.create(dataset="a.b", name=name, definition="row_count > 0")
        CheckResultFactory(check_row=check, outcome=found)
    Check.objects.create(dataset="a.b", name="new", definition="row_count > 0")
    response = client.get(reverse("admin:quality_check_changelist"), {"outcome": outcome} if outcome else {})
    shown = sorted(check.name for check in response.context["cl"].result_list)
    assert shown == (names or ["bad", "good", "new"])


def test_a_check_shows_its_results_and_where_it_comes_from(client, staff):
    check = Check.objects.create(dataset="a.b", name="x", definition="row_count > 0", origin="checks.yaml:4")
    CheckResultFactory(check_row=check, outcome="error", sentence="The table <b> is gone.")
    page = client.get(reverse("admin:quality_check_change", args=[check.pk])).content.decode()
    assert "The table &lt;b&gt; is gone." in page
    assert "The next import of that file writes over what is changed here." in page


def test_a_colleague_who_may_only_look_sees_no_form(client):
    client.force_login(UserFactory(is_staff=True, permissions=["quality.view_check"]))
    check = Check.objects.create(dataset="a.b", name="x", definition="row_count > 0")
    page = client.get(reverse("admin:quality_check_change", args=[check.pk])).content.decode()
    assert "row_count &gt; 0" in page
    assert 'name="_save"' not in page


# --- switching off, deleting --------------------------------------------------------------------------------------------
@pytest.fixture
def failing(staff):
    check = Check.objects.create(dataset="a.b", name="x", definition="row_count > 0")
    incidents.report(kind="check", fingerprint=f"check:{check.pk}", title="x", sentence="x", check_row=check)
    return check


def test_switching_checks_off_counts_them_and_closes_their_incidents(client, failing):
    url = reverse("admin:quality_check_changelist")
    response = client.post(url, {"action": "switch_off", "_selected_action": [failing.pk]})
    assert said(response) == ["1 check switched off.", "1 open incident closed."]
    assert Incident.objects.get().state == "resolved"
    assert Check.history.filter(id=failing.pk).count() == 2
    assert (
        said(client.post(url, {"action": "switch_on", "_selected_action": [failing.pk]}))[-1] == "1 check switched on."
    )


def test_deleting_a_check_closes_its_incident(client, failing):
    client.post(reverse("admin:quality_check_delete", args=[failing.pk]), {"post": "yes"})
    assert not Check.objects.exists()
    assert "deleted" in Incident.objects.get().resolution


def test_deleting_from_the_list_closes_incidents_too(client, failing):
    client.post(
        reverse("admin:quality_check_changelist"),
        {"action": "delete_selected", "_selected_action": [failing.pk], "post": "yes"},
    )
    assert not Check.objects.exists()
    assert "deleted" in Incident.objects.get().resolution


# --- incidents and mails ----------------------------------------------------------------------------------------------
def test_incidents_can_be_acknowledged_and_not_edited(client, failing, staff):
    incident = Incident.objects.get()
    page = client.get(reverse("admin:quality_incident_change", args=[incident.pk])).content.decode()
    assert 'name="sentence"' not in page
    url = reverse("admin:quality_incident_changelist")
    action = {"action": "acknowledge", "_selected_action": [incident.pk]}
    assert said(client.post(url, action)) == ["1 incident acknowledged."]
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by) == ("acknowledged", staff)
    assert "1 other had been before" in said(client.post(url, action))[-1]
    assert client.get(reverse("admin:quality_incident_delete", args=[incident.pk])).status_code == 403
    assert client.get(url, {"state": "acknowledged"}).context["cl"].result_count == 1
    assert client.get(url, {"state": "open"}).context["cl"].result_count == 0


def test_mails_that_were_given_up_can_be_sent_again(client, failing):
    Notification.objects.update(gave_up_at=timezone.now(), next_attempt_at=None, error="Refused.")
    notification = Notification.objects.first()
    url = reverse("admin:quality_notification_changelist")
    assert "Not sent, given up" in client.get(url).content.decode()
    assert client.get(reverse("admin:quality_notification_change", args=[notification.pk])).status_code == 200
    response = client.post(url, {"action": "send_again", "_selected_action": [notification.pk]})
    assert said(response) == ["1 mail will be sent within a minute."]
    assert Notification.objects.due(timezone.now()).count() == 1


@pytest.mark.slow
def test_the_admin_imports_no_soda():
    script = (
        "import sys, django; django.setup(); from quality import admin, forms;"
        "print([name for name in ('soda', 'duckdb', 'pandas', 'prophet') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# --- checks that are tests of the dbt project ---------------------------------------------------------------------------
@pytest.fixture
def of_dbt(staff):
    return Check.objects.create(
        dataset="mart_finance.mrr",
        name="MRR adds up",
        definition="select 1",
        dbt_test="test.p.mrr_adds_up",
        origin="the dbt project, tests/mrr_adds_up.sql",
    )


def test_a_check_of_dbt_is_not_edited_here_but_has_an_owner_and_can_be_switched_off(client, of_dbt, staff):
    url = reverse("admin:quality_check_change", args=[of_dbt.pk])
    page = client.get(url)
    html = page.content.decode()
    assert set(page.context["adminform"].form.fields) == {"owner", "is_enabled"}
    assert "The dbt project, tests/mrr_adds_up.sql. What it promises, and how severe it is, is changed there." in html
    assert "test.p.mrr_adds_up" in html

    assert client.post(url, {"owner": staff.pk, "name": "Something else"}).status_code == 302
    of_dbt.refresh_from_db()
    assert (of_dbt.owner, of_dbt.is_enabled, of_dbt.name) == (staff, False, "MRR adds up")


def test_a_check_of_dbt_is_not_deleted_here(client, of_dbt):
    assert client.post(reverse("admin:quality_check_delete", args=[of_dbt.pk]), {"post": "yes"}).status_code == 403
    data = {"action": "delete_selected", "_selected_action": [of_dbt.pk], "post": "yes"}
    client.post(reverse("admin:quality_check_changelist"), data)
    assert Check.objects.get() == of_dbt


def test_the_list_can_be_narrowed_to_who_carries_them_out(client, of_dbt):
    Check.objects.create(dataset="a.b", name="rows", definition="row_count > 0")
    for by, name in (("dbt", "MRR adds up"), ("soda", "rows")):
        response = client.get(reverse("admin:quality_check_changelist"), {"by": by})
        assert [check.name for check in response.context["cl"].result_list] == [name]
