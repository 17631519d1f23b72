"""A REST source in the admin: adding, editing, previewing before saving, and what is said when something is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from portal.runs import RunStatus
from sources import probes
from sources.connectors.addresses import ALLOWED_HOSTS
from sources.models import Probe, Source
from tests.factories import SourceFactory
from tests.sources.pages import form_of, posted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

ADD = "/admin/sources/source/add/?connector=rest"
ASK = reverse("admin:sources_source_probe") + "?connector=rest"
TOKEN = "token_0123456789"
DEALS = [{"id": n, "title": f"Deal {n}", "updated_at": f"2026-03-0{n}T10:00:00Z"} for n in range(1, 4)]


@pytest.fixture(autouse=True)
def api(httpserver: Any) -> Any:
    httpserver.expect_request("/v1/deals", headers={"Authorization": f"Bearer {TOKEN}"}).respond_with_json(
        {"data": {"items": DEALS}}
    )
    return httpserver


def filled(page: Any, api: Any, **changes: Any) -> dict[str, Any]:
    """The form as a colleague fills it in; `name__` prefixes are spared: `path="/x"` is the first endpoint's."""
    endpoint = {"name": "deals", "path": "/deals", "records": "data.items", "primary_key": "id"}
    known = {key: changes.pop(key) for key in list(changes) if not key.startswith(("setting_", "_", "endpoints-"))}
    values = {f"endpoints-0-{key}": value for key, value in {**endpoint, **known}.items()}
    login = {"setting_base_url": api.url_for("/v1"), "setting_token": TOKEN}
    return posted(page, **{**values, **login, **changes})


def work() -> Probe:
    probe = Probe.objects.latest("pk")
    assert Probe.objects.claim(probe.pk) == 1
    probes.perform(Probe.objects.get(pk=probe.pk))
    return Probe.objects.get(pk=probe.pk)


def answer(probe: Probe, query: str = "") -> str:
    return reverse("admin:sources_source_probe_answer", args=[probe.pk]) + query


def previewed(staff: Any, api: Any, **changes: Any) -> tuple[Probe, str]:
    staff.post(ASK, filled(staff.get(ADD), api, **changes))
    probe = work()
    return probe, staff.get(answer(probe)).content.decode()


def added(staff: Any, api: Any, **changes: Any) -> Source:
    data = filled(staff.get(ADD), api, **changes)
    staff.post(ASK, data)
    rows = form_of(staff.get(answer(work())), "streams").data
    response = staff.post(ADD, data | rows)
    assert response.status_code == 302, response.context["adminform"].form.errors
    return Source.objects.get()


# --- the form ---------------------------------------------------------------------------------------------------------
def test_every_field_has_a_label_and_a_help(staff):
    page = staff.get(ADD)
    form = form_of(page)
    fields = [field for field in form.inputs if field.get("name", "").startswith(("setting_", "endpoints-0-"))]
    assert len(fields) > 30
    for field in fields:
        assert field.get("id") in form.labelled, field
        if not field["name"].endswith("-DELETE"):
            assert field.get("aria-describedby") or f"{field['id']}_helptext" in page.content.decode(), field


def test_the_way_without_scripts_has_an_empty_endpoint_and_no_json(staff):
    form = form_of(staff.get(ADD))
    assert form.data["endpoints-TOTAL_FORMS"] == "1"
    assert form.data["endpoints-0-paging"] == "none"
    assert "{" not in "".join(form.text)


def test_a_source_is_added_with_its_endpoint_and_stream(staff, api):
    source = added(staff, api, cursor_field="updated_at", cursor_param="since", params="status = all")
    assert source.config == {
        "base_url": api.url_for("/v1"),
        "auth": "bearer",
        "endpoints": [
            {
                "name": "deals",
                "path": "/deals",
                "params": ["status=all"],
                "records": "data.items",
                "primary_key": ["id"],
                "cursor_field": "updated_at",
                "cursor_param": "since",
                "cursor_format": "datetime",
                "lookback_minutes": 60,
                "paging": "none",
            }
        ],
    }
    assert dict(source.secrets) == {"token": TOKEN}
    stream = source.streams.get()
    assert (stream.name, stream.is_enabled, stream.sync_mode) == ("deals", True, "incremental")
    assert (stream.primary_key, stream.cursor_field) == (["id"], "updated_at")
    (request,) = source.sync_request([]).streams
    assert [(column.name, column.type) for column in request.columns] == [
        ("id", "bigint"),
        ("updated_at", "timestamp"),
        ("title", "text"),
        ("_extra", "json"),
    ]


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": "Won Deals"}, "name", "lower-case letters"),
        ({"name": ""}, "name", "This field is required."),
        ({"path": "https://evil.example.com/x"}, "path", "Only what comes after the base URL"),
        ({"path": "//evil.example.com/x"}, "path", "Only what comes after the base URL"),
        ({"path": "/../admin"}, "path", "Leave out the dots"),
        ({"path": "/deals?status=all"}, "path", "under “Fixed parameters”"),
        ({"params": "status"}, "params", "“status” is not of the form name=value"),
        ({"records": "data..items"}, "records", "with dots between"),
        ({"primary_key": "a b\n[x"}, "primary_key", "“[x” is not the name of a field"),
        ({"cursor_field": "updated_at"}, "cursor_param", "Say with which parameter"),
        ({"cursor_param": "since"}, "cursor_field", "Say which field of a row"),
        ({"cursor_field": "u", "cursor_param": "s", "primary_key": ""}, "primary_key", "To read only what is new"),
        ({"start": "last year"}, "start", "Write a date such as"),
        ({"paging": "page"}, "paging_param", "which parameter takes the page number"),
        ({"paging": "next_url"}, "paging_path", "Say where in the answer"),
        ({"paging": "cursor"}, "paging_param", "in which parameter the mark is sent"),
        ({"lookback_minutes": "-1"}, "lookback_minutes", "greater than or equal to 0"),
        ({"types": "amount=money"}, "types", "“money” is not one of the types"),
    ],
)
def test_a_mistake_is_said_at_its_field(staff, api, changes, field, says):
    page = staff.post(ADD, filled(staff.get(ADD), api, **changes))
    assert page.status_code == 200
    form = page.context["adminform"].form.endpoints.forms[0]
    assert says in " ".join(form.errors[field])
    assert says in page.content.decode()
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"setting_auth": "bearer", "setting_token": ""}, "Token"),
        ({"setting_auth": "header"}, "API key"),
        ({"setting_auth": "basic"}, "User name"),
        ({"setting_auth": "oauth2"}, "Client secret"),
    ],
)
def test_what_a_way_in_needs_is_asked_for(staff, api, changes, label, sent):
    html = staff.post(ASK, filled(staff.get(ADD), api, **changes)).content.decode()
    assert f"{label}: This field is required." in html
    assert sent == []


def test_what_does_not_apply_is_not_kept(staff, api):
    staff.post(
        ASK, filled(staff.get(ADD), api, setting_api_key="left_over_key", setting_client_id="x", paging_param="p")
    )
    probe = Probe.objects.get()
    assert dict(probe.secrets) == {"token": TOKEN}
    assert set(probe.config) == {"base_url", "auth", "endpoints"}
    assert "paging_param" not in probe.config["endpoints"][0]


def test_a_password_in_the_address_is_refused(staff, api):
    page = staff.post(ADD, filled(staff.get(ADD), api, setting_base_url="https://dana:pass@api.example.com"))
    assert "Leave the user name and password out of the address" in page.content.decode()


def test_two_endpoints_need_two_names(staff, api):
    data = filled(
        staff.get(ADD), api, **{"endpoints-TOTAL_FORMS": "2", "endpoints-1-name": "deals", "endpoints-1-path": "/x"}
    )
    data["endpoints-1-paging"] = "none"
    html = staff.post(ADD, data).content.decode()
    assert "Two endpoints are called “deals”" in html


def test_no_endpoint_at_all_is_said(staff, api):
    html = staff.post(ADD, filled(staff.get(ADD), api, name="", path="", records="", primary_key="")).content.decode()
    assert "Add at least one endpoint" in html


# --- the preview ------------------------------------------------------------------------------------------------------
def test_the_preview_shows_typed_rows_before_anything_is_saved(staff, api):
    probe, html = previewed(staff, api)
    assert probe.status == RunStatus.SUCCEEDED
    assert probe.secrets == {}
    for text in ("It works.", "Deal 1", "2026-03-01 10:00:00", "whole number", "time", "3 rows came in one answer."):
        assert text in html
    assert TOKEN not in html
    assert not Source.objects.exists()
    rows = form_of(staff.get(answer(probe)), "streams").data
    assert rows["streams-0-is_enabled"] == ["on"]  # an endpoint is typed in to be read


def test_a_wrong_path_to_the_rows_is_shown_with_what_would_fit(staff, api):
    probe, html = previewed(staff, api, records="results")
    assert probe.status == RunStatus.FAILED
    assert "There is a list of 3 objects at “data.items”." in html
    assert 'data-fill="records" data-value="data.items" data-of="deals"' in html


def test_without_a_key_candidates_are_offered(staff, api):
    probe, html = previewed(staff, api, primary_key="")
    assert probe.status == RunStatus.SUCCEEDED
    assert 'data-fill="primary_key" data-value="id"' in html
    assert 'data-fill="cursor_field" data-value="updated_at"' in html


def test_without_scripts_the_preview_is_a_page_with_a_link_to_look_again(staff, api):
    response = staff.post(ASK, filled(staff.get(ADD), api, _page="1"))
    assert response.status_code == 302
    waiting = staff.get(response.url).content.decode()
    assert '<a href="">Look again</a>' in waiting
    assert "every 1s" not in waiting
    work()
    html = staff.get(response.url).content.decode()
    assert "Deal 1" in html
    assert "Look again" not in html
    assert "Nothing is saved yet" in html


def test_an_address_inside_needs_an_administrator(staff, api, settings):
    settings.ALLOWED_INTERNAL_HOSTS = []
    probe, html = previewed(staff, api)
    assert probe.failure_kind == "address"
    assert "An administrator of this portal can allow it under “Allowed internal hosts”." in html
    assert api.log == []


def test_an_echoed_secret_is_not_kept_in_the_preview(staff, api):
    api.clear_all_handlers()
    api.expect_request("/v1/deals").respond_with_json({"data": {"items": [{"id": 1, "token": TOKEN}]}})
    probe, html = previewed(staff, api)
    assert probe.status == RunStatus.SUCCEEDED
    assert TOKEN not in html
    assert TOKEN not in str(probe.previews)


# --- editing ----------------------------------------------------------------------------------------------------------
def test_a_changed_endpoint_is_looked_at_and_the_streams_follow(staff, api):
    source = added(staff, api)
    api.expect_request("/v1/people").respond_with_json([{"key": "a"}])
    Probe.objects.all().delete()
    address = reverse("admin:sources_source_change", args=[source.pk])
    data = posted(staff.get(address))
    assert data["endpoints-TOTAL_FORMS"] == "2"  # one to fill in
    data |= {
        "endpoints-0-cursor_field": "updated_at",
        "endpoints-0-cursor_param": "since",
        "endpoints-1-name": "people",
        "endpoints-1-path": "/people",
        "endpoints-1-primary_key": "key",
    }
    assert staff.post(address, data).status_code == 302
    probe = work()
    assert probe.status == RunStatus.SUCCEEDED, probe.failure_sentence
    assert "New, and read from now on: people." in probe.sentence
    streams = {stream.name: stream for stream in source.streams.all()}
    assert streams["people"].is_enabled
    assert streams["deals"].cursor_field == "updated_at"
    reason = source.history.first().history_change_reason
    assert "Endpoint people: added." in reason
    assert "Endpoint deals: field with the time of change" in reason


def test_saving_without_a_change_asks_nobody(staff, api):
    source = added(staff, api)
    Probe.objects.all().delete()
    address = reverse("admin:sources_source_change", args=[source.pk])
    assert staff.post(address, posted(staff.get(address))).status_code == 302
    assert not Probe.objects.exists()


def test_a_removed_endpoint_is_no_longer_offered(staff, api):
    source = added(staff, api)
    api.expect_request("/v1/people").respond_with_json([{"key": "a"}])
    address = reverse("admin:sources_source_change", args=[source.pk])
    data = posted(staff.get(address)) | {"endpoints-0-DELETE": "on"}
    data |= {"endpoints-1-name": "people", "endpoints-1-path": "/people", "endpoints-1-primary_key": "key"}
    assert staff.post(address, data).status_code == 302
    work()
    assert dict(source.streams.values_list("name", "is_offered")) == {"deals": False, "people": True}


def test_a_learned_type_stays_when_the_rows_look_different_today(staff, api):
    source = added(staff, api)
    source.streams.update(columns={"id": "bigint"})  # as after a first sync
    api.clear_all_handlers()
    api.expect_request("/v1/deals").respond_with_json({"data": {"items": [{"id": "x1", "title": 7, "new": True}]}})
    probes.ask_saved(source, staff.user)
    work()
    columns = {name: type_ for name, type_, *_ in source.streams.get().offered["columns"]}
    assert columns == {"id": "bigint", "title": "text", "updated_at": "timestamp", "_extra": "json", "new": "bool"}


def test_before_the_first_sync_each_look_learns_anew(staff, api):
    source = added(staff, api)
    api.clear_all_handlers()
    api.expect_request("/v1/deals").respond_with_json({"data": {"items": [{"id": "x1"}]}})
    probes.ask_saved(source, staff.user)
    work()
    assert source.streams.get().offered["columns"] == [["id", "text"], ["_extra", "json"]]


def test_a_stored_secret_does_not_follow_to_another_address(staff, api):
    source = added(staff, api)
    address = reverse("admin:sources_source_change", args=[source.pk])
    page = staff.post(address, posted(staff.get(address), setting_base_url="https://evil.example.com"))
    assert "Enter it again: “Base URL” was changed" in page.content.decode()


def test_what_a_sync_may_reach_comes_from_the_portal_and_not_from_the_form(staff, api):
    source = SourceFactory(connector="rest", config={ALLOWED_HOSTS: ["10.0.0.1"]}, secrets={})
    assert source.sync_request([]).settings[ALLOWED_HOSTS] == ["127.0.0.1", "localhost"]
