"""Settings, all from the environment. The defaults run the demo; production refuses to start on them.

DATA_DIR       where everything the portal keeps lives (default ./data)
DATABASE_URL   the portal's own database (default SQLite in DATA_DIR; postgresql://… in production)
REDIS_URL      the broker (default: the Valkey that `manage.py services` embeds, address in DATA_DIR/broker.url)
WAREHOUSE_URL  duckdb:///path (default DATA_DIR/warehouse/warehouse.duckdb), postgresql://user:password@host/database,
               or bigquery://project/location?maximum_gb=100 (GOOGLE_APPLICATION_CREDENTIALS says who we are)
PIPELINES_DIR  the company's own dlt code, a file a source (default sources/pipelines)
PORTAL_URL     the address people use; mails link to it
EMAIL_URL      smtp://user:password@host:port?tls=true … (default: files in DATA_DIR/mail)
SECRET_KEY, SECRETS_KEYS, ALLOWED_HOSTS   must be set when DEBUG is off
ALLOWED_INTERNAL_HOSTS   hosts of the company's own network that sources may read (also kept in the admin)
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
DEBUG = env.bool("DEBUG", default=False)
# The demo: everything embedded, keys made on first start and kept in DATA_DIR. Never in production.
DEMO = env.bool("DEMO", default=False)


def _required(name: str, why: str) -> str:
    value = env.str(name, default="")
    if not value:
        raise ImproperlyConfigured(f"Set {name}: {why}. (For a trial on this machine run `make demo`.)")
    return value


def _required_list(name: str, why: str) -> list[str]:
    """Several values with commas between; blanks do not count."""
    values = [part.strip() for part in _required(name, why).split(",") if part.strip()]
    if not values:
        raise ImproperlyConfigured(f"{name} holds only commas: {why}.")
    return values


if DEMO or DEBUG:
    from portal.demo_keys import demo_keys

    _keys = demo_keys(DATA_DIR)
    SECRET_KEY = env.str("SECRET_KEY", default=_keys["SECRET_KEY"])
    SECRETS_KEYS = env.list("SECRETS_KEYS", default=[_keys["SECRETS_KEY"]])
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
else:
    SECRET_KEY = _required("SECRET_KEY", "it signs sessions; use 50 or more random characters")
    SECRETS_KEYS = _required_list(
        "SECRETS_KEYS", "they encrypt the sources' tokens; one or more Fernet keys, the newest first"
    )
    ALLOWED_HOSTS = _required_list("ALLOWED_HOSTS", "the host names this portal answers to, with commas between")
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS may not be “*”: name the hosts, or links in mails can be forged.")
    if len(SECRET_KEY) < 32:
        raise ImproperlyConfigured("SECRET_KEY is too short to be safe: use 50 or more random characters.")

try:
    from cryptography.fernet import Fernet

    for _key in SECRETS_KEYS:
        Fernet(_key)
except ValueError:
    raise ImproperlyConfigured(
        "SECRETS_KEYS holds something that is not a Fernet key. Make one with `python -m portal.demo_keys`."
    ) from None

PORTAL_URL = env.str("PORTAL_URL", default="http://127.0.0.1:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_celery_beat",
    "simple_history",
    "sources",
    "metrics",
    "quality",
    "portal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "status"
LOGOUT_REDIRECT_URL = "login"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.portal",
            ],
        },
    }
]

# --- the portal's own database -------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'portal.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # WAL lets pages read while workers write; an immediate transaction waits for its turn instead of failing halfway.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=134217728; PRAGMA cache_size=-20000;"
        ),
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- the warehouse ---------------------------------------------------------------------------------------------------
WAREHOUSE_URL = env.str("WAREHOUSE_URL", default=f"duckdb:///{DATA_DIR / 'warehouse' / 'warehouse.duckdb'}")
PUBLICATIONS_KEPT = env.int("PUBLICATIONS_KEPT", default=5)
# What the company's metrics are counted in; dbt gets them as vars.
DBT_VARS = {"is_simulated": DEMO, **env.json("DBT_VARS", default={})}

# --- a company's own code ----------------------------------------------------------------------------------------------
PIPELINES_DIR = Path(env.str("PIPELINES_DIR", default=str(BASE_DIR / "sources" / "pipelines"))).resolve()
# What one run of it may keep in memory: a mistake in it must not take the machine along.
PIPELINE_MEMORY_MB = env.int("PIPELINE_MEMORY_MB", default=2_000)

# --- runs, retries, the sweep ----------------------------------------------------------------------------------------
RUN_HEARTBEAT = timedelta(seconds=env.float("RUN_HEARTBEAT_SECONDS", default=5))
RUN_LOST_AFTER = timedelta(seconds=env.float("RUN_LOST_AFTER_SECONDS", default=60))
# How often a run may be started by a worker that then vanished, before a person is asked.
RUN_MAX_CLAIMS = env.int("RUN_MAX_CLAIMS", default=8)
RETRY_DELAYS = [
    timedelta(seconds=float(value)) for value in env.list("RETRY_DELAYS", default=["10", "30", "90", "270"])
]
SWEEP_EVERY = timedelta(seconds=env.float("SWEEP_SECONDS", default=60))
# A schedule this late was missed by the scheduler; the sweep starts it.
# A source's database keeps its log until it is read here. More than this, or no progress for so long, is an incident.
LOG_KEPT_BYTES = env.int("LOG_KEPT_MB", default=5_000) * 1_000_000
LOG_STUCK_AFTER = timedelta(hours=env.float("LOG_STUCK_HOURS", default=6))
LOG_STUCK_BYTES = env.int("LOG_STUCK_MB", default=200) * 1_000_000

SCHEDULE_GRACE = timedelta(seconds=env.float("SCHEDULE_GRACE_SECONDS", default=90))

# --- celery ----------------------------------------------------------------------------------------------------------
BROKER_URL_FILE = DATA_DIR / "broker.url"


def _broker_url() -> str:
    if url := env.str("REDIS_URL", default=""):
        return url
    return BROKER_URL_FILE.read_text().strip() if BROKER_URL_FILE.exists() else ""


CELERY_BROKER_URL = _broker_url() or "memory://"
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "portal.tasks.run_sync": {"queue": "extract"},
    "portal.tasks.run_probe": {"queue": "default"},
    "portal.tasks.run_log_task": {"queue": "default"},
    "portal.tasks.run_build": {"queue": "warehouse"},
    "portal.tasks.run_switch_preview": {"queue": "warehouse"},
    "portal.tasks.run_scan": {"queue": "warehouse"},
    "portal.tasks.run_publication": {"queue": "warehouse"},
}
CELERY_TASK_TIME_LIMIT = env.int("TASK_TIME_LIMIT", default=6 * 3600)
# An unacknowledged message comes back after the visibility timeout: longer than the longest task may take.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": CELERY_TASK_TIME_LIMIT + 1800}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_WORKER_MAX_MEMORY_PER_CHILD = env.int("WORKER_MAX_MEMORY_KB", default=2_000_000)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
CELERY_BEAT_SCHEDULE = {
    "portal-sweep": {
        "task": "portal.tasks.sweep",
        "schedule": SWEEP_EVERY,
        "options": {"queue": "default", "expires": 55},
    },
}
EXTRACT_CONCURRENCY = env.int("EXTRACT_CONCURRENCY", default=2)
# Hosts of the company's own network that sources may reach, beside those an administrator allows in the admin. The demo
# talks to a company that is simulated on this machine.
ALLOWED_INTERNAL_HOSTS = env.list("ALLOWED_INTERNAL_HOSTS", default=["127.0.0.1", "localhost"] if DEMO else [])

# --- mail --------------------------------------------------------------------------------------------------------------
EMAIL_CONFIG = env.email_url("EMAIL_URL", default=f"filemail:///{DATA_DIR / 'mail'}")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG.get("EMAIL_HOST") or ""
EMAIL_PORT = EMAIL_CONFIG.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL_CONFIG.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = str(DATA_DIR / "mail")
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.str("FROM_EMAIL", default="Data Portal <portal@localhost>")
# Who is told when a source has no owner.
FALLBACK_OWNER_EMAIL = env.str("FALLBACK_OWNER_EMAIL", default="")

# --- time, language ----------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = False

# --- static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    # Dash's and Plotly's scripts, out of their packages: nothing comes from elsewhere.
    "metrics.dashboards.static_files.DashFinder",
]
WHITENOISE_USE_FINDERS = DEBUG or DEMO
WHITENOISE_AUTOREFRESH = DEBUG

# --- security -----------------------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
_https = PORTAL_URL.startswith("https://")
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DEFAULT_EXCEPTION_REPORTER_FILTER = "portal.error_pages.QuietFilter"
if env.bool("BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- logs: to stderr, every record passes the redacting formatter ------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "portal.redact.RedactingFormatter",
            "format": "{asctime} {levelname:<7} {name}: {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        # A line a message is noise: what a run did is a row, and our own modules log it.
        "celery": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}

# --- the engines phone nobody ------------------------------------------------------------------------------------------
os.environ.setdefault("OTEL_SDK_DISABLED", "true")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("DLT_DATA_DIR", str(DATA_DIR / "dlt"))

UNFOLD = {
    "SITE_TITLE": "Data Portal",
    "SITE_HEADER": "Data Portal",
    "SITE_SUBHEADER": "Sources, checks and people",
    "SITE_URL": "/",
    "SITE_SYMBOL": "database",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("portal/favicon.svg")}],
    "COLORS": {  # the same teal as on the pages
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(51.1% .096 186.391)",
            "700": "oklch(43.7% .078 188.216)",
            "800": "oklch(38.6% .063 188.416)",
            "900": "oklch(33% .054 189)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
    "SHOW_HISTORY": True,
}
