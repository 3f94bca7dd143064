"""What lets a client in: TLS and a token, from its arguments or from the environment."""

import os
import re
from dataclasses import dataclass
from typing import Any

import grpc

from nextlabel._arguments import text, truth
from nextlabel._channel import Options
from nextlabel._local import is_local
from nextlabel.errors import invalid
from nextlabel.tls import TLS, from_environment

Metadata = tuple[tuple[str, str], ...]
How = dict[str, Any]
"""Arguments of a call: `timeout`, the seconds that are left, and `metadata`."""

_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Access:
    """How a channel is opened, and what each call brings."""

    credentials: grpc.ChannelCredentials | None
    """None for plaintext."""
    options: Options
    """Options of the channel."""
    metadata: Metadata
    """Of each call."""


def access(
    target: str, tls: TLS | bool | None, token: str | None, *, plaintext_token: bool
) -> Access:
    """Puts together what `target` is called with.

    Raises:
        InvalidRequestError: a file cannot be used, or a token would travel in plaintext.
    """
    if tls is None:
        tls = from_environment(os.environ)
    elif isinstance(tls, bool):
        tls = TLS() if tls else None
    elif not isinstance(tls, TLS):
        raise invalid("tls", f"found {tls!r}; a TLS, True or False is right")
    if token is None:
        token = os.environ.get("NEXTLABEL_CLIENT_TOKEN", "")
    token = text("token", token)
    options: Options = []
    if tls is not None and tls.server_name is not None:
        name = text("tls.server_name", tls.server_name)
        options.append(("grpc.ssl_target_name_override", name))
    if not token:
        return Access(tls.credentials() if tls else None, options, ())
    if not _TOKEN.fullmatch(token):
        raise invalid("token", "has characters other than visible ASCII, or white space")
    if tls is None and not truth("plaintext_token", plaintext_token):
        if not is_local(target):
            raise invalid(
                "token",
                f"would travel in plaintext to {target}: set tls, or plaintext_token=True if "
                "something else encrypts what travels",
            )
        options.append(("grpc.enable_http_proxy", 0))  # it would see the token
    metadata = (("authorization", f"Bearer {token}"),)
    return Access(tls.credentials() if tls else None, options, metadata)
