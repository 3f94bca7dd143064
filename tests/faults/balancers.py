"""Two servers that are replaced under load, and what stands between them and their clients."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import ServerProcess, wait_for

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")

CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream servers {{
        server {first} max_fails=0;
        server {second} max_fails=0;
    }}
    server {{
        listen {address} http2;
        client_max_body_size 0;
        keepalive_requests {requests};
        location / {{ grpc_pass grpc://servers; }}
    }}
}}
"""


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class Servers:
    """Two, at addresses that they keep."""

    def __init__(self) -> None:
        self.addresses = [free_address(), free_address()]
        self._running = [self._start(address) for address in self.addresses]

    def kill(self, number: int) -> None:
        """Ends one at once, in the middle of its calls."""
        self._running[number].kill()

    def drain(self, number: int) -> None:
        """Asks one to end, and waits until it has."""
        self._running[number].terminate()
        assert self._running[number].wait(30) == 0

    def restart(self, number: int) -> None:
        self._running[number] = self._start(self.addresses[number])

    def close(self) -> None:
        for each in self._running:
            each.kill()

    def _start(self, address: str) -> ServerProcess:
        return ServerProcess(address=address, drain_seconds=0.5)


@contextmanager
def nginx(servers: Servers, folder: Path, requests: int = 1000) -> Iterator[str]:
    """Runs nginx in front of the servers; yields its address.

    After so many `requests` it tells a client to leave a connection, whatever the client has
    begun to send by then.
    """
    if NGINX is None:
        pytest.skip("nginx is not installed")
    address = free_address()
    first, second = servers.addresses
    configuration = folder / "nginx.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder, first=first, second=second, address=address, requests=requests
        )
    )
    with subprocess.Popen(
        [NGINX, "-e", "stderr", "-c", configuration, "-p", folder], stderr=subprocess.DEVNULL
    ) as running:
        try:
            assert wait_for(lambda: _listens(address))
            yield address
        finally:
            running.terminate()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
