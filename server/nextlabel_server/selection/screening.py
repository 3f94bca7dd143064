"""Scoring only what can be among the best: float32 finds the rows, float64 gives their scores.

Most rows of a pool are far from the best. Where it is known how far float32 arithmetic can be
from that in float64, a row that misses the best by more than that needs no other score: what is
picked, and in which order, stays what float64 says.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nextlabel_server.selection.probabilities import Activation, ProbabilityReader
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.shortlist import Shortlist
from nextlabel_server.selection.tensors import TensorInput
from nextlabel_server.selection.tiles import Floats, Tile

# When more rows than this can be among the best, all of them are scored in float64.
_WORTHWHILE = 0.25
_HEAD_ROWS = 1024  # whose scores say what to beat, before anything else does


class Screener:
    """Finds the rows of each block that can be on the shortlist; blocks come one after another."""

    def __init__(self, scorer: Scorer, count: int) -> None:
        self.scorer = scorer
        self.shortlist = Shortlist(count, lambda values: scorer.score(values, 0))
        strategy, reader = scorer.strategy, scorer.reader
        self._error = strategy.float32_error
        self._limit = strategy.collision_limit
        self._reader = reader if isinstance(reader, ProbabilityReader) else None
        self._ndim = len(strategy.needs[0][0].shape)

    @property
    def sources(self) -> tuple[TensorInput, ...]:
        return self.scorer.sources

    @property
    def activation(self) -> Activation:
        return self.scorer.activation

    def check_row_shape(self, source: TensorInput, row_shape: tuple[int, ...]) -> None:
        self.scorer.check_row_shape(source, row_shape)

    def take(self, arrays: Mapping[str, Any], first_row: int) -> Mapping[str, Any]:
        """The `rows` of a block that can be on the shortlist, ascending, with `values` or `scores`.

        Raises:
            InvalidRequest: naming the first row that is not what the source should hold.
        """
        block = arrays[self.scorer.source.name]
        bar = self.shortlist.weakest
        if bar == -np.inf:
            bar = self._below_best(block[: max(_HEAD_ROWS, self.shortlist.count)], first_row)
        rows = self._candidates(block, bar)
        if rows is not None:
            return {"rows": rows + first_row, "values": block[rows]}
        rows = np.arange(first_row, first_row + len(block))
        return {"rows": rows, "scores": self.scorer.score(block, first_row)}

    def _below_best(self, head: Floats, first_row: int) -> float:
        """Less than as many of these rows score as can be on the shortlist; -inf if too few."""
        count = self.shortlist.count
        if len(head) < count or self._error is None:
            return -np.inf
        reached = np.partition(self.scorer.score(head, first_row), -count)[-count]
        return float(np.nextafter(reached, -np.inf))

    def _candidates(self, block: Floats, bar: float) -> Rows | None:
        """The rows that can score more than the bar; None when all may, or no bound is known."""
        if bar == -np.inf or self._error is None or self._reader is None:
            return None
        tile = self._reader.float32_tile(block) if block.ndim == self._ndim else None
        if tile is None:
            return None
        most = int(_WORTHWHILE * len(block))
        if self._limit is not None:
            total = self._reader.largest_sum(block.dtype)
            limit = self._limit(bar, len(tile), total, **self.scorer.own_parameters)
            candidates = _colliding_at_most(limit, tile)
            if len(candidates) <= most:
                return candidates
            if self.shortlist.weakest > -np.inf:
                self._limit = None  # nor will it rule out much of the next blocks
        bar -= self._error(*tile.shape[:-1])
        with np.errstate(all="ignore"):
            candidates = np.flatnonzero(self.scorer.score_tile(tile) > _float32_up_to(bar))
        return candidates if len(candidates) <= most else None


def _colliding_at_most(limit: float, tile: Tile) -> Rows:
    """The rows of a tile [C, n] whose collision probability Σ p² is at most that."""
    rounding = 1 + (len(tile) + 8) * np.finfo(np.float32).eps
    collisions = np.einsum("cn,cn->n", tile, tile)
    return np.flatnonzero(collisions <= limit * rounding)


def _float32_up_to(bar: float) -> np.floating:
    """The largest float32 that is not above the bar."""
    nearest = np.float32(bar)
    below: np.floating = np.nextafter(nearest, np.float32(-np.inf))
    return nearest if float(nearest) <= bar else below
