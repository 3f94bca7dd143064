"""Calls of every kind and size, with the answers that a server at rest gives."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import helper

from nextlabel import BusyError, Client, DeadlineError, InvalidRequestError, Selection
from tests.inference import graphs

MODEL = "mlp"
SECONDS = 300


class Batches:
    """A pool in batches, to be read any number of times: its length shows at its end."""

    def __init__(self, rows: np.ndarray, batch_rows: int) -> None:
        self._rows, self._batch_rows = rows, batch_rows

    def __iter__(self):
        for start in range(0, len(self._rows), self._batch_rows):
            yield self._rows[start : start + self._batch_rows]


@dataclass(frozen=True)
class Kind:
    """A kind of call; its `answer` is what a server at rest gave."""

    name: str
    ask: Callable[[Client], object]
    answer: object = None

    def check(self, client: Client) -> None:
        found = self.ask(client)
        assert found == self.answer, self.name


def save_model(directory: Path) -> None:
    """A network of one hidden layer: x [rows, 64] to probabilities [rows, 10]."""
    rng = np.random.default_rng(3)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["positive"]),
        helper.make_node("MatMul", ["positive", "second"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = [
        graphs.constant("first", rng.normal(size=(64, 256)).astype(np.float32) / 8),
        graphs.constant("second", rng.normal(size=(256, 10)).astype(np.float32) / 16),
    ]
    inputs, outputs = graphs.value("x", ["rows", 64]), graphs.value("probabilities", ["rows", 10])
    graphs.save(directory, MODEL, graphs.model(nodes, [inputs], [outputs], weights))


def kinds(client: Client, scale: float = 1.0) -> list[Kind]:
    """Every kind of call, its answer taken from a server that does nothing else.

    `scale` is the size of the large pools: at 1 one of them takes 40 MB.
    """
    rng = np.random.default_rng(0)
    rows = int(1_000_000 * scale)
    large = _probabilities(rng, rows, 10)
    middle, little = large[: rows // 10], large[:500]
    x = rng.normal(size=(int(60_000 * scale), 64)).astype(np.float32)

    def picked(pool: object = None, **arguments: object) -> Callable[[Client], object]:
        def ask(client: Client) -> object:
            asked = {"strategy": "entropy", "budget": 20, "seed": 1, "timeout": SECONDS}
            return _ranked(client.select(pool, **asked | arguments))

        return ask

    asked = {
        "small": picked(little, strategy="margin"),
        "small whole pool": picked(embeddings=x[:1000], strategy="k_center"),
        "stream": picked(middle),
        "large stream": picked(large, budget=1000),
        "all scores": picked(middle, return_all_scores=True),
        "sampled": picked(middle, sampling="softrank"),
        "unknown length": picked(Batches(large, 20_000), sampling="power"),
        "whole pool": picked(embeddings=x, strategy="k_center", budget=100),
        "two tensors": picked(large[: len(x)], embeddings=x, strategy="badge"),
        "model": picked(inputs={"x": x[: len(x) // 4]}, model=MODEL),
        "refused": _refused,
        "given up": _given_up(large),
    }
    return [Kind(name, ask, ask(client)) for name, ask in asked.items()]


def _probabilities(rng: np.random.Generator, rows: int, classes: int) -> np.ndarray:
    raw = rng.random((rows, classes), np.float32)
    return raw / raw.sum(axis=1, keepdims=True)


def _ranked(selection: Selection) -> tuple[list[int], list[float]]:
    return selection.indices.tolist(), selection.scores.tolist()


def _refused(client: Client) -> object:
    try:
        client.select([[0.5, 0.5], [0.5, 0.7]], strategy="entropy", budget=1)
    except InvalidRequestError as error:
        return str(error)
    raise AssertionError("answered")


def _given_up(pool: np.ndarray) -> Callable[[Client], object]:
    """A caller that does not wait for its answer; it may come all the same."""

    def ask(client: Client) -> object:
        with suppress(DeadlineError, BusyError):
            client.select(pool, strategy="entropy", budget=1, timeout=0.02)
        return None

    return ask
