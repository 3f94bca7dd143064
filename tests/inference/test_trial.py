"""The trial run: what fails it is not served, and it takes neither all memory nor all time."""

import logging
import threading
import time

import numpy as np
import onnx
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled
from nextlabel_server.inference import ModelRepository
from nextlabel_server.inference.model import Model
from nextlabel_server.inference.trial import try_out

from . import graphs
from .test_refresh import fails


@pytest.fixture
def runs(monkeypatch):
    """The shapes that models are run with."""
    shapes = []
    run = Model.run

    def seen(model, inputs, **options):
        shapes.append([values.shape for values in inputs.values()])
        return run(model, inputs, **options)

    monkeypatch.setattr(Model, "run", seen)
    return shapes


def tried(tmp_path, content):
    return try_out(graphs.load(tmp_path, content), CancelToken())


def projected(*axes):
    """x @ w, its mean over all axes but the first and last: for a last axis of length 5."""
    inner = range(1, len(axes))
    mean = {"axes": list(inner), "keepdims": 0} if inner else {}
    nodes = [
        graphs.helper.make_node("MatMul", ["x", "w"], ["y"]),
        graphs.helper.make_node("ReduceMean" if inner else "Identity", ["y"], ["p"], **mean),
        graphs.helper.make_node("Identity", ["p"], ["probabilities"]),
    ]
    w = graphs.constant("w", np.full((5, 3), 1 / 15, np.float32))
    outputs = [graphs.value("probabilities", ["rows", 3])]
    return graphs.model(nodes, [graphs.value("x", ["rows", *axes])], outputs, [w])


def endless():
    model = onnx.load_from_string(graphs.long_running())
    [times] = [each for each in model.graph.initializer if each.name == "times"]
    times.CopyFrom(graphs.constant("times", np.int64(2**60)))
    return model.SerializeToString()


def test_a_model_that_answers_is_run_once(tmp_path, runs):
    assert tried(tmp_path, graphs.identity()).problem is None
    assert runs == [[(1, 3)]]


def test_a_failure_with_declared_axes_is_a_problem(tmp_path, runs, caplog):
    model = tried(tmp_path, fails())
    assert model.problem.startswith("it failed on a trial run with a row of zeros")
    assert model.session is None
    assert "cannot be used: it failed on a trial run" in caplog.text
    assert len(runs) == 1


def test_an_output_that_is_not_as_declared_is_told_in_the_log(tmp_path, caplog):
    node = graphs.helper.make_node("ReduceSum", ["x"], ["probabilities"], keepdims=0)
    outputs = [graphs.value("probabilities", None)]
    content = graphs.model([node], [graphs.value("x", ["rows", 3])], outputs)
    assert tried(tmp_path, content).problem
    assert "should have the shape [1, columns] for 1 rows" in caplog.text


def test_a_failure_with_guessed_axes_is_none_of_the_model(tmp_path, runs, caplog):
    caplog.set_level(logging.INFO)
    model = tried(tmp_path, projected("columns"))
    assert model.problem is None
    assert runs == [[(1, 1)], [(1, 16)], [(1, 224)]]
    assert "model 'm' version 1 is served untried" in caplog.text
    assert graphs.run(model, x=[[1] * 5]).probabilities == pytest.approx(np.full((1, 3), 1 / 3))


def test_guesses_that_would_take_much_memory_are_left_out(tmp_path, runs):
    assert tried(tmp_path, projected(*"abcde")).problem is None
    assert runs == [[(1, 1, 1, 1, 1, 1)], [(1, 16, 16, 16, 16, 16)]]


def test_the_rows_of_a_fixed_batch_count(tmp_path, runs):
    content = graphs.identity(shape=(10**9, 3))
    assert tried(tmp_path, content).problem is None
    assert runs == []


@pytest.mark.parametrize("shape", [("rows", 10**12), (10**12, 3), ("rows", 2**62, 4)])
def test_what_no_memory_holds_is_served_untried(tmp_path, runs, shape, caplog):
    caplog.set_level(logging.INFO)
    node = graphs.helper.make_node("Identity", ["x"], ["probabilities"])
    outputs = [graphs.value("probabilities", ["rows", 3])]
    content = graphs.model([node], [graphs.value("x", shape)], outputs)
    assert tried(tmp_path, content).problem is None
    assert runs == []
    assert "model 'm' version 1 is served untried" in caplog.text


def test_whatever_a_trial_raises_is_a_problem(tmp_path, monkeypatch, caplog):
    def fail(*_, **__):
        raise MemoryError("a secret")

    monkeypatch.setattr(Model, "run", fail)
    problem = tried(tmp_path, graphs.identity()).problem
    assert problem
    assert "secret" not in problem
    assert "secret" in caplog.text


def test_a_trial_that_never_ends_is_a_problem_and_the_rest_is_served(tmp_path, monkeypatch):
    monkeypatch.setattr("nextlabel_server.inference.trial.SECONDS", 0.2)
    graphs.save(tmp_path, "aaa", endless())
    graphs.save(tmp_path, "good", graphs.identity())
    repository = ModelRepository.load([tmp_path], tried=True)
    assert repository.get("good").problem is None
    problem = repository.get("aaa").problem
    assert problem == "it did not answer a trial run with a row of zeros within 0.2 s"


def test_closing_stops_a_trial_at_once(tmp_path):
    model = graphs.load(tmp_path, endless())
    cancel = CancelToken()
    threading.Timer(0.2, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        try_out(model, cancel)
    assert time.monotonic() - started < 5


def test_no_timer_is_left_behind(tmp_path):
    before = set(threading.enumerate())
    tried(tmp_path, graphs.identity())
    for thread in set(threading.enumerate()) - before:
        thread.join(1)
        assert not thread.is_alive()
