"""Subscriptions, invoices and payments of the simulated company."""
