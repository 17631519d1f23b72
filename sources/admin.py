"""The admin of this app: one module a subject. Importing them registers them."""

from sources import admin_hosts, admin_people, admin_runs, admin_source

__all__ = ["admin_hosts", "admin_people", "admin_runs", "admin_source"]
