"""A repository whose directories change."""

import gc
import weakref

import numpy as np
import pytest

from nextlabel_server.errors import Cancelled, UnknownName
from nextlabel_server.inference import ModelRepository, RepositoryError

from . import graphs


def publish(directory, version, content, name="m"):
    """Writes a version aside, then renames it, as an operator should."""
    aside = directory / f".{name}-{version}"
    aside.mkdir()
    (aside / "model.onnx").write_bytes(content)
    (directory / name).mkdir(exist_ok=True)
    aside.rename(directory / name / str(version))


def rewrite(path, content):
    (path.parent / ".aside").write_bytes(content)
    (path.parent / ".aside").rename(path)


COLUMNS = [graphs.value("x", ["rows", "any"])]


def needs_16_columns():
    """Loads, and runs only where rows have 16 columns or more."""
    nodes = [
        graphs.helper.make_node("Slice", ["x", "from", "to", "axis"], ["part"]),
        graphs.helper.make_node("Add", ["part", "zeros"], ["probabilities"]),
    ]
    constants = [
        graphs.constant("from", np.int64([6])),
        graphs.constant("to", np.int64([16])),
        graphs.constant("axis", np.int64([1])),
        graphs.constant("zeros", np.zeros(10, np.float32)),
    ]
    outputs = [graphs.value("probabilities", ["rows", "columns"])]
    return graphs.model(nodes, COLUMNS, outputs, constants)


def fails():
    """Loads, and fails in every run: there is no column 999."""
    node = graphs.helper.make_node("Gather", ["x", "far"], ["probabilities"], axis=1)
    outputs = [graphs.value("probabilities", ["rows", 2])]
    inputs = [graphs.value("x", ["rows", 3])]
    return graphs.model([node], inputs, outputs, [graphs.constant("far", np.int64([0, 999]))])


@pytest.fixture
def repository(tmp_path):
    publish(tmp_path, 1, graphs.identity())
    return ModelRepository.load([tmp_path], tried=True)


def versions(repository):
    return [model.version for models in repository.models() for model in models]


def test_a_new_version_is_served_beside_the_old_one(repository, tmp_path):
    old = repository.get("m")
    publish(tmp_path, 2, graphs.identity())
    assert versions(repository) == [1]
    repository.refresh()
    assert versions(repository) == [2, 1]
    assert repository.get("m").version == 2
    assert repository.get("m", "1") is old


def test_what_is_written_aside_is_not_there_yet(repository, tmp_path):
    for name in (".m-2", "m/.2", "m/2.tmp", "m/2"):
        (tmp_path / name).mkdir()
    (tmp_path / "m/2/model.onnx.part").write_bytes(graphs.identity()[:50])
    repository.refresh()
    assert versions(repository) == [1]


@pytest.mark.parametrize("content", [b"no model", fails()], ids=["refused", "fails"])
def test_a_broken_version_is_told_once_and_never_the_default(repository, tmp_path, caplog, content):
    publish(tmp_path, 2, content)
    for _ in range(3):
        repository.refresh()
    assert repository.get("m").version == 1
    assert repository.get("m", "2").problem
    assert caplog.text.count("model 'm' version 2 cannot be used") == 1
    assert (repository.loads["m"], repository.load_failures["m"]) == (1, 1)
    again = ModelRepository.load([tmp_path], tried=True)
    assert again.get("m").version == 1  # after a restart, too

    rewrite(tmp_path / "m/2/model.onnx", graphs.identity())
    repository.refresh()
    assert repository.get("m").version == 2


def test_a_version_that_gets_another_file_is_read_again(repository, tmp_path):
    rewrite(tmp_path / "m/1/model.onnx", graphs.identity(shape=("rows", 7)))
    repository.refresh()
    assert repository.get("m").inputs[0].shape == (None, 7)
    (tmp_path / "m/1/model.toml").write_text('activation = "softmax"')
    repository.refresh()
    assert repository.get("m").activation == "softmax"


def test_the_old_file_of_a_version_is_served_when_the_new_one_is_broken(
    repository, tmp_path, caplog
):
    old = repository.get("m")
    rewrite(tmp_path / "m/1/model.onnx", b"no model")
    for _ in range(3):
        repository.refresh()
    assert repository.get("m") is old
    assert old.problem is None
    assert caplog.text.count("goes on as it was before its file changed") == 1


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.onnx", b"no model", "the file is not a model that ONNX Runtime"),
        ("model.onnx", fails(), "it failed on a trial run"),
        ("model.toml", b"activation = 3", "m/1/model.toml: activation = 3 is wrong"),
    ],
)
def test_what_is_wrong_with_the_new_file_is_known_as_long_as_it_lies_there(
    repository, tmp_path, name, content, says
):
    old = repository.get("m")
    assert repository.file_problem(old) is None
    rewrite(tmp_path / "m/1" / name, content)
    for _ in range(2):
        repository.refresh()
        assert repository.get("m") is old
        assert repository.file_problem(old).startswith(says)
    rewrite(tmp_path / "m/1" / name, graphs.identity() if name == "model.onnx" else b"")
    repository.refresh()
    assert repository.get("m") is not old
    assert repository.file_problem(repository.get("m")) is None


def test_a_version_that_cannot_be_used_says_so_itself(repository, tmp_path):
    publish(tmp_path, 2, b"no model")
    repository.refresh()
    broken = repository.get("m", "2")
    assert broken.problem
    assert repository.file_problem(broken) is None
    (tmp_path / "m/2").rename(tmp_path / ".gone")
    repository.refresh()
    assert repository.file_problem(broken) is None


def test_a_configuration_map_may_be_switched(tmp_path):
    for number, columns in ((1, 3), (2, 4)):
        (tmp_path / f"..{number}").mkdir()
        graphs.save(tmp_path / f"..{number}", "m", graphs.identity(shape=("rows", columns)))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "m.onnx").symlink_to("..data/m.onnx")
    repository = ModelRepository.load([tmp_path])
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    repository.refresh()
    assert repository.get("m").inputs[0].shape == (None, 4)


def test_a_version_that_is_gone_is_released_once_nobody_runs_it(repository, tmp_path):
    publish(tmp_path, 2, graphs.identity())
    repository.refresh()
    in_a_call = repository.get("m", "1")
    released = weakref.ref(in_a_call.session)
    (tmp_path / "m/1").rename(tmp_path / ".old")
    repository.refresh()
    with pytest.raises(UnknownName, match="model 'm' has no version '1'; there is '2'"):
        repository.get("m", "1")
    assert graphs.run(in_a_call, x=[[1, 0, 0]]).probabilities.tolist() == [[1, 0, 0]]
    del in_a_call
    gc.collect()
    assert released() is None


def test_directories_that_cannot_be_read_change_nothing(repository, tmp_path):
    tmp_path.rename(tmp_path.with_name("elsewhere"))
    with pytest.raises(RepositoryError, match="No such file or directory"):
        repository.refresh()
    assert versions(repository) == [1]
    tmp_path.with_name("elsewhere").rename(tmp_path)
    repository.refresh()
    assert versions(repository) == [1]


def test_a_closed_repository_takes_nothing_in(repository, tmp_path):
    repository.close()
    with pytest.raises(Cancelled):
        repository.refresh()
    assert repository.models() == []


@pytest.mark.parametrize(
    ("content", "usable"),
    [
        (graphs.identity(), True),
        (graphs.identity(shape=("rows", "any")), True),
        (graphs.identity(shape=(8, 3)), True),
        (graphs.embedding_lookup(), True),
        (needs_16_columns(), True),
        (fails(), False),
    ],
    ids=["fixed", "open", "for 8 rows", "tokens", "16 columns", "fails"],
)
def test_a_trial_run_tells_models_that_run_from_those_that_do_not(tmp_path, content, usable):
    publish(tmp_path, 1, content)
    model = ModelRepository.load([tmp_path], tried=True).get("m")
    assert (model.problem is None) is usable
