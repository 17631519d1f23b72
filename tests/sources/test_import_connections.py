"""`manage.py import_connections`, on the company's own file and on many that are wrong."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django_celery_beat.models import PeriodicTask

from sources import connections_file
from sources.models import Probe, Source, Stream
from tests.factories import SourceFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

BRIEF = Path(__file__).parents[1] / "fixtures" / "brief" / "connections.yaml"

SHOP = """
shop_connection:
  source: shop
  destination: bigquery
  config:
    api_key: "${SHOP_KEY}"
    shop: acme
    plan: s
  streams:
    - name: orders
      sync_mode: incremental
      cursor_field: created_at
  schedule:
    type: cron
    cron_expression: "0 */2 * * *"
"""


def run(path: Path, *options: str) -> str:
    out = StringIO()
    call_command("import_connections", str(path), *options, stdout=out)
    return out.getvalue()


def refused(path: Path) -> str:
    before = (Source.objects.count(), Stream.objects.count())
    err = StringIO()
    with pytest.raises(SystemExit) as stop:
        call_command("import_connections", str(path), stdout=StringIO(), stderr=err)
    assert stop.value.code == 2
    assert (Source.objects.count(), Stream.objects.count()) == before
    assert err.getvalue().endswith("Nothing was changed.\n")
    return err.getvalue()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "connections.yaml"
    path.write_text(text)
    return path


# --- the company's file, as it stands -------------------------------------------------------------------------------------
def test_the_companys_file_becomes_three_sources():
    run(BRIEF)
    assert set(Source.objects.values_list("slug", "connector", "is_enabled", "schedule")) == {
        ("stripe", "stripe", True, "0 */2 * * *"),
        ("hubspot", "hubspot", True, "0 */4 * * *"),
        ("postgres", "postgres", True, "*/5 * * * *"),  # the file says when of the others only; a log is read often
    }


def test_references_are_stored_as_references(monkeypatch):
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_the_value_itself")
    out = run(BRIEF)
    stripe, hubspot, postgres = (Source.objects.get(slug=slug) for slug in ("stripe", "hubspot", "postgres"))
    assert dict(stripe.secrets) == {"api_key": "${STRIPE_SECRET_KEY}"}
    assert dict(hubspot.secrets) == {"access_token": "${HUBSPOT_ACCESS_TOKEN}"}
    assert dict(postgres.secrets) == {"password": "${DB_READONLY_PASS}"}
    assert postgres.config["user"] == "${DB_READONLY_USER}"
    assert "read from the environment variable STRIPE_SECRET_KEY" in out
    assert "the_value_itself" not in out


def test_airbytes_settings_become_ours():
    out = run(BRIEF)
    config = Source.objects.get(slug="postgres").config
    assert config["host"] == "prod-db.internal.company.com"
    assert (config["port"], config["database"], config["sslmode"]) == (5432, "app_production", "require")
    assert "account_id is not needed" in out
    postgres = Source.objects.get(slug="postgres")
    assert (postgres.config["changes"], postgres.config["deletes"]) == ("cdc", "soft")
    assert "destination (bigquery) is not used" in out


def test_the_streams_of_the_file_are_read_as_it_says():
    run(BRIEF)
    streams = {stream.name: stream for stream in Stream.objects.filter(source__slug="stripe")}
    assert (streams["subscriptions"].sync_mode, streams["subscriptions"].cursor_field) == ("incremental", "created")
    assert (streams["charges"].sync_mode, streams["charges"].cursor_field) == ("incremental", "created")
    assert streams["customers"].sync_mode == "full_refresh"
    assert {name for name, stream in streams.items() if stream.is_enabled} == {
        "subscriptions",
        "subscription_items",  # they come inside subscriptions
        "invoices",
        "invoice_lines",
        "charges",
        "customers",
    }
    events = Stream.objects.get(source__slug="postgres", name="events")
    assert (events.is_enabled, events.cursor_field) == (True, "created_at")


def test_the_crm_of_the_file_is_read_as_it_says():
    run(BRIEF)
    streams = {stream.name: stream for stream in Stream.objects.filter(source__slug="hubspot")}
    enabled = {name: stream for name, stream in streams.items() if stream.is_enabled}
    # the stages come with the deals
    assert set(enabled) == {"contacts", "deals", "deal_stage_history", "companies"}
    assert {stream.sync_mode for stream in enabled.values()} == {"incremental"}
    assert enabled["deals"].cursor_field == "updated_at"
    assert PeriodicTask.objects.get(name="source:hubspot").enabled is True


def test_a_system_without_connector_is_kept_and_switched_off_and_said(tmp_path):
    path = written(
        tmp_path,
        BRIEF.read_text().replace("source: hubspot", "source: salesforce").replace("hubspot_c", "salesforce_c"),
    )
    out = run(path)
    assert "There is no connector called “salesforce” yet." in out
    salesforce = Source.objects.get(slug="salesforce")
    assert dict(salesforce.secrets) == {"credentials.access_token": "${HUBSPOT_ACCESS_TOKEN}"}
    assert set(salesforce.streams.values_list("name", flat=True)) == {"contacts", "deals", "companies"}
    assert PeriodicTask.objects.get(name="source:salesforce").enabled is False
    assert "1 switched off" in out


def test_a_log_without_schedule_is_read_every_five_minutes_and_says_so():
    assert "Its log is followed: read every 5 minutes, promised within 15." in run(BRIEF)
    assert set(Stream.objects.filter(source__slug="postgres").values_list("freshness_minutes", flat=True)) == {15}


def test_a_connection_without_schedule_is_read_by_hand_and_says_so(tmp_path):
    standard = BRIEF.read_text().replace("replication_method: CDC", "replication_method: Standard")
    assert "The file gives it no schedule, so it is read only by hand." in run(written(tmp_path, standard))
    assert Source.objects.get(slug="postgres").config["changes"] == "cursor"


def test_tables_nobody_has_looked_at_yet_are_looked_up_by_a_worker(sent):
    run(BRIEF)
    probe = Probe.objects.get()
    assert probe.source == Source.objects.get(slug="postgres")
    assert sent == [("run_probe", probe.pk)]


def test_the_same_file_twice_changes_nothing():
    run(BRIEF)
    history = Source.history.count()
    before = list(Stream.objects.values())
    out = run(BRIEF)
    assert "0 added, 0 changed, 3 unchanged" in out
    assert Source.history.count() == history
    assert list(Stream.objects.values()) == before


def test_a_dry_run_shows_the_same_and_changes_nothing(sent):
    out = run(BRIEF, "--dry-run")
    assert "+ stripe (Stripe)" in out
    assert "This was a dry run: nothing was changed." in out
    assert not Source.objects.exists()
    assert not PeriodicTask.objects.filter(name__startswith="source:").exists()


def test_the_history_says_where_a_source_came_from():
    run(BRIEF)
    reason = Source.objects.get(slug="stripe").history.first().history_change_reason
    assert reason.startswith("Imported from connections.yaml.")
    assert "STRIPE_SECRET_KEY" in reason


# --- changes ------------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("systems")
def test_only_what_changed_in_the_file_changes_and_is_shown(tmp_path):
    run(written(tmp_path, SHOP))
    out = run(written(tmp_path, SHOP.replace("*/2", "*/4").replace("acme", "zeta")))
    assert "~ shop (Shop)" in out
    assert "Shop name: zeta" in out
    assert "read: Every 4 hours (UTC)" in out
    assert "stream orders" not in out
    source = Source.objects.get()
    assert (source.schedule, source.config["shop"]) == ("0 */4 * * *", "zeta")


@pytest.mark.usefixtures("systems")
def test_what_people_set_in_the_admin_stays_unless_the_file_says_otherwise(tmp_path):
    path = written(tmp_path, SHOP)
    run(path)
    source = Source.objects.get()
    source.name, source.is_enabled = "Our shop", False
    source.config["pages"] = 50
    source.save()
    source.streams.filter(name="orders").update(freshness_minutes=15, is_enabled=False)
    source.streams.filter(name="labels").update(is_enabled=True)
    out = run(path)
    source.refresh_from_db()
    assert (source.name, source.is_enabled, source.config["pages"]) == ("Our shop", False, 50)
    assert source.streams.get(name="orders").freshness_minutes == 15
    assert source.streams.get(name="orders").is_enabled is False
    assert source.streams.get(name="labels").is_enabled is True
    assert "It is switched off in this portal, and stays so." in out


@pytest.mark.usefixtures("systems")
def test_a_secret_in_the_file_itself_is_stored_encrypted_never_shown_and_advised_against(tmp_path):
    out = run(written(tmp_path, SHOP.replace("${SHOP_KEY}", "key_live_in_clear_text")))
    assert dict(Source.objects.get().secrets) == {"api_key": "key_live_in_clear_text"}
    assert "in_clear_text" not in out
    assert "Secret key: set" in out
    assert "better take it out of the file" in out
    assert "in_clear_text" not in Source.objects.get().history.first().history_change_reason


@pytest.mark.usefixtures("systems")
def test_a_stream_that_can_only_be_read_whole_is_read_whole_and_said(tmp_path):
    text = SHOP.replace("name: orders", "name: labels").replace("      cursor_field: created_at\n", "")
    assert "labels can only be read as full_refresh" in run(written(tmp_path, text))
    assert Stream.objects.get(name="labels").sync_mode == "full_refresh"


@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize(
    ("schedule", "expected", "zone"),
    [
        ("{type: basic, units: 2, time_unit: hours}", "0 */2 * * *", "UTC"),
        ("{type: basic, units: 24, time_unit: hours}", "0 0 * * *", "UTC"),
        ("{type: basic, units: 1, time_unit: hours}", "0 * * * *", "UTC"),
        ("{type: basic, units: 15, time_unit: minutes}", "*/15 * * * *", "UTC"),
        ("{type: basic, units: 60, time_unit: minutes}", "0 * * * *", "UTC"),
        ("{type: basic, units: 1, time_unit: days}", "0 0 * * *", "UTC"),
        ("{type: manual}", "", "UTC"),
        ("{cron_expression: 0 7 * * MON-FRI, cron_timezone: Europe/London}", "0 7 * * 1-5", "Europe/London"),
    ],
)
def test_every_kind_of_schedule_is_understood(tmp_path, schedule, expected, zone):
    head = SHOP[: SHOP.index("  schedule:")]
    run(written(tmp_path, f"{head}  schedule: {schedule}\n"))
    source = Source.objects.get()
    assert (source.schedule, source.timezone) == (expected, zone)


# --- refusals -------------------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("systems")
@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("source: shop", "source: [shop", 4, "This is not YAML"),
        ("  source: shop\n", "", 2, "does not say its source"),
        ("source: shop", "sauce: shop", 3, "“sauce” is not known in a connection"),
        ("source: shop", "source: 5", 3, "“source” should be a piece of text"),
        ("shop: acme", "shop: 5", 7, "Shop name: This should be text in quotes."),
        ("shop: acme", "colour: red", 7, "“colour” is not a setting of Shop"),
        ("    shop: acme\n", "", 6, "“Shop name” is needed and not in this config"),
        ("shop: acme", "shop: acme\n    pages: many", 8, "Rows a page: This should be a whole number."),
        ("shop: acme", "shop: acme\n    archived: 'yes'", 8, "Archived too: This should be true or false."),
        ("shop: acme", "shop: acme\n    base_url: nowhere", 8, "This is not an address"),
        ("shop: acme", "shop: acme\n    shop: zeta", 8, "“shop” stands in line 7 already"),
        ("plan: s", "plan: xxl", 8, "is not one of the available choices"),
        ("${SHOP_KEY}", "${SECRETS_KEYS}", 6, "belongs to the portal itself"),
        ("  streams:\n    - name: orders", "  streams:\n    - nom: orders", 10, "“nom” is not known in a stream"),
        ("name: orders", "name: salaries", 10, "Shop has no stream “salaries”. It has: orders, labels, notes."),
        ("sync_mode: incremental", "sync_mode: sometimes", 11, "“sometimes” is no way to read a stream"),
        ("cursor_field: created_at", "cursor_field: colour", 10, "cannot go by colour"),
        ("cursor_field: created_at", "cursor_field: [a, b]", 12, "one cursor_field only"),
        ("cursor_field: created_at", "primary_key: colour", 10, "is known by id, not by colour"),
        ("  schedule:", "    - name: orders\n  schedule:", 13, "The stream “orders” stands in line 10 already"),
        ("0 */2 * * *", "0 */2 * *", 15, "five parts"),
        ("0 */2 * * *", "99 * * * *", 15, "bad minute"),
        ("type: cron", "type: lunar", 14, "“lunar” is no type of schedule"),
        ("    cron_expression", "    cron_timezone: Mars/Base\n    cron_expression", 15, "not a time zone we know"),
        ("    type: cron\n    cron_expression: \"0 */2 * * *\"", "    type: basic\n    units: 7\n    time_unit: hours", 14, "divide the hour or the day"),
        ("shop_connection:", "9_connection:", 2, "gives no short name"),
        ("shop_connection:", "shop:\n  source: depot\nshop_connection:", 4, "would be the same source (shop)"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else None,
)  # fmt: skip
def test_bad_input_is_refused_with_its_line_and_changes_nothing(tmp_path, old, new, line, says):
    assert old in SHOP
    path = written(tmp_path, SHOP.replace(old, new, 1))
    err = refused(path)
    assert f"{path}:{line}: " in err, err
    assert says in err


@pytest.mark.usefixtures("systems")
def test_every_problem_is_named_at_once(tmp_path):
    text = SHOP.replace("acme", "5").replace("plan: s", "plan: xxl")
    err = refused(written(tmp_path, text))
    assert err.count("connections.yaml:") == 2


@pytest.mark.usefixtures("systems")
def test_one_bad_connection_keeps_the_good_ones_out_too(tmp_path):
    refused(written(tmp_path, SHOP + "\nother:\n  source: depot\n  config: {host: h}\n"))


@pytest.mark.usefixtures("systems")
def test_a_source_of_another_system_is_not_taken_over(tmp_path):
    SourceFactory(slug="shop", connector="depot")
    assert "“shop” is a depot source in this portal, and shop here." in refused(written(tmp_path, SHOP))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just text", "a: 5\n", "a: {source: shop, streams: {}}\n"])
def test_what_is_no_list_of_connections_is_refused(tmp_path, text):
    refused(written(tmp_path, text))


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    assert "cannot be read" in refused(tmp_path / "nothing.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "not text in UTF-8" in refused(path)


def test_lines_are_the_files_own():
    connections = {connection.slug: connection for connection in connections_file.read(BRIEF)}
    lines = BRIEF.read_text().splitlines()
    for connection in connections.values():
        assert lines[connection.line - 1].startswith(connection.key)
        for stream in connection.streams:
            assert f"name: {stream.name}" in lines[stream.line - 1]
        for name, value in connection.config.items():
            assert name.rpartition(".")[2] in lines[value.line - 1]
