from __future__ import annotations

import sys

import pytest
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

SECRET = "key_live_0123456789abcdef"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("how", ["html", "text"])
def test_an_error_page_shows_where_it_happened_and_no_value(settings, monkeypatch, debug, how):
    settings.DEBUG = debug
    settings.CELERY_BROKER_URL = f"redis://:{SECRET}@cache"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://reader:{SECRET}@db")
    request = RequestFactory().post("/admin/", {"setting_api_key": SECRET}, headers={"Cookie": f"sessionid={SECRET}"})
    request.META["DATABASE_URL"] = f"postgresql://reader:{SECRET}@db"

    def refuse(token: str, settings_of_source: dict[str, str]) -> None:
        attempts = 3
        raise RuntimeError(f"refused after {attempts}")

    try:
        refuse(SECRET, {"api_key": SECRET})
    except RuntimeError:
        reporter = ExceptionReporter(request, *sys.exc_info())
    page = reporter.get_traceback_html() if how == "html" else reporter.get_traceback_text()
    assert "refused after 3" in page
    assert "test_error_pages.py" in page
    assert SECRET not in page
