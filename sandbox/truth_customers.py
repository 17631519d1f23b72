"""Ground truth about the customers: which records of the other systems are truly theirs, and what they show.

Sales, product and support were told who a customer is when it signed up; nobody matched names or addresses for this.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.company import Company
from sandbox.doors.intercom_objects import IntercomWriter


@dataclass(frozen=True, slots=True)
class Account:
    """A Stripe customer in the other systems, now; ``last_seen_at`` in epoch seconds."""

    hubspot_company_id: str
    owner: str | None
    open_deals: int
    workspace_id: str
    plan: str
    seats: int
    last_seen_at: int | None
    intercom_company_id: str
    open_conversations: int


def accounts(company: Company) -> dict[str, Account]:
    """By Stripe customer. Conversations of users who were deleted are nobody's: Intercom has forgotten who they were."""
    write = IntercomWriter(company.support, company.seed)
    with company.lock:
        firms = {each.stripe_customer: each for each in company.sales.customers}
        deals = [deal for deal in company.sales.crm.deals.values() if deal.archived_at is None and not deal.closed_at]
        waiting = [
            each.user.workspace
            for each in company.support.conversations.values()
            if each.state != "closed" and each.user.deleted_at is None
        ]
        found = {}
        for customer in company.ledger.customers:
            firm, workspace = firms[customer], company.product.workspaces[customer]
            seen = [user.last_seen_at for user in workspace.users if user.last_seen_at is not None]
            found[customer] = Account(
                hubspot_company_id=str(firm.id),
                owner=firm.owner.name if firm.owner else None,
                open_deals=sum(deal.company is firm for deal in deals),
                workspace_id=workspace.id,
                plan=workspace.plan,
                seats=workspace.seats,
                last_seen_at=max(seen, default=None),
                intercom_company_id=write.company_id(workspace),
                open_conversations=sum(each is workspace for each in waiting),
            )
    return found
