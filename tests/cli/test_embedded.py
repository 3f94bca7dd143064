"""Without a server, a command runs one for itself and leaves nothing behind."""

import signal
import stat

import numpy as np
import pytest

from tests.cli import command
from tests.inference import graphs
from tests.servers import wait_for


def test_a_pool_is_ranked_with_nothing_started(pool, tmp_path):
    done = command.process("select", pool, "--strategy=margin", "--budget=2", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "rank,index,score,priority\n1,1,1.0,1.0\n2,3,0.75,0.5\n"
    assert done.stderr.count("\n") == 1, "nothing but the summary"
    assert list(tmp_path.iterdir()) == [pool]


def test_models_come_from_the_directories_that_are_named(pool, models):
    spec = ("--strategy=margin", "--budget=1", "--model=same")
    by_option = command.process("select", pool, *spec, "--models", models)
    by_variable = command.process("select", pool, *spec, NEXTLABEL_MODELS=str(models))
    assert by_option.stdout == by_variable.stdout == "rank,index,score,priority\n1,1,1.0,1.0\n"


def test_a_server_may_be_named_by_a_variable(pool, address):
    spec = ("--strategy=margin", "--budget=1", "--model=same")
    assert command.here("select", pool, *spec, NEXTLABEL_SERVER=address).exit_code == 0


def test_a_model_directory_that_is_missing_is_one_line(tmp_path):
    done = command.process("models", "--models", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: model directory '{tmp_path / 'none'}': No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_it_and_leaves_nothing_behind(tmp_path, number, exit_code):
    models, scratch = tmp_path / "models", tmp_path / "scratch"
    models.mkdir()
    scratch.mkdir()
    graphs.save(models, "long", graphs.long_running())
    np.save(tmp_path / "pool.npy", np.ones((1, 2), np.float32))
    spec = ("--strategy=margin", "--budget=1", "--model=long", "--models", models)
    with command.started("select", tmp_path / "pool.npy", *spec, TMPDIR=str(scratch)) as running:
        assert wait_for(lambda: list(scratch.glob("*/socket")), command.SECONDS)
        assert [stat.S_IMODE(entry.stat().st_mode) for entry in scratch.iterdir()] == [0o700]
        assert not wait_for(lambda: running.poll() is not None, 1.0)
        running.send_signal(number)
        _, said = running.communicate(timeout=10)
    assert running.returncode == exit_code, said
    assert "Traceback" not in said
    assert list(scratch.iterdir()) == []
