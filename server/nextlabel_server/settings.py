"""Every setting of the server, declared once: the command line and NEXTLABEL_* follow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nextlabel_server.address import check_address, check_host_and_port
from nextlabel_server.cgroup import usable_cpus, usable_memory


def _setting(
    default: Any,  # noqa: ANN401 - whatever type the setting has
    help_text: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    check: Callable[[str], None] | None = None,
    default_text: str = "",
) -> Any:  # noqa: ANN401
    """A field, and what it may be; `check` raises ValueError. Nothing is "", None or ().

    `default_text` says in words what differs from machine to machine.
    """
    metadata = {
        "help": help_text,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "check": check,
        "default_text": default_text or ("none" if default in ("", None, ()) else ""),
    }
    return field(default=default, metadata=metadata)


_LONGEST_SECONDS = 1_000_000
"""Over eleven days; in milliseconds it still fits into gRPC's 32-bit options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a server runs, as in `Settings(address="127.0.0.1:0", models=(Path("models"),))`."""

    address: str = _setting(
        "127.0.0.1:50051",
        "Where to listen: HOST:PORT, or unix:PATH. Port 0 takes a free one.",
        check=check_address,
    )
    metrics_address: str = _setting(
        "",
        "Where Prometheus may scrape metrics over HTTP: HOST:PORT; nowhere unless set.",
        check=check_host_and_port,
    )
    health_address: str = _setting(
        "",
        "Where to answer health checks as well, and nothing else, in plaintext: HOST:PORT. For "
        "probes that speak no TLS.",
        check=check_host_and_port,
    )
    tls_certificate: Path | None = _setting(
        None, "PEM file of the server's certificate and its chain; read anew when it changes."
    )
    tls_key: Path | None = _setting(None, "PEM file of the certificate's key, unencrypted.")
    tls_client_ca: Path | None = _setting(
        None, "PEM file of authorities; only clients with a certificate by one of them connect."
    )
    tokens: Path | None = _setting(
        None,
        "File of bearer tokens, one a line; only calls that bring one are answered. Read anew "
        "when it changes.",
    )
    models: tuple[Path, ...] = _setting((), "Directory of ONNX models; may be given repeatedly.")
    model_poll_seconds: float = _setting(
        0.0,
        "Seconds between looks for new versions of models; 0 looks only at start.",
        minimum=0,
        maximum=_LONGEST_SECONDS,
    )
    max_rows: int = _setting(
        100_000_000,
        "Largest pool, in rows.",
        minimum=1,
        maximum=2**32,  # row numbers are 32-bit on the wire
    )
    max_message_bytes: int = _setting(
        16 << 20,
        "Largest message, in bytes; a row of a pool must fit into one.",
        minimum=1 << 16,
        maximum=2**31 - 1,  # protobuf's own limit
    )
    memory_budget_bytes: int = _setting(
        usable_memory() // 2,
        "Memory for the pools of all calls together, in bytes.",
        minimum=16 << 20,
        default_text="half of what the container may use",
    )
    compute_threads: int = _setting(
        usable_cpus(),
        "Threads that infer and score.",
        minimum=1,
        default_text="the processors this process may use",
    )
    max_calls: int = _setting(
        8 * usable_cpus(),
        "Selections at work at once.",
        minimum=1,
        default_text="8 for each processor",
    )
    max_waiting: int = _setting(
        32 * usable_cpus(),
        "Selections that may wait for a place; more are told to try again later.",
        minimum=0,
        default_text="32 for each processor",
    )
    max_wait_seconds: float = _setting(
        10.0, "Longest wait for a place, in seconds.", minimum=0, maximum=_LONGEST_SECONDS
    )
    stall_seconds: float = _setting(
        30.0,
        "Longest silence of a sender in the middle of a stream, in seconds.",
        minimum=0.1,
        maximum=_LONGEST_SECONDS,
    )
    min_bytes_per_second: float = _setting(
        1024.0,
        "Slowest sender, in bytes a second: what it takes longer counts as silence.",
        minimum=1,
        maximum=_LONGEST_SECONDS,
    )
    connection_age_seconds: float = _setting(
        1800.0,
        "After this long a connection is asked to reconnect, so that new servers get their "
        "share; calls on it finish first.",
        minimum=1,
        maximum=_LONGEST_SECONDS,
    )
    drain_seconds: float = _setting(
        0.0,
        "Time between saying NOT_SERVING and refusing calls, in seconds, for balancers to notice.",
        minimum=0,
        maximum=_LONGEST_SECONDS,
    )
    grace_seconds: float = _setting(
        30.0,
        "Time that calls get to finish after that, in seconds.",
        minimum=0,
        maximum=_LONGEST_SECONDS,
    )
    log_level: str = _setting(
        "info",
        "Least severe log line: debug, info, warning or error.",
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = _setting(
        "auto",
        "Log lines as console or json; auto is console on a terminal and json elsewhere.",
        choices=("auto", "console", "json"),
    )
