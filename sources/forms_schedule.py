"""The schedule in words, as form fields: a rhythm, its details, a time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from sources import schedules
from sources.rhythms import HOURS, KIND_LABELS, MINUTES, PAST, WEEKDAYS, Kind, Rhythm, from_cron

SUGGESTED = Rhythm(Kind.HOURS, every=2)
_OFTEN_USED = ("UTC", "Europe/London", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Singapore")
_REGIONS = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")

# Which fields a kind of rhythm needs; the page shows only those.
NEEDED: dict[Kind, tuple[str, ...]] = {
    Kind.MANUAL: (),
    Kind.MINUTES: ("schedule_minutes",),
    Kind.HOURS: ("schedule_hours", "schedule_past"),
    Kind.DAILY: ("schedule_time",),
    Kind.WEEKDAYS: ("schedule_time",),
    Kind.WEEKLY: ("schedule_days", "schedule_time"),
    Kind.CRON: ("schedule_cron",),
}


@cache
def zone_choices() -> list[Any]:
    """Time zones by region, the ones most people want first."""
    zones = available_timezones()
    often = dict.fromkeys([settings.TIME_ZONE, *_OFTEN_USED])
    groups: list[Any] = [("Often used", [(zone, zone.replace("_", " ")) for zone in often if zone in zones])]
    for region in _REGIONS:
        names = sorted(zone for zone in zones if zone.startswith(f"{region}/") and zone not in often)
        groups.append((region, [(zone, zone.partition("/")[2].replace("_", " ")) for zone in names]))
    return groups


class _TimeInput(UnfoldAdminTextInputWidget):
    input_type = "time"

    def format_value(self, value: Any) -> Any:
        return value.strftime("%H:%M") if isinstance(value, time) else value


class ScheduleFields(forms.Form):
    """Mix-in: reads `instance.schedule`, gives `cleaned_schedule` (canonical cron, "" for by hand)."""

    schedule_kind = forms.ChoiceField(
        label="How often",
        choices=[(kind.value, label) for kind, label in KIND_LABELS.items()],
        initial=SUGGESTED.kind.value,
        widget=UnfoldAdminSelectWidget(),
    )
    schedule_minutes = forms.TypedChoiceField(
        label="Minutes in between",
        choices=[(n, f"{n} minutes") for n in MINUTES],
        coerce=int,
        initial=15,
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )
    schedule_hours = forms.TypedChoiceField(
        label="Hours in between",
        choices=[(n, "hour" if n == 1 else f"{n} hours") for n in HOURS],
        coerce=int,
        initial=SUGGESTED.every,
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )
    schedule_past = forms.TypedChoiceField(
        label="Minute of the hour",
        choices=[(n, "on the hour" if n == 0 else f"{n} minutes past") for n in PAST],
        coerce=int,
        initial=0,
        required=False,
        widget=UnfoldAdminSelectWidget(),
    )
    schedule_time = forms.TimeField(
        label="Time of day",
        initial=time(7, 0),
        required=False,
        input_formats=["%H:%M", "%H:%M:%S"],
        widget=_TimeInput(),
    )
    schedule_days = forms.TypedMultipleChoiceField(
        label="Days",
        choices=[((number + 1) % 7, name) for number, name in enumerate(WEEKDAYS)],
        coerce=int,
        initial=[1],
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    schedule_cron = forms.CharField(
        label="Cron expression",
        help_text="Five parts: minute, hour, day of month, month, day of week. Its meaning appears below.",
        max_length=80,
        required=False,
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "0 7 * * 1-5"}
        ),
    )
    timezone = forms.ChoiceField(
        label="Time zone",
        choices=zone_choices,
        help_text="The clock the schedule goes by, daylight saving included.",
        widget=UnfoldAdminSelectWidget(),
    )

    cleaned_schedule = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = getattr(self, "instance", None)
        if source is not None and source.pk:
            self.initial.update(initial_of(from_cron(source.schedule)))
            self._offer_zone(source.timezone)
        self.initial.setdefault("timezone", settings.TIME_ZONE)
        for name, kinds in NEEDED_BY.items():
            self.fields[name].widget.attrs["data-shown-for"] = " ".join(kinds)

    def _offer_zone(self, zone: str) -> None:
        """A zone outside our groups (an old alias such as US/Pacific) stays choosable for who has it."""
        self.initial["timezone"] = zone
        choices = zone_choices()
        if all(zone != value for _, group in choices for value, _ in group):
            self.fields["timezone"].choices = [("In use", [(zone, zone)]), *choices]  # type: ignore[attr-defined]

    def schedule_details(self) -> Iterable[forms.BoundField]:
        return [self[name] for name in NEEDED_BY]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        try:
            kind = Kind(data.get("schedule_kind", ""))
        except ValueError:
            return data  # the field itself says what is wrong
        for name in NEEDED[kind]:
            if name not in self.errors and data.get(name) in ("", None, []):
                self.add_error(name, f"Choose “{self.fields[name].label}” for this schedule.")
        if any(name in self.errors for name in NEEDED[kind]):
            return data
        rhythm = _rhythm(kind, data)
        try:
            self.cleaned_schedule = schedules.canonical(rhythm.to_cron())
        except ValueError as error:
            self.add_error("schedule_cron", str(error))
        return data


NEEDED_BY: dict[str, list[str]] = {}
for _kind, _names in NEEDED.items():
    for _name in _names:
        NEEDED_BY.setdefault(_name, []).append(_kind.value)


class SchedulePreviewForm(ScheduleFields):
    """The schedule alone, for the live preview."""

    def preview(self, now: datetime) -> dict[str, Any]:
        """For the template: `words` and `moments`, or `problems` (sentences)."""
        if not self.is_valid():
            return {"problems": [str(error) for errors in self.errors.values() for error in errors]}
        return preview(self.cleaned_schedule, self.cleaned_data["timezone"], now)


def preview(expression: str, zone: str, now: datetime) -> dict[str, Any]:
    return {
        "words": schedules.in_words(expression),
        "zone": zone,
        "expression": expression,
        "moments": schedules.next_runs(expression, zone, now),
    }


def initial_of(rhythm: Rhythm) -> dict[str, Any]:
    """The fields' values that say `rhythm`."""
    initial: dict[str, Any] = {"schedule_kind": rhythm.kind.value}
    match rhythm.kind:
        case Kind.MINUTES:
            initial["schedule_minutes"] = rhythm.every
        case Kind.HOURS:
            initial |= {"schedule_hours": rhythm.every, "schedule_past": rhythm.past}
        case Kind.DAILY | Kind.WEEKDAYS:
            initial["schedule_time"] = rhythm.at
        case Kind.WEEKLY:
            initial |= {"schedule_time": rhythm.at, "schedule_days": list(rhythm.days)}
        case Kind.CRON:
            initial["schedule_cron"] = rhythm.expression
    return initial


def _rhythm(kind: Kind, data: dict[str, Any]) -> Rhythm:
    match kind:
        case Kind.MINUTES:
            return Rhythm(kind, every=data["schedule_minutes"])
        case Kind.HOURS:
            return Rhythm(kind, every=data["schedule_hours"], past=data["schedule_past"])
        case Kind.DAILY | Kind.WEEKDAYS:
            return Rhythm(kind, at=data["schedule_time"])
        case Kind.WEEKLY:
            return Rhythm(kind, at=data["schedule_time"], days=tuple(data["schedule_days"]))
        case Kind.CRON:
            return Rhythm(kind, expression=data["schedule_cron"])
    return Rhythm(kind)
