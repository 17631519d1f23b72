"""What a retry really asks another system for: nothing that an attempt before it brought."""

from __future__ import annotations

import pytest
import time_machine
from django.utils import timezone

from portal import pipeline
from portal.runs import RunStatus
from sources.syncs import request_sync
from tests.factories import SourceFactory, StreamFactory

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_a_retry_fetches_only_what_failed(sandbox, pauses, sent):
    source = SourceFactory(
        slug="stripe",
        connector="stripe",
        config={"base_url": sandbox.stripe.base_url},
        secrets={"api_key": sandbox.stripe.api_key},
    )
    for name in ("charges", "coupons", "customers"):
        StreamFactory(source=source, name=name)
    sandbox.stripe.faults.add("500", count=None, path="/v1/customers")
    run = request_sync(source)

    pipeline.sync(run.pk)
    run.refresh_from_db()
    assert run.status == RunStatus.QUEUED
    assert sandbox.stripe.count("/v1/charges") > 0
    assert sandbox.stripe.count("/v1/coupons") > 0
    sandbox.stripe.faults.clear()
    sandbox.stripe.forget_requests()
    with time_machine.travel(run.not_before or timezone.now(), tick=True):
        pipeline.sync(run.pk)

    run.refresh_from_db()
    assert run.status == RunStatus.SUCCEEDED
    assert sandbox.stripe.count("/v1/customers") > 0
    assert sandbox.stripe.count("/v1/charges") == sandbox.stripe.count("/v1/coupons") == 0

    pipeline.sync(request_sync(source).pk)  # the next run asks for all
    assert sandbox.stripe.count("/v1/charges") > 0
