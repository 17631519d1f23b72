"""What a number means, one click away: dbt's own description of the mart and the column, never a second wording."""

from __future__ import annotations

from dataclasses import dataclass

from metrics.manifest import DatasetDoc, ProjectDoc

MISSING = "No description was found: it appears after the next build."


@dataclass(frozen=True)
class Definition:
    term: str
    text: str
    dataset: str  # "mart_finance.mrr_monthly"
    column: str = ""

    @property
    def source(self) -> str:
        return ".".join(filter(None, [self.dataset, self.column]))


def of_column(docs: ProjectDoc, mart: str, column: str, term: str) -> Definition:
    dataset = docs.datasets.get(mart)
    found = next((one.description for one in dataset.columns if one.name == column), "") if dataset else ""
    return Definition(term, found or MISSING, mart, column)


def of_mart(docs: ProjectDoc, mart: str) -> Definition:
    dataset: DatasetDoc | None = docs.datasets.get(mart)
    words = dataset.description if dataset else ""
    grain = f" One row is one {dataset.grain}." if dataset and dataset.grain else ""
    return Definition("Where it comes from", f"{words}{grain}" if words else MISSING, mart)
