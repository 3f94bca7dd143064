"""How a channel is opened: balanced over all addresses, and over healthy ones of several."""

import json

Options = list[tuple[str, int | str]]

SELECT_STREAM = "/nextlabel.v1.QuerySelectionService/SelectStream"
DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 300.0


def target_of(address: str) -> str:
    """The gRPC target of an address: `HOST:PORT`, several of them with commas, or a target.

    Several addresses must be IP addresses; for names, one name with several records will do:
    `dns:///labels.example:50051`.
    """
    if "," not in address or ":///" in address or address.startswith(("ipv4:", "ipv6:", "unix:")):
        return address
    kind = "ipv6" if address.startswith("[") else "ipv4"
    return f"{kind}:{address.replace(' ', '')}"


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
