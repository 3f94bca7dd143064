"""A streamed answer, put together."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nextlabel._progress import Progress
from nextlabel._request import Request
from nextlabel._sources import UNKNOWN_ROWS
from nextlabel.errors import ServerError
from nextlabel.selection import Selection
from nextlabel.v1 import selection_pb2, service_pb2


class Answer:
    """Collects the messages of a streamed answer."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._indices: list[npt.NDArray[np.int64]] = []
        self._scores: list[npt.NDArray[np.float64]] = []
        self._shares: list[npt.NDArray[np.float64]] = []
        self._all_scores: list[npt.NDArray[np.float64]] = []
        self._nearest: list[npt.NDArray[np.int64]] = []
        self._picks_wanted = 0
        self._summary: selection_pb2.SelectionSummary | None = None

    def add(self, message: service_pb2.SelectStreamResponse) -> Progress | None:
        """Takes one message; returns how far the call is when that is what it says."""
        kind = message.WhichOneof("message")
        if kind == "ranking":
            self._add_ranking(message.ranking)
        elif kind == "all_scores":
            self._all_scores.append(np.array(message.all_scores.scores, dtype=np.float64))
        elif kind == "nearest_picks":
            self._nearest.append(np.array(message.nearest_picks.indices, dtype=np.int64))
        elif kind == "summary":
            self._summary = message.summary
            return self._all_done(message.summary)
        elif kind == "progress":
            total = self._request.row_count
            self._picks_wanted = message.progress.picks_wanted
            return Progress(
                message.progress.rows_received,
                message.progress.rows_scored,
                None if total == UNKNOWN_ROWS else total,
                message.progress.picks_made,
                self._picks_wanted,
            )
        return None

    def add_unary(self, response: service_pb2.SelectResponse) -> Progress:
        """Takes a unary answer; returns that all is done."""
        self._add_ranking(response.ranking)
        self._all_scores.append(np.array(response.all_scores.scores, dtype=np.float64))
        self._nearest.append(np.array(response.nearest_picks.indices, dtype=np.int64))
        self._summary = response.summary
        return self._all_done(response.summary)

    def _add_ranking(self, ranking: selection_pb2.Ranking) -> None:
        self._indices.append(np.array(ranking.indices, dtype=np.int64))
        self._scores.append(np.array(ranking.scores, dtype=np.float64))
        self._shares.append(np.array(ranking.shares, dtype=np.float64))

    def _all_done(self, summary: selection_pb2.SelectionSummary) -> Progress:
        rows = self._request.rows_of(summary)
        made = summary.picked_count if self._picks_wanted else 0
        return Progress(rows, rows, rows, made, self._picks_wanted)

    def selection(self) -> Selection:
        """The whole answer.

        Raises:
            ServerError: the stream ended without a summary.
        """
        if self._summary is None:
            raise ServerError("the server's answer ended without a summary")
        return self._request.selection(
            _joined(self._indices, np.int64),
            _joined(self._scores, np.float64),
            self._summary,
            all_scores=_joined(self._all_scores, np.float64),
            shares=_joined(self._shares, np.float64),
            nearest=_joined(self._nearest, np.int64),
        )


def _joined(pieces: list[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    if len(pieces) == 1:
        return pieces[0]
    return np.concatenate(pieces) if pieces else np.empty(0, dtype)
