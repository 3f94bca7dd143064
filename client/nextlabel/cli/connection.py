"""The server that a command talks to: one that runs, or its own for as long as it takes."""

import functools
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import click

from nextlabel import Client
from nextlabel._channel import DEFAULT_TIMEOUT_SECONDS
from nextlabel._extras import needing
from nextlabel.cli.access import with_access

LONGEST_SECONDS = 1_000_000  # gRPC takes a much later deadline for one that has passed


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --server, --models, --timeout and access; calls `command` with a client first."""

    @click.option(
        "--server",
        metavar="ADDRESS",
        envvar="NEXTLABEL_SERVER",
        show_envvar=True,
        help="Server to ask: HOST:PORT, or a gRPC target such as dns:///HOST:PORT.  "
        "[default: one that runs only for this command]",
    )
    @click.option(
        "--models",
        metavar="DIR",
        multiple=True,
        type=click.Path(path_type=Path),
        envvar="NEXTLABEL_MODELS",
        show_envvar=True,
        help="Directory of ONNX models for the command's own server; may be repeated.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(0, LONGEST_SECONDS, min_open=True),
        default=DEFAULT_TIMEOUT_SECONDS,
        show_default=True,
        help="Seconds that a call may take.",
    )
    @with_access
    @functools.wraps(command)
    def connected(
        server: str | None,
        models: tuple[Path, ...],
        timeout: float,
        access: dict[str, Any],
        **arguments: object,
    ) -> None:
        if server and _on_command_line("models"):
            raise click.UsageError(
                f"--models is for the command's own server; {server} serves models of its own"
            )
        running = nullcontext(server) if server else _embedded(models)
        if not server:
            access = {"tls": False, "token": ""}
        with running as address, Client(address, timeout=timeout, **access) as client:
            command(client, **arguments)

    return connected


def _on_command_line(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


@contextmanager
def _embedded(models: tuple[Path, ...]) -> Iterator[str]:
    """Runs a server on a socket that nobody else can reach; yields its address."""
    with needing("server", "a server of its own"):
        from nextlabel_server import logs
        from nextlabel_server.app import Server
        from nextlabel_server.inference import RepositoryError
        from nextlabel_server.listening import AddressInUse
        from nextlabel_server.settings import Settings
    logs.configure("warning", "auto")
    _exit_on_signals()
    with tempfile.TemporaryDirectory(prefix="nextlabel-") as private:
        address = f"unix:{private}/socket"
        try:
            server = Server(Settings(address=address, models=models, log_level="warning"))
        except (AddressInUse, RepositoryError) as error:
            raise click.ClickException(str(error)) from error
        server.start()
        try:
            yield server.address
        finally:
            # Without a moment for the client's connection to close, gRPC tells of its end.
            server.stop(grace=1.0)


def _exit_on_signals() -> None:
    """Makes the signals that end a process do so by way of its clean-up, as Ctrl-C does."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
