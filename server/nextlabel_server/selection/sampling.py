"""From scores to a batch: how the picked rows are drawn.

The probability-proportional methods use the Gumbel top-k trick (Kool et al. 2019): the
highest B of `log weight + Gumbel noise` are B draws without replacement in proportion to the
weights. Noise is drawn for every row of the pool, so excluding a row changes no other's.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from nextlabel_server.errors import UnknownName
from nextlabel_server.selection import ranking
from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.ranking import Mask, Rows, Scores

Draw: TypeAlias = Callable[..., Rows]


@dataclass(frozen=True, slots=True)
class SamplingMethod:
    """A way to draw a batch from scores.

    `draw(scores [N], count, eligible [N] or None, rng, **parameters)` returns the rows in the
    order of drawing; `top` needs no rng. `extra_bytes` is its memory for each row of the pool.
    `in_turn` does the same one row at a time, and looks at `eligible` anew for each, where a row
    that is closed meanwhile changes how others are drawn; None where it is just left out.
    """

    name: str
    description: str
    reference: str
    parameters: tuple[Parameter, ...]
    draw: Draw
    extra_bytes: int
    in_turn: Callable[..., Iterator[int]] | None = None


_declared: dict[str, SamplingMethod] = {}

BETA = Parameter(
    "beta",
    float,
    "How strongly the draw follows the scores: 0 is uniform, large is close to top.",
    default=1.0,
    minimum=0,
    maximum=1e6,
)


def _method(
    *,
    reference: str,
    parameters: tuple[Parameter, ...] = (),
    extra_bytes: int = 0,
    in_turn: Callable[..., Iterator[int]] | None = None,
) -> Callable[[Draw], Draw]:
    def declare(draw: Draw) -> Draw:
        description = (inspect.getdoc(draw) or "").partition("\n")[0]
        _declared[draw.__name__] = SamplingMethod(
            draw.__name__, description, reference, parameters, draw, extra_bytes, in_turn
        )
        return draw

    return declare


@_method(reference="")
def top(scores: Scores, count: int, eligible: Mask | None, _rng: object) -> Rows:
    """The B highest scores."""
    return ranking.top(scores, count, eligible)


@_method(reference="Kirsch et al. 2021, arXiv:2106.12059", parameters=(BETA,), extra_bytes=8)
def power(
    scores: Scores, count: int, eligible: Mask | None, rng: np.random.Generator, *, beta: float
) -> Rows:
    """B draws without replacement in proportion to score^beta; a score of 0 or less comes last."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.maximum(scores, 0.0))
    if beta == 0:
        log_weights = np.zeros_like(scores)
    else:
        log_weights *= beta
    return _gumbel_top(log_weights, count, eligible, rng)


@_method(reference="Kirsch et al. 2021, arXiv:2106.12059", parameters=(BETA,), extra_bytes=8)
def softmax(
    scores: Scores, count: int, eligible: Mask | None, rng: np.random.Generator, *, beta: float
) -> Rows:
    """B draws without replacement in proportion to e^(beta·score)."""
    return _gumbel_top(beta * scores, count, eligible, rng)


@_method(reference="Kirsch et al. 2021, arXiv:2106.12059", parameters=(BETA,), extra_bytes=56)
def softrank(
    scores: Scores, count: int, eligible: Mask | None, rng: np.random.Generator, *, beta: float
) -> Rows:
    """B draws without replacement in proportion to rank^(−beta); the best row has rank 1."""
    in_order = ranking.top(scores, len(scores), eligible)
    log_weights = np.full(len(scores), -np.inf)
    log_weights[in_order] = -beta * np.log(np.arange(1, len(in_order) + 1))
    return _gumbel_top(log_weights, count, eligible, rng)


def _epsilon_in_turn(
    scores: Scores, count: int, eligible: Mask | None, rng: np.random.Generator, *, epsilon: float
) -> Iterator[int]:
    rows = np.arange(len(scores)) if eligible is None else np.flatnonzero(eligible)
    count = min(count, len(rows))
    uniform = rng.random(count) < epsilon
    # Skipping rows that are gone, a random order hands out a uniform pick among those left.
    at_random = iter(rng.permutation(rows))
    by_score = iter(ranking.top(scores, count, eligible))
    left = np.zeros(len(scores), dtype=np.bool_)
    left[rows] = True
    for i in range(count):
        source = at_random if uniform[i] else by_score
        row = next(
            (row for row in source if left[row] and (eligible is None or eligible[row])), None
        )
        if row is None:
            return
        left[row] = False
        yield int(row)


@_method(
    reference="Sutton & Barto 2018, section 2.2",
    parameters=(
        Parameter(
            "epsilon",
            float,
            "Probability that a pick is uniform.",
            default=0.1,
            minimum=0,
            maximum=1,
        ),
    ),
    extra_bytes=18,
    in_turn=_epsilon_in_turn,
)
def epsilon(
    scores: Scores, count: int, eligible: Mask | None, rng: np.random.Generator, *, epsilon: float
) -> Rows:
    """Each pick is uniform among the rest with probability epsilon, else the best of the rest."""
    in_turn = _epsilon_in_turn(scores, count, eligible, rng, epsilon=epsilon)
    return np.fromiter(in_turn, dtype=np.int64)


def _gumbel_top(
    log_weights: Scores, count: int, eligible: Mask | None, rng: np.random.Generator
) -> Rows:
    """B draws without replacement in proportion to e^log_weights; overwrites its argument."""
    noise = rng.standard_exponential(len(log_weights))
    with np.errstate(divide="ignore"):
        log_weights -= np.log(noise, out=noise)
    return ranking.top(log_weights, count, eligible)


def all_samplings() -> Mapping[str, SamplingMethod]:
    """Every sampling method by name; the first is the default."""
    return MappingProxyType(_declared)


def sampling_named(name: str) -> SamplingMethod:
    """The sampling method of that name; `top` for an empty name.

    Raises:
        UnknownName: listing the methods that exist.
    """
    try:
        return _declared[name or "top"]
    except KeyError:
        known = ", ".join(_declared)
        raise UnknownName(f"sampling: {name[:60]!r} is unknown; there are {known}") from None
