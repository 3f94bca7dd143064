"""Scoring only what can be among the best: float32 finds the rows, float64 gives their scores.

Most rows of a pool are far from the best. Where it is known how far float32 arithmetic can be
from that in float64, a row that misses the best by more than that needs no other score: what is
picked, and in which order, stays what float64 says.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from nextlabel_server.selection.probabilities import Activation, ProbabilityReader
from nextlabel_server.selection.ranking import Rows
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.shortlist import Shortlist
from nextlabel_server.selection.tensors import TensorInput
from nextlabel_server.selection.tiles import Floats, Tile

# When more rows than this can be among the best, all of them are scored in float64.
_WORTHWHILE = 0.25


class Screener:
    """Finds the rows of each block that can be on the shortlist; safe to share between threads."""

    def __init__(self, scorer: Scorer, count: int) -> None:
        self.scorer = scorer
        self.shortlist = Shortlist(count, lambda values: scorer.score(values, 0))
        self._reader = scorer.reader
        self._collisions_tell = scorer.strategy.collision_limit is not None

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
        rows = self._candidates(block, self.shortlist.weakest)
        if rows is not None:
            return {"rows": rows + first_row, "values": block[rows]}
        rows = np.arange(first_row, first_row + len(block))
        return {"rows": rows, "scores": self.scorer.score(block, first_row)}

    def _candidates(self, block: Floats, weakest: float) -> Rows | None:
        """The rows that can beat `weakest`; None when all may, or no bound is known."""
        strategy, reader = self.scorer.strategy, self._reader
        if strategy.float32_error is None or not isinstance(reader, ProbabilityReader):
            return None
        if weakest == -np.inf or block.ndim != len(strategy.needs[0][0].shape):
            return None
        tile = reader.float32_tile(block)
        if tile is None:
            return None
        most = int(_WORTHWHILE * len(block))
        bar = weakest - strategy.float32_error(*tile.shape[:-1])
        if self._collisions_tell:
            candidates = self._by_collision(tile, bar, reader.largest_sum(block.dtype))
            if len(candidates) <= most:
                return candidates
            self._collisions_tell = False  # nor will they of the next blocks
        with np.errstate(all="ignore"):
            candidates = np.flatnonzero(self.scorer.score_tile(tile) >= _below(bar))
        return candidates if len(candidates) <= most else None

    def _by_collision(self, tile: Tile, bar: float, total: float) -> Rows:
        """The rows whose collision probability lets them score as much as the bar."""
        classes = len(tile)
        limit_for = cast("Callable[..., float]", self.scorer.strategy.collision_limit)
        limit = limit_for(bar, classes, total, **self.scorer.own_parameters)
        rounding = 1 + (classes + 8) * np.finfo(np.float32).eps
        collisions = np.einsum("cn,cn->n", tile, tile)
        return np.flatnonzero(collisions <= limit * rounding)


def _below(bar: float) -> np.floating:
    """The next float32 below the bar, which float32 may not have."""
    below: np.floating = np.nextafter(np.float32(bar), np.float32(-np.inf))
    return below
