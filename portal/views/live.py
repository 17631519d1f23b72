"""Regions of a page that keep themselves current: the same template serves the page and the refresh.

A region carries a digest of what it shows. A refresh that would show the same is answered with 204, so the page is not
touched: the reader keeps focus, selection and place. A region that has come to its end stops asking (286).

What the reader has unfolded (`<details data-open="key">`) comes along with each refresh as `open=key`, so the answer
has it unfolded too; the same parameter works in the address of the page.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

STOP_POLLING = 286


@dataclass(frozen=True)
class Region:
    html: SafeString
    digest: str
    every: int | None  # seconds between refreshes; None: nothing more will change

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The answer to a refresh."""
        if self.digest == request.GET.get("seen"):
            return HttpResponse(status=204)
        return HttpResponse(self.html, status=200 if self.every else STOP_POLLING)


def opened(request: HttpRequest) -> frozenset[str]:
    """What the reader has unfolded."""
    return frozenset(request.GET.getlist("open"))


def region(
    request: HttpRequest,
    key: str,
    template: str,
    context: dict[str, Any],
    *,
    address: str,
    every: int | None,
    keep: Collection[str] = (),
) -> Region:
    """Render `template` as the region `key`, which asks `address` again after `every` seconds.

    `keep` names the parameters of this request (filter, page) that the refresh must repeat.
    """
    inner = render_to_string(template, {**context, "opened": opened(request)}, request)
    digest = blake2s(f"{every}{inner}".encode(), digest_size=8).hexdigest()
    query = [("seen", digest), *((name, request.GET[name]) for name in keep if name in request.GET)]
    html = render_to_string(
        "partials/_region.html",
        {"key": key, "inner": inner, "address": f"{address}?{urlencode(query)}", "every": every},
    )
    return Region(html, digest, every)
