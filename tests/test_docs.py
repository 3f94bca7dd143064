"""What the README and the guides show is run as it stands, against a real server."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from tests import certificates
from tests.cli import command
from tests.inference import graphs
from tests.servers import ServerProcess

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
GUIDES = ("client", "models")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


def dropout_network(rng):
    """An image [rows, 784] to ten probabilities, by way of dropout."""
    nodes = [
        helper.make_node("Dropout", ["image", "ratio", "active"], ["thinned"]),
        helper.make_node("MatMul", ["thinned", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probabilities"]),
    ]
    constants = [
        graphs.constant("ratio", np.float32(0.5)),
        graphs.constant("active", np.bool_(True)),
        graphs.constant("weights", rng.normal(0, 1e-3, (784, 10)).astype(np.float32)),
    ]
    inputs = [graphs.value("image", ["rows", 784])]
    return graphs.model(nodes, inputs, [graphs.value("probabilities", ["rows", 10])], constants)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the shown commands run: the files that they name."""
    folder = tmp_path_factory.mktemp("user")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (200, 784), dtype=np.uint8)
    labels = images[:, :10].argmax(axis=1)
    model = LogisticRegression(max_iter=3000).fit(images / 255.0, labels)
    (folder / "models").mkdir()
    inputs = [("image", FloatTensorType([None, 784]))]
    onnx = to_onnx(model, initial_types=inputs, options={"zipmap": False})
    for name in ("digits", "digits-2"):
        (folder / "models" / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    graphs.save(folder / "models", "digits-dropout", dropout_network(rng))
    probabilities = rng.dirichlet(np.ones(10), size=500)
    np.save(folder / "pool.npy", probabilities)
    np.save(folder / "images.npy", images)
    columns = {f"class_{i}": probabilities[:, i] for i in range(10)}
    pq.write_table(pa.table(columns), folder / "pool.parquet")
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with ServerProcess(models=[str(folder / "models")]) as running:
        yield running


def python_blocks():
    for page in (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in GUIDES)):
        for i, block in enumerate(blocks(page, "python")):
            yield pytest.param(block, id=f"{page.name}-{i}")


@pytest.mark.parametrize("block", list(python_blocks()))
def test_python_examples_run(block, server, folder):
    from nextlabel import Client

    block = textwrap.dedent(block).replace('"127.0.0.1:50051"', repr(server.address))
    with Client(server.address) as client:
        names = {
            "client": client,
            "probs": np.load(folder / "pool.npy"),
            "images": np.load(folder / "images.npy"),
            "embeddings": np.random.default_rng(1).normal(size=(500, 8)),
            "groups": np.arange(500) % 6,
            "committee": np.random.default_rng(2).dirichlet(np.ones(4), size=(500, 3)),
            "tokens": np.load(folder / "pool.npy"),
            "offsets": np.arange(0, 501, 5),
        }
        exec(block, names)
    assert len(names["picked"]) > 0


def shell_commands(starting: str) -> list[str]:
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith(starting)})


@pytest.mark.parametrize("shown", shell_commands("nextlabel select"))
def test_shown_commands_select_something(shown, folder):
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(
        shown, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    picks = done.stdout or (folder / "picks.csv").read_text()
    assert picks.startswith("rank,index,")
    assert len(picks.splitlines()) > 1


def test_the_shown_call_by_hand_works_in_another_language(server):
    (shown,) = blocks(ROOT / "docs" / "contract.md", "sh")
    shown = shown.replace("127.0.0.1:50051", server.address)
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run(shown, shell=True, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r'"indices":\s*\[\s*1\s*\]', done.stdout)


def test_the_shown_server_with_tls_and_tokens_answers_the_shown_calls(tmp_path, monkeypatch):
    import nextlabel

    serve, curl = blocks(ROOT / "docs" / "server.md", "sh")[1:]
    authority = certificates.Authority(tmp_path / "ca.pem")
    certificates.write(tmp_path / "tls", authority.issue())
    token = "0123456789abcdef" * 4
    certificates.write(tmp_path / "tokens", {"tokens": token.encode()})
    for shown, here in {
        "0.0.0.0:50051": "127.0.0.1:0",
        "0.0.0.0:50052": "127.0.0.1:0",
        "/tls/": f"{tmp_path}/tls/",
        "/tokens/": f"{tmp_path}/tokens/",
    }.items():
        assert shown in serve
        serve = serve.replace(shown, here)
    with command.started(*shlex.split(serve.replace("\\\n", ""))[1:]) as server:
        address = command.address_of(server)
        curl = curl.replace("localhost:50051", address).replace("TOKEN", token)
        environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
        done = subprocess.run(
            curl, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert nextlabel.__version__ in done.stdout
        (shown,) = blocks(ROOT / "docs" / "client.md", "py")
        monkeypatch.chdir(tmp_path)
        names = {"token": token}
        exec(shown.replace("labels.example:50051", address), names)
        with names["client"] as client:
            assert client.info().version


def test_the_two_commands_of_the_readme_are_targets_of_the_makefile():
    (first, *_) = blocks(ROOT / "README.md", "sh")
    targets = re.findall(r"^make (\w+)", first, flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"\n{target} " in f"\n{shown.stdout}" for target in targets)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "SECURITY.md"]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_error_tree_is_the_same_in_the_code_and_in_the_guide():
    from nextlabel import errors

    tree = textwrap.dedent(errors.__doc__.split("\n\n")[1])
    assert tree.strip() in (ROOT / "docs" / "client.md").read_text()


def test_generated_pages_are_what_the_declarations_say(tmp_path):
    for page in ("strategies.md", "settings.md", "metrics.md"):
        shutil.copy(ROOT / "docs" / page, tmp_path / page)
    for source in ("generate.py", "which-strategy.md"):
        shutil.copy(ROOT / "docs" / source, tmp_path / source)
    before = {page.name: page.read_text() for page in tmp_path.glob("*.md")}
    subprocess.run([sys.executable, tmp_path / "generate.py"], check=True)
    assert {page.name: page.read_text() for page in tmp_path.glob("*.md")} == before
