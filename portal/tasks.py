"""Celery tasks: each takes a primary key, calls one plain function, sends the steps that follow, returns nothing."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from portal import dispatch, pipeline
from portal import sweep as sweeping
from portal.pipeline import Step
from quality import notifications
from sources import syncs
from sources.models import Source


def send_all(steps: list[Step]) -> None:
    for step in steps:
        delay = max(step.delay.total_seconds(), 0) if step.delay else None
        dispatch.send(step.task, *([step.pk] if step.pk else []), countdown=delay)


@shared_task
def run_sync(pk: int) -> None:
    send_all(pipeline.sync(pk))


@shared_task
def run_build(pk: int) -> None:
    send_all(pipeline.build(pk))


@shared_task
def run_scan(pk: int) -> None:
    send_all(pipeline.scan(pk))


@shared_task
def run_publication(pk: int) -> None:
    send_all(pipeline.publish(pk))


@shared_task
def run_probe(pk: int) -> None:
    send_all(pipeline.probe(pk))


@shared_task
def run_switch_preview(pk: int) -> None:
    send_all(pipeline.switch_preview(pk))


@shared_task
def run_log_task(pk: int) -> None:
    send_all(pipeline.log_task(pk))


@shared_task
def deliver_mail() -> None:
    notifications.deliver_due(timezone.now())


@shared_task
def start_scheduled_sync(source_pk: int) -> None:
    source = Source.objects.scheduled().filter(pk=source_pk).first()
    if source is not None:
        syncs.start_if_due(source, timezone.now())


@shared_task
def sweep() -> None:
    send_all(sweeping.sweep(timezone.now()))
