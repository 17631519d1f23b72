"""Who changed what on a source, in words. Of a secret it only says that it changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sources import schedules
from sources.forms import FORGET, PREFIX, SourceForm
from sources.forms_schedule import ScheduleFields
from sources.models import Source


def explain(source: Source, sentence: str) -> None:
    """The reason kept with the history row of the next `source.save()`."""
    source._change_reason = sentence  # type: ignore[attr-defined]


def note(source: Source, user: Any, sentence: str) -> None:
    """One history row for something that was done to the source, though none of its own fields changed."""
    history: Any = source.history
    history.bulk_history_create([source], update=True, default_user=user, default_change_reason=sentence)


def record(form: Any, formsets: Iterable[Any], *, user: Any, added: bool) -> None:
    """One history row for one save of the form: the source and its streams together. None when nothing changed."""
    sentences = ["Added."] if added else _changes(form)
    if not added:
        sentences += [sentence for formset in formsets for sentence in _stream_changes(formset)]
    if sentences:
        source: Any = form.instance
        source.history.bulk_history_create(
            [source], update=not added, default_user=user, default_change_reason=" ".join(sentences)
        )


def _changes(form: Any) -> list[str]:
    if not isinstance(form, SourceForm):
        return []
    sentences = [f"{label}: changed." for label in form.changed_secrets()]
    schedule_said = False
    for name in form.changed_data:
        if name in ScheduleFields.base_fields:
            if not schedule_said:
                words = schedules.in_words(form.instance.schedule, form.instance.timezone)
                sentences.append(f"Schedule: {words}.")
            schedule_said = True
        elif name.startswith(FORGET) or (name.startswith(PREFIX) and form.is_secret(name)):
            continue
        else:
            sentences.append(f"{form.fields[name].label}: {_shown(form, name)}.")
    return sentences + form.more_changes()


def _shown(form: SourceForm, name: str) -> str:
    value = form.cleaned_data.get(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "empty"
    return "empty" if value in (None, "") else str(value)


def _stream_changes(formset: Any) -> list[str]:
    sentences = []
    for form in formset.forms:
        if not form.changed_data or form.instance.pk is None:
            continue
        parts = [
            f"{form.fields[name].label.lower()} {_choice(form, name)}" for name in form.changed_data if name != "name"
        ]
        sentences.append(f"Stream {form.instance.name}: {', '.join(parts)}.")
    return sentences


def _choice(form: Any, name: str) -> str:
    value = form.cleaned_data.get(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    choices = {str(key): str(label) for key, label in getattr(form.fields[name], "choices", [])}
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    return choices.get(str(value), str(value))
