"""The log of a process, as what reads it sees it."""

import json
import subprocess
import sys

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
