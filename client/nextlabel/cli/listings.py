"""`nextlabel strategies`, `models` and `info`: what a server has, for people or as JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from google.protobuf import json_format, struct_pb2
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from nextlabel import Client
from nextlabel.cli.connection import with_client
from nextlabel.v1 import catalog_pb2

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON, with every detail.")


@click.command()
@as_json
@with_client
def strategies(client: Client, *, as_json: bool) -> None:
    """Lists query strategies and sampling methods."""
    strategies, samplings = client.strategies(), client.samplings()
    if as_json:
        _write_json({"strategies": _plain(strategies), "samplings": _plain(samplings)})
        return
    _write_table(
        ("strategy", "family", "needs", "parameters", "description"),
        (
            (s.name, s.family, _needs(s.tensors), _parameters(s.parameters), s.description)
            for s in strategies
        ),
    )
    _write_table(
        ("sampling", "parameters", "description"),
        ((s.name, _parameters(s.parameters), s.description) for s in samplings),
    )


@click.command()
@as_json
@with_client
def models(client: Client, *, as_json: bool) -> None:
    """Lists the models of a server, all their versions, and what is wrong with them."""
    models = client.models()
    if as_json:
        _write_json(_plain(models))
        return
    if not models:
        click.echo("no models", err=True)
        return
    _write_table(
        ("model", "version", "inputs", "outputs", "activation", "stochastic", "batch", "problem"),
        (
            (
                model.name,
                version.version,
                _tensors(version.inputs),
                _tensors(version.outputs),
                version.activation,
                "yes" if version.stochastic else "",
                str(version.batch_size or ""),
                _problem(version),
            )
            for model in models
            for version in model.versions
        ),
    )


@click.command()
@as_json
@with_client
def info(client: Client, *, as_json: bool) -> None:
    """Shows a server's version and limits."""
    info = _plain(client.info())
    if as_json:
        _write_json(info)
    else:
        _write_table(("server", ""), ((name, str(value)) for name, value in info.items()))


def _needs(tensors: Iterable[catalog_pb2.TensorDeclaration]) -> str:
    return "\n".join(
        f"{tensor.name} [{', '.join(tensor.shape)}]" for tensor in tensors if tensor.required
    )


def _parameters(parameters: Iterable[catalog_pb2.ParameterDeclaration]) -> str:
    return "\n".join(
        f"{p.name}={_plain(p.default_value)}" if p.HasField("default_value") else p.name
        for p in parameters
    )


def _tensors(tensors: Iterable[catalog_pb2.ModelTensor]) -> str:
    lines = []
    for tensor in tensors:
        shape = ", ".join("any" if size < 0 else str(size) for size in tensor.shape)
        role = catalog_pb2.OutputRole.Name(tensor.role).removeprefix("OUTPUT_ROLE_").lower()
        used = f" → {role}" if tensor.role else ""
        lines.append(f"{tensor.name}: {tensor.onnx_type} [{shape}]{used}")
    return "\n".join(lines)


def _problem(version: catalog_pb2.ModelVersion) -> str:
    if version.file_problem:
        return f"goes on as it was before its file changed: {version.file_problem}"
    return version.problem


def _write_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table()
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row)
    # Only a terminal has an edge to wrap at.
    width = None if sys.stdout.isatty() else 1000
    # Markup is off, for shapes look like it.
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)
    sys.stdout.flush()


def _write_json(values: Any) -> None:  # noqa: ANN401 - any JSON
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


def _plain(value: Any) -> Any:  # noqa: ANN401 - a message, or what its fields hold
    """A message as JSON values; protobuf's own mapping makes 64-bit numbers text."""
    if isinstance(value, struct_pb2.Value):
        return json_format.MessageToDict(value)
    if isinstance(value, Message):
        return {
            field.name: _named(field, getattr(value, field.name))
            for field in value.DESCRIPTOR.fields
            if not field.has_presence or value.HasField(field.name)
        }
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        return value
    return [_plain(each) for each in value]


def _named(field: Any, value: Any) -> Any:  # noqa: ANN401 - protobuf's descriptors and values
    """The names of an enum field's numbers."""
    if field.enum_type is None:
        return _plain(value)
    names = field.enum_type.values_by_number
    if field.is_repeated:
        return [names[number].name for number in value]
    return names[value].name
