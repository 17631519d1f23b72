"""What PostgreSQL says when it says no, in sentences.

Query errors carry an SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html); errors while connecting
carry only the server's or libpq's words.
"""

from __future__ import annotations

import re

from portal.failures import PortalError, TerminalError, TransientError

_CONNECTING: tuple[tuple[str, type[PortalError], str, str], ...] = (
    (
        r"password authentication failed|no password supplied|28P01",
        TerminalError,
        "unauthorized",
        "PostgreSQL did not accept this user and password. Type both in again.",
    ),
    (
        r'database ".*" does not exist|3D000',
        TerminalError,
        "database",
        "This server has no database of that name. Check the spelling of the database.",
    ),
    (
        r'role ".*" does not exist|28000',
        TerminalError,
        "unauthorized",
        "PostgreSQL does not know this user, or does not let it in. Check the user name.",
    ),
    (
        r"no pg_hba\.conf entry",
        TerminalError,
        "unauthorized",
        "PostgreSQL does not let this user in from here. Ask whoever runs it to allow this machine "
        "(pg_hba.conf), or choose another encryption setting.",
    ),
    (
        r"server does not support SSL",
        TerminalError,
        "tls",
        "This server does not encrypt its connections. Choose “if the server can” under Encryption, or ask whoever "
        "runs it to switch encryption on.",
    ),
    (
        r"certificate|SSL error|root\.crt",
        TerminalError,
        "tls",
        "The encrypted connection could not be verified. Ask whoever runs the server for its certificate, or choose "
        "“always, without checking the certificate” under Encryption.",
    ),
    (
        r"permission denied for database|does not have CONNECT privilege|42501",
        TerminalError,
        "forbidden",
        "The user may not connect to this database. Whoever runs it can allow it: GRANT CONNECT ON DATABASE … TO ….",
    ),
    (
        r"could not translate host name|Name or service not known|nodename nor servname",
        TransientError,
        "unreachable",
        "No server of this name can be found. Check the spelling of the host.",
    ),
    (
        r"timeout expired|timed out",
        TransientError,
        "unreachable",
        "The server did not answer in time. Check host and port, and whether a firewall lets this machine through.",
    ),
    (
        r"too many (clients|connections)|remaining connection slots",
        TransientError,
        "busy",
        "The server has too many connections open at the moment.",
    ),
    (
        r"starting up|shutting down|in recovery mode",
        TransientError,
        "unreachable",
        "The server is starting or stopping at the moment.",
    ),
)

_QUERYING: dict[str, tuple[type[PortalError], str, str]] = {
    "42P01": (TerminalError, "missing", "There is no table “{table}” any more, or the user may not know of it."),
    "3F000": (TerminalError, "missing", "There is no schema for the table “{table}” any more."),
    "42703": (TerminalError, "missing", "The table “{table}” has lost a column while it was read. Sync again."),
    "42501": (
        TerminalError,
        "forbidden",
        "The user may not read the table “{table}”. Whoever runs the database can allow it: "
        "GRANT SELECT ON {table} TO … (and USAGE on its schema).",
    ),
    "57014": (
        TransientError,
        "timeout",
        "Reading “{table}” took longer than allowed. An index on the cursor column helps, or a longer limit in the "
        "settings.",
    ),
    "40001": (TransientError, "conflict", "The server called off reading “{table}” for the sake of other work."),
    "55P03": (TransientError, "locked", "The table “{table}” is locked at the moment."),
}
# While batches flow the driver drops the SQLSTATE and keeps the words.
_STATES = (
    ("57014", r"canceling statement due to (statement timeout|user request)"),
    ("40001", r"conflict with recovery|could not serialize"),
    ("42501", r"permission denied for"),
)
_PASSING = ("08", "53", "57P")


def explain(error: Exception, table: str = "") -> PortalError:
    """`error` of the driver as a failure. `table`: what was read; "" while connecting."""
    text = str(error)
    state = getattr(error, "sqlstate", None) or ""
    if table and not state:
        state = next((known for known, words in _STATES if re.search(words, text)), "")
    if table and state in _QUERYING:
        kind_of, kind, sentence = _QUERYING[state]
        return kind_of(sentence.format(table=table), text, kind=kind)
    for pattern, kind_of, kind, sentence in _CONNECTING:
        if re.search(pattern, text, re.IGNORECASE):
            return kind_of(sentence, text, kind=kind)
    if not state or state.startswith(_PASSING):
        what = f"while “{table}” was read" if table else "Check host and port, and whether the server runs"
        sentence = (
            f"The connection to PostgreSQL broke off {what}." if table else f"PostgreSQL could not be reached. {what}."
        )
        return TransientError(sentence, text, kind="unreachable")
    return TerminalError(
        f"PostgreSQL refused to read “{table}” (error {state})."
        if table
        else f"PostgreSQL answered with error {state}.",
        text,
        kind="refused",
    )
