"""Committee strategies against arithmetic done by hand, a slow definition, and modAL."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modAL import disagreement

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import all_strategies
from nextlabel_server.selection.tensors import PROBABILITIES
from tests.selection.scores import scores_of

LN2 = 0.6931471805599453
AGREED = [[1.0, 0.0], [1.0, 0.0]]
OPPOSED = [[1.0, 0.0], [0.0, 1.0]]
UNSURE = [[0.5, 0.5], [0.5, 0.5]]
LEANING = [[0.75, 0.25], [0.25, 0.75]]
# ¾ ln (¾ / ½) + ¼ ln (¼ / ½) = ¾ ln 3 − ln 2
DIVERGENCE = 0.75 * 1.0986122886681098 - LN2

BY_HAND = [
    ("vote_entropy", AGREED, 0),
    ("vote_entropy", OPPOSED, LN2),
    ("vote_entropy", UNSURE, 0),  # a tie goes to the lowest class, for both members
    ("vote_entropy", [[0.2, 0.4, 0.4], [0.6, 0.2, 0.2]], LN2),
    ("consensus_entropy", AGREED, 0),
    ("consensus_entropy", OPPOSED, LN2),
    ("consensus_entropy", UNSURE, LN2),
    ("bald", AGREED, 0),
    ("bald", OPPOSED, LN2),
    ("bald", UNSURE, 0),
    ("bald", LEANING, DIVERGENCE),
    ("max_kl", AGREED, 0),
    ("max_kl", OPPOSED, LN2),
    ("max_kl", LEANING, DIVERGENCE),
    ("max_kl", [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], math.log(3)),  # the loner against a third
    ("variation_ratio", AGREED, 0),
    ("variation_ratio", OPPOSED, 0.5),
    ("variation_ratio", UNSURE, 0),
    ("variation_ratio", [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 1 / 3),
    ("mean_std", AGREED, 0),
    ("mean_std", OPPOSED, 0.5),
    ("mean_std", LEANING, 0.25),
]


@pytest.mark.parametrize(("name", "row", "expected"), BY_HAND)
def test_a_score_is_what_its_formula_gives_by_hand(name, row, expected):
    (score,) = scores_of(name, [row])
    assert score == pytest.approx(expected, abs=1e-15)


# The definitions again, one row and one number at a time.


def entropy_of(p):
    return -math.fsum(x * math.log(x) for x in p if x > 0)


def divergence_of(p, q):
    return math.fsum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def mean_of(members):
    return [math.fsum(column) / len(members) for column in zip(*members, strict=True)]


def votes_of(members):
    winners = [p.index(max(p)) for p in members]
    return [winners.count(c) / len(members) for c in range(len(members[0]))]


def std_of(values):
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))


def mutual_information(members):
    expected = math.fsum(entropy_of(p) for p in members) / len(members)
    return entropy_of(mean_of(members)) - expected


DEFINITIONS = {
    "vote_entropy": lambda members: entropy_of(votes_of(members)),
    "consensus_entropy": lambda members: entropy_of(mean_of(members)),
    "bald": mutual_information,
    "max_kl": lambda members: max(divergence_of(p, mean_of(members)) for p in members),
    "variation_ratio": lambda members: 1 - max(votes_of(members)),
    "mean_std": lambda members: (
        math.fsum(map(std_of, zip(*members, strict=True))) / len(members[0])
    ),
}


def test_every_strategy_of_a_committee_has_its_definition_written_down_here():
    assert set(DEFINITIONS) == {
        s.name
        for s in all_strategies().values()
        if s.family == "committee" and s.kind == "row_wise"
    }


@st.composite
def committees(draw):
    """Committees [N, M, C] of small weights, so that ties and sure members are common."""
    classes = draw(st.sampled_from([1, 2, 3, 7, 64, 65]))
    shape = (draw(st.integers(1, 20)), draw(st.integers(1, 6)), classes)
    weights = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 5)))
    weights[..., draw(st.integers(0, classes - 1))] += 1  # no vector of nothing
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(pool=committees())
def test_a_score_is_what_its_definition_gives_row_by_row(name, pool):
    expected = [DEFINITIONS[name](members) for members in pool.tolist()]
    np.testing.assert_allclose(scores_of(name, pool), expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(pool=committees())
def test_bald_is_the_mean_divergence_from_the_consensus(pool):
    expected = [
        math.fsum(divergence_of(p, mean_of(members)) for p in members) / len(members)
        for members in pool.tolist()
    ]
    np.testing.assert_allclose(scores_of("average_kl", pool), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    "strategy",
    [s for s in all_strategies().values() if s.kind == "row_wise" and PROBABILITIES in s.sources],
    ids=lambda s: s.name,
)
def test_what_scores_a_vector_scores_a_committee_by_its_mean(strategy):
    pool = np.random.default_rng(1).dirichlet(np.ones(4), (50, 3))
    takes = {t.name for t in strategy.references} | {p.name for p in strategy.parameters}
    values = {"cost_matrix": np.arange(16).reshape(4, 4) % 7, "class_index": 2}
    given = {name: value for name, value in values.items() if name in takes}
    found = scores_of(strategy.name, pool, source="committee", **given)
    expected = scores_of(strategy.name, pool.mean(axis=1), **given)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


class Members:
    """A fitted modAL committee, as far as its measures of disagreement ask."""

    def __init__(self, pool):
        self._pool = pool
        self.classes_ = np.arange(pool.shape[2])

    def __len__(self):
        return self._pool.shape[1]

    def __iter__(self):
        return iter(range(len(self)))

    def vote(self, _):
        return self._pool.argmax(axis=2)

    def vote_proba(self, _):
        return self._pool

    def predict_proba(self, _):
        return self._pool.mean(axis=1)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("vote_entropy", disagreement.vote_entropy),
        ("consensus_entropy", disagreement.consensus_entropy),
        ("max_kl", disagreement.KL_max_disagreement),
    ],
)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(pool=committees())
def test_scores_are_those_of_modal(name, theirs, pool):
    expected = theirs(Members(pool), pool[:, 0, 0])
    np.testing.assert_allclose(scores_of(name, pool), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("vector", "problem"),
    [
        ([0.5, 0.6], "row 7 of member 1 sums to 1.1;"),
        ([np.nan, 1.0], "row 7 of member 1 has nan in column 0;"),
        ([1.5, -0.5], "row 7 of member 1 has -0.5 in column 1;"),
    ],
)
def test_a_refusal_names_the_row_and_the_member(vector, problem):
    pool = np.full((9, 3, 2), 0.5)
    pool[7, 1] = vector
    with pytest.raises(InvalidRequest) as refusal:
        scores_of("bald", pool)
    (violation,) = refusal.value.violations
    assert violation.field == "committee"
    assert violation.description.startswith(problem)


def test_members_may_send_logits():
    logits = np.log([[[0.75, 0.25], [0.25, 0.75]]]) + 3
    (score,) = scores_of("bald", logits, activation="softmax")
    assert score == pytest.approx(DIVERGENCE, abs=1e-15)
