"""The log of a process, as what reads it sees it."""

import json
import logging
import subprocess
import sys

from tests import servers
from tests.rpc.calls import Connection

WARN = """
import warnings
from nextlabel_server import logs

logs.configure("info", "json")
warnings.warn("a library has something to say")
"""


def test_warnings_of_libraries_are_lines_like_others():
    found = subprocess.run([sys.executable, "-c", WARN], capture_output=True, text=True, check=True)
    (line,) = found.stderr.splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"]) == ("warning", "py.warnings")
    assert "a library has something to say" in told["event"]


def test_grpc_logs_no_metadata_but_whatever_else_it_has_to_say(caplog):
    with servers.in_process() as server, Connection(server.address):
        logger = logging.getLogger("grpc._cython.cygrpc")
        logger.error("Invalid encoding on %s", b"Bearer secret")
        logger.error("Something else on %s", "a port")
    assert "secret" not in caplog.text
    assert "Something else on a port" in caplog.text
