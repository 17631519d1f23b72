"""The switches of the metrics: what counts now, and what another choice would do.

current()      the dbt variables of the next build
request_for()  what a build is asked for
ask()          a row (queued) and a message; the page watches the row
perform()      carried out by the worker that writes to the warehouse
purge()        the sweep's
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from metrics.dbt_types import BuildRequest
from metrics.models import MetricSwitches, SwitchPreview
from portal import dispatch
from portal.failures import as_portal_error
from portal.runs import heartbeat
from portal.warehouse import Warehouse, get_warehouse
from sources.connectors.log import DELETED_AT

# A dotted path: only the process that builds imports dbt.
DBT_PREVIEW = "metrics.dbt_preview.compare"
KEPT_FOR = timedelta(days=7)
# How long a person waits before the page says that no worker has answered.
PATIENCE = timedelta(seconds=60)


def stored() -> MetricSwitches:
    """The row, or an unsaved one with what the environment (`DBT_VARS`) and the defaults say."""
    if row := MetricSwitches.objects.first():
        return row
    known = {field.name for field in MetricSwitches._meta.fields} - {"id"}
    return MetricSwitches(pk=1, **{name: value for name, value in settings.DBT_VARS.items() if name in known})


def current() -> dict[str, Any]:
    """The dbt variables of a build: those of the environment, and over them what people chose in the admin."""
    row = MetricSwitches.objects.first()
    return {**settings.DBT_VARS, **(row.as_vars() if row else {})}


def work_dir() -> Path:
    """Where dbt keeps what it knows between builds."""
    return Path(settings.DATA_DIR) / "dbt"


def request_for(warehouse: Warehouse, changed: Iterable[str] = ()) -> BuildRequest:
    """A build by these switches, of what is downstream of `changed` (nothing named: of everything); as the writer."""
    return BuildRequest(
        changed=tuple(changed),
        raw_tables=frozenset(warehouse.tables(schema_prefix="raw_")),
        soft_deletes=frozenset(warehouse.tables_with(DELETED_AT, schema_prefix="raw_")),
        warehouse_url=settings.WAREHOUSE_URL,
        work_dir=work_dir(),
        vars=current(),
    )


def ask(proposed: Mapping[str, Any], user: Any = None) -> SwitchPreview:
    preview = SwitchPreview.objects.create(proposed=dict(proposed), asked_by=user)
    dispatch.send("run_switch_preview", preview.pk)
    return preview


def perform(preview: SwitchPreview) -> None:
    """Carry out a claimed preview; however it goes, the row says so. Nothing that people see is touched."""
    warehouse = get_warehouse()
    try:
        with heartbeat(SwitchPreview.objects.all(), preview.pk), warehouse.writer():
            request = request_for(warehouse)
            numbers = import_string(DBT_PREVIEW)(request, {**request.vars, **preview.proposed})
    except Exception as error:  # whatever it was, the person who asked must see a sentence
        SwitchPreview.objects.fail(preview.pk, as_portal_error(error))
        return
    SwitchPreview.objects.succeed(preview.pk, numbers=numbers)


def is_unanswered(preview: SwitchPreview, now: datetime) -> bool:
    return preview.is_active and preview.queued_at < now - PATIENCE


def purge(now: datetime) -> int:
    return SwitchPreview.objects.filter(queued_at__lt=now - KEPT_FOR).delete()[0]
