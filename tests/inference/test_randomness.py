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


def node(kind, *inputs, to="y", **attributes):
    return helper.make_node(kind, inputs, to.split(), **attributes)


def around_dropout(before, after):
    """Dropout on h, which `before` makes of b, and `after` to c of i."""
    return [before, node("Dropout", "h", "ratio", "train", to="i"), after]


TRANSPOSED = around_dropout(node("Transpose", "b", to="h"), node("Transpose", "i", to="c"))
IN_PARTS = around_dropout(
    node("Reshape", "b", "parts", to="h"), node("Reshape", "i", "whole", to="c")
)
SHAPES = [
    graphs.constant("parts", np.int64([-1, 8])),
    graphs.constant("whole", np.int64([-1, 32])),
    graphs.constant("eights", np.int64([0, 8, 4])),
    graphs.constant("eight rows", np.int64([8, -1])),
    graphs.constant("eight columns", np.int64([-1, 8])),
]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([DROPOUT], id="rows first"),
        pytest.param(IN_PARTS, id="four parts a row along the first axis"),
        pytest.param(TRANSPOSED, id="rows last"),
    ],
)
def test_what_a_row_gets_does_not_depend_on_the_rows_beside_it(tmp_path, nodes):
    model = graphs.load(tmp_path, network(nodes, constants=SHAPES))
    together = passes(model)
    for row in range(len(X)):
        alone = passes(model, X[row : row + 1], first_row=row)
        np.testing.assert_allclose(alone[0], together[row], rtol=1e-5)


NOISE_ON_WEIGHTS = [
    node("RandomNormal", to="n", shape=[32, 32], scale=0.1),
    node("MatMul", "b", "n", to="c"),
]
DROPPED_WEIGHTS = [
    node("Transpose", "v", to="u"),
    node("MatMul", "v", "u", to="square"),
    node("Dropout", "square", "ratio", "train", to="n"),
    node("MatMul", "b", "n", to="c"),
]
NOISE_ON_PARTS = [
    node("Reshape", "b", "eights", to="h"),
    node("RandomNormal", to="n", shape=[8, 4]),
    node("Mul", "h", "n", to="i"),
    node("Flatten", "i", to="c"),
]
NOISE_ON_COLUMNS = [node("RandomNormal", to="n", shape=[32]), node("Mul", "b", "n", to="c")]


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([DROPOUT], id="rows first"),
        pytest.param(TRANSPOSED, id="rows last"),
        pytest.param(NOISE_ON_WEIGHTS, id="noise on weights"),
        pytest.param(DROPPED_WEIGHTS, id="dropout of weights"),
        pytest.param(NOISE_ON_PARTS, id="noise on parts of a row"),
        pytest.param(NOISE_ON_COLUMNS, id="noise on columns"),
    ],
)
def test_a_model_for_one_batch_size_draws_as_one_for_any(tmp_path, nodes):
    open_rows = passes(graphs.load(tmp_path, network(nodes, constants=SHAPES)))
    for rows in (8, 7, 1):
        fixed = graphs.load(tmp_path, network(nodes, rows=rows, constants=SHAPES))
        assert (fixed.problem, fixed.fixed_rows) == (None, rows)
        found = passes(fixed, X[:rows])
        np.testing.assert_allclose(found, open_rows[:rows], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stored", [True, False], ids=["an initializer", "a node"])
def test_a_batch_size_written_into_a_reshape_is_known_to_be_the_rows(tmp_path, stored):
    flat = [node("Reshape", "b", "flat", to="h"), node("Dropout", "h", "ratio", "train", to="c")]
    shape = graphs.constant("flat", np.int64([8, -1]))
    if stored:
        content = network(flat, rows=8, constants=[shape])
    else:
        content = network([node("Constant", to="flat", value=shape), *flat], rows=8)
    fixed = graphs.load(tmp_path, content)
    np.testing.assert_allclose(passes(fixed), passes(graphs.load(tmp_path, network())), rtol=1e-5)


def test_a_model_for_one_row_needs_no_axis_of_the_rows(tmp_path):
    open_rows = passes(graphs.load(tmp_path, network(IN_PARTS, constants=SHAPES)))
    fixed = graphs.load(tmp_path, network(IN_PARTS, rows=1, constants=SHAPES))
    np.testing.assert_allclose(passes(fixed, X[:1]), open_rows[:1], rtol=1e-5)


NOISE_BY_ROW = [node("RandomNormal", to="n", shape=[8, 32]), node("Mul", "b", "n", to="c")]
IN_EIGHT_COLUMNS = around_dropout(
    node("Reshape", "b", "eight columns", to="h"), node("Reshape", "i", "eight rows", to="c")
)
BETWEEN_ROWS = [
    node("Transpose", "b", to="t"),
    node("MatMul", "b", "t", to="square"),
    node("Dropout", "square", "ratio", "train", to="n"),
    node("MatMul", "n", "b", to="c"),
]


@pytest.mark.parametrize(
    ("nodes", "kind"),
    [
        pytest.param(NOISE_BY_ROW, "RandomNormal", id="noise that is written for eight rows"),
        pytest.param(IN_EIGHT_COLUMNS, "Dropout", id="another axis of eight"),
        pytest.param(IN_PARTS, "Dropout", id="parts of rows"),
        pytest.param(BETWEEN_ROWS, "Dropout", id="rows by rows"),
    ],
)
def test_a_model_whose_rows_cannot_be_told_is_refused(tmp_path, nodes, kind):
    model = graphs.load(tmp_path, network(nodes, rows=8, constants=SHAPES))
    assert model.problem == (
        f"it is for exactly 8 rows, and which numbers of its {kind} are for which of them cannot "
        "be told: export it with a dynamic batch axis"
    )


def test_a_pass_is_one_network_for_all_rows(tmp_path):
    dropped = drawing(helper.make_node("Dropout", ["x", "", "train"], ["y"]), constants=[TRAIN])
    found = passes(graphs.load(tmp_path, dropped), WIDE, count=1)[:, 0]
    np.testing.assert_array_equal(found, found[:1].repeat(3, axis=0))
    assert set(np.unique(found)) == {0, 2}


TRAIN = graphs.constant("train", np.bool_(True))
QUARTER = graphs.constant("quarter", np.float32(0.25))


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


def in_a_branch(*nodes, constants=(), to="c", on="train"):
    """An If from b, of which one branch is `nodes` and the other does nothing."""
    branch = [
        graphs.graph(nodes, [], [graphs.value("o", None)], constants),
        graphs.graph([node("Identity", "b", to="o")], [], [graphs.value("o", None)]),
    ]
    return helper.make_node("If", [on], [to], then_branch=branch[0], else_branch=branch[1])


DROPS = node("Dropout", "b", "ratio", "train", to="o")


def in_a_function(*nodes, opset=18, to="c"):
    """A network with a function from b to o; by default of an opset that is not the graph's."""
    function = helper.make_function(
        *("own", "Jitter", ["b"], ["o"], nodes),
        opset_imports=[helper.make_opsetid("", opset)],
    )
    call = node("Jitter", "b", to=to, domain="own")
    rest = [] if to == "c" else [node("Identity", "b", to="c")]
    model = onnx.load_from_string(network([call, *rest]))
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    return model


ON = node("Constant", to="on", value=TRAIN)
OFF = node("Constant", to="off", value=graphs.constant("", np.bool_(False)))
NOISE = node("RandomNormalLike", "b", to="n")
ADD = node("Add", "b", "n", to="o")


def in_a_loop_that_calls_its_switch(name):
    """Dropout in a loop, switched on by an input of the loop, beside OFF."""
    flags = [graphs.value(each, [], TensorProto.BOOL) for each in ("go", name, "go_on", "keep")]
    body = graphs.graph(
        [
            node("Identity", "go", to="go_on"),
            node("Identity", name, to="keep"),
            node("Dropout", "b", "ratio", name, to="o"),
        ],
        [graphs.value("i", [], graphs.INT64), *flags[:2]],
        [*flags[2:], graphs.value("o", None)],
    )
    loop = node("Loop", "once", "train", "train", to="_ all", body=body)
    return network(
        [OFF, loop, node("ReduceSum", "all", "first", to="c", keepdims=0)],
        constants=[
            graphs.constant("once", np.int64(1)),
            graphs.constant("first", np.int64([0])),
        ],
    )


@pytest.mark.parametrize(
    "content",
    [
        network([in_a_branch(OFF, node("Dropout", "b", "ratio", "off", to="o"))]),
        network([in_a_branch(
            node("Dropout", "b", "ratio", "off", to="o"),
            constants=[graphs.constant("off", np.bool_(False))],
        )]),
        network([in_a_branch(
            *(OFF, in_a_branch(node("Dropout", "b", "", "off", to="o"), to="q")),
            node("Identity", "q", to="o"),
        )]),
        in_a_function(OFF, node("Dropout", "b", "", "off", to="o")),
        in_a_function(NOISE, ADD, to="unused"),
    ],
    ids=[
        *("constant of a branch", "initializer of a branch", "constant of the outer branch"),
        *("in a function", "in a function that reaches no output"),
    ],
)  # fmt: skip
def test_inactive_randomness_inside_of_nodes_does_no_harm(tmp_path, content):
    model = graphs.load(tmp_path, content)
    assert model.problem is None
    assert not model.stochastic


def test_randomness_in_a_function_of_the_same_opset_is_controlled(tmp_path):
    model = graphs.load(tmp_path, in_a_function(NOISE, ADD, opset=17))
    assert model.stochastic
    np.testing.assert_array_equal(passes(model), passes(model))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (network([in_a_branch(DROPS)]), "by a Dropout inside a If"),
        (in_a_function(NOISE, ADD), "by a RandomNormalLike inside a Jitter"),
        (in_a_function(ON, node("Dropout", "b", "", "on", to="o")), "by a Dropout inside a J"),
        (in_a_function(ON, in_a_branch(NOISE, ADD, to="o", on="on")), "by a RandomNormalLike"),
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
        (in_a_loop_that_calls_its_switch("off"), "training_mode of its Dropout is computed"),
    ],
    ids=[
        *("in a branch", "in a function", "dropout in a function", "in a branch in a function"),
        *("of classes", "switched on while it runs", "switched on by a loop"),
    ],
)  # fmt: skip
def test_randomness_that_cannot_be_repeated_is_refused(tmp_path, content, said):
    model = graphs.load(tmp_path, content)
    assert said in model.problem
    with pytest.raises(ModelUnfit, match="cannot be used"):
        model.require_stochastic()
