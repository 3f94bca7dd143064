"""How often each row is drawn, against probabilities worked out by hand. Seeds are fixed."""

import itertools

import numpy as np
import pytest
from scipy.stats import chisquare

from nextlabel_server.selection import (
    Budget,
    Constraints,
    Query,
    ranking,
    sampling_named,
    strategy_named,
)
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.picking import Picking
from nextlabel_server.selection.query import pick_by_score

DRAWS = 12_000
DOUBT = 1e-4  # a right sampler fails a test with this probability, once and for all seeds
SCORES = np.array([1.0, 4.0, 2.0])


def draw(method, scores, count, rng, eligible=None, **parameters):
    return (
        sampling_named(method)
        .draw(np.asarray(scores, np.float64), count, eligible, rng, **parameters)
        .tolist()
    )


def frequencies(method, scores, count, **parameters):
    """How often each sequence of rows was drawn."""
    rng = np.random.default_rng(7)
    drawn = [tuple(draw(method, scores, count, rng, **parameters)) for _ in range(DRAWS)]
    return {rows: drawn.count(rows) for rows in set(drawn)}


def assert_drawn_as_often(found, expected):
    """`expected` is the probability of each sequence; those of probability 0 never come."""
    possible = {rows: p for rows, p in expected.items() if p > 0}
    assert set(found) <= set(possible)
    assert sum(possible.values()) == pytest.approx(1)
    if len(possible) > 1:
        counts = [found.get(rows, 0) for rows in possible]
        assert chisquare(counts, [DRAWS * p for p in possible.values()]).pvalue > DOUBT


def without_replacement(weights, count):
    """Probability of each sequence when every draw is in proportion to the weights left."""
    expected = {}
    for rows in itertools.permutations(range(len(weights)), count):
        probability, left = 1.0, float(sum(weights))
        for row in rows:
            probability *= weights[row] / left
            left -= weights[row]
        expected[rows] = probability
    return expected


@pytest.mark.parametrize(
    ("method", "beta", "weights"),
    [
        ("power", 1, [1, 4, 2]),
        ("power", 2, [1, 16, 4]),
        ("power", 0.5, [1, 2, 2**0.5]),
        ("power", 0, [1, 1, 1]),
        ("softmax", 1, np.exp([1, 4, 2])),
        ("softmax", 0.25, np.exp([0.25, 1, 0.5])),
        ("softmax", 0, [1, 1, 1]),
        ("softrank", 1, [1 / 3, 1, 1 / 2]),  # row 1 has rank 1, row 2 rank 2, row 0 rank 3
        ("softrank", 2, [1 / 9, 1, 1 / 4]),
        ("softrank", 0, [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_rows_are_drawn_without_replacement_in_proportion(method, beta, weights, count):
    found = frequencies(method, SCORES, count, beta=beta)
    assert_drawn_as_often(found, without_replacement(weights, count))


def test_softmax_takes_negative_scores():
    found = frequencies("softmax", [-1.0, 0.0, -2.0], 1, beta=1.0)
    assert_drawn_as_often(found, without_replacement(np.exp([-1, 0, -2]), 1))


def test_equal_scores_have_neighbouring_ranks_the_lower_row_first():
    found = frequencies("softrank", [5.0, 5.0], 1, beta=1.0)
    assert_drawn_as_often(found, {(0,): 2 / 3, (1,): 1 / 3})


def test_ranks_count_eligible_rows_only():
    eligible = np.array([True, False, True])
    found = frequencies("softrank", SCORES, 1, eligible=eligible, beta=1.0)
    assert_drawn_as_often(found, {(2,): 2 / 3, (0,): 1 / 3})


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_each_pick_is_uniform_with_probability_epsilon(share):
    """At each pick the best of the rest gets 1 − ε, and every one of the rest ε / how many."""
    expected = {}
    for rows in itertools.permutations(range(3), 2):
        probability, rest = 1.0, [1, 2, 0]  # best first
        for row in rows:
            probability *= share / len(rest) + (1 - share) * (row == rest[0])
            rest.remove(row)
        expected[rows] = probability
    assert_drawn_as_often(frequencies("epsilon", SCORES, 2, epsilon=share), expected)


def test_power_draws_rows_of_no_score_last_and_in_row_order():
    rng = np.random.default_rng(0)
    for _ in range(50):
        rows = draw("power", [0.0, 3.0, -0.0, 1.0, 0.0], 5, rng, beta=1.0)
        assert set(rows[:2]) == {1, 3}
        assert rows[2:] == [0, 2, 4]


def test_power_without_any_score_keeps_row_order():
    assert draw("power", np.zeros(6), 4, np.random.default_rng(0), beta=1.0) == [0, 1, 2, 3]


def test_power_with_beta_zero_draws_rows_of_no_score_like_any_other():
    found = frequencies("power", [0.0, 4.0, 0.0], 1, beta=0)
    assert_drawn_as_often(found, without_replacement([1, 1, 1], 1))


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("top", {}),
        ("power", {"beta": 1e6}),
        ("softmax", {"beta": 1e6}),
        ("softrank", {"beta": 1e6}),
        ("epsilon", {"epsilon": 0}),
    ],
)
def test_without_chance_the_best_rows_come_in_order(method, parameters):
    scores = np.random.default_rng(3).permutation(np.arange(1.0, 51.0))
    expected = np.argsort(-scores)[:20].tolist()
    assert draw(method, scores, 20, np.random.default_rng(5), **parameters) == expected


@pytest.mark.parametrize("method", ["power", "softmax"])
def test_excluding_a_row_leaves_the_order_of_the_others(method):
    scores = np.random.default_rng(0).random(60)
    eligible = np.arange(60) % 4 != 0
    every = draw(method, scores, 60, np.random.default_rng(9), beta=1.0)
    some = draw(method, scores, 60, np.random.default_rng(9), eligible, beta=1.0)
    assert some == [row for row in every if eligible[row]]


@pytest.mark.parametrize("method", ["power", "softmax", "softrank"])
def test_a_larger_batch_begins_with_the_smaller_one(method):
    scores = np.random.default_rng(0).random(60)
    small, large = (
        draw(method, scores, count, np.random.default_rng(9), beta=1.0) for count in (7, 30)
    )
    assert large[:7] == small


def test_other_seeds_draw_other_rows():
    scores = np.random.default_rng(0).random(1000)
    for method, parameters in [
        ("power", {"beta": 1.0}),
        ("softmax", {"beta": 1.0}),
        ("softrank", {"beta": 1.0}),
        ("epsilon", {"epsilon": 0.5}),
    ]:
        first, second = (
            draw(method, scores, 20, np.random.default_rng(seed), **parameters) for seed in (1, 2)
        )
        assert first != second, method


def test_epsilon_takes_about_that_share_of_its_picks_at_random():
    scores = np.arange(10_000.0)
    rows = draw("epsilon", scores, 1000, np.random.default_rng(0), epsilon=0.2)
    best = set(ranking.top(scores, 1000).tolist())
    # 1000 picks, 200 ± 12.6 of them uniform, of which a tenth fall among the best anyway.
    assert 1000 - len(best.intersection(rows)) == pytest.approx(180, abs=60)


@pytest.mark.parametrize("method", ["top", "power", "softmax", "softrank", "epsilon"])
def test_drawing_leaves_the_scores_alone(method):
    scores = np.array([0.5, 0.25, 0.75])
    scores.flags.writeable = False
    declared = sampling_named(method)
    parameters = {p.name: p.default for p in declared.parameters}
    draw(method, scores, 2, np.random.default_rng(0), **parameters)


def test_epsilon_tosses_a_coin_for_each_pick_and_not_for_rows_that_are_closed():
    """Nine rows of ten are better than the others, and closed by the first pick."""
    scores = np.r_[np.linspace(1.9, 1.5, 90), np.linspace(1.0, 0.5, 10)]
    groups = np.repeat([0, 1], [90, 10])
    limits = Constraints(limits=Limits(max_per_group=1), groups=groups)
    best = 0
    for seed in range(2000):
        query = Query.accept(
            strategy_named("margin"),
            {},
            Budget(count=2),
            sampling_named("epsilon"),
            {"epsilon": 0.1},
            seed=seed,
        )
        picking = Picking(100, 2, limits)
        pick_by_score(query, scores, picking, np.random.default_rng(seed))
        first, second = picking.rows
        best += second == (90 if groups[first] == 0 else 0)
    # A pick at random is the best one now and then, too.
    assert best / 2000 == pytest.approx(0.9 + 0.1 / 10, abs=0.03)
