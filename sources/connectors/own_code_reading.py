"""What a file of a company's own dlt code says about itself, read without running it.

A page must never execute what somebody has just dropped into a folder, so the file is parsed: the decorated functions,
their docstrings, the `dlt.secrets` and `dlt.config` keys they ask for, and of each resource its disposition, key and
cursor as far as they are written down literally. What only running would tell (resources made in a loop) is left open.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sources.connectors.base import FieldKind, FormField, StreamSpec, SyncMode

_KINDS = {"int": FieldKind.INTEGER, "bool": FieldKind.BOOLEAN, "list": FieldKind.LIST}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# The first parameter of these is the row that comes in, not a setting.
_TRANSFORMERS = {"dlt.transformer"}
_RESOURCES = {"dlt.resource", *_TRANSFORMERS}
DISPOSITIONS = {
    "append": "New rows are added to those that are there.",
    "merge": "Rows are merged by their key.",
    "replace": "Replaced every time.",
    "skip": "Not written.",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Reading:
    """`streams` is empty when only running the code tells them; `problem` says what keeps the code from running."""

    summary: str = ""
    fields: tuple[FormField, ...] = ()
    streams: tuple[StreamSpec, ...] = ()
    lines: dict[str, int] = field(default_factory=dict)  # resource → where it begins
    problem: str = ""
    detail: str = ""
    hints: tuple[str, ...] = ()  # what runs, but is not what its author meant


def read(code: str, file_name: str) -> Reading:
    """What `code` says about itself; never raises for what it holds."""
    try:
        tree = ast.parse(code, filename=file_name)
    except SyntaxError as error:
        where = f"{file_name}, line {error.lineno}" if error.lineno else file_name
        excerpt = f"{error.text.rstrip()}\n{' ' * ((error.offset or 1) - 1)}^" if error.text else ""
        return Reading(problem=f"{where}: {_sentence(error.msg)}", detail=excerpt)
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL byte; nesting without end
        return Reading(problem=f"{file_name}: this is not Python that can be read ({error}).")
    return _File(tree, file_name).read()


def spec_of(name: str, *, description: str, disposition: str, primary_key: tuple[str, ...], cursor: str) -> StreamSpec:
    """A resource as a stream. How it is read and written is for the code to decide, so there is one mode each."""
    mode = SyncMode.INCREMENTAL if cursor and disposition != "replace" else SyncMode.FULL_REFRESH
    words = DISPOSITIONS.get(disposition, "")
    return StreamSpec(
        name,
        description=" ".join(filter(None, (description, words))),
        primary_key=primary_key,
        cursor_fields=(cursor,) if cursor else (),
        sync_modes=(mode,),
    )


class _File:
    def __init__(self, tree: ast.Module, file_name: str) -> None:
        self.tree = tree
        self.file_name = file_name
        self.aliases = dict(_aliases(tree))
        functions = [node for node in tree.body if isinstance(node, _FUNCTIONS)]
        self.sources = [node for node in functions if self._is(node, {"dlt.source"})]
        self.resources = {
            node.name: node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and self._is(node, _RESOURCES)
        }
        self.alone = [node for node in functions if self._is(node, _RESOURCES)]

    def read(self) -> Reading:
        return Reading(
            summary=self._summary(),
            fields=tuple(self._fields()),
            streams=tuple(self._streams()),
            lines={self._name(node) or node.name: node.lineno for node in self.resources.values()},
            problem=self._problem(),
            hints=tuple(self._moving_cursors()),
        )

    # Words ------------------------------------------------------------------------------------------------------

    def _summary(self) -> str:
        for node in (*self.sources, self.tree, *self.alone):
            if text := _first_paragraph(node):
                return text
        return ""

    def _problem(self) -> str:
        starts = self.sources or self.alone
        if not starts:
            return (
                f"{self.file_name} has no function decorated with @dlt.source or @dlt.resource, so there is nothing "
                "to read. The name of a file that only helps others begins with “_”."
            )
        for node in starts:
            for argument in _without_default(node)[int(self._is(node, _TRANSFORMERS)) :]:
                return (
                    f"{self.file_name}, line {argument.lineno}: {node.name}() wants “{argument.arg}”, and nobody gives "
                    f"it. Write {argument.arg}=dlt.config.value (or dlt.secrets.value), and the form asks for it."
                )
        return ""

    def _moving_cursors(self) -> Iterator[str]:
        """dlt moves `last_value` on with every row: in a loop over channels, the second starts where the first ended."""
        for node in self.resources.values():
            cursors = {argument.arg for argument, default in _with_default(node) if self._is_incremental(default)}
            loops = [each for each in _own_nodes(node) if isinstance(each, ast.For | ast.AsyncFor | ast.While)]
            for each in (inner for loop in loops for inner in ast.walk(loop)):
                if (
                    isinstance(each, ast.Attribute)
                    and each.attr == "last_value"
                    and self._dotted(each.value) in cursors
                ):
                    name = self._dotted(each.value)
                    yield (
                        f"{self.file_name}, line {each.lineno}: {name}.last_value moves on with every row, so each round "
                        f"of the loop asks only for what is newer than all rows before it. Rows may be skipped; "
                        f"{name}.start_value stays where the run began."
                    )
                    break

    # Settings ---------------------------------------------------------------------------------------------------

    def _fields(self) -> Iterator[FormField]:
        found: dict[str, FormField] = {}
        for asked in self._asked():
            known = found.get(asked.name)
            # Needed once is needed; secret once is secret.
            if known is None or (asked.required, asked.kind is FieldKind.SECRET) > (
                known.required,
                known.kind is FieldKind.SECRET,
            ):
                found[asked.name] = asked
        yield from found.values()

    def _asked(self) -> Iterator[FormField]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                yield from self._key(node.value, node.slice, required=True)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
                if node.args:
                    yield from self._key(node.func.value, node.args[0], required=False)
            elif isinstance(node, _FUNCTIONS) and self._is(node, {"dlt.source", *_RESOURCES}):
                yield from self._parameters(node)

    def _key(self, owner: ast.expr, key: ast.expr, *, required: bool) -> Iterator[FormField]:
        name, holder = _text(key), self._dotted(owner)
        if name and holder in ("dlt.secrets", "dlt.config"):
            kind = FieldKind.SECRET if holder == "dlt.secrets" else FieldKind.TEXT
            yield self._field(name, kind, key.lineno, required=required)

    def _parameters(self, node: Function) -> Iterator[FormField]:
        for argument, default in _with_default(node):
            value = self._dotted(default)
            if value not in ("dlt.secrets.value", "dlt.config.value"):
                continue
            types = _type_names(argument.annotation)
            kind = next((_KINDS[name] for name in types if name in _KINDS), FieldKind.TEXT)
            if value == "dlt.secrets.value":
                kind = FieldKind.SECRET
            required = not ({"None", "Optional"} & types) and kind is not FieldKind.BOOLEAN
            yield self._field(argument.arg, kind, argument.lineno, required=required)

    def _field(self, name: str, kind: FieldKind, line: int, *, required: bool) -> FormField:
        label = name.rpartition(".")[2].replace("_", " ").strip().capitalize() or name
        help_text = f"{self.file_name} asks for “{name}” in line {line}."
        if kind is FieldKind.SECRET:
            help_text += " It is kept encrypted."
        return FormField(name, label, help_text, kind, required=required)

    # Streams ----------------------------------------------------------------------------------------------------

    def _streams(self) -> list[StreamSpec]:
        """All of them, or none when one of them cannot be told from reading."""
        nodes: list[Function] = []
        for source in self.sources:
            handed_out = self._handed_out(source)
            if handed_out is None:
                return []
            nodes += handed_out
        if not self.sources:
            nodes = list(self.alone)
        specs = [self._spec(node) for node in dict.fromkeys(nodes)]
        return [spec for spec in specs if spec is not None] if None not in specs else []

    def _handed_out(self, source: Function) -> list[Function] | None:
        """The resources a source returns or yields; None when something else is among them."""
        found: list[Function] = []
        for node in _own_nodes(source):
            if isinstance(node, ast.YieldFrom):
                return None
            if not isinstance(node, ast.Return | ast.Yield) or node.value is None:
                continue
            for each in node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else [node.value]:
                called = each.func if isinstance(each, ast.Call) else each
                if not isinstance(called, ast.Name) or called.id not in self.resources:
                    return None
                found.append(self.resources[called.id])
        return found or None

    def _spec(self, node: Function) -> StreamSpec | None:
        options = self._options(node)
        name = self._name(node)
        disposition = _literal(options.get("write_disposition"), "append")
        if isinstance(disposition, dict):
            disposition = disposition.get("disposition", "append")
        key = _literal(options.get("primary_key"), ())
        if not name or disposition is _UNKNOWN or _literal(options.get("selected"), True) is not True:
            return None
        return spec_of(
            name,
            description=_first_paragraph(node),
            disposition=str(disposition),
            primary_key=(key,) if isinstance(key, str) else tuple(key) if isinstance(key, list | tuple) else (),
            cursor=self._cursor(node, options),
        )

    def _cursor(self, node: Function, options: dict[str, ast.expr]) -> str:
        candidates = [default for _, default in _with_default(node)]
        candidates += [options["incremental"]] if "incremental" in options else []
        for candidate in candidates:
            if isinstance(candidate, ast.Call) and self._is_incremental(candidate):
                given = [*candidate.args, *(word.value for word in candidate.keywords if word.arg == "cursor_path")]
                return _text(given[0]) if given else ""
        return ""

    def _is_incremental(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and self._dotted(node.func) == "dlt.sources.incremental"

    def _name(self, node: Function) -> str:
        given = self._options(node).get("name")
        return node.name if given is None else _text(given)

    # Names ------------------------------------------------------------------------------------------------------

    def _dotted(self, node: ast.AST | None) -> str:
        """`d.secrets` as `dlt.secrets` after `import dlt as d`; "" for what is no plain name."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (owner := self._dotted(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def _is(self, node: ast.AST, names: set[str]) -> bool:
        return isinstance(node, _FUNCTIONS) and self._decorator(node, names) is not None

    def _decorator(self, node: Function, names: set[str]) -> ast.expr | None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self._dotted(called) in names:
                return decorator
        return None

    def _options(self, node: Function) -> dict[str, ast.expr]:
        decorator = self._decorator(node, _RESOURCES)
        if not isinstance(decorator, ast.Call):
            return {}
        return {word.arg: word.value for word in decorator.keywords if word.arg}


_UNKNOWN: Any = object()


def _literal(node: ast.expr | None, default: Any) -> Any:
    if node is None:
        return default
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return _UNKNOWN


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "dlt" and name.asname:
                    yield name.asname, "dlt"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "dlt" and not node.level:
            for name in node.names:
                yield name.asname or name.name, f"{node.module}.{name.name}"


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """Everything in a function's body but what belongs to functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def _with_default(node: Function) -> Iterator[tuple[ast.arg, ast.expr]]:
    places = [*node.args.posonlyargs, *node.args.args]
    yield from zip(places[len(places) - len(node.args.defaults) :], node.args.defaults, strict=True)
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is not None:
            yield argument, default


def _without_default(node: Function) -> list[ast.arg]:
    given = {argument.arg for argument, _ in _with_default(node)}
    places = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [argument for argument in places if argument.arg not in given]


def _type_names(annotation: ast.expr | None) -> set[str]:
    if annotation is None:
        return set()
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(annotation) if isinstance(node, ast.Attribute)}
    names |= {"None" for node in ast.walk(annotation) if isinstance(node, ast.Constant) and node.value is None}
    return {"list" if name == "List" else name for name in names}


def _first_paragraph(node: Any) -> str:
    text = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return " ".join(text.split())


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
