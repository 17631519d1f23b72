"""The real connectors through the engine into a real warehouse, against what the companies' books say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sandbox import truth_sales
from sandbox.server import Sandbox
from sources.connectors import get_connector
from sources.connectors.base import StreamRequest
from sources.engines.base import SyncOutcome, SyncRequest, TerminalSyncError
from sources.engines.dlt_engine import DltEngine
from tests.sources.connectors.conftest import MONDAY

pytestmark = pytest.mark.slow


@pytest.fixture
def pull(tmp_path: Path) -> Callable[..., SyncOutcome]:
    def run(name: str, settings: dict[str, Any]) -> SyncOutcome:
        connector = get_connector(name)
        specs = connector.streams or connector.discover(settings)
        streams = tuple(
            StreamRequest(spec.name, spec.sync_modes[0], next(iter(spec.cursor_fields), ""), spec.primary_key)
            for spec in specs
        )
        request = SyncRequest(name, name, settings, streams, f"raw_{name}", tmp_path / "work" / name)
        return DltEngine().sync(request, lambda stream, rows: None)

    return run


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A company of each test's own: how much is new after some days depends on the day."""
    with Sandbox.start(tmp_path / "world", seed=7, scale=0.1, freeze=True, postgres=False, now=MONDAY) as company:
        yield company


def test_stripe_arrives_whole_and_then_only_what_is_new(sandbox, pull, query):
    settings = {"api_key": sandbox.stripe.api_key, "base_url": sandbox.stripe.base_url}
    ledger = sandbox.company.ledger

    first = pull("stripe", settings)

    assert query("select count(*), count(distinct id) from raw_stripe.invoices") == [(len(ledger.invoices),) * 2]
    lines = sum(len(invoice.lines) for invoice in ledger.invoices.values())
    assert query("select count(*), count(distinct id) from raw_stripe.invoice_lines") == [(lines, lines)]
    assert not pull("stripe", settings).has_new_data
    sandbox.advance(days=2)

    second = pull("stripe", settings)

    assert 0 < sum(second.rows.values()) < sum(first.rows.values()) / 2
    assert query("select count(*), count(distinct id) from raw_stripe.invoices") == [(len(ledger.invoices),) * 2]
    lines = sum(len(invoice.lines) for invoice in ledger.invoices.values())
    assert query("select count(*), count(distinct id) from raw_stripe.invoice_lines") == [(lines, lines)]
    orphans = (
        "select count(*) from raw_stripe.subscription_items i"
        " left join raw_stripe.subscriptions s on s.id = i.subscription_id where s.id is null"
    )
    assert query(orphans) == [(0,)]
    kinds = dict(query("select column_name, data_type from duckdb_columns() where table_name = 'invoices'"
                       " and schema_name = 'raw_stripe'"))  # fmt: skip
    assert kinds["created"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["total"] == "BIGINT"
    assert kinds["_extra"] == "JSON"


def test_github_arrives_whole_and_then_only_what_is_new(sandbox, pull, query):
    organization = sandbox.endpoints()["github"]["organization"]
    settings = {"token": sandbox.github.token, "base_url": sandbox.github.base_url, "organization": organization}

    first = pull("github", settings)
    assert not pull("github", settings).has_new_data
    sandbox.advance(days=6)
    second = pull("github", settings)

    assert 0 < sum(second.rows.values()) < sum(first.rows.values()) / 2
    repositories = sandbox.company.engineering.repositories.values()
    for table, count in (
        ("pulls", sum(len(each.pulls) for each in repositories)),
        ("issues", sum(len(each.issues) for each in repositories)),
        ("commits", sum(len(each.commits) for each in repositories)),
        ("reviews", sum(len(pull.reviews) for each in repositories for pull in each.pulls.values())),
        ("pull_commits", sum(len(pull.commits) for each in repositories for pull in each.pulls.values())),
    ):
        assert query(f"select count(*) from raw_github.{table}") == [(count,)], table


def test_hubspot_arrives_whole_and_then_only_what_is_new(sandbox, pull, query):
    sandbox.hubspot.burst.calls = sandbox.hubspot.searches.calls = None
    settings = {"access_token": sandbox.hubspot.access_token, "base_url": sandbox.hubspot.base_url}
    crm = sandbox.company.sales.crm

    first = pull("hubspot", settings)
    assert not pull("hubspot", settings).has_new_data
    sandbox.advance(days=8)
    second = pull("hubspot", settings)

    changing = ("contacts", "companies", "deals", "deal_stage_history", "tickets")
    assert 0 < sum(second.rows.get(name, 0) for name in changing) < sum(first.rows[name] for name in changing) / 2
    for table in ("contacts", "companies", "deals", "tickets"):
        alive = sum(record.archived_at is None for record in crm.records(table).values())
        assert query(f"select count(*), count(distinct id) from raw_hubspot.{table} where not archived") == [
            (alive, alive)
        ], table
    told = query(
        "select deal_id, stage_id, epoch(entered_at)::bigint from raw_hubspot.deal_stage_history order by 1, position"
    )
    truth = truth_sales.stage_history(sandbox.company)
    assert {int(deal_id) for deal_id, _, _ in told} >= {deal.id for deal in crm.deals.values() if not deal.archived_at}
    ways: dict[int, list[tuple[str, int]]] = {}
    for deal_id, stage, moment in told:
        ways.setdefault(int(deal_id), []).append((stage, moment))
    assert ways == {number: truth[number] for number in ways}
    won = query("select count(*) from raw_hubspot.deals d join raw_hubspot.pipeline_stages s on s.id = d.dealstage"
                " and s.object_type = 'deals' where s.probability = 1 and d.hs_is_closed_won and not d.archived")  # fmt: skip
    assert won == [(sum(deal.stage == "closedwon" and not deal.archived_at for deal in crm.deals.values()),)]
    orphans = ("select count(*) from raw_hubspot.associations a left join raw_hubspot.deals d on d.id = a.from_id"
               " where a.from_type = 'deals' and d.id is null")  # fmt: skip
    assert query(orphans) == [(0,)]
    kinds = dict(query("select column_name, data_type from duckdb_columns() where table_name = 'deals'"
                       " and schema_name = 'raw_hubspot'"))  # fmt: skip
    assert (kinds["amount"], kinds["hs_is_closed"], kinds["_extra"]) == ("DECIMAL(38,9)", "BOOLEAN", "JSON")


@pytest.fixture
def before_the_clocks_change(tmp_path: Path) -> Iterator[Sandbox]:
    """A company of its own, opened two days before California's clocks go forward."""
    friday = int(datetime(2026, 3, 6, 12, tzinfo=UTC).timestamp())
    with Sandbox.start(tmp_path / "sandbox", seed=7, scale=0.1, postgres=False, now=friday) as sandbox:
        yield sandbox


def test_mixpanel_arrives_whole_and_late_events_with_the_next_sync(before_the_clocks_change, pull, query):
    """Events that phones deliver days later, some twice, by a clock that jumps meanwhile."""
    sandbox = before_the_clocks_change
    settings = sandbox.endpoints()["mixpanel"]
    uses, users = sandbox.company.product.uses, sandbox.company.product.users

    def delivered() -> list[tuple[str, str, int]]:
        known = (index for index in range(len(uses)) if uses.deliveries(index)[0] <= sandbox.now)
        return sorted((f"{uses.bits(index):016x}", str(uses.users[index]), uses.moments[index]) for index in known)

    def stored() -> list[tuple[str, str, int]]:
        return sorted(query("select insert_id, distinct_id, epoch(time)::bigint from raw_mixpanel.events"))

    first = pull("mixpanel", settings)
    assert stored() == delivered()
    assert not pull("mixpanel", settings).has_new_data
    before = sandbox.now
    sandbox.advance(days=3)

    second = pull("mixpanel", settings)

    assert stored() == delivered()
    assert 0 < second.rows["events"] < first.rows["events"] / 2
    late = "select count(*) from raw_mixpanel.events where epoch(time) < ? and epoch(received_at) > ?"
    assert query(late.replace("?", str(before)))[0][0] > 0
    zone = "timezone('America/Los_Angeles', time)"
    assert query(f"select count(*) from raw_mixpanel.events where local_date <> {zone}::date") == [(0,)]
    hours = "select distinct epoch(time)::bigint - reported_time from raw_mixpanel.events where local_date between"
    assert sorted(query(f"{hours} '2026-03-05' and '2026-03-10'")) == [(7 * 3600,), (8 * 3600,)]
    here = sum(user.deleted_at is None for user in users.values())
    assert query("select count(*), count(distinct distinct_id) from raw_mixpanel.profiles") == [(here, here)]
    assert query("select count(*) from raw_mixpanel.cohorts") == [(4,)]


def test_postgresql_arrives_whole_and_then_only_what_is_new(postgres, database, pull, query):
    database.execute(
        "create table users (id bigint primary key, plan numeric(12,2), doc jsonb, key uuid, updated_at timestamptz);"
        "insert into users select i, i / 3.0, '{\"a\": 1}', gen_random_uuid(), '2026-03-01'::timestamptz + i * interval '1 hour'"
        " from generate_series(1, 3000) i"
    )
    assert pull("postgres", postgres).rows == {"users": 3000}
    assert not pull("postgres", postgres).has_new_data
    database.execute("update users set plan = 7.77, updated_at = '2026-09-01' where id <= 10")

    assert pull("postgres", postgres).rows == {"users": 10}

    assert query("select count(*), count(distinct id), sum(plan = 7.77) from raw_postgres.users") == [(3000, 3000, 10)]
    kinds = dict(query("select column_name, data_type from duckdb_columns() where table_name = 'users'"
                       " and schema_name = 'raw_postgres'"))  # fmt: skip
    assert kinds["plan"] == "DECIMAL(12,2)"
    assert kinds["doc"] == "JSON"
    assert kinds["updated_at"] == "TIMESTAMP WITH TIME ZONE"


def test_intercom_arrives_whole_and_then_only_what_is_new(sandbox, pull, query):
    settings = sandbox.intercom.endpoint()
    support, product = sandbox.company.support, sandbox.company.product

    first = pull("intercom", settings)

    assert first.rows["companies"] == len(product.workspaces)
    assert not pull("intercom", settings).has_new_data
    sandbox.advance(days=6)
    second = pull("intercom", settings)

    # contacts change whenever somebody works; of the rest only the news comes
    assert 0 < second.rows["conversations"] < first.rows["conversations"] / 2
    count = len(support.conversations)
    assert query("select count(*), count(distinct id) from raw_intercom.conversations") == [(count, count)]
    parts = sum(len(conversation.parts) for conversation in support.conversations.values())
    assert query("select count(*), count(distinct id) from raw_intercom.conversation_parts") == [(parts, parts)]
    assert query("select count(*) from raw_intercom.companies") == [(len(product.workspaces),)]
    there = {str(user.id) for user in product.users.values() if user.deleted_at is None}
    assert there <= {row[0] for row in query("select external_id from raw_intercom.contacts")}
    answered = [case.first_response_seconds for case in support.cases.values() if case.first_response_seconds]
    rated = [case.rating for case in support.cases.values() if case.rating]
    truth = (sorted(answered)[len(answered) // 2], sum(rated), len(rated))
    told = (
        "select list_sort(list(time_to_admin_reply))[count(time_to_admin_reply) // 2 + 1], sum(rating), count(rating)"
        " from raw_intercom.conversations"
    )
    assert query(told) == [truth]
    # the same from the parts themselves, as a mart would work it out
    measured = (
        "with firsts as (select c.id, date_diff('second', c.created_at, min(p.created_at)) as waited"
        " from raw_intercom.conversations c join raw_intercom.conversation_parts p on p.conversation_id = c.id"
        " where p.part_type = 'comment' and p.author_type = 'admin' group by c.id, c.created_at)"
        " select count(*), sum(waited) from firsts"
    )
    assert query(measured) == [(len(answered), sum(answered))]


def test_slack_arrives_whole_and_then_only_what_is_new(sandbox, pull, query):
    settings = sandbox.slack.endpoint()
    channels = sandbox.company.team.channels

    def in_the_world() -> dict[str, int]:
        messages = [message for channel in channels.values() for message in channel.messages]
        replies = [reply for message in messages for reply in message.replies]
        return {
            "messages": len(messages),
            "replies": len(replies),
            "reactions": sum(len(message.reactions) for message in messages + replies),
        }

    first = pull("slack", settings)
    assert not pull("slack", settings).has_new_data
    for _ in range(3):
        sandbox.advance(days=3)
        latest = pull("slack", settings)

    assert 0 < latest.rows["messages"] < first.rows["messages"] / 2
    for table, count in in_the_world().items():
        assert query(f"select count(*) from raw_slack.{table}") == [(count,)], table
    assert query("select sum(reply_count) from raw_slack.messages") == query("select count(*) from raw_slack.replies")
    assert query("select count(*) from raw_slack.users") == [(40,)]
    assert query("select count(*) from raw_slack.messages where text is not null") == [(0,)]
    kinds = dict(query("select column_name, data_type from duckdb_columns() where table_name = 'messages'"
                       " and schema_name = 'raw_slack'"))  # fmt: skip
    assert (kinds["ts"], kinds["sent_at"]) == ("VARCHAR", "TIMESTAMP WITH TIME ZONE")


def test_a_slack_channel_without_the_app_is_named_and_the_others_are_loaded(sandbox, pull, query):
    settings = sandbox.slack.endpoint()
    product = sandbox.company.team.channels["C0PRODUCT"]
    sandbox.slack.joined.discard(product.id)
    try:
        with pytest.raises(TerminalSyncError) as failure:
            pull("slack", settings)
    finally:
        sandbox.slack.joined.add(product.id)
    assert "#product (the app is not in it)" in failure.value.sentence
    everything = sum(len(channel.messages) for channel in sandbox.company.team.channels.values())
    assert query("select count(*) from raw_slack.messages") == [(everything - len(product.messages),)]

    pull("slack", settings)

    assert query("select count(*) from raw_slack.messages") == [(everything,)]
