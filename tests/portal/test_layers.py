"""What the web process may not carry along; the direction of imports is held by import-linter."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
from portal.wsgi import application
import portal.urls
from django.urls import get_resolver
get_resolver().url_patterns
print(*sorted({name.partition('.')[0] for name in sys.modules} & {'dlt', 'dbt', 'soda', 'prophet', 'pandas', 'pyarrow'}))
"""


@pytest.mark.slow
def test_the_web_process_imports_no_engine(settings):
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
