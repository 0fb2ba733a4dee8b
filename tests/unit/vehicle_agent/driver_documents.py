"""Driver's documents judged by the schema in `docs/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA: dict[str, Any] = json.loads((DOCS / "driver-view.schema.json").read_text())

Draft202012Validator.check_schema(SCHEMA)
_VALIDATOR = Draft202012Validator(SCHEMA)


def check_document(document: Mapping[str, object]) -> dict[str, Any]:
    """Return the document as a reader gets it, after it was found to fit and to have no field that the schema does not name."""
    read: dict[str, Any] = json.loads(json.dumps(document, allow_nan=False))
    _VALIDATOR.validate(read)
    _check_names(read, _kind_of(read))
    return read


def _kind_of(document: dict[str, Any]) -> dict[str, Any]:
    for name in ("view", "hazard_event", "signal_event", "emergency_event", "road_sign_event"):
        found: dict[str, Any] = SCHEMA["$defs"][name]
        kinds = found["properties"].get("kind", {}).get("enum", [None])
        if found["properties"]["schema"]["const"] == document["schema"] and document.get("kind") in kinds:
            return found
    raise AssertionError(document)


def _check_names(value: object, schema: dict[str, Any]) -> None:
    for option in schema.get("oneOf", ()):
        if "$ref" in option and value is not None:
            schema = option
    if "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"]), schema["title"]
        for name, inner in value.items():
            _check_names(inner, schema["properties"][name])
    elif isinstance(value, list):
        for inner in value:
            _check_names(inner, schema["items"])
