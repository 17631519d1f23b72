"""Mails through a real SMTP server: what they say, whom they reach, and what happens when they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from quality import incidents, notifications
from quality.models import Incident, Notification
from tests.factories import SourceFactory, StaffFactory

pytestmark = pytest.mark.django_db

MORNING = datetime(2026, 11, 23, 9, 14, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(MORNING, tick=False) as traveller:
        yield traveller


def report(**values) -> Incident:
    return incidents.report(
        **{
            "kind": Incident.Kind.SYNC,
            "fingerprint": "sync:stripe",
            "title": "Stripe could not be synced",
            "sentence": "Stripe refused the key: it lacks the permission <customers:read>.",
            "affected": ["Stripe (billing): no new rows since 07:00.", "Built from it: mart_finance.mrr_monthly."],
            "path": "/runs/17/",
            "owner_email": "owner@example.com",
            **values,
        }
    )


def deliver() -> tuple[int, int]:
    return notifications.deliver_due(timezone.now())


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content().replace("\r\n", "\n"), html.get_content()


# --- what they say ----------------------------------------------------------------------------------------------------
def test_the_mail_says_what_happened_since_when_what_is_affected_and_what_to_do(mailbox, settings):
    settings.TIME_ZONE = "Europe/London"
    incident = report()
    assert deliver() == (1, 0)

    (mail,) = mailbox.mails
    text, html = parts(mail)
    link = f"https://portal.example.com{reverse('incident', args=[incident.pk])}"
    assert mail["Subject"] == "Stripe could not be synced"
    assert mail["To"] == "owner@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "multipart/alternative"
    assert text == (
        "Stripe could not be synced\n"
        "\n"
        "Stripe refused the key: it lacks the permission <customers:read>.\n"
        "\n"
        "Since Monday 23 November 2026, 09:14 (Europe/London, UTC+00:00).\n"
        "\n"
        "What is affected:\n"
        "- Stripe (billing): no new rows since 07:00.\n"
        "- Built from it: mart_finance.mrr_monthly.\n"
        "\n"
        "What to do next:\n"
        "Open the run, read what the source answered, and mend the connection or its\n"
        "permissions. Then press “Sync now”; the portal also tries again on schedule.\n"
        "\n"
        f"The incident: {link}\n"
        "More about it: https://portal.example.com/runs/17/\n"
        "\n"
        "You get one mail when this begins and one when it is over. Sent by the Data\n"
        "Portal at https://portal.example.com\n"
    )
    assert "&lt;customers:read&gt;" in html  # escaped, not a tag
    assert "no new rows since 07:00." in html
    assert f'href="{link}"' in html
    assert "prefers-color-scheme: dark" in html
    assert '<h1 style="' in html  # inlined: most mail programs drop style sheets


def test_summer_time_is_named_with_its_offset(settings):
    settings.TIME_ZONE = "Europe/London"
    summer = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    assert notifications.in_full(summer) == "Wednesday 1 July 2026, 13:00 (Europe/London, UTC+01:00)"
    settings.TIME_ZONE = "UTC"
    assert notifications.in_full(summer) == "Wednesday 1 July 2026, 12:00 (UTC)"


def test_the_all_clear_says_how_it_ended_and_how_long_it_lasted(mailbox, clock):
    report()
    clock.shift(timedelta(hours=2, minutes=5))
    incidents.resolve("sync:stripe", "Stripe was synced again without trouble.")
    assert deliver() == (2, 0)

    opened, resolved = mailbox.mails
    text, html = parts(resolved)
    assert resolved["Subject"] == "All clear: Stripe could not be synced"
    assert "Stripe was synced again without trouble." in text
    assert "It lasted 2 h 5 min: from Monday 23 November 2026, 09:14 (UTC)\n" in text
    assert "to Monday 23 November 2026, 11:19 (UTC)." in text
    assert "All clear" in html
    assert resolved["References"] == opened["References"]


def test_lines_are_short_and_links_whole(mailbox):
    report(sentence="word " * 200, affected=["x" * 120, "many words " * 30], path="/" + "p" * 100)
    deliver()
    text, _ = parts(mailbox.mails[0])
    long_lines = [line for line in text.splitlines() if len(line) > 76]
    assert all(" " not in line.strip("- ").removeprefix("More about it: ") for line in long_lines)


@pytest.mark.parametrize("title", ["Bad\r\nBcc: thief@example.com", "a\x00b\u2028c", "long " * 100])
def test_a_title_cannot_forge_a_header(mailbox, title):
    report(title=title[:255])
    assert deliver() == (1, 0)
    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    assert len(mail["Subject"]) <= 150
    assert "\n" not in mail["Subject"]


# --- what happens when they do not reach anybody ----------------------------------------------------------------------
def test_a_refused_address_is_said_and_not_tried_again(mailbox, clock):
    mailbox.refused["owner@example.com"] = "550 5.1.1 No such user"
    report()
    assert deliver() == (0, 1)
    notification = Notification.objects.get()
    assert notification.state == "gave_up"
    assert notification.error == (
        "The mail server refuses the address owner@example.com for good: 550 5.1.1 No such user. It is not tried again."
    )
    clock.shift(timedelta(days=1))
    assert deliver() == (0, 0)


def test_one_refused_address_does_not_keep_the_others_waiting(mailbox, settings):
    settings.FALLBACK_OWNER_EMAIL = ""
    mailbox.refused["one@example.com"] = "550 No"
    StaffFactory(email="one@example.com")
    StaffFactory(email="two@example.com")
    report(owner_email="")
    assert deliver() == (1, 1)
    assert [mail["To"] for mail in mailbox.mails] == ["two@example.com"]


def test_a_greylisted_address_is_tried_again(mailbox, clock):
    mailbox.refused["owner@example.com"] = "451 4.7.1 Try again later"
    report()
    assert deliver() == (0, 1)
    notification = Notification.objects.get()
    assert notification.state == "retrying"
    assert "does not take mail for owner@example.com just now" in notification.error
    mailbox.refused.clear()
    assert deliver() == (0, 0)  # not due yet
    clock.shift(timedelta(minutes=1))
    assert deliver() == (1, 0)
    notification.refresh_from_db()
    assert (notification.state, notification.error, notification.attempts) == ("sent", "", 2)


def test_a_mail_refused_for_its_content_is_given_up(mailbox):
    mailbox.answer_to_data = "554 5.7.1 Looks like spam"
    report()
    assert deliver() == (0, 1)
    assert Notification.objects.get().error.startswith("The mail server refuses this mail for good: 554 5.7.1 Looks")


def test_a_server_that_is_down_is_tried_after_1_5_15_60_and_240_minutes(mailbox, clock):
    mailbox.stop()
    report()
    waits = []
    for _ in range(6):
        assert deliver() == (0, 1)
        notification = Notification.objects.get()
        waits.append((notification.next_attempt_at - timezone.now()) / timedelta(minutes=1))
        clock.move_to(notification.next_attempt_at)
    assert waits == [1, 5, 15, 60, 240, 240]
    assert notification.state == "retrying"
    assert notification.error.startswith("The mail server could not be reached or broke off. ConnectionRefusedError")
    assert list(Notification.objects.in_trouble()) == [notification]

    clock.shift(timedelta(days=7))
    assert deliver() == (0, 1)
    notification.refresh_from_db()
    assert notification.state == "gave_up"
    assert "Given up after 7 attempts in 7 days." in notification.error


def test_a_wrong_log_in_is_said_without_the_password(mailbox, settings):
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "s3cret-s3cret"
    report()
    assert deliver() == (0, 1)
    notification = Notification.objects.get()
    assert notification.state == "retrying"
    assert "s3cret" not in notification.error


def test_a_mail_without_anybody_finds_its_reader_later(mailbox, settings, clock):
    settings.FALLBACK_OWNER_EMAIL = ""
    report(owner_email="")
    assert deliver() == (0, 1)
    assert Notification.objects.get().state == "nobody"
    StaffFactory(email="one@example.com")
    StaffFactory(email="two@example.com")
    clock.shift(timedelta(hours=1))
    deliver()
    deliver()
    assert sorted(mail["To"] for mail in mailbox.mails) == ["one@example.com", "two@example.com"]
    assert not Notification.objects.undelivered().exists()


def test_two_workers_send_a_mail_once(mailbox, monkeypatch):
    report()
    real = notifications.mail.send

    def meanwhile(*args, **kwargs):
        monkeypatch.setattr(notifications.mail, "send", real)
        assert deliver() == (0, 0)  # another worker sweeps while this one talks to the server
        real(*args, **kwargs)

    monkeypatch.setattr(notifications.mail, "send", meanwhile)
    assert deliver() == (1, 0)
    assert len(mailbox.mails) == 1


def test_a_mail_whose_worker_died_is_sent_by_the_next(mailbox, clock, monkeypatch):
    report()

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(notifications.mail, "send", die)
        with pytest.raises(KeyboardInterrupt):
            deliver()
    assert deliver() == (0, 0)
    clock.shift(notifications.LEASE)
    assert deliver() == (1, 0)


def test_the_demo_keeps_mails_as_files(settings, tmp_path):
    report()
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mails")
    assert deliver() == (1, 0)
    assert len(list((tmp_path / "mails").iterdir())) == 1


def test_many_mails_cost_few_queries_each(mailbox, django_assert_num_queries):
    source = SourceFactory()
    for number in range(5):
        report(fingerprint=f"sync:{number}", source=source)
    # What is due, then for each: take it, note that it was sent.
    with django_assert_num_queries(1 + 5 * 2):
        assert deliver() == (5, 0)
