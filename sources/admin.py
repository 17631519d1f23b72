"""The admin of this app: one module a subject. Importing them registers them."""

from sources import admin_people, admin_runs, admin_source

__all__ = ["admin_people", "admin_runs", "admin_source"]
