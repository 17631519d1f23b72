"""Fields of a form that no invented system has: a secret of several lines."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from sources.connectors import all_connectors
from sources.models import Source
from tests.sources.pages import form_of, posted

ADD = "/admin/sources/source/add/?connector=google_sheets"
KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "portal@acme.iam.gserviceaccount.com",
        "private_key": "-----BEGIN PRIVATE KEY-----\nMIIEvQsecret+part\n-----END PRIVATE KEY-----\n",
    },
    indent=2,
)
pytestmark = pytest.mark.usefixtures("sent")


def save(staff, **changes):
    data = posted(staff.get(ADD), setting_service_account_key=KEY, setting_spreadsheet="1abcDEF", **changes)
    return staff.post(ADD, data)


def test_a_json_key_is_pasted_into_an_area_of_several_lines(staff):
    area = next(each for each in form_of(staff.get(ADD)).inputs if each.get("name") == "setting_service_account_key")
    assert area["tag"] == "textarea"
    assert (area["autocomplete"], area["spellcheck"]) == ("new-password", "false")
    assert "required" in area


def test_a_json_key_is_kept_encrypted_and_never_shown_again(staff):
    response = save(staff)
    assert response.status_code == 302, response.context["adminform"].form.errors
    source = Source.objects.get()
    assert json.loads(source.secrets["service_account_key"]) == json.loads(KEY)
    assert "service_account_key" not in source.config
    page = staff.get(reverse("admin:sources_source_change", args=[source.pk]))
    assert "MIIEvQsecret" not in page.content.decode()
    assert "Leave the field empty to keep it" in page.content.decode()


def test_a_form_with_a_mistake_elsewhere_does_not_send_the_key_back(staff):
    response = save(staff, name="")
    assert response.status_code == 200
    assert "This field is required" in response.content.decode()
    assert "MIIEvQsecret" not in response.content.decode()


def test_an_empty_area_keeps_the_stored_key(staff):
    save(staff)
    source = Source.objects.get()
    address = reverse("admin:sources_source_change", args=[source.pk])
    response = staff.post(address, posted(staff.get(address), name="Plan of finance"))
    assert response.status_code == 302, response.context["adminform"].form.errors
    source.refresh_from_db()
    assert source.name == "Plan of finance"
    assert json.loads(source.secrets["service_account_key"]) == json.loads(KEY)


def test_a_short_name_that_a_file_chose_can_be_saved_again(staff):
    save(staff)
    Source.objects.update(slug="google_sheets")
    source = Source.objects.get()
    address = reverse("admin:sources_source_change", args=[source.pk])
    assert staff.post(address, posted(staff.get(address))).status_code == 302


def test_a_short_name_is_suggested_that_the_form_accepts(staff):
    assert form_of(staff.get(ADD)).data["slug"] == "google-sheets"


@pytest.mark.parametrize("connector", all_connectors(), ids=lambda connector: connector.name)
def test_every_real_connector_says_what_it_needs_before_and_on_its_form(staff, connector):
    card = staff.get("/admin/sources/source/add/").content.decode()
    form = staff.get(f"/admin/sources/source/add/?connector={connector.name}").content.decode()
    for said in (*connector.permissions, *(limit.in_words for limit in connector.rate_limits)):
        text = said.replace("&", "&amp;").replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;")
        assert text in card, said
        assert text in form, said
    assert f"Choose {connector.label}" in card
