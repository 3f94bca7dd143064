"""What a whole-pool strategy keeps of each block as it arrives."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel_server.selection.pool import EmbeddingReader, Pool, far_middle, first_origin
from nextlabel_server.selection.probabilities import Activation
from nextlabel_server.selection.registry import Strategy, strategy_named
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.tensors import (
    COMMITTEE,
    DIRECTIONS,
    EMBEDDINGS,
    EMBEDDINGS_AS_SENT,
    PREDICTIONS,
    TensorInput,
)

Arrays = Mapping[str, npt.NDArray[Any]]


class Gatherer:
    """Validates blocks and makes of them the columns of a Pool.

    Safe to share between threads once it has taken the first block, whose first row is the
    origin of all: so it does not depend on how the rest is cut.

    Args:
        strategy: a whole-pool strategy.
        sources: the pool tensors that it is given, one for each of its needs.
        parameters: accepted ones.
        references: its reference tensors by name.
        model_activation: the activation of the model that gives probabilities.
        prefilter: the row-wise strategy whose scores are kept too, as the column `prefilter`.
    """

    def __init__(
        self,
        strategy: Strategy,
        sources: tuple[TensorInput, ...],
        parameters: Mapping[str, Any],
        references: Arrays,
        model_activation: Activation = "none",
        prefilter: Strategy | None = None,
    ) -> None:
        self._strategy = strategy
        self._sources = sources
        self._parameters = parameters
        self._references = references
        self._model_activation = model_activation
        self._cosine = DIRECTIONS in sources or "cosine" in (
            parameters.get("metric"),
            parameters.get("similarity"),
        )
        self._origin: npt.NDArray[np.float64] = np.zeros(0)
        self._moves = False  # the origin, once all rows are there
        base = parameters.get("base", strategy.base)
        self._base = strategy_named(base) if base else None
        self._prefilter = prefilter

    def check_row_shape(self, source: TensorInput, row_shape: tuple[int, ...]) -> None:
        """Refuses rows of a source that the strategy cannot work with.

        Raises:
            InvalidRequest: too few classes.
        """
        if "C" in source.shape:
            scorer = self._scorer(self._user_of(source), source)
            replace(scorer, references=self._references).check_row_shape(source, row_shape)

    @property
    def sources(self) -> tuple[TensorInput, ...]:
        """The pool tensors that it takes."""
        return self._sources

    @property
    def activation(self) -> Activation:
        """What turns blocks into probabilities, where there are any."""
        activations = [
            self._scorer(self._user_of(source), source).activation
            for source in self._sources
            if source.reader
        ]
        return next((a for a in activations if a != "none"), "none")

    def take(self, arrays: Arrays, first_row: int) -> Arrays:
        """The columns of a Pool for the rows of a block, by name.

        Raises:
            InvalidRequest: naming the first row that is not what a tensor should hold.
        """
        columns: dict[str, npt.NDArray[Any]] = {}
        for source in self._sources:
            block = arrays[source.name]
            if self._prefilter is not None and source in self._prefilter.sources:
                scorer = self._scorer(self._prefilter, source)
                columns["prefilter"] = scorer.score(block, first_row)
                if source not in self._strategy.sources:
                    continue
            if source.name == EMBEDDINGS.name:
                reader = self._embedding_reader(block, first_row)
                columns["embeddings"] = reader.read(block, first_row)
            elif self._base is not None:
                columns["scores"] = self._scorer(self._base, source).score(block, first_row)
            elif source is PREDICTIONS:
                columns["predictions"] = self._read(source, block, first_row, np.float64)
            elif source is COMMITTEE and COMMITTEE in self._strategy.tensors:
                columns["committee"] = self._read(source, block, first_row, np.float32)
            else:
                columns["probabilities"] = self._probabilities(source, block, first_row)
        return columns

    def pool(self, columns: Arrays, row_count: int, rng: np.random.Generator) -> Pool:
        """All columns as the Pool that the strategy works on.

        Raises:
            InvalidRequest: a row of a reference tensor that is not what it should hold.
        """
        columns = dict(columns)
        origin = np.zeros_like(self._origin) if self._cosine else self._origin
        if self._moves and len(columns.get("embeddings", ())):
            middle = far_middle(columns["embeddings"])
            if middle.any():
                columns["embeddings"] -= middle
            origin = middle.astype(np.float64)
        references = dict(self._references)
        if "labeled_embeddings" in references:
            labeled = references["labeled_embeddings"]
            if row_count == 0:
                labeled = labeled[:0]
            moved = origin if len(origin) else np.zeros(labeled.shape[1])
            reader = EmbeddingReader("labeled_embeddings", self._cosine, moved)
            references["labeled_embeddings"] = reader.read(labeled, 0)
        return Pool(row_count=row_count, rng=rng, origin=origin, references=references, **columns)

    def _embedding_reader(self, block: npt.NDArray[np.floating], first_row: int) -> EmbeddingReader:
        if first_row == 0:
            as_sent = EMBEDDINGS_AS_SENT in self._sources
            self._origin = np.zeros(block.shape[1]) if as_sent else first_origin(block)
            self._moves = not (as_sent or self._cosine or self._origin.any())
        return EmbeddingReader("embeddings", self._cosine, self._origin)

    def _probabilities(
        self, source: TensorInput, block: npt.NDArray[np.floating], first_row: int
    ) -> npt.NDArray[np.float32]:
        stored = np.empty((0, 0), np.float32)
        with np.errstate(all="ignore"):
            reader = self._scorer(self._strategy, source).reader
            for rows, tile in reader.tiles(block, first_row):
                mean = tile.mean(axis=0) if tile.ndim > 2 else tile
                if not len(stored):
                    stored = np.empty((len(block), len(mean)), np.float32)
                stored[rows] = mean[:, : rows.stop - rows.start].T
        return stored

    def _read(
        self,
        source: TensorInput,
        block: npt.NDArray[np.floating],
        first_row: int,
        dtype: type[np.floating],
    ) -> npt.NDArray[np.floating]:
        """The rows of a block, all that is in them."""
        reader = self._scorer(self._strategy, source).reader
        stored = np.empty((len(block), *reader.tile_shape(block.shape[1:])), dtype)
        with np.errstate(all="ignore"):
            for rows, tile in reader.tiles(block, first_row):
                stored[rows] = np.moveaxis(tile[..., : rows.stop - rows.start], -1, 0)
        return stored

    def _user_of(self, source: TensorInput) -> Strategy:
        """The strategy that works on a source: the base, this one itself, or the prefilter."""
        users = (self._base, self._strategy, self._prefilter)
        return next(user for user in users if user is not None and source in user.sources)

    def _scorer(self, strategy: Strategy, source: TensorInput) -> Scorer:
        # A base strategy's own parameters have their defaults; how to read rows is ours to say.
        defaults = {parameter.name: parameter.default for parameter in strategy.parameters}
        return Scorer(
            strategy, source, {**defaults, **self._parameters}, {}, self._model_activation
        )
