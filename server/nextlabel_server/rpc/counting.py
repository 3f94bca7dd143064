"""Counting for Prometheus: calls when they begin and end, everything else when it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import TypeVar

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from nextlabel import __version__
from nextlabel.v1 import service_pb2
from nextlabel_server.errors import UnknownName
from nextlabel_server.inference import ModelRepository
from nextlabel_server.rpc import metrics
from nextlabel_server.rpc.admission import Admission
from nextlabel_server.rpc.calls import Call
from nextlabel_server.selection import strategy_named

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

Counted = TypeVar("Counted", Counter, Histogram)

# In place of a name; no strategy and no model has brackets in its own.
UNKNOWN = "(unknown)"
COMMITTEE = "(committee)"

_SECONDS = {
    "receive": metrics.RECEIVE,
    "queue": metrics.QUEUE,
    "inference": metrics.INFERENCE,
    "selection": metrics.SELECTION,
}


_SERVICE = service_pb2.DESCRIPTOR.services_by_name["QuerySelectionService"]
_TYPES = {
    method.name: "bidi_stream" if method.client_streaming else "unary"
    for method in _SERVICE.methods
}
_METHODS = [(kind, _SERVICE.full_name, name) for name, kind in _TYPES.items()]


class CallMetrics:
    """Counts calls; an observer of them.

    Whatever callers send, labels hold only names of methods, strategies and served models.
    """

    def __init__(self, registry: CollectorRegistry, models: ModelRepository) -> None:
        def counter(metric: metrics.Metric) -> Counter:
            return Counter(metric.name, metric.help, metric.labels, registry=registry)

        def histogram(metric: metrics.Metric) -> Histogram:
            return Histogram(
                metric.name, metric.help, metric.labels, registry=registry, buckets=BUCKETS
            )

        self._models = models
        self._child = cache(_child)  # twice as quick; its keys are as bounded as the labels
        self._started = counter(metrics.STARTED)
        self._handled = counter(metrics.HANDLED)
        self._handling = histogram(metrics.HANDLING)
        self._refused = counter(metrics.REFUSED)
        self._rows = counter(metrics.ROWS)
        self._bytes = counter(metrics.BYTES)
        self._seconds = {part: histogram(metric) for part, metric in _SECONDS.items()}
        for method in _METHODS:  # from zero, or Prometheus sees no increase when the first comes
            self._started.labels(*method)
            for code in grpc.StatusCode:
                self._handled.labels(*method, code.name)

    def __call__(self, call: Call, _context: grpc.ServicerContext) -> Callable[[], None]:
        method = (_TYPES.get(call.method, "unary"), call.service, call.method)
        self._child(self._started, *method).inc()
        return partial(self._ended, call, method)

    def _ended(self, call: Call, method: tuple[str, str, str]) -> None:
        self._child(self._handled, *method, call.code.name).inc()
        self._child(self._handling, *method).observe(call.seconds)
        what = (_strategy(call.strategy), self._model(call.models))
        if call.reason:
            self._child(self._refused, call.reason, *what).inc()
        if call.strategy:
            self._child(self._rows, *what).inc(call.rows)
            self._child(self._bytes, *what).inc(call.bytes)
        for part, spent in call.spent.parts.items():
            self._child(self._seconds[part], *what).observe(spent.seconds)

    def _model(self, names: Sequence[str]) -> str:
        if len(names) > 1:
            return COMMITTEE
        return "".join(name if name in self._models else UNKNOWN for name in names)


def _child(metric: Counted, *labels: str) -> Counted:
    return metric.labels(*labels)


def _strategy(name: str) -> str:
    try:
        return strategy_named(name).name if name else ""
    except UnknownName:
        return UNKNOWN


class State(Collector):
    """What the server is doing and serving at the moment of a scrape."""

    def __init__(self, admission: Admission, models: ModelRepository) -> None:
        self._admission = admission
        self._models = models

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        admission = self._admission
        yield _gauge(metrics.IN_FLIGHT, admission.calls)
        yield _gauge(metrics.MAX_IN_FLIGHT, admission.max_calls)
        yield _gauge(metrics.QUEUED, admission.waiting)
        yield _gauge(metrics.MAX_QUEUED, admission.max_waiting)
        yield _gauge(metrics.RESERVED, admission.held_bytes)
        yield _gauge(metrics.BUDGET, admission.budget_bytes)
        yield _gauge(metrics.BUILD, 1, __version__)
        usable = GaugeMetricFamily(
            metrics.USABLE.name, metrics.USABLE.help, labels=metrics.USABLE.labels
        )
        for versions in self._models.models():
            for model in versions:
                usable.add_metric((model.name, str(model.version)), model.problem is None)
        yield usable
        for metric, loads in (
            (metrics.LOADS, self._models.loads),
            (metrics.LOAD_FAILURES, self._models.load_failures),
        ):
            family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for name, count in loads.items():
                family.add_metric((name,), count)
            yield family


def _gauge(metric: metrics.Metric, value: float, *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    family.add_metric(labels, value)
    return family
