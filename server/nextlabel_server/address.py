"""Where a server can listen."""

import os
import re

# An IPv6 address has colons itself, so that it needs brackets.
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+):([0-9]{1,5})")


LONGEST_SOCKET_PATH = 107  # what Linux takes


def check_address(text: str) -> None:
    """Raises ValueError for what is neither HOST:PORT nor unix:PATH."""
    if text.startswith("unix:"):
        if not 0 < len(os.fsencode(text.removeprefix("unix:"))) <= LONGEST_SOCKET_PATH:
            raise ValueError(f"{text!r} has no path of 1 to {LONGEST_SOCKET_PATH} bytes")
        return
    if not _is_host_and_port(text):
        raise ValueError(f"{text!r} is not HOST:PORT, with a port from 0 to 65535, or unix:PATH")


def check_host_and_port(text: str) -> None:
    """Raises ValueError for what is neither HOST:PORT nor empty, for nowhere."""
    if text and not _is_host_and_port(text):
        raise ValueError(f"{text!r} is not HOST:PORT, with a port from 0 to 65535")


def _is_host_and_port(text: str) -> bool:
    found = _HOST_AND_PORT.fullmatch(text)
    return found is not None and int(found[2]) <= 65535
