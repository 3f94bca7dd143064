"""Strategies through a server against the libraries that people use today."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks import processes
from benchmarks.peer_process import Peers, peers
from benchmarks.timing import in_turn, seconds
from nextlabel import Client, Selection

Array: TypeAlias = npt.NDArray[Any]

TITLE = "Strategies"
ABOUT = """\
On standard normal rows, which are hard on greedy strategies, as all are about as good; for
*prob_cover* on 100 normal clusters. A peer has the arrays in its own process, and gets as many
threads as it likes. What takes longer than 2 s runs once."""
COLUMNS = ("work", "nextlabel", "peer", "its time", "times as fast", "to reach", "compared")

LONG = 2.0
ROUNDS = 5


@dataclass(frozen=True)
class Rival:
    """A peer's way to the same: what it needs, the ratio to reach, and what came out compared."""

    way: str
    package: str
    to_reach: float
    arrays: dict[str, Any]
    compare: Callable[[Selection, Any], str] | None = None


@dataclass(frozen=True)
class Work:
    """A call, and who else can do it."""

    name: str
    call: dict[str, Any]
    rivals: list[Rival] = field(default_factory=list)


def rows() -> Iterator[tuple[str, ...]]:
    """A row of the table for each work and peer."""
    with processes.nextlabel() as address, Client(address) as client, peers() as others:
        for work in works():
            for rival in work.rivals:
                yield (work.name, *_measured(work, rival, client, others))


def _measured(work: Work, rival: Rival, client: Client, others: Peers) -> tuple[str, ...]:
    def ours() -> Selection:
        return client.select(**work.call)

    found, usable = others.ready(rival.way, rival.arrays)
    peer, to_reach = f"{rival.package} {found}", f"{rival.to_reach:g}"
    selection = ours()
    if not usable:
        (alone,) = in_turn([lambda: seconds(ours)], ROUNDS)
        return _time(alone), peer, "-", "-", to_reach, "-"
    took, outcome = others.work()
    compare = rival.compare or same_picks
    if took > LONG:
        (mine,) = in_turn([lambda: seconds(ours)], ROUNDS)
    else:
        mine, took = in_turn([lambda: seconds(ours), lambda: others.work()[0]], ROUNDS)
    ratio = f"{took / mine:.1f}"
    return _time(mine), peer, _time(took), ratio, to_reach, compare(selection, outcome)


def _time(took: float) -> str:
    return f"{took * 1e3:.0f} ms" if took < 1 else f"{took:.1f} s"


def works() -> Iterator[Work]:
    """Each work with arrays of its own."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    def probabilities(*shape: int) -> Array:
        return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]).astype(np.float32)

    x, labeled = normal(100_000, 128), normal(10, 128)
    together = {"embeddings": np.concatenate([x, labeled]), "labeled": 10}
    yield Work(
        "k_center, N=100k, D=128, B=500",
        _call("k_center", 500, embeddings=x, labeled_embeddings=labeled),
        [
            Rival("k_center_mundig", "lightly-mundig", 5, {**together, "budget": 500}),
            Rival("k_center_loop", "plain loop, numpy", 2, {**together, "budget": 500}),
        ],
    )

    x = x[:20_000]
    together = {"embeddings": np.concatenate([x, labeled]), "labeled": 10}
    yield Work(
        "k_center, N=20k, D=128, B=200",
        _call("k_center", 200, embeddings=x, labeled_embeddings=labeled),
        [Rival("k_center_skactiveml", "scikit-activeml", 10, {**together, "budget": 200})],
    )

    pool = {"probabilities": probabilities(20_000, 20), "embeddings": x}
    yield Work(
        "badge, N=20k, C=20, D=128, B=100",
        _call("badge", 100, **pool, seed=0),
        [
            Rival(
                "badge_skactiveml", "scikit-activeml", 60, {**pool, "budget": 100}, _spread(**pool)
            )
        ],
    )

    x, p, labeled = normal(99_000, 64), probabilities(99_000, 10), normal(1000, 64)
    unsure = {"uncertainty": 1 - p.max(axis=1), "labeled": labeled}
    yield Work(
        "ranked_batch, N=99k, L=1000, D=64, B=50",
        _call("ranked_batch", 50, probabilities=p, embeddings=x, labeled_embeddings=labeled),
        [
            Rival(
                "ranked_batch_modal", "modAL-python", 50, {"embeddings": x, **unsure, "budget": 50}
            )
        ],
    )

    x, bandwidth = normal(10_000, 64), 128**0.5
    yield Work(
        "max_herding, N=10k, D=64, B=50",
        _call("max_herding", 50, embeddings=x, parameters={"bandwidth": bandwidth}),
        [
            Rival(
                "max_herding_skactiveml",
                "scikit-activeml",
                100,
                {"embeddings": x, "bandwidth": bandwidth, "budget": 50},
            )
        ],
    )

    clusters = normal(100, 64)[rng.integers(100, size=10_000)] + normal(10_000, 64) / 2
    yield Work(
        "prob_cover, N=10k, D=64, B=50, δ=6",
        _call("prob_cover", 50, embeddings=clusters, parameters={"delta": 6.0}),
        [
            Rival(
                "prob_cover_skactiveml",
                "scikit-activeml",
                20,
                {"embeddings": clusters, "delta": 6.0, "budget": 50},
                _covered(clusters, 6.0),
            )
        ],
    )

    yield Work(
        "facility_location (cosine), N=10k, D=64, B=100",
        _call("facility_location", 100, embeddings=x),
        [
            Rival(
                "facility_location_apricot",
                "apricot-select",
                10,
                {"embeddings": x, "budget": 100},
            )
        ],
    )
    yield Work(
        "facility_location (cosine), N=5k, D=64, B=100",
        _call("facility_location", 100, embeddings=x[:5000]),
        [
            Rival(
                "facility_location_submodlib",
                "submodlib-py",
                10,
                {"embeddings": x[:5000], "budget": 100},
            )
        ],
    )

    p = probabilities(10_000, 10)
    entropy = -(p * np.log(np.maximum(p, 1e-30))).sum(axis=1, dtype=np.float64)
    yield Work(
        "gist, N=10k, D=64, B=100",
        _call("gist", 100, probabilities=p, embeddings=x),
        [
            Rival(
                "gist_divsel",
                "divsel",
                2,
                {"embeddings": x, "scores": entropy, "budget": 100},
                _objective(x, entropy),
            )
        ],
    )

    committee = probabilities(200_000, 10, 10)
    yield Work(
        "bald, N=200k, M=10, C=10, top 100",
        _call("bald", 100, committee=committee),
        [
            Rival(
                "bald_baal",
                "baal",
                3,
                {"committee": committee},
                lambda ours, theirs: same_picks(ours, theirs[:100]),
            )
        ],
    )
    yield Work(
        "vote_entropy, N=200k, M=10, C=10, top 100",
        _call("vote_entropy", 100, committee=committee),
        [
            Rival(
                "vote_entropy_modal",
                "modAL-python",
                3,
                {"committee": committee, "budget": 100},
                _votes(committee),
            )
        ],
    )


def _call(strategy: str, budget: int, **arrays: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"strategy": strategy, "budget": budget, **arrays}


def same_picks(ours: Selection, theirs: Any) -> str:  # noqa: ANN401 - lists and arrays
    """How many picks two batches share."""
    if np.array_equal(ours.indices, theirs):
        return "same picks"
    shared = len(np.intersect1d(ours.indices, theirs))
    return f"{shared} of {len(ours.indices)} picks shared"


def _spread(probabilities: Array, embeddings: Array) -> Callable[[Selection, Any], str]:
    """Random draws: what is alike is how near all gradients are to those picked."""
    a = probabilities - np.eye(probabilities.shape[1], dtype=np.float32)[probabilities.argmax(1)]
    norms = (a * a).sum(axis=1) * (embeddings * embeddings).sum(axis=1)

    def potential(picks: Any) -> float:  # noqa: ANN401
        products = (a @ a[picks].T) * (embeddings @ embeddings[picks].T)
        return float((norms[:, None] + norms[picks] - 2 * products).min(axis=1).sum())

    return lambda ours, theirs: (
        "other draws; sum of squared distances to the nearest pick "
        f"{potential(ours.indices) / potential(theirs):.3f} of theirs"
    )


def _covered(x: Array, delta: float) -> Callable[[Selection, Any], str]:
    """Rows whose balls hold as many are picked in any order by the peer."""

    def covered(picks: Any) -> int:  # noqa: ANN401
        centers = x[picks].astype(np.float64)
        squared = ((x[:, None] - centers) ** 2).sum(axis=2)
        return int((squared.min(axis=1) < delta**2).sum())

    return lambda ours, theirs: (
        f"{same_picks(ours, theirs)}; {covered(ours.indices)} rows covered, "
        f"{covered(theirs)} by theirs, which draws among those alike"
    )


def _objective(x: Array, scores: Array) -> Callable[[Selection, Any], str]:
    """The value that both make large: both are approximations."""

    def value(picks: Any) -> float:  # noqa: ANN401
        chosen = x[picks].astype(np.float64)
        apart = ((chosen[:, None] - chosen) ** 2).sum(axis=2) ** 0.5
        return float(scores[picks].sum() + apart[np.triu_indices(len(chosen), 1)].min())

    return lambda ours, theirs: (
        f"utility + least distance {value(ours.indices):.1f}, {value(theirs):.1f} theirs"
    )


def _votes(committee: Array) -> Callable[[Selection, Any], str]:
    """Many rows have the same votes, and the peer's order among them is random."""

    def entropies(picks: Any) -> Array:  # noqa: ANN401
        votes = committee[picks].argmax(axis=2)[..., None] == np.arange(committee.shape[2])
        shares = votes.mean(axis=1)
        return np.sort(-(shares * np.log(np.maximum(shares, 1e-30))).sum(axis=1))

    return lambda ours, theirs: (
        "same scores, drawn among those alike"
        if np.allclose(entropies(ours.indices), entropies(theirs))
        else "other scores"
    )
