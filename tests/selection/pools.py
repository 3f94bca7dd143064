"""Whole-pool strategies by name, given arrays as they are sent; their memory; plain picking."""

import tracemalloc

import numpy as np

from nextlabel_server.cancel import CancelToken
from nextlabel_server.selection import Constraints, Gatherer, Picking, strategy_named
from nextlabel_server.selection.parameters import accept_parameters
from nextlabel_server.selection.pool import Pool
from nextlabel_server.selection.registry import Sizes


def picking_of(name, count, *, constraints=None, cancel=None, seed=0, block_rows=None, **given):
    """What a strategy picks. `given` are pool tensors, reference tensors and parameters by name."""
    strategy = strategy_named(name)
    sources = tuple(t for need in strategy.needs for t in need if t.name in given)
    sent = {t.name: np.asarray(given.pop(t.name)) for t in sources}
    references = {
        t.name: t.accept(t.name, np.asarray(given.pop(t.name)))
        for t in strategy.references
        if t.name in given
    }
    parameters = accept_parameters(strategy.parameters, given, field="parameters", owner=name)
    gatherer = Gatherer(strategy, sources, parameters, references)
    rows = len(next(iter(sent.values())))
    step = block_rows or max(rows, 1)
    columns = {}
    for start in range(0, rows, step):
        block = {name: values[start : start + step] for name, values in sent.items()}
        for column, values in gatherer.take(block, start).items():
            columns.setdefault(column, []).append(values)
    kept = {column: np.concatenate(blocks) for column, blocks in columns.items()}
    pool = gatherer.pool(kept, rows, np.random.default_rng(seed))
    picking = Picking(
        rows, count, constraints or Constraints(), check=(cancel or CancelToken()).check
    )
    strategy.score(pool, picking, **{p.name: parameters[p.name] for p in strategy.own_parameters})
    return picking


def share_of_memory(name, *, rows, count, dimensions, labeled=0, **parameters):
    """The most memory that a strategy on scores and embeddings takes, as a share of what it says.

    Pool and labeled rows included; scores come on top of what it says.
    """
    strategy, rng = strategy_named(name), np.random.default_rng(0)
    x = rng.normal(size=(rows, dimensions)).astype(np.float32)
    y = rng.normal(size=(labeled, dimensions)).astype(np.float32)
    references = {"labeled_embeddings": y}
    pool = Pool(rows, rng, embeddings=x, scores=rng.random(rows), references=references)
    picking = Picking(rows, count, Constraints())
    tracemalloc.start()
    try:
        strategy.score(pool, picking, **parameters)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    sizes = Sizes(N=rows, B=count, D=dimensions, L=labeled)
    return (x.nbytes + y.nbytes + peak) / strategy.bytes_of(sizes)


def plain_greedy(count, rows, gains_of, *, may_pick=lambda picks, row: True, costs=None):
    """Rows and gains of picking the best again and again, every gain computed every time."""
    picks, gains = [], []
    while len(picks) < count:
        now = gains_of(picks)
        possible = [i for i in range(rows) if i not in picks and may_pick(picks, i)]
        if not possible:
            break
        best = max(possible, key=lambda i: (now[i] if costs is None else now[i] / costs[i], -i))
        picks.append(best)
        gains.append(now[best])
    return picks, gains
