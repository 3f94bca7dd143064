"""A real model: magika's classifier of file contents, 214 classes, int32 [rows, 2048]."""

import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.inference import Batcher, ModelRepository

import onnxruntime  # isort: skip  # after ours, which turns its telemetry off


@pytest.fixture(scope="module")
def magika(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    [path] = Path(str(files("magika"))).glob("models/*/model.onnx")
    shutil.copy(path, directory / "magika.onnx")
    return ModelRepository.load([directory]).get("magika"), onnxruntime.InferenceSession(str(path))


@pytest.fixture(scope="module")
def contents():
    """File contents as magika sees them: bytes, and 256 for padding."""
    return np.random.default_rng(0).integers(0, 257, (150, 2048), np.int32)


def test_its_output_is_found(magika):
    model, _ = magika
    [given], [probabilities] = model.inputs, model.outputs
    assert (given.name, given.dtype, given.shape) == ("bytes", np.dtype(np.int32), (None, 2048))
    assert (probabilities.name, probabilities.shape) == ("target_label", (None, 214))
    assert (probabilities.role, model.activation) == ("probabilities", "none")
    assert model.batch_size == 32


def test_its_probabilities_are_those_of_onnxruntime(magika, contents):
    model, session = magika
    batcher = Batcher(model.batch_size)
    blocks = [{"bytes": contents[start : start + 40]} for start in range(0, 150, 40)]
    batches = [batch for block in blocks for batch in batcher.add(block)]
    batches += batcher.finish()

    found = []
    for first_row, batch in batches:
        run = model.run(batch, first_row=first_row, cancel=CancelToken())
        [direct] = session.run(None, {"bytes": contents[first_row : first_row + 32]})
        np.testing.assert_array_equal(run.probabilities, direct, strict=True)
        found.append(run.probabilities)

    [whole] = session.run(None, {"bytes": contents})
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)


def test_bytes_may_be_sent_as_wider_or_narrower_integers(magika, contents):
    model, _ = magika
    for dtype in (np.int64, np.uint16):
        model.check_inputs({"bytes": (np.dtype(dtype), (-1, 2048))})
        rows = {"bytes": contents[:4].astype(dtype)}
        found = model.run(rows, first_row=0, cancel=CancelToken()).probabilities
        expected = model.run({"bytes": contents[:4]}, first_row=0, cancel=CancelToken())
        np.testing.assert_array_equal(found, expected.probabilities)
