"""The admin of this app: one module a subject. Importing them registers them."""

from quality import admin_checks, admin_incidents

__all__ = ["admin_checks", "admin_incidents"]
