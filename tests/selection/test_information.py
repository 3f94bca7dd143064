"""BatchBALD and EPIG against sums over all labelings, as the papers define them."""

import itertools
import math
import threading
import time
import tracemalloc

import numpy as np
import pytest

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import Cancelled, InvalidRequest
from nextlabel_server.selection import Constraints, Limits, Sizes, strategy_named
from nextlabel_server.selection.outcomes import Outcomes
from nextlabel_server.selection.tensors import TARGET_COMMITTEE
from tests.selection.pools import picking_of, plain_greedy
from tests.selection.scores import scores_of

SURE = [1.0, 0.0]
NOT = [0.0, 1.0]
DOUBTFUL = [0.5, 0.5]


def committee(rows, members, classes, seed=0):
    """Multiples of 1/1024 that sum to 1: nothing is lost when they are kept as float32."""
    rng = np.random.default_rng(seed)
    spread = rng.dirichlet(np.full(classes, 0.4), (rows, members))
    return rng.multinomial(1024, spread) / 1024


def plain_entropy(probabilities):
    return -math.fsum(p * math.log(p) for p in probabilities if p > 0)


def joint_information(rows):
    """I(y_1, ..., y_b; member) of rows [b, M, C]: every labeling of them is looked at."""
    rows = np.asarray(rows, np.float64)
    _, members, classes = rows.shape
    joint = [
        np.mean([math.prod(rows[range(len(rows)), m, labels]) for m in range(members)])
        for labels in itertools.product(range(classes), repeat=len(rows))
    ]
    known = [np.mean([plain_entropy(row[m]) for m in range(members)]) for row in rows]
    return plain_entropy(joint) - math.fsum(known)


def information_gains(p):
    def gains_of(picks):
        before = joint_information(p[picks]) if picks else 0.0
        return [joint_information(p[[*picks, i]]) - before for i in range(len(p))]

    return gains_of


@pytest.mark.parametrize(
    ("members", "classes", "count"), [(1, 3, 3), (2, 2, 6), (4, 3, 4), (5, 2, 5), (3, 1, 3)]
)
def test_batch_bald_picks_what_adds_most_to_the_joint_information(members, classes, count):
    p = committee(12, members, classes)
    picking = picking_of("batch_bald", count, committee=p)
    rows, gains = plain_greedy(count, len(p), information_gains(p))
    if members > 1 and classes > 1:  # else no label tells anything, and rounding decides
        assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, atol=1e-10)


def test_the_gains_add_up_to_the_information_of_the_batch():
    p = committee(40, 4, 3)
    picking = picking_of("batch_bald", 5, committee=p)
    assert sum(picking.gains) == pytest.approx(joint_information(p[picking.rows]), abs=1e-10)


def test_the_first_pick_is_that_of_bald():
    p = committee(500, 6, 5)
    bald = scores_of("bald", p)
    picking = picking_of("batch_bald", 1, committee=p)
    assert picking.rows[0] == bald.argmax()
    assert picking.gains[0] == pytest.approx(bald.max(), abs=1e-12)


def test_a_copy_of_a_picked_row_waits_while_others_tell_more():
    # Two questions: is it one of members 0 and 1, and is it one of members 0 and 2?
    one_half, other_half = [SURE, SURE, NOT, NOT], [SURE, NOT, SURE, NOT]
    faint = [[0.6, 0.4], [0.6, 0.4], [0.4, 0.6], [0.4, 0.6]]
    p = np.array([one_half, one_half, one_half, other_half, faint])
    assert scores_of("bald", p).argsort(kind="stable")[-4:].tolist() == [0, 1, 2, 3]
    picking = picking_of("batch_bald", 3, committee=p)
    assert picking.rows.tolist() == [0, 3, 1]
    np.testing.assert_allclose(picking.gains, [math.log(2), math.log(2), 0], atol=1e-12)


def test_copies_are_picked_from_the_lowest_row_on():
    p = np.repeat(committee(6, 4, 3, seed=3), 5, axis=0)[np.random.default_rng(1).permutation(30)]
    picking = picking_of("batch_bald", 4, committee=p)
    assert picking.rows.tolist() == plain_greedy(4, 30, information_gains(p))[0]


def test_rows_that_are_all_alike_are_picked_in_order():
    p = np.repeat(committee(1, 3, 3), 20, axis=0)
    assert picking_of("batch_bald", 6, committee=p).rows.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_small_pool_is_picked_to_its_end(rows):
    picking = picking_of("batch_bald", 5, committee=committee(rows, 3, 2))
    assert sorted(picking.rows.tolist()) == list(range(rows))


def test_blocks_do_not_matter():
    p = committee(50, 4, 70)
    whole, cut = (picking_of("batch_bald", 2, committee=p, block_rows=n) for n in (50, 7))
    np.testing.assert_array_equal(whole.rows, cut.rows)
    np.testing.assert_array_equal(whole.gains, cut.gains)


GROUPS = np.arange(14) % 3
COSTS = 1.0 + np.arange(14) % 4


@pytest.mark.parametrize(
    ("constraints", "may_pick", "costs"),
    [
        (
            Constraints(excluded=np.arange(0, 14, 2)),
            lambda picks, i: i % 2 == 1,
            None,
        ),
        (
            Constraints(limits=Limits(max_per_group=1), groups=GROUPS),
            lambda picks, i: GROUPS[i] not in GROUPS[picks],
            None,
        ),
        (
            Constraints(limits=Limits(cost_budget=8.0), costs=COSTS),
            lambda picks, i: COSTS[[*picks, i]].sum() <= 8,
            COSTS,
        ),
        (
            Constraints(
                limits=Limits(min_distance=1.5), places=np.arange(14, dtype=np.float32)[:, None]
            ),
            lambda picks, i: all(abs(i - j) >= 1.5 for j in picks),
            None,
        ),
    ],
    ids=["excluded", "groups", "costs", "distance"],
)
def test_constraints_only_take_rows_away(constraints, may_pick, costs):
    p = committee(14, 4, 2, seed=5)
    picking = picking_of("batch_bald", 4, committee=p, constraints=constraints)
    rows, gains = plain_greedy(4, 14, information_gains(p), may_pick=may_pick, costs=costs)
    assert picking.rows.tolist() == rows
    np.testing.assert_allclose(picking.gains, gains, atol=1e-10)


def test_one_dear_row_is_taken_where_it_tells_more_than_the_cheap_ones_together():
    # ln 2 for 10, against 0.082 for 1: the cheap row is worth more for its cost, and fills the
    # budget so that the dear one no longer fits.
    p = np.array([[SURE, NOT], [[0.7, 0.3], [0.3, 0.7]]])
    costs = Constraints(limits=Limits(cost_budget=10.0), costs=np.array([10.0, 1.0]))
    picking = picking_of("batch_bald", 2, committee=p, constraints=costs)
    assert picking.rows.tolist() == [0]
    assert picking.gains[0] == pytest.approx(math.log(2))


def test_draws_estimate_the_information_of_the_batch():
    p = committee(30, 4, 3)
    for seed in range(5):
        picking = picking_of("batch_bald", 6, committee=p, configurations=300, seed=seed)
        exact = joint_information(p[picking.rows])  # of 729 labelings
        assert sum(picking.gains) == pytest.approx(exact, abs=0.05)


def test_draws_are_right_on_average():
    p = committee(6, 4, 3)
    exact, estimates = Outcomes(4, 10_000, np.random.default_rng(0)), []
    for row in p[:5]:
        exact.add(row)
    for seed in range(200):
        drawn = Outcomes(4, 20, np.random.default_rng(seed))
        for row in p[:5]:
            drawn.add(row)
        assert len(drawn) <= 20
        assert drawn.weights.sum() == pytest.approx(1)
        estimates.append(drawn.entropies(p[5:])[0])
    error = np.std(estimates) / math.sqrt(len(estimates))
    assert np.mean(estimates) == pytest.approx(exact.entropies(p[5:])[0], abs=4 * error)


def test_the_same_seed_draws_the_same_picks():
    p = committee(60, 5, 4)
    first, second = (
        picking_of("batch_bald", 12, committee=p, configurations=50, seed=7) for _ in range(2)
    )
    np.testing.assert_array_equal(first.rows, second.rows)
    np.testing.assert_array_equal(first.gains, second.gains)


def test_labelings_that_cannot_be_take_no_place():
    """Members that are sure leave one labeling each, however many rows are picked."""
    rng = np.random.default_rng(0)
    p = np.eye(3)[rng.integers(0, 3, (30, 4))]
    exact = picking_of("batch_bald", 8, committee=p, configurations=4, seed=1)
    assert exact.rows.tolist() == picking_of("batch_bald", 8, committee=p, seed=2).rows.tolist()
    assert sum(exact.gains) == pytest.approx(math.log(4))


@pytest.mark.parametrize(("members", "classes", "count"), [(5, 4, 8), (3, 60, 3)])
def test_batch_bald_keeps_to_its_memory(members, classes, count):
    p = committee(1_000, members, classes)
    strategy = strategy_named("batch_bald")
    promised = strategy.bytes_of(Sizes(N=1_000, B=count, M=members, C=classes))
    tracemalloc.start()
    picking_of("batch_bald", count, committee=p, configurations=20_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gathering = p.nbytes  # the test joins what the server keeps in one place
    assert peak - gathering < 1.2 * promised


def test_batch_bald_stops_when_cancelled():
    p = committee(20_000, 20, 10)
    cancel = CancelToken()
    threading.Timer(0.3, cancel.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        picking_of("batch_bald", 100, committee=p, configurations=20_000, cancel=cancel)
    assert time.monotonic() - started < 1.3


def test_epig_is_the_mean_information_about_the_targets():
    p, targets = committee(9, 4, 3), committee(5, 4, 3, seed=1)
    pairs = [[joint_information_of_pair(row, t) for t in targets] for row in p]
    found = scores_of("epig", p, target_committee=targets)
    np.testing.assert_allclose(found, np.mean(pairs, axis=1), atol=1e-12)


def joint_information_of_pair(row, target):
    """I(y; y_t), Σ p(y, y_t) ln (p(y, y_t) / p(y) p(y_t))."""
    row, target = np.asarray(row, np.float64), np.asarray(target, np.float64)
    joint = np.einsum("mc,mk->ck", row, target) / len(row)
    apart = np.outer(row.mean(axis=0), target.mean(axis=0))
    return math.fsum(p * math.log(p / q) for p, q in zip(joint.flat, apart.flat, strict=True) if p)


def test_epig_asks_about_the_targets_and_not_about_the_members():
    agree, disagree = [DOUBTFUL, DOUBTFUL], [SURE, NOT]
    pool = [disagree, agree]
    about_disagreement = scores_of("epig", pool, target_committee=[disagree])
    np.testing.assert_allclose(about_disagreement, [math.log(2), 0], atol=1e-15)
    about_nothing = scores_of("epig", pool, target_committee=[agree, agree])
    np.testing.assert_allclose(about_nothing, [0, 0], atol=1e-15)
    assert scores_of("bald", pool)[0] == pytest.approx(math.log(2))


@pytest.mark.parametrize("classes", [2, 10, 80])
def test_equal_rows_have_equal_epig_wherever_they_stand(classes):
    p, targets = committee(70, 3, classes), committee(4, 3, classes, seed=1)
    p[[5, 66]] = p[0]
    scores = scores_of("epig", p, target_committee=targets)
    alone = scores_of("epig", p[:1], target_committee=targets)
    assert scores[5] == scores[66] == scores[0] == alone[0]


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        (np.full((2, 3, 2), 0.5), "found 3 members; the pool has 2"),
        ([[SURE, [0.5, np.nan]]], "row 0 of member 1 has nan in column 1; finite numbers"),
        ([[SURE, NOT], [SURE, [0.5, 0.6]]], "row 1 of member 1 sums to 1.1; 1 within 0.001"),
        (np.full((1, 2, 4), 0.25), "found shape [1, 2, 4]; the pool has 2 classes"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets, problem):
    with pytest.raises(InvalidRequest) as refusal:
        scores_of("epig", [[SURE, NOT]], target_committee=targets)
    (violation,) = refusal.value.violations
    assert violation.field == "target_committee"
    assert violation.description.startswith(problem)


def test_epig_pauses_however_few_rows_there_are():
    pauses = []
    targets = np.full((1_000, 2, 2), 0.5)
    scores_of("epig", [[SURE, NOT]], target_committee=targets, pause=lambda: pauses.append(1))
    assert len(pauses) == 1_000  # the columns of as many classes of targets as there are members


def test_what_targets_are_by_themselves_is_worked_out_when_they_come():
    targets = committee(50, 4, 3)
    accepted = TARGET_COMMITTEE.accept("target_committee", targets)
    assert accepted.shape == (50, 4, 3)
    assert accepted.columns.flags.c_contiguous
    np.testing.assert_array_equal(accepted.columns[:, 3:6], targets[1])
    entropies = [plain_entropy(target.mean(axis=0)) for target in targets]
    assert accepted.mean_entropy == pytest.approx(np.mean(entropies), abs=1e-15)
