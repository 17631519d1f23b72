"""What Django's error pages and error mails may show: where it happened, never what was in it.

Django hides settings by name and only when DEBUG is off; here a form field, a local variable or an address may hold a
token at any time, so values are left out altogether.
"""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

from portal.redact import MASK

_HARMLESS = (bool, int, float, type(None))


class QuietFilter(SafeExceptionReporterFilter):
    """Names of fields and variables stay, values go; settings and headers that may hold a password go too."""

    cleansed_substitute = MASK
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|URL|BROKER|DATABASE|EMAIL", flags=re.IGNORECASE
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> Any:
        return dict.fromkeys(request.POST, MASK) if request is not None else {}

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
        return [
            (name, value if isinstance(value, _HARMLESS) else f"{MASK} ({type(value).__name__})")
            for name, value in tb_frame.f_locals.items()
        ]
