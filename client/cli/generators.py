"""`orfeas generators`: what this service can make meshes with."""

from __future__ import annotations

import typer

from client.cli.options import ApiKey, AsJson, Url, connect
from client.cli.output import say, write_json, write_table
from client.core import DEFAULT_URL
from client.models import Generator


def generators(
    name: str | None = typer.Argument(None, help="Show the parameters of this one."),
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show the generators and, for one of them, its parameters."""
    with connect(url, api_key) as client:
        found = client.generators()
    if name is not None:
        found = [generator for generator in found if generator.name == name]
        if not found:
            raise typer.BadParameter(f"this service has no generator {name!r}; see `orfeas generators`")
    if as_json:
        write_json([generator.body for generator in found])
    elif name is not None:
        _show_parameters(found[0])
    else:
        write_table(("NAME", "AVAILABLE", "WHAT IT DOES"), [_row(generator) for generator in found])


def _row(generator: Generator) -> tuple[str, str, str]:
    available = "yes" if generator.available else f"no: {generator.unavailable_because or 'not on this fleet'}"
    name = f"{generator.name} (default)" if generator.default else generator.name
    return name, available, generator.title


def _show_parameters(generator: Generator) -> None:
    say(generator.title or generator.name)
    schemas = generator.parameters.get("properties", {})
    rows = [(name, _kind(one), _word(one, "default"), _word(one, "description")) for name, one in schemas.items()]
    write_table(("PARAMETER", "VALUES", "DEFAULT", "MEANING"), rows)


def _kind(schema: dict[str, object]) -> str:
    options = schema.get("enum")
    if isinstance(options, list):
        return " | ".join(str(option) for option in options)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    bounds = "" if low is None and high is None else f" {'' if low is None else low}…{'' if high is None else high}"
    return f"{schema.get('type', 'value')}{bounds}"


def _word(schema: dict[str, object], name: str) -> str:
    value = schema.get(name)
    return "" if value is None else str(value)
