"""A pool whose ranking is worked out by hand, and servers to rank it."""

import numpy as np
import pytest

from tests import servers
from tests.cli import command
from tests.inference import graphs

# Margin scores 1 − (p1 − p2): 0.25, 1, 0.5, 0.75. Ranking: rows 1, 3, 2, 0.
POOL = np.array([[0.875, 0.125], [0.5, 0.5], [0.75, 0.25], [0.625, 0.375]])


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """`same` returns its input x; `joined` sets its inputs a and b side by side.

    `half` is `same`, with a later version that is broken.
    """
    directory = tmp_path_factory.mktemp("models")
    graphs.save(directory, "same", graphs.identity(shape=("rows", 2)))
    join = graphs.helper.make_node("Concat", ["a", "b"], ["probabilities"], axis=1)
    inputs = [graphs.value(name, ["rows", 1]) for name in ("a", "b")]
    inputs.append(graphs.value("word", ["rows"], graphs.TensorProto.STRING))
    outputs = [graphs.value("probabilities", ["rows", 2])]
    graphs.save(directory, "joined", graphs.model([join], inputs, outputs))
    graphs.save(directory, "broken", b"not a model")
    for version, content in ((1, graphs.identity(shape=("rows", 2))), (2, b"not a model")):
        folder = directory / "half" / str(version)
        folder.mkdir(parents=True)
        graphs.save(folder, "model", content)
    return directory


@pytest.fixture(scope="session")
def address(models):
    """A server in another process, for in this one standard output belongs to the command."""
    with servers.ServerProcess(models=[str(models)]) as running:
        yield running.address


@pytest.fixture
def select(address):
    """`nextlabel select` by margin; returns the picks."""

    def run(*arguments, budget=4):
        result = command.here(
            "select", *arguments, "--strategy=margin", f"--budget={budget}", f"--server={address}"
        )
        assert result.exit_code == 0, result.output
        return command.rows_of(result.stdout)

    return run


@pytest.fixture
def refused(address):
    """`nextlabel select` by margin that is refused; returns what it says."""

    def run(*arguments, exit_code=2):
        result = command.here(
            "select", "--strategy=margin", "--budget=4", f"--server={address}", *arguments
        )
        assert result.exit_code == exit_code, result.output
        assert not result.stdout
        return command.one_line(result.stderr)

    return run


@pytest.fixture
def pool(tmp_path):
    """POOL as a .npy file."""
    np.save(tmp_path / "pool.npy", POOL)
    return tmp_path / "pool.npy"


@pytest.fixture
def text_pool(tmp_path):
    """POOL as a .csv file with ids."""
    path = tmp_path / "pool.csv"
    path.write_text("id,no,yes\n007,0.875,0.125\nb,0.5,0.5\nc,0.75,0.25\nd,0.625,0.375\n")
    return path
