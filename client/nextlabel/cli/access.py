"""Options that let a command in: TLS and a token."""

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TextIO

import click

from nextlabel import TLS

_HELP = {
    "ca": "PEM file of the authorities that sign the server's certificate.  "
    "[default: the public ones]",
    "certificate": "PEM file of a certificate for a server that asks for one.",
    "key": "PEM file of that certificate's key, unencrypted.",
    "server_name": "Name in the server's certificate, if the address has another.",
}


def with_access(command: Callable[..., None]) -> Callable[..., None]:
    """Adds --tls, --tls-ca and so on; calls `command` with `access`, arguments of a Client."""

    @click.option(
        "--tls",
        is_flag=True,
        envvar="NEXTLABEL_CLIENT_TLS",
        show_envvar=True,
        help="Speak TLS, also without any of these files.",
    )
    @_files
    @click.option(
        "--token-file",
        type=click.File(),
        help="File with the token that the server knows you by.  "
        "[default: the token in NEXTLABEL_CLIENT_TOKEN]",
    )
    @click.option(
        "--plaintext-token",
        is_flag=True,
        envvar="NEXTLABEL_CLIENT_PLAINTEXT_TOKEN",
        show_envvar=True,
        help="Send the token to other machines even without TLS.",
    )
    @functools.wraps(command)
    def admitted(
        tls: bool,
        token_file: TextIO | None,
        plaintext_token: bool,
        **arguments: Any,  # noqa: ANN401 - whatever the command takes
    ) -> None:
        files = {field.name: arguments.pop(f"tls_{field.name}") for field in fields(TLS)}
        access = {
            "tls": TLS(**files) if any(files.values()) else tls,
            "token": token_file.read().strip() if token_file else None,
            "plaintext_token": plaintext_token,
        }
        command(access=access, **arguments)

    return admitted


def _files(command: Callable[..., None]) -> Callable[..., None]:
    """Adds an option for each field of TLS."""
    for name, text in reversed(_HELP.items()):
        command = click.option(
            f"--tls-{name.replace('_', '-')}",
            envvar=f"NEXTLABEL_CLIENT_TLS_{name.upper()}",
            show_envvar=True,
            metavar="NAME" if name == "server_name" else "FILE",
            help=text,
        )(command)
    return command
