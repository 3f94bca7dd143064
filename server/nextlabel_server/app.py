"""The server put together: settings in, a running gRPC server out."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry
from threadpoolctl import threadpool_limits

from nextlabel import __version__, blocks
from nextlabel.v1 import service_pb2, service_pb2_grpc
from nextlabel_server.heap import Heap
from nextlabel_server.inference import ModelRepository
from nextlabel_server.listening import AddressInUse, listen, warn_if_open
from nextlabel_server.logs import get_logger, keep_metadata_out
from nextlabel_server.polling import Polling
from nextlabel_server.rpc import health
from nextlabel_server.rpc.admission import Admission
from nextlabel_server.rpc.authentication import AuthenticationInterceptor, Tokens
from nextlabel_server.rpc.calls import SERVICE, Calls, Observer
from nextlabel_server.rpc.counting import CallMetrics, State
from nextlabel_server.rpc.declared import RequestLimits
from nextlabel_server.rpc.door import CallThreads, Door
from nextlabel_server.rpc.fields import counted
from nextlabel_server.rpc.gates import Gates, give_way
from nextlabel_server.rpc.parsing import ParsingInterceptor
from nextlabel_server.rpc.plan import Planner
from nextlabel_server.rpc.receiver import Patience
from nextlabel_server.rpc.reflecting import add_reflection
from nextlabel_server.rpc.run import WINDOW_BYTES, Work
from nextlabel_server.rpc.servicer import UNARY_ANSWER_BYTES, Servicer
from nextlabel_server.rpc.unread import Unread
from nextlabel_server.rpc.watchdog import Watchdog
from nextlabel_server.scrapes import Scrapes
from nextlabel_server.selection import all_strategies
from nextlabel_server.selection.sharing import with_threads
from nextlabel_server.settings import Settings
from nextlabel_server.tls import server_credentials

if TYPE_CHECKING:
    from nextlabel_server.rpc.tracing import Traces

HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
CHECK, WATCH = f"/{HEALTH}/Check", f"/{HEALTH}/Watch"
SELECT = f"/{SERVICE}/Select"
SELECT_STREAM = f"/{SERVICE}/SelectStream"
RECOMMENDED_BLOCK_BYTES = 1 << 20
SILENT_CALLS = 64
REFLECTION_THREADS = 16
HEADER_SECONDS = 5.0
METADATA_BYTES = 16 << 10  # of a call's headers
TURN_SECONDS = 0.0005
_parse_stream = partial(blocks.decode, parse=counted(service_pb2.SelectStreamRequest.FromString))
SMALL_BYTES = 4 << 20  # of a call that waits for no large one

log = get_logger("nextlabel")


class Server:
    """A server that listens once it is started.

        with Server(Settings(address="127.0.0.1:0")) as server:
            client = Client(server.address)

    Models load when it is made, so that it is ready once it listens. It sets the BLAS of the
    whole process to one thread and what shares work to as many as compute, its interpreter to
    short turns, bounds its heaps, takes what was imported before out of garbage collection, and
    has gRPC log no metadata.

    Raises:
        RepositoryError: a model directory that cannot be used.
        AddressInUse: an address is taken, or is not one.
        FileFault: certificates or tokens that cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        keep_metadata_out()
        credentials = server_credentials(settings)
        tokens = Tokens(settings.tokens) if settings.tokens else None
        threads = settings.compute_threads
        # One thread a product: calls run side by side, and products that share processors wait
        # for each other (measured: k-center five times slower with two threads on two busy ones).
        threadpool_limits(limits=1, user_api="blas")
        with_threads(threads, began=give_way)
        # A health check goes through three threads, and would wait for a turn of 5 ms in each.
        sys.setswitchinterval(TURN_SECONDS)
        all_strategies()  # imported now: one that cannot be must not be found by the first call
        self._models = ModelRepository.load(
            settings.models, threads=1, tried=settings.model_poll_seconds > 0
        )
        self._polling = Polling(self._models, settings.model_poll_seconds)
        self._gates = Gates.of_threads(threads)
        # Enough for the calls at work and in line, large and small, and some that say nothing yet.
        at_once = settings.max_calls + threads + 2 * settings.max_waiting + SILENT_CALLS
        self._reading = ThreadPoolExecutor(
            at_once, thread_name_prefix="reading", initializer=give_way
        )
        self._handling = CallThreads(at_once)
        self._reflecting = CallThreads(REFLECTION_THREADS, "reflection")
        self._watchdog = Watchdog()
        # As many as for calls, made when needed: no connection can hold more than half of them.
        self._checking = ThreadPoolExecutor(at_once, thread_name_prefix="health")
        self._watching = ThreadPoolExecutor(at_once, thread_name_prefix="watch")
        self._health = health.Health(("", SERVICE), self._checking, self._watching, self._watchdog)
        work = self._work()
        registry = CollectorRegistry()
        self._heap = Heap()
        observers: list[Observer] = [self._heap.observe]
        if settings.metrics_address:
            registry.register(State(work.admission, self._models))
            observers.append(CallMetrics(registry, self._models))
        self._traces: Traces | None = None
        if _wants_traces():
            from nextlabel_server.rpc import tracing  # needs an extra

            self._traces = tracing.Traces()
            observers.append(self._traces)
        calls = Calls(observers)
        self._door = Door(self._handling, calls)
        parsing = ParsingInterceptor(
            {SELECT_STREAM: _parse_stream, CHECK: health.parse, WATCH: health.parse},
            self._watchdog,
            {
                SELECT: settings.stall_seconds,
                CHECK: health.REQUEST_SECONDS,
                WATCH: health.REQUEST_SECONDS,
            },
            calls,
        )
        self._authentication: AuthenticationInterceptor | None = None
        if tokens is not None:
            self._authentication = AuthenticationInterceptor(tokens, HEALTH, calls)
        guards = [self._authentication, self._door, parsing]
        options = _options(settings, streams=at_once // 2)
        self._server = grpc.server(
            self._handling, options=options, interceptors=[each for each in guards if each]
        )
        self._probed = grpc.server(self._checking, options=options, interceptors=[parsing])
        service_pb2_grpc.add_QuerySelectionServiceServicer_to_server(
            Servicer(
                work,
                self._info(),
                self._reading,
                Patience(
                    min(HEADER_SECONDS, settings.stall_seconds),
                    settings.stall_seconds,
                    settings.min_bytes_per_second,
                ),
                self._watchdog,
                Unread(
                    max(settings.memory_budget_bytes // 4, UNARY_ANSWER_BYTES),
                    settings.stall_seconds,
                    self._watchdog,
                ),
                calls,
            ),
            self._server,
        )
        for server in (self._server, self._probed):
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)  # type: ignore[arg-type]
        names = (SERVICE, HEALTH, reflection.SERVICE_NAME)
        add_reflection(names, self._server, self._reflecting, self._watchdog)
        self.address = listen(self._server, settings.address, credentials)
        warn_if_open(self.address, credentials is not None, tokens is not None)
        self.health_address = ""
        if settings.health_address:
            self.health_address = listen(self._probed, settings.health_address)
        self._scrapes = self._serve_metrics(registry) if settings.metrics_address else None

    def start(self) -> None:
        """Begins to answer."""
        self._server.start()
        self._probed.start()
        self._polling.start()
        self._health.set(serving=True)

    def stop(self, grace: float | None = None) -> None:
        """Refuses new calls, gives those at work `grace` seconds, and releases everything."""
        self._health.set(serving=False)
        stopped = self._server.stop(grace)
        self._health.end_watches()
        stopped.wait()
        self._probed.stop(None).wait()  # not sooner: probes go on while calls finish
        handling = (self._handling, self._reflecting, self._checking, self._watching)
        for pool in (*handling, self._reading):
            pool.shutdown(cancel_futures=True)
        for machinery in (
            self._gates,
            self._authentication,
            self._door,
            self._watchdog,
            self._heap,
        ):
            if machinery is not None:
                machinery.close()
        self._polling.close()
        if self._traces is not None:
            self._traces.close()
        if self._scrapes is not None:
            self._scrapes.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Serves until SIGTERM or SIGINT, then drains; a second signal ends it at once."""
        signals = _signals(signal.SIGTERM, signal.SIGINT)
        self.start()
        names = ("address", "metrics_address", "health_address")
        addresses = {name: value for name in names if (value := getattr(self, name))}
        log.info("serving", **addresses, version=__version__)
        os.read(signals, 1)
        threading.Thread(target=_exit_on_next, args=(signals,), daemon=True).start()
        log.info("draining", drain_seconds=self._settings.drain_seconds)
        self._health.set(serving=False)
        time.sleep(self._settings.drain_seconds)
        self.stop(self._settings.grace_seconds)
        log.info("stopped")

    def _serve_metrics(self, registry: CollectorRegistry) -> Scrapes:
        try:
            return Scrapes(registry, self._settings.metrics_address)
        except OSError as error:
            raise AddressInUse(self._settings.metrics_address) from error

    @property
    def metrics_address(self) -> str:
        """Where metrics are served; empty when they are not."""
        return self._scrapes.address if self._scrapes else ""

    def _work(self) -> Work:
        settings, threads = self._settings, self._settings.compute_threads
        waiting = settings.max_waiting, settings.max_wait_seconds
        small_bytes = min(SMALL_BYTES, settings.memory_budget_bytes // (8 * threads))
        large_bytes = settings.memory_budget_bytes - threads * small_bytes
        limits = RequestLimits(settings.max_rows, settings.max_message_bytes)
        return Work(
            models=self._models,
            planner=Planner(self._models, limits),
            admission=Admission(large_bytes, settings.max_calls, *waiting),
            small=Admission(threads * small_bytes, threads, *waiting),
            small_bytes=small_bytes,
            gates=self._gates,
            limits=limits,
            blocks_ahead=threads + 1,
        )

    def _info(self) -> service_pb2.GetServerInfoResponse:
        return service_pb2.GetServerInfoResponse(
            version=__version__,
            max_rows=self._settings.max_rows,
            max_message_bytes=self._settings.max_message_bytes,
            memory_budget_bytes=self._settings.memory_budget_bytes,
            recommended_block_bytes=RECOMMENDED_BLOCK_BYTES,
        )


def _wants_traces() -> bool:
    """Whether the environment names a collector of traces, by OpenTelemetry's variables."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    return exporter == "otlp" and any(os.environ.get(name) for name in endpoints)


def _signals(*numbers: int) -> int:
    """A file descriptor where a byte, its number, arrives for each of these signals.

    Waiting for a lock, the main thread would miss a signal that comes while it goes to wait.
    """
    arrived, arriving = os.pipe()
    os.set_blocking(arriving, False)
    signal.set_wakeup_fd(arriving)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return arrived


def _exit_on_next(signals: int) -> None:
    number = os.read(signals, 1)[0]
    # Not SystemExit: the interpreter would wait for the threads of calls at work.
    os._exit(128 + number)


def _options(settings: Settings, streams: int) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # a second server on the same port is refused, not mixed in
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        # What a stream may send ahead of us. Left to itself the window grows until it holds a whole
        # pool of each sender, which no memory budget knows of.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
        # However a client behaves, one connection takes no more than half of the threads.
        ("grpc.max_concurrent_streams", streams),
        # It refuses streams within that number, too, while ended ones have not been taken apart.
        ("grpc.http.overload_protection", 0),
        # One limit: between gRPC's soft and hard ones it refuses by chance.
        ("grpc.max_metadata_size", METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", METADATA_BYTES),
        # Go and Java clients may ping every 10 s, and without a call under way. Whoever pings more
        # often than that loses its connection at the third ping.
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", 60_000),  # finds clients that vanished without a word
        ("grpc.keepalive_timeout_ms", 20_000),
        # Its grace stays at gRPC's default, without end: no call is cut short by age.
        ("grpc.max_connection_age_ms", int(settings.connection_age_seconds * 1000)),
    ]
