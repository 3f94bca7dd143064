"""The best rows of a pool as its blocks come in, for a query that wants nothing but the best."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nextlabel_server.selection import ranking
from nextlabel_server.selection.ranking import Rows, Scores
from nextlabel_server.selection.tiles import Floats

BYTES = 64  # 16 for a row and its score, up to twice as many as are kept, and again to sort them
_UNSCORED_BYTES = 1 << 16  # of rows that are scored together: few at a time would take longer
_PIECES = 1024  # that are kept apart: each takes some 200 bytes beside what is in it


class Shortlist:
    """The `count` best rows so far: score descending, then row ascending.

    Takes at most `BYTES` for each of `count` rows, whatever the pool, and a little for rows that
    are not scored yet. `weakest` is the score that a later row must beat: -inf until there are
    `count` rows. `score` gives the scores of values that may be among the best, [n].
    """

    def __init__(self, count: int, score: Callable[[Floats], Scores]) -> None:
        self.count = count
        self.weakest = -np.inf
        self._score = score
        self._rows: list[Rows] = []
        self._scores: list[Scores] = []
        self._length = 0
        self._unscored: list[tuple[Rows, Floats]] = []
        self._unscored_rows = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what is kept of every row, by name: nothing is."""
        return {}

    def add(self, columns: Mapping[str, Any]) -> None:
        """Adds `rows`, ascending and after all earlier ones, with their `scores` or `values`."""
        if "scores" in columns:
            self._score_all()
            self._keep(columns["rows"], columns["scores"])
        elif len(columns["rows"]):
            rows, values = columns["rows"], columns["values"]
            self._unscored.append((rows, values))
            self._unscored_rows += len(rows)
            together = min(self.count, _UNSCORED_BYTES * len(rows) // values.nbytes)
            if self._unscored_rows >= together:
                self._score_all()

    def all(self) -> dict[str, Any]:
        """The best `rows`, ascending, and their `scores`."""
        self._score_all()
        self._settle()
        return {"rows": self._rows[0], "scores": self._scores[0]}

    def _score_all(self) -> None:
        if self._unscored:
            rows, values = (np.concatenate(parts) for parts in zip(*self._unscored, strict=True))
            self._unscored, self._unscored_rows = [], 0
            self._keep(rows, self._score(values))

    def _keep(self, rows: Rows, scores: Scores) -> None:
        better = scores > self.weakest
        if not better.any():
            return
        self._rows.append(rows[better])
        self._scores.append(scores[better])
        self._length += len(self._rows[-1])
        first_full = self.weakest == -np.inf and self._length >= self.count
        if first_full or self._length > 2 * self.count or len(self._rows) > _PIECES:
            self._settle()

    def _settle(self) -> None:
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        scores = np.concatenate([np.empty(0), *self._scores])
        if len(rows) > self.count:
            best = np.sort(ranking.top(scores, self.count))
            rows, scores = rows[best], scores[best]
        self._rows, self._scores = [rows], [scores]
        self._length = len(rows)
        if self._length == self.count > 0:
            self.weakest = float(scores.min())
