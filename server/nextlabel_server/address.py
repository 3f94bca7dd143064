"""Where a server can listen."""

import re

# An IPv6 address has colons itself, so that it needs brackets.
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+):([0-9]{1,5})")


def check_address(text: str) -> None:
    """Raises ValueError for what is neither HOST:PORT nor unix:PATH."""
    if text.startswith("unix:") and text != "unix:":
        return
    found = _HOST_AND_PORT.fullmatch(text)
    if not found or int(found[2]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, with a port from 0 to 65535, or unix:PATH")
