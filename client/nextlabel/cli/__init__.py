"""The command line: which commands there are, and how they fail.

Exit status: 0 done, 1 the server failed, 2 the request is wrong, 130 interrupted.
"""

import errno
from importlib import import_module
from typing import Any, NamedTuple

import click

from nextlabel import InvalidRequestError, NextlabelError, NotFoundError, __version__
from nextlabel._extras import needing


class _Entry(NamedTuple):
    module: str
    attribute: str
    extra: str
    summary: str


_COMMANDS = {
    "select": _Entry(
        "nextlabel.cli.select", "select", "cli", "Rank the rows of a file: which to label next?"
    ),
    "strategies": _Entry(
        "nextlabel.cli.listings", "strategies", "cli", "List query strategies and sampling methods."
    ),
    "models": _Entry("nextlabel.cli.listings", "models", "cli", "List the models of a server."),
    "info": _Entry("nextlabel.cli.listings", "info", "cli", "Show a server's version and limits."),
    "serve": _Entry("nextlabel_server.cli", "serve", "server", "Run a server."),
    "demo": _Entry(
        "nextlabel_server.demo", "command", "demo", "Run the main job on real data, with pictures."
    ),
}


class WrongRequest(click.ClickException):
    """The caller must change something; other errors end with status 1."""

    exit_code = 2


class Commands(click.Group):
    """Loads a command's module when it is called, so that help comes quickly."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        entry = _COMMANDS[cmd_name]
        with needing(entry.extra, f"nextlabel {cmd_name}"):
            command: click.Command = getattr(import_module(entry.module), entry.attribute)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever a command returns
        try:
            return super().invoke(ctx)
        except (InvalidRequestError, NotFoundError) as error:
            raise WrongRequest(_text(error)) from error
        except NextlabelError as error:
            raise click.ClickException(_text(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # click ends quietly when the reader has gone
                raise
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None


def _text(error: NextlabelError) -> str:
    fields = [f"  {each.field}: {each.description}" for each in error.violations]
    return "\n".join([str(error), *fields]) if len(fields) > 1 else str(error)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def commands() -> None:
    """Says which unlabeled items should be labeled next.

    Without --server, commands run a server of their own for as long as they take.
    """
