"""The endpoints of a REST source, a form each: written for a colleague who has the API's documentation at hand.

They are kept in the source's settings as `rest_endpoints.Endpoint` reads them. Fields that do not apply to the chosen
way of paging are hidden by script, and do no harm where there is none: they are not looked at and not kept.
"""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.functional import cached_property
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from sources.connectors.rest_columns import column_name, moment_of
from sources.connectors.rest_endpoints import FORMATS, PAGINGS, TYPES, split_line
from sources.connectors.rest_paths import is_path
from sources.forms import ListSetting, SourceForm

ENDPOINTS = "endpoints"
MOST_ENDPOINTS = 50
DEFAULTS = {"paging": "none", "cursor_format": "datetime", "lookback_minutes": 60, "first_page": 1, "size": 100}
# Which fields count for which way of paging.
PAGING_FIELDS = {
    "paging_path": ("next_url", "cursor"),
    "paging_param": ("cursor", "page", "offset"),
    "has_more": ("cursor",),
    "first_page": ("page",),
    "size_param": ("cursor", "page", "offset", "link", "next_url"),
    "size": ("cursor", "page", "offset", "link", "next_url"),
}
NEEDED = {
    "paging_path": {
        "next_url": "Say where in the answer the address of the next page is.",
        "cursor": "Say where in the answer the mark for the next page is.",
    },
    "paging_param": {
        "cursor": "Say in which parameter the mark is sent.",
        "page": "Say which parameter takes the page number.",
        "offset": "Say which parameter takes how many rows to skip.",
    },
}


def _text(placeholder: str = "", **attrs: Any) -> Any:
    shown = {"placeholder": placeholder, "autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
    return UnfoldAdminTextInputWidget(attrs={**shown, **attrs})


def _lines(placeholder: str = "") -> Any:
    return UnfoldAdminTextareaWidget(attrs={"placeholder": placeholder, "rows": 2, "spellcheck": "false"})


class EndpointForm(forms.Form):
    """One endpoint. `plain()` is what is kept."""

    name = forms.CharField(
        label="Name",
        max_length=60,
        help_text="What the rows are, for example deals. Their table gets this name. Another name later is another table.",
        widget=_text("deals"),
    )
    path = forms.CharField(
        label="Path",
        max_length=500,
        help_text="What comes after the base URL, for example /deals.",
        widget=_text("/deals"),
    )
    params = ListSetting(
        label="Fixed parameters",
        required=False,
        help_text="Sent with every request, one a line as name=value; for example status=all. Nothing secret.",
        widget=_lines("status=all"),
    )
    records = forms.CharField(
        label="Where the rows are",
        required=False,
        help_text="The field of the answer that holds the list, for example data or result.items. Leave it empty if "
        "the answer is the list. Not sure? Press “Test and preview”: it looks for lists.",
        widget=_text("data"),
    )
    primary_key = ListSetting(
        label="A row is known by",
        required=False,
        help_text="The field that is different in every row and never changes, usually id. If it takes two, one a line. "
        "Without it everything is read each time.",
        widget=_lines("id"),
    )
    cursor_field = forms.CharField(
        label="Field with the time of change",
        required=False,
        help_text="For example updated_at. Leave it empty to read everything each time.",
        widget=_text("updated_at"),
    )
    cursor_param = forms.CharField(
        label="Parameter that asks for newer rows",
        required=False,
        help_text="For example updated_since: the documentation lists it among the filters.",
        widget=_text("updated_since"),
    )
    cursor_format = forms.ChoiceField(
        label="How that time is written",
        required=False,
        choices=list(FORMATS.items()),
        help_text="As the parameter wants it. In the rows any of these is understood.",
        widget=UnfoldAdminSelectWidget(),
    )
    start = forms.CharField(
        label="Begin at",
        required=False,
        help_text="Only rows changed since then are read at first, for example 2024-01-01. Empty: all there are.",
        widget=_text("2024-01-01"),
    )
    lookback_minutes = forms.IntegerField(
        label="Look back (minutes)",
        required=False,
        min_value=0,
        max_value=60 * 24 * 366,
        help_text="Each sync asks from this much before the newest row it knows, for rows that appear late. Rows that "
        "come twice are kept once.",
        widget=_text(inputmode="numeric"),
    )
    paging = forms.ChoiceField(
        label="More than one page",
        choices=list(PAGINGS.items()),
        help_text="How the API hands out more rows than fit in one answer. Its documentation calls this “pagination”.",
        widget=UnfoldAdminSelectWidget(),
    )
    paging_path = forms.CharField(
        label="Where it is in the answer",
        required=False,
        help_text="For example links.next or paging.next.after. data[-1].id is the id of the last row.",
        widget=_text("links.next"),
    )
    paging_param = forms.CharField(
        label="Parameter that turns the page",
        required=False,
        help_text="For example cursor, page or offset.",
        widget=_text("page"),
    )
    has_more = forms.CharField(
        label="Where the answer says that there is more",
        required=False,
        help_text="Only if it says so with yes or no, for example has_more.",
        widget=_text("has_more"),
    )
    first_page = forms.IntegerField(
        label="Number of the first page",
        required=False,
        min_value=0,
        max_value=1,
        help_text="Usually 1; some begin at 0.",
        widget=_text(inputmode="numeric"),
    )
    size_param = forms.CharField(
        label="Parameter for the size of a page",
        required=False,
        help_text="For example limit or per_page. Empty: as many as the API gives by itself.",
        widget=_text("limit"),
    )
    size = forms.IntegerField(
        label="Rows a page",
        required=False,
        min_value=1,
        max_value=100_000,
        help_text="As many as the API allows: fewer requests are faster.",
        widget=_text(inputmode="numeric"),
    )
    types = ListSetting(
        label="Types set by hand",
        required=False,
        help_text="Only if the preview guessed wrong. One a line as column=type; the types are "
        f"{', '.join(TYPES)}. For example amount=number. Set them before the first sync.",
        widget=_lines("amount=number"),
    )

    GROUPS = (
        ("Only what is new", ("cursor_field", "cursor_param", "cursor_format", "start", "lookback_minutes")),
        ("Pages", ("paging", *PAGING_FIELDS)),
        ("Types", ("types",)),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {**DEFAULTS, **(kwargs.get("initial") or {})}
        super().__init__(*args, **kwargs)
        for name, ways in PAGING_FIELDS.items():
            self.fields[name].widget.attrs["data-only-for"] = f"{self.add_prefix('paging')}={' '.join(ways)}"
        for name, field in self.fields.items():
            field.widget.attrs["data-endpoint-field"] = name

    # --- what the template asks -----------------------------------------------------------------------------------
    @property
    def title(self) -> str:
        return str(self["name"].value() or "").strip() or "New endpoint"

    def basics(self) -> list[forms.BoundField]:
        return [self[name] for name in ("name", "path", "params", "records", "primary_key")]

    def groups(self) -> list[dict[str, Any]]:
        """Folded sections; open where something is filled in or wrong."""
        found = []
        for title, names in self.GROUPS:
            bound = [self[name] for name in names]
            is_open = any(field.errors for field in bound) or any(
                field.value() not in (None, "", [], DEFAULTS.get(field.name)) for field in bound
            )
            found.append({"title": title, "fields": bound, "is_open": is_open})
        return found

    # --- checking ---------------------------------------------------------------------------------------------------
    def clean_name(self) -> str:
        name = self.cleaned_data["name"].strip()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name != column_name(name):
            raise forms.ValidationError(
                "Use lower-case letters, digits and single underscores, beginning with a letter: for example won_deals."
            )
        return name

    def clean_path(self) -> str:
        path = self.cleaned_data["path"].strip()
        if "://" in path or path.startswith("//") or "\\" in path or re.search(r"[\s#]", path):
            raise forms.ValidationError("Only what comes after the base URL, without spaces: for example /deals.")
        if "?" in path:
            raise forms.ValidationError("Leave out what comes after the “?” and enter it under “Fixed parameters”.")
        if any(part in {".", ".."} for part in path.split("/")):
            raise forms.ValidationError("Leave out the dots: the path begins at the base URL.")
        return path

    def clean_params(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._pairs("params", "status=all")]

    def clean_types(self) -> list[str]:
        pairs = self._pairs("types", "amount=number")
        if wrong := sorted({value for _, value in pairs if value not in TYPES}):
            raise forms.ValidationError(f"“{wrong[0]}” is not one of the types: {', '.join(TYPES)}.")
        return [f"{name}={value}" for name, value in pairs]

    def clean_start(self) -> str:
        start = self.cleaned_data["start"].strip()
        if start and (not re.match(r"\d{4}-\d\d-\d\d", start) or moment_of(start) is None):
            raise forms.ValidationError("Write a date such as 2024-01-01, or a time such as 2024-01-01T12:00:00Z.")
        return start

    def _pairs(self, field: str, example: str) -> list[tuple[str, str]]:
        lines = self.cleaned_data[field]
        for line in lines:
            if "=" not in line or not split_line(line)[0]:
                raise forms.ValidationError(f"“{line}” is not of the form name=value, for example {example}.")
        return [split_line(line) for line in lines]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for name in ("records", "cursor_field", "paging_path", "has_more"):
            if not is_path(str(data.get(name) or "")):
                self.add_error(name, "Write field names with dots between, for example data.items.")
        if wrong := [path for path in data.get("primary_key", []) if not is_path(path) or path == "$"]:
            self.add_error("primary_key", f"“{wrong[0]}” is not the name of a field, such as id.")
        paging = data.get("paging", "none")
        for name, ways in NEEDED.items():
            if paging in ways and not data.get(name) and name not in self.errors:
                self.add_error(name, ways[paging])
        self._clean_cursor(data)
        return data

    def _clean_cursor(self, data: dict[str, Any]) -> None:
        field, param = data.get("cursor_field"), data.get("cursor_param")
        if field and not param:
            self.add_error(
                "cursor_param", "Say with which parameter newer rows are asked for, or empty the field before it."
            )
        if param and not field:
            self.add_error("cursor_field", "Say which field of a row holds the time of its last change.")
        if field and param and not data.get("primary_key") and "primary_key" not in self.errors:
            self.add_error("primary_key", "To read only what is new, say which field tells rows apart.")

    def plain(self) -> dict[str, Any]:
        """What is kept: of the way of paging only what it needs, and nothing that is empty."""
        data = self.cleaned_data
        paging = data["paging"]
        skip = {name for name, ways in PAGING_FIELDS.items() if paging not in ways}
        if not data.get("size_param"):
            skip.add("size")
        if not data.get("cursor_field"):
            skip |= {"cursor_param", "cursor_format", "start", "lookback_minutes"}
        kept = {
            name: value if value not in (None, "") else DEFAULTS.get(name)
            for name, value in data.items()
            if name in self.base_fields and name not in skip
        }
        return {name: value for name, value in kept.items() if value not in (None, "", [])}


class _Endpoints(forms.BaseFormSet):
    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["DELETE"] = forms.BooleanField(
            label="Remove this endpoint (its table stays in the warehouse)",
            required=False,
            widget=UnfoldBooleanWidget(attrs={"data-remove": ""}),
        )

    def kept(self) -> list[dict[str, Any]]:
        return [
            form.plain()
            for form in self.forms
            if getattr(form, "cleaned_data", None) and not form.cleaned_data.get("DELETE") and form.is_valid()
        ]

    def clean(self) -> None:
        names = [endpoint["name"] for endpoint in self.kept()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise forms.ValidationError(f"Two endpoints are called “{twice[0]}”. Give one of them another name.")
        if not names and not any(self.errors):
            raise forms.ValidationError("Add at least one endpoint: there is nothing to read without one.")


EndpointFormSet = forms.formset_factory(
    EndpointForm, formset=_Endpoints, extra=1, can_delete=True, max_num=MOST_ENDPOINTS, absolute_max=MOST_ENDPOINTS + 1
)


class RestSourceForm(SourceForm):
    """The form of a REST source: the connector's fields, and its endpoints."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # As they were before `save` replaces them: the history is written after it.
        self.instance_endpoints = list(self.instance.config.get("endpoints") or [])

    @cached_property
    def endpoints(self) -> Any:
        data = self.data if self.is_bound and f"{ENDPOINTS}-TOTAL_FORMS" in self.data else None
        return EndpointFormSet(data, prefix=ENDPOINTS, initial=self.instance.config.get("endpoints") or [])

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not self.is_bound or not self.endpoints.is_bound:
            return data
        if self.endpoints.is_valid():
            self.settings["endpoints"] = self.endpoints.kept()
        else:
            self.add_error(None, "Please look at the endpoints below.")
        return data

    def connection_errors(self) -> dict[str, list[str]]:
        problems = super().connection_errors()
        if self.endpoints.is_bound and not self.endpoints.is_valid():
            for form in self.endpoints.forms:
                for bound in form:
                    if bound.errors:
                        problems[f"{form.title}, {bound.label}"] = [str(error) for error in bound.errors]
            if others := self.endpoints.non_form_errors():
                problems["Endpoints"] = [str(error) for error in others]
        return problems

    def streams_may_have_changed(self) -> bool:
        return bool(self.more_changes())

    def more_changes(self) -> list[str]:
        before = {endpoint["name"]: endpoint for endpoint in self.instance_endpoints}
        after = {endpoint["name"]: endpoint for endpoint in self.settings.get("endpoints") or []}
        sentences = [f"Endpoint {name}: added." for name in after if name not in before]
        sentences += [f"Endpoint {name}: removed." for name in before if name not in after]
        for name in after.keys() & before.keys():
            fields = [
                field.label.lower()
                for key, field in EndpointForm.base_fields.items()
                if after[name].get(key) != before[name].get(key) and field.label
            ]
            if fields:
                sentences.append(f"Endpoint {name}: {', '.join(fields)} changed.")
        return sentences
