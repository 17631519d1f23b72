"""Files of SodaCL checks: read with every line number, refused as a whole when anything in them is wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from quality import sentences, soda_runtime
from quality.models import Check, Severity
from quality.soda_dialect import NotACheck, translate
from quality.sodacl import DATASET, CheckText, dump

_HEADER = "checks for "
_OTHER_SECTIONS = (
    "filter",
    "configurations for",
    "variables",
    "for each",
    "profile",
    "discover",
    "sample",
    "automated",
)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and on which line (from 1)."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


@dataclass(frozen=True)
class FileCheck:
    """One check of a file. `definition` is what is stored, `written_as` what stands in the file, `notes` say what was
    turned into what."""

    file: str
    line: int
    dataset: str
    name: str
    definition: str
    severity: str
    written_as: str
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


class BadFile(ValueError):
    """A file, or several, with everything that is wrong with them."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.file, problem.line))
        super().__init__("\n".join(map(str, self.problems)))


# --- reading --------------------------------------------------------------------------------------------------------
def read_files(paths: Iterable[Path], *, called: dict[Path, str] | None = None) -> list[FileCheck]:
    """The checks of all these files; raises `BadFile` with every problem in any of them.

    Soda's own parser confirms each check. called: the names to use for files in messages and origins.
    """
    checks: list[FileCheck] = []
    problems: list[Problem] = []
    for path in paths:
        name = (called or {}).get(path, str(path))
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text file"
            problems.append(Problem(name, 1, f"This file cannot be read: {reason}."))
            continue
        reader = _Reader(name, text)
        reader.read()
        checks += reader.checks
        problems += reader.problems
    problems += _duplicates(checks)
    if problems:
        raise BadFile(problems)
    return checks


def _duplicates(checks: list[FileCheck]) -> list[Problem]:
    seen: dict[tuple[str, str], FileCheck] = {}
    problems = []
    for check in checks:
        first = seen.setdefault((check.dataset, check.name), check)
        if first is not check:
            problems.append(
                Problem(
                    check.file,
                    check.line,
                    f"A second check of {check.dataset} is called “{check.name}”; the first is at {first.origin}.",
                )
            )
    return problems


@dataclass
class _Reader:
    file: str
    text: str
    checks: list[FileCheck] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, sentence: str) -> None:
        self.problems.append(Problem(self.file, line + 1, sentence))

    def read(self) -> None:
        try:
            data = YAML().load(self.text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = (error.problem or "it is no YAML").split("\n")[0]
            self.refuse(mark.line if mark else 0, f"This is no YAML: {problem}.")
            return
        except (YAMLError, ValueError) as error:
            self.refuse(0, f"This is no YAML: {str(error).splitlines()[0]}.")
            return
        if not isinstance(data, CommentedMap) or not data:
            self.refuse(
                0, "Nothing to import: a file of checks has sections such as “checks for raw_stripe.invoices:”."
            )
            return
        for header in data:
            self._section(header, data[header], data.lc.key(header)[0])
        self._name_the_unnamed_apart()

    def _section(self, header: Any, items: Any, line: int) -> None:
        if not isinstance(header, str) or not header.startswith(_HEADER):
            known = isinstance(header, str) and header.startswith(_OTHER_SECTIONS)
            what = "cannot be imported" if known else "is not known"
            self.refuse(line, f"The section “{header}” {what}; only “checks for schema.table:” is.")
            return
        dataset = header.removeprefix(_HEADER).strip().replace('"', "")
        if not DATASET.match(dataset):
            self.refuse(line, f"“{dataset}” is no dataset: write schema.table, such as raw_stripe.invoices.")
            return
        if not isinstance(items, CommentedSeq) or not items:
            self.refuse(line, f"The section of {dataset} holds no list of checks (“- row_count > 0”).")
            return
        for index, item in enumerate(items):
            start = items.lc.item(index)[0]
            following = items.lc.item(index + 1)[0] if index + 1 < len(items) else None
            self._check(dataset, item, start, following)

    def _check(self, dataset: str, item: Any, line: int, next_line: int | None) -> None:
        try:
            written = CheckText.from_item(plain(item))
            translation = translate(written)
        except NotACheck as error:
            self.refuse(_line_of(item, error.key, line), str(error))
            return
        except ValueError as error:
            self.refuse(line, str(error))
            return
        text = translation.text
        carried_out = CheckText(text.rendered_line({}, dataset.partition(".")[0]), text.config)
        sodacl = dump({f"checks for {dataset}": [carried_out.as_item(name="check")]})
        for message in soda_runtime.parse_errors(dataset, sodacl)[:1]:
            self.refuse(line, f"Soda cannot read this check: {message}.")
            return
        self.checks.append(
            FileCheck(
                file=self.file,
                line=line + 1,
                dataset=dataset,
                name=translation.name or sentences.promise(text),
                definition=text.definition,
                severity=translation.severity,
                written_as=self._source(line, next_line),
                notes=(*(() if translation.name else ("has no name; named by what it says",)), *translation.notes),
            )
        )

    def _source(self, start: int, end: int | None) -> str:
        """The lines of one check as they stand in the file, without the comments that follow it."""
        lines = self.text.splitlines()
        first_indent = len(lines[start]) - len(lines[start].lstrip())
        kept = [lines[start]]
        for line in lines[start + 1 : end]:
            if line.strip() and len(line) - len(line.lstrip()) <= first_indent:
                break
            kept.append(line)
        while kept and (not kept[-1].strip() or kept[-1].lstrip().startswith("#")):
            kept.pop()
        return textwrap.dedent("\n".join(kept))

    def _name_the_unnamed_apart(self) -> None:
        """Two unnamed checks may say the same words (a filter differs): their SodaCL tells them apart."""
        taken: dict[tuple[str, str], str] = {}
        for index, check in enumerate(self.checks):
            key = (check.dataset, check.name)
            if key in taken and taken[key] != check.definition and any("has no name" in note for note in check.notes):
                name = f"{check.name} ({' '.join(check.definition.split())})"[:200]
                self.checks[index] = FileCheck(**{**check.__dict__, "name": name})
            taken.setdefault((check.dataset, self.checks[index].name), check.definition)


def _line_of(item: Any, key: str, line: int) -> int:
    """The line of a setting inside a check, or of the check itself."""
    if key and isinstance(item, CommentedMap):
        config = next(iter(item.values()))
        if isinstance(config, CommentedMap) and key in config:
            return config.lc.key(key)[0]
    return line


def plain(data: Any) -> Any:
    """YAML's decorated values as plain Python ones."""
    if isinstance(data, dict):
        return {plain(key): plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [plain(value) for value in data]
    if isinstance(data, bool) or data is None:
        return data
    for kind in (str, int, float):
        if isinstance(data, kind):
            return kind(data)
    return data


# --- writing --------------------------------------------------------------------------------------------------------
def as_file(checks: Iterable[Check]) -> str:
    """These checks as a SodaCL file that `read_files` reads back as the same checks."""
    sections: dict[str, list[Any]] = {}
    for check in checks:
        text = CheckText.parse(check.definition)
        config = dict(text.config)
        if check.severity != Severity.CRITICAL:
            config["attributes"] = {"severity": str(check.severity), **(config.get("attributes") or {})}
        item = CheckText(text.line, config).as_item(name=check.name)
        sections.setdefault(f"{_HEADER}{check.dataset}", []).append(item)
    return dump(sections) + "\n" if sections else ""
