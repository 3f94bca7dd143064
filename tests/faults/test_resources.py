"""What a server does when the machine runs short of something: it serves, and recovers."""

import os
import resource
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nextlabel import Client, DeadlineError, UnavailableError
from tests.servers import wait_for

POOL = np.random.default_rng(0).dirichlet(np.ones(5), 300)
FEW_FILES = 48


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def picks(client):
    return client.select(probabilities=POOL, strategy="margin", budget=10).indices.tolist()


def answers(address):
    try:
        with Client(address, timeout=2) as client:
            return picks(client)
    except (DeadlineError, UnavailableError):
        return None


@contextmanager
def server(stderr=subprocess.DEVNULL, **options):
    """A server whose log may have nowhere to go; its process and its address."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "nextlabel", "serve", "--address", address]
    process = subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL, **options)
    try:
        assert wait_for(lambda: answers(address), 30)
        yield process, address
    finally:
        process.kill()
        process.wait()


def test_a_full_disk_under_the_log_stops_no_call():
    with (
        Path("/dev/full").open("w") as full,
        server(stderr=full) as (process, address),
        Client(address) as client,
    ):
        first = picks(client)
        assert [picks(client) for _ in range(20)] == [first] * 20
        process.terminate()
        assert process.wait(10) == 0


def test_a_closed_log_stops_no_call():
    reading, writing = os.pipe()
    with server(stderr=writing) as (process, address), Client(address) as client:
        os.close(writing)
        first = picks(client)
        os.close(reading)  # whoever collected the log has gone
        assert [picks(client) for _ in range(20)] == [first] * 20
        process.terminate()
        assert process.wait(10) == 0


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))


def test_when_file_descriptors_run_out_calls_go_on_and_new_ones_come_in_later():
    with server(preexec_fn=few_files) as (process, address), Client(address) as client:
        first = picks(client)
        host, port = address.split(":")
        crowd = [
            socket.create_connection((host, int(port)), timeout=5) for _ in range(2 * FEW_FILES)
        ]
        assert [picks(client) for _ in range(5)] == [first] * 5
        started = cpu_seconds(process.pid)
        time.sleep(1)
        assert cpu_seconds(process.pid) - started < 0.9, "it must not spin while it waits"
        for one in crowd:
            one.close()
        assert wait_for(lambda: answers(address) == first, 20)
        assert process.poll() is None


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("jump", ["-1 hour", "+1 day"])
def test_a_clock_that_jumps_changes_nothing(jump, faketime, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    env = {
        **os.environ,
        "LD_PRELOAD": faketime,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as when somebody sets the time of day
    }
    with server(env=env) as (process, address), Client(address) as client:
        first = picks(client)
        clock.write_text(jump)
        assert [picks(client) for _ in range(20)] == [first] * 20
        assert answers(address) == first  # on a new connection
        assert process.poll() is None
