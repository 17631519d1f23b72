"""Settings as an engine gets them: secrets opened, references to the environment looked up.

A value `${NAME}` stands for the environment variable NAME of the worker: the portal stores the reference, not the
value. Works in secret and in plain fields.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from portal.failures import TerminalError

_REFERENCE = re.compile(r"^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$")


def reference(value: Any) -> str | None:
    """The variable's name if `value` is a reference to the environment, else None."""
    match = _REFERENCE.match(value) if isinstance(value, str) else None
    return match[1] if match else None


def resolved(settings: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """Both together, references replaced. Raises `TerminalError` naming each variable that is not set."""
    values = {**settings, **secrets}
    missing = []
    for key, value in values.items():
        if name := reference(value):
            if name in os.environ:
                values[key] = os.environ[name]
            else:
                missing.append(name)
    if missing:
        raise TerminalError(
            f"The portal's environment has no value for {', '.join(sorted(missing))}.",
            "A setting of this source refers to an environment variable that is not set for the workers.",
            kind="environment",
        )
    return values
