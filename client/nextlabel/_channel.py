"""How a channel is opened: balanced over all addresses, and over healthy ones of several."""

import json
import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

from nextlabel._arguments import text
from nextlabel.errors import invalid

Options = list[tuple[str, int | str]]

SELECT_STREAM = "/nextlabel.v1.QuerySelectionService/SelectStream"
DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 300.0

_NO_HOST = re.compile("(dns:)?(//[^/]*)?/?")
_KINDS_OF_IP: dict[str, type[IPv4Address | IPv6Address]] = {
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
}


def target_of(address: str) -> str:
    """The gRPC target of an address: `HOST:PORT`, several of them with commas, or a target.

    Several addresses must be IP addresses; for names, one name with several records will do:
    `dns:///labels.example:50051`.

    Raises:
        InvalidRequestError: gRPC cannot open a channel to it.
    """
    target = text("address", address)
    if _NO_HOST.fullmatch(target):
        raise invalid("address", f"found {address!r}; HOST:PORT is right")
    several = "," in target and ":///" not in target
    if several and not target.startswith(("ipv4:", "ipv6:", "unix:")):
        kind = "ipv6" if target.startswith("[") else "ipv4"
        target = f"{kind}:{target.replace(' ', '')}"
    kind, _, listed = target.partition(":")
    if kind in _KINDS_OF_IP:
        for each in listed.lstrip("/").rstrip(",").split(","):
            if not _is_ip_and_port(each, _KINDS_OF_IP[kind]):
                raise invalid(
                    "address",
                    f"found {each!r}; IP:PORT is right in a list, all of {kind}; "
                    "a name with several addresses is dns:///HOST:PORT",
                )
    return target


def _is_ip_and_port(address: str, kind_of_ip: type[IPv4Address | IPv6Address]) -> bool:
    host, _, port = unquote(address).rpartition(":")
    try:
        kind_of_ip(host.removeprefix("[").removesuffix("]"))
        return port.isdecimal() and int(port) < 1 << 16
    except ValueError:
        return False


def options(target: str) -> Options:
    """Options of a channel to `target`, the same for both clients.

    Health is watched only where calls can go to another address. Behind a single one may be a
    balancer, and then the watch sees one of its servers and condemns all.
    """
    config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if "," in target or target.startswith("dns:"):
        config["healthCheckConfig"] = {"serviceName": "nextlabel.v1.QuerySelectionService"}
    return [
        ("grpc.service_config", json.dumps(config)),
        # Calls are tried again in `_retry`. gRPC's own way loses messages of a stream whose
        # connection is told to close while the stream begins (seen with 1.76 to 1.85).
        ("grpc.enable_retries", 0),
        ("grpc.max_receive_message_length", 16 << 20),
        # Finds a server that vanished without a word while a call is under way.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # A server that is being replaced should be tried again soon, not in two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # In spite of its name, how long a connection may take to come about: far away, or to a busy
        # server, TCP, TLS and HTTP/2 together take seconds.
        ("grpc.min_reconnect_backoff_ms", 5_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    ]
