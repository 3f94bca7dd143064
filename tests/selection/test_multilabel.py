"""Multi-label strategies against arithmetic done by hand and slow versions from the papers."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import (
    Constraints,
    Gatherer,
    Picking,
    all_strategies,
    strategy_named,
)
from nextlabel_server.selection.labels import LabeledLabels
from nextlabel_server.selection.parameters import accept_parameters
from nextlabel_server.selection.tensors import LABEL_PROBABILITIES
from tests.selection.scores import scores_of

LN2 = 0.6931471805599453
LABELED = [[1, 1, 0], [0, 0, 1], [1, 1, 1]]  # 2 labels a row on average
SURE, OPEN, MIXED = [1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.875, 0.25, 0.625]  # f of MIXED: ¾, −½, ¼

BY_HAND = [
    ("binary_uncertainty", {}, SURE, 0),
    ("binary_uncertainty", {}, OPEN, 1),
    ("binary_uncertainty", {}, MIXED, (0.25 + 0.5 + 0.75) / 3),
    ("binary_uncertainty", {"reduce": "max"}, MIXED, 0.75),
    ("binary_uncertainty", {"reduce": "sum"}, MIXED, 1.5),
    ("binary_uncertainty", {"measure": "entropy"}, OPEN, LN2),
    ("binary_uncertainty", {"measure": "entropy", "reduce": "sum"}, OPEN, 3 * LN2),
    ("binary_uncertainty", {"measure": "entropy"}, SURE, 0),
    ("bin_min", {}, SURE, -1),
    ("bin_min", {}, OPEN, 0),
    ("bin_min", {}, MIXED, -0.25),
    ("label_cardinality", {}, SURE, 1),
    ("label_cardinality", {}, OPEN, 2),  # none is above ½
    ("label_cardinality", {}, MIXED, 0),
    ("label_cardinality", {"threshold": 0.2}, MIXED, 1),
    # separation ¼ − (−½), as many labels as usual
    ("adaptive_multilabel", {}, MIXED, (1 / 0.75) ** 0.5),
    ("adaptive_multilabel", {"beta": 1.0}, MIXED, 1 / 0.75),
    ("adaptive_multilabel", {"beta": 0.0}, SURE, 2),
    ("adaptive_multilabel", {}, SURE, 0.5**0.5 * 2**0.5),
    # no label predicted: the largest f, −½, against the decision at 0
    ("adaptive_multilabel", {"beta": 1.0}, [0.25, 0.125, 0.0], 2),
    # all predicted: the least f, ½, against the decision at 0; then at τ = ¼, where f is −½
    ("adaptive_multilabel", {"beta": 1.0}, [0.75, 1.0, 1.0], 2),
    ("adaptive_multilabel", {"beta": 1.0, "threshold": 0.25}, [0.75, 1.0, 1.0], 1),
    # at the decision itself
    ("adaptive_multilabel", {"beta": 1.0}, OPEN, 1e12),
    ("max_loss", {}, SURE, 0),
    ("max_loss", {}, OPEN, 3),
    ("max_loss", {}, MIXED, (1 - 0.75) + (1 - 0.5) + (1 + 0.25)),
    ("mean_max_loss", {}, SURE, 0),
    ("mean_max_loss", {}, OPEN, 3),  # none is predicted, so one of the most probable is
    # of the predicted labels 0 and 2: 2 as above, and (1 + ¾) + (1 − ½) + (1 − ¼)
    ("mean_max_loss", {}, MIXED, (2 + 3) / 2),
    ("mean_max_loss", {"threshold": 0.7}, MIXED, 2),
]


@pytest.mark.parametrize(("name", "parameters", "row", "expected"), BY_HAND)
def test_a_score_is_what_its_formula_gives_by_hand(name, parameters, row, expected):
    labeled = LABELED if takes_labels(name) else None
    (score,) = scores_of(name, [row], labeled_labels=labeled, **parameters)
    assert score == pytest.approx(expected, rel=1e-14, abs=1e-15)


def takes_labels(name):
    return bool(strategy_named(name).references)


# The definitions again, one row and one number at a time.


def decisions(q):
    return [2 * x - 1 for x in q]


def entropy_of(p):
    return -math.fsum(x * math.log(x) for x in p if x > 0)


def loss_of(f, j):
    return math.fsum(max(1 - (1 if i == j else -1) * f[i], 0) for i in range(len(f)))


def max_loss_of(q, _):
    f = decisions(q)
    return loss_of(f, f.index(max(f)))


def mean_max_loss_of(q, _):
    f = decisions(q)
    predicted = [i for i in range(len(f)) if f[i] > 0] or [f.index(max(f))]
    return math.fsum(loss_of(f, j) for j in predicted) / len(predicted)


def inconsistency_of(q, labeled):
    usual = sum(map(sum, labeled)) / len(labeled) if labeled else 0
    return abs(sum(x > 0.5 for x in q) - usual)


def adaptive_of(q, labeled):
    f = decisions(q)
    lowest = min([x for x in f if x > 0], default=0)
    highest = max([x for x in f if x <= 0], default=0)
    separation = max(lowest - highest, 1e-12)
    return (1 / separation) ** 0.5 * (inconsistency_of(q, labeled) + 1) ** 0.5


DEFINITIONS = {
    "binary_uncertainty": lambda q, _: math.fsum(1 - abs(x) for x in decisions(q)) / len(q),
    "bin_min": lambda q, _: -min(map(abs, decisions(q))),
    "label_cardinality": inconsistency_of,
    "adaptive_multilabel": adaptive_of,
    "max_loss": max_loss_of,
    "mean_max_loss": mean_max_loss_of,
}


def test_every_multilabel_strategy_has_its_definition_written_down_here():
    every = [s for s in all_strategies().values() if s.kind == "row_wise"]
    assert set(DEFINITIONS) == {s.name for s in every if s.sources == (LABEL_PROBABILITIES,)}


FEW = st.sampled_from([1, 2, 3, 4, 6, 9])
FEW_OR_MANY = st.sampled_from([1, 2, 3, 7, 64, 65])  # above 64 tiles are laid out the other way


def pools(labels=FEW_OR_MANY):
    """Rows of eighths, so that ties and decisions at ½ are common."""
    shape = st.tuples(st.integers(1, 20), labels)
    return hnp.arrays(np.int64, shape, elements=st.integers(0, 8)).map(lambda k: k / 8)


@st.composite
def pools_with_labels(draw, labels=FEW_OR_MANY):
    pool = draw(pools(labels))
    shape = (draw(st.integers(0, 6)), pool.shape[1])
    return pool, draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 1)))


@pytest.mark.parametrize("name", DEFINITIONS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn=pools_with_labels())
def test_a_score_is_what_its_definition_gives_row_by_row(name, drawn):
    pool, labeled = drawn
    found = scores_of(name, pool, labeled_labels=labeled if takes_labels(name) else None)
    expected = [DEFINITIONS[name](q, labeled.tolist()) for q in pool.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(pool=pools())
def test_entropies_of_labels_are_reduced_in_each_way(pool):
    by_label = [[entropy_of([q, 1 - q]) for q in row] for row in pool.tolist()]
    for reduce, over in (("mean", np.mean), ("max", np.max), ("sum", np.sum)):
        found = scores_of("binary_uncertainty", pool, measure="entropy", reduce=reduce)
        np.testing.assert_allclose(found, over(by_label, axis=1), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint8, np.bool_, np.int64])
def test_labels_come_in_any_type(kind):
    labels = LabeledLabels.accept("labeled_labels", np.array(LABELED, kind))
    assert labels.mean_cardinality == 2
    assert labels.shape == (3, 3)


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_a_label_that_is_neither_0_nor_1_is_refused_at_its_place(value):
    labels = np.zeros((4, 3))
    labels[2, 1] = value
    with pytest.raises(InvalidRequest) as refusal:
        LabeledLabels.accept("labeled_labels", labels)
    (violation,) = refusal.value.violations
    assert violation.field == "labeled_labels"
    assert violation.description == f"found {labels[2, 1]} at [2, 1]; 0 or 1 is right"


def test_labels_for_another_number_of_classes_are_refused():
    with pytest.raises(InvalidRequest, match=r"found shape \[3, 3\]; the pool has 2 classes"):
        scores_of("label_cardinality", [[0.5, 0.5]], labeled_labels=LABELED)


# CVIRS


def picks_of_cvirs(pool, labeled, count=None, excluded=()):
    strategy = strategy_named("cvirs")
    parameters = accept_parameters(strategy.parameters, {}, field="parameters", owner="cvirs")
    labels = LabeledLabels.accept("labeled_labels", np.asarray(labeled))
    gatherer = Gatherer(strategy, strategy.sources, parameters, {"labeled_labels": labels})
    columns = gatherer.take({"probabilities": np.asarray(pool)}, 0)
    constraints = Constraints(excluded=np.array(excluded, np.int64))
    picking = Picking(len(pool), count or len(pool), constraints)
    whole = gatherer.pool(columns, len(pool), np.random.default_rng(0))
    strategy.score(whole, picking, threshold=parameters["threshold"])
    return picking.rows.tolist(), picking.gains.tolist()


def distance_of(one, other):
    """By entropies, as the paper has it: the Hamming distance where the entropy distance is < 1."""
    labels = len(one)
    pairs = list(zip(one, other, strict=True))
    joint = entropy_of([pairs.count(p) / labels for p in set(pairs)])
    apart = [entropy_of([v.count(x) / labels for x in set(v)]) for v in (one, other)]
    entropy_distance = (2 * joint - sum(apart)) / joint if joint else 0
    return sum(a != b for a, b in pairs) / labels if entropy_distance < 1 - 1e-9 else 1.0


def cvirs_of(pool, labeled):
    rows, labels = len(pool), len(pool[0])
    margins = [[abs(x) for x in decisions(q)] for q in pool]
    scores = []
    for i, q in enumerate(pool):
        borda = 0.0
        for c in range(labels):
            column = [m[c] for m in margins]
            below = sum(m < column[i] for m in column)
            alike = column.count(column[i])
            borda += rows - (below + (alike + 1) / 2)
        predicted = [int(x > 0.5) for x in q]
        apart = [distance_of(predicted, y) for y in labeled]
        mean = math.fsum(apart) / len(labeled) if labeled else 1
        scores.append(borda / (labels * max(rows - 1, 1)) * mean)
    return scores


def test_cvirs_by_hand():
    # Margins ¾ and ½; 0 and ½; 1 and 1: ranks 2 and 1½; 1 and 1½; 3 and 3, of three rows.
    pool = [[0.875, 0.25], [0.5, 0.75], [1.0, 0.0]]
    borda = [(1 + 1.5) / 4, (2 + 1.5) / 4, 0]
    # Label vectors 10, 01, 10 against 10: no distance; each label differs; no distance.
    assert picks_of_cvirs(pool, [[1, 0]]) == ([1, 0, 2], [borda[1], 0, 0])
    # A labeled row without labels says nothing of the others: distance 1.
    assert picks_of_cvirs(pool, [[0, 0]]) == ([1, 0, 2], [borda[1], borda[0], 0])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=pools_with_labels(FEW))
def test_cvirs_is_what_its_definition_gives(drawn):
    pool, labeled = drawn
    rows, gains = picks_of_cvirs(pool, labeled)
    expected = cvirs_of(pool.tolist(), labeled.tolist())
    np.testing.assert_allclose(gains, np.array(expected)[rows], rtol=1e-12, atol=1e-13)
    assert rows == sorted(range(len(pool)), key=lambda row: (-gains[rows.index(row)], row))


def test_cvirs_ranks_rows_that_must_not_be_picked_and_does_not_pick_them():
    pool = np.random.default_rng(3).integers(0, 9, (30, 4)) / 8
    rows, gains = picks_of_cvirs(pool, [[1, 0, 0, 1]])
    without = [(r, g) for r, g in zip(rows, gains, strict=True) if r not in (2, 7)][:5]
    found = picks_of_cvirs(pool, [[1, 0, 0, 1]], count=5, excluded=(2, 7))
    assert list(zip(*found, strict=True)) == without


def test_equal_rows_of_cvirs_tie_and_the_lower_comes_first():
    pool = np.repeat([[0.3, 0.6, 0.9]], 50, axis=0)
    labeled = np.random.default_rng(0).integers(0, 2, (40, 3))
    assert picks_of_cvirs(pool, labeled)[0] == list(range(50))
