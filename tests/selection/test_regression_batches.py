"""Greedy sampling and LCMD against slow versions of the papers' algorithms."""

import threading
import time
import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest
from nextlabel_server.selection import Constraints, Limits, Sizes, strategy_named
from tests.selection.pools import picking_of, plain_greedy

STRATEGIES = ("greedy_y", "improved_greedy", "lcmd")


def distance(a, b):
    return float(np.sqrt(((np.asarray(a, np.float64) - b) ** 2).sum()))


def nearest_to_mean(x):
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    return [distance(row, x.mean(axis=0)) for row in x]


def first_by_distance_to_mean(x, gains_of):
    """The first pick is nearest the mean, so it is made by the negative distance to it."""

    def gains(picks):
        return gains_of(picks) if picks else [-d for d in nearest_to_mean(x)]

    return gains


def plain_greedy_y(count, y, labeled=(), **constraints):
    def gains_of(picks):
        return [min(abs(v - w) for w in [*labeled, *y[picks]]) for v in y]

    gains_of = gains_of if len(labeled) else first_by_distance_to_mean(y, gains_of)
    return plain_greedy(count, len(y), gains_of, **constraints)


def plain_improved_greedy(count, x, y, labeled=(), values=(), **constraints):
    def gains_of(picks):
        context = [*zip(labeled, values, strict=True), *((x[j], y[j]) for j in picks)]
        return [
            min(distance(a, b) * abs(v - w) for b, w in context) for a, v in zip(x, y, strict=True)
        ]

    gains_of = gains_of if len(labeled) else first_by_distance_to_mean(x, gains_of)
    return plain_greedy(count, len(y), gains_of, **constraints)


def plain_lcmd(count, x, labeled=(), *, may_pick=lambda picks, i: True, costs=None):
    """Algorithm of the paper's appendix; clusters without a row that may be picked are left out."""

    def gains_of(picks):
        centers = [*labeled, *x[picks]]
        if not centers:
            return [distance(row, 0) for row in x]
        squared = ((x[:, None] - np.array(centers)) ** 2).sum(axis=2)
        cluster, nearest = squared.argmin(axis=1), squared.min(axis=1)
        size = [float(nearest[cluster == k].sum()) for k in cluster]
        possible = [i for i in range(len(x)) if i not in picks and may_pick(picks, i)]
        largest = max((size[i] for i in possible), default=0)
        return [np.sqrt(nearest[i]) if size[i] == largest else -1e300 for i in range(len(x))]

    return plain_greedy(count, len(x), gains_of, may_pick=may_pick, costs=costs)


def arrays(kind, rows=60, dimensions=4, seed=0):
    """Inputs that are exact in float32 once moved, and predictions."""
    rng = np.random.default_rng(seed)
    if kind == "random":
        x = rng.integers(-4096, 4096, (rows, dimensions)) / 64
        return x, rng.normal(size=rows)
    if kind == "ties":
        return rng.integers(0, 3, (rows, dimensions)) * 1.0, rng.integers(0, 5, rows) * 1.0
    if kind == "copies":
        x = rng.integers(-64, 64, (10, dimensions)) / 8
        return x[np.arange(rows) % 10], (np.arange(rows) % 10) ** 2 * 1.0
    return np.full((rows, dimensions), 3.0), np.full(rows, -2.0)


def both(name, count, x, y, labeled, values, constraints=None, **plain):
    """The strategy's picks, and those of the plain version."""
    if name == "greedy_y":
        found = picking_of(
            name, count, predictions=y, labeled_values=values, constraints=constraints
        )
        return found, plain_greedy_y(count, y, values, **plain)
    context = {"labeled_embeddings": labeled} if len(labeled) else {}
    if name == "lcmd":
        found = picking_of(name, count, embeddings=x, constraints=constraints, **context)
        return found, plain_lcmd(count, x, labeled, **plain)
    context |= {"labeled_values": values} if len(labeled) else {}
    found = picking_of(name, count, embeddings=x, predictions=y, constraints=constraints, **context)
    return found, plain_improved_greedy(count, x, y, labeled, values, **plain)


def assert_same(found, plain, *, first_is_nearest=False):
    rows, gains = plain
    assert found.rows.tolist() == rows
    if first_is_nearest:
        gains = [-gains[0], *gains[1:]]
    np.testing.assert_allclose(found.gains, gains, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("dimensions", [1, 4])
@pytest.mark.parametrize("kind", ["random", "ties", "copies", "equal"])
@pytest.mark.parametrize("labels", [0, 1, 7])
def test_picks_are_those_of_the_plain_algorithm(name, kind, labels, dimensions):
    x, y = arrays(kind, 60, dimensions)
    labeled, values = arrays("ties" if kind == "ties" else "random", labels, dimensions, seed=1)
    found, plain = both(name, 25, x, y, labeled, values)
    assert_same(found, plain, first_is_nearest=not labels and name != "lcmd")


GROUPS = np.arange(60) % 5
COSTS = 1.0 + np.arange(60) % 3
PLACES = (np.arange(60) / 4).astype(np.float32)[:, None]
CONSTRAINTS = {
    "excluded": (
        Constraints(excluded=np.arange(0, 60, 2)),
        {"may_pick": lambda picks, i: i % 2 == 1},
    ),
    "groups": (
        Constraints(limits=Limits(max_per_group=2), groups=GROUPS),
        {"may_pick": lambda picks, i: (GROUPS[picks] == GROUPS[i]).sum() < 2},
    ),
    "costs": (
        Constraints(limits=Limits(cost_budget=14.0), costs=COSTS),
        {"may_pick": lambda picks, i: COSTS[[*picks, i]].sum() <= 14, "costs": COSTS},
    ),
    "distance": (
        Constraints(limits=Limits(min_distance=2.0), places=PLACES),
        {"may_pick": lambda picks, i: (abs(PLACES[picks] - PLACES[i]) >= 2).all()},
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_constraints_only_take_rows_away(name, constraint):
    x, y = arrays("random")
    labeled, values = arrays("random", 3, seed=1)
    constraints, plain = CONSTRAINTS[constraint]
    assert_same(*both(name, 12, x, y, labeled, values, constraints, **plain))


def test_greedy_y_by_hand():
    # The mean is 4; then 10 is 6 away from 4, 0 is 4 away, and 7 lies in the middle of 4 and 10.
    picking = picking_of("greedy_y", 4, predictions=[0.0, 10.0, 4.0, 1.0, 4.5, 4.5, 7.0, 1.0])
    assert picking.rows.tolist() == [2, 1, 0, 6]
    assert picking.gains.tolist() == [0, 6, 4, 3]


def test_improved_greedy_needs_both_differences():
    labeled = {"labeled_embeddings": [[0.0]], "labeled_values": [0.0]}
    # The first is far with the same value, the second near with another; 2 · 2 beats 3 · 1.
    x, y = [[9.0], [0.0], [2.0], [3.0]], [0.0, 9.0, 2.0, 1.0]
    picking = picking_of("improved_greedy", 2, embeddings=x, predictions=y, **labeled)
    assert picking.rows.tolist()[0] == 2
    assert picking.gains[0] == 4


def test_lcmd_takes_the_farthest_row_of_the_largest_cluster():
    # Around 0 there are 3² + 3² + 3²; around 100 only 5², though its row is the farther one.
    x = [[3.0], [-3.0], [3.0], [105.0]]
    picking = picking_of("lcmd", 2, embeddings=x, labeled_embeddings=[[0.0], [100.0]])
    assert picking.rows.tolist() == [0, 3]
    assert picking.gains.tolist() == [3, 5]


def test_lcmd_starts_with_the_largest_norm_wherever_the_first_row_lies():
    x = [[50.0, 0], [0, 1], [-30, -41], [1, 1]]
    picking = picking_of("lcmd", 1, embeddings=x)
    assert picking.rows.tolist() == [2]
    assert picking.gains[0] == pytest.approx(np.hypot(30, 41))


@pytest.mark.parametrize("name", ["improved_greedy", "lcmd"])
def test_data_far_from_the_origin_gives_the_same_picks(name):
    x, y = arrays("random", 200)
    labeled, values = arrays("random", 5, seed=1)
    there, _ = both(name, 30, x[:, :2] + 1e4, y, labeled[:, :2] + 1e4, values)
    here, _ = both(name, 30, x[:, :2], y, labeled[:, :2], values)
    np.testing.assert_array_equal(there.rows, here.rows)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("labels", [0, 2])
def test_a_small_pool_is_picked_to_its_end(name, rows, labels):
    labeled, values = arrays("random", labels, seed=1)
    x, y = arrays("random", rows)
    given = {"embeddings": x, "labeled_embeddings": labeled}
    if name != "lcmd":
        given |= {"predictions": y, "labeled_values": values}
    if name == "greedy_y":
        del given["embeddings"], given["labeled_embeddings"]
    assert sorted(picking_of(name, 5, **given).rows.tolist()) == list(range(rows))


@pytest.mark.parametrize("missing", ["labeled_embeddings", "labeled_values"])
def test_labeled_inputs_and_values_come_together(missing):
    x, y = arrays("random", 10)
    given = {"labeled_embeddings": x[:3], "labeled_values": y[:3]}
    del given[missing]
    with pytest.raises(InvalidRequest) as refusal:
        picking_of("improved_greedy", 2, embeddings=x, predictions=y, **given)
    (violation,) = refusal.value.violations
    assert violation.field == missing


def test_a_prediction_that_is_not_finite_is_named():
    with pytest.raises(InvalidRequest) as refusal:
        picking_of("greedy_y", 1, predictions=[0.0, 1.0, np.nan], block_rows=2)
    (violation,) = refusal.value.violations
    assert violation.field == "predictions"
    assert violation.description == "row 2 has nan; finite numbers are right"


def large(name, rows=20_000, dimensions=32, labels=200):
    rng = np.random.default_rng(0)
    x, labeled = (rng.normal(size=(n, dimensions)).astype(np.float32) for n in (rows, labels))
    if name == "greedy_y":
        return {"predictions": x[:, 0], "labeled_values": labeled[:, 0]}
    given = {"embeddings": x, "labeled_embeddings": labeled}
    if name == "improved_greedy":
        given |= {"predictions": rng.normal(size=rows), "labeled_values": labeled[:, 0]}
    return given


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("alike", [False, True])
def test_memory_is_what_is_declared(name, alike):
    given = large(name)
    if alike:
        given |= {key: np.ones_like(values) for key, values in given.items()}
    sizes = Sizes(N=20_000, B=20, D=32, L=200)
    kept = sum(values.nbytes for values in given.values())  # joined by the test from its blocks
    tracemalloc.start()
    picking_of(name, 20, block_rows=2_000, **given)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - kept < 1.2 * strategy_named(name).bytes_of(sizes)


@pytest.mark.parametrize("name", STRATEGIES)
def test_cancelling_ends_it_soon(name):
    given = large(name)
    cancel = CancelToken()
    threading.Timer(0.2, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        picking_of(name, 20_000, cancel=cancel, **given)
    assert time.monotonic() - started < 1.2
