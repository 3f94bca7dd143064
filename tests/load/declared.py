"""The memory that whole-pool strategies take, against what they declare."""

import tracemalloc
from dataclasses import dataclass

import numpy as np

from nextlabel_server.selection import Constraints, Gatherer, Picking, Sizes, Strategy
from nextlabel_server.selection.parameters import accept_parameters
from nextlabel_server.selection.tensors import TensorInput
from tests.selection.conformance import required


@dataclass(frozen=True)
class Footprint:
    """Bytes of the most that a strategy took, its pool included, and of what it declares."""

    strategy: str
    measured: int
    declared: int

    @property
    def share(self) -> float:
        return self.measured / self.declared


def footprint(strategy: Strategy, sizes: Sizes) -> Footprint:
    """Measures a strategy on random rows."""
    letters = {"N": sizes.N, "M": sizes.M, "C": sizes.C, "D": sizes.D, "L": sizes.L, "T": sizes.L}
    rng = np.random.default_rng(0)
    sources = tuple(need[0] for need in strategy.needs)
    sent = {t.name: _values(t, letters, rng) for t in strategy.references}
    references = {t.name: t.accept(t.name, sent[t.name]) for t in strategy.references}
    given = required(strategy.parameters)
    parameters = accept_parameters(strategy.parameters, given, field="", owner="")
    gatherer = Gatherer(strategy, sources, parameters, references)
    columns = gatherer.take({t.name: _values(t, letters, rng) for t in sources}, 0)
    kept = sum(column.nbytes for column in (*columns.values(), *sent.values()))
    own = {p.name: parameters[p.name] for p in strategy.own_parameters}
    tracemalloc.start()
    try:
        picking = Picking(sizes.N, sizes.B, Constraints())
        strategy.score(gatherer.pool(columns, sizes.N, rng), picking, **own)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Footprint(strategy.name, kept + peak, strategy.bytes_of(sizes))


def _values(tensor: TensorInput, letters: dict[str, int], rng: np.random.Generator) -> np.ndarray:
    shape = [letters[letter] for letter in tensor.shape]
    if np.dtype(np.bool_) in tensor.dtypes:
        return rng.integers(0, 2, size=shape)
    raw = rng.random(shape, np.float32)
    return raw / raw.sum(axis=-1, keepdims=True) if shape and tensor.shape[-1] == "C" else raw
