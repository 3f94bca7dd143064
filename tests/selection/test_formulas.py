"""Strategies of one probability vector against arithmetic done by hand, and a slow definition."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import all_strategies, strategy_named
from nextlabel_server.selection.tensors import PROBABILITIES
from tests.selection.scores import scores_of

COSTS = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 1.0], [10.0, 3.0, 0.0]])
SURE, TORN, SPREAD = [1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.25, 0.25, 0.5]


BY_HAND = [
    ("least_confidence", {}, SURE, 0),
    ("least_confidence", {}, TORN, 0.5),
    ("least_confidence", {}, SPREAD, 1 - 0.5),
    ("least_confidence", {"normalize": True}, SPREAD, 0.5 * 3 / 2),
    ("least_confidence", {"normalize": True}, [1.0], 0),
    ("margin", {}, SURE, 1 - (1 - 0)),
    ("margin", {}, TORN, 1 - (0.5 - 0.5)),
    ("margin", {}, SPREAD, 1 - (0.5 - 0.25)),
    ("ratio", {}, SURE, 0 / 1),
    ("ratio", {}, TORN, 0.5 / 0.5),
    ("ratio", {}, SPREAD, 0.25 / 0.5),
    ("entropy", {}, SURE, 0),
    ("entropy", {}, TORN, 0.6931471805599453),  # ln 2
    ("entropy", {}, SPREAD, 1.5 * 0.6931471805599453),  # 2 · ¼ · 2 ln 2 + ½ · ln 2
    ("entropy", {"normalize": True}, [0.25] * 4, 1),
    ("entropy", {"normalize": True}, [1.0], 0),
    ("gini", {}, SURE, 1 - 1),
    ("gini", {}, TORN, 1 - (0.25 + 0.25)),
    ("gini", {}, SPREAD, 1 - (0.0625 + 0.0625 + 0.25)),
    ("relevance", {"class_index": 2}, SPREAD, 0.5),
    ("relevance", {"class_index": 0}, SPREAD, 0.25),
    ("threshold", {"class_index": 0}, TORN, 0),
    ("threshold", {"class_index": 2}, TORN, -0.5),
    ("threshold", {"class_index": 2, "threshold": 0.75}, SPREAD, -0.25),
    ("threshold", {"class_index": 2, "threshold": 0.25}, SPREAD, -0.25),
]


@pytest.mark.parametrize(("name", "parameters", "row", "expected"), BY_HAND)
def test_a_score_is_what_its_formula_gives_by_hand(name, parameters, row, expected):
    (score,) = scores_of(name, [row], **parameters)
    assert score == pytest.approx(expected, abs=1e-15)


def test_costs_of_many_decisions_are_those_of_each_with_pauses_between():
    pauses, pause = [], lambda: pauses.append(1)
    rng = np.random.default_rng(0)
    matrix, rows = rng.random((2_500, 2_500)), rng.dirichlet(np.ones(2_500), 20)
    found = scores_of("expected_cost", rows, cost_matrix=matrix, pause=pause)
    assert len(pauses) == 4  # two for 16 rows, two for the rest
    np.testing.assert_array_equal(found, np.einsum("cj,cn->jn", matrix, rows.T).min(axis=0))


@pytest.mark.parametrize(
    ("row", "costs"),
    [
        (SURE, [0, 1, 4]),
        (TORN, [0.5 * 0 + 0.5 * 2, 0.5 * 1 + 0.5 * 0, 0.5 * 4 + 0.5 * 1]),  # 1, 0.5, 2.5
        (SPREAD, [0.25 * 2 + 0.5 * 10, 0.25 * 1 + 0.5 * 3, 0.25 * 4 + 0.25 * 1]),  # 5.5, 1.75, 1.25
    ],
)
def test_expected_costs_weigh_the_row_of_the_true_class(row, costs):
    best, second, _ = sorted(costs)
    assert scores_of("expected_cost", [row], cost_matrix=COSTS) == pytest.approx([best])
    assert scores_of("expected_cost_margin", [row], cost_matrix=COSTS) == pytest.approx(
        [-(second - best)]
    )


def test_costs_may_be_negative():
    assert scores_of("expected_cost", [[0.5, 0.5]], cost_matrix=np.array([[-2.0, 1], [0, 4]])) == -1


def test_one_hot_rows_have_no_entropy_rather_than_nan():
    np.testing.assert_array_equal(scores_of("entropy", np.eye(70)), np.zeros(70))


def test_the_lowest_and_highest_scores_have_no_negative_zero():
    for name in ("entropy", "gini", "least_confidence", "margin"):
        assert not np.signbit(scores_of(name, [SURE])).any(), name
    assert not np.signbit(scores_of("threshold", [TORN], class_index=0)).any()


def test_a_probability_that_is_almost_nothing_adds_almost_nothing():
    tiny = 5e-324
    assert scores_of("entropy", [[1.0, tiny]]) == pytest.approx([0], abs=1e-300)


# The definitions again, one row and one number at a time.


def top_two(p):
    first, second, *_ = sorted(p, reverse=True)
    return first, second


def costs_of(p, matrix):
    return sorted(math.fsum(p[c] * matrix[c][j] for c in range(len(p))) for j in range(len(matrix)))


def entropy_of(p):
    return -math.fsum(x * math.log(x) for x in p if x > 0)


DEFINITIONS = {
    "least_confidence": lambda p, _: 1 - max(p),
    "margin": lambda p, _: 1 - (top_two(p)[0] - top_two(p)[1]),
    "ratio": lambda p, _: top_two(p)[1] / top_two(p)[0],
    "entropy": lambda p, _: entropy_of(p),
    "gini": lambda p, _: 1 - math.fsum(x * x for x in p),
    "mnlp": lambda p, _: -math.log(max(p)),
    "relevance": lambda p, _: p[-1],
    "threshold": lambda p, _: -abs(p[-1] - 0.3),
    "expected_cost": lambda p, matrix: costs_of(p, matrix)[0],
    "expected_cost_margin": lambda p, matrix: -(costs_of(p, matrix)[1] - costs_of(p, matrix)[0]),
}


def test_every_strategy_of_a_probability_vector_has_its_definition_written_down_here():
    every = [s for s in all_strategies().values() if s.kind == "row_wise"]
    assert set(DEFINITIONS) == {s.name for s in every if s.sources[:1] == (PROBABILITIES,)}


@st.composite
def pools(draw, fewest):
    """Probability rows of a few classes or so many that tiles are laid out the other way."""
    classes = draw(st.sampled_from([n for n in (1, 2, 3, 7, 64, 65, 70) if n >= fewest]))
    rows = draw(st.integers(1, 20))
    weights = draw(hnp.arrays(np.int64, (rows, classes), elements=st.integers(0, 1000)))
    weights[:, draw(st.integers(0, classes - 1))] += 1  # no row of nothing
    return weights / weights.sum(axis=1, keepdims=True)


def parameters_for(name, classes):
    given = {"relevance": {"class_index": classes - 1}}
    given["threshold"] = {"class_index": classes - 1, "threshold": 0.3}
    return given.get(name, {})


@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_score_is_what_its_definition_gives_row_by_row(name, data):
    strategy = strategy_named(name)
    pool = data.draw(pools(strategy.min_classes))
    classes = pool.shape[1]
    matrix = None
    if any(tensor.name == "cost_matrix" for tensor in strategy.tensors):
        matrix = np.random.default_rng(classes).normal(size=(classes, classes))
    found = scores_of(name, pool, cost_matrix=matrix, **parameters_for(name, classes))
    expected = [DEFINITIONS[name](row, matrix) for row in pool.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(pool=pools(2))
def test_normalized_scores_are_scaled_by_what_the_uniform_row_gives(pool):
    uniform = np.full((1, pool.shape[1]), 1 / pool.shape[1])
    for name in ("least_confidence", "entropy"):
        assert scores_of(name, uniform, normalize=True) == pytest.approx([1])
        definition = DEFINITIONS[name]
        expected = [definition(p, None) / definition(uniform[0], None) for p in pool.tolist()]
        np.testing.assert_allclose(
            scores_of(name, pool, normalize=True), expected, rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("name", ["margin", "ratio"])
def test_strategies_that_compare_two_classes_refuse_one(name):
    with pytest.raises(InvalidRequest, match=f"found 1 class; {name} needs at least 2"):
        scores_of(name, [[1.0]])


def test_a_cost_margin_refuses_one_class():
    with pytest.raises(InvalidRequest, match="found 1 class"):
        scores_of("expected_cost_margin", [[1.0]], cost_matrix=np.zeros((1, 1)))


@pytest.mark.parametrize("name", ["relevance", "threshold"])
def test_a_class_that_the_pool_lacks_is_refused(name):
    with pytest.raises(InvalidRequest) as refusal:
        scores_of(name, [SURE], class_index=3)
    (violation,) = refusal.value.violations
    assert violation.field == "parameters.class_index"
    assert violation.description == "found 3; the pool has 3 classes, so 0 to 2 is right"


@pytest.mark.parametrize("name", ["expected_cost", "expected_cost_margin"])
def test_a_cost_matrix_for_another_number_of_classes_is_refused(name):
    with pytest.raises(InvalidRequest) as refusal:
        scores_of(name, [[0.5, 0.5]], cost_matrix=COSTS)
    (violation,) = refusal.value.violations
    assert violation.field == "cost_matrix"
    assert violation.description == "found shape [3, 3]; the pool has 2 classes"
