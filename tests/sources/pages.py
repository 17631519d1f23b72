"""What a browser would send from a page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Form(HTMLParser):
    """Collects the inputs of the form with the id `form`, or of the first element with that class."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker
        self.depth = 0
        self.data: dict[str, Any] = {}
        self.inputs: list[dict[str, str]] = []
        self.labelled: set[str] = set()
        self.text: list[str] = []
        self._select = ""
        self._textarea = ""
        self._first_option = True

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        attrs = {name: value or "" for name, value in pairs}
        if not self.depth and self.marker not in (attrs.get("id"), *attrs.get("class", "").split()):
            return
        if tag not in ("input", "br", "hr", "img", "link", "meta"):
            self.depth += 1
        if tag == "label" and "for" in attrs:
            self.labelled.add(attrs["for"])
        if tag in ("input", "select", "textarea"):
            self.inputs.append({"tag": tag, **attrs})
        name = attrs.get("name", "")
        if tag == "input" and name:
            self._input(name, attrs)
        elif tag == "select" and name:
            self._select, self._first_option = name, True
        elif tag == "option" and self._select and ("selected" in attrs or self._first_option):
            self.data[self._select] = attrs.get("value", "")
            self._first_option = False
        elif tag == "textarea" and name:
            self._textarea, self.data[name] = name, ""

    def _input(self, name: str, attrs: dict[str, str]) -> None:
        if attrs.get("type") in ("checkbox", "radio"):
            if "checked" in attrs:
                self.data.setdefault(name, []).append(attrs.get("value", "on"))
        elif "disabled" not in attrs:
            self.data[name] = attrs.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.data[self._textarea] += data.strip()
        elif self.depth:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if self.depth:
            self.depth -= 1
        if tag == "select":
            self._select = ""
        if tag == "textarea":
            self._textarea = ""


def form_of(page: Any, marker: str = "source_form") -> _Form:
    """The form as a person has it before them: `.data`, `.inputs`, `.labelled`, `.text`."""
    parser = _Form(marker)
    parser.feed(page.content.decode())
    return parser


def posted(page: Any, **changes: Any) -> dict[str, Any]:
    """What a browser would send from that page, with `changes`; a value of None leaves the input out."""
    return {name: value for name, value in {**form_of(page).data, **changes}.items() if value is not None}
