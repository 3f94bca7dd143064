import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest, UnknownName
from nextlabel_server.selection import (
    all_samplings,
    all_strategies,
    sampling_named,
    strategy_named,
)
from tests.selection.conformance import (
    NOTHING,
    ROWS,
    Case,
    cases,
    checks_of,
    drawn_cases,
    plain_cases,
    required,
    row_wise_strategies,
)
from tests.selection.picks import pick

CHECKS = [
    pytest.param(check, case, id=f"{case}-{check.__name__.removeprefix('check_')}")
    for case in cases()
    for check in checks_of(case)
]
DRAWN = [
    pytest.param(case, method, given, id=f"{case}-{method.name}{given or ''}")
    for case, method, given in drawn_cases()
]
TAKE_ROWS = [
    pytest.param(case, id=str(case))
    for strategy in row_wise_strategies()
    if strategy.takes_rows
    for case in plain_cases(strategy, (2, 70))
]
BINARY = ("least_confidence", "margin", "ratio", "entropy", "gini")


@pytest.mark.parametrize(("check", "case"), CHECKS)
def test_strategy(check, case):
    check(case)


def drawn(case, method, given, *, rows, count, excluded=NOTHING):
    query = case.query(count, method.name, **given)
    scores = case.scores(case.pool(rows))
    before = scores.copy()
    picks = pick(query, scores, excluded, query.generator())
    np.testing.assert_array_equal(scores, before)
    np.testing.assert_array_equal(picks.scores, scores[picks.rows])
    return picks


@pytest.mark.parametrize(("case", "method", "given"), DRAWN)
@pytest.mark.parametrize(
    ("rows", "count"),
    [(0, 1), (1, 1), (1, 5), (ROWS, 1), (ROWS, 40), (ROWS, ROWS), (ROWS, ROWS + 1)],
)
def test_a_ranking_names_as_many_rows_as_there_are_and_none_twice(case, method, given, rows, count):
    picks = drawn(case, method, given, rows=rows, count=count)
    assert len(picks.rows) == min(rows, count)
    assert len(set(picks.rows.tolist())) == len(picks.rows)
    assert set(picks.rows.tolist()) <= set(range(rows))
    assert picks.eligible == rows
    assert picks.exhausted == (count > rows)


@pytest.mark.parametrize(("case", "method", "given"), DRAWN)
def test_the_same_seed_draws_the_same_rows(case, method, given):
    first, second = (drawn(case, method, given, rows=ROWS, count=30) for _ in range(2))
    np.testing.assert_array_equal(first.rows, second.rows)


@pytest.mark.parametrize(("case", "method", "given"), DRAWN)
def test_excluded_rows_never_come_back_and_all_others_can(case, method, given):
    excluded = np.arange(0, ROWS, 3)
    picks = drawn(case, method, given, rows=ROWS, count=ROWS, excluded=excluded)
    assert sorted(picks.rows.tolist()) == [row for row in range(ROWS) if row % 3]
    assert picks.exhausted
    assert picks.eligible == ROWS - len(excluded)


@pytest.mark.parametrize(("case", "method", "given"), DRAWN)
def test_with_every_row_excluded_nothing_comes_back(case, method, given):
    picks = drawn(case, method, given, rows=9, count=2, excluded=np.arange(9))
    assert not len(picks.rows)
    assert picks.exhausted


@pytest.mark.parametrize("case", TAKE_ROWS)
def test_tiles_leave_no_trace_in_the_scores(case):
    pool = case.pool(500, rounded=True)
    pool = pool[np.random.default_rng(0).integers(len(pool), size=18_000)]
    whole = case.scores(pool)
    np.testing.assert_array_equal(case.scores(pool, 8191), whole)
    np.testing.assert_array_equal(case.scores(pool, 333), whole)


def digests_of_scores(threads):
    """Digests by case, each for several block sizes, with a matrix kernel that shows it."""
    environment = {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": threads}
    found = subprocess.run(
        [sys.executable, "-m", "tests.selection.block_sizes"],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: digests for name, *digests in map(str.split, found.stdout.splitlines())}


def test_neither_threads_nor_blocks_change_how_matrix_products_round():
    """OpenBLAS rounds a column by where it stands, and by how many threads share the product."""
    alone, shared = digests_of_scores("1"), digests_of_scores("2")
    assert alone
    assert alone == shared
    assert [case for case, digests in alone.items() if len(set(digests)) > 1] == []


@pytest.mark.parametrize("distance", [2e-5, 5e-5, 1e-4])
@pytest.mark.parametrize("name", BINARY)
def test_two_classes_near_one_half_are_told_apart(name, distance):
    closer, farther = np.float32(0.5 + distance / 2), np.float32(0.5 + distance)
    pool = np.array(
        [[farther, 1 - farther], [1 - closer, closer], [0.5, 0.5], [1 - farther, farther]],
        dtype=np.float32,
    )
    assert ranking_of(name, pool) == [2, 1, 0, 3]


def test_two_classes_rank_alike_by_every_measure_of_doubt():
    rng = np.random.default_rng(0)
    distances = np.repeat([0, 2e-5, 5e-5, 1e-4, 1e-3, 0.01, 0.1, 0.3, 0.4999], 4)
    likelier = (0.5 + rng.permutation(distances)).astype(np.float32)
    pool = np.column_stack([likelier, 1 - likelier])  # exact: 1 - x is, from x = 0.5 on
    pool = rng.permuted(pool, axis=1)
    expected = sorted(range(len(pool)), key=lambda row: (likelier[row], row))
    for name in BINARY:
        assert ranking_of(name, pool) == expected, name


def ranking_of(name, pool):
    case = Case(strategy_named(name), {}, pool.shape[1])
    query = case.query(len(pool))
    return pick(query, case.scores(pool), NOTHING, query.generator()).rows.tolist()


@pytest.mark.parametrize("strategy", all_strategies().values(), ids=lambda s: s.name)
def test_a_strategy_is_found_by_its_name_and_aliases(strategy):
    for name in (strategy.name, *strategy.aliases):
        assert strategy_named(name) is strategy


def test_no_two_strategies_share_a_name():
    names = [name for s in all_strategies().values() for name in (s.name, *s.aliases)]
    assert len(names) == len(set(names))


def test_loading_the_strategies_does_not_put_their_package_in_place_of_the_listing():
    """A subpackage takes its name in the package that holds it when it is first imported."""
    program = (
        "from nextlabel_server import selection\n"
        "selection.strategy_named('entropy')\n"
        "assert 'entropy' in selection.all_strategies()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_unknown_strategy_is_refused_with_those_that_exist():
    with pytest.raises(UnknownName, match=r"'entropi' is unknown; there are .*entropy.*margin"):
        strategy_named("entropi")


def test_an_unknown_sampling_is_refused_with_those_that_exist():
    with pytest.raises(UnknownName, match="'best' is unknown; there are top, power"):
        sampling_named("best")


def test_top_is_the_sampling_when_none_is_named():
    assert sampling_named("") is all_samplings()["top"]


@pytest.mark.parametrize("strategy", row_wise_strategies(), ids=lambda s: s.name)
def test_power_is_refused_exactly_where_scores_can_be_negative(strategy):
    case = Case(strategy, required(strategy.parameters), 5)
    if not strategy.negative_scores:
        case.query(1, "power")
        return
    with pytest.raises(InvalidRequest, match=f"{strategy.name} gives negative ones; softmax"):
        case.query(1, "power")
