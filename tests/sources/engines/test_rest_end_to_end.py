"""A REST source from the form's settings into a real warehouse: looked at, synced, synced again, and with faults."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.contrib.auth import get_user_model
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from portal.runs import RunStatus
from sources import probes, syncs
from sources.models import Attempt, Probe, Source, SyncRun

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sent", "pauses")]

TOKEN = "token_0123456789"


class Api:
    """Deals behind OAuth2 and page numbers, three a page; what it answers can be made to go wrong."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.deals = {number: self.deal(number) for number in range(1, 9)}
        self.asked: list[dict[str, str]] = []
        self.fault: Any = None
        server.expect_request("/token", method="POST").respond_with_json({"access_token": TOKEN, "expires_in": 3600})
        server.expect_request("/v1/deals").respond_with_handler(self.answer)

    @staticmethod
    def deal(number: int, **changes: Any) -> dict[str, Any]:
        return {
            "id": number,
            "title": f"Deal {number}",
            "amount": number * 1.5,
            "owner": {"id": number % 2},
            "updated_at": f"2026-03-{number:02d}T10:00:00Z",
            **changes,
        }

    def answer(self, request: Request) -> Response:
        args = request.args.to_dict()
        self.asked.append(args)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Response("{}", status=401)
        if self.fault and (response := self.fault(args)):
            return response
        rows = [deal for deal in self.deals.values() if deal["updated_at"] >= args.get("since", "")]
        start = (int(args["page"]) - 1) * 3
        return Response(orjson.dumps({"items": rows[start : start + 3]}), content_type="application/json")


@pytest.fixture
def api(httpserver: HTTPServer) -> Api:
    return Api(httpserver)


@pytest.fixture
def source(api: Api) -> Source:
    source = Source.objects.create(
        slug="crm",
        name="CRM",
        connector="rest",
        owner=get_user_model().objects.create_user("dana"),
        config={
            "base_url": api.server.url_for("/v1"),
            "auth": "oauth2",
            "token_url": api.server.url_for("/token"),
            "client_id": "portal",
            "endpoints": [
                {
                    "name": "deals",
                    "path": "/deals",
                    "records": "items",
                    "primary_key": ["id"],
                    "cursor_field": "updated_at",
                    "cursor_param": "since",
                    "cursor_format": "datetime",
                    "lookback_minutes": 60,
                    "paging": "page",
                    "paging_param": "page",
                }
            ],
        },
        secrets={"client_secret": "secret_0123456789"},
    )
    look(source)
    return source


def look(source: Source) -> Probe:
    probe = probes.ask_saved(source)
    Probe.objects.claim(probe.pk)
    probes.perform(Probe.objects.get(pk=probe.pk))
    return Probe.objects.get(pk=probe.pk)


def sync(source: Source) -> Attempt:
    run = syncs.request_sync(source)
    assert run is not None
    SyncRun.objects.claim(run.pk)
    syncs.perform(SyncRun.objects.get(pk=run.pk))
    SyncRun.objects.filter(pk=run.pk, status=RunStatus.QUEUED).update(status=RunStatus.CANCELLED)
    return run.attempts.get()


def test_everything_arrives_and_then_only_what_changed(source, api, query):
    first = sync(source)
    assert (first.status, first.rows) == ("succeeded", {"deals": 8}), first.failure_detail
    assert query("select count(*), sum(amount), max(owner_id) from raw_crm.deals") == [(8, 54.0, 1)]
    kinds = dict(query("select column_name, data_type from duckdb_columns() where table_name = 'deals'"
                       " and schema_name = 'raw_crm'"))  # fmt: skip
    assert kinds["updated_at"] == "TIMESTAMP WITH TIME ZONE"
    assert (kinds["id"], kinds["amount"], kinds["_extra"]) == ("BIGINT", "DOUBLE", "JSON")

    api.asked.clear()
    api.deals[2] = api.deal(2, title="Won", updated_at="2026-03-09T10:00:00Z")
    api.deals[9] = api.deal(9, region="eu")
    second = sync(source)

    assert (second.status, second.rows) == ("succeeded", {"deals": 3})  # and the newest one of before, looked back at
    assert {asked["since"] for asked in api.asked} == {"2026-03-08T09:00:00Z"}
    assert query("select count(*), count(distinct id) from raw_crm.deals") == [(9, 9)]
    assert query("select title from raw_crm.deals where id = 2") == [("Won",)]
    assert query("select _extra->>'region' from raw_crm.deals where id = 9") == [("eu",)]


def test_a_break_in_the_middle_loads_nothing_and_the_next_sync_brings_all(source, api, query):
    api.fault = lambda args: Response("{}", status=500) if args["page"] == "2" else None
    failed = sync(source)
    assert (failed.status, failed.is_transient) == ("failed", True)
    assert "“deals”" in failed.failure_sentence
    api.fault = None
    assert sync(source).rows == {"deals": 8}
    assert query("select count(*) from raw_crm.deals") == [(8,)]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda args: Response(b'{"items": [{"id": 1, "amount": "lots"}]}'), "“amount” that is not a double"),
        (
            lambda args: Response(b'{"items": [{"title": "x"}]}' if args["page"] == "1" else b'{"items": []}'),
            "has rows without “id”",
        ),
        (lambda args: Response(b'{"items": [{"id": 1}]}'), "sent the same page twice"),
        (lambda args: Response(b'{"data": [{"id": 1}]}'), "There is a list of 1 objects at “data”."),
        (lambda args: Response("<html>", content_type="text/html"), "sent a web page where data was expected"),
    ],
)
def test_bad_answers_leave_what_is_there_and_say_why(source, api, query, fault, says):
    sync(source)
    api.fault = fault
    failed = sync(source)
    assert (failed.status, failed.is_transient) == ("failed", False)
    assert says in failed.failure_sentence
    assert "secret_0123456789" not in failed.failure_detail
    assert query("select count(*), count(amount) from raw_crm.deals") == [(8, 8)]


def test_a_column_added_at_a_later_look_joins_the_table(source, api, query):
    sync(source)
    api.deals[9] = api.deal(9, region="eu")
    probe = look(source)
    assert probe.status == RunStatus.SUCCEEDED, probe.failure_sentence
    assert sync(source).status == "succeeded"
    assert query("select region from raw_crm.deals where id >= 8 order by id") == [(None,), ("eu",)]


def test_without_a_key_everything_is_read_each_time(source, api, query):
    endpoint = {key: value for key, value in source.config["endpoints"][0].items() if not key.startswith("cursor")}
    source.config = {**source.config, "endpoints": [{**endpoint, "primary_key": []}]}
    source.save()
    look(source)
    assert source.streams.get().sync_mode == "full_refresh"
    sync(source)
    asked = len(api.asked)
    assert sync(source).rows == {"deals": 0}  # the same as before: nothing to load
    assert len(api.asked) - asked == 4  # three pages, and an empty one: nobody looked at the columns again
    assert query("select count(*) from raw_crm.deals") == [(8,)]


def test_a_sync_keeps_to_the_allowed_hosts(source, api, settings):
    settings.ALLOWED_INTERNAL_HOSTS = []
    api.asked.clear()
    failed = sync(source)
    assert (failed.failure_kind, api.asked) == ("address", [])
