"""Against scikit-activeml 1.0.1: uncertainty, committees, diversity, hybrids, regression.

Not compared: strategies that retrain the model (QUIRE, expected error and the like) or need its
density (four-dS and others), of which we have none; and Falcun, which scales distances that it
has scaled before, so that no draw but the first is by the paper's chances.
"""

import numpy as np
import pytest
from skactiveml import pool as peer
from skactiveml.base import SkactivemlClassifier, SkactivemlRegressor

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import Constraints
from nextlabel_server.selection.balls import largest_pure_radius
from nextlabel_server.selection.strategies.gradient import Gradients
from tests.oracles.pools import (
    COMMITTEES,
    EMBEDDINGS,
    PROBABILITIES,
    assert_picks_are_the_peers,
    blobs,
    labeled_for,
)
from tests.selection.pools import picking_of
from tests.selection.scores import scores_of

EPS = 1e-20  # takes the place of 0 in a peer's logarithms, and of nothing else


class Predicts(SkactivemlClassifier):
    """A fitted model that gives a row of x [N, D] the probabilities of the same row of p [N, C]."""

    def __init__(self, x=None, p=None):
        super().__init__()
        self.x, self.p = x, p

    def fit(self, *_):
        raise AssertionError("it is fitted")

    def predict_proba(self, x):
        return self.p[[np.flatnonzero((self.x == row).all(axis=1))[0] for row in x]]


class PredictsValue(SkactivemlRegressor):
    """The same for values y [N]."""

    def __init__(self, x=None, y=None):
        super().__init__()
        self.x, self.y = x, y

    def fit(self, *_):
        raise AssertionError("it is fitted")

    def predict(self, x):
        return self.y[[np.flatnonzero((self.x == row).all(axis=1))[0] for row in x]]


def labeled(known, x, picks=()):
    """X and y of a peer: rows `known`, then x, of which `picks` are labeled too."""
    y = np.full(len(known) + len(x), np.nan)
    y[: len(known)] = 0
    y[len(known) + np.array(picks, dtype=int)] = 0
    return np.concatenate([known, x]), y


def utilities_after(strategy, known, x, **query):
    """What a peer that knows rows `known` gives the rows of x, once some are picked."""

    def utilities(picks):
        rows, y = labeled(known, x, picks)
        _, found = strategy.query(rows, y, batch_size=1, return_utilities=True, **query)
        return found[0, len(known) :]

    return utilities


@pytest.mark.parametrize("pool", PROBABILITIES)
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("least_confidence", "least_confident"),
        ("margin", "margin_sampling"),
        ("entropy", "entropy"),
    ],
)
def test_uncertainty(pool, name, method):
    p = PROBABILITIES[pool]
    if (pool, name) == ("single_class", "margin"):
        with pytest.raises(InvalidRequest, match="at least 2"):  # scikit-activeml fails
            scores_of(name, p)
        return
    np.testing.assert_allclose(
        scores_of(name, p), peer.uncertainty_scores(p, method=method), atol=1e-12
    )


@pytest.mark.parametrize("pool", sorted(set(PROBABILITIES) - {"single_class"}))
@pytest.mark.parametrize(
    ("name", "method"),
    [("expected_cost", "least_confident"), ("expected_cost_margin", "margin_sampling")],
)
def test_cost_sensitive_uncertainty(pool, name, method):
    p = PROBABILITIES[pool]
    costs = np.random.default_rng(1).random((p.shape[1], p.shape[1])) * (1 - np.eye(p.shape[1]))
    expected = peer.uncertainty_scores(p, cost_matrix=costs, method=method)
    np.testing.assert_allclose(scores_of(name, p, cost_matrix=costs), expected, atol=1e-12)


@pytest.mark.parametrize("pool", COMMITTEES)
def test_votes(pool):
    p = COMMITTEES[pool]
    votes = p.argmax(axis=2)
    expected = peer.vote_entropy(votes, np.arange(p.shape[2]))
    np.testing.assert_allclose(scores_of("vote_entropy", p), expected, atol=1e-12)
    np.testing.assert_allclose(
        scores_of("variation_ratio", p), peer.variation_ratios(votes), atol=1e-12
    )


@pytest.mark.parametrize("pool", COMMITTEES)
def test_average_kl_is_bald(pool):
    p = COMMITTEES[pool]
    expected = peer.average_kl_divergence(np.moveaxis(p, 1, 0).copy(), eps=EPS)
    np.testing.assert_allclose(scores_of("bald", p), expected, atol=1e-12)


def test_scikit_activeml_writes_into_the_callers_committee():
    """By default it raises what is below 1e-7 to that, in the array that it was given."""
    for of_committee in (peer.average_kl_divergence, lambda p: peer.batch_bald(p, 1)):
        p = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
        of_committee(p)
        assert p.min() > 0
    p = np.array([[[0.0, 1.0], [1.0, 0.0]]])
    kept = p.copy()
    scores_of("bald", p)
    assert np.array_equal(p, kept)


@pytest.mark.parametrize("pool", COMMITTEES)
def test_batch_bald_while_it_is_exact(pool):
    """scikit-activeml gives the joint information of a row and all picks; ours what it adds."""
    p = COMMITTEES[pool].astype(np.float32).astype(np.float64)
    p /= p.sum(axis=2, keepdims=True)
    count = min(4, len(p))
    picking = picking_of("batch_bald", count, committee=p)

    def information(rows):
        outcomes = p.shape[2] ** len(rows)
        shown = np.moveaxis(p[rows], 1, 0).copy()
        return np.nanmax(peer.batch_bald(shown, len(rows), n_MC_samples=outcomes, eps=EPS)[-1])

    def gains_after(picks):
        before = information(picks) if picks else 0.0
        return [
            np.nan if row in picks else information([*picks, row]) - before for row in range(len(p))
        ]

    assert_picks_are_the_peers(picking, gains_after, atol=1e-7, rounded=True)


@pytest.mark.parametrize("pool", EMBEDDINGS)
def test_k_center_from_labeled_rows(pool):
    x = EMBEDDINGS[pool]
    known = labeled_for(x)
    picking = picking_of("k_center", 12, embeddings=x, labeled_embeddings=known)
    assert_picks_are_the_peers(picking, utilities_after(peer.CoreSet(), known, x), atol=1e-6)
    assert_picks_are_the_peers(
        picking, utilities_after(peer.GreedySamplingX(), known, x), atol=1e-6
    )


def test_excluded_rows_are_those_that_are_no_candidates():
    x = EMBEDDINGS["random"]
    known, excluded = labeled_for(x), np.arange(0, len(x), 3)
    picking = picking_of(
        "k_center",
        20,
        embeddings=x,
        labeled_embeddings=known,
        constraints=Constraints(excluded=excluded),
    )
    rows, y = labeled(known, x)
    candidates = len(known) + np.setdiff1d(np.arange(len(x)), excluded)
    found = peer.CoreSet().query(rows, y, candidates=candidates, batch_size=20)
    assert picking.rows.tolist() == (found - len(known)).tolist()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("pool", EMBEDDINGS)
def test_max_herding(pool, metric):
    """Its gamma is 1/h²."""
    x = EMBEDDINGS[pool] + (0.5 if pool == "tied" else 0.0)  # a row of zeros has no direction
    known = labeled_for(x)
    picking = picking_of(
        "max_herding", 20, embeddings=x, labeled_embeddings=known, bandwidth=0.8, metric=metric
    )
    strategy = peer.MaxHerding(normalize_samples=metric == "cosine", metric_dict={"gamma": 0.8**-2})

    means_after = utilities_after(strategy, known, x)

    def gains_after(picks):
        # It takes the mean over the rows that are not labeled yet.
        return means_after(picks) * (len(x) - len(picks)) / len(x)

    assert_picks_are_the_peers(picking, gains_after, atol=1e-6, rounded=True)


@pytest.mark.filterwarnings("ignore:The maximum purity was -1")  # it says so of any one radius
@pytest.mark.parametrize(("pool", "delta"), [("random", 2.2), ("tied", 1.2), ("one_hot", 1.5)])
def test_prob_cover_with_a_given_radius(pool, delta):
    x = EMBEDDINGS[pool]
    known = labeled_for(x)
    picking = picking_of("prob_cover", 20, embeddings=x, labeled_embeddings=known, delta=delta)
    strategy = peer.ProbCover(deltas=[delta])

    counts_after = utilities_after(strategy, known, x, update=True)
    assert_picks_are_the_peers(picking, counts_after)


def test_the_radius_of_prob_cover_is_the_largest_that_is_pure():
    """scikit-activeml tries a list of radii, ours are all; the clusters are the same here."""
    sizes = [30, 20, 10]
    x = blobs(sizes)
    clusters = np.repeat([0, 1, 2], sizes)
    tried = np.arange(15.0, 30.0, 0.05)
    for purity in (0.5, 0.8, 0.95):
        strategy = peer.ProbCover(n_classes=3, deltas=tried, alpha=purity, random_state=0)
        strategy.query(x, np.full(len(x), np.nan))
        radius = largest_pure_radius(x.astype(np.float32), clusters, purity, lambda: None)
        assert strategy.delta_max_ == tried[tried < radius][-1]


def test_the_radii_that_prob_cover_tries_are_not_those_that_it_says():
    """0.1, 0.2, … 2.0 by its docstring; of two clusters 1.75 apart it finds 1.6, not 1.7."""
    x = np.repeat([[0.0], [1.75]], 10, axis=0)
    strategy = peer.ProbCover(n_classes=2, random_state=0)
    strategy.query(x, np.full(len(x), np.nan))
    np.testing.assert_allclose(strategy.delta_max_, 1.6)
    assert "np.arange(0.1, 2.1, 0.1)" in peer.ProbCover.__doc__


@pytest.mark.parametrize("known_blobs", [0, 2])
def test_typiclust(known_blobs):
    """Typicalities differ by what keeps them finite: 1e-5 of the authors, 1e-7 of the peer."""
    sizes = [30, 26, 22, 18, 14]
    x = blobs(sizes)
    known = x[[0, sizes[0]][:known_blobs]] + 0.5
    count = len(sizes) - known_blobs
    rows, y = labeled(known, x)
    found, typicality = peer.TypiClust(k=5, random_state=0).query(
        rows, y, batch_size=count, return_utilities=True
    )
    picking = picking_of("typiclust", count, embeddings=x, labeled_embeddings=known, neighbors=5)
    assert picking.rows.tolist() == (found - len(known)).tolist()
    gains = [typicality[i, row] for i, row in enumerate(found)]
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-4)


@pytest.mark.parametrize("pool", ["random", "tied", "one_hot", "tiny"])
def test_badge(pool):
    """The peer draws; it tells with what chances, which ours must be after the same picks.

    It also counts the origin as a pick, which the authors do not: a chance is never more than
    the squared length of a gradient says.
    """
    x = np.unique(EMBEDDINGS[pool], axis=0)
    p = np.random.default_rng(6).dirichlet(np.ones(3), len(x)).astype(np.float32).astype(float)
    count = min(10, len(x))
    strategy = peer.Badge(random_state=1)
    unknown = np.full(len(x), np.nan)
    rows, chances = strategy.query(
        x, unknown, Predicts(x, p), fit_clf=False, batch_size=count, return_utilities=True
    )
    assert picking_of("badge", 1, probabilities=p, embeddings=x).rows.tolist() == rows[:1]
    gradients = Gradients(p.astype(np.float32), x.astype(np.float32))
    every = np.arange(len(x))
    lengths = gradients.squared_lengths(every)
    for i in range(1, count):
        ours = np.minimum(gradients.exact(every, rows[:i]), lengths)
        np.testing.assert_allclose(
            np.delete(ours / ours.sum(), rows[:i]), np.delete(chances[i], rows[:i]), atol=1e-6
        )


@pytest.mark.parametrize("pool", ["random", "tied", "one_hot"])
def test_contrastive(pool):
    """Neighbours as near as each other are told apart by chance in a peer: here there are none."""
    p = PROBABILITIES[pool]
    rng = np.random.default_rng(12)
    x = rng.normal(size=(len(p), 4)).astype(np.float32).astype(np.float64)
    known, ours = slice(0, 15), slice(15, None)
    y = np.full(len(x), np.nan)
    y[known] = 0
    # With no eps to speak of, and where it shows, the smallest double is what ours takes for 0.
    strategy = peer.ContrastiveAL(
        nearest_neighbors_dict={"n_neighbors": 4}, eps=np.finfo(float).tiny
    )
    _, found = strategy.query(x, y, Predicts(x, p), fit_clf=False, return_utilities=True)
    picking = picking_of(
        "contrastive",
        len(x) - 15,
        probabilities=p[ours],
        embeddings=x[ours],
        labeled_embeddings=x[known],
        labeled_probabilities=p[known],
        neighbors=4,
    )
    np.testing.assert_allclose(picking.gains, found[0, ours][picking.rows], rtol=1e-5, atol=1e-6)
    assert np.all(np.diff(picking.gains) <= 0)


def test_clue():
    """The rows nearest the centres of unsure clusters; the peer's come in no order."""
    sizes = [30, 20, 10, 5]
    x = blobs(sizes)
    p = np.random.default_rng(13).dirichlet(np.ones(3), len(x))
    found = peer.Clue(cluster_algo_dict={"random_state": 0, "n_init": 5}).query(
        x, np.full(len(x), np.nan), Predicts(x, p), fit_estimator=False, batch_size=4
    )
    picking = picking_of("clue", 4, probabilities=p, embeddings=x)
    assert sorted(picking.rows) == sorted(found)
    entropies = [part.sum() for part in np.split(scores_of("entropy", p), np.cumsum(sizes)[:-1])]
    np.testing.assert_allclose(picking.gains, sorted(entropies, reverse=True), rtol=1e-6)


@pytest.mark.parametrize("pool", ["random", "far"])
@pytest.mark.parametrize(("name", "method"), [("greedy_y", "GSy"), ("improved_greedy", "GSi")])
def test_greedy_sampling_for_regression(pool, name, method):
    x = EMBEDDINGS[pool]
    known = labeled_for(x)[:-1]  # a copy of a pool row could not have another value
    rng = np.random.default_rng(14)
    values, predictions = rng.normal(size=len(known)), rng.normal(size=len(x))
    rows, y = labeled(known, x)
    y[: len(known)] = values
    reg = PredictsValue(x, predictions)
    found, utilities = peer.GreedySamplingTarget(method=method).query(
        rows, y, reg, fit_reg=False, batch_size=20, return_utilities=True
    )
    given = {"predictions": predictions, "labeled_values": values}
    if method == "GSi":
        given |= {"embeddings": x, "labeled_embeddings": known}
    picking = picking_of(name, 20, **given)
    assert picking.rows.tolist() == (found - len(known)).tolist()
    gains = [utilities[i, row] for i, row in enumerate(found)]
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-5)
