"""The form of a check, for a colleague who has never seen SodaCL."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from portal.text import listed
from quality import sentences
from quality.check_kinds import ASKS, BETWEEN, CUSTOM, KINDS, STATISTICS, UNITS, recognise, render
from quality.models import Check, Severity
from quality.soda_dialect import translate
from quality.sodacl import DATASET, CheckText
from sources.models import Stream


class SuggestingInput(UnfoldAdminTextInputWidget):
    """A text field that offers what is known, and takes anything."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.suggestions: list[str] = []

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        list_id = f"{name}-known"
        field = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((word,) for word in self.suggestions))
        return format_html('{}<datalist id="{}">{}</datalist>', field, list_id, options)


class CheckForm(forms.ModelForm):
    """Asks in words and writes SodaCL. Nothing of Soda is imported: the worker has the last word, and says it."""

    # Not called `dataset`: unfold takes a posted `dataset` for one of its own and drops the form.
    table = forms.CharField(widget=SuggestingInput, help_text="Schema and table, for example mart_finance.mrr_monthly.")
    kind = forms.ChoiceField(
        label="What must hold",
        choices=list(KINDS.items()),
        widget=UnfoldAdminSelectWidget,
        help_text="Pick the kind of promise; the questions below follow.",
    )
    column = forms.CharField(
        required=False,
        widget=SuggestingInput,
        help_text="Its name in the table, for example customer_id. Not asked for where rows are counted.",
    )
    statistic = forms.ChoiceField(
        label="Which number",
        required=False,
        choices=list(STATISTICS.items()),
        widget=UnfoldAdminSelectWidget,
        help_text="What is computed over all rows before it is compared.",
    )
    values = forms.CharField(
        label="Allowed values",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="One a line. Rows without a value are not counted; add a check for missing values if they matter.",
    )
    rows = forms.IntegerField(
        label="More rows than",
        required=False,
        min_value=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="0 means: the table is not empty.",
    )
    age = forms.IntegerField(
        label="Fresher than",
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How old the newest row may be at most.",
    )
    unit = forms.ChoiceField(
        label="Minutes, hours or days",
        required=False,
        choices=list(UNITS.items()),
        initial="h",
        widget=UnfoldAdminSelectWidget,
    )
    low = forms.DecimalField(
        label="At least", required=False, widget=UnfoldAdminDecimalFieldWidget, help_text="The smallest good value."
    )
    high = forms.DecimalField(
        label="At most", required=False, widget=UnfoldAdminDecimalFieldWidget, help_text="The largest good value."
    )
    sodacl = forms.CharField(
        label="SodaCL",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="One check, such as: missing_percent(email) < 5 %. Its first run tells whether Soda understands it.",
    )

    class Meta:
        model = Check
        fields = ("name", "severity", "is_enabled", "owner")
        help_texts = {
            "name": "What it promises, as a sentence: “Every subscription has a customer”. Empty: written for you.",
            "severity": "Critical: when it fails, nothing new is published until it passes. Warn: people are told.",
            "is_enabled": "Off: it is not looked at, and its open incident is closed.",
            "owner": "Who gets a mail when it fails. Empty: the portal’s fallback address or its administrators.",
        }

    # Which kinds of check show which question; the admin hides the others.
    conditional_fields = {
        name: " || ".join(f"kind === '{kind}'" for kind, asks in ASKS.items() if name in asks)
        for name in ("statistic", "column", "values", "rows", "age", "unit", "low", "high", "sodacl")
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" not in self.fields:  # somebody who may only look
            return
        self.fields["name"].required = False
        self._suggest()
        if self.instance.pk:
            self._show(self.instance)

    def _suggest(self) -> None:
        known = _known_columns()
        tables = set(known) | set(Check.objects.values_list("dataset", flat=True))
        for name, words in (("table", sorted(tables)), ("column", sorted(set().union(*known.values(), set())))):
            widget = self.fields[name].widget
            if isinstance(widget, SuggestingInput):
                widget.suggestions = words

    def _show(self, check: Check) -> None:
        self.initial["table"] = check.dataset
        try:
            recognised = recognise(CheckText.parse(check.definition))
            self.initial.update({"kind": recognised.kind, **recognised.answers})
        except ValueError:
            self.initial.update({"kind": CUSTOM, "sodacl": check.definition})
        if isinstance(self.initial.get("values"), list):
            self.initial["values"] = "\n".join(str(value) for value in self.initial["values"])

    # --- what was filled in -------------------------------------------------------------------------------------
    def clean_table(self) -> str:
        dataset = self.cleaned_data["table"].strip()
        if not DATASET.match(dataset):
            raise forms.ValidationError("Write schema and table with a dot between, such as raw_stripe.invoices.")
        return dataset

    def clean_column(self) -> str:
        column = self.cleaned_data["column"].strip().strip('"')
        if set(column) & set("()\",'"):
            raise forms.ValidationError("Only the name of one column.")
        return column

    def clean_values(self) -> list[Any]:
        lines = [line.strip() for line in self.cleaned_data["values"].splitlines()]
        before = self.initial.get("values") or ""
        text = "\n".join(line for line in lines if line)
        if text == before and self.instance.pk:  # untouched: numbers stay numbers
            return list(recognise(CheckText.parse(self.instance.definition)).answers.get("values", []))
        return list(dict.fromkeys(line for line in lines if line))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kind = cleaned.get("kind")
        if not kind:
            return cleaned
        if kind == CUSTOM:
            self._clean_custom(cleaned)
        elif self._is_answered(kind, cleaned):
            self._set(render(kind, cleaned), cleaned)
        if "table" in cleaned:
            self.instance.dataset = cleaned["table"]
            self._refuse_a_taken_name(cleaned)
        return cleaned

    def _refuse_a_taken_name(self, cleaned: dict[str, Any]) -> None:
        taken = (
            Check.objects.of_soda()
            .filter(dataset=cleaned["table"], name=cleaned.get("name"))
            .exclude(pk=self.instance.pk)
        )
        if taken.exists():
            self.add_error("name", f"There is a check “{cleaned['name']}” on {cleaned['table']} already.")

    def _is_answered(self, kind: str, cleaned: dict[str, Any]) -> bool:
        counts_rows = cleaned.get("statistic") == "row_count" and "statistic" in ASKS[kind]
        for name in ASKS[kind]:
            if name in self.errors or (name == "column" and counts_rows):
                continue
            if cleaned.get(name) in (None, "", []):
                self.add_error(name, "This kind of check needs it.")
        low, high = cleaned.get("low"), cleaned.get("high")
        if kind == BETWEEN and low is not None and high is not None and low > high:
            self.add_error("high", "This is less than “at least”: no number is between the two.")
        if "column" in ASKS[kind] and not counts_rows and "column" not in self.errors:
            self._check_column(cleaned)
        return not any(name in self.errors for name in ASKS[kind])

    def _check_column(self, cleaned: dict[str, Any]) -> None:
        columns = _known_columns().get(cleaned.get("table", ""))
        if columns and cleaned["column"].lower() not in {name.lower() for name in columns}:
            self.add_error("column", f"This table has no such column. It has {listed(sorted(columns), most=30)}.")

    def _clean_custom(self, cleaned: dict[str, Any]) -> None:
        written = (cleaned.get("sodacl") or "").strip()
        if not written:
            self.add_error("sodacl", "Write the check, or pick another kind.")
            return
        try:
            translation = translate(CheckText.parse(written))
        except ValueError as error:
            self.add_error("sodacl", str(error))
            return
        if translation.name and not cleaned.get("name"):
            cleaned["name"] = translation.name
        if translation.severity == Severity.WARN:
            cleaned["severity"] = translation.severity
        self._set(translation.text, cleaned)

    def _set(self, text: CheckText, cleaned: dict[str, Any]) -> None:
        self.instance.definition = text.definition
        if not cleaned.get("name"):
            cleaned["name"] = sentences.promise(text)


class DbtCheckForm(forms.ModelForm):
    """What a person may say about a check that follows the dbt project."""

    class Meta:
        model = Check
        fields = ("owner", "is_enabled")
        help_texts = {
            "owner": CheckForm.Meta.help_texts["owner"],
            "is_enabled": "Off: builds leave it out, what it kept back is built, and its open incident is closed.",
        }


def _known_columns() -> dict[str, set[str]]:
    """Dataset → columns, of every stream that was synced."""
    streams = Stream.objects.select_related("source").defer("source__secrets").exclude(columns={})
    return {f"{stream.source.dataset}.{stream.name}": set(stream.columns) for stream in streams}
