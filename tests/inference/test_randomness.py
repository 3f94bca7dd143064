"""Models that draw at random: what each pass draws, and what cannot be repeated."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import ModelUnfit

from . import graphs

import onnxruntime  # isort: skip  # after ours, which turns its telemetry off

RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 4)).astype(np.float32)
WIDE = np.ones((3, 10_000), np.float32)
DROPOUT = helper.make_node("Dropout", ["b", "ratio", "train"], ["c"])
WEIGHTS = (
    graphs.constant("w", RNG.normal(size=(4, 32)).astype(np.float32)),
    graphs.constant("v", RNG.normal(size=(32, 3)).astype(np.float32)),
    graphs.constant("ratio", np.float32(0.5)),
)


def network(nodes=(DROPOUT,), *, rows="rows", train=True, constants=()):
    """x [rows, 4] by way of b and c [rows, 32], between which `nodes` are, to probabilities."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        *nodes,
        helper.make_node("MatMul", ["c", "v"], ["d"]),
        helper.make_node("Softmax", ["d"], ["probabilities"]),
    ]
    return graphs.model(
        nodes,
        [graphs.value("x", [rows, 4])],
        [graphs.value("probabilities", [rows, 3])],
        [*WEIGHTS, graphs.constant("train", np.bool_(train)), *constants],
    )


def drawing(*nodes, kind=graphs.FLOAT, constants=()):
    """A model that gives what `nodes` make of x [rows, 10 000]: y, as floats."""
    return graphs.model(
        [*nodes, helper.make_node("Cast", ["y"], ["probabilities"], to=graphs.FLOAT)],
        [graphs.value("x", ["rows", WIDE.shape[1]], kind)],
        [graphs.value("probabilities", ["rows", WIDE.shape[1]])],
        constants,
    )


def passes(model, x=X, *, count=3, seed=7, first_row=0):
    """[n, passes, columns]: what the passes give for rows of x."""
    found = model.run({"x": x}, first_row=first_row, cancel=CancelToken(), passes=count, seed=seed)
    return np.stack(found.members, axis=1)


def test_passes_differ_and_the_seed_tells_what_they_give(tmp_path):
    model = graphs.load(tmp_path, network())
    assert model.stochastic
    assert [tensor.name for tensor in model.inputs] == ["x"]
    found = passes(model)
    assert len(np.unique(found, axis=1)[0]) == 3
    np.testing.assert_array_equal(passes(model), found)
    np.testing.assert_array_equal(passes(model, count=5)[:, :3], found)
    np.testing.assert_array_equal(passes(graphs.load(tmp_path, network())), found)
    assert not np.array_equal(passes(model, seed=8), found)


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([DROPOUT], id="rows first"),
        pytest.param(
            [
                helper.make_node("Reshape", ["b", "heads"], ["h"]),
                helper.make_node("Dropout", ["h", "ratio", "train"], ["i"]),
                helper.make_node("Reshape", ["i", "whole"], ["c"]),
            ],
            id="four parts a row along the first axis",
        ),
        pytest.param(
            [
                helper.make_node("Transpose", ["b"], ["h"]),
                helper.make_node("Dropout", ["h", "ratio", "train"], ["i"]),
                helper.make_node("Transpose", ["i"], ["c"]),
            ],
            id="rows last",
        ),
    ],
)
def test_what_a_row_gets_does_not_depend_on_the_rows_beside_it(tmp_path, nodes):
    shapes = [
        graphs.constant("heads", np.int64([-1, 8])),
        graphs.constant("whole", np.int64([-1, 32])),
    ]
    model = graphs.load(tmp_path, network(nodes, constants=shapes))
    together = passes(model)
    for row in range(len(X)):
        alone = passes(model, X[row : row + 1], first_row=row)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5)


def test_a_model_for_one_batch_size_can_draw_too(tmp_path):
    open_rows = passes(graphs.load(tmp_path, network()))
    fixed = graphs.load(tmp_path, network(rows=8))
    assert fixed.fixed_rows == 8
    np.testing.assert_allclose(passes(fixed), open_rows, rtol=1e-5)


def test_a_pass_is_one_network_for_all_rows(tmp_path):
    dropped = drawing(helper.make_node("Dropout", ["x", "", "train"], ["y"]), constants=[TRAIN])
    found = passes(graphs.load(tmp_path, dropped), WIDE, count=1)[:, 0]
    np.testing.assert_array_equal(found, found[:1].repeat(3, axis=0))
    assert set(np.unique(found)) == {0, 2}


TRAIN = graphs.constant("train", np.bool_(True))
QUARTER = graphs.constant("quarter", np.float32(0.25))


def node(kind, *inputs, to="y", **attributes):
    return helper.make_node(kind, inputs, to.split(), **attributes)


@pytest.mark.parametrize(
    ("nodes", "mean", "deviation"),
    [
        # Kept with probability 3/4, as 4/3: variance 3/4·16/9 − 1.
        ([node("Dropout", "x", "quarter", "train")], 1, (1 / 3) ** 0.5),
        ([node("Dropout", "x", "quarter", "train", to="_ y")], 0.75, 0.1875**0.5),
        ([node("RandomNormalLike", "x", mean=2.0, scale=3.0)], 2, 3),
        ([node("RandomUniformLike", "x", low=-1.0, high=5.0)], 2, 3**0.5),
        ([node("RandomNormal", to="n", shape=[10_000]), node("Mul", "x", "n")], 0, 1),
        ([node("Mul", "x", "quarter", to="p"), node("Bernoulli", "p")], 0.25, 0.1875**0.5),
    ],
    ids=["dropout", "its mask", "normal", "uniform", "normal of fixed shape", "bernoulli"],
)
def test_numbers_are_distributed_as_the_graph_says(tmp_path, nodes, mean, deviation):
    model = graphs.load(tmp_path, drawing(*nodes, constants=[TRAIN, QUARTER]))
    found = passes(model, WIDE, count=1)[0, 0].astype(float)
    # Four standard errors of 10 000 draws.
    assert abs(found.mean() - mean) < 4 * deviation / 100
    assert abs(found.std() / deviation - 1) < 0.06


def test_half_precision_stays_half_precision(tmp_path):
    nodes = [
        helper.make_node("Dropout", ["x", "quarter", "train"], ["d"]),
        helper.make_node("Add", ["d", "d"], ["y"]),
    ]
    content = drawing(*nodes, kind=TensorProto.FLOAT16, constants=[TRAIN, QUARTER])
    found = passes(graphs.load(tmp_path, content), WIDE.astype(np.float16), count=1)
    np.testing.assert_allclose(np.unique(found), [0, 2 / 0.75], rtol=1e-3)


def test_the_mean_of_passes_is_that_of_onnx_runtimes_own_dropout(tmp_path):
    model = graphs.load(tmp_path, network())
    options = onnxruntime.SessionOptions()
    # Its optimizer takes Dropout out, active or not.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(network(), options)
    own = [session.run(None, {"x": X})[0] for _ in range(2000)]
    found = passes(model, count=1000)
    errors = np.std(own, axis=0) / 1000**0.5
    assert (np.abs(found.mean(axis=1) - np.mean(own, axis=0)) < 5 * errors + 1e-6).all()


def test_dropout_in_a_function_of_the_model_is_found(tmp_path):
    function = helper.make_function(
        *("own", "Thin", ["b", "ratio", "train"], ["c"], [DROPOUT]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    thin = helper.make_node("Thin", ["b", "ratio", "train"], ["c"], domain="own")
    model = onnx.load_from_string(network([thin]))
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    with_function = passes(graphs.load(tmp_path, model))
    np.testing.assert_array_equal(with_function, passes(graphs.load(tmp_path, network())))


def test_weights_may_lie_in_a_file_of_their_own(tmp_path):
    model = onnx.load_from_string(network())
    onnx.save(
        *(model, tmp_path / "m.onnx"),
        save_as_external_data=True,
        location="m.weights",
        size_threshold=0,
    )
    apart = graphs.ModelRepository.load([tmp_path]).get("m")
    together = tmp_path / "together"
    together.mkdir()
    np.testing.assert_array_equal(passes(apart), passes(graphs.load(together, network())))


@pytest.mark.parametrize(
    "content",
    [
        network(train=False),
        network([helper.make_node("Dropout", ["b", "zero", "train"], ["c"])], constants=[
            graphs.constant("zero", np.float32(0))
        ]),
        network([
            helper.make_node("Identity", ["b"], ["c"]),
            helper.make_node("Dropout", ["b", "ratio", "train"], ["unused"]),
        ]),
        graphs.identity(shape=("rows", 4)),
    ],
    ids=["training_mode false", "ratio 0", "not on the way to an output", "nothing random"],
)  # fmt: skip
def test_a_model_without_active_randomness_is_none_that_draws(tmp_path, content):
    model = graphs.load(tmp_path, content)
    assert model.problem is None
    assert not model.stochastic
    with pytest.raises(ModelUnfit, match="all its passes would be equal"):
        model.require_stochastic()


def in_a_branch():
    branch = [
        graphs.graph([helper.make_node(op, ["b", *more], ["o"])], [], [graphs.value("o", None)])
        for op, more in (("Dropout", ["ratio", "train"]), ("Identity", []))
    ]
    node = helper.make_node("If", ["train"], ["c"], then_branch=branch[0], else_branch=branch[1])
    return network([node])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (in_a_branch(), "by a Dropout inside a If"),
        (
            network([
                helper.make_node("Multinomial", ["b"], ["m"], sample_size=32),
                helper.make_node("Cast", ["m"], ["c"], to=graphs.FLOAT),
            ]),
            "by a Multinomial",
        ),
        (
            network([
                helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
                helper.make_node("Cast", ["s"], ["on"], to=TensorProto.BOOL),
                helper.make_node("Dropout", ["b", "ratio", "on"], ["c"]),
            ]),
            "training_mode of its Dropout is computed",
        ),
    ],
    ids=["inside a branch", "of classes", "switched on while it runs"],
)  # fmt: skip
def test_randomness_that_cannot_be_repeated_is_refused(tmp_path, content, said):
    model = graphs.load(tmp_path, content)
    assert said in model.problem
    with pytest.raises(ModelUnfit, match="cannot be used"):
        model.require_stochastic()
