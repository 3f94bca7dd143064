"""Selections by the inputs of ONNX models, through a real server."""

import shutil
import threading
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import helper
from skl2onnx import to_onnx
from sklearn.linear_model import LinearRegression, LogisticRegression

from nextlabel import Client, InvalidRequestError, ModelError, NextlabelError, NotFoundError
from nextlabel._sources import aligned, source_of
from nextlabel.v1 import catalog_pb2, tensor_pb2
from tests.client import oracle
from tests.inference import graphs
from tests.servers import ServerProcess, wait_for

import onnxruntime  # isort: skip  # after ours, which turns its telemetry off

RNG = np.random.default_rng(4)
X = RNG.normal(size=(700, 6)).astype(np.float32)
KIND = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
TEXTS = {"sure": 0.0, "a little unsure": 0.25, "quite unsure, " * 50: 0.5}


def classifier(columns, **options):
    fitted = LogisticRegression().fit(X[:, :columns], KIND)
    return to_onnx(fitted, X[:1, :columns], options={id(fitted): {"zipmap": False, **options}})


def text_model():
    """Text [rows, 1] to the probability that TEXTS gives it, and its complement."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["text"],
            ["p"],
            domain="ai.onnx.ml",
            keys_strings=list(TEXTS),
            values_floats=list(TEXTS.values()),
            default_float=0.125,
        ),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Concat", ["p", "q"], ["probabilities"], axis=1),
    ]
    graph = graphs.graph(
        nodes,
        [graphs.value("text", ["rows", 1], onnx.TensorProto.STRING)],
        [graphs.value("probabilities", ["rows", 2])],
        [graphs.constant("one", np.float32(1))],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def table_model():
    """Ids [rows] to the rows of a table, of which number 1 holds no probabilities."""
    table = graphs.constant("table", np.float32([[0.25, 0.75], [np.nan, 0.5]]))
    return graphs.model(
        [helper.make_node("Gather", ["table", "id"], ["probabilities"])],
        [graphs.value("id", ["rows"], onnx.TensorProto.INT64)],
        [graphs.value("probabilities", ["rows", 2])],
        [table],
    )


def uneven_model():
    """As many columns of x [rows, 3] as the largest width [rows] of a batch says."""
    one = graphs.constant("one", np.array([1], np.int64))
    return graphs.model(
        [
            helper.make_node("ReduceMax", ["width"], ["columns"]),
            helper.make_node("Sub", ["one", "one"], ["zero"]),
            helper.make_node("Slice", ["x", "zero", "columns", "one"], ["probabilities"]),
        ],
        [
            graphs.value("x", ["rows", 3]),
            graphs.value("width", ["rows"], onnx.TensorProto.INT64),
        ],
        [graphs.value("probabilities", ["rows", "columns"])],
        [one],
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("models")
    for version, columns in ((1, 6), (2, 6), (10, 4)):
        folder = path / "linear" / str(version)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(classifier(columns).SerializeToString())
    graphs.save(path, "raw", classifier(6, raw_scores=True))
    graphs.save(path, "regressor", to_onnx(LinearRegression().fit(X, X[:, 0]), X[:1]))
    graphs.save(path, "truncated", classifier(6).SerializeToString()[:200])
    graphs.save(path, "no-model", b"hello")
    graphs.save(path, "echo", graphs.identity())
    graphs.save(path, "endless", graphs.long_running())
    graphs.save(path, "text", text_model())
    graphs.save(path, "table", table_model())
    graphs.save(path, "uneven", uneven_model())
    [magika] = Path(str(files("magika"))).glob("models/*/model.onnx")
    shutil.copy(magika, path / "magika.onnx")
    return path


@pytest.fixture(scope="module")
def running(directory):
    with ServerProcess(models=[str(directory)], stall_seconds=5) as server:
        yield server
        assert "INTERNAL" not in {call["status"] for call in server.events("call")}


@pytest.fixture
def client(running):
    with Client(running.address, timeout=30) as opened:
        yield opened


def directly(path, **inputs):
    """What ONNX Runtime says, run by hand, of the last output."""
    return onnxruntime.InferenceSession(str(path)).run(None, inputs)[-1]


def linear(client, rows=X, **options):
    arguments = {"model": "linear", "model_version": 2, "strategy": "margin", "budget": 50}
    return client.select(inputs={"X": rows}, **{**arguments, **options})


def test_the_ranking_is_that_of_onnxruntime_and_numpy(client, directory):
    probabilities = directly(directory / "linear/2/model.onnx", X=X)
    expected = oracle.margin(probabilities)
    picked = linear(client, return_all_scores=True)
    np.testing.assert_allclose(picked.all_scores, expected, atol=1e-6)
    assert picked.indices.tolist() == oracle.best(picked.all_scores, 50)
    assert set(picked.indices[:40]) <= set(oracle.best(expected, 50))
    assert (picked.model, picked.model_version) == ("linear", "2")
    assert picked.timings.inference > 0


def test_any_cut_of_the_stream_gives_the_same_bits(client, monkeypatch):
    whole = linear(client, return_all_scores=True)
    for unary, block in ((-1, 24), (-1, 999), (-1, 5000), (1 << 20, 1 << 20)):
        monkeypatch.setattr("nextlabel._request.UNARY_BYTES", unary)
        monkeypatch.setattr("nextlabel._request.BLOCK_BYTES", block)
        for rows in (X, iter([X[:1], X[1:300], X[300:]]), pd.DataFrame(X)):
            cut = linear(client, rows, return_all_scores=True)
            assert cut.all_scores.tolist() == whole.all_scores.tolist()
            assert cut.indices.tolist() == whole.indices.tolist()


def test_many_batches_are_scored_as_one_by_one(client, directory):
    rows = np.tile(X, (10, 1)) + RNG.normal(size=(7000, 6)).astype(np.float32)
    found = linear(client, rows, costs=np.full(7000, 2.0), return_all_scores=True).all_scores
    expected = [
        oracle.margin(directly(directory / "linear/2/model.onnx", X=rows[start : start + 256]))
        for start in range(0, 7000, 256)
    ]
    np.testing.assert_allclose(found, np.concatenate(expected), atol=1e-6)
    alone = linear(client, rows[5120:5376], return_all_scores=True).all_scores  # batch 20
    assert found[5120:5376].tolist() == alone.tolist()


def test_magika_classifies_what_files_hold(client, directory):
    contents = np.random.default_rng(0).integers(0, 257, (40, 2048), np.int32)
    probabilities = directly(directory / "magika.onnx", bytes=contents)
    seen = []
    picked = client.select(
        model="magika",
        inputs={"bytes": contents},
        strategy="entropy",
        budget=40,
        return_all_scores=True,
        progress=seen.append,
    )
    np.testing.assert_allclose(
        picked.all_scores, oracle.entropy(probabilities), rtol=1e-3, atol=1e-5
    )
    assert picked.indices.tolist() == oracle.best(picked.all_scores, 40)
    assert seen[-1].total == 40


def test_inputs_may_have_another_type_that_fits(client):
    small = RNG.integers(0, 5, (50, 6), np.uint8)
    as_floats = linear(client, small.astype(np.float32))
    for rows in (small, small.astype(np.int64), small.astype(">f8"), small.tolist()):
        assert linear(client, rows).scores.tolist() == as_floats.scores.tolist()


def test_the_highest_version_is_the_default(client):
    assert linear(client, X[:, :4], model_version="").model_version == "10"
    for version in ("1", 1, "2", 2):
        assert linear(client, model_version=version).model_version == str(version)


@pytest.mark.parametrize("shape_of_text", [list, "table", "batches", "series"])
def test_text_of_any_length_is_an_input(client, shape_of_text):
    texts = [*TEXTS, "unknown"] * 5
    column = np.array(texts, dtype=object)[:, None]
    forms = {
        list: column.tolist(),
        "table": column,
        "batches": iter([column[:1].astype(str), column[1:].astype(str)]),
        "series": pd.Series(texts).to_numpy()[:, None],
    }
    picked = client.select(
        model="text",
        inputs={"text": forms[shape_of_text]},
        strategy="relevance",
        parameters={"class_index": 0},
        budget=5,
        return_all_scores=True,
    )
    assert picked.all_scores.tolist() == [*TEXTS.values(), 0.125] * 5
    assert picked.indices.tolist() == [2, 6, 10, 14, 18]


def test_long_texts_are_cut_into_messages_that_the_server_takes(client):
    texts = np.array([["x" * 40_000]] * 999 + [["sure"]], dtype=object)
    picked = client.select(model="text", inputs={"text": texts}, strategy="entropy", budget=1000)
    assert picked.row_count == 1000
    assert picked.indices[-1] == 999


def test_a_pandas_series_is_one_axis_and_the_refusal_says_what_is_right(client):
    with pytest.raises(InvalidRequestError, match=r"inputs.text.*\[rows, 1\]"):
        client.select(
            model="text", inputs={"text": pd.Series(["a", "b"])}, strategy="entropy", budget=1
        )


def test_the_listing_shows_inputs_outputs_versions_and_problems(client):
    models = {model.name: model for model in client.models()}
    assert sorted(models) == [
        *("echo", "endless", "linear", "magika", "no-model"),
        *("raw", "regressor", "table", "text", "truncated", "uneven"),
    ]
    assert [version.version for version in models["linear"].versions] == ["10", "2", "1"]
    version = models["linear"].versions[-1]
    [given] = version.inputs
    assert (given.name, given.data_type) == ("X", tensor_pb2.DATA_TYPE_FP32)
    assert (list(given.shape), given.onnx_type) == ([-1, 6], "tensor(float)")
    roles = {output.name: output.role for output in version.outputs}
    assert roles == {
        "label": catalog_pb2.OUTPUT_ROLE_UNSPECIFIED,
        "probabilities": catalog_pb2.OUTPUT_ROLE_PROBABILITIES,
    }
    assert (version.activation, version.problem) == ("none", "")
    assert version.batch_size > 1
    for name in ("truncated", "no-model", "regressor"):
        [broken] = models[name].versions
        assert broken.problem
        assert "/" not in broken.problem


def test_the_log_says_at_start_what_is_wrong_with_a_file(running):
    warnings = [line["event"] for line in running.log if line["level"] == "warning"]
    for name in ("truncated", "no-model", "regressor"):
        assert any(f"model '{name}' version 1 cannot be used" in line for line in warnings)


def test_a_model_or_version_that_does_not_exist_is_not_found(client):
    with pytest.raises(NotFoundError, match="no model 'digits' on this server; there is 'echo'"):
        linear(client, model="digits")
    with pytest.raises(NotFoundError, match="no version '3'; there is '10', '2', '1'"):
        linear(client, model_version=3)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, r"inputs\.X: .*missing; the model takes 'X' tensor\(float\) \[rows, 6\]"),
        ({"x": X}, r"inputs\.x: no such input; the model takes 'X'"),
        ({"X": X, "Y": X}, r"inputs\.Y: no such input"),
        (
            {"X": X[:, :5]},
            r"inputs\.X: found the shape \[700, 5\], but .* \[rows, 6\]",
        ),
        ({"X": X[:, 0]}, r"inputs\.X: found the shape \[700\]"),
        ({"X": X.astype(str)}, r"inputs\.X: found strings, but the model takes floats or integers"),
        (
            {"X": np.full((9, 6), 1e300)},
            r"inputs\.X: row 0: 1e\+300 does not fit",
        ),
    ],
)
def test_inputs_that_the_model_does_not_take_are_refused(client, inputs, says):
    with pytest.raises(InvalidRequestError, match=says):
        client.select(
            model="linear",
            model_version=2,
            inputs=inputs,
            pool_size=len(next(iter(inputs.values()), X)),
            strategy="margin",
            budget=1,
        )


def test_probabilities_beside_a_model_are_refused(client):
    with pytest.raises(InvalidRequestError, match="beside"):
        client.select(
            np.full((700, 2), 0.5), model="linear", inputs={"X": X}, strategy="margin", budget=1
        )


def test_inputs_of_different_lengths_are_refused(client):
    with pytest.raises(InvalidRequestError, match="Y: found 699 rows; X has 700"):
        client.select(model="linear", inputs={"X": X, "Y": X[1:]}, strategy="margin", budget=1)
    unequal = [source_of("X", iter([X[1:]])), source_of("Y", iter([X]))]
    with pytest.raises(InvalidRequestError, match="X: ends after 699 rows; other tensors"):
        list(aligned(unequal, 1 << 20))


def test_probabilities_that_are_none_are_the_fault_of_the_model(client):
    rows = np.full((600, 3), 1 / 3, np.float32)
    rows[517, 1] = np.nan
    with pytest.raises(
        ModelError, match="the probabilities of model 'echo' version 1: row 517 has nan in column 1"
    ):
        client.select(model="echo", inputs={"x": rows}, strategy="entropy", budget=1)


def test_the_first_bad_row_is_reported_though_later_ones_fail_in_the_same_portion(client):
    ids = np.zeros(256 * 12, np.int64)
    ids[2000] = 1
    ids[2500] = 2  # the run of its batch fails
    with pytest.raises(ModelError, match="model 'table' version 1: row 2000 has nan"):
        client.select(model="table", inputs={"id": ids}, strategy="entropy", budget=1)
    ids[2000] = 0
    with pytest.raises(ModelError, match="could not run on rows 2304 to 2559"):
        client.select(model="table", inputs={"id": ids}, strategy="entropy", budget=1)


def test_a_model_whose_batches_differ_in_their_columns_is_refused(client):
    inputs = {"x": np.float32([[0.5, 0.5, 0.0]] * 3000), "width": np.full(3000, 2)}
    assert client.select(model="uneven", inputs=inputs, strategy="entropy", budget=1).scores > 0.69
    inputs["width"][2000:] = 3
    says = "the probabilities of model 'uneven' version 1 have 3 columns in one batch and 2"
    with pytest.raises(ModelError, match=says):
        client.select(model="uneven", inputs=inputs, strategy="entropy", budget=1)


def test_raw_scores_need_an_activation_and_the_refusal_says_so(client, directory):
    def select(**parameters):
        return client.select(
            model="raw",
            inputs={"X": X},
            strategy="entropy",
            budget=5,
            parameters=parameters,
            return_all_scores=True,
        )

    with pytest.raises(ModelError, match=r"model 'raw' version 1: row 0 .*activation"):
        select()
    logits = directly(directory / "raw.onnx", X=X).astype(float)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = select(activation="softmax").all_scores
    np.testing.assert_allclose(found, oracle.entropy(softmax), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("regressor", "none of its outputs is known to hold class probabilities"),
        ("truncated", "not a model that ONNX Runtime .* loads: it may be truncated"),
        ("no-model", "not a model that ONNX Runtime .* loads"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_with_the_reason(client, name, says):
    with pytest.raises(ModelError, match=rf"model '{name}' version 1 .*{says}") as caught:
        client.select(model=name, inputs={"X": X}, strategy="margin", budget=1)
    assert caught.value.reason == "MODEL_UNFIT"


def test_random_asks_no_model(client):
    picked = linear(client, strategy="random", budget=700, seed=3)
    assert sorted(picked.indices) == list(range(700))
    assert picked.model == ""
    assert picked.timings.inference == 0


@pytest.mark.parametrize("rows", [10, 600])
def test_a_call_whose_deadline_passes_stops_its_model(running, client, rows):
    name = f"late {rows}"
    inputs = {"x": np.full((rows, 2), 0.5, np.float32)}
    options = {"model": "endless", "strategy": "entropy", "budget": 1, "request_id": name}
    with pytest.raises(TimeoutError):
        client.select(inputs=inputs, timeout=0.5, **options)
    line = running.wait_for_call(1, request_id=name)
    assert line["status"] == "CANCELLED"
    assert line["seconds"] < 1.2
    assert len(linear(client)) == 50


def test_a_client_that_goes_away_stops_its_model(running, client):
    inputs = {"x": np.full((10, 2), 0.5, np.float32)}
    options = {"model": "endless", "strategy": "entropy", "budget": 1, "request_id": "gone"}

    def select():
        with Client(running.address, timeout=20) as leaving:
            threading.Timer(0.5, leaving.close).start()
            with pytest.raises(NextlabelError, match="the client was closed"):
                leaving.select(inputs=inputs, **options)

    calls = threading.Thread(target=select)
    started = time.monotonic()
    calls.start()
    assert wait_for(lambda: running.calls(request_id="gone"), 3)
    assert time.monotonic() - started < 1.7
    assert running.calls(request_id="gone")[0]["status"] == "CANCELLED"
    calls.join()
