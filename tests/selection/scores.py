"""Scores of a strategy by its name."""

import numpy as np

from nextlabel_server.selection import Scorer, strategy_named
from nextlabel_server.selection.parameters import accept_parameters


def scores_of(name, rows, *, source="", pause=lambda: None, **given):
    """Scores of rows of a source (the strategy's first one if none is named).

    `pause` is called where a row takes long. `given` are parameters and, by their names, reference
    tensors; None is not given.
    """
    strategy = strategy_named(name)
    references = {
        tensor.name: tensor.accept(tensor.name, np.asarray(given.pop(tensor.name)))
        for tensor in strategy.references
        if given.get(tensor.name) is not None
    }
    parameters = accept_parameters(
        strategy.parameters,
        {name: value for name, value in given.items() if value is not None},
        field="parameters",
        owner=strategy.name,
    )
    sources = {tensor.name: tensor for tensor in strategy.sources}
    tensor = sources[source or strategy.sources[0].name]
    scorer = Scorer(strategy, tensor, parameters, references, pause=pause)
    block = np.asarray(rows)
    scorer.check_row_shape(tensor, block.shape[1:])
    return scorer.score(block, 0)
