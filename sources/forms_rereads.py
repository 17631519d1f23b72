"""What a person says about one stream: from when to read it again, and what to do when its columns change."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from sources.models import SchemaPolicy, Stream


class BackfillForm(forms.Form):
    since = forms.DateField(
        label="From",
        help_text="Everything since the beginning of this day, UTC, comes again.",
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        error_messages={"required": "Say from which day on.", "invalid": "Write the day as 2026-03-01."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["since"].widget.attrs["max"] = timezone.now().date().isoformat()

    def clean_since(self) -> date:
        since = self.cleaned_data["since"]
        if since > timezone.now().date():
            raise forms.ValidationError("This day has not come yet.")
        return since


class PolicyForm(forms.ModelForm):
    class Meta:
        model = Stream
        fields = ("schema_policy",)

    schema_policy = forms.ChoiceField(
        label="When its columns change",
        choices=SchemaPolicy.choices,
        help_text="Columns may be added, vanish or change their type at the source. Every change is noted, whatever you "
        "choose.",
        widget=UnfoldAdminSelectWidget(),
    )
