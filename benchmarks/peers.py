"""What other libraries do with the same arrays.

Run as a program, in an environment that has the libraries: it reads pickled requests from its
standard input and answers each on its standard output. (name, arrays) gets the function of that
name ready, which is not timed, and answers with the version of its library; None does the work
that is ready and answers with the seconds that it took and what came out.

Rows to pick from come before `labeled` ones in `embeddings`, for libraries that want one array.
"""

import os
import pickle
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Work: TypeAlias = Callable[[], Any]

_ways: dict[str, tuple[str, Callable[..., Work]]] = {}


def of(package: str) -> Callable[[Callable[..., Work]], Callable[..., Work]]:
    """Declares the function that gets a package's work ready."""

    def declare(prepare: Callable[..., Work]) -> Callable[..., Work]:
        _ways[prepare.__name__] = (package, prepare)
        return prepare

    return declare


@of("numpy")
def k_center_loop(embeddings: Array, labeled: int, budget: int) -> Work:
    """The plain loop: one matrix-vector product a pick."""

    def work() -> list[int]:
        x, norms = embeddings[:-labeled], np.einsum("nd,nd->n", embeddings, embeddings)
        nearest = np.full(len(x), np.inf, dtype=np.float32)
        picks: list[int] = []
        new = list(range(len(x), len(embeddings)))
        while True:
            for center in new:
                squared = norms[: len(x)] - 2 * (x @ embeddings[center]) + norms[center]
                np.minimum(nearest, squared, out=nearest)
            if len(picks) == budget:
                return picks
            picks.append(int(nearest.argmax()))
            new = picks[-1:]

    return work


@of("lightly-mundig")
def k_center_mundig(embeddings: Array, labeled: int, budget: int) -> Work:
    """Handing over the array, a third of its time, is part of its work as transport is of ours."""
    from lightly_mundig import Selection

    total = len(embeddings)

    def work() -> list[int]:
        selection = Selection()
        selection.add_diversifying_strategy(embeddings, 1.0)
        known = list(range(total - labeled, total))
        picked: list[int] = selection.run_selection(known, total, labeled + budget)
        return picked[labeled:]

    return work


@of("scikit-activeml")
def k_center_skactiveml(embeddings: Array, labeled: int, budget: int) -> Work:
    from skactiveml.pool import CoreSet

    y = np.full(len(embeddings), np.nan)
    y[-labeled:] = 0
    return lambda: CoreSet().query(embeddings, y, batch_size=budget)


@of("scikit-activeml")
def badge_skactiveml(probabilities: Array, embeddings: Array, budget: int) -> Work:
    from skactiveml.base import SkactivemlClassifier
    from skactiveml.pool import Badge

    class Known(SkactivemlClassifier):
        """Its probabilities are known already."""

        def __init__(self, missing_label: float = np.nan) -> None:
            super().__init__(missing_label=missing_label)

        def fit(self, *_: object) -> "Known":
            return self

        def predict_proba(self, _: Array) -> Array:
            return probabilities

    y = np.full(len(embeddings), np.nan)
    badge = Badge(random_state=0)
    return lambda: badge.query(embeddings, y, Known(), fit_clf=False, batch_size=budget)


@of("modAL-python")
def ranked_batch_modal(embeddings: Array, uncertainty: Array, labeled: Array, budget: int) -> Work:
    from types import SimpleNamespace

    from modAL.batch import ranked_batch

    learner = SimpleNamespace(
        X_training=labeled, on_transformed=False, transform_without_estimating=lambda x: x
    )
    return lambda: ranked_batch(learner, embeddings, uncertainty, budget, "euclidean", None)[0]


@of("scikit-activeml")
def max_herding_skactiveml(embeddings: Array, bandwidth: float, budget: int) -> Work:
    from skactiveml.pool import MaxHerding

    gamma = {"gamma": bandwidth**-2}
    herding = MaxHerding(normalize_samples=False, metric_dict=gamma, random_state=0)
    return lambda: herding.query(embeddings, np.full(len(embeddings), np.nan), batch_size=budget)


@of("scikit-activeml")
def prob_cover_skactiveml(embeddings: Array, delta: float, budget: int) -> Work:
    from skactiveml.pool import ProbCover

    cover = ProbCover(deltas=[delta], random_state=0)
    return lambda: cover.query(embeddings, np.full(len(embeddings), np.nan), batch_size=budget)


@of("apricot-select")
def facility_location_apricot(embeddings: Array, budget: int) -> Work:
    """By similarities that are made for it: its own are squares of cosines, −1 as good as 1."""
    from apricot import FacilityLocationSelection

    def picks(x: Array, count: int) -> Any:  # noqa: ANN401
        directions = x / np.linalg.norm(x, axis=1)[:, None].astype(np.float64)
        similarities = np.maximum(directions @ directions.T, 0)
        return FacilityLocationSelection(count, metric="precomputed").fit(similarities).ranking

    picks(embeddings[:50], 2)  # its kernels are compiled when they are first used
    return lambda: picks(embeddings, budget)


@of("submodlib-py")
def facility_location_submodlib(embeddings: Array, budget: int) -> Work:
    from submodlib import FacilityLocationFunction

    def work() -> list[int]:
        function = FacilityLocationFunction(
            len(embeddings), mode="dense", data=embeddings, metric="cosine"
        )
        picked = function.maximize(budget, optimizer="LazyGreedy", show_progress=False)
        return [row for row, _ in picked]

    return work


@of("divsel")
def gist_divsel(embeddings: Array, scores: Array, budget: int) -> Work:
    """With the largest distance estimated in linear time, the faster of its two ways."""
    from divsel import gist_select

    return lambda: gist_select(
        embeddings, scores, k=budget, metric="euclidean", diameter="approx", eps=0.1, lam=1.0
    )


@of("baal")
def bald_baal(committee: Array) -> Work:
    from baal.active.heuristics import BALD

    members_last = np.ascontiguousarray(committee.transpose(0, 2, 1))
    return lambda: BALD()(members_last)


@of("modAL-python")
def vote_entropy_modal(committee: Array, budget: int) -> Work:
    from modAL.disagreement import vote_entropy_sampling

    class Known:
        """A committee whose members' probabilities are known already."""

        classes_ = np.arange(committee.shape[2])

        def __len__(self) -> int:
            return committee.shape[1]

        def vote(self, pool: Array) -> Array:
            return pool.argmax(axis=2)

    return lambda: vote_entropy_sampling(Known(), committee, n_instances=budget)[0]


@of("modAL-python")
def information_density_modal(embeddings: Array) -> Work:
    from modAL.density import information_density

    return lambda: information_density(embeddings, metric="cosine")


def _ready(name: str, arrays: dict[str, Any]) -> tuple[str, Work | None]:
    """The version of the library, or why it cannot be used; and its work."""
    package, prepare = _ways[name]
    try:
        return version(package), prepare(**arrays)
    except (PackageNotFoundError, ImportError) as error:
        return f"not installed: {error}", None


def main() -> None:
    """Answers requests until there are no more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    warnings.simplefilter("ignore")
    work: Work | None = None
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        if request is not None:
            found, work = _ready(*request)
            answer: object = (found, work is not None)
        else:
            assert work is not None
            start = perf_counter()
            outcome = work()
            answer = (perf_counter() - start, outcome)
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    main()
