"""The repository: everything loads that can, and the rest says why it could not."""

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from nextlabel_server.errors import UnknownName
from nextlabel_server.inference import ModelRepository

from . import graphs


@pytest.fixture
def digits(tmp_path):
    for version in ("2", "10", "9"):
        (tmp_path / "digits" / version).mkdir(parents=True)
        (tmp_path / "digits" / version / "model.onnx").write_bytes(graphs.identity())
    graphs.save(tmp_path, "text", graphs.identity())
    return ModelRepository.load([tmp_path])


def test_the_highest_version_is_the_default(digits):
    assert digits.get("digits").version == 10
    assert digits.get("digits", "9").version == 9
    assert digits.get("text").version == 1


def test_models_are_listed_by_name_and_the_highest_version_first(digits):
    listed = [[(model.name, model.version) for model in versions] for versions in digits.models()]
    assert listed == [[("digits", 10), ("digits", 9), ("digits", 2)], [("text", 1)]]


@pytest.mark.parametrize(
    ("name", "version", "says"),
    [
        ("digit", "", "no model 'digit' on this server; there is 'digits', 'text'"),
        ("../digits", "", "no model '../digits' on this server"),
        ("digits", "3", "model 'digits' has no version '3'; there is '10', '9', '2'"),
        ("digits", "010", "model 'digits' has no version '010'"),
        ("digits", "latest", "model 'digits' has no version 'latest'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(digits, name, version, says):
    with pytest.raises(UnknownName) as caught:
        digits.get(name, version)
    assert caught.value.message.startswith(says)


def test_a_long_list_and_a_long_name_are_cut(tmp_path):
    for number in range(25):
        graphs.save(tmp_path, f"m{number:02}", graphs.identity())
    with pytest.raises(UnknownName) as caught:
        ModelRepository.load([tmp_path]).get("x" * 10_000)
    assert caught.value.message.endswith("'m18', 'm19' and 5 more")
    assert len(caught.value.message) < 500


def test_a_server_without_models_says_so(tmp_path):
    for repository in (ModelRepository.load([]), ModelRepository.load([tmp_path])):
        assert repository.models() == []
        with pytest.raises(UnknownName, match="it serves none"):
            repository.get("digits")


def test_a_closed_repository_serves_nothing(digits):
    digits.close()
    assert digits.models() == []


@pytest.mark.parametrize(
    ("content", "settings", "says"),
    [
        (b"", "", "the file is not a model that ONNX Runtime"),
        (b"PK\x03\x04 not a model", "", "the file is not a model that ONNX Runtime"),
        (graphs.long_running()[:-40], "", "it may be truncated"),
        (graphs.identity(), "batch_size = 'many'", "m.toml: batch_size = 'many' is wrong"),
        (graphs.identity(), "probabilities = 'p'", "m.toml: probabilities = 'p': there is no"),
        (graphs.identity(), "=", "m.toml is not valid TOML"),
        (graphs.identity(shape=[8, 3]), "batch_size = 4", "m.toml: batch_size = 4, but the model"),
        (graphs.identity(shape=[]), "", "'x' tensor(float) of any shape has no known row axis"),
        (graphs.identity(shape=[0, 3]), "", "fixed sizes"),
        (graphs.identity(kind=TensorProto.BFLOAT16), "", "of a type that cannot be sent"),
        (graphs.identity(kind=TensorProto.INT64), "", "none of its outputs is known to hold"),
        (
            graphs.model([], [], [graphs.value("p", [1])], [graphs.constant("p", [0.5])]),
            "",
            "it takes no inputs",
        ),
    ],
)
def test_what_cannot_be_used_has_a_problem_and_the_rest_loads(
    tmp_path, caplog, content, settings, says
):
    graphs.save(tmp_path, "m", content, settings)
    graphs.save(tmp_path, "good", graphs.identity())

    repository = ModelRepository.load([tmp_path])

    assert repository.get("good").problem is None
    assert says in repository.get("m").problem
    assert str(tmp_path) not in repository.get("m").problem
    assert "model 'm' version 1 cannot be used" in caplog.text


def signed(producer):
    model = onnx.load_from_string(graphs.identity())
    model.producer_name = producer
    return model.SerializeToString()


@pytest.mark.parametrize(
    "content",
    [
        graphs.identity().replace(b"probabilities", b"probabiliti\xff\xff"),
        graphs.identity().replace(b"\x01x", b"\x01\xff"),
        graphs.identity().replace(b"rows", b"row\xff"),
        signed("PRODUCER").replace(b"PRODUCER", b"\xffRODUCER"),
    ],
    ids=["output", "input", "axis", "producer"],
)
def test_names_that_are_no_text_are_a_problem_and_the_rest_loads(tmp_path, caplog, content):
    graphs.save(tmp_path, "m", content)
    graphs.save(tmp_path, "good", graphs.identity())
    repository = ModelRepository.load([tmp_path], tried=True)
    assert repository.get("good").problem is None
    problem = repository.get("m").problem
    assert problem.startswith("the file cannot be read to its end: it may be damaged")
    assert "codec" not in problem
    assert "codec can't decode" in caplog.text


def test_whatever_loading_raises_is_a_problem(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise MemoryError("a secret")

    monkeypatch.setattr("nextlabel_server.inference.loading.assign_roles", fail)
    problem = graphs.load(tmp_path, graphs.identity()).problem
    assert problem
    assert "secret" not in problem
    assert "secret" in caplog.text


def test_a_long_problem_is_cut(tmp_path):
    model = graphs.load(tmp_path, graphs.identity(), f"probabilities = '{'p' * 100_000}'")
    assert model.problem.startswith("m.toml: probabilities = 'ppp")
    assert len(model.problem) < 5000


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_has_a_problem(tmp_path):
    graphs.save(tmp_path, "m", graphs.identity())
    (tmp_path / "m.onnx").chmod(0)
    assert ModelRepository.load([tmp_path]).get("m").problem is not None


def test_a_model_that_gives_embeddings_only_is_named_at_start(tmp_path, caplog):
    graphs.load(tmp_path, graphs.identity("embedding"))
    assert "model 'm' version 1 gives embeddings only: none of its outputs" in caplog.text


def test_settings_of_a_version_are_its_own(tmp_path):
    for version, settings in (("1", ""), ("2", 'activation = "sigmoid"\nbatch_size = 8\n')):
        folder = tmp_path / "m" / version
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(graphs.identity())
        (folder / "model.toml").write_text(settings)
    repository = ModelRepository.load([tmp_path])
    first, second = repository.get("m", "1"), repository.get("m", "2")
    assert (first.activation, first.batch_size) == ("none", 256)
    assert (second.activation, second.batch_size) == ("sigmoid", 8)


WEIGHTS = np.arange(4, dtype=np.float32)


def test_weights_may_lie_beside_their_model(tmp_path):
    (tmp_path / "..data" / "parts").mkdir(parents=True)
    (tmp_path / "..data" / "parts" / "w.bin").write_bytes(WEIGHTS.tobytes())
    graphs.save(tmp_path / "..data", "m", graphs.with_weights_in("parts/w.bin", 4))
    for name in ("m.onnx", "parts"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    model = ModelRepository.load([tmp_path]).get("m")
    assert model.problem is None
    assert graphs.run(model, x=[[0] * 4]).probabilities.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("location", ["../w.bin", "{outside}/w.bin", "link.bin", "folder/w.bin"])
def test_weights_elsewhere_are_a_problem(tmp_path, location):
    models, outside = tmp_path / "models", tmp_path
    models.mkdir()
    (outside / "w.bin").write_bytes(WEIGHTS.tobytes())
    (models / "link.bin").symlink_to("../w.bin")
    (models / "folder").symlink_to("..")
    graphs.save(models, "m", graphs.with_weights_in(location.format(outside=outside), 4))
    problem = ModelRepository.load([models]).get("m").problem
    assert problem.startswith("it keeps weights in a file outside of its folder, which is not read")
    assert "w.bin" not in problem
    assert "link" not in problem


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "its weights file 'parts/w.bin' is missing: "),
        (lambda path: path.mkdir(), "its weights file 'parts/w.bin' is missing: "),
        (lambda path: path.symlink_to("nowhere"), "its weights file 'parts/w.bin' is missing: "),
        (lambda path: path.write_bytes(b""), "its weights file 'parts/w.bin' has 0 bytes"),
        (
            lambda path: path.write_bytes(WEIGHTS.tobytes()[:-1]),
            "its weights file 'parts/w.bin' has 15 bytes, and the model needs 16: ",
        ),
    ],
    ids=["missing", "folder", "dangling", "empty", "short"],
)
def test_weights_that_cannot_be_read_are_named(tmp_path, make, says):
    (tmp_path / "parts").mkdir()
    make(tmp_path / "parts/w.bin")
    problem = graphs.load(tmp_path, graphs.with_weights_in("parts/w.bin", 4)).problem
    assert problem.startswith(says)


def test_weights_of_a_branch_are_looked_at_too(tmp_path):
    inner = onnx.load_from_string(graphs.with_weights_in("w.bin", 4)).graph
    del inner.input[:]
    node = graphs.helper.make_node(
        "If", ["yes"], ["probabilities"], then_branch=inner, else_branch=inner
    )
    inputs = [graphs.value("x", ["rows", 4]), graphs.value("yes", [1], TensorProto.BOOL)]
    outputs = [graphs.value("probabilities", ["rows", 4])]
    problem = graphs.load(tmp_path, graphs.model([node], inputs, outputs)).problem
    assert problem.startswith("its weights file 'w.bin' is missing")


def test_a_weights_file_of_a_strange_name_is_shown_in_one_short_line(tmp_path):
    location = "w\n" * 100
    problem = graphs.load(tmp_path, graphs.with_weights_in(location, 4)).problem
    assert problem.startswith("its weights file 'w\\nw\\n")
    assert len(problem) < 400


def test_a_model_with_good_weights_is_refused_for_what_is_wrong(tmp_path):
    (tmp_path / "w.bin").write_bytes(WEIGHTS.tobytes())
    content = graphs.with_weights_in("w.bin", 4).replace(b"Add", b"Adx")
    problem = graphs.load(tmp_path, content).problem
    assert problem.startswith("the file is not a model that ONNX Runtime")


def test_damaged_models_do_no_harm(tmp_path):
    """In a process of its own: what is damaged may be what keeps ONNX Runtime from crashing."""
    rng = np.random.default_rng(0)
    for number in range(150):
        content = bytearray(graphs.identity() if number % 2 else graphs.embedding_lookup())
        for at in rng.integers(0, len(content), 1 + number % 5):
            content[at] = rng.integers(0, 256)
        graphs.save(tmp_path, f"m{number}", bytes(content[: len(content) - number % 7]))
    program = f"""
from pathlib import Path
from nextlabel_server.inference import ModelRepository
print(len(ModelRepository.load([Path({str(tmp_path)!r})]).models()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "150\n"), done.stderr[-2000:]
