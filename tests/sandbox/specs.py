"""The official API descriptions as JSON Schemas, and the recordings, for comparing shapes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def _plain(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` said in JSON Schema."""
    if isinstance(node, list):
        return [_plain(child) for child in node]
    if not isinstance(node, dict):
        return node
    converted = {key: _plain(value) for key, value in node.items() if key not in {"nullable", "example", "examples"}}
    return {"anyOf": [converted, {"type": "null"}]} if node.get("nullable") is True else converted


@cache
def spec(vendor: str) -> dict[str, Any]:
    return json.loads((FIXTURES / vendor / "openapi.subset.json").read_text())


@cache
def _components(vendor: str) -> dict[str, Any]:
    return _plain(spec(vendor)["components"])


@cache
def validator(vendor: str, path: str) -> Draft202012Validator:
    """Validates the 200 answer of ``GET path`` as the vendor describes it."""
    answer = spec(vendor)["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return Draft202012Validator({"components": _components(vendor), **_plain(answer)})


@cache
def schema_validator(vendor: str, name: str) -> Draft202012Validator:
    """Validates one named object."""
    return Draft202012Validator({"components": _components(vendor), "$ref": f"#/components/schemas/{name}"})


def complaints(check: Draft202012Validator, body: Any) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in check.iter_errors(body)]


def recordings(vendor: str) -> Iterator[dict[str, Any]]:
    """Every recorded exchange of a vendor."""
    for path in sorted((FIXTURES / vendor / "recorded").glob("*.json")):
        yield from json.loads(path.read_text())["interactions"]


def recorded_objects(vendor: str, kind: str, version: str | None = None) -> Iterator[dict[str, Any]]:
    """Every recorded answer whose ``object`` is of this kind, of one API version if named."""
    for exchange in recordings(vendor):
        body = exchange["response"]["body"]
        said = {key.lower(): value for key, value in exchange["response"]["headers"].items()}
        if isinstance(body, dict) and body.get("object") == kind and version in (None, said.get("stripe-version")):
            yield body
