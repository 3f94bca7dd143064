"""Coverage: facility_location, max_herding and prob_cover, against plain greedy picking."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest
from nextlabel_server.selection import Constraints, Sizes, neighbors, strategy_named
from nextlabel_server.selection.balls import Balls, largest_pure_radius
from nextlabel_server.selection.constraints import Limits
from nextlabel_server.selection.facilities import Facilities
from tests.selection.pools import picking_of, plain_greedy
from tests.selection.similarities import (
    DIRECTED,
    KINDS,
    ROWS,
    cosine,
    distances,
    embeddings,
    gaussian,
)


def root_mean_squared_distance(x):
    return np.sqrt((distances(x, x) ** 2).mean())


def facilities(similarity, context):
    """Gains by the formula; those that differ in the last digits only are made equal."""

    def gains_of(picks):
        served = np.concatenate([np.zeros((len(similarity), 1)), context, similarity[:, picks]], 1)
        increase = np.maximum(similarity - served.max(axis=1)[:, None], 0).sum(axis=0)
        return np.round(increase, 11)

    return gains_of


def agree(picking, expected):
    rows, gains = expected
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("labeled", [0, 3])
@pytest.mark.parametrize("kind", DIRECTED)
def test_facility_location_with_cosine_is_plain_greedy(kind, labeled):
    x = embeddings(kind)
    context = x[:labeled] + np.float32(0.5)
    expected = plain_greedy(25, ROWS, facilities(cosine(x, x), cosine(x, context)))
    agree(picking_of("facility_location", 25, embeddings=x, labeled_embeddings=context), expected)


@pytest.mark.parametrize("labeled", [0, 3])
@pytest.mark.parametrize("kind", KINDS)
class TestWithDistances:
    def test_facility_location_with_a_kernel_is_plain_greedy(self, kind, labeled):
        x = embeddings(kind)
        context = x[:labeled] + np.float32(0.5)
        h = root_mean_squared_distance(x)
        expected = plain_greedy(25, ROWS, facilities(gaussian(x, x, h), gaussian(x, context, h)))
        given = {"embeddings": x, "labeled_embeddings": context, "similarity": "rbf"}
        agree(picking_of("facility_location", 25, **given), expected)

    def test_max_herding_is_the_same_on_average(self, kind, labeled):
        x = embeddings(kind)
        context = x[:labeled] + np.float32(0.5)
        rows, gains = plain_greedy(
            25, ROWS, facilities(gaussian(x, x, 1.5), gaussian(x, context, 1.5))
        )
        given = {"embeddings": x, "labeled_embeddings": context, "bandwidth": 1.5}
        agree(picking_of("max_herding", 25, **given), (rows, np.array(gains) / ROWS))

    def test_prob_cover_counts_rows_that_are_nearer_than_delta(self, kind, labeled):
        x = embeddings(kind)
        context = x[:labeled]
        near, covered = distances(x, x) < 1.0, (distances(x, context) < 1.0).any(axis=1)

        def gains_of(picks):
            return (near & ~(covered | near[:, picks].any(axis=1))[:, None]).sum(axis=0)

        given = {"embeddings": x, "labeled_embeddings": context, "delta": 1.0}
        agree(picking_of("prob_cover", 25, **given), plain_greedy(25, ROWS, gains_of))


class TestPoolsOfSeveralBlocks:
    """Where bounds are brought up to date with some changes of many, and others are forgotten."""

    ROWS = 1100

    def test_facility_location_with_cosine(self):
        x = embeddings("random", self.ROWS)
        x[::7] = x[1]
        similarity = cosine(x, x)
        expected = plain_greedy(25, self.ROWS, facilities(similarity, similarity[:, :0]))
        agree(picking_of("facility_location", 25, embeddings=x), expected)

    @pytest.mark.parametrize("kind", ["random", "grid", "blobs"])
    @pytest.mark.parametrize("bandwidth", [0.5, 2.0, 6.0])
    def test_max_herding(self, kind, bandwidth):
        x = (
            embeddings("blobs far away", self.ROWS) - 1e4
            if kind == "blobs"
            else embeddings(kind, self.ROWS)
        )
        similarity = gaussian(x, x, bandwidth)
        rows, gains = plain_greedy(30, self.ROWS, facilities(similarity, similarity[:, :0]))
        picking = picking_of("max_herding", 30, embeddings=x, bandwidth=bandwidth)
        agree(picking, (rows, np.array(gains) / self.ROWS))

    def test_facility_location_with_a_kernel(self):
        x = embeddings("blobs far away", self.ROWS)
        context = x[5:8] + np.float32(0.5)
        h = root_mean_squared_distance(x)
        similarity = facilities(gaussian(x, x, h), gaussian(x, context, h))
        given = {"embeddings": x, "labeled_embeddings": context, "similarity": "rbf"}
        agree(picking_of("facility_location", 25, **given), plain_greedy(25, self.ROWS, similarity))

    @pytest.mark.parametrize(
        ("delta", "most", "listed"),
        [(1.0, 1 << 20, True), (1.0, 1000, False), (3.0, 1 << 20, False)],
    )
    def test_prob_cover(self, delta, most, listed, monkeypatch):
        monkeypatch.setattr(neighbors, "_KEPT", most)
        x = embeddings("random", self.ROWS)
        near = distances(x, x) < delta
        assert Balls(x, delta, lambda: None).neighbors.known == listed

        def gains_of(picks):
            return (near & ~near[:, picks].any(axis=1)[:, None]).sum(axis=0)

        expected = plain_greedy(25, self.ROWS, gains_of)
        agree(picking_of("prob_cover", 25, embeddings=x, delta=delta), expected)


def test_three_towns_on_a_line_by_hand():
    """Rows at 0, 1, 2 and 10, 11: the middle of the three covers most, then one of the two."""
    x = np.array([[0.0], [1], [2], [10], [11]])
    picking = picking_of("prob_cover", 5, embeddings=x, delta=1.5)
    assert picking.rows.tolist() == [1, 3, 0, 2, 4]
    assert picking.gains.tolist() == [3, 2, 0, 0, 0]


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**-73, 2.0**-80])
def test_balls_may_be_so_small_that_float32_loses_the_digits_of_squares(scale):
    x = np.random.default_rng(4).normal(size=(200, 3)).astype(np.float32)
    found = picking_of("prob_cover", 60, embeddings=x * scale, delta=0.75 * scale)
    expected = picking_of("prob_cover", 60, embeddings=x, delta=0.75)
    assert found.rows.tolist() == expected.rows.tolist()
    assert found.gains.tolist() == expected.gains.tolist()
    labels = (x[:, 0] > 0).astype(np.int64)
    radius = largest_pure_radius(np.float32(x * scale), labels, 0.9, lambda: None)
    assert radius == scale * largest_pure_radius(x, labels, 0.9, lambda: None)


def test_what_is_exactly_delta_away_is_not_covered():
    x = np.arange(6.0)[:, None] * 0.1 + 7
    assert picking_of("prob_cover", 1, embeddings=np.arange(6.0)[:, None], delta=1.0).gains == [1]
    assert picking_of("prob_cover", 1, embeddings=x, delta=0.1001).gains == [3]


def test_delta_is_the_largest_with_which_enough_balls_are_pure():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    labels = (x[:, 0] > 0).astype(np.int64)
    between = distances(x, x)
    for purity in (0.3, 0.5, 0.95, 1.0):
        radius = largest_pure_radius(x, labels, purity, lambda: None)
        shares = [
            np.mean([len(set(labels[row < r])) == 1 for row in between])
            for r in (radius * (1 - 1e-9), radius * (1 + 1e-9))
        ]
        assert shares[0] >= purity > shares[1]


def test_one_cluster_is_one_ball():
    picking = picking_of("prob_cover", 2, embeddings=embeddings("random"), clusters=1)
    assert picking.rows.tolist() == [0, 1]
    assert picking.gains.tolist() == [ROWS, 0]


STRATEGIES = ["facility_location", "max_herding", "prob_cover"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_constraints_take_rows_away_and_leave_the_rule(name):
    x = embeddings("random")
    groups, costs = np.arange(ROWS) % 4, np.random.default_rng(1).uniform(0.5, 2, ROWS)
    similarity = {
        "facility_location": cosine(x, x),
        "max_herding": gaussian(x, x, root_mean_squared_distance(x)),
        "prob_cover": (distances(x, x) < 2.0).astype(float),
    }[name]

    def may_pick(picks, row):
        return (
            row >= 20
            and sum(groups[row] == groups[pick] for pick in picks) < 3
            and costs[row] <= 9 - costs[picks].sum()
            and all(np.linalg.norm(x[row] - x[pick]) >= 0.8 for pick in picks)
        )

    limits = Limits(cost_budget=9, max_per_group=3, min_distance=0.8)
    given = {"delta": 2.0} if name == "prob_cover" else {}
    picking = picking_of(
        name,
        ROWS,
        embeddings=x,
        constraints=Constraints(limits, np.arange(20), costs, groups, x),
        **given,
    )
    context = np.zeros((ROWS, 0))
    rows, _ = plain_greedy(
        ROWS, ROWS, facilities(similarity, context), may_pick=may_pick, costs=costs
    )
    assert picking.rows.tolist() == rows


@pytest.mark.parametrize("similarity", ["cosine", "rbf"])
def test_rows_of_which_none_gains_anything_are_not_all_compared_for_each_pick(
    similarity, monkeypatch
):
    computed = []

    def gains_of(self, rows):
        computed.append(len(rows))
        return exact(self, rows)

    exact = Facilities.gains_of
    monkeypatch.setattr(Facilities, "gains_of", gains_of)
    x = embeddings("random", 7)[np.arange(ROWS) % 7]
    picking = picking_of("facility_location", 60, embeddings=x, similarity=similarity)
    assert sorted(picking.rows[:7]) == list(range(7))
    assert picking.rows[7:].tolist() == list(range(7, 60))
    np.testing.assert_allclose(picking.gains[7:], 0, atol=1e-12 * ROWS)
    # Those of all rows for the first picks and once more, then one for each pick.
    assert sum(computed) < 9 * ROWS + 60


def test_a_zero_row_has_no_cosine():
    with pytest.raises(InvalidRequest, match="row 2 is zero"):
        picking_of("facility_location", 1, embeddings=np.eye(3) * [1, 1, 0])


@pytest.mark.parametrize(
    ("name", "budget", "given"),
    [
        ("facility_location", 80, {}),
        ("max_herding", 3, {}),
        ("prob_cover", 3, {"delta": 4.0}),
        ("prob_cover", 3, {}),
    ],
)
def test_memory_stays_under_what_is_declared(name, budget, given):
    x = np.random.default_rng(0).normal(size=(4500, 16)).astype(np.float32)
    tracemalloc.start()
    picking_of(name, budget, embeddings=x, **given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 1.2 * strategy_named(name).bytes_of(Sizes(N=4500, B=budget, D=16))


@pytest.mark.parametrize("name", STRATEGIES)
def test_cancel_is_noticed_between_blocks(name):
    class Later(CancelToken):
        looks = 0

        def check(self):
            self.looks += 1
            if self.looks > 3:
                raise Cancelled

    x = np.random.default_rng(0).normal(size=(3000, 4))
    later = Later()
    with pytest.raises(Cancelled):
        picking_of(name, 5, embeddings=x, cancel=later)
    assert later.looks == 4
