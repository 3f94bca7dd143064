"""The base install stays thin, and what it exports is what it says."""

import importlib.metadata
import re
import subprocess
import sys

import pytest

import nextlabel

BASE = {"grpcio", "grpcio-status", "numpy", "protobuf", "tenacity"}
HEAVY = ["scipy", "onnxruntime", "click", "rich", "pyarrow", "pandas", "polars", "sklearn"]
HEAVY += ["structlog", "threadpoolctl", "grpc_health", "grpc_reflection", "nextlabel_server"]
HEAVY += ["prometheus_client", "opentelemetry"]


def run(*lines):
    """What a fresh interpreter prints in which none of HEAVY can be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HEAVY}))"
    program = "\n".join((blocked, *lines))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exported_names_are_sorted_and_exist():
    assert nextlabel.__all__ == sorted(
        nextlabel.__all__, key=lambda name: (not name.isupper(), name)
    )
    for name in nextlabel.__all__:
        assert hasattr(nextlabel, name)
    public = {name for name, value in vars(nextlabel).items() if isinstance(value, type)}
    assert public <= set(nextlabel.__all__)


def test_the_version_is_that_of_the_distribution():
    assert nextlabel.__version__ == importlib.metadata.version("nextlabel")


def test_the_base_dependencies_are_the_thin_ones():
    required = importlib.metadata.requires("nextlabel")
    base = {re.split(r"[<>=!~ \[;]", line)[0] for line in required if "extra ==" not in line}
    assert base == BASE


def test_the_client_selects_with_the_base_install_alone(server):
    printed = run(
        "import numpy as np, nextlabel",
        f"with nextlabel.Client({server.address!r}) as client:",
        "    picked = client.select(np.full((99_999, 2), 0.5), strategy='entropy', budget=2)",
        "    print(picked.indices.tolist(), [s.name for s in client.strategies()][:0])",
    )
    assert printed == "[0, 1] []\n"


def test_importing_the_client_is_quick_and_brings_nothing_heavy():
    printed = run(
        "import grpc, numpy, google.rpc.status_pb2",
        "before = set(sys.modules)",
        "import nextlabel",
        "print(len(set(sys.modules) - before))",
        f"print([name for name in {HEAVY} if sys.modules[name]])",
    )
    modules, heavy = printed.splitlines()
    assert int(modules) < 120  # a few tens of milliseconds, beside gRPC and numpy
    assert heavy == "[]"


@pytest.mark.parametrize(
    ("needed", "code"),
    [
        ("rich", "nextlabel.Client('127.0.0.1:1').select([[1.0]], {}, progress=True)"),
        ("pyarrow", "nextlabel.Client('127.0.0.1:1').select('pool.parquet', {})"),
    ],
)
def test_what_needs_an_extra_says_which(needed, code):
    printed = run(
        "import nextlabel",
        "try:",
        f"    {code.format('strategy=' + repr('entropy') + ', budget=1')}",
        "except ImportError as error:",
        "    print(error)",
    )
    assert needed in printed
    assert "pip install 'nextlabel[cli]'" in printed
