"""`nextlabel serve`: an option and a variable for every field of Settings."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import click
from prometheus_client import disable_created_metrics

from nextlabel._extras import needing
from nextlabel_server import logs
from nextlabel_server.app import Server
from nextlabel_server.inference import RepositoryError
from nextlabel_server.listening import AddressInUse
from nextlabel_server.reloaded import FileFault
from nextlabel_server.settings import Settings


class _Number(click.FloatRange):
    """A number in a range; NaN, which compares with nothing, is in none."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def _type(hint: Any, declared: dict[str, Any]) -> "click.ParamType[Any]":  # noqa: ANN401 - a type hint
    if hint in (tuple[Path, ...], Path | None):
        return click.Path(path_type=Path)  # splits a variable at the path separator
    if declared["choices"]:
        return click.Choice(declared["choices"])
    if hint is int:
        return click.IntRange(declared["minimum"], declared["maximum"])
    if hint is float:
        return _Number(declared["minimum"], declared["maximum"])
    return click.BOOL if hint is bool else click.STRING


def _checking(check: Callable[[str], None]) -> Callable[..., str]:
    def checked(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
        try:
            check(value)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from None
        return value

    return checked


def _options() -> list[click.Parameter]:
    hints = get_type_hints(Settings)
    options: list[click.Parameter] = []
    for field in dataclasses.fields(Settings):
        declared = dict(field.metadata)
        several = hints[field.name] == tuple[Path, ...]
        options.append(
            click.Option(
                [f"--{field.name.replace('_', '-')}"],
                type=_type(hints[field.name], declared),
                multiple=several,
                default=field.default,
                show_default=declared["default_text"] or True,
                envvar=f"NEXTLABEL_{field.name.upper()}",
                show_envvar=True,
                help=declared["help"],
                callback=_checking(declared["check"]) if declared["check"] else None,
            )
        )
    return options


@click.command(params=_options())
def serve(**values: Any) -> None:  # noqa: ANN401 - the fields of Settings
    """Runs a server until SIGTERM or Ctrl-C; calls at work then finish first.

    Every option can also be set by the environment variable that is named beside it.
    """
    settings = Settings(**values)
    logs.configure(settings.log_level, settings.log_format)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the series, for nobody
    try:
        with needing("otel", "Sending traces, which OTEL_EXPORTER_OTLP_ENDPOINT asks for,"):
            server = Server(settings)
    except (AddressInUse, FileFault, RepositoryError) as error:
        raise click.ClickException(str(error)) from error
    server.run()
