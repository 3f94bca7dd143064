"""A bounded run of the fuzzer from real messages; `make fuzz` makes a long one."""

import importlib.util
import subprocess
import sys

import pytest

from tests.fuzz import frames, seeds
from tests.fuzz.targets import NAMES, target_named

RUNS = {"codec": 5_000, "select": 600, "stream": 600}


@pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="atheris has no wheel here")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_comes_in_does_harm(name, tmp_path):
    limits = [f"-runs={RUNS[name]}", "-max_total_time=20", f"-artifact_prefix={tmp_path}/"]
    command = [sys.executable, "-m", "tests.fuzz", name, str(tmp_path / "corpus"), *limits]
    found = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert found.returncode == 0, found.stderr[-5000:]
    assert "Done " in found.stderr


def test_the_fuzzer_starts_from_calls_that_are_answered():
    with target_named("stream") as target:
        for seed in target.seeds():
            target.run(seed)
        assert target.codes["OK"] > 250


def test_frames_hold_messages():
    messages = [b"", b"a", bytes(300)]
    assert frames.split(frames.join(messages)) == [*messages]
    assert frames.split(frames.join([b"cut off"])[:-3]) == [b"cut "]
    assert len(list(seeds.streams())) > len(list(seeds.unary())) > 300
