"""The model that learns: logistic regression on the pixels."""

from pathlib import Path
from typing import Any

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from nextlabel_server.demo.digits import Pixels, Truth

Learner = Any
"""A fitted LogisticRegression; scikit-learn has no types."""


def train(pixels: Pixels, is_seven: Truth) -> Learner:
    """A model that has learned from these digits."""
    # Of the solvers the quickest for a few hundred rows, by a factor of ten.
    return LogisticRegression(solver="liblinear").fit(pixels, is_seven)


def export(learner: Learner, path: Path) -> None:
    """Writes the model as ONNX: `pixels` [n, 784] in, probabilities [n, 2] out."""
    model = to_onnx(
        learner,
        initial_types=[("pixels", FloatTensorType([None, learner.n_features_in_]))],
        options={id(learner): {"zipmap": False}},
    )
    path.parent.mkdir(parents=True)
    path.write_bytes(model.SerializeToString())
