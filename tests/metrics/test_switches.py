"""The metrics' definitions: what counts, what a change would do, and the forms."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.urls import reverse
from django.utils import timezone

from metrics import switches
from metrics.forms import currencies
from metrics.models import Build, MetricSwitches, SwitchPreview
from portal import pipeline
from portal.failures import TerminalError
from portal.runs import RunStatus
from portal.sweep import sweep

pytestmark = pytest.mark.django_db

CHANGE = "/admin/metrics/metricswitches/1/change/"
FORM = {
    "reporting_currency": "eur",
    "company_timezone": "Europe/Berlin",
    "past_due_days": "20",
    "mrr_discounts": "forever",
    "paused_is_churn": "on",
    "customer_churn_of": "start_and_new",
}
NUMBERS = [
    {"label": "MRR now", "unit": "money", "before": "100.00", "after": "90.00", "currencies": ["usd", "eur"]},
    {"label": "Customers now", "unit": "count", "before": "12", "after": "12", "currencies": ["usd", "eur"]},
    {"label": "Churn", "unit": "share", "before": None, "after": "0.05", "currencies": ["usd", "eur"]},
]


@pytest.fixture
def sent(monkeypatch):
    found = []
    monkeypatch.setattr("portal.dispatch.send", lambda task, *args, **options: found.append((task, *args)))
    return found


def test_without_a_choice_the_environment_counts(settings):
    settings.DBT_VARS = {"past_due_days": 10, "reporting_currency": "gbp", "activation_days": 7}

    assert switches.current() == settings.DBT_VARS
    assert switches.stored().past_due_days == 10
    assert switches.stored().mrr_discounts == "recurring"


def test_a_choice_counts_over_the_environment_and_reaches_the_build(settings):
    settings.DBT_VARS = {"past_due_days": 10, "activation_days": 7}
    MetricSwitches.objects.create(pk=1, past_due_days=20)

    assert switches.current()["past_due_days"] == 20
    assert switches.current()["activation_days"] == 7


def test_there_is_one_row(django_user_model):
    with pytest.raises(Exception, match="one_row_of_switches"):
        MetricSwitches.objects.create(pk=2)


def test_every_switch_is_a_variable_of_the_dbt_project_with_the_same_default():
    import yaml

    from metrics.dbt_project import PROJECT_DIR

    known = yaml.safe_load((PROJECT_DIR / "dbt_project.yml").read_text())["vars"]
    assert {name: known.get(name) for name in switches.stored().as_vars()} == MetricSwitches(pk=1).as_vars()


def test_the_form_saves_with_history_and_asks_for_a_build(admin_client, sent):
    answer = admin_client.post(CHANGE, FORM, follow=True)

    assert "All numbers are computed again" in answer.content.decode()
    assert MetricSwitches.objects.get().as_vars() == {
        **FORM,
        "past_due_days": 20,
        "paused_is_churn": True,
    }
    assert sent == [("run_build", Build.objects.get().pk)]
    assert MetricSwitches.history.get().history_user.username == "admin"


def test_the_list_is_the_form(admin_client):
    answer = admin_client.get(reverse("admin:metrics_metricswitches_changelist"), follow=True)

    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Show what this would change" in page
    assert "Customer churn is a share of" in page


def test_bad_values_are_named(admin_client, sent):
    page = admin_client.post(
        CHANGE, {**FORM, "company_timezone": "Berlin", "past_due_days": "0", "reporting_currency": "xxx"}
    ).content.decode()

    assert "no time zone; write it like Europe/Berlin" in page
    assert "greater than or equal to 1" in page
    assert "xxx is not one of the available choices" in page
    assert not sent
    assert not MetricSwitches.objects.exists()


def test_only_currencies_with_rates_can_be_chosen():
    assert "eur" in currencies()
    assert "usd" in currencies()
    assert "chf" not in currencies()


def test_a_preview_saves_nothing_and_shows_both_ways(admin_client, sent, monkeypatch):
    asked = admin_client.post(reverse("admin:metrics_metricswitches_preview"), FORM)
    preview = SwitchPreview.objects.get()
    assert sent == [("run_switch_preview", preview.pk)]
    assert "Waiting for the worker" in asked.content.decode()
    assert not MetricSwitches.objects.exists()

    seen = {}

    def compare(request, proposed):
        seen.update(proposed)
        return NUMBERS

    monkeypatch.setattr("metrics.dbt_preview.compare", compare)
    assert pipeline.switch_preview(preview.pk) == []
    assert seen["paused_is_churn"] is True

    page = admin_client.get(preview.get_absolute_url()).content.decode()
    assert "$100" in page
    assert "<strong>€90</strong>" in page
    assert "the same" in page
    assert "n/a" in page
    assert admin_client.get(f"{preview.get_absolute_url()}?seen=succeeded").status_code == 204


def test_a_preview_of_bad_values_says_which(admin_client, sent):
    page = admin_client.post(
        reverse("admin:metrics_metricswitches_preview"), {**FORM, "past_due_days": "900"}
    ).content.decode()

    assert "Days until a late payment is churn" in page
    assert "less than or equal to 365" in page
    assert not sent


def test_without_scripts_the_preview_is_a_page(admin_client, sent):
    answer = admin_client.post(reverse("admin:metrics_metricswitches_preview"), {**FORM, "_page": "1"}, follow=True)

    assert "Nothing is saved yet" in answer.content.decode()


def test_a_preview_that_fails_says_why(admin_client, monkeypatch):
    def compare(request, proposed):
        raise TerminalError("There are no numbers to compare yet.", "detail for engineers")

    monkeypatch.setattr("metrics.dbt_preview.compare", compare)
    preview = switches.ask(FORM)
    pipeline.switch_preview(preview.pk)

    page = admin_client.get(preview.get_absolute_url()).content.decode()
    assert "There are no numbers to compare yet." in page
    assert "detail for engineers" in page


def test_a_lost_preview_is_sent_again_and_an_old_one_forgotten(sent):
    now = timezone.now()
    lost = SwitchPreview.objects.create(queued_at=now - timedelta(minutes=2))
    old = SwitchPreview.objects.create(queued_at=now - timedelta(days=8), status=RunStatus.SUCCEEDED)

    steps = sweep(now)

    assert ("run_switch_preview", lost.pk) in [(step.task, step.pk) for step in steps]
    assert not SwitchPreview.objects.filter(pk=old.pk).exists()


def test_who_may_not_change_the_definitions_sees_neither_form_nor_preview(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("sales", is_staff=True))

    assert client.get(CHANGE).status_code == 403
    assert client.post(reverse("admin:metrics_metricswitches_preview"), FORM).status_code == 404
    assert client.get(reverse("admin:metrics_metricswitches_preview_answer", args=[1])).status_code == 404


def test_a_preview_that_nobody_answers_says_so():
    now = timezone.now()

    assert switches.is_unanswered(SimpleNamespace(is_active=True, queued_at=now - timedelta(minutes=2)), now)
