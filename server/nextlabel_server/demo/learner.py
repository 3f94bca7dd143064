"""The model that learns: logistic regression on the pixels."""

from pathlib import Path
from typing import Any

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from nextlabel_server.demo.digits import Digits, Rows

Learner = Any
"""A fitted LogisticRegression; scikit-learn has no types."""


def train(digits: Digits, rows: Rows) -> Learner:
    """A model that has learned from these rows."""
    # Of the solvers the quickest for a few hundred rows, by a factor of ten.
    learner = LogisticRegression(solver="liblinear")
    return learner.fit(digits.pixels[rows], digits.is_seven[rows])


def accuracy(learner: Learner, digits: Digits, rows: Rows) -> float:
    """The share of these rows that the model gets right."""
    return float(np.mean(learner.predict(digits.pixels[rows]) == digits.is_seven[rows]))


def export(learner: Learner, path: Path) -> None:
    """Writes the model as ONNX: `pixels` [n, 784] in, probabilities [n, 2] out."""
    model = to_onnx(
        learner,
        initial_types=[("pixels", FloatTensorType([None, learner.n_features_in_]))],
        options={id(learner): {"zipmap": False}},
    )
    path.parent.mkdir(parents=True)
    path.write_bytes(model.SerializeToString())
