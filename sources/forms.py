"""The form of a source: its own settings, and its connector's fields as that connector declares them.

`source_form(connector)` makes the class. Plain settings end up in `Source.config`; secrets go into `Source.secrets`
and never come back: a stored one is shown as "set", an empty input keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.core.validators import RegexValidator, URLValidator
from django.utils.module_loading import import_string
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from portal.failures import PortalError
from sources.connectors.base import Connector, FieldKind, FormField
from sources.engines import engine_for
from sources.forms_schedule import ScheduleFields
from sources.models import Source
from sources.secrets import check_reference, reference

PREFIX = "setting_"
FORGET = "forget_"

# Connectors whose settings are more than fields.
FORMS = {"rest": "sources.forms_endpoints.RestSourceForm"}

# Where a secret is sent. When this changes, a stored secret does not follow: whoever edits must know it.
_ADDRESS_NAMES = {"host", "hostname", "server", "base_url", "api_base_url", "url"}


class _Referable:
    """Accepts `${NAME}` in place of a value of its own type."""

    def clean(self, value: Any) -> Any:
        text = value.strip() if isinstance(value, str) else value
        if reference(text):
            try:
                check_reference(text)
            except ValueError as error:
                raise forms.ValidationError(str(error)) from None
            return text
        return super().clean(value)  # type: ignore[misc]


class TextSetting(_Referable, forms.CharField):
    pass


class IntegerSetting(_Referable, forms.IntegerField):
    pass


def _no_log_in(url: str) -> None:
    if "@" in urlsplit(url).netloc:
        raise forms.ValidationError("Leave the user name and password out of the address: it is shown to others.")


class UrlSetting(_Referable, forms.CharField):
    default_validators = [
        URLValidator(schemes=["http", "https"], message="This is not an address like https://…."),
        _no_log_in,
    ]


class ListSetting(forms.CharField):
    """One value a line; a list of strings in the settings."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class SecretTextarea(UnfoldAdminTextareaWidget):
    """A secret of several lines. Like a password input it never shows a value, not even the one just posted."""

    def format_value(self, value: Any) -> str | None:
        return None


def _form_field(field: FormField) -> forms.Field:
    common: dict[str, Any] = {"label": field.label, "help_text": field.help, "required": field.required}
    attrs: dict[str, Any] = {"placeholder": field.placeholder} if field.placeholder else {}
    if field.is_secret:
        # "new-password" is what browsers obey: "off" lets them put the portal's own password into a token field.
        attrs |= {
            "autocomplete": "new-password",
            "spellcheck": "false",
            "data-1p-ignore": "",
            "data-lpignore": "true",
        }
    if field.only_for is not None:
        common["required"] = False  # whether it is needed depends on a choice: the form looks
        attrs["data-only-for"] = f"{PREFIX}{field.only_for[0]}={' '.join(field.only_for[1])}"
    match field.kind:
        case FieldKind.SECRET:
            return TextSetting(**common, widget=UnfoldAdminPasswordWidget(attrs=attrs))
        case FieldKind.SECRET_TEXT:
            return TextSetting(**common, widget=SecretTextarea(attrs={**attrs, "rows": 6, "autocapitalize": "none"}))
        case FieldKind.INTEGER:
            # A text input with a number keypad: number inputs swallow what they do not understand.
            widget = UnfoldAdminTextInputWidget(attrs={**attrs, "inputmode": "numeric"})
            return IntegerSetting(**common, initial=field.default, widget=widget)
        case FieldKind.BOOLEAN:
            common["required"] = False
            return forms.BooleanField(**common, initial=bool(field.default), widget=UnfoldBooleanWidget(attrs=attrs))
        case FieldKind.CHOICE:
            return forms.ChoiceField(
                **common, choices=field.choices, initial=field.default, widget=UnfoldAdminSelectWidget(attrs=attrs)
            )
        case FieldKind.URL:
            # The admin's own address widget would link to the stored value; here it is only ever typed.
            attrs |= {"inputmode": "url", "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
            return UrlSetting(**common, initial=field.default, widget=UnfoldAdminTextInputWidget(attrs=attrs))
        case FieldKind.LIST:
            widget = UnfoldAdminTextareaWidget(attrs={**attrs, "rows": 4})
            return ListSetting(**common, initial=field.default, widget=widget)
    return TextSetting(
        **common,
        initial=field.default,
        widget=UnfoldAdminTextInputWidget(attrs={**attrs, "autocomplete": "off", "spellcheck": "false"}),
    )


def clean_setting(field: FormField, value: Any) -> Any:
    """`value` (from a file) as the form would keep it; raises `ValidationError` with sentences."""
    wanted: dict[FieldKind, tuple[type, ...]] = {
        FieldKind.BOOLEAN: (bool,),
        FieldKind.INTEGER: (int,),
        FieldKind.LIST: (list,),
    }
    fits = wanted.get(field.kind, (str,))
    if reference(value) is None and (not isinstance(value, fits) or (isinstance(value, bool) and bool not in fits)):
        words = {bool: "true or false", int: "a whole number", list: "a list"}.get(fits[0], "text in quotes")
        raise forms.ValidationError(f"This should be {words}.")
    if field.kind is FieldKind.LIST and isinstance(value, list):
        value = "\n".join(str(item) for item in value)
    if field.kind is FieldKind.BOOLEAN and reference(value) is not None:
        return value
    return _form_field(field).clean(value)


def stored_secrets(source: Source) -> tuple[Mapping[str, str], str]:
    """What is stored, and a sentence when it cannot be opened (a key was lost): the form must open all the same."""
    if source.pk is None:
        return {}, ""
    try:
        return source.secrets, ""
    except PortalError as error:
        return {}, f"{error.sentence} Enter them again to replace them."


class SourceForm(ScheduleFields, forms.ModelForm):
    """A source of one connector. After `is_valid()`: `settings` (config) and `new_secrets` (all secrets to keep)."""

    connector: ClassVar[Connector | None] = None

    slug = forms.CharField(
        label="Short name",
        max_length=40,
        help_text="Lower-case letters, digits and hyphens. Its tables are kept under this name in the warehouse, so it cannot be changed later.",
        validators=[
            RegexValidator(
                r"^[a-z][a-z0-9]*(?:-[a-z0-9]+)*\Z",
                "Use lower-case letters, digits and single hyphens, beginning with a letter: for example stripe-eu.",
            )
        ],
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )

    class Meta:
        model = Source
        fields = ("name", "slug", "owner", "is_enabled", "timezone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = self.instance
        self.stored, self.secrets_problem = stored_secrets(source)
        self.settings: dict[str, Any] = dict(source.config)
        self.new_secrets: dict[str, str] = dict(self.stored)
        if source.pk:
            self.fields["slug"].disabled = True
            self.fields["slug"].validators = []  # it was chosen once, also by a file that knows other rules
            self.fields["slug"].help_text = f"Its tables are in {source.dataset}. It cannot be changed."
        if "owner" in self.fields:
            self.fields["owner"].empty_label = "Nobody"  # type: ignore[attr-defined]
        for field in self._connector_fields:
            self._prepare(field)

    # --- what the template and the admin ask ---------------------------------------------------------------------
    @property
    def _connector_fields(self) -> tuple[FormField, ...]:
        return self.connector.fields if self.connector else ()

    def everyday_settings(self) -> list[forms.BoundField]:
        return [self[PREFIX + field.name] for field in self._connector_fields if not field.is_advanced]

    def advanced_settings(self) -> list[forms.BoundField]:
        return [self[PREFIX + field.name] for field in self._connector_fields if field.is_advanced]

    def advanced_is_open(self) -> bool:
        """Shown unfolded when something in there needs attention or is not as delivered."""
        return any(
            self.errors.get(bound.name) or (self.instance.pk and bound.value() not in ("", None, bound.field.initial))
            for bound in self.advanced_settings()
        )

    def connection_errors(self) -> dict[str, list[str]]:
        """Label → sentences, of the connector's fields only: the rest does not matter for a test."""
        return {
            str(bound.label): [str(error) for error in bound.errors]
            for bound in [*self.everyday_settings(), *self.advanced_settings()]
            if bound.errors
        }

    def more_changes(self) -> list[str]:
        """Sentences for the history about what is no field of this form."""
        return []

    def streams_may_have_changed(self) -> bool:
        """Whether what was edited decides which streams there are, so that somebody must look."""
        return False

    def connection_has_changed(self) -> bool:
        return any(name.startswith((PREFIX, FORGET)) for name in self.changed_data)

    def is_secret(self, name: str) -> bool:
        return any(name == PREFIX + field.name and field.is_secret for field in self._connector_fields)

    def changed_secrets(self) -> list[str]:
        """The labels of secrets that were entered or removed."""
        return [
            field.label
            for field in self._connector_fields
            if field.is_secret
            and (PREFIX + field.name in self.changed_data or FORGET + field.name in self.changed_data)
        ]

    # --- filling in -------------------------------------------------------------------------------------------------
    def _prepare(self, field: FormField) -> None:
        name = PREFIX + field.name
        form_field = self.fields[name]
        if not field.is_secret:
            if field.name in self.instance.config:
                self.initial[name] = self.instance.config[field.name]
            return
        if field.name not in self.stored:
            self.fields.pop(FORGET + field.name)
            return
        variable = reference(self.stored[field.name])
        form_field.required = False
        form_field.is_set = True  # type: ignore[attr-defined]
        form_field.is_set_text = (  # type: ignore[attr-defined]
            f"Read from the environment variable {variable}" if variable else "Set"
        )
        form_field.forget = self[FORGET + field.name]  # type: ignore[attr-defined]
        form_field.widget.attrs["placeholder"] = "Leave empty to keep"

    # --- checking ---------------------------------------------------------------------------------------------------
    def clean_slug(self) -> str:
        slug = self.cleaned_data["slug"]
        if self.instance.pk:
            return self.instance.slug
        schema = Source(slug=slug).dataset
        for other in Source.objects.only("slug", "name"):
            if other.dataset == schema:
                raise forms.ValidationError(f"“{other.name}” already keeps its tables under this name.")
        return slug

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for field in self._connector_fields:
            name = PREFIX + field.name
            if name not in data:
                continue
            if not field.applies(self.settings):
                self.settings.pop(field.name, None)
                self.new_secrets.pop(field.name, None)
            elif field.only_for and field.required and not data[name] and field.name not in self.stored:
                self.add_error(name, "This field is required.")
            elif field.is_secret:
                self._take_secret(field, data[name], forget=bool(data.get(FORGET + field.name)))
            elif data[name] in ("", None, []) and not field.required:
                self.settings.pop(field.name, None)
            else:
                self.settings[field.name] = data[name]
        self._keep_secrets_at_home()
        return data

    def _take_secret(self, field: FormField, value: str, *, forget: bool) -> None:
        if value:
            self.new_secrets[field.name] = value
        elif forget:
            if field.required and self.cleaned_data.get("is_enabled"):
                self.add_error(
                    PREFIX + field.name,
                    "Nothing can be read without it: enter a new one, or switch the source off to remove it.",
                )
            else:
                self.new_secrets.pop(field.name, None)

    def _keep_secrets_at_home(self) -> None:
        """A stored secret is only ever sent to the address it was entered for."""
        if not self.instance.pk:
            return
        moved = [
            field.label
            for field in self._connector_fields
            if (field.kind is FieldKind.URL or field.name in _ADDRESS_NAMES)
            # Not said and said as delivered are the same place.
            and (self.settings.get(field.name) or field.default)
            != (self.instance.config.get(field.name) or field.default)
        ]
        if not moved:
            return
        for field in self._connector_fields:
            kept = field.is_secret and not self.cleaned_data.get(PREFIX + field.name)
            if kept and field.name in self.stored and field.name in self.new_secrets:
                self.add_error(
                    PREFIX + field.name,
                    f"Enter it again: “{moved[0]}” was changed, and a stored secret is only sent to the address it was "
                    "entered for.",
                )

    def save(self, commit: bool = True) -> Source:
        source = self.instance
        if self.connector:
            source.connector = self.connector.name
            source.engine = engine_for(source.connector)
            source.config = self.settings
            if not self.secrets_problem or self.changed_secrets():
                source.secrets = self.new_secrets
        source.schedule = self.cleaned_schedule
        return super().save(commit)


def source_form(connector: Connector | None) -> type[SourceForm]:
    """The form class for sources of `connector`; None for a source whose connector is not there."""
    base = import_string(FORMS[connector.name]) if connector and connector.name in FORMS else SourceForm
    fields: dict[str, Any] = {"connector": connector}
    for field in connector.fields if connector else ():
        fields[PREFIX + field.name] = _form_field(field)
        # Marked as needed for whom it is shown.
        fields[PREFIX + field.name].is_needed = bool(field.only_for and field.required)
        if field.is_secret:
            fields[FORGET + field.name] = forms.BooleanField(
                label=f"Remove the stored {field.label}", required=False, widget=UnfoldBooleanWidget()
            )
    name = re.sub(r"\W", "", connector.label) if connector else "Unknown"
    return type(f"{name}SourceForm", (base,), fields)


def setting_names(form_class: type[SourceForm]) -> list[str]:
    """The names of the connector's fields in that form, for the admin's field list."""
    return [name for name in form_class.base_fields if name.startswith((PREFIX, FORGET))]
