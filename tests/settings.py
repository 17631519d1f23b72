"""The portal's settings for tests: it lives in a temporary DATA_DIR and knows nothing of this machine's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_DATA_DIR = tempfile.mkdtemp(prefix="portal-tests-")
atexit.register(shutil.rmtree, _DATA_DIR, ignore_errors=True)

for name in ("DATABASE_URL", "REDIS_URL", "WAREHOUSE_URL", "EMAIL_URL", "PORTAL_URL", "SECRETS_KEYS", "SECRET_KEY"):
    os.environ.pop(name, None)
os.environ.update(
    DATA_DIR=_DATA_DIR,
    DEMO="true",
    LOG_LEVEL="WARNING",
    DJANGO_SETTINGS_MODULE="portal.settings",
)

from portal.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file: a live server's threads and the test that watches it each have a connection of their own.
DATABASES["default"]["TEST"] = {"NAME": f"{_DATA_DIR}/test.sqlite3"}  # noqa: F405
STATIC_ROOT.mkdir()  # noqa: F405 - whitenoise warns of one that is missing
