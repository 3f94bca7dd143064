"""Learning curves: what a model gains from labels drawn at random, and from labels it asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nextlabel import Client
from nextlabel_server.demo import learner
from nextlabel_server.demo.digits import Digits, shuffled
from nextlabel_server.demo.trial import RANDOM

HELD_OUT_ROWS = 4_000
INITIAL_LABELS = 100
LABELS_A_ROUND = 50
FINAL_LABELS = 2_000
LABELS = np.arange(INITIAL_LABELS, FINAL_LABELS + 1, LABELS_A_ROUND)
"""[R] labels that a learner has in each round."""

CHOOSING = "least_confidence"
COMPARED = (CHOOSING, RANDOM)


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """How accurate each learner became."""

    accuracy: dict[str, npt.NDArray[np.float64]]
    """[S, R] by strategy: of each seed after each round, on digits that nobody learns from."""

    @property
    def seeds(self) -> int:
        """How many learners of each kind there were."""
        return len(self.accuracy[RANDOM])

    def mean(self, strategy: str) -> npt.NDArray[np.float64]:
        """[R] the accuracy after each round, on average over the seeds."""
        mean: npt.NDArray[np.float64] = self.accuracy[strategy].mean(axis=0)
        return mean

    @property
    def goal(self) -> float:
        """The accuracy that random labels end with, on average over the seeds."""
        return float(self.mean(RANDOM)[-1])

    def labels_needed(self, strategy: str, short_of: float = 0.0) -> int | None:
        """The fewest labels that bring a strategy, on average, to the goal or so near below it."""
        reached = self.mean(strategy) >= self.goal - short_of
        return int(LABELS[reached.argmax()]) if reached.any() else None


def draw_curves(client: Client, digits: Digits, seeds: int, tell: Callable[[], object]) -> Curves:
    """Lets learners of both kinds learn, seed by seed; `tell` is called after each round."""
    return Curves(
        {
            strategy: np.array(
                [learn(client, digits, strategy, seed, tell) for seed in range(seeds)]
            )
            for strategy in COMPARED
        }
    )


def learn(
    client: Client, digits: Digits, strategy: str, seed: int, tell: Callable[[], object]
) -> list[float]:
    """The accuracy of one learner after each round, from the first random labels on."""
    held_out, pool = (
        (digits.pixels[rows], digits.is_seven[rows])
        for rows in shuffled(digits, seed, HELD_OUT_ROWS)
    )
    pixels, is_seven = pool
    labeled = np.arange(INITIAL_LABELS)  # the pool is shuffled, so these are random
    reached = []
    for _ in LABELS:
        model = learner.train(pixels[labeled], is_seven[labeled])
        reached.append(model.score(*held_out))
        picked = client.select(
            model.predict_proba(pixels),
            strategy=strategy,
            budget=LABELS_A_ROUND,
            exclude=labeled,
            seed=seed,
        )
        labeled = np.concatenate([labeled, picked.indices])
        tell()
    return reached
