"""The streams of a source, a row each: read it or not, how, by which cursor and key, and how fresh it must be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from sources import offers
from sources.connectors.base import StreamSpec, SyncMode
from sources.models import Stream

NO_PROMISE, CUSTOM = "", "custom"
PROMISES = {15: "15 minutes", 60: "1 hour", 180: "3 hours", 1440: "24 hours"}
SUGGESTED_PROMISE, FOLLOWED_PROMISE = 1440, 15
MODES = {SyncMode.INCREMENTAL: "New and changed rows", SyncMode.FULL_REFRESH: "Everything, each time"}
_LONGEST_PROMISE = 60 * 24 * 366


class StreamForm(forms.ModelForm):
    """One stream. `offers` maps names to what a source that is not saved yet was found to offer."""

    sync_mode = forms.ChoiceField(label="What is read", widget=UnfoldAdminSelectWidget())
    cursor_field = forms.ChoiceField(label="Goes by", required=False, widget=UnfoldAdminSelectWidget())
    primary_key = forms.ChoiceField(label="A row is known by", required=False, widget=UnfoldAdminSelectWidget())
    promise = forms.ChoiceField(
        label="Never older than",
        required=False,
        choices=[(NO_PROMISE, "Nothing promised"), *PROMISES.items(), (CUSTOM, "Other…")],
        widget=UnfoldAdminSelectWidget(attrs={"data-promise": ""}),
    )
    promise_minutes = forms.IntegerField(
        label="Minutes",
        required=False,
        min_value=1,
        max_value=_LONGEST_PROMISE,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "placeholder": "minutes"}),
    )

    class Meta:
        model = Stream
        fields = ("name", "is_enabled", "sync_mode", "cursor_field", "primary_key")
        widgets = {"name": forms.HiddenInput(), "is_enabled": UnfoldBooleanWidget()}

    def __init__(self, *args: Any, offers: Mapping[str, StreamSpec] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers = offers or {}
        self.spec = self._find_spec()
        if self.instance.pk:
            self.fields["name"].disabled = True
            self.initial["primary_key"] = json.dumps(self.instance.primary_key)
            self._show_promise(self.instance.freshness_minutes)
        self.fields["name"].widget = forms.HiddenInput()
        # A label must say which stream it belongs to: every row has the same columns.
        for name, field in self.fields.items():
            field.widget.attrs.setdefault("aria-label", f"{self.title}: {field.label}")
            if name == "is_enabled":
                field.widget.attrs["data-read"] = ""
        self._offer_choices()

    # --- what the template asks -----------------------------------------------------------------------------------
    @property
    def title(self) -> str:
        return self.instance.label or (self.spec.label if self.spec else "") or self.stream_name

    @property
    def stream_name(self) -> str:
        if self.instance.pk:
            return self.instance.name
        return str(self.data.get(self.add_prefix("name"), "") if self.is_bound else self.initial.get("name", ""))

    @property
    def has_cursor_choice(self) -> bool:
        return len(self.fields["cursor_field"].choices) > 1  # type: ignore[attr-defined]

    @property
    def has_key_choice(self) -> bool:
        return len(self.fields["primary_key"].choices) > 1  # type: ignore[attr-defined]

    @property
    def cursor_text(self) -> str:
        return dict(self.fields["cursor_field"].choices).get(self["cursor_field"].value() or "", "")  # type: ignore[attr-defined]

    @property
    def key_text(self) -> str:
        return self.fields["primary_key"].choices[0][1]  # type: ignore[attr-defined]

    def _find_spec(self) -> StreamSpec | None:
        if self.instance.pk:
            return (
                offers.from_plain({"name": self.instance.name, **self.instance.offered})
                if self.instance.offered
                else None
            )
        return self.offers.get(self.stream_name)

    # --- filling in -------------------------------------------------------------------------------------------------
    def _show_promise(self, minutes: int | None) -> None:
        if minutes is None:
            self.initial["promise"] = NO_PROMISE
        elif minutes in PROMISES:
            self.initial["promise"] = minutes
        else:
            self.initial.update(promise=CUSTOM, promise_minutes=minutes)

    def _offer_choices(self) -> None:
        modes = offers.possible_modes(self.spec) if self.spec else [SyncMode(self.instance.sync_mode)]
        cursors = list(self.spec.cursor_fields) if self.spec else [self.instance.cursor_field]
        keys = offers.possible_keys(self.spec) if self.spec else [tuple(self.instance.primary_key)]
        # What was chosen before stays choosable, also when the connector would not suggest it today.
        if self.instance.pk:
            cursors = list(dict.fromkeys([*cursors, *filter(None, [self.instance.cursor_field])]))
            if self.instance.primary_key:
                keys = list(dict.fromkeys([*keys, tuple(self.instance.primary_key)]))
            if (mode := SyncMode(self.instance.sync_mode)) not in modes:
                modes.append(mode)
        self._choices("sync_mode", [(mode.value, MODES[mode]) for mode in modes])
        if self.spec and self.spec.is_followed:
            # Nothing to choose; a column that was chosen before stays, for when somebody goes back to it.
            kept = self.instance.cursor_field if self.instance.pk else next(iter(cursors), "")
            self._choices("cursor_field", [(kept, "the database's log of changes")])
        else:
            self._choices(
                "cursor_field", [(name, name or "chosen when it is first looked up") for name in cursors or [""]]
            )
        self._choices("primary_key", [(json.dumps(list(key)), ", ".join(key) or "nothing unique") for key in keys])

    def _choices(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]
        if len(choices) == 1 and name != "sync_mode":
            # Nothing to choose: the row shows it as text, and what is posted does not count.
            self.fields[name].disabled = True
            self.initial[name] = choices[0][0]

    # --- checking ---------------------------------------------------------------------------------------------------
    def has_changed(self) -> bool:
        # A new row is always kept, also as it was suggested: the source must know what it was offered.
        return self.instance.pk is None or super().has_changed()

    def clean_name(self) -> str:
        name = self.cleaned_data["name"]
        if self.instance.pk is None and self.spec is None:
            raise forms.ValidationError(
                f"“{name}” is not among the streams that were offered. Test the connection again."
            )
        return name

    def clean_primary_key(self) -> list[str]:
        return json.loads(self.cleaned_data["primary_key"] or "[]")

    def clean_cursor_field(self) -> str:
        return self.cleaned_data["cursor_field"] or self.fields["cursor_field"].choices[0][0]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("promise") == CUSTOM and not data.get("promise_minutes") and "promise_minutes" not in self.errors:
            self.add_error("promise_minutes", "Say after how many minutes it counts as late.")
        wants_merge = data.get("sync_mode") == SyncMode.INCREMENTAL and data.get("is_enabled")
        if wants_merge and self.spec and not self.spec.comes_with and not data.get("primary_key"):
            self.add_error(
                "primary_key",
                "To read only what changed, say which column is different in every row; or read everything every time.",
            )
        return data

    def save(self, commit: bool = True) -> Stream:
        stream = self.instance
        choice = self.cleaned_data["promise"]
        stream.freshness_minutes = (
            None if choice == NO_PROMISE else self.cleaned_data["promise_minutes"] if choice == CUSTOM else int(choice)
        )
        if stream.pk is None and self.spec:
            stream.label = self.spec.label
            stream.offered = offers.to_plain(self.spec)
        return super().save(commit)


class StreamFormSet(forms.BaseInlineFormSet):
    """All streams of a source."""

    def clean(self) -> None:
        names = [form.cleaned_data.get("name") for form in self.forms if hasattr(form, "cleaned_data")]
        if len(names) != len(set(names)):
            raise forms.ValidationError("A stream is listed twice. Reload the page and try again.")
        super().clean()


def initial_rows(specs: Sequence[StreamSpec], *, read: bool) -> list[dict[str, Any]]:
    """A row for each stream of a source that is not saved yet; `read` ticks them."""
    return [
        {
            "name": spec.name,
            "is_enabled": read,
            **(suggestion := offers.suggested(spec)),
            "primary_key": json.dumps(suggestion["primary_key"]),
            "promise": FOLLOWED_PROMISE if spec.is_followed else SUGGESTED_PROMISE,
        }
        for spec in specs
    ]
