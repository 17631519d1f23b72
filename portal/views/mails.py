"""The mails the portal owes people: delivered, or not and why."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal.views.access import require
from quality.models import Notification

A_PAGE = 25
FILTERS = {"all": "All", "undelivered": "Not delivered", "delivered": "Delivered"}


@require_safe
@require("quality.view_notification")
def index(request: HttpRequest) -> HttpResponse:
    chosen = request.GET.get("state", "all")
    mails = Notification.objects.defer("text", "html").order_by("-pk")
    if chosen == "undelivered":
        mails = mails.undelivered()
    elif chosen == "delivered":
        mails = mails.filter(sent_at__isnull=False)
    context = {
        "now": timezone.now(),
        "page": Paginator(mails, A_PAGE).get_page(request.GET.get("page")),
        "filters": FILTERS,
        "chosen": chosen if chosen in FILTERS else "all",
    }
    return render(request, "mails.html", context)


@require_safe
@require("quality.view_notification")
def page(request: HttpRequest, pk: int) -> HttpResponse:
    mail = get_object_or_404(Notification.objects.select_related("incident"), pk=pk)
    return render(request, "mail.html", {"now": timezone.now(), "mail": mail})
