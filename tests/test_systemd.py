"""The systemd unit in examples/ is sound, hardened, and sets what the server knows."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nextlabel_server.settings import Settings

UNIT = Path(__file__).parent.parent / "examples/systemd/nextlabel.service"
HIGHEST_EXPOSURE = 15  # of 100, as systemd-analyze counts; most services of a distribution have 96

needs_systemd = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)


@needs_systemd
def test_systemd_reads_every_line(tmp_path):
    unit = tmp_path / UNIT.name  # with a program that exists
    unit.write_text(re.sub("(?m)^ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text()))
    done = analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_service_is_hardened():
    done = analyze("security", "--offline=true", f"--threshold={HIGHEST_EXPOSURE}", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_every_variable_is_a_setting_of_the_server():
    names = set(re.findall("NEXTLABEL_([A-Z_]+)=", UNIT.read_text())) - {"NAME"}
    assert names == {"ADDRESS", "MODELS", "COMPUTE_THREADS", "MEMORY_BUDGET_BYTES"}
    assert {name.lower() for name in names} <= {
        field.name for field in dataclasses.fields(Settings)
    }


def test_it_waits_longer_than_the_server_drains():
    seconds = int(re.search("TimeoutStopSec=([0-9]+)s", UNIT.read_text())[1])
    assert seconds > Settings().drain_seconds + Settings().grace_seconds
