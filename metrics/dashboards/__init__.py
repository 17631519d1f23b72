"""Dashboards: what the published marts say, as numbers, sentences, tables and charts.

published.py   the only reader of marts: one published version, kept in the cache because it never changes
choices.py     what the reader has chosen, from the address and back to it
shapes.py      Board, Tile, Section: what a page shows, without markup
tables.py      tables for the page and for a spreadsheet
definitions.py what a number means, in dbt's words
figures.py     colours and plain Plotly figures
executive.py, mrr.py, retention.py                the numbers of one dashboard; nothing here imports Dash
executive_app.py, mrr_app.py, retention_app.py    its charts: a Dash app each, imported when first asked for
registry.py    which dashboards there are
"""
