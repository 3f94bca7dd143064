"""A trial run: a model is served only once it has answered one."""

import logging
from dataclasses import replace

import numpy as np

from nextlabel_server.cancel import CancelToken
from nextlabel_server.errors import ModelUnfit
from nextlabel_server.inference.model import Model

logger = logging.getLogger(__name__)

# For axes that a model leaves open, in turn: some take no single token, or pixel.
_SIZES = (1, 16, 224)


def try_out(model: Model, cancel: CancelToken) -> Model:
    """Runs the model on one row of zeros, or empty text. Returns it, with a problem if that fails.

    Raises Cancelled when the token stops the run.
    """
    if model.problem is not None:
        return model
    has_open_axes = any(None in tensor.shape[1:] for tensor in model.inputs)
    for size in _SIZES if has_open_axes else _SIZES[:1]:
        row = {
            tensor.name: np.full(
                [1, *(size if known is None else known for known in tensor.shape[1:])],
                "" if tensor.element_type.kind == "O" else 0,
                tensor.element_type,
            )
            for tensor in model.inputs
        }
        try:
            model.run(row, first_row=0, cancel=cancel)
        except ModelUnfit:
            continue  # the log has it
        return model
    problem = "it failed on a trial run with a row of zeros; the server's log has the details"
    logger.warning("%s cannot be used: %s", model, problem)
    return replace(model, problem=problem, session=None)
