"""Containers of the image under test, as restricted as a cluster would have them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.image.build import IMAGE, run
from tests.servers import START_SECONDS, wait_for

RESTRICTED = ["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp", "--cap-drop=ALL"]
RESTRICTED += ["--security-opt=no-new-privileges"]


class Container:
    """A running container; it shares the host's loopback."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.address = f"127.0.0.1:{port}"

    def log(self) -> list[dict]:
        """The lines that it wrote."""
        lines = run("podman", "logs", self.name).stderr.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def python(self, *lines: str) -> str:
        """What its own interpreter prints, run beside the server."""
        return run("podman", "exec", self.name, "python", "-c", "\n".join(lines)).stdout

    def terminate(self) -> None:
        """Sends SIGTERM, and returns at once."""
        run("podman", "kill", "--signal", "TERM", self.name)

    def wait(self) -> dict:
        """The state that it ended in."""
        run("podman", "wait", self.name)
        return self.state()

    def state(self) -> dict:
        return json.loads(run("podman", "inspect", "--format", "{{json .State}}", self.name).stdout)


@contextmanager
def container(*options: str, user: str = "65532:65532", **settings: object) -> Iterator[Container]:
    """Runs the image with its own command; `settings` are fields of Settings."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"address": f"127.0.0.1:{port}", **settings}
    environment = [f"--env=NEXTLABEL_{name.upper()}={value}" for name, value in settings.items()]
    name = f"nextlabel-{port}-{time.monotonic_ns()}"
    run(
        *("podman", "run", "--detach", "--name", name, "--network", "host", "--user", user),
        *(*RESTRICTED, *options, *environment, IMAGE),
    )
    try:
        running = Container(name, port)
        serving = wait_for(
            lambda: any(line["event"] == "serving" for line in running.log()), START_SECONDS
        )
        assert serving, running.log()
        yield running
    finally:
        run("podman", "rm", "--force", "--time", "0", name)
