"""Puts the settings of the server into the chart's values.schema.json: `make docs`."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_type_hints

from nextlabel_server.settings import Settings

SCHEMA = Path(__file__).parent / "nextlabel/values.schema.json"

# What other values of the chart decide.
OWN = {"address", "health_address", "metrics_address", "models", "compute_threads"}
OWN |= {"tls_certificate", "tls_key", "tls_client_ca", "tokens", "drain_seconds", "grace_seconds"}

TYPES = {int: "integer", float: "number", bool: "boolean"}


def camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def schema_of(field: dataclasses.Field[Any], hint: object) -> dict[str, Any]:
    """What JSON Schema says of one setting."""
    declared = field.metadata
    kind = TYPES.get(hint, "string") if isinstance(hint, type) else "string"
    schema: dict[str, Any] = {"description": declared["help"], "type": kind}
    for name in ("minimum", "maximum"):
        if declared[name] is not None:
            schema[name] = declared[name]
    if declared["choices"]:
        schema["enum"] = list(declared["choices"])
    return schema


def main() -> None:
    hints = get_type_hints(Settings)
    schema = json.loads(SCHEMA.read_text())
    schema["properties"]["settings"]["properties"] = {
        camel_case(field.name): schema_of(field, hints[field.name])
        for field in dataclasses.fields(Settings)
        if field.name not in OWN
    }
    SCHEMA.write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    main()
