"""The image, built and run for real."""

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from nextlabel import Client, NextlabelError
from tests.image.build import IMAGE, run
from tests.image.containers import container

MEGABYTE = 1 << 20
TEXTS = ["cheap pills now", "meeting at noon", "win cheap money", "notes of the meeting"]


@pytest.fixture(scope="module")
def running():
    with container("--memory=512m", "--cpus=1") as running:
        yield running


@pytest.fixture
def text_model(tmp_path):
    """A directory with one model that takes text, readable by anyone."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [1, 0, 1, 0])
    onnx = to_onnx(
        model, initial_types=[("text", StringTensorType([None, 1]))], options={"zipmap": False}
    )
    (tmp_path / "mail.onnx").write_bytes(onnx.SerializeToString())
    tmp_path.chmod(0o755)
    return tmp_path


def health(address):
    with grpc.insecure_channel(address) as channel:
        return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status


def test_it_answers_health_checks_from_outside(running):
    assert health(running.address) == health_pb2.HealthCheckResponse.SERVING


def test_it_ranks_a_pool(running):
    pool = [[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]]
    with Client(running.address) as client:
        picked = client.select(probabilities=pool, strategy="least_confidence", budget=2)
    assert picked.indices.tolist() == [1, 2]
    assert picked.scores == pytest.approx([0.5, 0.3])


def test_a_model_runs_that_reads_text(text_model):
    # User 12345 is in no file of the image, as on OpenShift.
    options = [f"--volume={text_model}:/models:ro"]
    with (
        container(*options, user="12345:0", models="/models") as running,
        Client(running.address) as client,
    ):
        picked = client.select(
                model="mail", inputs={"text": np.array([["meeting"], ["pills meeting"]])},
                strategy="margin", budget=1,
            )  # fmt: skip
    assert picked.indices.tolist() == [1]


def test_nothing_can_be_written_but_tmp(running):
    written = running.python(
        "import os",
        "for folder, inner, files in os.walk('/'):",
        "    if folder == '/': inner[:] = set(inner) - {'proc', 'sys', 'dev'}",
        "    if os.access(folder, os.W_OK): print(folder)",
        "    for name in files:",
        "        path = os.path.join(folder, name)",
        "        if os.access(path, os.W_OK) and not os.path.islink(path): print(path)",
    )
    assert written.split() == ["/tmp"]


def test_it_has_no_privileges(running):
    status = running.python("print(open('/proc/1/status').read())")
    fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
    assert {fields[f"Cap{kind}"].strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["65532"] * 4


def test_it_has_neither_shell_nor_tools_to_build_with(running):
    found = running.python(
        "import importlib.util, os, pathlib",
        "folders = os.environ['PATH'].split(':') + ['/bin', '/sbin', '/usr/bin', '/usr/local/bin']",
        "programs = {path.name for each in folders for path in pathlib.Path(each).glob('*')}",
        "print(*sorted(name for name in programs if not name.startswith('python')))",
        "tools = ('pip', 'setuptools', 'ensurepip')",
        "print([name for name in tools if importlib.util.find_spec(name)])",
    ).splitlines()
    assert not {"sh", "bash", "apt", "dpkg", "gcc", "perl", "pip"} & set(found[0].split())
    assert found[1] == "[]"


def test_threads_and_memory_follow_the_limits_of_the_container(running):
    counted = running.python(
        "from nextlabel_server.settings import Settings",
        "print(Settings().compute_threads, Settings().memory_budget_bytes)",
    )
    assert counted.split() == ["1", str(256 * MEGABYTE)]


def test_onnx_runtime_keeps_to_itself(text_model):
    with container(f"--volume={text_model}:/models:ro", models="/models") as running:
        left = running.python(
            "import os, pathlib",
            "print(os.environ['ORT_DISABLE_TELEMETRY'], list(pathlib.Path('/tmp').rglob('*')))",
        )
    assert left == "1 []\n"


def test_a_memory_limit_holds_under_load():
    pool = np.random.default_rng(0).dirichlet(np.ones(10), size=1_000_000).astype(np.float32)
    with container("--memory=320m", "--cpus=2") as running:

        def ask(_: int) -> list[int]:
            with Client(running.address, timeout=90) as client:
                return client.select(
                    probabilities=pool, strategy="entropy", budget=5
                ).indices.tolist()

        with ThreadPoolExecutor(12) as callers:
            answers = list(callers.map(ask, range(24)))
        state = running.state()
    entropy = -(pool.astype(float) * np.log(pool)).sum(axis=1)
    expected = np.argsort(-entropy, kind="stable")[:5].tolist()
    assert answers == [expected] * 24
    assert state["Running"]
    assert not state["OOMKilled"]


def test_a_pool_over_the_memory_limit_is_refused_and_the_server_lives():
    with container("--memory=160m") as running, Client(running.address) as client:
        with pytest.raises(NextlabelError, match="memory"):
            client.select(
                embeddings=np.broadcast_to(np.float32(0.5), (400_000, 128)),
                strategy="k_center",
                budget=5,
            )
        assert health(running.address) == health_pb2.HealthCheckResponse.SERVING


def test_sigterm_lets_a_call_finish_and_ends_with_0():
    started, go_on = threading.Event(), threading.Event()

    def batches():
        yield np.full((1000, 2), 0.5)
        started.set()
        go_on.wait(20)
        yield np.full((1000, 2), 0.5)

    with container() as running, ThreadPoolExecutor(1) as caller, Client(running.address) as client:
        picked = caller.submit(client.select, batches(), strategy="entropy", budget=1)
        assert started.wait(20)
        running.terminate()
        go_on.set()
        assert picked.result(30).row_count == 2000
        assert running.wait()["ExitCode"] == 0
        assert [line["event"] for line in running.log()][-1] == "stopped"


def test_the_bill_of_materials_names_everything_inside(running):
    bill = json.loads(
        running.python("print(open('/opt/nextlabel/share/sbom/nextlabel.cdx.json').read())")
    )
    listed = {each["name"].lower().replace("_", "-") for each in bill["components"]}
    installed = running.python(
        "import importlib.metadata",
        "for one in importlib.metadata.distributions(): print(one.name.lower().replace('_', '-'))",
    )
    assert set(installed.split()) - listed == {"nextlabel"}
    assert bill["metadata"]["component"]["name"] == "nextlabel"
    assert {"cpython", "libc6", "libssl3", "libstdc++6"} <= listed


def test_its_configuration_says_how_to_run_it():
    (image,) = json.loads(run("podman", "inspect", IMAGE).stdout)
    configuration = image["Config"]
    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == ["nextlabel"]
    assert configuration["Cmd"] == ["serve"]
    assert configuration["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_is_no_larger_than_the_documentation_says():
    (image,) = json.loads(run("podman", "inspect", IMAGE).stdout)
    assert image["Size"] < 420 * MEGABYTE


def test_metrics_are_scraped_from_outside():
    with container(metrics_address="127.0.0.1:0") as running:
        with Client(running.address) as client:
            client.select(probabilities=[[0.5, 0.5]], strategy="entropy", budget=1)
        (line,) = (each for each in running.log() if each["event"] == "serving")
        with urllib.request.urlopen(f"http://{line['metrics_address']}/metrics") as page:
            scraped = page.read().decode()
    assert 'nextlabel_rows_total{model="",strategy="entropy"} 1.0' in scraped
