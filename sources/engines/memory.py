"""How much memory DuckDB may take for a piece of work; what is beyond the limit spills to disk.

Each of its two threads holds a page (1 MB) and a segment of every column, so a wide table cannot be loaded with little; and
a long one should not get much, because it keeps what it is given: 10 million rows of 10 columns took 0.77 GB for the
whole sync with 400 MB, 0.49 GB with 128 MB, in the same time. Merging ranks and looks up keys, which spills only in part.
"""

from __future__ import annotations

LEAST = 128  # MB
A_COLUMN = 7  # MB
LEAST_TO_MERGE = 400  # MB


def limit_for(columns: int, *, merges: bool = False) -> str:
    """DuckDB's `memory_limit` for tables of at most so many columns."""
    return f"{max(LEAST_TO_MERGE if merges else LEAST, columns * A_COLUMN)}MB"
