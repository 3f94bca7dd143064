"""Answers to Prometheus, over HTTP on a port of their own."""

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)


class Scrapes:
    """Serves a registry, in threads of its own, so that it answers under full load.

    Raises:
        OSError: the address is taken, or is not one.
    """

    def __init__(self, registry: CollectorRegistry, address: str) -> None:
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        host, _, port = address.rpartition(":")
        self._server, self._thread = start_http_server(int(port), host.strip("[]"), registry)
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
