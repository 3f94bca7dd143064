"""Answers as messages."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from google.protobuf import duration_pb2

from nextlabel import blocks
from nextlabel.v1 import selection_pb2, service_pb2
from nextlabel_server.rpc.calls import Call
from nextlabel_server.rpc.plan import Plan
from nextlabel_server.rpc.selecting import Answer
from nextlabel_server.selection import Picks

# The tag of RowScores.scores: length and bytes, as packed numbers are on the wire.
_SCORES = bytes([selection_pb2.RowScores.SCORES_FIELD_NUMBER << 3 | 2])

PIECE_ROWS = 1 << 16  # 768 KiB of ranking, 512 KiB of scores: under every client's 4 MiB


def pieces(rows: int) -> Iterator[slice]:
    """Cuts so many rows into pieces that fit into a message each."""
    for start in range(0, rows, PIECE_ROWS):
        yield slice(start, start + PIECE_ROWS)


def stream(plan: Plan, answer: Answer, call: Call) -> Iterator[service_pb2.SelectStreamResponse]:
    """A whole answer, in the order of the contract."""
    for piece in pieces(len(answer.picks.rows)):
        yield service_pb2.SelectStreamResponse(ranking=ranking(answer, piece))
    for piece in pieces(len(answer.scores)):
        yield service_pb2.SelectStreamResponse(all_scores=row_scores(answer.scores, piece))
    if answer.nearest is not None:
        for piece in pieces(len(answer.nearest.rows)):
            nearest = nearest_picks(answer.nearest.rows, piece)
            yield service_pb2.SelectStreamResponse(nearest_picks=nearest)
    yield service_pb2.SelectStreamResponse(summary=summary(plan, answer.picks, call))


def ranking(answer: Answer, piece: slice) -> selection_pb2.Ranking:
    """A piece of the ranking, best first."""
    return selection_pb2.Ranking(
        indices=answer.picks.rows[piece].tolist(),
        scores=answer.picks.scores[piece].tolist(),
        shares=None if answer.nearest is None else answer.nearest.shares[piece].tolist(),
    )


def nearest_picks(rows: npt.NDArray[np.int64], piece: slice) -> selection_pb2.NearestPicks:
    """A piece of what the picks stand for."""
    return selection_pb2.NearestPicks(first_row=piece.start or 0, indices=rows[piece].tolist())


def row_scores(scores: npt.NDArray[np.float64], piece: slice) -> selection_pb2.RowScores:
    """A piece of the scores of all rows.

    Given as bytes: so many floats as objects would keep the interpreter from other calls for
    milliseconds, and its memory in pieces.
    """
    rows = scores[piece].astype("<f8", copy=False)
    message = selection_pb2.RowScores(first_row=piece.start or 0)
    message.MergeFromString(_SCORES + blocks.varint(rows.nbytes) + rows.tobytes())
    return message


def summary(plan: Plan, picks: Picks, call: Call) -> selection_pb2.SelectionSummary:
    """Everything about an answer but the ranking."""
    return selection_pb2.SelectionSummary(
        strategy=plan.query.strategy.name,
        seed=plan.query.seed,
        models=[
            selection_pb2.ModelReference(name=model.name, version=str(model.version), passes=passes)
            for model, passes in zip(plan.models, plan.passes, strict=True)
            if plan.sources
        ],
        row_count=call.rows if plan.item_count is None else plan.item_count,
        eligible_count=picks.eligible,
        picked_count=len(picks.rows),
        exhausted=picks.exhausted,
        timings=selection_pb2.Timings(
            receive=_duration(call.spent.seconds("receive")),
            queue=_duration(call.spent.seconds("queue")),
            inference=_duration(call.spent.seconds("inference")),
            selection=_duration(call.spent.seconds("selection")),
            total=_duration(call.seconds),
        ),
        request_id=call.request_id,
        spent_cost=picks.spent,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
