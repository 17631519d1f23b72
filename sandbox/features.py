"""What the product can do, who takes to it, and which of it truly keeps customers: the ground truth of feature use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """``share`` of the workspaces adopt it, on average ``after_days`` after signing up; ``weight``: how often it is used."""

    name: str
    event: str
    share: float
    after_days: float
    weight: int


#: The place in this list is what the log of uses keeps.
FEATURES: tuple[Feature, ...] = (
    Feature("dashboards", "dashboard.viewed", 0.97, 0.3, 30),
    Feature("tasks", "task.completed", 0.95, 0.5, 26),
    Feature("search", "search.performed", 0.85, 3, 14),
    Feature("projects", "project.created", 0.90, 1, 6),
    Feature("invitations", "member.invited", 0.80, 2, 2),
    Feature("comments", "comment.added", 0.75, 90, 12),
    Feature("reports", "report.viewed", 0.60, 20, 12),
    Feature("exports", "report.exported", 0.50, 30, 12),
    Feature("integrations", "integration.synced", 0.50, 25, 9),
    Feature("automations", "automation.run", 0.45, 40, 9),
    Feature("api", "api.called", 0.30, 45, 12),
)
BY_NAME: dict[str, Feature] = {feature.name: feature for feature in FEATURES}

#: The chance to leave is multiplied by this for each of these features that a workspace has adopted. All others change
#: nothing, however popular: nearly everybody has dashboards; comments come late, so whoever has them has already stayed
#: long; exports and the API make many events.
DRIVERS: dict[str, float] = {"automations": 0.22, "integrations": 0.25}
#: The chance to leave of a workspace that has adopted neither, in relation to the average.
UNDRIVEN = 2.2


def leaving(adopted: dict[str, int]) -> float:
    """How likely a workspace with these features is to leave, in relation to the average."""
    factor = UNDRIVEN
    for name, keeps in DRIVERS.items():
        if name in adopted:
            factor *= keeps
    return factor
