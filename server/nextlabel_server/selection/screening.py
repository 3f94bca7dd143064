"""Scoring only what can be among the best: float32 finds the rows, float64 gives their scores.

Most rows of a pool are far from the best. Where it is known how far float32 arithmetic can be
from that in float64, a row that misses the best by more than that needs no other score: what is
picked, and in which order, stays what float64 says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextlabel_server.selection import ranking
from nextlabel_server.selection.probabilities import Activation, ProbabilityReader
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.scoring import Scorer
from nextlabel_server.selection.shortlist import Shortlist
from nextlabel_server.selection.tensors import TensorInput
from nextlabel_server.selection.tiles import Floats

# When more rows than this can be among the best, all of them are scored in float64.
_WORTHWHILE = 0.25


@dataclass(frozen=True, slots=True)
class Screener:
    """Finds the rows of each block that can be on the shortlist; safe to share between threads."""

    scorer: Scorer
    shortlist: Shortlist

    @property
    def sources(self) -> tuple[TensorInput, ...]:
        return self.scorer.sources

    @property
    def activation(self) -> Activation:
        return self.scorer.activation

    def check_row_shape(self, source: TensorInput, row_shape: tuple[int, ...]) -> None:
        self.scorer.check_row_shape(source, row_shape)

    def take(self, arrays: Mapping[str, Any], first_row: int) -> Mapping[str, Any]:
        """The `rows` of a block that can be on the shortlist, ascending, with their `scores`.

        Raises:
            InvalidRequest: naming the first row that is not what the source should hold.
        """
        block = arrays[self.scorer.source.name]
        weakest, count = self.shortlist.weakest, self.shortlist.count
        rows = self._candidates(block, weakest)
        if rows is None:
            rows = np.arange(len(block))
            scores = self.scorer.score(block, first_row)
        else:
            scores = self.scorer.score(block[rows], first_row)
        if weakest > -np.inf:
            better = scores > weakest
            rows, scores = rows[better], scores[better]
        best = np.sort(ranking.top(scores, count))
        return {"rows": rows[best] + first_row, "scores": scores[best]}

    def _candidates(self, block: Floats, weakest: float) -> Rows | None:
        """The rows that can beat `weakest` and be among the best of the block; None for all."""
        strategy, reader, count = self.scorer.strategy, self.scorer.reader, self.shortlist.count
        most = int(_WORTHWHILE * len(block))
        if strategy.float32_error is None or not isinstance(reader, ProbabilityReader):
            return None
        if count > most or block.ndim > 2:
            return None
        tile = reader.float32_tile(block)
        if tile is None:
            return None
        error = strategy.float32_error(len(tile))
        with np.errstate(all="ignore"):
            if strategy.ceiling is not None and weakest > -np.inf:
                own, total = self.scorer.own_parameters, reader.largest_sum(block.dtype)
                ceiling = strategy.ceiling(tile.max(axis=0), len(tile), total, **own)
                candidates = _at_least(weakest - error, ceiling)
                if len(candidates) <= most:
                    return candidates
            scores = self.scorer.score_tile(tile)
        bar = weakest - error
        if weakest == -np.inf:
            bar = float(np.partition(scores, -count)[-count]) - 2 * error
        candidates = _at_least(bar, scores)
        return candidates if len(candidates) <= most else None


def _at_least(bar: float, scores: Scores) -> Rows:
    """The rows of [n] float32 scores that are not below the bar, which float32 may not have."""
    return np.flatnonzero(scores >= np.nextafter(np.float32(bar), np.float32(-np.inf)))
