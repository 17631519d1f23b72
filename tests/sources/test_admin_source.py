"""The source pages of the admin, as a colleague goes through them."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from portal.runs import RunStatus
from sources import offers
from sources.models import Probe, Source, Stream, SyncRun
from tests.factories import AttemptFactory, SourceFactory, StreamFactory, StreamSyncFactory, SyncRunFactory, UserFactory
from tests.sources.pages import form_of, posted
from tests.sources.systems import LABELS, ORDERS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("systems", "sent")]

ADD = "/admin/sources/source/add/?connector=shop"
LIST = "/admin/sources/source/"
SECRET = "key_live_0123456789abcdef"


def change(source: Source) -> str:
    return reverse("admin:sources_source_change", args=[source.pk])


def filled(page, **changes) -> dict[str, object]:
    return posted(page, setting_api_key=SECRET, setting_shop="acme", setting_plan="s", **changes)


@pytest.fixture
def source(staff) -> Source:
    source = SourceFactory(
        slug="shop",
        name="Shop",
        connector="shop",
        config={"shop": "acme", "plan": "s", "pages": 100, "archived": False, "base_url": "https://api.shop.example"},
        secrets={"api_key": SECRET},
        owner=staff.user,
    )
    for spec in (ORDERS, LABELS):
        StreamFactory(
            source=source, name=spec.name, label=spec.label, offered=offers.to_plain(spec), **offers.suggested(spec)
        )
    return source


# --- adding -----------------------------------------------------------------------------------------------------------
def test_the_first_step_shows_what_can_be_connected_and_what_it_needs(staff):
    page = staff.get(reverse("admin:sources_source_add"))
    for text in ("Shop", "Orders of a shop.", "Orders: Read", "?connector=shop", "?connector=depot"):
        assert text in page.content.decode()


def test_the_second_step_shows_that_connectors_own_fields(staff):
    html = staff.get(ADD).content.decode()
    for text in (
        "Secret key",
        "From the shop&#x27;s settings.",
        "Shop name",
        "Regions",
        "Open the shop&#x27;s settings",
    ):
        assert text in html
    secret = re.search(r'<input[^>]*name="setting_api_key"[^>]*>', html)[0]
    assert 'type="password"' in secret
    assert 'autocomplete="new-password"' in secret
    assert "value=" not in secret
    assert html.index("<summary>Advanced</summary>") < html.index('name="setting_base_url"')
    assert not re.search(r"[{}]", "".join(form_of(staff.get(ADD)).text))  # no JSON anywhere


def test_every_input_of_the_form_has_a_label(staff):
    form = form_of(staff.get(ADD))
    visible = [field for field in form.inputs if field.get("type") not in ("hidden", "submit")]
    assert len(visible) > 20
    for field in visible:
        assert field.get("id") in form.labelled or field.get("aria-label"), field


def test_name_short_name_and_owner_are_suggested(staff):
    SourceFactory(slug="shop")
    data = posted(staff.get(ADD))
    assert (data["name"], data["slug"], data["owner"]) == ("Shop", "shop-2", str(staff.user.pk))


def test_a_source_is_saved_with_its_streams_schedule_and_encrypted_secret(staff):
    data = filled(
        staff.get(ADD),
        name="Shop (orders)",
        setting_regions="eu\n us ",
        setting_archived="on",
        schedule_kind="weekdays",
        schedule_time="07:00",
        timezone="Europe/London",
    )
    assert data["streams-TOTAL_FORMS"] == "3"
    response = staff.post(ADD, data)
    assert response.status_code == 302, response.context["adminform"].form.errors
    source = Source.objects.get()
    assert source.config == {
        "shop": "acme",
        "pages": 100,
        "regions": ["eu", "us"],
        "plan": "s",
        "archived": True,
        "base_url": "https://api.shop.example",
    }
    assert dict(source.secrets) == {"api_key": SECRET}
    assert (source.connector, source.schedule, source.timezone) == ("shop", "0 7 * * 1-5", "Europe/London")
    assert PeriodicTask.objects.get(name="source:shop").enabled
    streams = {stream.name: stream for stream in source.streams.all()}
    assert set(streams) == {"orders", "labels", "notes"}
    orders = streams["orders"]
    assert (orders.is_enabled, orders.sync_mode, orders.cursor_field, orders.primary_key, orders.freshness_minutes) == (
        True,
        "incremental",
        "updated_at",
        ["id"],
        1440,
    )
    assert orders.offered["cursor_fields"] == ["updated_at", "created_at"]
    assert streams["labels"].sync_mode == "full_refresh"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": ""}, "This field is required"),
        ({"setting_api_key": ""}, "This field is required"),
        ({"setting_pages": "many"}, "Enter a whole number"),
        ({"setting_base_url": "ftp://x"}, "This is not an address"),
        ({"setting_plan": "xxl"}, "is not one of the available choices"),
        ({"setting_api_key": "${SECRET_KEY}"}, "belongs to the portal itself"),
        ({"slug": "Shop EU"}, "Use lower-case letters"),
        ({"slug": "shop_eu"}, "Use lower-case letters"),
        ({"schedule_kind": "cron", "schedule_cron": "61 * * * *"}, "is not a schedule we understand"),
        ({"schedule_kind": "cron", "schedule_cron": ""}, "Choose “Cron expression”"),
        ({"schedule_kind": "daily", "schedule_time": ""}, "Choose “Time of day”"),
        ({"schedule_kind": "weekly", "schedule_days": None}, "Choose “Days”"),
        ({"schedule_kind": "minutes", "schedule_minutes": "7"}, "is not one of the available choices"),
        ({"timezone": "Mars/Base"}, "is not one of the available choices"),
        ({"streams-0-cursor_field": "colour"}, "is not one of the available choices"),
        ({"streams-2-primary_key": '["name"]'}, "is not one of the available choices"),
        ({"streams-1-sync_mode": "incremental"}, "is not one of the available choices"),
        ({"streams-0-promise": "custom", "streams-0-promise_minutes": ""}, "Say after how many minutes"),
        ({"streams-0-name": "salaries"}, "is not among the streams that were offered"),
        ({"streams-1-name": "orders"}, "A stream is listed twice"),
        ({"streams-2-is_enabled": "on", "streams-2-sync_mode": "incremental"}, "say which column is different"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_what_does_not_fit_is_said_beside_the_field_and_saves_nothing(staff, changes, says):
    data = {**filled(staff.get(ADD)), **changes}
    response = staff.post(ADD, {name: value for name, value in data.items() if value is not None})
    html = response.content.decode()
    assert response.status_code == 200
    assert says in html
    assert not Source.objects.exists()
    assert SECRET not in html


def test_an_error_is_tied_to_its_input_for_screen_readers(staff):
    html = staff.post(ADD, filled(staff.get(ADD), setting_pages="many")).content.decode()
    tag = re.search(r'<input[^>]*name="setting_pages"[^>]*>', html)[0]
    assert 'aria-invalid="true"' in tag
    assert "id_setting_pages_error" in tag
    assert 'id="id_setting_pages_error"' in html


def test_two_sources_cannot_keep_their_tables_under_one_name(staff):
    SourceFactory(slug="shop", name="First")
    html = staff.post(ADD, filled(staff.get(ADD), slug="shop")).content.decode()
    assert "“First” already keeps its tables under this name." in html


def test_an_unknown_connector_leads_back_to_the_first_step(staff):
    assert "Step 1 of 2" in staff.get("/admin/sources/source/add/?connector=nonsense").content.decode()


def test_a_connector_without_fixed_streams_asks_for_a_test_first(staff):
    html = staff.get("/admin/sources/source/add/?connector=depot").content.decode()
    assert 'Press <a href="#connection">Test connection</a> first' in html


def test_a_promise_shorter_than_the_schedule_is_pointed_out(staff):
    data = filled(staff.get(ADD), schedule_kind="daily", schedule_time="07:00", **{"streams-0-promise": "15"})
    page = staff.post(ADD, data, follow=True)
    assert "Promised fresher than it is read: Orders." in page.content.decode()


# --- changing ---------------------------------------------------------------------------------------------------------
def test_the_secret_is_shown_as_set_and_never_sent_back(staff, source):
    html = staff.get(change(source)).content.decode()
    assert "Leave the field empty to keep it" in html
    assert SECRET not in html


def test_an_empty_secret_keeps_the_stored_one(staff, source):
    response = staff.post(change(source), posted(staff.get(change(source)), name="Renamed"))
    assert response.status_code == 302, response.context["adminform"].form.errors
    source.refresh_from_db()
    assert (source.name, dict(source.secrets)) == ("Renamed", {"api_key": SECRET})


def test_a_new_secret_replaces_the_stored_one(staff, source):
    staff.post(change(source), posted(staff.get(change(source)), setting_api_key="key_live_another_one"))
    source.refresh_from_db()
    assert dict(source.secrets) == {"api_key": "key_live_another_one"}


def test_an_optional_secret_can_be_removed(staff, source):
    source.secrets = {"api_key": SECRET, "hook_secret": "hook_0123456789"}
    source.save()
    staff.post(change(source), posted(staff.get(change(source)), forget_hook_secret="on"))
    source.refresh_from_db()
    assert dict(source.secrets) == {"api_key": SECRET}


def test_a_needed_secret_can_be_removed_only_from_a_source_that_is_off(staff, source):
    data = posted(staff.get(change(source)), forget_api_key="on")
    assert "switch the source off to remove it" in staff.post(change(source), data).content.decode()
    staff.post(change(source), {name: value for name, value in data.items() if name != "is_enabled"})
    source.refresh_from_db()
    assert dict(source.secrets) == {}


def test_a_stored_secret_does_not_follow_a_changed_address(staff, source):
    data = posted(staff.get(change(source)), setting_base_url="https://evil.example")
    html = staff.post(change(source), data).content.decode()
    assert "a stored secret is only sent to the address it was entered for" in html
    probe = staff.post(reverse("admin:sources_source_probe_saved", args=[source.pk]), data)
    assert "Not tested yet" in probe.content.decode()
    assert not Probe.objects.exists()


def test_an_address_left_as_delivered_is_no_changed_address(staff, source):
    source.config = {"shop": "acme", "plan": "s"}
    source.save()
    response = staff.post(change(source), posted(staff.get(change(source)), name="Renamed"))
    assert response.status_code == 302, response.context["adminform"].form.errors
    source.refresh_from_db()
    assert (source.name, dict(source.secrets)) == ("Renamed", {"api_key": SECRET})


def test_a_reference_to_the_environment_is_shown_by_its_name(staff, source):
    source.secrets = {"api_key": "${SHOP_KEY}"}
    source.save()
    assert "Read from the environment variable SHOP_KEY" in staff.get(change(source)).content.decode()


def test_the_short_name_cannot_be_changed(staff, source):
    staff.post(change(source), posted(staff.get(change(source)), slug="another"))
    source.refresh_from_db()
    assert source.slug == "shop"


def test_stream_settings_are_changed_in_the_table(staff, source):
    data = posted(staff.get(change(source)))
    orders = next(n for n in range(2) if data[f"streams-{n}-id"] == str(source.streams.get(name="orders").pk))
    row = f"streams-{orders}-"
    data |= {row + "sync_mode": "full_refresh", row + "cursor_field": "created_at"}
    data |= {row + "promise": "custom", row + "promise_minutes": "45"}
    data.pop(row + "is_enabled")
    response = staff.post(change(source), data)
    assert response.status_code == 302, response.context["errors"]
    stream = source.streams.get(name="orders")
    assert (stream.is_enabled, stream.sync_mode, stream.cursor_field, stream.freshness_minutes) == (
        False,
        "full_refresh",
        "created_at",
        45,
    )


def test_streams_cannot_be_smuggled_in(staff, source):
    data = posted(staff.get(change(source)))
    data |= {"streams-TOTAL_FORMS": "3", "streams-2-name": "salaries", "streams-2-sync_mode": "full_refresh"}
    response = staff.post(change(source), data)
    assert response.status_code == 200
    assert not Stream.objects.filter(name="salaries").exists()


def test_a_vanished_stream_says_so(staff, source):
    source.streams.filter(name="labels").update(is_offered=False)
    assert "no longer offered" in staff.get(change(source)).content.decode()


@pytest.mark.parametrize("expression", ["", "*/15 * * * *", "20 */4 * * *", "0 7 * * 1-5", "30 6 * * 0,3", "3 2 1 * *"])
def test_a_saved_schedule_opens_as_it_was_and_saves_unchanged(staff, source, expression):
    source.schedule, source.timezone = expression, "Europe/London"
    source.save()
    response = staff.post(change(source), posted(staff.get(change(source))))
    assert response.status_code == 302, response.context["adminform"].form.errors
    source.refresh_from_db()
    assert (source.schedule, source.timezone) == (expression, "Europe/London")


def test_a_time_zone_outside_the_list_stays_choosable(staff, source):
    source.timezone = "US/Pacific"
    source.save()
    staff.post(change(source), posted(staff.get(change(source)), name="New"))
    source.refresh_from_db()
    assert (source.name, source.timezone) == ("New", "US/Pacific")


def test_a_source_whose_connector_is_missing_can_be_looked_at_and_stays_off(staff):
    source = SourceFactory(connector="hubspot", slug="hubspot", secrets={"credentials.access_token": SECRET})
    page = staff.get(change(source))
    assert "There is no connector called “hubspot” yet" in page.content.decode()
    response = staff.post(change(source), posted(page, name="HubSpot", is_enabled="on"))
    assert response.status_code == 302
    source.refresh_from_db()
    assert (source.name, source.is_enabled) == ("HubSpot", False)
    assert dict(source.secrets) == {"credentials.access_token": SECRET}


def test_a_lost_key_does_not_take_the_pages_down(staff, source, settings):
    from cryptography.fernet import Fernet

    settings.SECRETS_KEYS = [Fernet.generate_key().decode()]
    assert staff.get(LIST).status_code == 200
    page = staff.get(change(source))
    assert "cannot be opened with the keys" in page.content.decode()
    staff.post(change(source), posted(page, setting_api_key="key_live_entered_again"))
    assert dict(Source.objects.get(pk=source.pk).secrets) == {"api_key": "key_live_entered_again"}


# --- the live preview ---------------------------------------------------------------------------------------------------
def test_the_preview_says_the_schedule_and_its_next_five_runs(staff):
    page = staff.get(
        reverse("admin:sources_source_schedule"),
        {"schedule_kind": "weekdays", "schedule_time": "07:00", "timezone": "Europe/London"},
    )
    html = page.content.decode()
    assert "Weekdays at 07:00" in html
    assert html.count("<time ") == 5
    assert "07:00 " in html


def test_the_preview_says_what_is_wrong(staff):
    page = staff.get(
        reverse("admin:sources_source_schedule"),
        {"schedule_kind": "cron", "schedule_cron": "0 0 1 * 1", "timezone": "UTC"},
    )
    assert "days of the month and days of the week" in page.content.decode()


# --- list, actions, deleting ----------------------------------------------------------------------------------------------
def test_the_list_says_the_last_run_the_schedule_and_the_streams(staff, source):
    SyncRunFactory(source=source)
    SyncRunFactory(source=source, failed=True)
    SourceFactory(name="Quiet one", connector="hubspot", schedule="")
    html = staff.get(LIST).content.decode()
    for text in (
        "Every hour (UTC)",
        "Failed",
        "2 of 2 read",
        "Never run",
        "Only by hand",
        "hubspot (no connector yet)",
    ):
        assert text in html


def test_the_list_takes_the_same_queries_for_two_sources_as_for_twenty(staff, django_assert_max_num_queries):
    SourceFactory.create_batch(2, connector="shop", streams=2)
    with django_assert_max_num_queries(12) as few:
        staff.get(LIST)
    for source in SourceFactory.create_batch(18, connector="shop", streams=2):
        SyncRunFactory(source=source)
    with django_assert_max_num_queries(12) as many:
        staff.get(LIST)
    assert len(many) == len(few)


def _act(staff, action: str, *sources: Source):
    data = {"action": action, "_selected_action": [source.pk for source in sources]}
    return staff.post(LIST, data, follow=True).content.decode()


def test_sync_now_queues_a_run_each_and_counts(staff, source):
    busy = SourceFactory(connector="shop")
    SyncRunFactory(source=busy, queued=True)
    unreadable = SourceFactory(connector="hubspot")
    html = _act(staff, "sync_now", source, busy, unreadable)
    assert "1 sync queued." in html
    assert "1 source is being read already." in html
    assert "1 source has no connector." in html
    assert SyncRun.objects.filter(source=source, status=RunStatus.QUEUED).count() == 1


def test_switching_on_and_off_counts_and_moves_the_schedule(staff, source):
    other = SourceFactory(connector="shop", is_enabled=False)
    assert "1 source switched off." in _act(staff, "switch_off", source, other)
    source.refresh_from_db()
    assert source.is_enabled is False
    assert source.periodic_task.enabled is False
    assert "2 sources switched on." in _act(staff, "switch_on", source, other)
    assert "No sources switched on." in _act(staff, "switch_on", source, other)


def test_a_source_without_connector_cannot_be_switched_on(staff):
    unreadable = SourceFactory(connector="hubspot", is_enabled=False)
    assert "1 source has no connector." in _act(staff, "switch_on", unreadable)
    unreadable.refresh_from_db()
    assert unreadable.is_enabled is False


def test_deleting_asks_and_says_what_stays(staff, source):
    SyncRunFactory(source=source)
    address = reverse("admin:sources_source_delete", args=[source.pk])
    html = staff.get(address).content.decode()
    assert "record of its 1 runs" in html
    assert "raw_shop stay in the warehouse" in html
    staff.post(address, {"post": "yes"})
    assert not Source.objects.exists()
    assert not PeriodicTask.objects.filter(name="source:shop").exists()


def test_deleting_several_removes_their_schedules(staff, source):
    data = {"action": "delete_selected", "_selected_action": [source.pk], "post": "yes"}
    assert "stay in the warehouse" in staff.post(LIST, {**data, "post": ""}).content.decode()
    staff.post(LIST, data)
    assert not Source.objects.exists()
    assert not PeriodicTask.objects.filter(name="source:shop").exists()


def test_a_source_that_is_being_read_is_not_deleted(staff, source):
    SyncRunFactory(source=source, running=True)
    address = reverse("admin:sources_source_delete", args=[source.pk])
    assert "is being read right now" in staff.get(address).content.decode()
    assert staff.post(address, {"post": "yes"}).status_code != 302
    assert Source.objects.filter(pk=source.pk).exists()


# --- who may ----------------------------------------------------------------------------------------------------------------
def test_without_permission_nothing_opens(colleague, source):
    for address in (
        LIST,
        ADD,
        change(source),
        reverse("admin:sources_source_schedule"),
        reverse("admin:sources_syncrun_changelist"),
    ):
        assert colleague.get(address).status_code in (403, 404), address
    assert colleague.post(reverse("admin:sources_source_probe") + "?connector=shop").status_code == 403
    assert colleague.post(reverse("admin:sources_source_probe_saved", args=[source.pk])).status_code == 403


def test_a_colleague_who_may_only_look_sees_a_page_without_inputs(client, source):
    client.force_login(UserFactory(is_staff=True, permissions=["sources.view_source"]))
    page = client.get(change(source))
    html = page.content.decode()
    assert page.status_code == 200
    assert "Every hour (UTC)" in html
    assert 'name="setting_' not in html
    assert SECRET not in html
    assert client.post(change(source), {"name": "x"}).status_code == 403


def test_a_colleague_with_the_permission_may_change_a_source_and_its_streams(client, source):
    client.force_login(UserFactory(is_staff=True, permissions=["sources.view_source", "sources.change_source"]))
    response = client.post(change(source), posted(client.get(change(source)), name="By sales operations"))
    assert response.status_code == 302
    source.refresh_from_db()
    assert source.name == "By sales operations"


# --- history -------------------------------------------------------------------------------------------------------------------
def test_the_history_says_who_changed_what_and_of_a_secret_only_that_it_changed(staff, source):
    data = posted(
        staff.get(change(source)), name="Renamed", setting_api_key="key_live_brand_new_one", setting_shop="zeta"
    )
    row = next(name for name in data if name.endswith("-promise"))
    staff.post(change(source), {**data, row: "60", "schedule_kind": "manual"})
    newest = source.history.first()
    assert newest.history_user == staff.user
    for text in ("Secret key: changed.", "Name: Renamed.", "Shop name: zeta.", "Schedule: Only by hand.", "1 hour"):
        assert text in newest.history_change_reason
    page = staff.get(reverse("admin:sources_source_history", args=[source.pk])).content.decode()
    assert "Secret key: changed." in page
    stored = " ".join(str(row) for row in Source.history.values_list()) + " ".join(
        LogEntry.objects.values_list("change_message", flat=True)
    )
    for text in (page, stored):
        assert "brand_new_one" not in text
        assert SECRET not in text


def test_one_save_is_one_row_of_history_and_no_change_is_none(staff, source):
    before = source.history.count()
    staff.post(change(source), posted(staff.get(change(source))))
    assert source.history.count() == before
    staff.post(change(source), posted(staff.get(change(source)), name="Renamed"))
    assert source.history.count() == before + 1


def test_an_old_version_is_not_opened_as_a_form(staff, source):
    version = source.history.first()
    address = reverse("admin:sources_source_simple_history", args=[source.pk, version.pk])
    assert staff.get(address).url == reverse("admin:sources_source_history", args=[source.pk])


# --- everything once -----------------------------------------------------------------------------------------------------------
def test_every_list_and_page_of_this_app_opens(staff, source):
    stream_sync = StreamSyncFactory(stream=source.streams.first())
    AttemptFactory(run=stream_sync.attempt.run, failed=True)
    probe = Probe.objects.create(connector="shop", secrets={"api_key": SECRET}, config={"shop": "acme"})
    objects = {"source": source, "syncrun": stream_sync.attempt.run, "streamsync": stream_sync, "probe": probe}
    for name, row in objects.items():
        for address in (f"/admin/sources/{name}/", f"/admin/sources/{name}/{row.pk}/change/"):
            page = staff.get(address)
            assert page.status_code == 200, address
            assert SECRET not in page.content.decode()
    for address in (
        "/admin/",
        "/admin/auth/user/",
        "/admin/auth/user/add/",
        "/admin/auth/group/",
        "/admin/auth/group/add/",
    ):
        assert staff.get(address).status_code == 200, address
    assert staff.get(f"/admin/auth/user/{staff.user.pk}/change/").status_code == 200
    assert staff.get(f"/admin/auth/user/{staff.user.pk}/password/").status_code == 200


def test_runs_and_tests_can_only_be_read(staff, source):
    run = SyncRunFactory(source=source)
    for address in (
        "/admin/sources/syncrun/add/",
        "/admin/sources/probe/add/",
        f"/admin/sources/syncrun/{run.pk}/delete/",
    ):
        assert staff.get(address).status_code == 403
    assert staff.post(f"/admin/sources/syncrun/{run.pk}/change/", {}).status_code == 403


def test_the_clocks_own_tables_are_not_in_the_admin(staff):
    for name in ("periodictask", "crontabschedule", "intervalschedule", "solarschedule", "clockedschedule"):
        assert staff.get(f"/admin/django_celery_beat/{name}/").status_code == 404


def test_the_pages_load_nothing_from_elsewhere(staff, source):
    for address in ("/admin/", LIST, ADD, change(source), reverse("admin:sources_source_add")):
        html = staff.get(address).content.decode()
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]+)"', html)
        assert loaded
        assert [url for url in loaded if re.match(r"(?:https?:)?//", url)] == []
