"""What is asked of the marts and of the simulated company alike: every mart that has a truth."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from decimal import Decimal
from functools import cache

from metrics.dbt_project import PROJECT_DIR
from portal.truth_table import Question, Row
from sandbox import (
    truth,
    truth_customers,
    truth_engineering,
    truth_features,
    truth_retention,
    truth_sales,
    truth_support,
    truth_team,
    truth_usage,
)
from sandbox.company import Company
from sandbox.features import BY_NAME, DRIVERS
from sandbox.timeline import HOUR, day_of


@cache
def _rates() -> dict[str, list[tuple[dt.date, Decimal]]]:
    found: dict[str, list[tuple[dt.date, Decimal]]] = {}
    with (PROJECT_DIR / "seeds" / "fx_rates.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            pair = (dt.date.fromisoformat(row["rate_date"]), Decimal(row["usd_rate"]))
            found.setdefault(row["currency"], []).append(pair)
    return found


def rate(currency: str, day: dt.date) -> Decimal:
    """What one unit of `currency` was worth in dollars, by the rates on file."""
    return Decimal(1) if currency == "usd" else max(pair for pair in _rates()[currency] if pair[0] <= day)[1]


def _month_ends(company: Company) -> Iterable[Row]:
    for month in truth.monthly(company, rates=rate):
        last_day = (month.month + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
        for customer, mrr in truth.mrr_on(company, last_day, rates=rate).items():
            yield (month.month, customer, mrr)


def _plan(company: Company) -> Iterable[Row]:
    actual = {month.month: month.mrr for month in truth.monthly(company, rates=rate)}
    for start, month in company.finance.months.items():
        day = day_of(start)
        yield (day, Decimal(month.plan_mrr), Decimal(month.plan_new), Decimal(month.plan_churn), actual.get(day))


def _support_days(company: Company) -> Iterable[Row]:
    for day, each in truth_support.days(company).items():
        responses, resolutions = (
            (len(seconds), *(_hours(seconds, fraction) for fraction in (0.5, 0.9)))
            for seconds in (each.first_responses, each.resolutions)
        )
        rating = sum(each.ratings) / len(each.ratings) if each.ratings else None
        yield (day, each.opened, each.closed, each.reopened, *responses, *resolutions, len(each.ratings), rating)


def _hours(seconds: Sequence[int], fraction: float) -> float | None:
    found = truth_support.percentile(seconds, fraction)
    return None if found is None else found / HOUR


def _accounts(company: Company) -> Iterable[Row]:
    for customer, each in truth_customers.accounts(company).items():
        in_hubspot = (each.hubspot_company_id, each.owner, each.open_deals)
        in_product = (each.workspace_id, each.plan, each.seats)
        yield (customer, *in_hubspot, *in_product, each.intercom_company_id, each.open_conversations)


def _names(kind: type) -> str:
    return ", ".join(field.name for field in fields(kind))


_MONTH = (
    "month, currency, start_mrr, new_mrr, expansion_mrr, contraction_mrr, churned_mrr, reactivated_mrr, fx_mrr, mrr"
)

QUESTIONS: tuple[Question, ...] = (
    Question(
        "finance",
        "MRR per customer and month",
        "select month, customer_id, mrr from mart_finance.mrr_by_customer_month where mrr <> 0",
        _month_ends,
    ),
    Question(
        "finance",
        "every movement of every customer",
        "select customer_id, event_date, event_type, mrr_change, mrr_before, mrr_after from mart_finance.mrr_events",
        lambda company: (
            (m.customer_id, m.event_date, m.event_type, m.mrr_change, m.mrr_before, m.mrr_after)
            for m in truth.movements(company, rates=rate)
        ),
    ),
    Question(
        "finance",
        "sums of movements per month",
        f"select {_MONTH} from mart_finance.mrr_monthly",
        lambda company: (
            tuple(getattr(month, name) for name in _MONTH.split(", ")) for month in truth.monthly(company, rates=rate)
        ),
    ),
    Question(
        "finance",
        "NRR, GRR, churn, quick ratio, ARPA, LTV, trials per month",
        f"select {_names(truth_retention.MonthRates)} from mart_finance.revenue_retention",
        lambda company: map(astuple, truth_retention.month_rates(company, rates=rate)),
    ),
    Question(
        "finance",
        "cohorts: customers and MRR",
        f"select {_names(truth_retention.Cell)} from mart_finance.cohort_retention",
        lambda company: map(astuple, truth_retention.cohorts(company, rates=rate)),
    ),
    Question(
        "finance",
        "the finance team's plan, and what came of it",
        "select month, plan_mrr, plan_new_mrr, plan_churned_mrr, actual_mrr from mart_finance.plan_vs_actual",
        _plan,
    ),
    Question(
        "sales",
        "what became of the deals that entered a stage",
        "select cohort_month, stage_id, deals_entered, deals_moved_on, deals_skipped_next, deals_undecided"
        " from mart_sales.stage_conversion",
        lambda company: ((*key, *astuple(each)) for key, each in truth_sales.stage_conversion(company).items()),
    ),
    Question(
        "sales",
        "velocity, won, lost, average and cycle per month",
        "select month, open_deals, won_deals, lost_deals, average_won_amount, median_cycle_days, velocity_per_day"
        " from mart_sales.pipeline_velocity where pipeline_id = 'all'",
        lambda company: map(astuple, truth_sales.velocity(company, rates=rate)),
    ),
    Question(
        "product",
        "active users and workspaces per day, week and month",
        f"select {_names(truth_usage.ActiveDay).replace('date', 'day', 1)} from mart_product.active_usage",
        lambda company: map(astuple, truth_usage.active_days(company)),
    ),
    Question(
        "product",
        "who came back to a feature, by week of first use",
        "select feature, cohort_week, week_number, users, retained_users from mart_product.feature_retention",
        lambda company: (
            (BY_NAME[each.feature].event, *astuple(each)[1:])
            for each in truth_features.retention_cells(company, weeks=26)
        ),
    ),
    Question(
        "product",
        "workspaces activated, by month of sign-up",
        "select cohort_month, signed_up, decided, activated, median_days_to_activation from mart_product.activation",
        lambda company: map(astuple, truth_features.activations(company, needed=5, days=14)),
    ),
    Question(
        "product",
        "customers with and without a feature, and who left",
        "select feature, accounts_with, accounts_without, days_with, days_without, left_with, left_without"
        " from mart_product.feature_adoption_effect",
        lambda company: (
            (BY_NAME[each.feature].event, *astuple(each)[2:]) for each in truth_features.comparisons(company)
        ),
    ),
    Question(
        "product",
        "the features that truly keep customers come first",
        f"select feature from mart_product.feature_adoption_effect where place <= {len(DRIVERS)}",
        lambda company: ((BY_NAME[name].event,) for name in DRIVERS),
    ),
    Question(
        "support",
        "opened, closed, first response and resolution per day",
        "select day, opened, closed, reopened, first_responses, median_first_response_hours, p90_first_response_hours,"
        " resolved, median_resolution_hours, p90_resolution_hours, ratings, average_rating"
        " from mart_support.conversations_daily",
        _support_days,
    ),
    Question(
        "engineering",
        "merged, lead time, review time and open work per week",
        "select week, repository, opened, merged, median_lead_time_hours, median_time_to_first_review_hours,"
        " median_review_to_merge_hours, open_pull_requests, median_open_age_hours from mart_engineering.delivery_weekly",
        lambda company: map(astuple, truth_engineering.weeks(company)),
    ),
    Question(
        "team",
        "messages, replies, reactions and authors per channel and day",
        "select day, channel_name, messages, thread_replies, reactions, authors from mart_team.slack_activity_daily",
        lambda company: map(astuple, truth_team.channel_days(company)),
    ),
    Question(
        "customers",
        "who a customer is in HubSpot, in the product and in Intercom",
        "select customer_id, hubspot_company_id, owner, open_deals, workspace_id, plan, seats, intercom_company_id,"
        " open_conversations from mart_core.customers",
        _accounts,
    ),
)
