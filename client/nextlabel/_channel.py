"""How a channel is opened: balanced over all addresses, watching their health."""

import json

Options = list[tuple[str, int | str]]

SELECT_STREAM = "/nextlabel.v1.QuerySelectionService/SelectStream"
DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 300.0

_SERVICE_CONFIG = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "nextlabel.v1.QuerySelectionService"},
    }
)


def target_of(address: str) -> str:
    """The gRPC target of an address: `HOST:PORT`, several of them with commas, or a target.

    Several addresses must be IP addresses; for names, one name with several records will do:
    `dns:///labels.example:50051`.
    """
    if "," not in address or ":///" in address or address.startswith(("ipv4:", "ipv6:", "unix:")):
        return address
    kind = "ipv6" if address.startswith("[") else "ipv4"
    return f"{kind}:{address.replace(' ', '')}"


def options() -> Options:
    """Channel options, the same for both clients."""
    return [
        ("grpc.service_config", _SERVICE_CONFIG),
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
