"""Running a model: batches in, matrices out, and what can go wrong on the way."""

import threading

import numpy as np
import pytest
from onnx import TensorProto, helper

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest, ModelUnfit
from nextlabel_server.inference import Batcher

from . import graphs

ROWS = np.float32([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [1.0, 0.0, 0.0]])


def test_a_model_says_what_it_takes_and_gives(tmp_path):
    model = graphs.load(tmp_path, graphs.identity())
    [x], [probabilities] = model.inputs, model.outputs
    assert (x.name, x.dtype, x.shape, x.onnx_type) == (
        *("x", np.dtype(np.float32)),
        *((None, 3), "tensor(float)"),
    )
    assert (probabilities.name, probabilities.role) == ("probabilities", "probabilities")
    assert (model.name, model.version, model.problem) == ("m", 1, None)
    assert (model.activation, model.batch_size) == ("none", 256)


def test_a_batch_is_run(tmp_path):
    outputs = graphs.run(graphs.load(tmp_path, graphs.identity()), x=ROWS)
    np.testing.assert_array_equal(outputs.probabilities, ROWS, strict=True)
    assert outputs.embeddings is None


def test_probabilities_and_embeddings_come_from_one_run(tmp_path):
    nodes = [
        helper.make_node("Softmax", ["x"], ["probs"]),
        helper.make_node("Neg", ["x"], ["embedding"]),
    ]
    shape = ["rows", 3]
    outputs = [graphs.value("embedding", shape), graphs.value("probs", shape)]
    model = graphs.load(tmp_path, graphs.model(nodes, [graphs.value("x", shape)], outputs))
    found = graphs.run(model, x=ROWS)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(found.embeddings, -ROWS)


def test_several_inputs_of_several_types(tmp_path):
    nodes = [
        helper.make_node("Cast", ["count"], ["floats"], to=graphs.FLOAT),
        helper.make_node("Where", ["flag", "floats", "x"], ["logits"]),
    ]
    inputs = [
        graphs.value("x", ["rows", 2]),
        graphs.value("count", ["rows", 2], TensorProto.INT16),
        graphs.value("flag", ["rows", 1], TensorProto.BOOL),
    ]
    content = graphs.model(nodes, inputs, [graphs.value("logits", ["rows", 2])])
    model = graphs.load(tmp_path, content)
    model.check_inputs(
        {
            "flag": (np.dtype(bool), (-1, 1)),
            "count": (np.dtype(np.uint8), (-1, 2)),
            "x": (np.dtype(np.float64), (-1, 2)),
        }
    )
    inputs = {
        "x": np.float64([[0.5, 1], [2, 3]]),
        "count": np.uint8([[7, 8], [9, 10]]),
        "flag": np.array([[True], [False]]),
    }
    found = model.run(inputs, first_row=0, cancel=CancelToken()).probabilities
    assert found.tolist() == [[7, 8], [2, 3]]


def test_token_ids_of_any_length(tmp_path):
    model = graphs.load(tmp_path, graphs.embedding_lookup())
    assert model.activation == "softmax"
    # Means of the rows 1 and 2 of the table, and of 0 and 0.
    assert graphs.run(model, ids=[[1, 2], [0, 0]]).probabilities.tolist() == [[1, 1.5], [1, -1]]
    assert graphs.run(model, ids=[[2]]).probabilities.tolist() == [[0, 3]]


def test_a_value_out_of_the_models_range_names_the_rows_and_hides_the_details(tmp_path, caplog):
    model = graphs.load(tmp_path, graphs.embedding_lookup())
    with pytest.raises(ModelUnfit) as caught:
        graphs.run(model, first_row=512, ids=[[0], [99]])
    assert caught.value.message == (
        "model 'm' version 1 could not run on rows 512 to 513: check that the values are in the "
        "range that the model expects (token ids, for example)"
    )
    assert "idx=99" in caplog.text


def test_a_value_that_the_input_type_lacks_is_the_callers_mistake(tmp_path):
    model = graphs.load(tmp_path, graphs.identity(kind=TensorProto.FLOAT16))
    rows = {"x": np.float32([[0, 0, 1], [0, 0, 1e6]])}
    with pytest.raises(InvalidRequest, match=r"row 7: 1000000\.0 does not fit"):
        model.run(rows, first_row=6, cancel=CancelToken())


@pytest.mark.parametrize("fixed", [1, 2, 4])
def test_a_fixed_batch_size_is_kept_by_padding(tmp_path, fixed):
    model = graphs.load(tmp_path, graphs.identity(shape=[fixed, 3]))
    assert model.batch_size == model.batch_size_for({}) == fixed
    assert model.inputs[0].shape == model.outputs[0].shape == (None, 3)
    model.check_inputs({"x": (np.dtype(np.float32), (3, 3))})

    batcher = Batcher(model.batch_size)
    batches = [*batcher.add({"x": ROWS}), *batcher.finish()]
    found = [graphs.run(model, first_row=row, **batch).probabilities for row, batch in batches]

    np.testing.assert_array_equal(np.concatenate(found), ROWS)


def test_the_batch_size_follows_the_declared_shape_where_the_model_leaves_it_open(tmp_path):
    model = graphs.load(tmp_path, graphs.embedding_lookup(), "batch_size = 200")
    assert model.batch_size == 200
    assert model.batch_size_for({"ids": (np.dtype(np.int64), (-1, 16))}) == 200
    assert model.batch_size_for({"ids": (np.dtype(np.int64), (-1, 4096))}) == 128
    # The model's own type counts, so the same ids as int32 make the same batches.
    assert model.batch_size_for({"ids": (np.dtype(np.int32), (-1, 4096))}) == 128


def test_one_column_means_what_the_caller_will_make_of_it(tmp_path):
    model = graphs.load(tmp_path, graphs.identity("probability", ["rows", 1]))
    rows = {"x": np.float32([[0.25]])}

    def run(**activation):
        return model.run(rows, first_row=0, cancel=CancelToken(), **activation).probabilities

    assert run().tolist() == [[0.75, 0.25]]
    assert run(activation="sigmoid").tolist() == [[0.25]]
    with pytest.raises(ModelUnfit, match="model 'm' version 1: its output 'probability' has one"):
        run(activation="softmax")


def test_outputs_that_are_not_one_row_for_each_row_are_refused(tmp_path):
    node = helper.make_node("ReduceMax", ["x"], ["probabilities"], axes=[0], keepdims=1)
    content = graphs.model(
        [node], [graphs.value("x", ["rows", 3])], [graphs.value("probabilities", ["r", 3])]
    )
    model = graphs.load(tmp_path, content)
    with pytest.raises(ModelUnfit) as caught:
        graphs.run(model, x=ROWS)
    assert caught.value.message == (
        "model 'm' version 1: its output 'probabilities' should have the shape [3, columns] for "
        "3 rows, but the run gave [1, 3]"
    )


def test_a_model_with_embeddings_only_is_refused_where_probabilities_are_needed(tmp_path):
    model = graphs.load(tmp_path, graphs.identity("sentence_embedding"))
    assert model.problem is None
    assert graphs.run(model, x=ROWS).embeddings.shape == (3, 3)
    with pytest.raises(ModelUnfit) as caught:
        model.require_probabilities()
    assert caught.value.message == (
        "model 'm' version 1 gives no probabilities: none of its outputs is known to hold class "
        "probabilities: 'sentence_embedding' tensor(float) [rows, 3]; if one does, name it in "
        'm.toml, for example by the line probabilities = "sentence_embedding" (and activation = '
        '"softmax" or "sigmoid" if it holds logits)'
    )


def test_a_model_with_a_problem_refuses_everything_with_it(tmp_path):
    model = graphs.load(tmp_path, graphs.identity("variable", ["rows", 1]))
    assert "'variable' tensor(float) [rows, 1]" in model.problem
    assert [output.name for output in model.outputs] == ["variable"]
    for use in (
        lambda: model.check_inputs({}),
        model.require_probabilities,
        lambda: graphs.run(model, x=[[1]]),
    ):
        with pytest.raises(ModelUnfit, match="model 'm' version 1 cannot be used: none of its out"):
            use()


def test_cancelling_stops_a_run_in_progress(tmp_path):
    model = graphs.load(tmp_path, graphs.long_running())
    cancel = CancelToken()
    timer = threading.Timer(0.3, cancel.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        model.run({"x": np.float32([[0, 1]])}, first_row=0, cancel=cancel)
    timer.join()


def test_a_run_that_was_cancelled_before_it_began_does_not_begin(tmp_path):
    model = graphs.load(tmp_path, graphs.long_running())
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        model.run({"x": np.float32([[0, 1]])}, first_row=0, cancel=cancel)


def test_a_model_runs_on_after_another_run_was_cancelled(tmp_path):
    model = graphs.load(tmp_path, graphs.identity())
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(Cancelled):
        model.run({"x": ROWS}, first_row=0, cancel=cancel)
    assert graphs.run(model, x=ROWS).probabilities.shape == (3, 3)


def test_batches_may_run_at_the_same_time(tmp_path):
    model = graphs.load(tmp_path, graphs.identity())
    found = {}

    def work(number):
        rows = np.full((16, 3), number, np.float32)
        found[number] = all(
            (graphs.run(model, x=rows).probabilities == number).all() for _ in range(50)
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)
