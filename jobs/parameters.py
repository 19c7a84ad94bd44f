"""A generator's parameters against the JSON schema on its card: defaults filled in, texts from forms understood.

The worker's pydantic model is where the schema comes from and has the last word; this side never imports it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from jobs.errors import BadParameters, FieldError


def fill(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of the schema, given or by default. Texts are read as numbers and booleans where those fit.

    Raises:
        BadParameters: unknown, out of range, or of the wrong type; names each field.
    """
    fields: dict[str, Any] = schema.get("properties", {})
    unknown = [FieldError(name, _unknown_message(fields)) for name in sorted(given.keys() - fields.keys())]
    if unknown:
        raise BadParameters(unknown)
    filled = {name: form["default"] for name, form in fields.items() if "default" in form}
    filled |= {name: _understood(value, fields[name], schema) for name, value in given.items()}
    endless = [name for name, value in filled.items() if isinstance(value, float) and not math.isfinite(value)]
    if endless:  # JSON has no word for them, and every comparison of the schema lets NaN pass
        raise BadParameters([FieldError(name, "must be a finite number") for name in endless])
    errors = sorted(Draft202012Validator(schema).iter_errors(filled), key=lambda error: list(map(str, error.path)))
    if errors:
        raise BadParameters([_field_error(error) for error in errors])
    return {name: _as_declared(value, fields[name]) for name, value in filled.items()}


def _understood(value: Any, form: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A form sends texts only: the text itself when the schema takes it, else what it says as JSON."""
    if not isinstance(value, str):
        return value
    if Draft202012Validator({**form, "$defs": schema.get("$defs", {})}).is_valid(value):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # the latter of a hundred thousand brackets
        return value


def _as_declared(value: Any, form: Mapping[str, Any]) -> Any:
    """`1` and `1.0` are one number to JSON schema but two texts in a key: numbers become floats, integers ints."""
    kinds = {kind.get("type") for kind in (form, *form.get("anyOf", ()))}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return float(value) if "number" in kinds else int(value)


def _field_error(error: Any) -> FieldError:
    name = ".".join(map(str, error.path))
    if error.validator == "required":
        name = next(one for one in error.validator_value if one not in error.instance)
        return FieldError(name, "is required")
    return FieldError(name, error.message)


def _unknown_message(fields: Mapping[str, Any]) -> str:
    return f"is not a parameter of this generator; it takes: {', '.join(fields) or 'none'}"
