"""The form of the metrics' definitions."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import UnfoldAdminSelectWidget

from metrics.models import MetricSwitches

RATES = Path(settings.BASE_DIR) / "dbt" / "seeds" / "fx_rates.csv"


@cache
def _currencies(changed_at: int) -> tuple[str, ...]:
    with RATES.open(newline="") as file:
        return tuple(sorted({"usd"} | {row["currency"].lower() for row in csv.DictReader(file)}))


def currencies() -> tuple[str, ...]:
    """Those with exchange rates on file: money in any other could not be converted."""
    return _currencies(RATES.stat().st_mtime_ns)


class SwitchesForm(forms.ModelForm):
    class Meta:
        model = MetricSwitches
        fields = (
            "reporting_currency",
            "company_timezone",
            "past_due_days",
            "mrr_discounts",
            "paused_is_churn",
            "customer_churn_of",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if currency := self.fields.get("reporting_currency"):
            self.fields["reporting_currency"] = forms.ChoiceField(
                choices=[(code, code.upper()) for code in currencies()],
                label=currency.label,
                help_text=currency.help_text,
                widget=UnfoldAdminSelectWidget(),
            )
