"""Log in, log out, the password, light and dark."""

from __future__ import annotations

import pytest
from django.urls import reverse

from portal.demo_login import DEMO_PASSWORD
from tests.factories import UserFactory
from tests.portal.views.test_status import text_of

pytestmark = pytest.mark.django_db


def test_the_demo_says_how_to_get_in(client, settings):
    settings.DEMO = True
    assert DEMO_PASSWORD in text_of(client.get(reverse("login")))


def test_a_real_portal_says_nothing_of_the_kind(client, settings):
    settings.DEMO = False
    page = text_of(client.get(reverse("login")))
    assert DEMO_PASSWORD not in page
    assert "demo" not in page.lower()


def test_logging_in_leads_to_where_the_reader_wanted_to_go(client):
    UserFactory(username="ada")
    answer = client.post(
        reverse("login") + "?next=/incidents/",
        {"username": "ada", "password": "correct horse battery", "next": "/incidents/"},
    )
    assert answer.headers["Location"] == "/incidents/"


def test_a_wrong_password_is_said_without_saying_which_half_was_wrong(client):
    UserFactory(username="ada")
    page = text_of(client.post(reverse("login"), {"username": "ada", "password": "wrong"}))
    assert "That name and password do not belong together." in page


def test_logging_out_needs_a_press_and_leads_to_the_log_in(reader):
    assert reader.get(reverse("logout")).status_code == 405
    assert reader.post(reverse("logout")).headers["Location"] == reverse("login")
    assert reader.get("/").status_code == 302


def test_the_password_is_changed(client):
    user = UserFactory(username="ada")
    client.force_login(user)
    values = {
        "old_password": "correct horse battery",
        "new_password1": "staple gun 1887",
        "new_password2": "staple gun 1887",
    }
    assert "Your password is changed." in text_of(client.post(reverse("password"), values, follow=True))
    user.refresh_from_db()
    assert user.check_password("staple gun 1887")


def test_light_or_dark_is_kept(client):
    answer = client.post(reverse("theme"), {"theme": "dark", "next": "/account/login/"})
    assert answer.headers["Location"] == "/account/login/"
    assert 'data-theme="dark"' in client.get(reverse("login")).content.decode()


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_the_choice_of_theme_sends_nobody_elsewhere(client, evil):
    assert client.post(reverse("theme"), {"theme": "dark", "next": evil}).headers["Location"] == "/"


def test_a_theme_nobody_made_is_ignored(client):
    client.post(reverse("theme"), {"theme": '"><script>', "next": "/"})
    assert "theme" not in client.cookies
