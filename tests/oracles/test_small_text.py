"""Against small-text 1.4.1: confidence, BALD, core-sets, clusters of embeddings, contrast.

Not compared: `LightweightCoreset`, `DiscriminativeActiveLearning`, `SEALS` and subsampling, of
which we have none. Its queries come in no order; where it tells no scores, the best are compared
as a set.
"""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from small_text import query_strategies as peer
from small_text.query_strategies.bayesian import _bald

from nextlabel_server.errors import InvalidRequest
from tests.oracles.pools import (
    COMMITTEES,
    EMBEDDINGS,
    PROBABILITIES,
    blobs,
    labeled_for,
)
from tests.selection.pools import picking_of
from tests.selection.scores import scores_of


class Predicts:
    """A classifier that says the same whatever it is asked about."""

    def __init__(self, p, embeddings=None):
        self.p, self.embeddings = p, embeddings

    def predict_proba(self, _texts, **_):
        return self.p

    def embed(self, _texts, **_):
        return self.embeddings, self.p


def query(strategy, classifier, rows, count, labels=None):
    """What a strategy picks of so many rows, none of them labeled."""
    every, none = np.arange(rows), np.array([], dtype=int)
    return strategy.query(classifier, every, every, none, labels, n=count)


@pytest.mark.parametrize("pool", PROBABILITIES)
@pytest.mark.parametrize(
    ("name", "strategy", "score"),
    [
        ("least_confidence", peer.LeastConfidence(), lambda found: 1 - found),
        ("margin", peer.BreakingTies(), lambda found: 1 - found),
        ("entropy", peer.PredictionEntropy(), lambda found: -found),
    ],
)
def test_confidence(pool, name, strategy, score):
    p = PROBABILITIES[pool]
    if (pool, name) == ("single_class", "margin"):
        with pytest.raises(InvalidRequest, match="at least 2"):  # small-text fails
            scores_of(name, p)
        return
    found = strategy.score(Predicts(p), p, None, None, None)  # lower is better
    np.testing.assert_allclose(scores_of(name, p), score(found), atol=1e-12)


def test_the_rows_of_a_query_are_the_best_in_no_order():
    p = np.random.default_rng(4).dirichlet(np.ones(5), 5000)
    scores = scores_of("entropy", p)
    rows = query(peer.PredictionEntropy(), Predicts(p), len(p), 2000)
    assert set(rows) == set(np.argsort(-scores, kind="stable")[:2000])
    assert np.any(np.diff(scores[rows]) > 0)


@pytest.mark.parametrize("pool", COMMITTEES)
def test_bald(pool):
    """In bits, and with 1e-8 added to what it takes the logarithm of."""
    p = COMMITTEES[pool]
    scores = scores_of("bald", p)
    np.testing.assert_allclose(scores, np.log(2) * _bald(p), atol=1e-7)
    best = query(peer.BALD(), Predicts(p), len(p), max(1, len(p) // 3))
    assert scores[best].min() >= np.sort(scores)[-len(best)] - 1e-7


# A row and itself may be more alike than 1 by rounding, and the angle then no number.
@pytest.mark.filterwarnings("ignore:invalid value encountered in arccos")
@pytest.mark.parametrize(
    ("pool", "metric"),
    [
        *((pool, "euclidean") for pool in EMBEDDINGS),
        *((pool, "cosine") for pool in ("random", "one_hot", "far", "tiny")),
    ],
)
def test_k_center_from_labeled_rows(pool, metric):
    x = EMBEDDINGS[pool]
    known = labeled_for(x)[:-1]
    picking = picking_of("k_center", 12, embeddings=x, labeled_embeddings=known, metric=metric)
    everything = np.concatenate([x, known])
    rows = np.arange(len(x))
    found = peer.greedy_coreset(
        everything,
        rows,
        np.arange(len(x), len(everything)),
        len(picking.rows),
        distance_metric=metric,
    )
    assert picking.rows.tolist() == found.tolist()


@pytest.mark.filterwarnings("ignore:invalid value encountered in arccos")
def test_a_core_set_by_angle_takes_a_copy_of_what_is_labeled():
    """One whose length is 1 but for the last bit: argmax takes no number for the largest."""
    x = np.array([[1 + 2**-52, 0.0], [0.0, 1.0]])
    found = peer.greedy_coreset(
        x[[0, 1, 0]], np.arange(2), np.array([2]), 1, distance_metric="cosine", normalized=True
    )
    assert found.tolist() == [0]
    picking = picking_of("k_center", 1, embeddings=x, labeled_embeddings=x[:1], metric="cosine")
    assert picking.rows.tolist() == [1]


def test_k_means():
    """The rows nearest the centres, all of length 1; the peer's come in no order."""
    sizes = [30, 20, 10, 5]
    x = blobs(sizes)
    found = query(peer.EmbeddingKMeans(), Predicts(None, x), len(x), len(sizes))
    picking = picking_of("k_means", len(sizes), embeddings=x, metric="cosine")
    assert sorted(picking.rows) == sorted(found)
    assert picking.gains.tolist() == sizes


@pytest.mark.parametrize("pool", ["random", "sure", "binary"])
def test_contrastive(pool):
    """The paper's neighbours are labeled ones; the peer looks among all rows, the row itself
    included. Ours does so when it is given the pool as what is labeled.
    """
    p = np.maximum(PROBABILITIES[pool], 1e-12)  # ln 0 is infinite in the one, finite in ours
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
    x = np.random.default_rng(15).normal(size=(len(p), 4)).astype(np.float32)
    strategy = peer.ContrastiveActiveLearning(k=6, normalize=False, pbar=None)
    found = query(strategy, Predicts(p, x.astype(np.float64)), len(p), 20)
    picking = picking_of(
        "contrastive",
        20,
        probabilities=p,
        embeddings=x,
        labeled_embeddings=x,
        labeled_probabilities=p,
        neighbors=6,
    )
    assert sorted(picking.rows) == sorted(found)


def test_small_texts_cvirs_takes_places_for_ranks():
    """Row 1 is nearest the decision in both labels, and all rows are alike in what is predicted:
    it comes first. The peer's rank of row i is which row has the i-th smallest margin, and row 0,
    whose rank would be the best, is the i-th for i = 3.
    """
    q = np.array([[0.9, 0.9], [0.6, 0.6], [0.7, 0.7], [0.8, 0.8]])
    labels = np.array([[1, 0]])
    picking = picking_of("cvirs", 4, probabilities=q, labeled_labels=labels)
    assert picking.rows.tolist() == [1, 2, 3, 0]
    strategy = peer.CategoryVectorInconsistencyAndRanking(pbar=None)
    assert query(strategy, Predicts(q), 4, 1, csr_matrix(labels)).tolist() == [3]
