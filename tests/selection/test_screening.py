"""A shortlist holds what scoring every row in float64 and sorting would put first."""

import tracemalloc

import numpy as np
import pytest

from nextlabel_server.errors import InvalidRequest
from nextlabel_server.selection import (
    Scorer,
    Screener,
    Shortlist,
    all_strategies,
    ranking,
    strategy_named,
)
from nextlabel_server.selection.tensors import COMMITTEE, PROBABILITIES

SCREENED = [s.name for s in all_strategies().values() if s.float32_error is not None]
RNG = np.random.default_rng(0)


def scorer_of(name, source=None, **given):
    strategy = strategy_named(name)
    source = source or strategy.tensors[0]
    defaults = {p.name: p.default for p in strategy.parameters}
    return Scorer(strategy, source, {**defaults, **given}, {})


def for_strategy(name, pool):
    """The pool's vectors, or committees of three of them that agree more or less."""
    if strategy_named(name).tensors[0] is PROBABILITIES:
        return pool
    return np.stack([pool, pool, (pool + pool[::-1]) / 2], axis=1, dtype=pool.dtype)


def shortlisted(scorer, pool, count, block_rows):
    """Rows, and their scores, of a shortlist that was given the pool in blocks."""
    screener = Screener(scorer, count)
    for start in range(0, len(pool), block_rows):
        block = {scorer.source.name: pool[start : start + block_rows]}
        screener.shortlist.add(screener.take(block, start))
    return screener.shortlist.all()


def flat_near_the_maximum(rows):
    """Probabilities whose entropies are all the same in float32: 0.5 and a little."""
    away = np.linspace(0, 1e-4, rows)[RNG.permutation(rows)]
    return np.stack([0.5 + away, 0.5 - away], axis=1)


def ascending(rows):
    """Each row more unsure than the one before."""
    top = np.linspace(0.99, 0.35, rows)
    return np.stack([top, (1 - top) * 0.6, (1 - top) * 0.4], axis=1)


POOLS = {
    "random": RNG.dirichlet(np.ones(10), 4000),
    "two classes": RNG.dirichlet(np.ones(2), 4000),
    "many classes": RNG.dirichlet(np.full(200, 0.1), 1500),
    "few values": np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [1, 0, 0]])[
        RNG.integers(0, 3, 4000)
    ],
    "sure": np.eye(4)[RNG.integers(0, 4, 4000)],
    "all alike": np.full((4000, 5), 0.2),
    "flat near the maximum": flat_near_the_maximum(4000),
    "ascending": ascending(4000),
    "descending": ascending(4000)[::-1],
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", SCREENED)
def test_the_shortlist_is_the_head_of_a_full_sort(name, pool, dtype):
    scorer, values = scorer_of(name), for_strategy(name, POOLS[pool].astype(dtype))
    scores = scorer.score(values, 0)
    for count, block_rows in ((1, 700), (20, 512), (100, 333), (5000, 1024)):
        best = shortlisted(scorer, values, count, block_rows)
        rows = np.sort(ranking.top(scores, count))
        np.testing.assert_array_equal(best["rows"], rows)
        np.testing.assert_array_equal(best["scores"], scores[rows])


def test_a_committee_and_logits_are_shortlisted_too():
    pool = RNG.normal(size=(2000, 3, 4)).astype(np.float32)
    for scorer in (
        scorer_of("entropy", COMMITTEE, activation="softmax"),
        scorer_of("bald", COMMITTEE, activation="softmax"),
    ):
        scores = scorer.score(pool, 0)
        best = shortlisted(scorer, pool, 30, 150)
        np.testing.assert_array_equal(best["rows"], np.sort(ranking.top(scores, 30)))


@pytest.mark.parametrize("classes", [2, 3, 10, 64, 65, 1000])
@pytest.mark.parametrize("name", SCREENED)
def test_float32_scores_are_as_close_as_is_said(name, classes):
    rng = np.random.default_rng(classes)
    tiny = np.finfo(np.float32).smallest_subnormal
    rows = [rng.dirichlet(np.full(classes, a), 300) for a in (0.01, 0.1, 1, 100)]
    rows += [np.eye(classes)[:2], np.full((1, classes), 1 / classes)]
    pool = np.concatenate(rows).astype(np.float32)
    pool[::7, 0] += 8e-4  # sums that are within the tolerance
    pool[::5] = np.maximum(pool[::5], tiny)
    scorer, pool = scorer_of(name), for_strategy(name, pool)
    tile = scorer.reader.float32_tile(pool)
    assert tile.dtype == np.float32
    error = np.abs(scorer.score_tile(tile) - scorer.score(pool, 0))
    assert error.max() <= scorer.strategy.float32_error(*tile.shape[:-1])


@pytest.mark.parametrize("total", [1.0, 1.001, 1.4])
@pytest.mark.parametrize("classes", [1, 2, 3, 10, 300])
@pytest.mark.parametrize("name", [n for n in SCREENED if strategy_named(n).collision_limit])
def test_no_row_has_larger_collisions_than_its_score_allows(name, classes, total):
    rng = np.random.default_rng(classes)
    pool = np.concatenate([rng.dirichlet(np.full(classes, a), 500) for a in (0.02, 0.3, 1, 50)])
    one_large = np.linspace(1 / classes, 1, 200)[:, None] * np.eye(classes)[0]
    one_large[:, 1:] = (1 - one_large[:, :1]) / max(classes - 1, 1)  # the most entropy there is
    pool = np.concatenate([pool, one_large[one_large.sum(axis=1) > 0.99]])
    pool *= rng.uniform(2 - total, total, (len(pool), 1))
    for own in [{"normalize": False}, {"normalize": True}] if name == "entropy" else [{}]:
        scorer = scorer_of(name, tolerance=0.5, **own)
        for score, row in zip(scorer.score(pool, 0), pool, strict=True):
            limit = scorer.strategy.collision_limit(score, classes, total, **own)
            assert (row**2).sum() <= limit * (1 + 1e-9)


def test_most_rows_are_never_scored_in_float64(monkeypatch):
    scored = []
    score = Scorer.score

    def counted(self, block, first_row):
        scored.append(len(block))
        return score(self, block, first_row)

    monkeypatch.setattr(Scorer, "score", counted)
    shortlisted(scorer_of("entropy"), POOLS["random"].astype(np.float32), 10, 500)
    assert sum(scored) < 0.2 * 4000


@pytest.mark.parametrize("bad", [np.nan, -0.25, 2.0, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_bad_row_is_named_though_nobody_would_pick_it(bad, dtype):
    pool = np.tile(np.array([0.5, 0.5, 0.0], dtype), (1000, 1))
    pool[777] = [1, 0, 0]
    pool[777, 1] = bad
    with pytest.raises(InvalidRequest, match="row 777 "):
        shortlisted(scorer_of("margin"), pool, 5, 100)


def test_a_tolerance_that_float32_cannot_judge_is_judged_in_float64():
    pool = np.full((500, 1000), 1 / 1000, np.float32)
    pool[123, 0] += 3e-6
    scorer = scorer_of("entropy", tolerance=2e-6)
    assert len(shortlisted(scorer, np.delete(pool, 123, axis=0), 5, 100)["rows"]) == 5
    with pytest.raises(InvalidRequest, match="row 123 sums to"):
        shortlisted(scorer, pool, 5, 100)


def test_a_shortlist_takes_memory_for_what_it_keeps_and_not_for_the_pool():
    shortlist = Shortlist(100, lambda values: values)
    tracemalloc.start()
    for start in range(0, 1_000_000, 10_000):  # ever better: the most that can be kept
        rows = np.arange(start, start + 10_000)
        best = np.sort(ranking.top(rows / 1e6, 100))
        shortlist.add({"rows": rows[best], "scores": best / 1e6 + start})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000
    assert shortlist.all()["rows"].tolist() == list(range(999_900, 1_000_000))


def test_while_fewer_rows_have_come_than_are_wanted_none_is_looked_for(monkeypatch):
    lengths = []
    top = ranking.top
    monkeypatch.setattr(
        ranking, "top", lambda scores, count: lengths.append(len(scores)) or top(scores, count)
    )
    shortlist = Shortlist(1000, lambda values: values)
    scores = RNG.random(1200)
    for start in range(0, 1200, 10):
        rows = np.arange(start, start + 10)
        shortlist.add({"rows": rows, "scores": scores[rows]})
    best = shortlist.all()["rows"]
    np.testing.assert_array_equal(best, np.sort(top(scores, 1000)))
    assert min(lengths) >= 1000
    assert len(lengths) <= 2  # when there are as many as are wanted, and at the end


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_shortlist_takes_no_memory_for_the_number_of_blocks(count):
    shortlist = Shortlist(count, lambda values: values)
    none, sure = np.empty(0, np.int64), np.zeros(1)
    tracemalloc.start()
    for row in range(count):
        shortlist.add({"rows": np.array([row]), "scores": np.array([float(row + 1)])})
    for row in range(count, 20_000):
        shortlist.add({"rows": np.array([row]), "scores": sure})
        shortlist.add({"rows": none, "scores": np.empty(0)})
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held <= 64 * count + 400_000, peak
    assert shortlist.all()["rows"].tolist() == list(range(count))
