"""One class matters more than the others: finding its members, or its boundary."""

import numpy as np

from nextlabel_server.selection.parameters import Parameter
from nextlabel_server.selection.ranking import Scores
from nextlabel_server.selection.registry import row_wise
from nextlabel_server.selection.tensors import PROBABILITIES
from nextlabel_server.selection.tiles import Tile

CLASS_INDEX = Parameter(
    "class_index", int, "The class, counted from 0; below C.", minimum=0, is_class=True
)


@row_wise(
    formula="p_class",
    reference="Cormack & Grossman 2014, Evaluation of machine-learning protocols",
    tensors=(PROBABILITIES,),
    parameters=(CLASS_INDEX,),
)
def relevance(p: Tile, *, class_index: int) -> Scores:
    """Favours rows that most probably belong to one class."""
    scores: Scores = p[class_index].copy()
    return scores


@row_wise(
    formula="−|p_class − threshold|",
    reference="Žliobaitė et al. 2014, Active learning with drifting streaming data",
    tensors=(PROBABILITIES,),
    parameters=(
        CLASS_INDEX,
        Parameter(
            "threshold",
            float,
            "The probability where the decision changes.",
            default=0.5,
            minimum=0,
            maximum=1,
        ),
    ),
    negative_scores=True,
)
def threshold(p: Tile, *, class_index: int, threshold: float) -> Scores:
    """Favours rows whose probability of one class is close to a threshold."""
    scores: Scores = 0.0 - np.abs(p[class_index] - threshold)
    return scores
