"""Log in, log out, change the password, pick light or dark."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from portal.context import THEMES
from portal.demo_login import DEMO_PASSWORD, DEMO_USER

YEAR_SECONDS = 365 * 24 * 3600


class Login(LoginView):
    """In the demo the page says how to get in."""

    template_name = "account/login.html"
    redirect_authenticated_user = True
    extra_context = {"demo_user": DEMO_USER, "demo_password": DEMO_PASSWORD}


class Password(PasswordChangeView):
    template_name = "account/password.html"
    success_url = reverse_lazy("status")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice in a cookie, so that it works without script and before log-in."""
    chosen = request.POST.get("theme", "")
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
        back = "/"
    response = redirect(back)
    if chosen in THEMES:
        response.set_cookie("theme", chosen, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    return response
