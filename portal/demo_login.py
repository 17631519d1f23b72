"""The demo's log-in: what the seed creates and the log-in page tells. Exists only with DEMO=true, on this machine."""

DEMO_USER = "demo"
DEMO_PASSWORD = "data-portal"  # noqa: S105 - well known on purpose; the seed refuses to run outside a demo
