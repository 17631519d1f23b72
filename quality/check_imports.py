"""Bring the checks of files into the database: all of them or none, and the same twice changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from quality import incidents
from quality.models import REMOVED_FROM, Check
from quality.soda_files import FileCheck

CREATED, UPDATED, UNCHANGED, REMOVED = "created", "updated", "unchanged", "removed"


@dataclass(frozen=True)
class Change:
    """What happened to one check. `written`: as it stands in its file; None for one that is there no more."""

    action: str
    dataset: str
    name: str
    written: FileCheck | None = None
    # In words: "severity critical → warn".
    differences: tuple[str, ...] = ()


def apply(checks: Iterable[FileCheck], files: Iterable[str], *, dry_run: bool = False) -> list[Change]:
    """Create and update these checks; switch off those that came from `files` and are in them no more.

    A check is known by its dataset and name. One that somebody switched off by hand stays off.
    """
    changes = []
    with transaction.atomic():
        kept = []
        for written in checks:
            change, pk = _bring_in(written)
            changes.append(change)
            kept.append(pk)
        changes += [_switch_off(check) for check in _no_longer_there(files, kept)]
        incidents.resolve_retired()
        if dry_run:
            transaction.set_rollback(True)
    return changes


def _bring_in(written: FileCheck) -> tuple[Change, int]:
    values: dict[str, Any] = {"definition": written.definition, "severity": written.severity}
    source = {"written_as": written.written_as, "origin": written.origin[:255]}
    check = Check.objects.of_soda().filter(dataset=written.dataset, name=written.name).first()
    if check is None:
        check = Check.objects.create(dataset=written.dataset, name=written.name, **values, **source)
        return Change(CREATED, written.dataset, written.name, written), check.pk
    differences = [
        f"{field}: {_brief(getattr(check, field))} → {_brief(value)}"
        for field, value in values.items()
        if getattr(check, field) != value
    ]
    if not check.is_enabled and check.is_gone:
        values["is_enabled"] = True
        differences.append("is checked again")
    if differences:
        for field, value in {**values, **source}.items():
            setattr(check, field, value)
        check.save()
        return Change(UPDATED, written.dataset, written.name, written, tuple(differences)), check.pk
    # Where it stands in its file is no change of the check.
    Check.objects.filter(pk=check.pk).update(**source)
    off = () if check.is_enabled else ("is switched off",)
    return Change(UNCHANGED, written.dataset, written.name, written, off), check.pk


def _brief(value: object) -> str:
    return " ".join(str(value).split())


def _no_longer_there(files: Iterable[str], kept: list[int]) -> Iterable[Check]:
    from_files = Q(pk__in=[])
    for file in files:
        from_files |= Q(origin__startswith=f"{file}:")
    return Check.objects.of_soda().filter(from_files).exclude(pk__in=kept)


def _switch_off(check: Check) -> Change:
    check.is_enabled = False
    check.origin = f"{REMOVED_FROM}{check.origin.rpartition(':')[0]}"[:255]
    check.save()
    return Change(REMOVED, check.dataset, check.name, differences=("is switched off; its history is kept",))
