from __future__ import annotations

from tests.sources.connectors.conftest import pauses

__all__ = ["pauses"]
