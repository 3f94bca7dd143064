"""One trial: train on a random part, serve, and ask which of the rest to label next."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nextlabel import Client, Selection
from nextlabel_server.app import Server
from nextlabel_server.demo import learner
from nextlabel_server.demo.digits import Digits, Rows, Truth, shuffled
from nextlabel_server.settings import Settings

TRAINING_ROWS = 2_000
BUDGET = 50
STRATEGIES = ("least_confidence", "margin", "entropy")
RANDOM = "random"
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
    is_seven: Truth
    """[N] what is true of them."""
    probability: npt.NDArray[np.float64]
    """[N] what the model says: its probability of seven."""
    picks: dict[str, Selection]
    """By strategy; `indices` are places in the pool, `ids` rows of the data."""

    @property
    def accuracy(self) -> float:
        """The share of the pool that the model gets right."""
        return float(np.mean((self.probability > 0.5) == self.is_seven))

    def sevens(self, strategy: str) -> int:
        """How many sevens a strategy picked."""
        return int(self.is_seven[self.picks[strategy].indices].sum())

    def same_order(self, strategy: str) -> bool:
        """Whether a strategy picked the same rows in the same order as the first one."""
        return np.array_equal(self.picks[strategy].indices, self.picks[STRATEGIES[0]].indices)

    @property
    def agreeing(self) -> int:
        """How many strategies picked the same in the same order as the first one, it included."""
        return sum(map(self.same_order, STRATEGIES))

    @property
    def all_agree(self) -> bool:
        """Whether all of them did."""
        return self.agreeing == len(STRATEGIES)


def prepare(digits: Digits, seed: int, models: Path) -> Rows:
    """Puts a trained model into the directory, as one more version; returns the pool."""
    training, pool = shuffled(digits, seed, TRAINING_ROWS)
    path = models / MODEL / version(seed) / "model.onnx"
    learner.export(learner.train(digits.pixels[training], digits.is_seven[training]), path)
    return pool


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


def ask(client: Client, digits: Digits, seed: int, pool: Rows) -> Trial:
    """Streams the pool's images to the server, once for each question."""
    select = partial(
        client.select,
        model=MODEL,
        model_version=version(seed),
        inputs={"pixels": digits.pixels[pool].astype(np.float32)},
        ids=pool,
    )
    picks = {
        strategy: select(strategy=strategy, budget=BUDGET, parameters=EXACT_SUM)
        for strategy in STRATEGIES
    }
    picks[RANDOM] = client.select(
        strategy=RANDOM, budget=BUDGET, pool_size=len(pool), ids=pool, seed=seed
    )
    # The relevance of a row to a class is its probability, so this reads them off the server.
    every = select(
        strategy="relevance",
        budget=1,
        parameters={"class_index": SEVEN, **EXACT_SUM},
        return_all_scores=True,
    )
    probability = np.asarray(every.all_scores, np.float64)
    return Trial(seed, pool, digits.is_seven[pool], probability, picks)
