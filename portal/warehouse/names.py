"""Three names of one mart, where a warehouse keeps what is built and what is published side by side.

    mart_finance             what everybody says, and what people's tools read: the version that is published
    candidate_mart_finance   what dbt builds and Soda checks; nobody else should read it
    v00000012__mart_finance  one published version, never changed again

DuckDB needs only the first: its versions are files.

A question that compares two versions says `before_mart_finance` for the earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

CANDIDATE = "candidate_"
MART = "mart_"
BEFORE = "before_"

_VERSION = re.compile(r"v\w+?__" + MART)
# What SQL may contain instead of a name: text, a comment. Consumed first, so that nothing inside them is touched.
_TOKENS = re.compile(
    r"""
    '(?:[^']|'')*' | --[^\n]* | /\*.*?\*/
    | (?P<mark>\?)
    | (?P<quote>["`]?)\b(?P<schema>(?:before_)?mart_\w+)\b(?P=quote)(?=\s*\.)
    | "(?:[^"]|"")*" | `[^`]*`
    """,
    re.VERBOSE | re.DOTALL,
)


def candidate(schema: str) -> str:
    return f"{CANDIDATE}{schema}" if schema.startswith(MART) else schema


def spoken(schema: str) -> str:
    """The name that everybody says for a schema that dbt built."""
    return schema.removeprefix(CANDIDATE)


def version_of(version: str) -> str:
    """A version as the beginning of its schemas' names: letters, digits, underscores."""
    return "v" + re.sub(r"\W", "_", version)


def of_version(location: str, schema: str) -> str:
    return f"{location}__{schema}"


def in_versions(location: str, before: str | None) -> Callable[[str], str]:
    """Where a question's `mart_…` and `before_mart_…` are: in two versions of one database."""

    def rename(schema: str) -> str:
        if before is not None and schema.startswith(BEFORE):
            return of_version(before, schema.removeprefix(BEFORE))
        return of_version(location, schema)

    return rename


def is_version(schema: str) -> bool:
    return _VERSION.match(schema) is not None


def is_published(schema: str) -> bool:
    """A stable name, or one version: not what workers write."""
    return schema.startswith(MART) or is_version(schema)


def with_schemas(sql: str, rename: Callable[[str], str], mark: str = "?") -> str:
    """`sql` with every `mart_….` and `before_mart_….` renamed and every `?` as `mark`; text, comments and other names stay as they are.

    Where a mark is not `?` it is psycopg's `%s`, and then a percent sign everywhere else has to be doubled.
    """
    doubled = (lambda text: text) if mark == "?" else (lambda text: text.replace("%", "%%"))
    parts, end = [], 0
    for token in _TOKENS.finditer(sql):
        parts.append(doubled(sql[end : token.start()]))
        if token["mark"]:
            parts.append(mark)
        elif schema := token["schema"]:
            parts.append(f"{token['quote']}{rename(schema)}{token['quote']}")
        else:
            parts.append(doubled(token[0]))
        end = token.end()
    return "".join([*parts, doubled(sql[end:])])
