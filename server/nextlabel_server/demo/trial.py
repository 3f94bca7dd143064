"""One trial: train on a random part, serve, and ask which of the rest to label next."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nextlabel import Client, Progress, Selection
from nextlabel_server.app import Server
from nextlabel_server.demo import learner
from nextlabel_server.demo.digits import Digits, Rows, Split, shuffled
from nextlabel_server.settings import Settings

TRAINING_ROWS = 2_000
BUDGET = 50
STRATEGIES = ("least_confidence", "margin", "entropy")
MODEL = "seven"
SEVEN = 1
"""The class: the model knows False and True, in this order."""

# The model's two float32 probabilities add up to 1 only within 3e-8. Near one half, entropy is
# so flat that this alone makes it swap neighbours.
EXACT_SUM = {"renormalize": True}


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What the server answered about one random part."""

    seed: int
    pool: Rows
    """[N] rows that the model has not learned from."""
    probability: npt.NDArray[np.float64]
    """[N] the model's probability of seven."""
    accuracy: float
    """Share of the pool where that is on the right side of one half."""
    picks: dict[str, Selection]
    """By strategy; `ids` are rows of the data."""

    def same_order(self, strategy: str) -> bool:
        """Whether a strategy picked the same rows in the same order as the first one."""
        return np.array_equal(self.picks[strategy].indices, self.picks[STRATEGIES[0]].indices)

    @property
    def all_agree(self) -> bool:
        """Whether all three strategies did."""
        return all(map(self.same_order, STRATEGIES))


def prepare(digits: Digits, seed: int, models: Path) -> Split:
    """Trains a model, and puts it into the directory as one more version."""
    split = shuffled(digits, seed, TRAINING_ROWS)
    learner.export(
        learner.train(digits, split.first), models / MODEL / version(seed) / "model.onnx"
    )
    return split


def version(seed: int) -> str:
    """The model's version; they count from 1, seeds from 0."""
    return str(seed + 1)


@contextmanager
def served(models: Path) -> Iterator[Client]:
    """A server of these models on a free port, and a client of it."""
    settings = Settings(address="127.0.0.1:0", models=(models,))
    with Server(settings) as server, Client(server.address) as client:
        client.wait_ready()
        yield client


def ask(
    client: Client, digits: Digits, seed: int, pool: Rows, progress: Callable[[Progress], object]
) -> Trial:
    """Streams the pool's images to the server, once for each question."""
    select = partial(
        client.select,
        model=MODEL,
        model_version=version(seed),
        inputs={"pixels": digits.pixels[pool]},
        ids=pool,
        progress=progress,
    )
    picks = {
        strategy: select(strategy=strategy, budget=BUDGET, parameters=EXACT_SUM)
        for strategy in STRATEGIES
    }
    picks["random"] = client.select(
        strategy="random", budget=BUDGET, pool_size=len(pool), ids=pool, seed=seed
    )
    # The relevance of a row to a class is its probability, so this reads them off the server.
    every = select(
        strategy="relevance",
        budget=1,
        parameters={"class_index": SEVEN, **EXACT_SUM},
        return_all_scores=True,
    )
    probability = np.asarray(every.all_scores, np.float64)
    accuracy = float(np.mean((probability > 0.5) == digits.is_seven[pool]))
    return Trial(seed, pool, probability, accuracy, picks)
