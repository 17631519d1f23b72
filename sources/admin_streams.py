"""One stream in the admin: how far it is read, reading it again, and what happens when its columns change.

Reading again asks twice: the second page says in sentences what will happen, and only its button does it.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from portal.text import ago, plural
from sources import audit, rereads, schema_changes
from sources.cursors import read_up_to
from sources.forms_rereads import BackfillForm, PolicyForm
from sources.models import SchemaPolicy, Stream
from sources.models_streams import day_in_words
from sources.syncs import request_sync

PAGE = "admin/sources/source/stream.html"
CONFIRM = "admin/sources/source/reread.html"
SHOWN = 20


class StreamViews:
    """Mix-in of `SourceAdmin`."""

    admin_site: Any
    opts: Any

    def stream_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("stream/<int:pk>/", wrap(self.stream_view), name="sources_source_stream"),
            path("stream/<int:pk>/reread/", wrap(self.reread_view), name="sources_source_reread"),
            path("stream/<int:pk>/withdraw/", wrap(require_POST(self.withdraw_view)), name="sources_source_withdraw"),
            path("stream/<int:pk>/policy/", wrap(require_POST(self.policy_view)), name="sources_source_policy"),
            path("stream/<int:pk>/agree/", wrap(require_POST(self.agree_view)), name="sources_source_agree"),
        ]

    def stream_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        stream = self._stream(request, pk, changes=False)
        return self._page(request, stream, BackfillForm(), PolicyForm(instance=stream))

    def reread_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks (with `?since=` for a backfill), POST does it."""
        stream = self._stream(request, pk)
        given = request.POST if request.method == "POST" else request.GET
        since: date | None = None
        if "since" in given:
            form = BackfillForm(given)
            if not form.is_valid():
                return self._page(request, stream, form, PolicyForm(instance=stream), status=400)
            since = form.cleaned_data["since"]
        possible = rereads.can_backfill(stream) if since else rereads.can_reset(stream)
        if not possible or stream.rereads.open().exists():
            messages.warning(request, f"{stream} cannot be read again like that right now.")
            return HttpResponseRedirect(_address(stream))
        if request.method == "POST":
            return self._ask(request, stream, since)
        context = {"since": since, "sentences": what_it_does(stream, since), "title": f"Read {stream} again?"}
        return TemplateResponse(request, CONFIRM, {**self._context(request, stream), **context})

    def _ask(self, request: HttpRequest, stream: Stream, since: date | None) -> HttpResponse:
        wish = rereads.ask(stream, since, request.user)
        if wish is None:
            messages.info(request, f"{stream} is to be read again already.")
        else:
            audit.note(stream.source, request.user, f"Stream {stream.name}: read again {wish.from_when}.")
            messages.success(request, f"{stream} will be read again {wish.from_when}.")
        return HttpResponseRedirect(_address(stream))

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        stream = self._stream(request, pk)
        wish = stream.rereads.open().first()
        if wish is not None and rereads.withdraw(wish):
            audit.note(stream.source, request.user, f"Stream {stream.name}: not read again {wish.from_when} after all.")
            messages.success(request, "Withdrawn. What a sync has begun with already, it may still finish.")
        return HttpResponseRedirect(_address(stream))

    def policy_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        stream = self._stream(request, pk)
        form = PolicyForm(request.POST, instance=stream)
        if not form.is_valid():
            return self._page(request, stream, BackfillForm(), form, status=400)
        if form.has_changed():
            form.save()
            words = SchemaPolicy(stream.schema_policy).label
            audit.note(stream.source, request.user, f"Stream {stream.name}, when its columns change: {words}.")
            messages.success(request, f"When the columns of {stream} change: {words}.")
        return HttpResponseRedirect(_address(stream))

    def agree_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        stream = self._stream(request, pk)
        messages.success(request, agree(stream, request.user))
        back = request.POST.get("from")
        return HttpResponseRedirect(stream.source.get_absolute_url() if back == "source" else _address(stream))

    # --- pieces -----------------------------------------------------------------------------------------------------
    def _stream(self, request: HttpRequest, pk: int, *, changes: bool = True) -> Stream:
        stream = Stream.objects.select_related("source").defer("source__secrets").filter(pk=pk).first()
        if stream is None:
            raise Http404
        may = self.has_change_permission if changes else self.has_view_permission  # type: ignore[attr-defined]
        if not may(request, stream.source):
            raise PermissionDenied
        return stream

    def _page(
        self, request: HttpRequest, stream: Stream, backfill: BackfillForm, policy: PolicyForm, status: int = 200
    ) -> HttpResponse:
        now = timezone.now()
        wishes = list(stream.rereads.select_related("asked_by")[:SHOWN])
        context = {
            "now": now,
            "up_to": read_up_to(stream.cursor_value),
            "moved": ago(stream.cursor_moved_at, now) if stream.cursor_moved_at else "",
            "raw_cursor": json.dumps(stream.cursor_value, indent=2, ensure_ascii=False),
            "last_sync": stream.syncs.first(),
            "wish": next((wish for wish in wishes if wish.done_at is None and wish.withdrawn_at is None), None),
            "wishes": [wish for wish in wishes if wish.done_at or wish.withdrawn_at],
            "changes": list(stream.schema_changes.select_related("decided_by")[:SHOWN]),
            "is_undecided": stream.schema_changes.undecided().exists(),
            "can_reset": rereads.can_reset(stream),
            "can_backfill": rereads.can_backfill(stream),
            "backfill": backfill,
            "policy": policy,
            "title": str(stream),
        }
        return TemplateResponse(request, PAGE, {**self._context(request, stream), **context}, status=status)

    def _context(self, request: HttpRequest, stream: Stream) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "stream": stream,
            "source": stream.source,
            "may_change": self.has_change_permission(request, stream.source),  # type: ignore[attr-defined]
        }


def what_it_does(stream: Stream, since: date | None) -> list[str]:
    """What reading it again will do, in sentences, before anybody presses the button."""
    rows = "an unknown number of rows" if stream.table_rows is None else plural(stream.table_rows, "row")
    now = f"{stream.source.dataset}.{stream.name} has {rows} now, {read_up_to(stream.cursor_value)}."
    key = ", ".join(stream.primary_key) or "their key"
    if since is None:
        does = [
            f"{stream} will be read again from the beginning. {now}",
            "The old rows stay until everything has been read; then the new ones replace them in one step. Rows that "
            "the system no longer has are gone afterwards. If reading fails, the old rows stay as they are.",
        ]
    else:
        by = f" (by {stream.cursor_field})" if stream.cursor_field else ""
        does = [
            f"{stream} will be read again {day_in_words(since)}. {now}",
            f"That brings {rereads.what_comes_again(stream)}{by} on that day or later. Rows are merged by {key}; "
            f"{rereads.what_goes(stream)}. Afterwards reading goes on from where it is now.",
        ]
    if not stream.is_enabled:
        does.append("The stream is switched off: this happens with the first sync after it is switched on.")
    elif stream.source.runs.active().exists():
        does.append("The source is being read right now: this begins as soon as that is through.")
    else:
        does.append("It begins at once.")
    return does


def agree(stream: Stream, user: Any) -> str:
    """Agree to the changed columns of a stream, start what was held, and say what happens now."""
    decided = schema_changes.agree(stream, user)
    if not decided:
        return "There is nothing to decide any more."
    told = " ".join(change.sentence for change in decided)
    audit.note(stream.source, user, f"Stream {stream.name}: agreed to changed columns. {told}")
    if not any(change.loaded_at is None for change in decided):
        return f"Noted that you have seen the changes of {stream}."
    started = request_sync(stream.source, streams=[stream.name])
    return f"Agreed. {stream} is loaded {'now' if started else 'with the next sync'}."


def _address(stream: Stream) -> str:
    return reverse("admin:sources_source_stream", args=[stream.pk])
