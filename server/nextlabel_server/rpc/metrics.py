"""Every metric, declared once: for counting, for docs/metrics.md, for dashboard and alerts."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: its name, its labels, and what it counts."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


_METHOD = ("grpc_type", "grpc_service", "grpc_method")
_WHAT = ("strategy", "model")

STARTED = Metric("grpc_server_started_total", "counter", _METHOD, "Calls that began.")
HANDLED = Metric(
    "grpc_server_handled_total",
    "counter",
    (*_METHOD, "grpc_code"),
    "Calls that ended, with an answer or without one.",
)
HANDLING = Metric(
    "grpc_server_handling_seconds", "histogram", _METHOD, "Seconds that calls took in all."
)
ROWS = Metric("nextlabel_rows_total", "counter", _WHAT, "Rows of pools that came in.")
BYTES = Metric(
    "nextlabel_received_bytes_total", "counter", _WHAT, "Bytes of requests that came in."
)
RECEIVE = Metric(
    "nextlabel_receive_seconds",
    "histogram",
    _WHAT,
    "Seconds that a stream waited for its sender.",
)
QUEUE = Metric(
    "nextlabel_queue_seconds",
    "histogram",
    _WHAT,
    "Seconds that a selection waited for a place or a thread.",
)
INFERENCE = Metric(
    "nextlabel_inference_seconds",
    "histogram",
    _WHAT,
    "Seconds that models ran for a selection, summed over threads.",
)
SELECTION = Metric(
    "nextlabel_selection_seconds",
    "histogram",
    _WHAT,
    "Seconds that scoring and picking took, summed over threads.",
)
REFUSED = Metric(
    "nextlabel_refused_calls_total",
    "counter",
    ("reason", *_WHAT),
    "Calls that ended with an error, by the reason that the caller was told.",
)
IN_FLIGHT = Metric(
    "nextlabel_selections_in_flight", "gauge", (), "Selections at work, but for small ones."
)
MAX_IN_FLIGHT = Metric(
    "nextlabel_selections_in_flight_limit", "gauge", (), "Selections that may be at work at once."
)
QUEUED = Metric("nextlabel_queue_length", "gauge", (), "Selections that wait for a place.")
MAX_QUEUED = Metric(
    "nextlabel_queue_length_limit", "gauge", (), "Selections that may wait; more are refused."
)
RESERVED = Metric(
    "nextlabel_reserved_bytes", "gauge", (), "Memory that selections at work have reserved."
)
BUDGET = Metric(
    "nextlabel_memory_budget_bytes", "gauge", (), "Memory that selections may reserve together."
)
LOADS = Metric(
    "nextlabel_model_loads_total", "counter", ("model",), "Versions of a model that were loaded."
)
LOAD_FAILURES = Metric(
    "nextlabel_model_load_failures_total",
    "counter",
    ("model",),
    "Versions of a model that were found and cannot be used.",
)
USABLE = Metric(
    "nextlabel_model_usable",
    "gauge",
    ("model", "version"),
    "1 for a version of a model that can be used, 0 for one that cannot.",
)
BUILD = Metric("nextlabel_build_info", "gauge", ("version",), "1, with the server's version.")

METRICS = (
    *(STARTED, HANDLED, HANDLING),
    *(ROWS, BYTES, RECEIVE, QUEUE, INFERENCE, SELECTION, REFUSED),
    *(IN_FLIGHT, MAX_IN_FLIGHT, QUEUED, MAX_QUEUED, RESERVED, BUDGET),
    *(LOADS, LOAD_FAILURES, USABLE, BUILD),
)
