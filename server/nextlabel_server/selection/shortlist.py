"""The best rows of a pool as its blocks come in, for a query that wants nothing but the best."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nextlabel_server.selection import ranking
from nextlabel_server.selection.ranking import Rows, Scores

BYTES = 64  # 16 for a row and its score, up to twice as many as are kept, and again to sort them


class Shortlist:
    """The `count` best rows so far: score descending, then row ascending.

    Takes at most `BYTES` for each of `count` rows, whatever the pool. `weakest` is the score that a
    later row must beat: -inf until there are `count` rows.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.weakest = -np.inf
        self._rows: list[Rows] = []
        self._scores: list[Scores] = []
        self._length = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what is kept of every row, by name: nothing is."""
        return {}

    def add(self, columns: Mapping[str, Any]) -> None:
        """Adds `rows`, ascending and after all earlier ones, with their `scores`."""
        self._rows.append(columns["rows"])
        self._scores.append(columns["scores"])
        self._length += len(columns["rows"])
        if self._length > 2 * self.count or self.weakest == -np.inf:
            self._settle()

    def all(self) -> dict[str, Any]:
        """The best `rows`, ascending, and their `scores`."""
        self._settle()
        return {"rows": self._rows[0], "scores": self._scores[0]}

    def _settle(self) -> None:
        rows = np.concatenate([np.empty(0, np.int64), *self._rows])
        scores = np.concatenate([np.empty(0), *self._scores])
        best = np.sort(ranking.top(scores, self.count))
        self._rows, self._scores = [rows[best]], [scores[best]]
        self._length = len(best)
        if self._length == self.count > 0:
            self.weakest = float(scores[best].min())
