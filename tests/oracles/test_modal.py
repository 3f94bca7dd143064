"""Against modAL 0.4.2.1: uncertainty, disagreement, ranked batches, multi-label.

Not compared: `modAL.dropout`, which needs PyTorch (its measures are those of `test_skactiveml`),
`expected_error` and `acquisition`, of which we have none.
"""

import numpy as np
import pytest
from modAL import batch, density, disagreement, multilabel, uncertainty
from modAL.models import ActiveLearner, Committee, CommitteeRegressor
from sklearn.base import BaseEstimator

from nextlabel_server.errors import InvalidRequest
from tests.oracles.pools import COMMITTEES, EMBEDDINGS, PROBABILITIES, labeled_for
from tests.selection.pools import picking_of
from tests.selection.scores import scores_of


class Predicts(BaseEstimator):
    """A fitted model that says the same of row i, whatever it holds."""

    def __init__(self, outputs):
        self.outputs = outputs
        self.classes_ = np.arange(outputs.shape[-1])

    def fit(self, *_):
        return self

    def predict_proba(self, x):
        return self.outputs[: len(x)]

    def predict(self, x):
        return self.outputs[: len(x)].argmax(axis=1)


class PredictsValue(Predicts):
    def predict(self, x):
        return self.outputs[: len(x)]


def committee_of(p, kind=Committee, member=Predicts):
    """A committee of models that predict [N, M, C] (or [N, M]) between them."""
    return kind([ActiveLearner(member(p[:, m])) for m in range(p.shape[1])])


def rows_of(p):
    return np.arange(len(p))[:, None]


@pytest.mark.parametrize("pool", PROBABILITIES)
@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("least_confidence", uncertainty.classifier_uncertainty),
        ("margin", lambda model, x: 1 - uncertainty.classifier_margin(model, x)),
        ("entropy", uncertainty.classifier_entropy),
    ],
)
def test_uncertainty(pool, name, measure):
    p = PROBABILITIES[pool]
    if (pool, name) == ("single_class", "margin"):
        with pytest.raises(InvalidRequest, match="at least 2"):  # modAL calls it 0
            scores_of(name, p)
        return
    expected = measure(Predicts(p), rows_of(p))
    np.testing.assert_allclose(scores_of(name, p), expected, atol=1e-12)


@pytest.mark.parametrize("pool", COMMITTEES)
@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("vote_entropy", disagreement.vote_entropy),
        ("consensus_entropy", disagreement.consensus_entropy),
        ("max_kl", disagreement.KL_max_disagreement),
    ],
)
def test_disagreement(pool, name, measure):
    p = COMMITTEES[pool]
    expected = measure(committee_of(p), rows_of(p))
    np.testing.assert_allclose(scores_of(name, p), expected, atol=1e-12)


def test_the_variance_of_members_is_the_square_of_modals_std():
    values = np.random.default_rng(3).normal(size=(50, 5))
    _, std = committee_of(values, CommitteeRegressor, PredictsValue).predict(
        rows_of(values), return_std=True
    )
    np.testing.assert_allclose(scores_of("variance_of_members", values), std**2)
    np.testing.assert_allclose(scores_of("std", std), std)


def test_modals_best_rows_are_ours_but_in_no_order():
    """modAL takes what argpartition leaves in front."""
    p = np.random.default_rng(4).dirichlet(np.ones(5), 5000)
    rows, values = uncertainty.entropy_sampling(Predicts(p), rows_of(p), n_instances=2000)
    ours = np.argsort(-scores_of("entropy", p), kind="stable")[:2000]
    assert set(rows) == set(ours)
    assert np.any(np.diff(values) > 0)


@pytest.mark.parametrize("pool", EMBEDDINGS)
def test_ranked_batches(pool):
    x = EMBEDDINGS[pool]
    count = min(15, len(x))
    # No two rows are equally unsure, so that no two are equally good.
    p = np.random.default_rng(2).dirichlet(np.ones(3), len(x))
    labeled = labeled_for(x)
    learner = ActiveLearner(Predicts(p), X_training=labeled, y_training=np.zeros(len(labeled)))
    rows, u = batch.uncertainty_batch_sampling(learner, x, n_instances=count)
    picking = picking_of(
        "ranked_batch", count, probabilities=p, embeddings=x, labeled_embeddings=labeled
    )
    assert picking.rows.tolist() == rows.tolist()
    np.testing.assert_allclose(scores_of("least_confidence", p)[rows], u)


def test_modal_may_take_the_first_row_of_a_ranked_batch_twice():
    """With nothing labeled it starts with the medoid, and leaves it open. We start with the row
    nearest the mean, which here is the same one, and close it.
    """
    x, p = np.array([[0.0], [1.0], [-1.0]]), np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    rows, _ = batch.uncertainty_batch_sampling(ActiveLearner(Predicts(p)), x, n_instances=3)
    assert rows.tolist() == [0, 1, 0]
    picking = picking_of("ranked_batch", 3, probabilities=p, embeddings=x)
    assert picking.rows.tolist() == [0, 1, 2]


def test_modals_information_density_has_another_similarity():
    """1/(1 + d) where the paper has the cosine; with cosines of 0 and 1 both rank alike."""
    x = np.eye(3)[[0, 1, 1, 2, 2, 2]]
    theirs = density.information_density(x, metric="cosine")
    np.testing.assert_allclose(theirs, np.array([1, 2, 2, 3, 3, 3]) / 12 + 0.5)
    picking = picking_of("information_density", 6, probabilities=np.full((6, 2), 0.5), embeddings=x)
    np.testing.assert_allclose(picking.gains, np.log(2) * np.array([3, 3, 3, 2, 2, 1]) / 6)


class DecidesLabels(Predicts):
    """Also a one-vs-rest model of binary ones, whose decision values are f = 2q − 1."""

    @property
    def estimators_(self):
        return [Decides(2 * q - 1) for q in self.outputs.T]

    def predict(self, x):
        return (self.outputs[: len(x)] > 0.5).astype(int)


class Decides:
    def __init__(self, values):
        self.decision_function = lambda _x: values


LABELS = {
    "random": np.random.default_rng(7).random((100, 4)),
    "tied": np.random.default_rng(8).integers(0, 5, (100, 3)) / 4,
    "hard": np.random.default_rng(9).integers(0, 2, (60, 4)).astype(float),
    "single_label": np.random.default_rng(10).random((30, 1)),
    "tiny": np.array([[0.2, 0.7]]),
}


@pytest.mark.parametrize("pool", LABELS)
def test_binary_minimum(pool):
    q = LABELS[pool]
    row = multilabel.SVM_binary_minimum(ActiveLearner(DecidesLabels(q)), rows_of(q))
    assert np.argmax(scores_of("bin_min", q)) == row


@pytest.mark.parametrize("pool", LABELS)
def test_max_loss_of_decided_labels(pool):
    """modAL rounds f to −1 or 1, where the paper has the value itself; ours does when asked to."""
    q = LABELS[pool]
    model = DecidesLabels(q)
    if pool == "tied":  # an argmax of ties may be a label that is not decided for
        model.outputs = q + 1e-6 * np.arange(q.shape[1])
    rows, losses = multilabel.max_loss(model, rows_of(q), n_instances=len(q))
    decided = model.predict(rows_of(q)).astype(float)
    np.testing.assert_allclose(scores_of("max_loss", decided)[rows], losses)


def test_modals_mean_max_loss_adds_labels_up_before_it_cuts_off():
    """Labels 1 1 0 are predicted: f = 1, 1, −1. The paper's loss, were 1 the only label, is
    max(1 − 1, 0) + max(1 + 1, 0) + max(1 − 1, 0) = 2, were it 2 the same: their mean is 2. modAL
    takes max(1 − Σ, 0) for each of the three labels: max(1 − (1 − 1 + 1), 0) = 0, again 0, and
    max(1 − (−1 − 1 − 1), 0) = 4: their mean is 4/3.
    """
    q = np.array([[1.0, 1.0, 0.0]])
    _, losses = multilabel.mean_max_loss(DecidesLabels(q), rows_of(q))
    np.testing.assert_allclose(losses, 4 / 3)
    np.testing.assert_allclose(scores_of("mean_max_loss", q), 2)


def test_modals_confidences_are_not_those_of_the_decision():
    """Row 0 is unsure of both labels, row 1 sure of both. Esuli & Sebastiani measure how far a
    label is from its decision; modAL takes the probability itself, and its mean the wrong way.
    """
    q = np.array([[0.5, 0.5], [0.01, 0.99], [0.9, 0.9]])
    model = DecidesLabels(q)
    assert multilabel.min_confidence(model, rows_of(q))[0] == [1]
    assert multilabel.avg_confidence(model, rows_of(q))[0] == [2]
    for reduce in ("mean", "max", "sum"):
        assert np.argmax(scores_of("binary_uncertainty", q, reduce=reduce)) == 0
