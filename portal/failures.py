"""What went wrong, said twice: a sentence for people and a detail for engineers.

Every layer raises these; nothing else reaches a row, a page or a mail.
"""

from __future__ import annotations

import traceback

from portal.redact import redact


class PortalError(Exception):
    """A failure with a sentence for people and a detail for engineers.

    `sentence` is plain English and ends with a full stop; it says what happened and, where known, what to do.
    `detail` may hold names, codes and excerpts. Both are redacted before they are kept.
    """

    is_transient = False
    kind = "error"

    def __init__(self, sentence: str, detail: str = "", *, kind: str | None = None) -> None:
        self.sentence = redact(sentence)
        super().__init__(self.sentence)
        self.detail = redact(detail)
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        return self.sentence


class TransientError(PortalError):
    """May pass by itself (a lost connection, a rate limit, a busy file): worth another attempt.

    `retry_after` is how many seconds the other side asked to be left alone, if it did.
    """

    is_transient = True
    kind = "transient"

    def __init__(
        self, sentence: str, detail: str = "", *, kind: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(sentence, detail, kind=kind)
        self.retry_after = retry_after


class TerminalError(PortalError):
    """Will not pass without a person: a wrong token, a missing permission, a broken setting."""

    kind = "terminal"


def as_portal_error(error: BaseException) -> PortalError:
    """Wrap an unforeseen exception; what nobody expected is not retried in silence but shown."""
    if isinstance(error, PortalError):
        return error
    detail = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    wrapped = TerminalError(
        f"Something we did not foresee went wrong ({type(error).__name__}). The detail below is for an engineer.",
        detail,
        kind="unforeseen",
    )
    wrapped.__cause__ = error
    return wrapped
