"""Where a server listens."""

import grpc

from nextlabel._local import is_local
from nextlabel_server.logs import get_logger

log = get_logger("nextlabel")


class AddressInUse(Exception):
    """The server cannot listen where it was told to."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"cannot listen on {address}: it is in use, or is not an address of this machine"
        )


def listen(
    server: grpc.Server, address: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Binds to HOST:PORT or unix:PATH; returns it with the port that it got.

    Raises:
        AddressInUse: the address is taken, or is not one.
    """
    asked = address.rpartition(":")[2]
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    # gRPC takes a port over 65535 for another one.
    if not port or (asked.isdecimal() and int(asked) not in (0, port)):
        raise AddressInUse(address)
    if address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"


def warn_if_open(address: str, encrypted: bool, authenticated: bool) -> None:
    """Says so when whoever reaches the server can use it, and read what others send."""
    if not (encrypted or authenticated or is_local(address)):
        log.warning(
            "INSECURE: plaintext and no tokens beyond this machine; whoever reaches the address "
            "can call, and read what others send: set tls_certificate and tls_key, and tokens",
            address=address,
        )
